"""What is chosen before anything else: network, optimiser, number of members.

The other parameters are checked against them, and resolved by them (`resolve`). Which
columns a network accepts is found out before the rows are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from torch import nn

from imbalnet._fit.cv import name_of_cv
from imbalnet._fit.options.recipes import Recipe, find_recipe
from imbalnet._fit.specs import Splits
from imbalnet._nested import accepted_names, name_of, nested
from imbalnet._optimizers import OptimizerFactory
from imbalnet._tables import ColumnRules, Rows
from imbalnet.losses import LOSSES
from imbalnet.networks import NETWORKS, LinearModel


@dataclass(frozen=True)
class Chosen:
    """What is chosen first.

    Attributes
    ----------
    recipe : Recipe
        What "auto" stands for.
    module : callable
        Class or factory of a member's network.
    optimizer : str or callable
        The optimiser's name, or the user's class.
    n_members : int
        One for each fold of the user's, if there are any.
    splits : Splits or None
        Those folds, or the split, that the user gives.
    has_schedule : bool
        Whether training lowers the learning rate itself.
    """

    recipe: Recipe
    module: Callable[..., nn.Module]
    optimizer: str | OptimizerFactory
    n_members: int
    splits: Splits | None
    has_schedule: bool

    @property
    def is_lbfgs(self) -> bool:
        """Whether L-BFGS trains: full batches and a constant learning rate."""
        return self.optimizer == "lbfgs"


def choose(
    params: Mapping[str, Any], rows: Rows, splits: Splits | None, *, is_partial: bool
) -> Chosen:
    """Choose what the other parameters depend on."""
    recipe = find_recipe(params["module"], params["preset"])
    optimizer = _optimizer_of(params, is_partial or rows.is_large)
    n_folds = None if is_partial else _n_folds(params["cv"], splits)
    # members take time, rows even more
    n_auto = 1 if rows.is_large else recipe.n_members
    return Chosen(
        recipe=recipe,
        module=_module_of(params),
        optimizer=optimizer,
        n_members=_n_members(params, n_folds, n_auto),
        splits=splits,
        has_schedule=params["schedule"] == "cosine" and optimizer != "lbfgs",
    )


def column_rules(params: Mapping[str, Any]) -> ColumnRules:
    """Return what the network takes, and what the user says of the columns.

    Infinite values pass to a network only if ``module__clip=True`` asks for it.
    """
    module = _module_of(params)
    return ColumnRules(
        categorical_features=params["categorical_features"],
        missing=bool(getattr(module, "accepts_missing", False)),
        infinite=nested(params, "module").get("clip") is True,
        categories="n_categories" in (accepted_names(module) or ()),
        module=name_of(params["module"]),
    )


def feature_dtype(
    params: Mapping[str, Any], *, in_parts: bool = False
) -> type[np.floating]:
    """Return the precision of the features: float64 if asked for, and for L-BFGS.

    `in_parts` tells that the rows are not in memory at once.
    """
    is_lbfgs = _optimizer_of(params, in_parts) == "lbfgs"
    is_double = params["dtype"] == "float64" or is_lbfgs
    return np.float64 if is_double else np.float32


def _module_of(params: Mapping[str, Any]) -> Callable[..., nn.Module]:
    name = find_recipe(params["module"], params["preset"]).module
    return params["module"] if name is None else NETWORKS[name]


def _optimizer_of(params: Mapping[str, Any], in_parts: bool) -> Any:
    """Return the optimiser's name or class.

    L-BFGS solves the convex problem of a linear model. It needs all rows in one batch,
    which ``partial_fit`` does not have (``in_parts``), and in which a ranking loss
    would compare all pairs.
    """
    if params["optimizer"] != "auto":
        return params["optimizer"]
    loss = params["loss"]
    factory = LOSSES[loss] if isinstance(loss, str) else loss
    in_parts = in_parts or getattr(factory, "is_ranking", False)
    is_linear = _module_of(params) is LinearModel
    return "lbfgs" if is_linear and not in_parts else "adamw"


def _n_folds(cv: Any, splits: Splits | None) -> int | None:
    """Return the number of folds that the user asks for; None if there are none."""
    if isinstance(cv, Integral):
        return int(cv)
    return None if splits is None else splits.n_members


def _n_members(params: Mapping[str, Any], n_folds: int | None, n_auto: int) -> int:
    """Return the number of members, or raise if there is not one for each fold."""
    asked = params["n_members"]
    if n_folds is not None and asked not in ("auto", n_folds):
        raise ValueError(
            f"{name_of_cv(params['cv'])} has {n_folds} folds, one for each member, but "
            f"n_members={asked}; set n_members={n_folds} or 'auto'."
        )
    if asked == "auto" and n_folds is None:
        return n_auto
    return int(n_folds or asked)

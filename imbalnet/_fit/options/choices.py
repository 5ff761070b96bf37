"""The choices that other parameters depend on: network, optimiser, members.

``resolve`` checks and resolves the other parameters with them. `column_rules` and
`feature_dtype` depend on them, too; the estimator needs these before it reads rows.
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
    """The choices that other parameters depend on.

    Attributes
    ----------
    recipe : Recipe
        The values of "auto".
    module : callable
        Class or factory of a member's network.
    optimizer : str or callable
        The optimiser's name, or the user's class.
    n_members : int
        Number of members, one for each fold of `splits`.
    splits : Splits or None
        The rows that ``cv`` holds out.
    has_schedule : bool
        Whether the learning rate decreases along half a cosine.
    """

    recipe: Recipe
    module: Callable[..., nn.Module]
    optimizer: str | OptimizerFactory
    n_members: int
    splits: Splits | None
    has_schedule: bool

    @property
    def is_lbfgs(self) -> bool:
        """Whether the optimiser is "lbfgs", which needs full batches."""
        return self.optimizer == "lbfgs"


def choose(
    params: Mapping[str, Any], rows: Rows, splits: Splits | None, *, is_partial: bool
) -> Chosen:
    """Resolve the parameters that others depend on."""
    recipe = find_recipe(params["module"], params["preset"])
    optimizer = _optimizer_of(params, is_partial or rows.is_large)
    n_folds = None if is_partial else _n_folds(params["cv"], splits)
    # training several members on that many rows would take too long
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
    """Return which columns are categorical, and which values the network accepts.

    Infinite values are accepted only with ``module__clip=True``.
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
    """Return the dtype of the features: float64 if the user chose it, or for L-BFGS.

    `in_parts` is whether the rows are read in several parts.
    """
    is_lbfgs = _optimizer_of(params, in_parts) == "lbfgs"
    is_double = params["dtype"] == "float64" or is_lbfgs
    return np.float64 if is_double else np.float32


def _module_of(params: Mapping[str, Any]) -> Callable[..., nn.Module]:
    name = find_recipe(params["module"], params["preset"]).module
    return params["module"] if name is None else NETWORKS[name]


def _optimizer_of(params: Mapping[str, Any], in_parts: bool) -> Any:
    """Return the optimiser's name or class.

    The loss of a linear model is convex, and L-BFGS finds its minimum. It needs all
    rows in one batch. ``partial_fit`` and large tables (``in_parts``) do not have all
    rows, and a ranking loss would compare all pairs of them.
    """
    if params["optimizer"] != "auto":
        return params["optimizer"]
    loss = params["loss"]
    factory = LOSSES[loss] if isinstance(loss, str) else loss
    in_parts = in_parts or getattr(factory, "is_ranking", False)
    is_linear = _module_of(params) is LinearModel
    return "lbfgs" if is_linear and not in_parts else "adamw"


def _n_folds(cv: Any, splits: Splits | None) -> int | None:
    """Return the number of folds of ``cv``; None if it has no folds."""
    if isinstance(cv, Integral):
        return int(cv)
    return None if splits is None else splits.n_members


def _n_members(params: Mapping[str, Any], n_folds: int | None, n_auto: int) -> int:
    """Return the number of members; raise if it differs from the number of folds."""
    n_members = params["n_members"]
    if n_folds is not None and n_members not in ("auto", n_folds):
        raise ValueError(
            f"{name_of_cv(params['cv'])} has {n_folds} folds, one for each member, but "
            f"n_members={n_members}; set n_members={n_folds} or 'auto'."
        )
    if n_members == "auto" and n_folds is None:
        return n_auto
    return int(n_folds or n_members)

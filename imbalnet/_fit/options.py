"""What the estimator's parameters say, checked, and with "auto" resolved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from imbalnet._fit.net import skorch_parameters
from imbalnet._fit.recipes import Recipe, find_recipe
from imbalnet._nested import accepted_names, name_of, reject_unknown, split_nested
from imbalnet._optimizers import (
    OptimizerFactory,
    optimizer_factory,
    resolve_learning_rate,
    resolve_optimizer,
    resolve_weight_decay,
)
from imbalnet._tables import ColumnRules
from imbalnet._tables.read import Rows
from imbalnet.losses import LOSSES, Loss
from imbalnet.networks import NETWORKS, LinearModel, Members, OneHot
from imbalnet.posterior import resolve_costs, resolve_prior

if TYPE_CHECKING:
    from imbalnet.classifier import BalancedNeuralClassifier

# What the estimator itself gives to skorch, so that net__* cannot.
_OWN_NET_PARAMETERS = {
    "module",
    "criterion",
    "optimizer",
    "lr",
    "max_epochs",
    "batch_size",
    "train_split",
    "callbacks",
    "dataset",
    "predict_nonlinearity",
    "warm_start",
    "verbose",
    "device",
    "compile",
}

# What ``fit`` gives to the network, so that module__* cannot.
SET_BY_FIT = ("in_features", "out_features", "n_categories")

# The largest table for whose rows "auto" looks up neighbours; levels count as columns.
_NEIGHBOR_ROWS, _NEIGHBOR_COLUMNS = 2**16, 2**9

_WEIGHT_PARAMETERS = {"power", "max_ratio", "start_epoch"}


def check_parameters(clf: BalancedNeuralClassifier) -> None:
    """Raise if a parameter is unknown, or wrong whatever the rows are.

    ``loss__*`` and ``sampler__*`` are judged where those are built.
    """
    clf._reject_unknown_parameters()
    n_classes = len(clf.classes_)
    resolve_prior(clf.target_prior, clf.classes_, np.ones(n_classes) / n_classes)
    resolve_costs(clf.cost_matrix, clf.classes_)
    _check_module(clf)
    reject_unknown(
        "class_weight",
        f"class_weight={clf.class_weight!r}",
        clf._nested("class_weight"),
        _WEIGHT_PARAMETERS | ({"beta"} if _is_effective(clf) else set()),
    )
    optimizer = optimizer_of(clf)
    known = accepted_names(
        optimizer_factory(optimizer), without=("params", "weight_decay")
    )
    reject_unknown(
        "optimizer",
        f"optimizer={optimizer!r}",
        clf._nested("optimizer"),
        None if known is None else {*known, "param_groups"},
    )
    _check_net_parameters(clf)


def _check_module(clf: BalancedNeuralClassifier) -> None:
    if isinstance(clf.module, nn.Module):
        raise ValueError(
            "module must be a name, a class or a factory, not an instance of "
            f"{type(clf.module).__name__}: give the class, and its arguments as "
            "module__*."
        )
    module = module_of(clf)
    known = accepted_names(module)
    if known is not None and not {"in_features", "out_features"} <= known:
        raise ValueError(
            f"module={name_of(module)} must accept in_features= (number of columns) "
            f"and out_features= (number of classes); it accepts {sorted(known)}."
        )
    known = accepted_names(module, without=SET_BY_FIT)
    if resolve_members(clf) > 1 and known is not None:
        known -= {"n_members"}  # a parameter of the estimator itself
    reject_unknown("module", f"module={name_of(module)}", clf._nested("module"), known)
    if resolve_members(clf) > 1 and getattr(module, "is_ensemble", False):
        raise ValueError(
            f"n_members={clf.n_members} trains each member on rows of its own, but "
            f"those of module={name_of(module)} share theirs; leave n_members out, and "
            "set their number by module__k."
        )


def recipe_of(clf: BalancedNeuralClassifier) -> Recipe:
    """Give what "auto" stands for with the network or the preset."""
    return find_recipe(clf.module, clf.preset)


def module_of(clf: BalancedNeuralClassifier) -> Callable[..., nn.Module]:
    """Give the network's class or factory."""
    name = recipe_of(clf).module
    return clf.module if name is None else NETWORKS[name]


def resolve_epochs(clf: BalancedNeuralClassifier, n_rows: int) -> int:
    """Give the epochs for a table of so many rows, "auto" resolved."""
    if clf.max_epochs == "auto":
        return recipe_of(clf).epochs(n_rows)
    return int(clf.max_epochs)


def column_rules(clf: BalancedNeuralClassifier) -> ColumnRules:
    """Give what the network takes, and what the columns shall be.

    Infinite values pass to a network only if ``module__clip=True`` asks for it.
    """
    module = module_of(clf)
    return ColumnRules(
        categorical_features=clf.categorical_features,
        missing=bool(getattr(module, "accepts_missing", False)),
        infinite=clf._nested("module").get("clip") is True,
        categories="n_categories" in (accepted_names(module) or ()),
        module=name_of(clf.module),
    )


def resolve_members(clf: BalancedNeuralClassifier) -> int:
    """Give the number of members, "auto" resolved."""
    return recipe_of(clf).n_members if clf.n_members == "auto" else int(clf.n_members)


def resolve_neighbors(
    clf: BalancedNeuralClassifier, loss: Loss, rows: Rows, *, is_held_out: bool
) -> int:
    """Give the number of neighbours, "auto" resolved; 0 asks none.

    Raises
    ------
    ValueError
        If some are asked for, but nothing can tell what they are worth.
    """
    is_auto = clf.n_neighbors == "auto"
    n_neighbors = recipe_of(clf).n_neighbors if is_auto else int(clf.n_neighbors)
    reasons = {
        "no row is held out by a member (n_members, early_stopping, X_val)": (
            not is_held_out
        ),
        f"loss={clf.loss!r} has no calibrated posterior": not loss.is_calibrated,
        "there are fewer than three rows": len(rows) < 3,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    if n_neighbors and reason and not is_auto:
        raise ValueError(
            f"n_neighbors={clf.n_neighbors} has its weight from out-of-fold rows, "
            f"but {reason}; set n_neighbors='auto' or 0."
        )
    sizes = np.asarray(rows.columns.n_categories or [0] * rows.X.shape[1])
    n_columns = (sizes == 0).sum() + OneHot(sizes[sizes > 0].tolist()).out_features
    is_large = rows.X.shape[0] > _NEIGHBOR_ROWS or n_columns > _NEIGHBOR_COLUMNS
    return 0 if reason or (is_auto and is_large) else n_neighbors


def has_native_members(clf: BalancedNeuralClassifier) -> bool:
    """Tell whether the network makes its members itself, as one."""
    is_native = "n_members" in (accepted_names(module_of(clf)) or ())
    return is_native and (resolve_members(clf) > 1 or clf.n_members == 1)


def network_of(
    clf: BalancedNeuralClassifier, loss: Loss
) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    """Give the whole network's class or factory and its arguments.

    Those that accept ``n_members`` are told; others stand side by side in
    :class:`~imbalnet.networks.Members`.
    """
    module, params = module_of(clf), module_parameters(clf, loss)
    n_members = resolve_members(clf)
    if has_native_members(clf):
        return module, {"n_members": n_members, **params}
    if n_members == 1:
        return module, params
    return Members, {"module": module, "n_members": n_members, **params}


def module_parameters(clf: BalancedNeuralClassifier, loss: Loss) -> dict[str, Any]:
    """Give the module's arguments; a loss of cosines asks networks for them."""
    params = {**recipe_of(clf).params, **clf._nested("module")}
    known = accepted_names(module_of(clf)) or set()
    if loss.takes_cosines and "normalize_output" in known:
        params.setdefault("normalize_output", True)
    return params


def optimizer_of(
    clf: BalancedNeuralClassifier, in_parts: bool = False
) -> str | OptimizerFactory:
    """Give the optimiser's name or class, "auto" resolved.

    ``in_parts`` tells that no step may take all rows: ``partial_fit``, sparse tables;
    a ranking loss never does, which would compare all pairs.
    """
    is_linear = module_of(clf) is LinearModel
    factory = LOSSES[clf.loss] if isinstance(clf.loss, str) else clf.loss
    in_parts = in_parts or getattr(factory, "is_ranking", False)
    return resolve_optimizer(clf.optimizer, is_linear=is_linear, in_parts=in_parts)


def feature_dtype(clf: BalancedNeuralClassifier, *, goes_on: bool) -> type[np.floating]:
    """Give the precision of the features: of the net that is there, or that will be."""
    if goes_on:
        return clf.net_.feature_dtype
    is_double = clf.dtype == "float64" or optimizer_of(clf) == "lbfgs"
    return np.float64 if is_double else np.float32


def _is_effective(clf: BalancedNeuralClassifier) -> bool:
    return isinstance(clf.class_weight, str) and clf.class_weight == "effective"


def _check_net_parameters(clf: BalancedNeuralClassifier) -> None:
    known = skorch_parameters() - _OWN_NET_PARAMETERS
    nested = ("iterator_train", "iterator_valid", "compile")
    given = [name for name in clf._nested("net") if split_nested(name)[0] not in nested]
    reject_unknown("net", "the skorch net", given, known)
    if resolve_members(clf) > 1 and "net__iterator_train" in vars(clf):
        raise ValueError(
            f"n_members={resolve_members(clf)} gives each member batches of its own, "
            "which net__iterator_train cannot; leave it out, or set n_members=1."
        )
    if isinstance(clf.sampler, str | type) and "net__iterator_train" in vars(clf):
        raise ValueError(
            f"sampler={name_of(clf.sampler)} sets the order of imbalnet's own batches, "
            "but net__iterator_train brings another iterator; use that iterator's own "
            "sampler, or an imbalanced-learn object as sampler."
        )


def learning_rate_of(
    clf: BalancedNeuralClassifier,
    optimizer: str | OptimizerFactory,
    *,
    is_full_batch: bool,
) -> float:
    """Give the learning rate, "auto" resolved; an epoch may be one step."""
    recipe = recipe_of(clf)
    auto = recipe.full_batch_learning_rate if is_full_batch else recipe.learning_rate
    return resolve_learning_rate(clf.learning_rate, optimizer, auto)


def weight_decay_of(
    clf: BalancedNeuralClassifier,
    optimizer: str | OptimizerFactory,
    weight_sum: float,
) -> float:
    """Give the weight decay, "auto" resolved, for rows of this sum of weights."""
    auto = recipe_of(clf).weight_decay
    return resolve_weight_decay(clf.weight_decay, optimizer, weight_sum, auto)

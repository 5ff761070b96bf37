"""Checks of nested parameters, and of parameters that exclude each other.

Values for classes are checked in ``class_values``, parameters of held-out rows in
``held_out``, callbacks in ``monitors``, and those with large tables in ``large``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import nn

from imbalnet._checks import is_integer
from imbalnet._fit.cv import name_of_cv
from imbalnet._fit.feeds.batches import TensorBatches
from imbalnet._nested import (
    accepted_names,
    name_of,
    nested,
    reject_unknown,
    split_nested,
)
from imbalnet._optimizers import OPTIMIZERS, OptimizerFactory, optimizer_factory
from imbalnet._ranks import ranks_now
from imbalnet._tables import Rows
from imbalnet._warn import warn
from imbalnet.class_weights import class_weights
from imbalnet.losses import Loss
from imbalnet.networks import NETWORKS

# Arguments of the network that fit sets, so that module__* cannot.
_SET_BY_FIT = ("in_features", "out_features", "n_categories")

# Parameters of skorch that users may set as net__*, and those with nested names.
_NET_PARAMETERS = {
    "iterator_train",
    "iterator_valid",
    "torch_load_kwargs",
    "use_caching",
}
_ITERATORS = "iterator_train", "iterator_valid"
_WITH_NESTED = *_ITERATORS, "compile"

_WEIGHT_PARAMETERS = {"power", "max_ratio", "start_epoch"}

# Parameters that need calibrated probabilities.
_NEED_POSTERIOR = ("target_prior", "cost_matrix")


def check_module(
    params: Mapping[str, Any], module: Callable[..., nn.Module], n_members: int
) -> None:
    """Raise for a network that training cannot build, and for unknown ``module__*``."""
    if isinstance(module, nn.Module):
        raise ValueError(
            "module must be a name, a class or a factory, not an instance of "
            f"{type(module).__name__}: give the class, and its arguments as "
            "module__*."
        )
    name, known = name_of(module), accepted_names(module)
    if known is not None and not {"in_features", "out_features"} <= known:
        raise ValueError(
            f"module={name} must accept in_features= (number of columns) and "
            f"out_features= (number of classes); it accepts {sorted(known)}."
        )
    if known is not None:
        # the number of members is a parameter of the estimator itself
        own = {"n_members"} if n_members > 1 else set()
        known = known - {*_SET_BY_FIT, *own}
    reject_unknown(
        "module",
        f"module={name}",
        nested(params, "module"),
        known,
        NETWORKS,
        without=(*_SET_BY_FIT, "n_members"),
    )
    if n_members > 1 and getattr(module, "members_share_rows", False):
        raise _error_of_members(params["n_members"], params["cv"], name)


def _error_of_members(n_members: Any, cv: Any, module_name: str) -> ValueError:
    """Return the error for a network whose members cannot have their own rows."""
    cause, cure = f"n_members={n_members}", "leave n_members out, and set"
    if n_members == "auto":
        cause = name_of_cv(cv)
        cure = "give a single split, as [(train, test)], and set"
    return ValueError(
        f"{cause} trains each member on rows of its own, but those of "
        f"module={module_name} share theirs; {cure} their number by module__k."
    )


def check_weight_parameters(params: Mapping[str, Any]) -> None:
    """Raise for ``class_weight__*`` that `class_weight` does not have."""
    weight = params["class_weight"]
    is_effective = isinstance(weight, str) and weight == "effective"
    reject_unknown(
        "class_weight",
        f"class_weight={weight!r}",
        nested(params, "class_weight"),
        _WEIGHT_PARAMETERS | ({"beta"} if is_effective else set()),
        {"effective": class_weights},
        without=("counts", "class_weight", "classes", *_WEIGHT_PARAMETERS),
    )


def check_optimizer_parameters(
    params: Mapping[str, Any], optimizer: str | OptimizerFactory
) -> None:
    """Raise for ``optimizer__*`` that the optimiser does not accept."""
    without = ("params", "weight_decay")
    known = accepted_names(optimizer_factory(optimizer), without)
    reject_unknown(
        "optimizer",
        f"optimizer={optimizer!r}",
        nested(params, "optimizer"),
        None if known is None else {*known, "param_groups"},
        OPTIMIZERS,
        without,
    )


def check_net_parameters(params: Mapping[str, Any], n_members: int) -> None:
    """Raise for ``net__*`` that neither skorch's net nor its iterators accept."""
    given = nested(params, "net")
    unknown = [name for name in given if split_nested(name)[0] not in _WITH_NESTED]
    reject_unknown("net", "the skorch net", unknown, _NET_PARAMETERS)
    if "iterator_train" in given:
        _check_own_batches(params["sampler"], n_members)
    for name in _ITERATORS:
        iterator = given.get(name, TensorBatches)
        _check_iterator(f"net__{name}", iterator, nested(given, name))


def _check_own_batches(sampler: Any, n_members: int) -> None:
    """Raise for parameters that cannot be used with ``net__iterator_train``."""
    if n_members > 1:
        raise ValueError(
            f"n_members={n_members} gives each member batches of its own, "
            "which net__iterator_train cannot; leave it out, or set n_members=1."
        )
    if isinstance(sampler, str | type):
        raise ValueError(
            f"sampler={name_of(sampler)} sets the order of imbalnet's own batches, "
            "but net__iterator_train brings another iterator; use that iterator's "
            "own sampler, or an imbalanced-learn object as sampler."
        )


def _check_iterator(name: str, iterator: Any, arguments: Mapping[str, Any]) -> None:
    """Raise if an iterator is not callable, or does not accept its arguments."""
    if not callable(iterator):
        raise ValueError(
            f"{name}={iterator!r} must be a class or function of batches, "
            "such as torch.utils.data.DataLoader."
        )
    known = accepted_names(iterator, without=("dataset",))
    reject_unknown(name, f"{name}={name_of(iterator)}", arguments, known)
    size = arguments.get("batch_size", 1)
    if not is_integer(size) or (size < 1 and size != -1):
        raise ValueError(
            f"{name}__batch_size={size!r} must be an integer of at least "
            "1, or -1 for all rows at once."
        )


def check_loss(params: Mapping[str, Any], loss: Loss, rows: Rows) -> None:
    """Raise or warn for parameters that cannot be used with a loss."""
    name = f"loss={params['loss']!r}"
    if loss.is_ranking:
        _check_unweighted(name, params, rows)
    used = [name for name in _NEED_POSTERIOR if params[name] is not None]
    if used and not loss.is_calibrated:
        warn(
            f"{name} has no calibrated inverse: its probabilities rank, but "
            f"{' and '.join(used)} cannot work with them. Wrap the classifier in "
            "CalibratedClassifierCV, or (for a loss of your own) give it a method "
            "log_posterior(logits)."
        )


def _check_unweighted(name: str, params: Mapping[str, Any], rows: Rows) -> None:
    """Raise for weights and full batches, which a ranking loss cannot use."""
    class_weight = params["class_weight"]
    if params["optimizer"] == "lbfgs":
        raise ValueError(
            f"{name} compares the rows of a batch in pairs, which "
            "optimizer='lbfgs' would do with all rows at once; use "
            "optimizer='auto'."
        )
    if class_weight is not None:
        raise ValueError(
            f"{name} ranks, and knows no weights, but {class_weight=}; set "
            "class_weight=None. A sampler changes how many rows of a class it sees."
        )
    if np.ptp(rows.of(rows.weights)) > 0:
        raise ValueError(
            f"{name} ranks, and knows no weights, but sample_weight holds "
            "different ones; leave it out, or train with loss='cross_entropy'."
        )


def check_checkpoint(params: Mapping[str, Any]) -> None:
    """Raise if the state of an unfinished fit cannot be stored in a folder."""
    folder = str(params["checkpoint"])
    if "net__iterator_train" in params:
        raise ValueError(
            f"checkpoint={folder!r} cannot save where net__iterator_train is "
            "in its rows; leave one of them out (batch_size and sampler set the "
            "rows of imbalnet's own batches)."
        )
    if ranks_now() is not None:
        raise ValueError(
            f"checkpoint={folder!r} keeps the fit of one process, but several "
            "fit together; leave it out, or fit in one process."
        )

"""Checks of arguments and inputs that several networks and layers take."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor

from imbalnet._checks import (
    check_flag,
    check_known,
    checked_number,
    checked_weights,
    is_integer,
)

# Arguments that the classifier passes itself; all others are parameters module__*.
_OF_THE_TABLE = {"in_features", "out_features"}


def _full_name(name: str) -> str:
    return name if name in _OF_THE_TABLE else f"module__{name}"


def check_sizes(least: int = 1, **sizes: Any) -> None:
    """Raise if a size is not an integer of at least `least`."""
    for name, size in sizes.items():
        if not is_integer(size) or size < least:
            raise ValueError(
                f"{_full_name(name)} must be an integer of at least {least}, however: "
                f"{name}={size!r}"
            )


def check_sizes_or_auto(least: int = 0, **sizes: Any) -> None:
    """Raise if a size is neither "auto" nor an integer of at least `least`."""
    for name, size in sizes.items():
        is_auto = isinstance(size, str) and size == "auto"
        if not is_auto and (not is_integer(size) or size < least):
            raise ValueError(
                f"{_full_name(name)} must be 'auto' or an integer of at least {least}, "
                f"however: {name}={size!r}"
            )


def check_dropout(**shares: Any) -> None:
    """Raise if a share of dropped units is not a number in [0, 1)."""
    for name, share in shares.items():
        if not _is_number(share) or not 0.0 <= share < 1.0:
            raise ValueError(
                f"{_full_name(name)} must lie in [0, 1), however: {name}={share!r}"
            )


def check_numbers(**numbers: Any) -> None:
    """Raise if a factor is not a finite number above 0."""
    for name, number in numbers.items():
        checked_number(_full_name(name), number, 0.0, open_low=True)


def is_bound(clip: Any) -> bool:
    """Return whether a bound of scaled values is a finite number above 0."""
    return _is_number(clip) and 0.0 < clip < math.inf


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def check_flags(**flags: Any) -> None:
    """Raise if a switch is neither True nor False."""
    for name, flag in flags.items():
        check_flag(_full_name(name), flag)


def check_layers(hidden_sizes: Any, activation: str, known: Collection[str]) -> None:
    """Raise if widths are not positive integers, or the activation is unknown."""
    is_sequence = isinstance(hidden_sizes, Sequence | np.ndarray)
    if not is_sequence or any(not is_integer(n) or n < 1 for n in hidden_sizes):
        raise ValueError(
            f"module__hidden_sizes must be positive integers, however: {hidden_sizes=}"
        )
    check_known("module__activation", activation, known)


def check_batch(x: Tensor) -> None:
    """Raise unless a batch has two axes, or three with an axis of members."""
    if not isinstance(x, Tensor) or x.ndim not in (2, 3):
        given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x)
        raise ValueError(
            "x must be a tensor of shape (batch, in_features) or (batch, members, "
            f"in_features), but has {given}."
        )


def check_width(x: Tensor, in_features: int, name: str = "x") -> None:
    """Raise unless x holds floats, with one for each feature on the last axis."""
    is_tensor = isinstance(x, Tensor) and x.is_floating_point() and x.ndim
    if is_tensor and x.shape[-1] == in_features:
        return
    given = f"is {x!r:.60}"
    if isinstance(x, Tensor):
        given = f"has shape {tuple(x.shape)} and dtype {x.dtype}"
    raise ValueError(
        f"{name} must be a tensor of floating point numbers of shape "
        f"(..., {in_features}), one value for each feature, but {given}."
    )


def check_table(X: Any, sample_weight: Any, in_features: int) -> None:
    """Raise unless there is a column for each feature, and a weight for each row."""
    shape = np.shape(X) if not hasattr(X, "shape") else X.shape
    if not hasattr(X, "shape") or len(shape) != 2 or shape[1] != in_features:
        raise ValueError(
            f"X must be an array or a sparse matrix of shape (n_rows, {in_features}), "
            f"but has shape {shape}."
        )
    if sample_weight is None:
        raise ValueError(
            "sample_weight=None must be an array; numpy.ones(len(X)) weighs rows alike."
        )
    checked_weights(sample_weight, shape[0])


def check_constant(logits: Any, n_classes: int) -> None:
    """Raise unless there is one logit for each class, to set the last layer's bias."""
    if isinstance(logits, Tensor) and logits.shape == (n_classes,):
        return
    what = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else "no shape"
    raise ValueError(
        f"logits must be a tensor of shape ({n_classes},), one for each class, but are "
        f"of type {type(logits).__name__} and have {what}."
    )

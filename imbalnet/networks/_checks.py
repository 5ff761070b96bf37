"""Checks of arguments that several networks take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from imbalnet._checks import checked_number, is_integer


def check_sizes(**sizes: int) -> None:
    """Raise if a size is no integer of at least 1."""
    for name, size in sizes.items():
        if not is_integer(size) or size < 1:
            raise ValueError(
                f"module__{name} must be an integer of at least 1, however: "
                f"{name}={size!r}"
            )


def check_widths(in_features: int, out_features: int) -> None:
    """Raise if a network has no input or no output."""
    widths = {"in_features": in_features, "out_features": out_features}
    for name, width in widths.items():
        if not is_integer(width) or width < 1:
            raise ValueError(
                f"{name}={width!r} must be an integer of at least 1; the classifier "
                "counts columns and classes itself."
            )


def check_columns(in_features: int) -> None:
    """Raise if a layer's number of columns, which may be 0, is none."""
    if not is_integer(in_features) or in_features < 0:
        raise ValueError(f"{in_features=} must be an integer of at least 0.")


def check_flags(**flags: bool) -> None:
    """Raise if a switch is neither True nor False."""
    for name, flag in flags.items():
        if not isinstance(flag, bool | np.bool_):
            raise ValueError(
                f"module__{name} must be True or False, however: {name}={flag!r}"
            )


def check_numbers(**numbers: float) -> None:
    """Raise if a factor is no finite number above 0."""
    for name, number in numbers.items():
        checked_number(f"module__{name}", number, 0.0, open_low=True)


def check_layers(hidden_sizes: Any, activation: str, known: Sequence[str]) -> None:
    """Raise if widths are not positive integers, or the activation is unknown."""
    is_sequence = isinstance(hidden_sizes, Sequence | np.ndarray)
    if not is_sequence or not all(is_integer(s) and s >= 1 for s in hidden_sizes):
        raise ValueError(
            f"module__hidden_sizes must be positive integers, however: {hidden_sizes=}"
        )
    if activation not in known:
        raise ValueError(
            f"module__activation must be one of {sorted(known)}, however: {activation=}"
        )

"""Checks of arguments that several networks take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def check_sizes(**sizes: int) -> None:
    """Raise if a size is below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(
                f"module__{name} must be at least 1, however: {name}={size}"
            )


def check_layers(hidden_sizes: Any, activation: str, known: Sequence[str]) -> None:
    """Raise if widths are not positive integers, or the activation is unknown."""
    is_sequence = isinstance(hidden_sizes, Sequence | np.ndarray)
    if not is_sequence or any(size < 1 for size in hidden_sizes):
        raise ValueError(
            f"module__hidden_sizes must be positive integers, however: {hidden_sizes=}"
        )
    if activation not in known:
        raise ValueError(
            f"module__activation must be one of {sorted(known)}, however: {activation=}"
        )

"""Checks of parameters, with errors that name the parameter and its value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray


def checked_number(
    name: str, value: Any, low: float, high: float = math.inf, *, open_low: bool = False
) -> float:
    """Return a parameter as a float, or raise a ValueError.

    It must be finite, at least `low` (with `open_low`: more) and below `high`.
    """
    is_inside = _is_real(value) and math.isfinite(value) and low <= value < high
    if is_inside and not (open_low and value == low):
        return float(value)
    bound = f"{'more than' if open_low else 'at least'} {low:g}"
    above = "" if math.isinf(high) else f" and below {high:g}"
    raise ValueError(f"{name}={value!r} must be a finite number of {bound}{above}.")


def checked_share(name: str, value: Any) -> float:
    """Return a parameter from 0 to 1, both included, as a float, or raise."""
    if _is_real(value) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"{name}={value!r} must be a number that lies between 0 and 1.")


def is_integer(value: Any) -> bool:
    """Return whether a value is a whole number, which True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def and_more(texts: Sequence[str], most: int) -> str:
    """List the first texts, and how many more there are."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def values_by_label(name: str, value: Any) -> dict[Any, Any] | None:
    """Convert a dict or a pandas Series to a dict of labels; return None for others.

    Raise a ValueError if a Series has a label twice.
    """
    if not hasattr(value, "items"):
        return None
    pairs = list(value.items())
    of_label = dict(pairs)
    if len(of_label) < len(pairs):
        labels = [label for label, _ in pairs]
        raise ValueError(
            f"{name} must hold each label once, but its index is {labels}."
        )
    return of_label


def checked_weights(sample_weight: Any, n_rows: int) -> NDArray[np.float64]:
    """Return the weights of rows as floats, or raise; None is ones."""
    if sample_weight is None:
        return np.ones(n_rows)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one weight for each row, "
            f"but has {weights.shape}."
        )
    if not np.all(np.isfinite(weights) & (weights >= 0)) or not weights.any():
        raise ValueError(
            "sample_weight must hold finite weights of at least 0, not all 0."
        )
    return weights

"""Checks of numbers that parameters hold, with errors that name the parameter."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any


def checked_number(
    name: str, value: Any, low: float, high: float = math.inf, *, open_low: bool = False
) -> float:
    """Give a parameter as a float.

    Parameters
    ----------
    name : str
        With its prefix, for the error.
    value : object
    low, high : float
        The smallest value, and the first that is too large.
    open_low : bool, default=False
        Whether `low` itself is too small.

    Raises
    ------
    ValueError
        If it is no number, not finite, or out of range.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    is_inside = is_number and math.isfinite(value) and low <= value < high
    if is_inside and not (open_low and value == low):
        return float(value)
    bound = f"{'more than' if open_low else 'at least'} {low:g}"
    above = "" if math.isinf(high) else f" and below {high:g}"
    raise ValueError(f"{name}={value!r} must be a finite number of {bound}{above}.")


def checked_share(name: str, value: Any) -> float:
    """Give a parameter that lies between 0 and 1, both included, as a float.

    Raises
    ------
    ValueError
        If it is no number, or out of range.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if is_number and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"{name}={value!r} must be a number that lies between 0 and 1.")


def values_by_label(name: str, value: Any) -> dict[Any, Any] | None:
    """Give what a dict or a pandas Series holds for each label; None for other kinds.

    Parameters
    ----------
    name : str
        Of the parameter, for the error.
    value : object

    Raises
    ------
    ValueError
        If a Series has a label twice.
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

"""Checks of parameters, with errors that name the parameter and its value."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from decimal import Decimal
from itertools import islice
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


def checked_integer(name: str, value: Any, low: int) -> int:
    """Return a parameter as an int of at least `low`, or raise a ValueError."""
    if is_integer(value) and value >= low:
        return int(value)
    raise ValueError(f"{name}={value!r} must be an integer of at least {low}.")


def check_flag(name: str, value: Any) -> None:
    """Raise if a parameter is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}={value!r} must be True or False.")


def check_known(name: str, value: Any, known: Collection[str]) -> None:
    """Raise if a parameter is none of the known names; list these."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name}={value!r} must be one of {sorted(known)}.")


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


def is_no_number(value: Any) -> bool:
    """Return whether a value is no real number, such as True, "5", None or 1j."""
    return not isinstance(value, Real | Decimal) or isinstance(value, bool)


def _first_non_number(values: NDArray) -> list[Any]:
    """Return the first value of an array that is no real number, in a list, if any."""
    if values.dtype.kind in "iuf":
        return []
    if values.dtype.kind != "O":
        return values.ravel()[:1].tolist()
    return list(islice((value for value in values.flat if is_no_number(value)), 1))


def checked_floats(name: str, values: Any) -> NDArray[np.float64]:
    """Convert real numbers of any shape to floats, or raise a ValueError.

    NumPy alone takes ``True`` for 1, ``"5"`` for 5 and ``None`` for NaN.
    """
    try:
        array = values if hasattr(values, "__array__") else np.asarray(values, object)
        array = np.asarray(array)
        wrong = _first_non_number(array)
        if not wrong and not np.ma.is_masked(values):
            return array.astype(np.float64, copy=False)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{name} must hold numbers: {error}.") from error
    what = repr(wrong[0]) if wrong else "masked values"
    raise ValueError(
        f"{name} must hold numbers, but holds {what}; convert it by astype(float), or "
        "leave such values out."
    )


def checked_amounts(
    name: str,
    values: Any,
    n: int | None = None,
    *,
    each: str = "class",
    any_above: bool = True,
) -> NDArray[np.float64]:
    """Return counts, weights, rates or shares as floats, one for each class, or raise.

    They must be finite numbers of at least 0, and with `any_above` not all 0; `n` of
    them, if that is given.
    """
    amounts = checked_floats(name, values)
    if amounts.ndim != 1 or len(amounts) != (len(amounts) if n is None else n):
        shape = "(n_classes,)" if n is None else f"({n},)"
        raise ValueError(
            f"{name} must have shape {shape}, one number for each {each}, but has "
            f"{amounts.shape}."
        )
    wrong = amounts[~((amounts >= 0) & np.isfinite(amounts))]
    if len(wrong) or (any_above and not amounts.any()):
        found = wrong[0] if len(wrong) else f"{len(amounts)} zeros"
        what = "weights" if each == "row" else "numbers"
        raise ValueError(
            f"{name} must hold finite {what} of at least 0"
            f"{', not all 0' * any_above}, one for each {each}, but holds {found}."
        )
    return amounts


def checked_weights(sample_weight: Any, n_rows: int) -> NDArray[np.float64]:
    """Return the weights of rows as floats, or raise; None is ones."""
    if sample_weight is None:
        return np.ones(n_rows)
    return checked_amounts("sample_weight", sample_weight, n_rows, each="row")


def checked_classes(name: str, classes: Any) -> NDArray:
    """Return distinct labels as an array of shape (n_classes,), or raise."""
    labels = np.asarray(classes)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"{name} must have shape (n_classes,), with a label or more, but has "
            f"{labels.shape}."
        )
    if len(set(labels.tolist())) < len(labels):
        raise ValueError(
            f"{name}={labels.tolist()} must hold each label once; np.unique sorts the "
            "labels that occur."
        )
    return labels


def checked_codes(
    name: str, codes: Any, n_rows: int | None = None, n_classes: int | None = None
) -> NDArray[np.intp]:
    """Return class codes, or other positions from 0, as integers, or raise."""
    array = np.asarray(codes)
    if array.ndim != 1 or len(array) != (len(array) if n_rows is None else n_rows):
        shape = "(n_rows,)" if n_rows is None else f"({n_rows},)"
        raise ValueError(
            f"{name} must have shape {shape}, one integer for each row, but has "
            f"{array.shape}."
        )
    if len(array) and array.dtype.kind not in "biu":
        raise ValueError(
            f"{name} must hold integers from 0, but its dtype is {array.dtype}; labels "
            "become codes by np.unique(labels, return_inverse=True)."
        )
    wrong = array < 0
    if n_classes is not None:
        wrong |= array >= n_classes
    if wrong.any():
        last = "" if n_classes is None else f" to {n_classes - 1}"
        raise ValueError(
            f"{name} must hold integers from 0{last}, but holds {array[wrong][0]}."
        )
    return array.astype(np.intp, copy=False)

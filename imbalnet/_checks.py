"""Checks of parameters, with errors that name the parameter and its value."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


def checked_number(
    name: str, value: Any, low: float, high: float = math.inf, *, open_low: bool = False
) -> float:
    """Return a parameter as a float, or raise a ValueError.

    It must be finite, at least `low` (above `low` with `open_low`), and below `high`.
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
    is_percent = _is_real(value) and 1 < value <= 100
    cure = f" {value:g} % are {value / 100:g}." if is_percent else ""
    raise ValueError(
        f"{name}={value!r} must be a number that lies between 0 and 1.{cure}"
    )


def is_integer(value: Any) -> bool:
    """Return whether a value is an integer, but not True or False."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def checked_integer(name: str, value: Any, low: int = 1) -> int:
    """Return a parameter as a whole number of at least `low`, or raise."""
    if is_integer(value) and value >= low:
        return int(value)
    raise ValueError(f"{name}={value!r} must be a whole number of at least {low}.")


def check_flag(name: str, value: Any) -> None:
    """Raise if a parameter is neither True nor False."""
    if not _is_flag(value):
        raise ValueError(f"{name}={value!r} must be True or False.")


def check_known(name: str, value: Any, known: Collection[str]) -> None:
    """Raise if a parameter is none of the known names, and list them."""
    if not isinstance(value, str) or value not in known:
        meant = did_you_mean(value, known)
        raise ValueError(f"{name}={value!r} must be one of {sorted(known)}.{meant}")


def closest(name: Any, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most similar to `name`, or None.

    Case, spaces and punctuation are ignored; `cutoff` is the least similarity.

    Examples
    --------
    >>> from imbalnet._checks import closest
    >>> closest("Focal-Loss", ["focal", "ldam"]), closest("smote", ["focal", "ldam"])
    ('focal', None)
    """
    if not isinstance(name, str):
        return None
    by_letters = {letters_of(one): one for one in known}
    found = get_close_matches(letters_of(name), by_letters, n=1, cutoff=cutoff)
    return by_letters[found[0]] if found else None


def letters_of(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return re.sub(r"[\W_]", "", name).lower()


def did_you_mean(value: Any, known: Iterable[str]) -> str:
    """Return a question to append to an error; empty if no known name is close."""
    found = closest(value, known)
    return "" if found is None else f" Did you mean {found!r}?"


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def check_axes(ax: Any, name: str = "ax") -> None:
    """Raise unless `ax` is a matplotlib Axes, without importing matplotlib."""
    if all(hasattr(ax, part) for part in ("figure", "errorbar", "get_xlim")):
        return
    cure = "one of them" if np.ndim(ax) else "such as matplotlib.pyplot.subplots()[1]"
    raise ValueError(f"{name}={ax!r} must be one matplotlib Axes; give {cure}.")


def and_more(texts: Sequence[str], most: int) -> str:
    """Join the first `most` texts, and say how many more there are."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def values_by_label(name: str, value: Any) -> dict[Any, Any] | None:
    """Return a dict or a pandas Series as a dict keyed by label; None for other types.

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


def check_label_order(name: str, values: Any) -> None:
    """Raise for a pandas Series or frame whose labels are not sorted, as classes are.

    Functions that do not know the labels take values by position. The result of
    ``value_counts`` is sorted by frequency.
    """
    for axis in ("index", "columns"):
        labels: Any = getattr(values, axis, None)
        if not getattr(labels, "is_monotonic_increasing", True):
            raise ValueError(
                f"{name} has the labels {list(labels)}, which are not sorted, as "
                f"classes_ is: give {name}.sort_index(axis={axis!r}), or "
                f"{name}.to_numpy() if the values are in the order of classes_."
            )


def as_floats(name: str, values: Any) -> NDArray[np.float64]:
    """Convert an array-like of numbers to floats, or raise; strings are refused.

    A float64 array is not copied.
    """
    if sparse.issparse(values):
        raise ValueError(f"{name} is sparse; give an array, {name}.toarray().")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of several lengths
        raise ValueError(
            f"{name} must hold numbers, in rows of equal length: {error}"
        ) from error
    if array.dtype == object:
        array = _floats_of_objects(name, array)
    if array.dtype.kind not in "biuf":
        shown = array.ravel()[:1].tolist()
        raise ValueError(
            f"{name} must hold numbers, but holds values of type {array.dtype}"
            f"{f', such as {shown[0]!r}' if shown else ''}."
        )
    return array.astype(np.float64, copy=False)


def checked_floats(name: str, values: Any) -> NDArray[np.float64]:
    """Convert as :func:`as_floats` does, but refuse True and False, too."""
    floats = as_floats(name, values)
    if floats is values:
        return floats
    given = np.asarray(values, None if hasattr(values, "__array__") else object)
    is_object = given.dtype == object
    if given.dtype == bool or (is_object and any(map(_is_flag, given.flat))):
        raise ValueError(
            f"{name} must hold numbers, but holds booleans; astype(float) makes them 0 "
            "and 1."
        )
    return floats


def checked_amounts(name: str, values: Any) -> NDArray[np.float64]:
    """Convert an array-like of finite numbers of at least 0 to floats, or raise."""
    amounts = checked_floats(name, values)
    if not np.all((amounts >= 0) & (amounts < np.inf)):
        raise ValueError(
            f"{name}={amounts.tolist()} must hold finite numbers of at least 0."
        )
    return amounts


def checked_counts(name: str, counts: Any) -> NDArray[np.float64]:
    """Return class counts (or sums of weights) as floats, or raise."""
    values = checked_amounts(name, counts)
    if values.ndim != 1 or not values.any():
        raise ValueError(
            f"{name}={values.tolist()} must have shape (n_classes,), and hold a number "
            "above 0; numpy.bincount(codes) has them."
        )
    return values


def checked_classes(name: str, classes: Any) -> NDArray:
    """Return distinct labels as an array of shape (n_classes,), or raise."""
    try:
        labels = np.asarray(classes)
    except ValueError as error:  # sequences of several lengths
        raise ValueError(f"{name} must have shape (n_classes,): {error}.") from error
    if labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"{name} must have shape (n_classes,), with a label or more, but has "
            f"{labels.shape}."
        )
    if len(set(labels.tolist())) < len(labels):
        raise ValueError(
            f"{name}={labels.tolist()} must be different labels; numpy.unique(y) has "
            "those that occur."
        )
    return labels


def is_no_number(value: Any) -> bool:
    """Return whether a value is not a real number, such as True, "5", None or 1j."""
    return _is_flag(value) or not isinstance(value, Real | Decimal)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def _floats_of_objects(name: str, array: NDArray) -> NDArray[np.float64]:
    """Convert an array of Python numbers to floats, and missing values to NaN."""
    floats = np.empty(array.shape)
    for index, value in np.ndenumerate(array):
        is_gap = array.ndim and (value is None or type(value).__name__ == "NAType")
        if not is_gap and not isinstance(value, Real | Decimal):
            raise ValueError(f"{name} must hold numbers, but holds {value!r}.")
        floats[index] = np.nan if is_gap else float(value)
    return floats


def checked_weights(sample_weight: Any, n_rows: int) -> NDArray[np.float64]:
    """Return sample weights as floats, or raise; None means weights of 1."""
    if sample_weight is None:
        return np.ones(n_rows)
    weights = as_floats("sample_weight", sample_weight)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one weight for each row, "
            f"but has {weights.shape}."
        )
    is_wrong = ~(np.isfinite(weights) & (weights >= 0))
    if not n_rows:
        raise ValueError("sample_weight is empty; give the weight of one row or more.")
    if is_wrong.any() or not weights.any():
        row = int(is_wrong.argmax())
        found = f"{weights[row]} in row {row}" if is_wrong.any() else "0 in every row"
        raise ValueError(
            "sample_weight must hold finite weights of at least 0, not all 0, but "
            f"holds {found}."
        )
    return weights

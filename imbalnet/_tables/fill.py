"""Filling of a matrix, column by column, and the errors about unreadable columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.readers import Reader, listed
from imbalnet._tables.words import is_number, to_numbers

# As many columns as a cache line has float32, and as many rows of these columns as the
# L1 cache holds.
_COLUMNS_AT_ONCE = 16
_ROWS_AT_ONCE = 2048

ENCODE_BEFORE = (
    "encode them before the classifier, for instance with make_column_transformer("
    "(OneHotEncoder(handle_unknown='ignore'), {}), remainder='passthrough')"
)


def filled(
    reader: Reader,
    dtype: type,
    column: Callable[[int], NDArray],
    *,
    levels: Sequence[Any] | None = None,
) -> NDArray:
    """Fill a matrix column by column; raise an error that names all unreadable columns.

    `levels` are those of :class:`Columns`, for the cure in the error: they tell columns
    of categories in ``fit`` from those of numbers. They are None in ``fit`` itself.
    """
    n_features = len(reader.names)
    matrix: NDArray = np.empty((reader.n_rows, n_features), dtype=dtype)
    unread = []
    with np.errstate(over="ignore"):  # overflow is reported later
        for start in range(0, n_features, _COLUMNS_AT_ONCE):
            some = range(start, min(start + _COLUMNS_AT_ONCE, n_features))
            part: NDArray = np.empty((len(some), reader.n_rows), dtype=dtype)
            for values, i in zip(part, some, strict=True):
                try:
                    values[:] = column(i)
                except (TypeError, ValueError):
                    unread.append(i)
            _transpose(part, matrix[:, some.start : some.stop])
    if unread:
        raise _not_numeric(reader, unread, levels)
    return matrix


def _not_numeric(
    reader: Reader, columns: list[int], levels: Sequence[Any] | None
) -> Exception:
    """Return an error that names the columns, a value of the first, and the cure."""
    numbers = [i for i in columns if not levels or levels[i] is None]
    if not numbers:
        named = listed([reader.names[i] for i in columns])
        return ValueError(
            f"{reader.title} has columns of values that are no categories, such as "
            f"lists: {named}. These columns held categories in fit: give a string, a "
            "number or a gap for each row."
        )
    named = listed([reader.names[i] for i in numbers])
    fault = f"{reader.title} has columns that are not numeric: {named}"
    words = _words(reader, numbers[0])
    if words:
        fault += f", such as {words[0]!r} in {reader.names[numbers[0]]!r}"
    if levels is not None:
        stripped = (str(word).strip() for word in words)
        cure = to_numbers("column", [word for word in stripped if is_number(word)])
        return ValueError(
            f"{fault}. These columns held numbers in fit: give numbers here too (NaN "
            f"where there is none, such as by {cure}), or fit again with such words, "
            "as categories."
        )
    if not words:  # scikit-learn's checks expect these words
        return TypeError(
            f"{fault}. Each value of the argument must be a string or a real number: "
            "derive such columns from these."
        )
    return ValueError(
        f"{fault}. Name them in categorical_features, or {ENCODE_BEFORE.format(named)}."
    )


def _words(reader: Reader, i: int) -> list[Any]:
    """Return the distinct values of a column that Python cannot convert to float."""
    try:
        values = reader.dictionary(i)[1]
    except (TypeError, ValueError, NotImplementedError):  # lists cannot be counted
        return []
    return [value for value in values if not _is_convertible(value)]


def _is_convertible(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _transpose(part: NDArray, out: NDArray) -> None:
    """Copy columns into a row-major matrix, in blocks that fit the cache."""
    for start in range(0, len(out), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        out[rows] = part[:, rows].T

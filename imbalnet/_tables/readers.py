"""One interface to the columns of pandas, polars and Arrow tables, and of arrays.

A library is imported only for tables of that library.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.levels import are_numbers

# Names of dtypes in lower case.
_CATEGORIES = re.compile(
    r"(category|categorical|enum|dictionary|string|large_string|utf8|interval)|"
    r"(str|null)$"
)
_DECLARED = re.compile("category|categorical|enum|dictionary|interval")
_TIMES = re.compile("date|time|duration|period")
_PLAIN = re.compile(r"(u?int|float)\d+$|bool$|Sparse\[(u?int|float|bool)")

_LEAVES_OUT_ZEROS = re.compile(r"Sparse\[.+, (0|0\.0|False)\]$")

# Names that pandas' infer_dtype has for object columns that hold numbers, or may do so.
_NUMBERS = {"boolean", "decimal", "floating", "integer", "mixed-integer-float"}
_MIXED = {"mixed", "mixed-integer"}

# Integers within a range below this are encoded without sorting.
_SMALL_RANGE = 4096

# Names of columns in an error message.
_MOST_NAMES = 10

Dictionary = tuple[NDArray[np.integer], list[Any]]


class Reader(ABC):
    """Columns of a table by position; columns without names have positions as names.

    `title` is the name of the table in error messages.
    """

    title = "X"
    names: list[Any]
    dtypes: list[str]
    n_rows: int

    @abstractmethod
    def numbers(self, i: int) -> NDArray:
        """Return a column as numbers and NaN, or raise ValueError or TypeError."""

    @abstractmethod
    def dictionary(self, i: int) -> Dictionary:
        """Return each row's position in a list of distinct values, and this list.

        The position of a missing value is -1.
        """

    def occurring(self, i: int) -> Dictionary:
        """Return the dictionary of a column, without categories that no row has.

        A dtype may have far more categories than there are rows.
        """
        return self.dictionary(i)

    def is_category(self, i: int) -> bool:
        """Whether a column holds categories by its dtype."""
        return _CATEGORIES.match(self.dtypes[i].lower()) is not None

    def is_time(self, i: int) -> bool:
        """Whether a column holds dates or durations by its dtype."""
        return _TIMES.match(self.dtypes[i].lower()) is not None

    def is_declared(self, i: int) -> bool:
        """Whether the dtype is one for categories only, unlike strings."""
        return _DECLARED.match(self.dtypes[i].lower()) is not None

    def is_ordered(self, i: int) -> bool:
        """Whether the dtype is one of ordered categories."""
        dtype = self.dtypes[i]
        return dtype.startswith("interval") or "ordered=1" in dtype

    def declares_order(self, i: int) -> bool:
        """Whether `dictionary` has all categories of an ordered dtype, in order."""
        return not self.dtypes[i].startswith("interval")


def is_frame(X: Any) -> bool:
    """Whether a table is a data frame like pandas'."""
    return hasattr(X, "iloc") and hasattr(X, "columns")


def reader_of(X: Any, title: str = "X") -> Reader | None:
    """Return the reader of a frame; None for other tables."""
    library = type(X).__module__.split(".")[0]
    reader: Reader
    if is_frame(X):
        reader = _PandasReader(X)
    elif library == "polars" and hasattr(X, "get_columns"):
        reader = _PolarsReader(X)
    elif library == "pyarrow" and hasattr(X, "schema"):
        reader = _ArrowReader(X)
    else:
        return None
    reader.title = title
    return reader


def is_plain(reader: Reader) -> bool:
    """Whether all columns are arrays of NumPy's numbers, missing ones being NaN."""
    return all(
        _PLAIN.match(dtype) and not dtype.startswith("Sparse[")
        for dtype in reader.dtypes
    )


def is_sparse(reader: Reader) -> bool:
    """Whether all columns are sparse columns of pandas, and become a sparse matrix.

    A sparse matrix leaves out zeros. Columns that leave out another value, such as NaN,
    do not become one.
    """
    return all(_LEAVES_OUT_ZEROS.match(dtype) for dtype in reader.dtypes)


def reject_times(X: Any, title: str = "X") -> None:
    """Raise for dates and durations, which NumPy would convert to nanoseconds."""
    reader = reader_of(X, title)
    if reader is None:
        dtype = getattr(X, "dtype", None)
        if _TIMES.match(str(dtype).lower()):
            fault = f"{title} holds dates or times, of dtype {dtype}."
            raise ValueError(f"{fault} {TIMES_CURE}")
        return
    columns = range(len(reader.names))
    reject_columns_of_times(reader, (i for i in columns if reader.is_time(i)))


def reject_columns_of_times(reader: Reader, columns: Iterable[int]) -> None:
    """Raise with the names of the columns that hold dates, if there are any."""
    times = [str(reader.names[i]) for i in columns]
    if times:
        raise ValueError(
            f"{reader.title} has columns that hold dates or times: {listed(times)}. "
            f"{TIMES_CURE}"
        )


def listed(names: Sequence[Any]) -> str:
    """Return a list of names as text, shortened to the first ones."""
    text = str(list(names[:_MOST_NAMES]))
    more = len(names) - _MOST_NAMES
    return f"{text[:-1]}, ...] ({more} more)" if more > 0 else text


TIMES_CURE = (
    "Turn them into numbers before the classifier, such as days since a date, weekday "
    "or hour."
)


class _PandasReader(Reader):
    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.names = list(frame.columns)
        self.dtypes = _as_texts(frame.dtypes)
        self.n_rows = len(frame)

    @cached_property
    def columns(self) -> list[Any]:
        """The columns; ``iloc`` takes three times as long as iterating over them."""
        return [column for _, column in self.frame.items()]

    def numbers(self, i: int) -> NDArray:
        column = self.columns[i]
        if _PLAIN.match(self.dtypes[i]):
            return column.to_numpy()
        _reject_complex(self.dtypes[i])
        return column.to_numpy(dtype=np.float64, na_value=np.nan)

    def dictionary(self, i: int) -> Dictionary:
        column = self.columns[i]
        if self.dtypes[i] == "category":
            return column.cat.codes.to_numpy(), column.cat.categories.tolist()
        if self.dtypes[i].startswith("dictionary"):
            import pyarrow as pa

            return _arrow_dictionary(pa.array(column))
        positions, values = column.factorize()
        return positions, values.tolist()

    def occurring(self, i: int) -> Dictionary:
        if self.dtypes[i] != "category":
            return self.dictionary(i)
        column = self.columns[i].array
        positions, codes = _renumbered(column.codes, len(column.categories))
        return positions, column.categories.take(codes).tolist()

    def is_ordered(self, i: int) -> bool:
        if self.dtypes[i] == "category":
            return self.columns[i].cat.ordered
        return super().is_ordered(i)

    def is_category(self, i: int) -> bool:
        if self.dtypes[i] != "object":
            return super().is_category(i)
        from pandas.api.types import infer_dtype

        column = self.columns[i]
        kind = infer_dtype(column, skipna=True)
        if kind in _MIXED:
            return not are_numbers(column.tolist())
        return kind not in _NUMBERS


def _as_texts(dtypes: Iterable[Any]) -> list[str]:
    """Convert dtypes to text, each distinct one only once.

    They are distinguished by identity, because pandas hashes a categorical dtype with
    all its categories.
    """
    distinct = {id(dtype): dtype for dtype in dtypes}
    texts = {key: str(dtype) for key, dtype in distinct.items()}
    return [texts[id(dtype)] for dtype in dtypes]


class _PolarsReader(Reader):
    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.columns = frame.get_columns()
        self.names = list(frame.columns)
        self.dtypes = [str(dtype) for dtype in frame.dtypes]
        self.n_rows = frame.height

    def numbers(self, i: int) -> NDArray:
        column = self.columns[i]
        if self.dtypes[i] == "Object":
            return np.array(column.to_list(), dtype=np.float64)
        is_numeric = column.dtype.is_numeric()
        if column.null_count() == len(column):
            return np.full(len(column), np.nan)
        if not (is_numeric or self.dtypes[i] == "Boolean"):
            raise ValueError(f"dtype {self.dtypes[i]} is not numeric")
        if column.null_count() or not is_numeric or _is_wide(column):
            column = column.cast(float)
        return column.to_numpy()

    def dictionary(self, i: int) -> Dictionary:
        import polars as pl

        column = self.columns[i]
        if self.dtypes[i] == "Object":
            return dictionary_of(np.array(column.to_list(), dtype=object))
        if self.dtypes[i] == "Boolean":
            return column.cast(pl.Int64).fill_null(-1).to_numpy(), [False, True]
        if _is_wide(column) or (column.dtype.is_integer() and column.null_count()):
            return _exact_dictionary(column)
        if not _CATEGORIES.match(self.dtypes[i].lower()):
            return dictionary_of(self.numbers(i))
        if not self.is_ordered(i):
            return self.occurring(i)
        return _enum_codes(column), column.dtype.categories.to_list()

    def occurring(self, i: int) -> Dictionary:
        import polars as pl

        if not _CATEGORIES.match(self.dtypes[i].lower()):
            return self.dictionary(i)
        words = self.columns[i].cast(pl.String)
        column = words.cast(pl.Enum(words.drop_nulls().unique()))
        return _enum_codes(column), column.dtype.categories.to_list()

    def is_ordered(self, i: int) -> bool:
        return self.dtypes[i].startswith("Enum")

    def is_category(self, i: int) -> bool:
        if self.dtypes[i] != "Object":
            return super().is_category(i)
        return not are_numbers(self.columns[i].to_list())


def _is_wide(column: Any) -> bool:
    """Whether the numbers of a polars column have no dtype of NumPy."""
    return column.dtype.is_decimal() or str(column.dtype).endswith("nt128")


def _exact_dictionary(column: Any) -> Dictionary:
    """Encode numbers some of which would be equal if they were floats."""
    import polars as pl

    ranks = column.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    return ranks - 1, column.drop_nulls().unique().sort().to_list()


def _enum_codes(column: Any) -> NDArray[np.integer]:
    import polars as pl

    return column.to_physical().cast(pl.Int64).fill_null(-1).to_numpy()


class _ArrowReader(Reader):
    def __init__(self, table: Any) -> None:
        self.table = table
        self.names = list(table.schema.names)
        self.dtypes = [str(dtype) for dtype in table.schema.types]
        self.n_rows = table.num_rows

    def numbers(self, i: int) -> NDArray:
        from pyarrow import types

        column = self.table.column(i)
        if column.null_count == len(column):
            return np.full(len(column), np.nan)
        is_decimal = types.is_decimal(column.type)
        if not (types.is_primitive(column.type) or is_decimal):
            raise ValueError(f"type {column.type} is not numeric")
        if types.is_boolean(column.type):
            column = column.cast("int8")
        if column.null_count or is_decimal:
            column = column.cast("float64", safe=False)
        return column.to_numpy()

    def dictionary(self, i: int) -> Dictionary:
        return _arrow_dictionary(self.table.column(i))

    def occurring(self, i: int) -> Dictionary:
        positions, values = _arrow_encoded(self.table.column(i))
        positions, codes = _renumbered(positions, len(values))
        return positions, values.take(codes).to_pylist()


def _arrow_dictionary(column: Any) -> Dictionary:
    positions, values = _arrow_encoded(column)
    return positions, values.to_pylist()


def _arrow_encoded(column: Any) -> tuple[NDArray[np.integer], Any]:
    import pyarrow as pa

    column = pa.chunked_array(column)
    if pa.types.is_null(column.type):  # Arrow cannot unify dictionaries of nulls
        column = column.cast("string")
    if not pa.types.is_dictionary(column.type):
        column = column.cast(without_views(column.type)).dictionary_encode()
    column = column.unify_dictionaries().combine_chunks()
    values = column.dictionary.cast(without_views(column.type.value_type))
    return column.indices.cast("int64").fill_null(-1).to_numpy(), values


def without_views(dtype: Any) -> Any:
    """Return the Arrow type to cast a type to: Arrow cannot take from views."""
    import pyarrow as pa

    views = {"string_view": pa.large_string(), "binary_view": pa.large_binary()}
    return views.get(str(dtype), dtype)


def _renumbered(
    positions: NDArray[np.integer], n_values: int
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return positions among the values that occur, and the positions of these values.

    If there are no more values than rows, all are kept. -1 stays -1.
    """
    if n_values <= len(positions):
        return positions, np.arange(n_values)
    occurring, renumbered = np.unique(positions, return_inverse=True)
    n_missing = int((occurring < 0).sum())
    return renumbered - n_missing, occurring[n_missing:]


class ArrayReader(Reader):
    """Columns of a two-dimensional array; those with words are categories."""

    def __init__(self, X: NDArray) -> None:
        self.X = X
        self.n_rows, n_features = X.shape
        self.names = list(range(n_features))
        self.dtypes = [str(X.dtype)] * n_features

    def numbers(self, i: int) -> NDArray:
        _reject_complex(self.dtypes[i])
        column = self.X[:, i]
        return column.astype(np.float64) if column.dtype.kind in "OUS" else column

    def dictionary(self, i: int) -> Dictionary:
        return dictionary_of(self.X[:, i])

    def is_category(self, i: int) -> bool:
        column = self.X[:, i]
        if not holds_words(column):
            return False
        try:
            column.astype(np.float64)
        except (TypeError, ValueError):
            return True
        return False


def holds_words(X: Any) -> bool:
    """Whether an array holds words, or objects without a hash, such as dicts."""
    if not isinstance(X, np.ndarray) or X.dtype.kind not in "OU":
        return False
    return X.dtype.kind == "U" or any(
        isinstance(value, str | bytes) or value.__hash__ is None for value in X.flat
    )


class SparseReader(Reader):
    """Columns of a sparse matrix, which holds numbers only."""

    def __init__(self, X: Any) -> None:
        self.X = X.tocsc()
        self.n_rows, n_features = X.shape
        self.names = list(range(n_features))
        self.dtypes = [f"sparse {X.dtype}"] * n_features

    def numbers(self, i: int) -> NDArray:
        return self.X[:, [i]].toarray()[:, 0]

    def dictionary(self, i: int) -> Dictionary:
        return dictionary_of(self.numbers(i))


def dictionary_of(column: NDArray) -> Dictionary:
    """Encode an array of numbers, strings or objects; see `Reader.dictionary`."""
    if column.dtype.kind == "O":
        position: dict[Any, int] = {}
        rows = [position.setdefault(v, len(position)) for v in column.tolist()]
        return np.array(rows, dtype=np.intp), list(position)
    if column.dtype.kind == "b":
        return column.astype(np.intp), [False, True]
    if column.dtype.kind not in "iuf":
        return _sorted_dictionary(column)
    gaps = np.isnan(column)
    positions, values = _numbers_dictionary(np.where(gaps, 0, column))
    return np.where(gaps, -1, positions), values


def _numbers_dictionary(column: NDArray) -> Dictionary:
    low, high = (column.min().item(), column.max().item()) if len(column) else (0, 0)
    if -(2**31) < low and high < 2**31 and high - low < _SMALL_RANGE:
        whole = column.astype(np.int64)
        if (whole == column).all():
            return whole - int(low), list(range(int(low), int(high) + 1))
    return _sorted_dictionary(column)


def _sorted_dictionary(column: NDArray) -> Dictionary:
    values, positions = np.unique(column, return_inverse=True)
    return positions, values.tolist()


def _reject_complex(dtype: str) -> None:
    if dtype.startswith("complex"):
        raise ValueError("Complex data not supported")

"""Reading of a table of features as one matrix, or as blocks of it.

There are three steps: `as_table`, then the estimator's check of names and width, then
`read_matrix` (in ``fit``) or `matrix_blocks` (in prediction).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import check_array, gen_batches

from imbalnet._tables.columns import Columns
from imbalnet._tables.large.table import LargeTable
from imbalnet._tables.levels import is_missing
from imbalnet._tables.readers import (
    ArrayReader,
    Reader,
    SparseReader,
    holds_words,
    is_frame,
    is_plain,
    is_sparse,
    listed,
    reader_of,
    reject_times,
)
from imbalnet._tables.rules import ColumnRules
from imbalnet._tables.unseen import Unseen

# Rows of a block in prediction.
_BLOCK_ROWS = 2**16


@dataclass(frozen=True)
class Reading:
    """How a table is read.

    Attributes
    ----------
    columns : ColumnRules or Columns
        Rules for the columns in ``fit``, or the columns that ``fit`` has found.
    dtype : {numpy.float32, numpy.float64}
        The dtype of the matrix.
    owner : str
        Name of the estimator's class, for error messages.
    title : str
        Name of the table, for error messages.
    """

    columns: ColumnRules | Columns
    dtype: type[np.floating]
    owner: str
    title: str = "X"

    def checked(self, X: Any, dtype: type, finite: bool | str) -> Any:
        """Convert X with scikit-learn's ``check_array``; errors name the table."""
        try:
            return check_array(
                X,
                accept_sparse="csr",
                dtype=dtype,
                order="C",
                ensure_all_finite=finite,
                estimator=self.owner,
                input_name=self.title,
            )
        except (TypeError, ValueError) as error:
            named = f"{self.title} cannot be read as a table: {error}"
            raise (TypeError if isinstance(error, TypeError) else ValueError)(
                named
            ) from error


# An object that NumPy can read as an array has one of these.
_OF_ARRAYS = "shape", "__len__", "__array__", "__array_interface__", "__dlpack__"


def as_table(X: Any, reading: Reading) -> Any:
    """Return X as a two-dimensional table, whose names and width can be compared.

    X is returned as it is if it has two dimensions. If two columns of a frame share a
    name, positions become the names, since resamplers, and scikit-learn from 1.9 on,
    refuse such frames.
    """
    X = _with_unique_names(X)
    is_other = not any(hasattr(X, name) for name in _OF_ARRAYS)
    if is_other or isinstance(X, str | bytes | Mapping | Set):
        raise ValueError(
            f"{reading.title} must be a table of rows and columns, such as an array, a "
            f"data frame or a sparse matrix, but is of type {type(X).__name__}."
        )
    if getattr(getattr(X, "dtype", None), "names", None):
        raise ValueError(
            f"{reading.title} is a structured array; pandas.DataFrame({reading.title}) "
            "makes a table of its fields."
        )
    if isinstance(X, list | tuple) and X and isinstance(X[0], Mapping):
        raise ValueError(
            f"{reading.title} is a list of dicts; pandas.DataFrame({reading.title}) "
            "makes a table of their keys."
        )
    reject_times(X, reading.title)
    if len(getattr(X, "shape", ())) == 2:
        return X
    if not reading.columns.names_categories:
        with suppress(TypeError, ValueError):  # words; other errors recur below
            return reading.checked(X, np.float64, finite=False)
    return reading.checked(X, object, finite=False)


def _with_unique_names(X: Any) -> Any:
    if is_frame(X) and not X.columns.is_unique:
        return X.set_axis(range(X.shape[1]), axis=1)
    return X


def table_reader(X: Any, reading: Reading) -> Reader:
    """Return the reader of a table, some of whose columns may be unreadable."""
    reader = reader_of(_with_unique_names(X), reading.title)
    if reader is not None:
        return reader
    X = _as_matrix(as_table(X, reading), reading)
    return SparseReader(X) if sparse.issparse(X) else ArrayReader(X)


def read_matrix(
    X: Any,
    reading: Reading,
    used: NDArray | None = None,
    unseen: Unseen | None = None,
) -> tuple[Any, Columns]:
    """Read a table that `as_table` returned; return its matrix and its columns.

    The matrix is X itself if dtype and layout allow. `used` are the rows that determine
    the columns (None: all). Unknown values are counted in `unseen`.
    """
    columns, dtype = reading.columns, reading.dtype
    reader = reader_of(X, reading.title)
    names = None if reader is None else reader.names
    if reader is None or (is_sparse(reader) and not columns.names_categories):
        X, reader = _as_matrix(X, reading), None
    if reader is None and (columns.names_categories or holds_words(X)):
        reader = _array_reader(X, reading.title)
    if reader is not None and (columns.names_categories or not is_plain(reader)):
        X, columns = columns.read(reader, dtype, used, unseen)
    else:
        columns = columns.of_numbers(X if reader is None else reader, dtype, used)
        if reader is None:
            X = columns.shifted(X, dtype)
        elif columns.shifts:
            X, _ = columns.read(reader, dtype)
    return _finite(X, reading, columns, names), columns


def _as_matrix(X: Any, reading: Reading) -> Any:
    """Return a table that is no frame as an array or a CSR matrix.

    Masked values become missing. Objects become numbers unless there are words.
    """
    if hasattr(X, "sparse"):
        X = X.sparse.to_coo()
    if sparse.issparse(X):
        return X.tocsr()
    if isinstance(X, np.ma.MaskedArray):
        X = _unmasked(X)
    X = np.asanyarray(X)
    is_number = X.dtype.kind in "biuf" and not isinstance(X, np.matrix)
    if is_number or reading.columns.names_categories or holds_words(X):
        return X
    if X.dtype == object:
        X = _with_nan(X)
    return reading.checked(X, np.float64, finite=False)


def _with_nan(X: NDArray) -> NDArray:
    """Replace missing objects by NaN, since NumPy cannot convert ``pandas.NA``."""
    is_gap = np.frompyfunc(is_missing, 1, 1)(X).astype(bool)
    return np.where(is_gap, np.nan, X) if is_gap.any() else X


def _unmasked(X: Any) -> NDArray:
    if not np.ma.is_masked(X):
        return np.ma.getdata(X)
    if X.dtype.kind in "OUS":
        values = np.ma.getdata(X).astype(object)
        values[np.ma.getmaskarray(X)] = None
        return values
    return X.astype(np.result_type(X.dtype, np.float32), copy=False).filled(np.nan)


def matrix_blocks(X: Any, reading: Reading) -> Iterator[Any]:
    """Yield the matrices of blocks of rows, so that the whole table is not copied.

    After the last one, warn about columns most of whose values ``fit`` did not see.
    """
    unseen = Unseen()
    for block in _row_blocks(X):
        yield read_matrix(block, reading, unseen=unseen)[0]
    unseen.warn(reading.title)


def _row_blocks(X: Any) -> Iterator[Any]:
    if isinstance(X, LargeTable):
        yield from X.blocks()
        return
    is_cut = X.format == "csr" if sparse.issparse(X) else _is_sliced_by_rows(X)
    if not is_cut or X.shape[0] <= _BLOCK_ROWS:
        yield X
        return
    for rows in gen_batches(X.shape[0], _BLOCK_ROWS):
        yield X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _is_sliced_by_rows(X: Any) -> bool:
    return isinstance(X, np.ndarray) or hasattr(X, "columns")


def _array_reader(X: Any, title: str) -> ArrayReader:
    if sparse.issparse(X):
        raise ValueError(
            f"categorical_features names columns of categories, but {title} is sparse, "
            "which holds numbers only. Give a dense array or a data frame, or set "
            "categorical_features=None."
        )
    reader = ArrayReader(np.asarray(X))
    reader.title = title
    return reader


def _finite(
    X: Any, reading: Reading, columns: Columns, names: Sequence[Any] | None
) -> Any:
    """Convert X; raise with the names of columns that must be finite but are not."""
    matrix = _plain_matrix(X, reading.dtype, columns)
    if matrix is not None:
        return matrix
    is_dense = not sparse.issparse(X)
    finite: bool | str = True
    if is_dense and (columns.missing or columns.infinite):
        finite = False if columns.infinite else "allow-nan"
    try:
        # sums may overflow; values that overflow are reported as too large
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = reading.checked(X, reading.dtype, finite)
    except ValueError as error:
        fault = _not_finite(X, reading, columns, names)
        if fault is None:
            raise
        raise ValueError(f"{fault} ({error})") from error
    if is_dense and columns.infinite and not columns.missing:
        fault = _not_finite(matrix, reading, columns, names)
        if fault is not None:
            raise ValueError(fault)
    return matrix


def _plain_matrix(X: Any, dtype: type, columns: Columns) -> NDArray | None:
    """Convert a valid array of floats as ``check_array`` would, but faster.

    Return None for any other table.
    """
    if type(X) is not np.ndarray or X.dtype.kind != "f" or X.ndim != 2 or not X.size:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        matrix: NDArray = np.ascontiguousarray(X, dtype=dtype)
        if np.isfinite(matrix.sum()):
            return matrix
    is_allowed = columns.missing and not np.isinf(matrix).any()
    return matrix if is_allowed else None


def _not_finite(
    X: Any, reading: Reading, columns: Columns, names: Sequence[Any] | None
) -> str | None:
    """Return an error about columns with missing or infinite values, or None."""
    try:
        with np.errstate(over="ignore"):
            values: NDArray = np.asarray(X, dtype=reading.dtype)
    except (ValueError, TypeError):
        return None
    if values.ndim != 2:
        return None
    names = range(values.shape[1]) if names is None else names
    for is_fault, is_allowed, (what, cure) in (
        (np.isnan, columns.missing, _GAPS),
        (np.isinf, columns.infinite, _INFINITE),
    ):
        found = np.flatnonzero(is_fault(values).any(axis=0)).tolist()
        if found and not is_allowed:
            named = listed([names[i] for i in found])
            return f"{reading.title} has columns that {what}: {named}. {cure}"
    return None


_GAPS = (
    "have missing values",
    "Fill them before the classifier, for instance with "
    "SimpleImputer(strategy='median'), or use a module that takes them, such as 'mlp' "
    "(its class has accepts_missing = True).",
)
_INFINITE = (
    "have infinite values, or values too large for the dtype",
    "Replace them before the classifier; with module='mlp', module__clip=True takes "
    "them for values at the bound.",
)

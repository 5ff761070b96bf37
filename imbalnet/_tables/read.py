"""From what users hand over to a numeric matrix and class codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import (
    assert_all_finite,
    check_array,
    check_consistent_length,
    column_or_1d,
)
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, validate_data

from imbalnet._tables import (
    ArrayReader,
    ColumnRules,
    Columns,
    is_frame,
    is_plain,
    listed,
    reader_of,
    reject_times,
)

NUMBERS = Columns()

# Rows of a block in prediction.
_BLOCK_ROWS = 2**16


@dataclass(frozen=True)
class Rows:
    """Rows of a table; the table may hold more of them than ``index`` names.

    Arrays of the length of a large table are what ``fit`` spends memory on, so they
    are few and small: no row numbers where all rows are meant, no ones for weights.

    Attributes
    ----------
    X : {ndarray, CSR matrix} of shape (n_table_rows, n_features)
    codes : ndarray of shape (n_table_rows,)
        Class codes, of one byte where that is enough.
    weight : ndarray of shape (n_table_rows,)
    index : ndarray of int or None
        The table's rows that are meant; None is all.
    frame : data frame or None
        What X was made from, if that was one.
    columns : Columns
        What the columns of X hold.
    """

    X: Any
    codes: NDArray[np.integer]
    weight: NDArray[np.floating]
    index: NDArray[np.integer] | None = None
    frame: Any = None
    columns: Columns = NUMBERS

    def __len__(self) -> int:
        return len(self.codes) if self.index is None else len(self.index)

    def of(self, values: Any) -> Any:
        """Take the entries of `values` that belong to these rows."""
        return values if self.index is None else values[self.index]

    def subset(self, positions: NDArray[np.intp]) -> Rows:
        """Give the rows at `positions` within these rows."""
        index = positions if self.index is None else self.index[positions]
        small: type = np.int32 if len(self.codes) < 2**31 else np.int64
        return replace(self, index=index.astype(small, copy=False))

    def weighted_by_class(self, factor: NDArray[np.float64]) -> Rows:
        """Give the same rows their weight times the factor of their class.

        Parameters
        ----------
        factor : ndarray of shape (n_classes,)
        """
        unit = self.weight.max()  # float32 does not hold every scale
        factor = (factor * unit).astype(self.X.dtype)
        if self.is_unweighted and np.ptp(factor) == 0:
            weight = np.broadcast_to(factor[0], len(self.codes))
            return replace(self, weight=weight)
        weight = factor[self.codes]
        if not self.is_unweighted:
            np.multiply(weight, self.weight / unit, out=weight, casting="same_kind")
        return replace(self, weight=weight)

    @property
    def weight_sum(self) -> float:
        """Sum of the rows' weights."""
        return len(self) * 1.0 if self.is_unweighted else self.of(self.weight).sum()

    @property
    def is_unweighted(self) -> bool:
        """Whether nobody gave weights, so that they are one number, repeated."""
        return self.weight.strides == (0,)

    def counts(self, n_classes: int) -> NDArray[np.float64]:
        """Sum the weights of each class."""
        weight = None if self.is_unweighted else self.of(self.weight)
        counts = np.bincount(self.of(self.codes), weight, n_classes)
        return counts.astype(np.float64)

    def features(self) -> Any:
        """Give the rows as a resampler shall see them.

        Returns
        -------
        {pandas.DataFrame, ndarray, CSR matrix} of shape (n_rows, n_features)
            A frame where there was one: categories of dtype category, the other
            columns floats of the matrix' dtype.
        """
        X = self.of(self.X)
        reader = reader_of(self.frame)
        if reader is None or find_spec("pandas") is None:
            return X
        index = getattr(self.frame, "index", None)
        index = index if index is None or self.index is None else index[self.index]
        return self.columns.to_frame(X, reader.names, index)


def resampled_matrix(X: Any, rows: Rows, maker: str) -> Any:
    """Give what a resampler made of ``rows.features()`` as the matrix that rows have.

    Parameters
    ----------
    X : {pandas.DataFrame, ndarray, CSR matrix} of shape (n_new_rows, n_features)
    rows : Rows
        What it was made from.
    maker : str
        Of the resampler's name, for errors.

    Raises
    ------
    ValueError
        If codes of a matrix are none that there are.
    """
    reader = reader_of(X)
    if reader is not None:
        return rows.columns.read(reader, rows.X.dtype)[0]
    if rows.columns.names_categories:
        rows.columns.check_codes(X, maker)
    return X


def as_matrix(
    estimator: Any,
    X: Any,
    dtype: type,
    *,
    reset: bool,
    columns: ColumnRules | Columns = NUMBERS,
) -> Any:
    """Validate features.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_`` if `reset`, otherwise they
        are compared. A frame in which two columns share a name counts as one without
        names, which scikit-learn from 1.9 and resamplers would refuse.
    X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)
    dtype : {numpy.float32, numpy.float64}
    reset : bool
    columns : ColumnRules or Columns
        What the columns may hold, or what they held in ``fit``.

    Returns
    -------
    {ndarray, CSR matrix} of `dtype`
        X itself if it already is one. Categories are codes.

    Raises
    ------
    ValueError
        Naming the columns that hold what they may not, and the cure.
    """
    return _matrix_and_columns(estimator, X, dtype, columns, reset=reset)[0]


def _matrix_and_columns(
    estimator: Any,
    X: Any,
    dtype: type,
    columns: ColumnRules | Columns,
    *,
    reset: bool,
) -> tuple[Any, Columns]:
    X = _numbered(X)
    reject_times(X)
    reader = reader_of(X)
    if columns.names_categories and reader is None:
        reader = _array_reader(X)
    if reader is None or (is_plain(reader) and not columns.names_categories):
        columns = columns.of_numbers()
        read = partial(validate_data, estimator, X, reset=reset, accept_sparse="csr")
        return _finite(read, columns, X, dtype), columns
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    matrix, columns = columns.read(reader, dtype)
    read = partial(check_array, matrix, input_name="X", estimator=estimator)
    return _finite(read, columns, matrix, dtype, reader.names), columns


def _array_reader(X: Any) -> ArrayReader | None:
    """Read an array whose categories are told by position; None leaves it to others.

    Raises
    ------
    ValueError
        If it is sparse.
    """
    if sparse.issparse(X):
        raise ValueError(
            "categorical_features tells of columns of categories, but X is sparse, "
            "which holds numbers only. Give a dense array or a data frame, or set "
            "categorical_features=None."
        )
    values = X if isinstance(X, np.ndarray) else np.asarray(X, dtype=object)
    return ArrayReader(values) if values.ndim == 2 else None


def _finite(
    read: Callable[..., Any],
    columns: Columns,
    X: Any,
    dtype: type,
    names: Sequence[Any] | None = None,
) -> Any:
    """Validate features, and name the columns that are not finite though they must."""
    is_lax = not sparse.issparse(X)
    allowed: bool | str = True
    if is_lax and (columns.missing or columns.infinite):
        allowed = False if columns.infinite else "allow-nan"
    try:
        # what overflows is said to be too large; infinite values cancel in a sum
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = read(dtype=dtype, order="C", ensure_all_finite=allowed)
    except ValueError as error:
        hint = _finite_hint(X, dtype, columns, names)
        if hint is None:
            raise
        raise ValueError(f"{hint} ({error})") from error
    if columns.infinite and not columns.missing and is_lax:
        hint = _finite_hint(matrix, dtype, columns, names)
        if hint is not None:
            raise ValueError(hint)
    return matrix


def _finite_hint(
    X: Any, dtype: type, columns: Columns, names: Sequence[Any] | None
) -> str | None:
    """Say which columns are not finite, if that is what is wrong."""
    try:
        with np.errstate(over="ignore"):
            values: NDArray = np.asarray(X, dtype=dtype)
    except (ValueError, TypeError):
        return None
    if values.ndim != 2:
        return None
    if names is None:
        names = list(getattr(X, "columns", range(values.shape[1])))
    for is_fault, is_allowed, (what, cure) in (
        (np.isnan, columns.missing, _GAPS),
        (np.isinf, columns.infinite, _INFINITE),
    ):
        found = np.flatnonzero(is_fault(values).any(axis=0)).tolist()
        if found and not is_allowed:
            named = listed([names[i] for i in found])
            return f"X has columns that {what}: {named}. {cure}"
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


def matrix_blocks(
    estimator: Any, X: Any, dtype: type, columns: Columns = NUMBERS
) -> Iterator[Any]:
    """Validate features block by block, so that no copy of the whole is made.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are compared.
    X, dtype, columns
        See :func:`as_matrix`.

    Yields
    ------
    {ndarray, CSR matrix} of shape (n_block_rows, n_features)

    Raises
    ------
    ValueError
        See :func:`as_matrix`; behind the blocks that have no fault.
    """
    n_rows = X.shape[0] if _is_cut_by_rows(X) else 0
    if n_rows <= _BLOCK_ROWS:
        yield as_matrix(estimator, X, dtype, reset=False, columns=columns)
        return
    for start in range(0, n_rows, _BLOCK_ROWS):
        stop = start + _BLOCK_ROWS
        block = X.iloc[start:stop] if hasattr(X, "iloc") else X[start:stop]
        yield as_matrix(estimator, block, dtype, reset=False, columns=columns)


def _is_cut_by_rows(X: Any) -> bool:
    if sparse.issparse(X):
        return X.format == "csr"
    return (isinstance(X, np.ndarray) and X.ndim == 2) or hasattr(X, "columns")


def _numbered(X: Any) -> Any:
    """Give numbers for names to the columns of a frame of which two share a name."""
    if is_frame(X) and not X.columns.is_unique:
        return X.set_axis(range(X.shape[1]), axis=1)
    return X


def as_labels(y: Any) -> NDArray:
    """Validate labels.

    Returns
    -------
    ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        If there is more than one label a row, if one is missing, or if y looks like
        a regression target.
    """
    if y is None:
        raise ValueError(
            "requires y to be passed, but the target y is None: a classifier needs "
            "labels."
        )
    assert_all_finite(y, input_name="y")
    if type_of_target(y, input_name="y") in (
        "multilabel-indicator",
        "multiclass-multioutput",
        "continuous-multioutput",
    ):
        raise ValueError(
            "Multilabel and multioutput targets are not supported. y must be 1d; for "
            "several labels a row use sklearn.multioutput.MultiOutputClassifier."
        )
    labels = column_or_1d(y, warn=True)
    check_classification_targets(labels)
    return labels


def all_classes(classes: Any, known: NDArray | None) -> NDArray:
    """Give the labels that ``partial_fit`` knows of.

    Parameters
    ----------
    classes : array-like of shape (n_classes,) or None
        As users give them.
    known : ndarray of shape (n_classes,) or None
        The sorted labels of the first call.

    Raises
    ------
    ValueError
        If there are none in the first call, or others in a later one.
    """
    if classes is None:
        if known is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: all labels "
                "that will ever come."
            )
        return known
    given = np.unique(column_or_1d(classes))
    if known is not None and not np.array_equal(given, known):
        raise ValueError(
            f"classes={given.tolist()} differs from the first call to partial_fit, "
            f"which had {known.tolist()}."
        )
    return given


def as_weights(sample_weight: Any, X: Any) -> NDArray[np.float64]:
    """Validate sample weights; None is a weight of 1 for every row.

    Raises
    ------
    ValueError
        If a weight is negative, missing or infinite, if the length is wrong, or if
        all are zero.
    """
    if sample_weight is None:
        return np.broadcast_to(1.0, X.shape[0])
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError(
            "sample_weight is 0 for every row; no row is left to train on."
        )
    return weight


def as_codes(labels: NDArray, classes: NDArray, name: str = "y") -> NDArray[np.integer]:
    """Turn labels into positions in the sorted `classes`.

    Raises
    ------
    ValueError
        Naming the labels that are not among the classes.
    """
    codes = np.searchsorted(classes, labels)
    codes[codes == len(classes)] = 0
    codes = codes.astype(np.uint8 if len(classes) <= 256 else np.intp)
    unknown = np.unique(labels[classes[codes] != labels])
    if len(unknown):
        raise ValueError(
            f"{name} has labels that are not in classes_: {unknown.tolist()}; known "
            f"are {classes.tolist()}."
        )
    return codes


def read_rows(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    classes: NDArray | None,
    dtype: type[np.floating],
    reset: bool,
    columns: ColumnRules | Columns | None = None,
) -> tuple[Rows, NDArray]:
    """Validate training rows.

    Rows of weight 0 leave here: they are the same as rows that are not there.

    Parameters
    ----------
    estimator : estimator
        See :func:`as_matrix`.
    X, y, sample_weight
        As users give them.
    classes : ndarray of shape (n_classes,) or None
        The sorted labels; None takes them from y.
    dtype : {numpy.float32, numpy.float64}
        Of the features.
    reset : bool
        See :func:`as_matrix`.
    columns : ColumnRules, Columns or None
        See :func:`as_matrix`; None goes by the dtypes.

    Returns
    -------
    rows : Rows
    classes : ndarray of shape (n_classes,)
    """
    labels = as_labels(y)
    X = _numbered(X)
    frame = None if reader_of(X) is None else X
    rules = ColumnRules() if columns is None else columns
    X, columns = _matrix_and_columns(estimator, X, dtype, rules, reset=reset)
    if sparse.issparse(X):  # of sparse columns
        frame = None
    check_consistent_length(X, labels)
    weight = as_weights(sample_weight, X)
    index = None if weight.all() else np.flatnonzero(weight)
    used = labels if index is None else labels[index]
    classes = _sorted_labels(used) if classes is None else classes
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs rows of at least two classes, but y "
            f"(without rows of sample_weight 0) has one class: {classes.tolist()}."
        )
    codes = as_codes(used, classes)
    if index is not None:
        codes, of_used = np.zeros(len(labels), dtype=codes.dtype), codes
        codes[index] = of_used
        columns = columns.used_by(X, index) if reset else columns
    return Rows(X, codes, weight, index, frame, columns), classes


def _sorted_labels(labels: NDArray) -> NDArray:
    try:
        return np.unique(labels)
    except TypeError as error:
        raise ValueError(
            "y must have labels of one kind, all strings or all numbers, and none "
            f"missing: {error}."
        ) from error


def read_validation_rows(
    estimator: Any,
    X: Any,
    y: Any,
    classes: NDArray,
    dtype: type[np.floating],
    columns: Columns = NUMBERS,
) -> Rows | None:
    """Validate ``X_val`` and ``y_val``; None if neither is given."""
    if (X is None) != (y is None):
        raise ValueError("X_val and y_val belong together: give both or neither.")
    if X is None:
        return None
    labels = as_labels(y)
    X = as_matrix(estimator, X, dtype, reset=False, columns=columns)
    check_consistent_length(X, labels)
    codes = as_codes(labels, classes, "y_val")
    return Rows(X, codes, as_weights(None, X))

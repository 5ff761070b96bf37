"""From what users hand over to a numeric matrix and class codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    frame : pandas.DataFrame or None
        What X was made from, if that was one: it knows names and categories.
    """

    X: Any
    codes: NDArray[np.integer]
    weight: NDArray[np.floating]
    index: NDArray[np.integer] | None = None
    frame: Any = None

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
        factor = factor.astype(self.X.dtype)
        if self.is_unweighted and np.ptp(factor) == 0:
            weight = np.broadcast_to(factor[0] * self.weight[0], len(self.codes))
            return replace(self, weight=weight)
        weight = factor[self.codes]
        return replace(self, weight=np.multiply(weight, self.weight, out=weight))

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
        """Take the rows of the frame, or of the matrix where there is no frame.

        The columns of the frame are floats, of the matrix' dtype, but for those of
        dtype category, which keep their categories.
        """
        if self.frame is None:
            return self.of(self.X)
        frame = self.frame if self.index is None else self.frame.iloc[self.index]
        dtypes = zip(frame.columns, frame.dtypes, strict=True)
        numbers = [name for name, dtype in dtypes if str(dtype) != "category"]
        return frame.astype(dict.fromkeys(numbers, self.X.dtype))


def is_frame(X: Any) -> bool:
    """Tell pandas' data frames from other tables."""
    return hasattr(X, "iloc") and hasattr(X, "columns")


def frame_matrix(frame: Any, dtype: type[np.floating]) -> NDArray[np.floating]:
    """Turn a data frame whose columns are numbers into the matrix of as_matrix.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n_rows, n_features)
        Categories must be numbers.
    dtype : {numpy.float32, numpy.float64}

    Returns
    -------
    ndarray of shape (n_rows, n_features)
    """
    return check_array(frame, dtype=dtype, order="C")


def as_matrix(estimator: Any, X: Any, dtype: type, *, reset: bool) -> Any:
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

    Returns
    -------
    {ndarray, CSR matrix} of `dtype`
        X itself if it already is one.

    Raises
    ------
    ValueError
        Naming the columns of a frame that are not numeric or have gaps.
    """
    X = _numbered(X)
    _reject_times(X)
    try:
        with np.errstate(over="ignore"):  # what overflows is said to be too large
            return validate_data(
                estimator, X, reset=reset, dtype=dtype, accept_sparse="csr", order="C"
            )
    except (ValueError, TypeError) as error:
        hint = _frame_hint(X)
        if hint is None:
            raise
        raise ValueError(f"{hint} ({error})") from error


def matrix_blocks(estimator: Any, X: Any, dtype: type) -> Iterator[Any]:
    """Validate features block by block, so that no copy of the whole is made.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are compared.
    X, dtype
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
        yield as_matrix(estimator, X, dtype, reset=False)
        return
    for start in range(0, n_rows, _BLOCK_ROWS):
        stop = start + _BLOCK_ROWS
        block = X.iloc[start:stop] if hasattr(X, "iloc") else X[start:stop]
        yield as_matrix(estimator, block, dtype, reset=False)


def _is_cut_by_rows(X: Any) -> bool:
    if sparse.issparse(X):
        return X.format == "csr"
    return (isinstance(X, np.ndarray) and X.ndim == 2) or hasattr(X, "columns")


def _numbered(X: Any) -> Any:
    """Give numbers for names to the columns of a frame of which two share a name."""
    if is_frame(X) and not X.columns.is_unique:
        return X.set_axis(range(X.shape[1]), axis=1)
    return X


def _reject_times(X: Any) -> None:
    """Raise for dates and durations, which NumPy would turn into nanoseconds."""
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        dtypes = zip(X.columns, list(X.dtypes), strict=True)
        times = [str(name) for name, dtype in dtypes if _is_time(dtype)]
        what = f"X has columns that hold dates or times: {times}"
    else:
        dtype = getattr(X, "dtype", None)
        times = [str(dtype)] if _is_time(dtype) else []
        what = f"X holds dates or times, of dtype {dtype}"
    if times:
        raise ValueError(
            f"{what}. Turn them into numbers before the classifier, such as days since "
            "a date, weekday or hour."
        )


def _is_time(dtype: Any) -> bool:
    """Tell by the name, which pandas, polars and NumPy agree on."""
    return str(dtype).lower().startswith(("date", "time", "duration"))


def _frame_hint(X: Any) -> str | None:
    """Say which columns of a frame cannot be numbers, if that is what is wrong."""
    if not hasattr(X, "columns") or not hasattr(X, "__getitem__"):
        return None
    kinds = {str(name): _kind(X[name]) for name in X.columns}
    for kind, (what, cure) in _CURES.items():
        names = [name for name, found in kinds.items() if found == kind]
        if names:
            return f"X has columns that {what}: {names}. {cure.format(names)}"
    return None


_CURES = {
    "words": (
        "are not numeric",
        "Encode them before the classifier, for instance with make_column_transformer("
        "(OneHotEncoder(handle_unknown='ignore'), {}), remainder='passthrough').",
    ),
    "gaps": (
        "have missing values",
        "Fill them before the classifier, for instance with "
        "SimpleImputer(strategy='median').",
    ),
}


def _kind(column: Any) -> str:
    """Tell numbers from words and gaps."""
    try:
        numbers = np.asarray(column, dtype=np.float64)
    except (ValueError, TypeError):
        # nullable columns of numbers hold pandas.NA or None
        is_number = hasattr(column, "isna") and _converts(column[~column.isna()])
        return "gaps" if is_number else "words"
    return "gaps" if np.isnan(numbers).any() else "numbers"


def _converts(column: Any) -> bool:
    try:
        np.asarray(column, dtype=np.float64)
    except (ValueError, TypeError):
        return False
    return True


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

    Returns
    -------
    rows : Rows
    classes : ndarray of shape (n_classes,)
    """
    labels = as_labels(y)
    X = _numbered(X)
    frame = X if is_frame(X) else None
    X = as_matrix(estimator, X, dtype, reset=reset)
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
    return Rows(X, codes, weight, index, frame), classes


def _sorted_labels(labels: NDArray) -> NDArray:
    try:
        return np.unique(labels)
    except TypeError as error:
        raise ValueError(
            "y must have labels of one kind, all strings or all numbers, and none "
            f"missing: {error}."
        ) from error


def read_validation_rows(
    estimator: Any, X: Any, y: Any, classes: NDArray, dtype: type[np.floating]
) -> Rows | None:
    """Validate ``X_val`` and ``y_val``; None if neither is given."""
    if (X is None) != (y is None):
        raise ValueError("X_val and y_val belong together: give both or neither.")
    if X is None:
        return None
    labels = as_labels(y)
    X = as_matrix(estimator, X, dtype, reset=False)
    check_consistent_length(X, labels)
    codes = as_codes(labels, classes, "y_val")
    return Rows(X, codes, as_weights(None, X))

"""From what users hand over to a numeric matrix and class codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, validate_data


def as_matrix(estimator: Any, X: Any, dtype: type, *, reset: bool) -> Any:
    """Validate features.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_`` if `reset`, otherwise they
        are compared.
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


def _frame_hint(X: Any) -> str | None:
    """Say which columns of a frame cannot be numbers, if that is what is wrong."""
    if not hasattr(X, "columns") or not hasattr(X, "__getitem__"):
        return None
    words = [str(c) for c in X.columns if not _converts(X[c])]
    if words:
        return (
            f"X has columns that are not numeric: {words}. Encode them before the "
            "classifier, for instance with make_column_transformer((OneHotEncoder("
            f"handle_unknown='ignore'), {words}), remainder='passthrough')."
        )
    gaps = [str(c) for c in X.columns if np.isnan(np.asarray(X[c], dtype=float)).any()]
    if gaps:
        return (
            f"X has missing values in the columns {gaps}. Fill them before the "
            "classifier, for instance with SimpleImputer(strategy='median')."
        )
    return None


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
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError(
            "sample_weight is 0 for every row; no row is left to train on."
        )
    return weight


def as_codes(labels: NDArray, classes: NDArray, name: str = "y") -> NDArray[np.intp]:
    """Turn labels into positions in the sorted `classes`.

    Raises
    ------
    ValueError
        Naming the labels that are not among the classes.
    """
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(
            f"{name} has labels that are not in classes_: {unknown.tolist()}; known "
            f"are {classes.tolist()}."
        )
    return np.searchsorted(classes, labels)

"""From labels to classes and their codes; sample weights and groups, validated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight

from imbalnet._tables.levels import is_missing


def as_labels(y: Any, name: str = "y") -> NDArray:
    """Validate labels."""
    if y is None:
        raise ValueError(
            "requires y to be passed, but the target y is None: a classifier needs "
            "labels."
        )
    assert_all_finite(y, input_name=name)
    if type_of_target(y, input_name=name) in (
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
    """Return the sorted labels of all calls of ``partial_fit``.

    `classes` is the argument of this call; `known` is the result of the first call, and
    None in the first call.
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


def sorted_classes(labels: NDArray) -> NDArray:
    """Sort the distinct labels; raise if they cannot be compared."""
    try:
        return np.unique(labels)
    except TypeError as error:
        raise ValueError(
            "y must have labels of one kind, all strings or all numbers, and none "
            f"missing: {error}."
        ) from error


def as_codes(labels: NDArray, classes: NDArray, name: str = "y") -> NDArray[np.integer]:
    """Return the positions of labels in the sorted `classes`."""
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


def as_weights(sample_weight: Any, X: Any) -> NDArray[np.float64] | None:
    """Validate sample weights; None stays None."""
    if sample_weight is None:
        return None
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError(
            "sample_weight is 0 for every row; no row is left to train on."
        )
    return weight


def as_groups(groups: Any, X: Any) -> NDArray[np.integer] | None:
    """Replace the labels of groups by numbers from 0; None stays None."""
    if groups is None:
        return None
    labels = np.asarray(column_or_1d(groups, warn=True))
    if len(labels) != X.shape[0]:
        raise ValueError(
            f"groups must have a group for each row of X, but has {len(labels)} values "
            f"for {X.shape[0]} rows."
        )
    is_missing = _is_missing(labels)
    if is_missing.any():
        raise ValueError(
            f"groups has {is_missing.sum()} missing values (the first in row "
            f"{is_missing.argmax()}): give each of these rows a group, such as one of "
            "its own."
        )
    if labels.dtype != object:
        return np.unique(labels, return_inverse=True)[1]
    numbers: dict[Any, int] = {}  # labels of several kinds cannot be sorted
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels])


def _is_missing(labels: NDArray) -> NDArray[np.bool_]:
    if labels.dtype.kind in "fcmM":
        return np.isnat(labels) if labels.dtype.kind in "mM" else np.isnan(labels)
    if labels.dtype == object:
        # NumPy's NaT, which is no level, differs from itself too
        is_gap = [is_missing(label) or bool(label != label) for label in labels]
        return np.array(is_gap, dtype=bool)
    return np.zeros(len(labels), dtype=bool)

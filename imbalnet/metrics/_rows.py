"""What figures of two classes are given: labels, validated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._tables.labels import as_labels


def as_positive(y_true: ArrayLike, pos_label: Any = None) -> NDArray[np.bool_]:
    """Return which rows are positive; booleans are taken as they are.

    Raises
    ------
    ValueError
        If there are other than two labels and none is named, or none of that name.
    """
    labels = as_labels(y_true, "y_true")
    if labels.dtype == bool and pos_label is None:
        return labels
    return labels == two_labels(labels, pos_label)[1]


def two_labels(labels: NDArray, pos_label: Any = None) -> NDArray:
    """Return the negative and the positive label of two.

    Raises
    ------
    ValueError
        If there are other than two, or if `pos_label` is none of them.
    """
    classes = np.unique(labels)
    if len(classes) != 2:
        raise ValueError(
            f"y_true must hold two classes, but holds {len(classes)}: "
            f"{classes[:6].tolist()}. For more, or rows of one class alone, give "
            "y_true == label and the scores of that label."
        )
    if pos_label is None:
        return classes
    if pos_label not in classes.tolist():
        raise ValueError(
            f"pos_label={pos_label!r} is none of the labels {classes.tolist()}."
        )
    return np.array([*classes[classes != pos_label], pos_label], dtype=classes.dtype)

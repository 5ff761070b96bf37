"""Mutual information of single columns with the classes, for the initial gates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# float64 represents every whole number up to this one.
_LARGEST_COUNT = 2**53


def mutual_information(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate the mutual information of a column's bins and the classes, in nats.

    The bias of the plug-in estimate, ``(bins - 1) * (classes - 1) / (2 * rows)``
    (Miller 1955), is subtracted, and negative results become 0. The last two axes of
    `counts`, which are sums of row weights, are bins and classes.
    """
    total = counts.sum((-2, -1), keepdims=True)
    joint = counts / np.where(total > 0, total, 1.0)
    independent = joint.sum(-1, keepdims=True) * joint.sum(-2, keepdims=True)
    ratio = np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0)
    information = (joint * np.log(ratio)).sum((-2, -1))
    n_bins = (counts.sum(-1) > 0).sum(-1)
    n_classes = (counts.sum(-2) > 0).sum(-1)
    freedom = np.maximum(n_bins - 1, 0) * np.maximum(n_classes - 1, 0)
    bias = freedom / (2 * np.maximum(total[..., 0, 0], 1.0))
    return np.maximum(information - bias, 0.0)


def class_counts(
    bins: NDArray[np.integer],
    n_bins: int,
    y: NDArray[np.integer],
    n_classes: int,
    weight: NDArray[np.floating],
    folds: NDArray[np.integer] | None,
    n_folds: int,
) -> NDArray[np.float64]:
    """Sum weights by bin and class over the rows outside each fold.

    Rows in the bin -1, which are gaps, are not counted. Rows of the fold -1, and all
    rows if `folds` is None, are outside every fold. The result has the shape
    (n_folds, n_bins, n_classes).
    """
    fold = np.zeros(len(y), dtype=np.int64) if folds is None else folds + 1
    is_present = bins >= 0
    place = (fold.astype(np.int64) * n_bins + bins) * n_classes + y
    size = (n_folds + 1) * n_bins * n_classes
    of_folds = np.bincount(place[is_present], weight[is_present], minlength=size)
    of_folds = of_folds.reshape(n_folds + 1, n_bins, n_classes)
    if folds is None:
        return np.repeat(of_folds[:1], n_folds, axis=0)
    # not the total minus the fold, whose rounding error depends on the fold's classes
    return np.stack([np.delete(of_folds, j + 1, axis=0).sum(0) for j in range(n_folds)])


def weight_of_a_row(weight: NDArray[np.floating]) -> float:
    """Return the weight that counts as one row.

    Whole numbers are taken for counts of rows, and the result is their greatest common
    divisor. For other weights it is the mean.
    """
    whole = np.rint(weight)
    if np.array_equal(whole, weight) and whole.max() < _LARGEST_COUNT:
        return float(np.gcd.reduce(whole.astype(np.int64)))
    return float(weight.mean())

"""How much single columns tell of the classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Up to which a float64 holds every whole number.
_LARGEST_COUNT = 2**53


def mutual_information(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the mutual information of a column's bins and the classes, in nats.

    The bias that chance agreement has in the mean is taken off: ``(bins - 1) *
    (classes - 1) / (2 * rows)`` (Miller 1955); what is left is at least 0.

    Parameters
    ----------
    counts : ndarray of shape (..., n_bins, n_classes)
        Weights of the rows of each bin and class.

    Returns
    -------
    ndarray of shape (...)

    Examples
    --------
    >>> import numpy as np
    >>> mutual_information(np.array([[500.0, 0.0], [0.0, 500.0]])).round(3)
    np.float64(0.693)
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
    """Count, for each fold, the classes in a column's bins over the other folds' rows.

    Parameters
    ----------
    bins : ndarray of shape (n_rows,)
        The bin of each row; -1 is a gap, which is not counted.
    n_bins : int
    y : ndarray of shape (n_rows,)
        Class codes.
    n_classes : int
    weight : ndarray of shape (n_rows,)
    folds : ndarray of shape (n_rows,) or None
        The fold of each row; None counts all rows for each fold.
    n_folds : int

    Returns
    -------
    ndarray of shape (n_folds, n_bins, n_classes)
    """
    fold = np.zeros(len(y), dtype=np.int64) if folds is None else folds
    is_there = bins >= 0
    place = (fold.astype(np.int64) * n_bins + bins) * n_classes + y
    size = n_folds * n_bins * n_classes
    held = np.bincount(place[is_there], weight[is_there], minlength=size)
    held = held.reshape(n_folds, n_bins, n_classes)
    if folds is None:
        return np.repeat(held[:1], n_folds, axis=0)
    # not the total less the fold: what is rounded would know the fold's classes
    return np.stack([np.delete(held, j, axis=0).sum(0) for j in range(n_folds)])


def weight_of_a_row(weight: NDArray[np.floating]) -> float:
    """Give the unit of sample weights: what one row weighs.

    Weights of whole numbers count rows: their unit is the greatest common divisor, and
    a weight of 2 beside one of 1 is a row that stands there twice. The unit of others
    is their mean.

    Parameters
    ----------
    weight : ndarray of shape (n_rows,)

    Examples
    --------
    >>> import numpy as np
    >>> weight_of_a_row(np.array([10.0, 20.0])), weight_of_a_row(np.array([0.1, 0.3]))
    (10.0, 0.2)
    """
    whole = np.rint(weight)
    if np.array_equal(whole, weight) and whole.max() < _LARGEST_COUNT:
        return float(np.gcd.reduce(whole.astype(np.int64)))
    return float(weight.mean())

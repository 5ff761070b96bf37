"""Average precision, by which training chooses the best epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import as_floats, checked_weights
from imbalnet.metrics._rows import (
    check_finite,
    check_rows,
    labels_of_rows,
    present_classes,
)


def macro_average_precision(
    codes: NDArray[np.integer],
    scores: NDArray,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute average precision; for several classes, the mean of one-vs-rest.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,)
        Class codes of the rows. Of two classes the second one is positive.
    scores : ndarray of shape (n_rows, n_classes)
        Scores of the classes; higher means more likely.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows; None means equal weights.

    Returns
    -------
    float
        Between 0 and 1. The mean is over the classes that occur in `codes`, in rows of
        weight above 0. For two classes without such rows of the second it is 0.

    Raises
    ------
    ValueError
        If `scores` are not finite, or if the arrays do not fit together.

    See Also
    --------
    sklearn.metrics.average_precision_score : The same for one class.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.metrics import macro_average_precision
    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    >>> macro_average_precision(np.array([0, 1, 0]), scores)
    1.0
    """
    scores = as_floats("scores", scores)
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(
            "scores must have shape (n_rows, n_classes), as predict_proba gives them, "
            f"but have shape {scores.shape}."
        )
    codes = _checked_codes(codes, *scores.shape)
    weight = checked_weights(sample_weight, len(codes))
    return mean_average_precision(codes, scores, weight)


def _checked_codes(codes: Any, n_rows: int, n_classes: int) -> NDArray[np.integer]:
    """Return the codes of classes, or raise."""
    checked = labels_of_rows(codes, "codes")
    check_rows("scores", n_rows, "codes", len(checked))
    is_code = checked.dtype.kind in "biu" and 0 <= checked.min() <= checked.max()
    if not is_code or checked.max() >= n_classes:
        raise ValueError(
            f"codes must be columns of scores, from 0 to {n_classes - 1}, but hold "
            f"{np.unique(checked)[:6].tolist()}."
        )
    return checked


def mean_average_precision(
    codes: NDArray[np.integer], scores: NDArray, weight: NDArray
) -> float:
    """Compute :func:`macro_average_precision` without checks of shapes.

    If all weights are 0, which those of validation rows may be, the result is 0.
    """
    check_finite("scores", scores)
    present, _ = present_classes(codes.astype(np.intp), weight)
    if not len(present):
        return 0.0
    scored = [1] if scores.shape[1] == 2 else present
    of_classes = (RankedRows(scores[:, c], codes == c).counts(weight) for c in scored)
    return float(np.mean([average_precision_of_counts(*of) for of in of_classes]))


class RankedRows:
    """Rows by descending score, which are counted with many different weights.

    They are sorted only once, which makes hundreds of bootstrap resamples affordable.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Scores of the positive class.
    is_positive : ndarray of bool, shape (n_rows,)
        Which rows are of this class.
    """

    def __init__(self, scores: NDArray, is_positive: NDArray[np.bool_]) -> None:
        self.order = np.argsort(-scores, kind="stable")
        self.is_positive = is_positive[self.order]
        self.is_last = np.append(np.diff(scores[self.order]) != 0, True)

    def counts(self, weight: NDArray) -> tuple[NDArray, NDArray]:
        """Return the weight of positive rows, and of all rows, down to each score."""
        weight = weight[self.order]
        hits = np.cumsum(weight * self.is_positive)[self.is_last]
        return hits, np.cumsum(weight)[self.is_last]


def precision_of_counts(hits: NDArray, called: NDArray) -> NDArray:
    """Return the precision down to each score."""
    return hits / np.where(called > 0, called, 1.0)


def average_precision_of_counts(hits: NDArray, called: NDArray) -> float:
    """Return average precision; 0 without positive rows.

    Equals scikit-learn's average_precision_score, whose checks take longer than the
    score of the few validation rows of an epoch: 2.0 ms against 0.1 ms for 600 rows.
    """
    if hits[-1] == 0:
        return 0.0
    precision = precision_of_counts(hits, called)
    return np.diff(hits, prepend=0.0) @ precision / hits[-1]

"""Scores for imbalanced data, by which training chooses its best epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["macro_average_precision"]


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
        Between 0 and 1. The mean is over the classes that occur in `codes`. For two
        classes without rows of the second it is 0.

    Raises
    ------
    ValueError
        If `scores` are not finite.

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
    scores = np.asarray(scores)
    if not np.isfinite(scores).all():
        raise ValueError("scores hold NaN or infinite values, which have no rank.")
    weight = np.ones(len(codes)) if sample_weight is None else np.asarray(sample_weight)
    scored = [1] if scores.shape[1] == 2 else np.unique(codes)
    values = [_average_precision(codes == c, scores[:, c], weight) for c in scored]
    return float(np.mean(values))


def _average_precision(
    is_positive: NDArray[np.bool_], scores: NDArray, weight: NDArray
) -> float:
    # Equals scikit-learn's average_precision_score, whose checks take longer than the
    # score of the few validation rows of an epoch: 2.0 ms against 0.1 ms for 600 rows.
    order = np.argsort(-scores, kind="stable")
    scores, weight = scores[order], weight[order]
    at_threshold = np.flatnonzero(np.append(np.diff(scores) != 0, True))
    hits = np.cumsum(weight * is_positive[order])[at_threshold]
    called = np.cumsum(weight)[at_threshold]
    if hits[-1] == 0:
        return 0.0
    precision = hits / np.where(called > 0, called, 1.0)
    return np.diff(hits, prepend=0.0) @ precision / hits[-1]

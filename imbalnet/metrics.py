"""Scores for imbalanced data."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score


def macro_average_precision(
    codes: NDArray[np.integer],
    scores: NDArray,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Average precision; with several classes the mean of one-vs-rest.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,)
        Class codes; two classes are scored by the second.
    scores : ndarray of shape (n_rows, n_classes)
        Higher means more likely.
    sample_weight : array-like of shape (n_rows,), default=None

    Returns
    -------
    float
        Between 0 and 1; the mean goes over the classes that occur in `codes`.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.metrics import macro_average_precision
    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    >>> macro_average_precision(np.array([0, 1, 0]), scores)
    1.0
    """
    scored = [1] if scores.shape[1] == 2 else np.unique(codes)
    values = [
        average_precision_score(codes == c, scores[:, c], sample_weight=sample_weight)
        for c in scored
    ]
    return float(np.mean(values))

"""Figures of many bootstrap resamples at once, for the intervals of a report.

The figures themselves come from :mod:`imbalnet.metrics`. Here they are taken by counts
of sorted rows, which is what makes hundreds of resamples affordable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbalnet.metrics import bootstrap_weights
from imbalnet.report.scored_rows import ScoredRows

# Rows times classes times resamples that a report may cost, and how many resamples its
# intervals are made of. Standard errors of 50 resamples are within 10 %.
_AFFORDABLE = 2e7
_FEWEST, _MOST = 50, 200


class _Ranking:
    """Average precision and ROC-AUC of one class, from counts of the rows."""

    def __init__(self, is_positive: NDArray[np.bool_], scores: NDArray) -> None:
        self.order = np.argsort(-scores, kind="stable")
        self.is_positive = is_positive[self.order]
        self.is_last = np.append(np.diff(scores[self.order]) != 0, True)

    def figures(self, weight: NDArray[np.float64]) -> tuple[float, float]:
        weight = weight[self.order]
        called = np.cumsum(weight)[self.is_last]
        hits = np.cumsum(weight * self.is_positive)[self.is_last]
        alarms = called - hits
        found = np.diff(hits, prepend=0.0)
        precision = hits / np.where(called > 0, called, 1.0)
        area = np.diff(alarms, prepend=0.0) @ (hits - found / 2)
        return found @ precision / hits[-1], area / (hits[-1] * alarms[-1])


def resampled_figures(rows: ScoredRows, random_state: int = 0) -> NDArray[np.float64]:
    """Compute figures of bootstrap resamples, each class drawn for itself.

    Returns
    -------
    ndarray of shape (n_resamples, 5)
        Average precision, ROC-AUC (for several classes the means of one against the
        rest), log-loss, Brier score and Brier skill.
    """
    cost = len(rows.codes) * (1 if rows.is_binary else rows.n_classes)
    n_resamples = int(np.clip(_AFFORDABLE / cost, _FEWEST, _MOST))
    judged = [1] if rows.is_binary else np.flatnonzero(rows.counts)
    rankings = [_Ranking(rows.codes == c, rows.probabilities[:, c]) for c in judged]
    truth = np.eye(rows.n_classes)[rows.codes]
    squares = ((rows.probabilities - truth) ** 2).sum(axis=1)
    squares /= 2 if rows.is_binary else 1  # as scikit-learn scales it
    own = np.take_along_axis(rows.probabilities, rows.codes[:, None], axis=1)[:, 0]
    losses = np.column_stack([-np.log(np.maximum(own, np.finfo(float).eps)), squares])
    found = []
    for counts in bootstrap_weights(rows.codes, n_resamples, random_state=random_state):
        weight = counts * rows.weight
        precision, area = np.mean([r.figures(weight) for r in rankings], axis=0)
        log_loss, brier = weight @ losses / weight.sum()
        prior = weight @ truth / weight.sum()
        chance = (prior * (1 - prior)).sum() / (2 if rows.is_binary else 1)
        found.append([precision, area, log_loss, brier, 1 - brier / chance])
    return np.array(found)

"""Figures of bootstrap resamples, for the intervals of a report.

They equal those of :mod:`imbalnet.metrics`, but are computed from weighted counts of
rows that are sorted only once, which makes hundreds of resamples affordable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbalnet.metrics import bootstrap_weights
from imbalnet.metrics.average_precision import (
    RankedRows,
    average_precision_of_counts,
)
from imbalnet.report.scored_rows import ScoredRows

# Limit of rows times classes times resamples, and the limits of the resamples. The
# relative error of a standard error from 50 resamples is 10 %.
_AFFORDABLE = 2e7
_FEWEST, _MOST = 50, 200


def _ranking_figures(ranked: RankedRows, weight: NDArray) -> tuple[float, float]:
    """Return average precision and ROC-AUC."""
    hits, called = ranked.counts(weight)
    alarms = called - hits
    found = np.diff(hits, prepend=0.0)
    area = np.diff(alarms, prepend=0.0) @ (hits - found / 2)
    return average_precision_of_counts(hits, called), area / (hits[-1] * alarms[-1])


def resampled_figures(rows: ScoredRows) -> NDArray[np.float64]:
    """Compute figures of bootstrap resamples, which are stratified by class.

    Returns
    -------
    ndarray of shape (n_resamples, 5)
        Average precision, ROC-AUC (for several classes the means of one against the
        rest), log-loss, Brier score and Brier skill.
    """
    cost = len(rows.codes) * (1 if rows.is_binary else rows.n_classes)
    n_resamples = int(np.clip(_AFFORDABLE / cost, _FEWEST, _MOST))
    ranked = [1] if rows.is_binary else np.flatnonzero(rows.counts)
    rankings = [RankedRows(rows.probabilities[:, c], rows.codes == c) for c in ranked]
    truth = np.eye(rows.n_classes)[rows.codes]
    squares = ((rows.probabilities - truth) ** 2).sum(axis=1)
    squares /= 2 if rows.is_binary else 1  # as scikit-learn scales it
    own = np.take_along_axis(rows.probabilities, rows.codes[:, None], axis=1)[:, 0]
    losses = np.column_stack([-np.log(np.maximum(own, np.finfo(float).eps)), squares])
    found = []
    for counts in bootstrap_weights(rows.codes, n_resamples, random_state=0):
        weight = counts * rows.weight
        of_classes = [_ranking_figures(ranking, weight) for ranking in rankings]
        precision, area = np.mean(of_classes, axis=0)
        log_loss, brier = weight @ losses / weight.sum()
        prior = weight @ truth / weight.sum()
        chance = (prior * (1 - prior)).sum() / (2 if rows.is_binary else 1)
        found.append([precision, area, log_loss, brier, 1 - brier / chance])
    return np.array(found)

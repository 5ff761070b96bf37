"""Metrics for imbalanced data: ranking, probabilities, costs, confidence intervals.

:data:`SCORERS` maps names to scorers for ``scoring=``; :func:`get_scorer` sets their
parameters.
"""

from imbalnet.metrics.average_precision import macro_average_precision
from imbalnet.metrics.costs import mean_cost
from imbalnet.metrics.intervals import (
    Interval,
    bootstrap_interval,
    bootstrap_weights,
    paired_interval,
)
from imbalnet.metrics.probabilities import (
    brier_skill_score,
    calibration_error,
    calibration_noise,
)
from imbalnet.metrics.ranking import (
    average_precision_lift,
    lift_at_k,
    precision_at_k,
    recall_at_fpr,
    recall_at_k,
    recall_at_precision,
)
from imbalnet.metrics.scorers import SCORERS, ClassifierScorer, get_scorer

__all__ = [
    "SCORERS",
    "ClassifierScorer",
    "Interval",
    "average_precision_lift",
    "bootstrap_interval",
    "bootstrap_weights",
    "brier_skill_score",
    "calibration_error",
    "calibration_noise",
    "get_scorer",
    "lift_at_k",
    "macro_average_precision",
    "mean_cost",
    "paired_interval",
    "precision_at_k",
    "recall_at_fpr",
    "recall_at_k",
    "recall_at_precision",
]


def __dir__() -> list[str]:
    return sorted(__all__)

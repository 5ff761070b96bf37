"""Thresholds and prediction sets, chosen on held-out rows.

The estimator's parameter ``threshold`` accepts the criteria of
:func:`choose_threshold`, and applies them to the out-of-fold rows. The function can be
used with any classifier. :func:`conformal_thresholds` returns the thresholds of
prediction sets.
"""

from imbalnet.decisions.criteria import (
    CRITERIA,
    AlertShare,
    Counts,
    FBeta,
    LeastCost,
    PrecisionAtLeast,
    RecallAtLeast,
)
from imbalnet.decisions.sets import conformal_thresholds
from imbalnet.decisions.threshold import choose_threshold, threshold_counts

__all__ = [
    "CRITERIA",
    "AlertShare",
    "Counts",
    "FBeta",
    "LeastCost",
    "PrecisionAtLeast",
    "RecallAtLeast",
    "choose_threshold",
    "conformal_thresholds",
    "threshold_counts",
]


def __dir__() -> list[str]:
    return sorted(__all__)

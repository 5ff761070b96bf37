"""From probabilities to decisions, by held-out rows.

The estimator's parameter ``threshold`` takes what :func:`choose_threshold` takes, and
uses its own out-of-fold rows. The function serves other classifiers.
:func:`conformal_thresholds` makes sets of classes instead of a decision for one.
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

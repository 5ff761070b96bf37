"""From probabilities to decisions: thresholds for a purpose, by held-out rows.

The estimator's parameter ``threshold`` takes what :func:`choose_threshold` takes, and
uses its own out-of-fold rows. The function serves other classifiers.
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
    "threshold_counts",
]

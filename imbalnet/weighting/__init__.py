"""Class weights from class counts, and what they do (NumPy only)."""

from imbalnet.weighting.report import MAX_USEFUL_RATIO, WeightReport, explain_weights
from imbalnet.weighting.weights import ClassWeight, class_weights

__all__ = [
    "MAX_USEFUL_RATIO",
    "ClassWeight",
    "WeightReport",
    "class_weights",
    "explain_weights",
]

"""Plots for imbalanced classification, as scikit-learn displays.

Most displays take any classifier with ``predict_proba`` and rows it was not trained on,
or labels and probabilities, or the out-of-fold predictions of
:class:`~imbalnet.BalancedNeuralClassifier`. They need matplotlib:
``pip install imbalnet[plots]``.
"""

from imbalnet.plots.counts import ClassCountsDisplay
from imbalnet.plots.history import HistoryDisplay
from imbalnet.plots.importance import ColumnImportanceDisplay
from imbalnet.plots.precision_recall import PrecisionRecallCurve, PrecisionRecallDisplay
from imbalnet.plots.reliability import ReliabilityCurve, ReliabilityDisplay
from imbalnet.plots.report import ReportDisplay
from imbalnet.plots.scores import ScoreDistribution, ScoreDistributionDisplay
from imbalnet.plots.thresholds import ThresholdCurve, ThresholdDisplay

__all__ = [
    "ClassCountsDisplay",
    "ColumnImportanceDisplay",
    "HistoryDisplay",
    "PrecisionRecallCurve",
    "PrecisionRecallDisplay",
    "ReliabilityCurve",
    "ReliabilityDisplay",
    "ReportDisplay",
    "ScoreDistribution",
    "ScoreDistributionDisplay",
    "ThresholdCurve",
    "ThresholdDisplay",
]


def __dir__() -> list[str]:
    return sorted(__all__)

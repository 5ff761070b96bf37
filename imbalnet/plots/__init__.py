"""Pictures of what matters with rare classes, in scikit-learn's Display convention.

Each display takes any classifier with ``predict_proba`` and rows it was not trained on,
or labels and probabilities, or the out-of-fold predictions of
:class:`~imbalnet.BalancedNeuralClassifier`. They need matplotlib:
``pip install imbalnet[plots]``.
"""

from imbalnet.plots.precision_recall import PrecisionRecallCurve, PrecisionRecallDisplay
from imbalnet.plots.reliability import ReliabilityCurve, ReliabilityDisplay
from imbalnet.plots.scores import ScoreDistribution, ScoreDistributionDisplay

__all__ = [
    "PrecisionRecallCurve",
    "PrecisionRecallDisplay",
    "ReliabilityCurve",
    "ReliabilityDisplay",
    "ScoreDistribution",
    "ScoreDistributionDisplay",
]

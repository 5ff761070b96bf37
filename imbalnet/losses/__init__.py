"""Losses on logits, each with its inverse link.

A loss here takes ``(logits, target)`` and gives one value a row; the net alone weighs
and reduces. What training with it makes of the class posterior is undone by
``log_posterior``.
"""

from imbalnet.losses._build import LOSSES, build_loss
from imbalnet.losses.base import ClassShares, Loss
from imbalnet.losses.cross_entropy import CriterionLoss, CrossEntropy
from imbalnet.losses.focal import Asymmetric, Focal, Poly1, PolyFocal
from imbalnet.losses.margin import LDAM, BalancedSoftmax, LogitAdjusted, VectorScaling
from imbalnet.losses.ranking import AveragePrecision
from imbalnet.losses.start import constant_minimiser

__all__ = [
    "LDAM",
    "LOSSES",
    "Asymmetric",
    "AveragePrecision",
    "BalancedSoftmax",
    "ClassShares",
    "CriterionLoss",
    "CrossEntropy",
    "Focal",
    "LogitAdjusted",
    "Loss",
    "Poly1",
    "PolyFocal",
    "VectorScaling",
    "build_loss",
    "constant_minimiser",
]

"""Losses on logits, each with its inverse link.

A loss returns one value for each row. Its inverse link converts the logits of a trained
network to the class posterior under a known prior. :mod:`imbalnet._fit` minimises the
loss, and :mod:`imbalnet._predict` applies the inverse link.
"""

from imbalnet.losses._build import LOSSES
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
    "constant_minimiser",
]


def __dir__() -> list[str]:
    return sorted(__all__)

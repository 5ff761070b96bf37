"""Losses on logits, each with its inverse link.

This room says what a network is trained towards. A loss gives one value a row, and
states which class posterior the trained logits stand for, and under which prior.
:mod:`imbalnet._fit` trains with it, :mod:`imbalnet._predict` inverts it.
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

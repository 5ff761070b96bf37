"""Fitted classifiers outside of this package: torch modules, ONNX, skl2onnx.

This room makes one torch module of a network and of the formula that turns its logits
into probabilities, and an ONNX graph of that module. The estimator's methods
``to_torch`` and ``to_onnx`` are :class:`ExportMixin`'s.
"""

from imbalnet.export.mixin import ExportMixin
from imbalnet.export.probability_module import ProbabilityModule
from imbalnet.export.skl2onnx import register_skl2onnx

__all__ = ["ExportMixin", "ProbabilityModule", "register_skl2onnx"]


def __dir__() -> list[str]:
    return sorted(__all__)

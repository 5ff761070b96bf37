"""Export of fitted classifiers to torch modules, ONNX and skl2onnx.

:class:`ProbabilityModule` combines a network with the formula from logits to
probabilities, and is the source of ONNX graphs. :class:`ExportMixin` has the
estimator's methods ``to_torch`` and ``to_onnx``.
"""

from imbalnet.export.mixin import ExportMixin
from imbalnet.export.probability_module import ProbabilityModule
from imbalnet.export.skl2onnx import register_skl2onnx

__all__ = ["ExportMixin", "ProbabilityModule", "register_skl2onnx"]


def __dir__() -> list[str]:
    return sorted(__all__)

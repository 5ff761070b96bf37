"""Networks for tabular data, and the interface that the estimator expects of them.

Networks take raw columns: their first layers standardise or embed numbers and encode
categories. The estimator builds them by name, from ``NETWORKS``.
"""

from collections.abc import Callable

from torch import nn

from imbalnet.networks.base import Network, as_logits, is_split, network_of
from imbalnet.networks.layers.categories import OneHot
from imbalnet.networks.layers.cosine import CosineLinear
from imbalnet.networks.layers.dropout import ByteDropout
from imbalnet.networks.layers.embeddings import PiecewiseLinearEncoding, RobustScale
from imbalnet.networks.layers.mixed import MixedInput
from imbalnet.networks.layers.standardize import FillMissing, Standardize
from imbalnet.networks.linear import LinearModel
from imbalnet.networks.members import Members
from imbalnet.networks.mlp import ACTIVATIONS, MLP
from imbalnet.networks.resnet import ResidualBlock, ResNet
from imbalnet.networks.tabm import TabM
from imbalnet.networks.tabular import TabularMLP

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "linear": LinearModel,
    "mlp": MLP,
    "resnet": ResNet,
    "tabm": TabM,
    "tabular": TabularMLP,
}

# Modules that draw no random numbers in training, so that fits need not seed torch.
DETERMINISTIC = (
    CosineLinear,
    FillMissing,
    LinearModel,
    MLP,
    MixedInput,
    OneHot,
    Members,
    ResNet,
    ResidualBlock,
    Standardize,
    nn.Identity,
    nn.LayerNorm,
    nn.Linear,
    nn.ModuleList,
    nn.Sequential,
    *ACTIVATIONS.values(),
)

__all__ = [
    "DETERMINISTIC",
    "MLP",
    "NETWORKS",
    "ByteDropout",
    "CosineLinear",
    "FillMissing",
    "LinearModel",
    "Members",
    "Network",
    "OneHot",
    "PiecewiseLinearEncoding",
    "ResNet",
    "RobustScale",
    "Standardize",
    "TabM",
    "TabularMLP",
    "as_logits",
    "is_split",
    "network_of",
]


def __dir__() -> list[str]:
    return sorted(__all__)

"""Networks for tabular data; their first layers preprocess."""

from collections.abc import Callable

from torch import nn

from imbalnet.networks.layers.categories import MixedInput, OneHot
from imbalnet.networks.layers.cosine import CosineLinear
from imbalnet.networks.layers.dropout import ByteDropout
from imbalnet.networks.layers.embeddings import PiecewiseLinearEncoding, RobustScale
from imbalnet.networks.layers.standardize import FillMissing, Standardize
from imbalnet.networks.linear import LinearModel
from imbalnet.networks.members import Members, is_split
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

# Modules that draw no random numbers in training.
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
    "OneHot",
    "PiecewiseLinearEncoding",
    "ResNet",
    "RobustScale",
    "Standardize",
    "TabM",
    "TabularMLP",
    "is_split",
]

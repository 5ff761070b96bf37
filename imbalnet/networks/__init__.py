"""Networks for tabular data; their first layers preprocess."""

from collections.abc import Callable

from torch import nn

from imbalnet.networks.categories import MixedInput, OneHot
from imbalnet.networks.cosine import CosineLinear
from imbalnet.networks.linear import LinearModel
from imbalnet.networks.mlp import ACTIVATIONS, MLP
from imbalnet.networks.preprocessing import FillMissing, Standardize

NETWORKS: dict[str, Callable[..., nn.Module]] = {"linear": LinearModel, "mlp": MLP}

# Modules that draw no random numbers in training.
DETERMINISTIC = (
    CosineLinear,
    FillMissing,
    LinearModel,
    MLP,
    MixedInput,
    OneHot,
    Standardize,
    nn.Identity,
    nn.Linear,
    nn.Sequential,
    *ACTIVATIONS.values(),
)

__all__ = [
    "DETERMINISTIC",
    "MLP",
    "NETWORKS",
    "CosineLinear",
    "FillMissing",
    "LinearModel",
    "OneHot",
    "Standardize",
]

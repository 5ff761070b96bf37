"""Networks for tabular data; their first layers preprocess."""

from collections.abc import Callable

from torch import nn

from imbalnet.networks.cosine import CosineLinear
from imbalnet.networks.linear import LinearModel
from imbalnet.networks.members import Members, is_split
from imbalnet.networks.mlp import ACTIVATIONS, MLP
from imbalnet.networks.preprocessing import Standardize

NETWORKS: dict[str, Callable[..., nn.Module]] = {"linear": LinearModel, "mlp": MLP}

# Modules that draw no random numbers in training.
DETERMINISTIC = (
    CosineLinear,
    LinearModel,
    MLP,
    Members,
    Standardize,
    nn.Identity,
    nn.Linear,
    nn.ModuleList,
    nn.Sequential,
    *ACTIVATIONS.values(),
)

__all__ = [
    "DETERMINISTIC",
    "MLP",
    "NETWORKS",
    "CosineLinear",
    "LinearModel",
    "Members",
    "Standardize",
    "is_split",
]

"""Linear layers with weights for each member of an ensemble."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imbalnet.networks.layers.cosine import CosineLinear

# With a multiple of so many columns, a product treats all rows alike.
_ALIGNED = 4


class MemberLinear(nn.Module):
    """A linear layer for each member.

    **Shape**

    - input: ``(n_members, batch, in_features)``
    - output: ``(n_members, batch, out_features)``

    The weights start with the standard deviation ``gain / sqrt(in_features)``.
    """

    def __init__(
        self, n_members: int, in_features: int, out_features: int, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.out_features = out_features
        weight = torch.randn(n_members, in_features, out_features)
        self.weight = nn.Parameter(weight * gain / math.sqrt(max(in_features, 1)))
        self.bias = nn.Parameter(torch.zeros(n_members, 1, out_features))

    def forward(self, h: Tensor) -> Tensor:
        """Apply each member's layer to its rows."""
        if self.training or not self.out_features % _ALIGNED:
            return torch.baddbmm(self.bias, h, self.weight)
        logits = torch.baddbmm(aligned(self.bias), h, aligned(self.weight))
        return logits[..., : self.out_features]


class MemberCosineLinear(CosineLinear):
    """Cosines, as :class:`CosineLinear`, with directions for each member.

    **Shape**

    - input: ``(n_members, batch, in_features)``
    - output: ``(n_members, batch, out_features)``, from -1 to 1
    """

    def __init__(self, n_members: int, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.out_features = out_features
        self.weight = nn.Parameter(torch.randn(n_members, in_features, out_features))

    def forward(self, h: Tensor) -> Tensor:
        """Compute the cosines of each member's rows."""
        directions = aligned(F.normalize(self.weight, dim=1))
        return torch.bmm(F.normalize(h, dim=-1), directions)[..., : self.out_features]

    def extra_repr(self) -> str:
        """Return the parameters for the representation."""
        n_members, in_features, out_features = self.weight.shape
        return f"{n_members=}, {in_features=}, {out_features=}"


def aligned(matrix: Tensor) -> Tensor:
    """Add columns of zeros, up to a multiple of four.

    On a CPU, the order of a product's sums depends on whether a row begins at a
    multiple of 16 bytes: a row's bits would depend on the rows around it.
    """
    return F.pad(matrix, (0, -matrix.shape[-1] % _ALIGNED))

"""Linear layers with weights for each member of an ensemble."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imbalnet.networks.layers.cosine import CosineLinear

# Matrices are padded to a multiple of so many columns, see `aligned`.
_ALIGNED = 4


class MemberLinear(nn.Module):
    """A linear layer for each member.

    **Shape**

    - input: ``(n_members, batch, in_features)``
    - output: ``(n_members, batch, out_features)``

    The initial weights have the standard deviation ``gain / sqrt(in_features)``.

    Attributes
    ----------
    within : tuple of int, or None
        If these are some of the members of a larger layer: the position of the first
        one there, and the number of all members. Gradients then have the same bits as
        those of the larger layer.
    """

    within: tuple[int, int] | None = None

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
            bias = self.bias
            if self.training and self.within is not None:
                bias = _BiasOfSome.apply(bias, h.shape[1], *self.within)
            return torch.baddbmm(bias, h, self.weight)
        logits = torch.baddbmm(aligned(self.bias), h, aligned(self.weight))
        return logits[..., : self.out_features]


class _BiasOfSome(torch.autograd.Function):
    """The bias of some members, with the same bits in its gradient as with all members.

    The order in which torch sums over the batch depends on the number of sums that are
    side by side in memory. If the axis of members follows that of the batch, these are
    the sums of all members.
    """

    @staticmethod
    def forward(
        ctx: Any, bias: Tensor, n_rows: int, first: int, n_members: int
    ) -> Tensor:
        ctx.place = first, n_members
        return bias.expand(-1, n_rows, -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        first, n_members = ctx.place
        n_own, n_rows, width = grad.shape
        if grad.stride(0) < grad.stride(1):
            whole = grad.new_zeros(n_rows, n_members, width).transpose(0, 1)
            whole[first : first + n_own] = grad
            total = whole.sum(1, keepdim=True)[first : first + n_own]
        else:
            total = grad.sum(1, keepdim=True)
        return total, None, None, None


class MemberCosineLinear(CosineLinear):
    """A :class:`CosineLinear` layer for each member.

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

    On a CPU, the order of the sums in a matrix product depends on whether a row begins
    at a multiple of 16 bytes. Without padding, the result for a row would depend on its
    position in the batch in the last bits.
    """
    return F.pad(matrix, (0, -matrix.shape[-1] % _ALIGNED))

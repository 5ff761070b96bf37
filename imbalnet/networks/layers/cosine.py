"""A last layer whose outputs are cosines, for margin losses."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imbalnet.networks._checks import check_sizes, check_width


class CosineLinear(nn.Module):
    """Cosines of the angles between a row and one direction for each class.

    Margin losses such as :class:`imbalnet.losses.LDAM` need it as the last layer. Only
    the directions of the weights matter, so that a class cannot be favoured by the norm
    of its weights.

    **Shape**

    - input: ``(..., in_features)``
    - output: ``(..., out_features)``, from -1 to 1

    Parameters
    ----------
    in_features, out_features : int
        Width of the input and number of classes.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import CosineLinear
    >>> layer = CosineLinear(2, 3)
    >>> bool((layer(torch.ones(5, 2)).abs() <= 1).all())
    True
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        check_sizes(in_features=in_features, out_features=out_features)
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the directions as torch.nn.Linear draws its weights."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the cosines of a batch."""
        check_width(x, self.weight.shape[-1])
        return F.linear(F.normalize(x, dim=-1), F.normalize(self.weight, dim=-1))

    def extra_repr(self) -> str:
        """Return the parameters for the representation."""
        out_features, in_features = self.weight.shape
        return f"in_features={in_features}, out_features={out_features}"

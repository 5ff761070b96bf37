"""A perceptron with residual blocks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from imbalnet._parameters import ActivationName
from imbalnet.networks._checks import check_dropout, check_sizes
from imbalnet.networks.layers.dropout import ByteDropout
from imbalnet.networks.mlp import ACTIVATIONS, MLP


class ResNet(MLP):
    """A perceptron with residual blocks on standardised columns.

    Each block adds the output of two layers to its input [1]_. A normalisation, a
    nonlinearity and the output layer follow the last block. Missing numbers and
    categories are treated as in :class:`MLP`.

    **Shape**

    - input: ``(batch, in_features)``
    - output: ``(batch, 1, out_features)``

    Parameters
    ----------
    in_features, out_features : int
        Numbers of columns and of classes.
    n_categories : sequence of int or None, default=None
        For each column its number of category codes, or 0 for numbers. None means
        numbers only.
    n_blocks : int, default=2
        Number of residual blocks.
    d_block : int, default=128
        Width between the blocks.
    d_hidden : int, default=256
        Width inside the blocks.
    activation : {"relu", "gelu", "silu", "tanh"}, default="relu"
        Nonlinearity.
    dropout : float, default=0.2
        Share of units inside the blocks that training drops, in [0, 1).
    residual_dropout : float, default=0.0
        Share of the blocks' outputs that training drops, in [0, 1).
    standardize : bool, default=True
        Whether to standardise the columns first.
    clip : float, True or None, default=3.0
        Bound of the standardised values, see :class:`Standardize`; None means no bound.
        True is 3.0, and makes the classifier accept infinite values.
    normalize_output : bool, default=False
        Whether the outputs are cosines, see :class:`CosineLinear`; ``loss="ldam"``
        switches it on.

    References
    ----------
    .. [1] Gorishniy, Rubachev, Khrulkov, Babenko, "Revisiting Deep Learning Models for
       Tabular Data", NeurIPS 2021. Departing from the paper, the blocks use layer
       normalisation instead of batch normalisation, so that a row's logits do not
       depend on the other rows of the batch.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import ResNet
    >>> ResNet(3, 2, d_block=8, d_hidden=16)(torch.ones(5, 3)).shape
    torch.Size([5, 1, 2])
    """

    merges_rare_levels = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        n_categories: Sequence[int] | None = None,
        n_blocks: int = 2,
        d_block: int = 128,
        d_hidden: int = 256,
        activation: ActivationName = "relu",
        dropout: float = 0.2,
        residual_dropout: float = 0.0,
        standardize: bool = True,
        clip: float | bool | None = 3.0,
        normalize_output: bool = False,
    ) -> None:
        check_sizes(n_blocks=n_blocks, d_block=d_block, d_hidden=d_hidden)
        check_dropout(dropout=dropout, residual_dropout=residual_dropout)
        super().__init__(
            in_features,
            out_features,
            n_categories=n_categories,
            hidden_sizes=(d_block,),
            activation=activation,
            standardize=standardize,
            clip=clip,
            normalize_output=normalize_output,
        )
        first, nonlinearity = self.hidden
        blocks = [
            ResidualBlock(d_block, d_hidden, activation, dropout, residual_dropout)
            for _ in range(n_blocks)
        ]
        norm = nn.LayerNorm(d_block)
        self.hidden = nn.Sequential(first, *blocks, norm, nonlinearity)


class ResidualBlock(nn.Module):
    """A normalisation and two linear layers, whose output is added to the input.

    **Shape**

    - input and output: ``(..., d_block)``
    """

    def __init__(
        self,
        d_block: int,
        d_hidden: int,
        activation: ActivationName,
        dropout: float,
        residual_dropout: float,
    ) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            nn.LayerNorm(d_block),
            nn.Linear(d_block, d_hidden),
            ACTIVATIONS[activation](),
            _dropout(dropout),
            nn.Linear(d_hidden, d_block),
            _dropout(residual_dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the layers' output to a batch."""
        return x + self.steps(x)


def _dropout(share: float) -> nn.Module:
    return ByteDropout(share) if share != 0 else nn.Identity()

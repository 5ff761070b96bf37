"""TabM: perceptrons that share most of their weights, over embedded columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from imbalnet._packages import require
from imbalnet.networks._checks import check_sizes
from imbalnet.networks.layers.dropout import ByteDropout
from imbalnet.networks.layers.member_linear import MemberCosineLinear, MemberLinear
from imbalnet.networks.tabular import TabularMLP


class TabM(TabularMLP):
    """An ensemble whose members share matrices, but have their own scales and biases.

    The columns are embedded once for all members, as in a :class:`TabularMLP` of one
    member. The members are those of the ``tabm`` package [1]_: each scales the inputs
    and outputs of common matrices by its own vectors, and has its own biases and last
    layer. All members are trained on all rows, so that none can hold out a fold.

    **Shape**

    - input: ``(batch, in_features)``
    - output: ``(batch, k, out_features)``

    Parameters
    ----------
    in_features, out_features : int
        Numbers of columns and of classes.
    n_categories : sequence of int or None, default=None
        For each column its number of category codes, or 0 for numbers. None means
        numbers only.
    k : int, default=16
        Number of members.
    n_blocks : int, default=2
        Number of hidden layers.
    d_block : int, default=128
        Width of each hidden layer.
    dropout : float, default=0.1
        Share of hidden units that training drops, in [0, 1).
    n_bins : int or "auto", default="auto"
        Bins of a column of numbers; "auto" as in :class:`TabularMLP`.
    d_embedding : int, default=16
        Piecewise linear functions of each column of numbers.
    n_waves : int, default=4
        Cosines of each column of numbers.
    clip : float or True, default=3.0
        Scaled value beyond which values are compressed, see :class:`RobustScale`. True
        is 3.0, and makes the classifier accept infinite values.
    normalize_output : bool, default=False
        Whether the outputs are cosines; ``loss="ldam"`` switches it on.

    Raises
    ------
    ImportError
        If the ``tabm`` package is not installed.

    References
    ----------
    .. [1] Gorishniy, Kotelnikov, Babenko, "TabM: Advancing Tabular Deep Learning with
       Parameter-Efficient Ensembling", ICLR 2025. Cosines, gates and the scaling by
       quantiles are additions.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import TabM
    >>> TabM(3, 2, k=4, d_block=8)(torch.ones(5, 3)).shape
    torch.Size([5, 4, 2])
    """

    members_share_rows = True
    merges_rare_levels = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        n_categories: Sequence[int] | None = None,
        k: int = 16,
        n_blocks: int = 2,
        d_block: int = 128,
        dropout: float = 0.1,
        n_bins: int | str = "auto",
        d_embedding: int = 16,
        n_waves: int = 4,
        clip: float | bool = 3.0,
        normalize_output: bool = False,
    ) -> None:
        check_sizes(in_features=in_features, out_features=out_features)
        check_sizes(k=k, n_blocks=n_blocks, d_block=d_block, d_embedding=d_embedding)
        self.backbone_sizes = {"k": k, "n_blocks": n_blocks, "d_block": d_block}
        super().__init__(  # which calls _build_layers
            in_features,
            out_features,
            n_categories=n_categories,
            hidden_sizes=(),
            dropout=dropout,
            n_bins=n_bins,
            n_channels=d_embedding,
            n_waves=n_waves,
            gate_rate=4.0,
            clip=clip,
            normalize_output=normalize_output,
        )

    def _build_layers(self) -> None:
        encoding = self.input
        n_numbers, n_single = len(encoding.of_numbers), len(encoding.of_flags)
        n_single += len(encoding.of_gaps)
        # widths of the inputs from each column; their initial scales are equal
        chunks = [self.n_channels] * n_numbers
        chunks += [self.n_waves] * (n_numbers * (self.n_waves > 0))
        chunks += [*np.diff(encoding.one_hot.bounds).tolist(), *[1] * n_single]
        chunks += [self.level_channels] * len(encoding.of_embedded)
        sizes = self.backbone_sizes
        backbone = _backbone(chunks, self.dropout.p, **sizes)
        last: Any = MemberCosineLinear if self.normalize_output else MemberLinear
        last = last(sizes["k"], sizes["d_block"], self.out_features)
        self.hidden = nn.ModuleList()
        self.output: Any = SharingMembers(backbone, last)

    @property
    def _last_layer(self) -> MemberLinear | MemberCosineLinear:
        return self.output.last

    @property
    def _matrices(self) -> list[nn.Parameter]:
        blocks = self.output.backbone.blocks
        return [*(block[0].weight for block in blocks), self._last_layer.weight]


class SharingMembers(nn.Module):
    """The ``tabm`` package's hidden layers, and a last layer for each member.

    **Shape**

    - input: ``(1, batch, in_features)``
    - output: ``(k, batch, out_features)``
    """

    def __init__(self, backbone: Any, last: nn.Module) -> None:
        super().__init__()
        self.backbone, self.last = backbone, last

    def forward(self, h: Tensor) -> Tensor:
        """Compute each member's logits."""
        h = h.squeeze(0).unsqueeze(1).expand(-1, self.backbone.k, -1)
        return self.last(self.backbone(h).transpose(0, 1))


def _backbone(chunks: list[int], dropout: float, **sizes: int) -> Any:
    """Build the hidden layers with the optional ``tabm`` package."""
    use = "module='tabm', and so preset='best',"
    tabm = require("tabm", use=use, cure="imbalnet[best]")
    backbone = tabm.make_tabm_backbone(
        d_in=sum(chunks),
        dropout=0.0,
        start_scaling_init="normal",
        start_scaling_init_chunks=chunks,
        **sizes,
    )
    for block in backbone.blocks:
        block[-1] = ByteDropout(dropout)
    return backbone

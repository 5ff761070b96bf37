"""TabM: perceptrons that share most of their weights, over embedded columns."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imbalnet.networks._checks import check_sizes
from imbalnet.networks.layers.dropout import ByteDropout
from imbalnet.networks.layers.member_linear import MemberCosineLinear, MemberLinear
from imbalnet.networks.tabular import TabularMLP


class TabM(TabularMLP):
    """An ensemble whose members share their matrices, and differ by scales and biases.

    The columns are embedded once for all members, as a :class:`TabularMLP` of one
    member does it. The members are the ``tabm`` package's [1]_: each scales what goes
    into common matrices, and what comes out, by vectors of its own, and has biases and
    a last layer of its own. All see the same rows, so that none can hold out a fold.

    **Shape**

    - input: ``(batch, in_features)``
    - output: ``(batch, k, out_features)``

    Parameters
    ----------
    in_features : int
        Number of columns.
    out_features : int
        Number of classes.
    n_categories : sequence of int or None, default=None
        One for each column: 0 for numbers, else the number of codes that stand for
        categories. None is numbers alone.
    k : int, default=16
        Members.
    n_blocks : int, default=2
        Hidden layers.
    d_block : int, default=128
        Width of each.
    dropout : float, default=0.1
        Share of hidden units that is left out in training, in [0, 1).
    n_bins : int or "auto", default="auto"
        Bins of a column of numbers; "auto" as in :class:`TabularMLP`.
    d_embedding : int, default=16
        Piecewise linear functions of each column of numbers.
    n_waves : int, default=4
        Cosines of each column of numbers.
    clip : float or True, default=3.0
        Where scaled values bend. True is 3.0, and lets the classifier accept infinite
        values.
    normalize_output : bool, default=False
        Whether the last layer gives cosines; ``loss="ldam"`` switches it on.

    Raises
    ------
    ImportError
        If the ``tabm`` package is not installed.

    References
    ----------
    .. [1] Gorishniy, Kotelnikov, Babenko, "TabM: Advancing Tabular Deep Learning with
       Parameter-Efficient Ensembling", ICLR 2025. Cosines and gates are not from there,
       nor are scaling by quantiles and its bound.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import TabM
    >>> TabM(3, 2, k=4, d_block=8)(torch.ones(5, 3)).shape
    torch.Size([5, 4, 2])
    """

    is_ensemble = True
    output: Any

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
        check_sizes(k=k, n_blocks=n_blocks, d_block=d_block, d_embedding=d_embedding)
        super().__init__(
            in_features,
            out_features,
            n_categories=n_categories,
            hidden_sizes=(),
            n_bins=n_bins,
            n_channels=d_embedding,
            n_waves=n_waves,
            clip=clip,
        )
        chunks = [d_embedding] * self.n_numbers
        chunks += [n_waves] * (self.n_numbers * (n_waves > 0))
        chunks += np.diff(self.input.one_hot.bounds).tolist()
        # it gives (k, batch, classes), where one member would give (1, batch, classes)
        self.output = SharingMembers(
            chunks,
            out_features,
            k=k,
            n_blocks=n_blocks,
            d_block=d_block,
            dropout=dropout,
            normalize_output=normalize_output,
        )

    @torch.no_grad()
    def initialize_output(self, logits: Tensor) -> None:
        """Start at `logits`, of shape (out_features,), whatever the features.

        Cosines have no bias, and start where they are.
        """
        if isinstance(self.output.last, MemberLinear):
            self.output.last.bias.copy_(logits.expand_as(self.output.last.bias))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the parameters by learning rate and decay, for the optimiser.

        Weight decay acts on matrices; not on members' scales and biases, nor on the
        embedding.

        Returns
        -------
        list of dict
            With "params"; "rate", by which the learning rate is multiplied; and
            "decays", whether weight decay acts on them.
        """
        matrices = self.output.matrices
        taken = {id(matrix) for matrix in matrices}
        others = [p for p in self.output.parameters() if id(p) not in taken]
        return [
            {"params": matrices, "rate": 1.0, "decays": True},
            {"params": others, "rate": 1.0, "decays": False},
            self._embedding_group(),
        ]


class SharingMembers(nn.Module):
    """The ``tabm`` package's hidden layers, and a last layer for each member.

    **Shape**

    - input: ``(1, batch, sum(chunks))``
    - output: ``(k, batch, out_features)``

    Parameters
    ----------
    chunks : list of int
        Inputs that stand side by side and come from one column: a member scales them
        alike at the start.
    out_features : int
    k, n_blocks, d_block : int
    dropout : float
    normalize_output : bool
    """

    def __init__(
        self,
        chunks: list[int],
        out_features: int,
        *,
        k: int,
        n_blocks: int,
        d_block: int,
        dropout: float,
        normalize_output: bool,
    ) -> None:
        super().__init__()
        self.out_features = out_features
        self.backbone = _package().make_tabm_backbone(
            d_in=sum(chunks),
            n_blocks=n_blocks,
            d_block=d_block,
            dropout=0.0,
            k=k,
            start_scaling_init="normal",
            start_scaling_init_chunks=chunks,
        )
        for block in self.backbone.blocks:
            block[-1] = ByteDropout(dropout)
        last = MemberCosineLinear if normalize_output else MemberLinear
        self.last = last(k, d_block, out_features)

    def forward(self, h: Tensor) -> Tensor:
        """Give each member's logits."""
        h = h.squeeze(0).unsqueeze(1).expand(-1, self.backbone.k, -1)
        return self.last(self.backbone(h).transpose(0, 1))

    @property
    def matrices(self) -> list[nn.Parameter]:
        """What weight decay acts on."""
        blocks: Any = self.backbone.blocks
        return [*(block[0].weight for block in blocks), self.last.weight]


def _package() -> ModuleType:
    """Import what only this network needs, and only when it is built."""
    try:
        import tabm
    except ImportError as error:
        raise ImportError(
            "module='tabm', and so preset='best', needs the tabm package: pip install "
            "imbalnet[best]."
        ) from error
    return tabm

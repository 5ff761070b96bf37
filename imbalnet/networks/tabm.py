"""TabM: perceptrons that share most of their weights, over embedded columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from imbalnet.networks.categories import OneHot, column_sizes
from imbalnet.networks.dropout import ByteDropout
from imbalnet.networks.embeddings import (
    PiecewiseLinearEncoding,
    RobustScale,
    bin_edges,
    present_values,
)
from imbalnet.networks.tabular import MemberCosineLinear, MemberLinear


class TabM(nn.Module):
    """An ensemble whose members share their matrices, and differ by scales and biases.

    The columns are scaled and written as bins as in :class:`TabularMLP`, then embedded
    once for all members: `d_embedding` piecewise linear functions of each number, which
    start out linear, and one column for each frequent level of a category. The members
    are the ``tabm`` package's [1]_: each scales the inputs and outputs of common
    matrices by vectors of its own, and has biases and a last layer of its own. All see
    the same rows, so that none can hold out a fold.

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
    k : int, default=32
        Members.
    n_blocks : int, default=2
        Hidden layers.
    d_block : int, default=128
        Width of each.
    dropout : float, default=0.1
        Share of hidden units that is left out in training, in [0, 1).
    n_bins : int, default=32
        Most bins of a column of numbers.
    d_embedding : int, default=16
        Piecewise linear functions of each column of numbers.
    clip : float or True, default=3.0
        Where scaled values bend, see :class:`RobustScale`. True is 3.0, and lets the
        classifier accept infinite values.
    normalize_output : bool, default=False
        Whether the last layer gives cosines; ``loss="ldam"`` switches it on.

    Raises
    ------
    ImportError
        If the ``tabm`` package is not installed.

    References
    ----------
    .. [1] Gorishniy, Kotelnikov, Babenko, "TabM: Advancing Tabular Deep Learning with
       Parameter-Efficient Ensembling", ICLR 2025.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import TabM
    >>> TabM(3, 2, k=4, d_block=8)(torch.ones(5, 3)).shape
    torch.Size([5, 4, 2])
    """

    accepts_missing = True
    is_ensemble = True
    of_numbers: Tensor
    of_categories: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        n_categories: Sequence[int] | None = None,
        k: int = 32,
        n_blocks: int = 2,
        d_block: int = 128,
        dropout: float = 0.1,
        n_bins: int = 32,
        d_embedding: int = 16,
        clip: float | bool = 3.0,
        normalize_output: bool = False,
    ) -> None:
        _check(k=k, n_blocks=n_blocks, d_block=d_block, d_embedding=d_embedding)
        tabm = _package()
        super().__init__()
        self.k = k
        sizes = column_sizes(in_features, n_categories)
        for name, where in (("of_numbers", sizes == 0), ("of_categories", sizes > 0)):
            places = torch.from_numpy(np.flatnonzero(where))
            self.register_buffer(name, places, persistent=False)
        n_numbers = len(self.of_numbers)
        self.scale = RobustScale(n_numbers, 3.0 if clip is True else clip)
        self.encoding = PiecewiseLinearEncoding(n_numbers, n_bins)
        self.one_hot = OneHot(sizes[sizes > 0].tolist())
        self._build_embedding(d_embedding)
        widths = [d_embedding] * n_numbers + np.diff(self.one_hot.bounds).tolist()
        self.backbone = tabm.make_tabm_backbone(
            d_in=sum(widths),
            n_blocks=n_blocks,
            d_block=d_block,
            dropout=0.0,
            k=k,
            start_scaling_init="normal" if n_numbers else "random-signs",
            start_scaling_init_chunks=widths,
        )
        for block in self.backbone.blocks:
            block[-1] = ByteDropout(dropout)
        last = MemberCosineLinear if normalize_output else MemberLinear
        self.output = last(k, d_block, out_features)

    def _build_embedding(self, width: int) -> None:
        """Build what starts as the package's: linear, with piecewise parts of 0."""
        n_numbers, n_bins = self.encoding.start.shape
        embedding = torch.zeros(n_numbers, 1 + n_bins, width)
        bound = 1 / math.sqrt(width)
        nn.init.uniform_(embedding[:, 0], -bound, bound)
        self.embedding = nn.Parameter(embedding)
        bias = torch.empty(n_numbers, 1, width).uniform_(-bound, bound)
        self.embedding_bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits of a batch."""
        return self.body(self.prepare(x))

    def prepare(self, x: Tensor) -> Tensor:
        """Encode rows: what needs no gradient, and may be done for many."""
        numbers = self.encoding(self.scale(x.index_select(-1, self.of_numbers)))
        levels = self.one_hot(x.index_select(-1, self.of_categories))
        return torch.cat([numbers.flatten(-2), levels], dim=-1)

    def body(self, prepared: Tensor) -> Tensor:
        """Give the logits of rows that are prepared."""
        n_numbers, n_bins = self.encoding.start.shape
        n_levels = self.one_hot.out_features
        numbers, levels = prepared.split([n_numbers * (1 + n_bins), n_levels], dim=-1)
        encoded = numbers.unflatten(-1, (n_numbers, 1 + n_bins)).transpose(0, 1)
        # (columns, batch, bins) -> (columns, batch, width) -> (batch, columns * width)
        embedded = torch.baddbmm(self.embedding_bias, encoded, self.embedding)
        h = torch.cat([embedded.transpose(0, 1).flatten(1), levels], dim=-1)
        h = self.backbone(h.unsqueeze(1).expand(-1, self.k, -1))
        return self.output(h.transpose(0, 1)).transpose(0, 1)

    @torch.no_grad()
    def initialize_from(self, X: Any, y: NDArray, sample_weight: NDArray) -> None:
        """Take statistics, bins and frequent levels from the training rows.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, in_features)
        y : ndarray of shape (n_rows,)
            Class codes; nothing is learned of them.
        sample_weight : ndarray of shape (n_rows,)
        """
        del y
        table = sparse.csc_matrix(X) if sparse.issparse(X) else X
        numbers = table[:, self.of_numbers.cpu().numpy()]
        codes = table[:, self.of_categories.cpu().numpy()]
        codes = codes.toarray() if sparse.issparse(codes) else codes
        self.scale.initialize_from(numbers, sample_weight)
        self.encoding.set_edges(self._scaled_edges(numbers, sample_weight))
        self.one_hot.initialize_from(codes, sample_weight)

    def _scaled_edges(self, numbers: Any, weight: NDArray) -> list[Tensor]:
        n_columns, n_bins = self.encoding.start.shape
        table = self.scale.center.new_full((n_bins + 1, n_columns), torch.nan)
        sizes = []
        for j, (values, is_there) in enumerate(present_values(numbers)):
            edges = bin_edges(values, weight[is_there], n_bins)
            table[: len(edges), j] = torch.from_numpy(edges)
            sizes.append(len(edges))
        scaled = self.scale(table).unbind(1)
        return [column[:size] for column, size in zip(scaled, sizes, strict=True)]

    @torch.no_grad()
    def initialize_output(self, logits: Tensor) -> None:
        """Start at `logits`, of shape (out_features,), whatever the features.

        Cosines have no bias, and start where they are.
        """
        if isinstance(self.output, MemberLinear):
            self.output.bias.copy_(logits.expand_as(self.output.bias))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the parameters by learning rate and decay, for the optimiser.

        Weight decay acts on matrices; not on members' scales, on biases and on the
        embedding, as the package's authors have it.

        Returns
        -------
        list of dict
            With "params"; "rate", by which the learning rate is multiplied; and
            "decays", whether weight decay acts on them.
        """
        matrices = [block[0].weight for block in self.backbone.blocks]
        matrices.append(self.output.weight)
        decaying = {id(matrix) for matrix in matrices}
        others = [p for p in self.parameters() if id(p) not in decaying]
        return [
            {"params": matrices, "rate": 1.0, "decays": True},
            {"params": others, "rate": 1.0, "decays": False},
        ]


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


def _check(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(
                f"module__{name} must be at least 1, however: {name}={size}"
            )

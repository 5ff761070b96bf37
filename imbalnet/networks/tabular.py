"""The default network: embedded columns, gates, and independent members."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from imbalnet._warn import warn
from imbalnet.networks._checks import check_layers
from imbalnet.networks._information import (
    class_counts,
    mutual_information,
    weight_of_a_row,
)
from imbalnet.networks.base import Network
from imbalnet.networks.layers.categories import MixedInput, column_sizes
from imbalnet.networks.layers.dropout import ByteDropout
from imbalnet.networks.layers.embeddings import (
    PiecewiseLinearEncoding,
    RobustScale,
    bin_edges,
    present_values,
)
from imbalnet.networks.layers.member_linear import MemberCosineLinear, MemberLinear
from imbalnet.networks.mlp import ACTIVATIONS

# Bins for the mutual information of a column with the classes.
_GATE_BINS = 8
# The smallest gate, relative to the largest one.
_LEAST_GATE = 0.1
# n_bins="auto" gives all columns together at most so many bins.
_AUTO_BINS = 4096
_ROWS_OF_A_BIN = 100
_FIRST_BIAS = 0.3
_MANY_PARAMETERS = 10_000_000


class TabularMLP(Network):
    """An ensemble of perceptrons over embedded columns, trained as one network.

    Numbers are scaled by median and interquartile range and bent at ±`clip`
    (:class:`RobustScale`). Each column then becomes `n_channels` piecewise linear
    functions (:class:`PiecewiseLinearEncoding` and a linear layer without activation,
    which starts out linear), and `n_waves` cosines of learned frequency and phase.
    Categories have one column for each frequent level (:class:`OneHot`). A learned gate
    scales each input; it starts at the square root of the column's mutual information
    with the classes, relative to the largest one and at least a tenth. Hidden layers
    and logits follow. Members share no parameters, so that none learns from a fold
    that it holds out.

    **Shape**

    - input: ``(batch, in_features)``, or ``(batch, n_members, in_features)`` where each
      member has its own rows
    - output: ``(batch, n_members, out_features)``

    Parameters
    ----------
    in_features, out_features : int
        Numbers of columns and of classes.
    n_members : int, default=1
        Number of perceptrons.
    n_categories : sequence of int or None, default=None
        For each column its number of category codes, or 0 for numbers. None means
        numbers only.
    hidden_sizes : sequence of int, default=(128, 64)
        Width of each hidden layer of a member.
    activation : {"relu", "gelu", "silu", "tanh"}, default="relu"
        Nonlinearity of the hidden layers.
    dropout : float, default=0.2
        Share of hidden units that training drops, in [0, 1).
    n_bins : int or "auto", default="auto"
        Bins of a column of numbers. "auto" is one for each 100 training rows, from 16
        to 48, and at most 4,096 for all columns together.
    n_channels : int, default=4
        Piecewise linear functions of each column of numbers.
    n_waves : int, default=4
        Cosines of each column of numbers.
    frequency : float, default=0.5
        Standard deviation of the cosines' frequencies at the start, in waves per
        interquartile range.
    gates : bool, default=True
        Whether gates start from the mutual information; otherwise they start equal.
    embedding_rate : float, default=4.0
        Factor of the learning rate of embedding and gates.
    clip : float or True, default=3.0
        Where scaled values bend. True is 3.0, and makes the classifier accept infinite
        values.
    normalize_output : bool, default=False
        Whether the outputs are cosines; ``loss="ldam"`` switches it on.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import TabularMLP
    >>> TabularMLP(3, 2, n_members=4)(torch.ones(5, 3)).shape
    torch.Size([5, 4, 2])
    """

    accepts_missing = True
    shares_batches = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        n_members: int = 1,
        n_categories: Sequence[int] | None = None,
        hidden_sizes: Sequence[int] = (128, 64),
        activation: str = "relu",
        dropout: float = 0.2,
        n_bins: int | str = "auto",
        n_channels: int = 4,
        n_waves: int = 4,
        frequency: float = 0.5,
        gates: bool = True,
        embedding_rate: float = 4.0,
        clip: float | bool = 3.0,
        normalize_output: bool = False,
    ) -> None:
        _check(hidden_sizes, activation, n_bins, n_channels, n_waves)
        super().__init__()
        sizes = column_sizes(in_features, n_categories)
        n_numbers = int((sizes == 0).sum())
        scale = RobustScale(n_numbers, 3.0 if clip is True else clip)
        self.input = MixedInput(sizes.tolist(), scale)
        self.n_members, self.n_channels = n_members, n_channels
        self.gates, self.embedding_rate = gates, embedding_rate
        self.n_bins = n_bins
        n_bins = _auto_bins(n_numbers, 0) if n_bins == "auto" else int(n_bins)
        self.encoding = PiecewiseLinearEncoding(n_numbers, n_bins)
        self._build_embedding(n_waves, frequency)
        width = n_numbers * (n_channels + n_waves) + self.n_levels
        widths = [width, *hidden_sizes]
        self.hidden = _hidden_layers(n_members, widths)
        self._warn_if_large(in_features)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = ByteDropout(dropout, n_shared=1)
        last: Any = MemberCosineLinear if normalize_output else MemberLinear
        self.output: Any = last(n_members, widths[-1], out_features)

    def _warn_if_large(self, in_features: int) -> None:
        n_parameters = sum(parameter.numel() for parameter in self.parameters())
        if n_parameters > _MANY_PARAMETERS:
            warn(
                f"For {in_features} columns, this network has {n_parameters:,} "
                "parameters; module='mlp' is much smaller, and takes sparse tables of "
                "thousands of columns."
            )

    def _build_embedding(self, n_waves: int, frequency: float) -> None:
        n_numbers, n_bins = self.encoding.start.shape
        n_members = self.n_members
        embedding = torch.zeros(n_numbers, 1 + n_bins, n_members, self.n_channels)
        nn.init.normal_(embedding[:, 0])  # linear at first; the bins come in later
        self.embedding = nn.Parameter(embedding)
        shape = n_members, 1, n_numbers, n_waves
        circle = 2 * math.pi
        self.frequency = nn.Parameter(torch.randn(shape) * frequency * circle)
        self.phase = nn.Parameter((torch.rand(shape) - 0.5) * circle)
        self.number_gate = nn.Parameter(torch.ones(n_members, n_numbers))
        self.level_gate = nn.Parameter(torch.ones(n_members, self.n_levels))

    def prepare(self, x: Tensor) -> Tensor:
        """Scale and encode numbers, and encode categories."""
        sizes = self.n_numbers, self.n_levels
        numbers, levels = self.input(x).split(sizes, dim=-1)
        encoded = self.encoding(numbers).flatten(-2)
        return torch.cat([encoded, levels], dim=-1) if self.n_levels else encoded

    @property
    def n_numbers(self) -> int:
        """Number of columns of numbers."""
        return len(self.input.of_numbers)

    @property
    def n_levels(self) -> int:
        """Number of columns that encode categories."""
        return self.input.one_hot.out_features

    @property
    def prepared_width(self) -> int:  # type: ignore[override]
        """Number of values of a prepared row."""
        n_encoded = self.encoding.start.numel() + self.n_numbers
        return n_encoded + self.n_levels

    def body(self, z: Tensor) -> Tensor:
        """Compute the logits of prepared rows."""
        # (members, batch, width), or (1, batch, width) for rows that members share
        z = z.transpose(0, 1) if z.ndim == 3 else z.unsqueeze(0)
        n_encoded = self.prepared_width - self.n_levels
        sizes = self.n_numbers, 1 + self.encoding.start.shape[1]
        encoded = z[..., :n_encoded].unflatten(-1, sizes)
        parts = [self._functions(encoded)]
        if self.frequency.numel():
            parts.append(self._waves(encoded[..., 0]))
        if self.n_levels:
            parts.append(z[..., n_encoded:] * self.level_gate.unsqueeze(1))
        h = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        for layer in self.hidden:
            h = self.dropout(self.activation(layer(h)))
        return self.output(h).transpose(0, 1)

    def _functions(self, encoded: Tensor) -> Tensor:
        """Compute each member's piecewise linear functions of the columns.

        (members or 1, batch, columns, bins) -> (members, batch, columns * channels)
        """
        n_columns, _, n_members, n_channels = self.embedding.shape
        batch = encoded.shape[1]  # len() would fix it in an exported graph
        gate = self.number_gate.t()[:, None, :, None]
        functions = self.embedding * gate  # (columns, bins, members, channels)
        if encoded.shape[0] == 1:
            rows = encoded[0].transpose(0, 1)
            h = torch.bmm(rows, functions.flatten(2))  # (columns, batch, ...)
            h = h.view(n_columns, batch, n_members, n_channels).permute(2, 1, 0, 3)
        else:
            rows = encoded.transpose(1, 2).flatten(0, 1)
            functions = functions.permute(2, 0, 1, 3).flatten(0, 1)
            h = torch.bmm(rows, functions)  # (members * columns, batch, channels)
            h = h.view(n_members, n_columns, batch, n_channels).transpose(1, 2)
        return h.reshape(n_members, batch, n_columns * n_channels)

    def _waves(self, z: Tensor) -> Tensor:
        """Compute the cosines: (members, batch, columns * waves)."""
        angle = torch.addcmul(self.phase, z.unsqueeze(-1), self.frequency)
        gate = self.number_gate[:, None, :, None]
        return (angle.cos() * gate).flatten(2)

    @torch.no_grad()
    def initialize_from(
        self, X: Any, y: NDArray, sample_weight: NDArray, folds: NDArray | None = None
    ) -> None:
        """Take statistics, bins, frequent levels and gates from the training rows.

        Gates of a member do not depend on the classes of its fold. Medians, bins and
        levels do not depend on any class, and are those of all rows.
        """
        table = sparse.csc_matrix(X) if sparse.issparse(X) else X
        if self.n_bins == "auto":
            self._take_bins(_auto_bins(self.n_numbers, len(y)))
        self.input.initialize_from(table, y, sample_weight)
        numbers, codes = self.input.numbers_in(table), self.input.codes_in(table)
        self.encoding.set_edges(self._scaled_edges(numbers, sample_weight))
        self._initialize_gates(numbers, codes, y, sample_weight, folds)

    def _take_bins(self, n_bins: int) -> None:
        """Change the number of bins before training."""
        n_columns, _, n_members, n_channels = self.embedding.shape
        encoding = PiecewiseLinearEncoding(n_columns, n_bins)
        self.encoding = encoding.to(self.embedding)
        embedding = self.embedding.new_zeros(
            (n_columns, 1 + n_bins, n_members, n_channels)
        )
        embedding[:, 0] = self.embedding[:, 0]
        self.embedding = nn.Parameter(embedding)

    def _scaled_edges(self, numbers: Any, weight: NDArray) -> list[Tensor]:
        n_columns, n_bins = self.encoding.start.shape
        scale = self.input.numbers
        table = self.encoding.start.new_full((n_bins + 1, n_columns), torch.nan)
        sizes = []
        for j, (values, is_there) in enumerate(present_values(numbers)):
            edges = bin_edges(values, weight[is_there], n_bins)
            table[: len(edges), j] = torch.from_numpy(edges)
            sizes.append(len(edges))
        scaled = scale(table).unbind(1)
        return [column[:size] for column, size in zip(scaled, sizes, strict=True)]

    def _initialize_gates(
        self, numbers: Any, codes: NDArray, y: NDArray, weight: NDArray, folds: Any
    ) -> None:
        n_members, n_classes = self.n_members, self._last_layer.out_features
        weight = weight / weight_of_a_row(weight)

        def informs(bins: NDArray, n_bins: int) -> NDArray:
            counts = class_counts(bins, n_bins, y, n_classes, weight, folds, n_members)
            return mutual_information(counts)[:, None]

        device = self.level_gate.device
        parts = [np.empty((n_members, 0))]
        parts += [informs(bins, _GATE_BINS) for bins in gate_bins(numbers, weight)]
        levels = self.input.one_hot(torch.as_tensor(codes, device=device))
        parts += [informs(level.astype(int), 2) for level in levels.T.cpu().numpy()]
        information = np.concatenate(parts, axis=1)
        if not self.gates:
            information = np.ones_like(information)
        is_constant = self.input.is_constant.cpu().numpy()
        gates = torch.from_numpy(gates_from(information, is_constant))
        self.number_gate.copy_(gates[:, : self.n_numbers])
        self.level_gate.copy_(gates[:, self.n_numbers :])

    @torch.no_grad()
    def initialize_output(self, logits: Tensor) -> None:
        """Set the biases to `logits`, of shape (out_features,); cosines have none."""
        if isinstance(self._last_layer, MemberLinear):
            self._last_layer.bias.copy_(logits.expand_as(self._last_layer.bias))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the parameters; embedding and gates have their own learning rate.

        Weight decay acts on the matrices of hidden and last layers only. See
        :meth:`Network.parameter_groups`.
        """
        embeds = [self.embedding, self.frequency, self.phase]
        embeds += [self.number_gate, self.level_gate]
        taken = {id(p) for p in (*embeds, *self._matrices)}
        others = [p for p in self.parameters() if id(p) not in taken]
        return [
            {"params": self._matrices, "rate": 1.0, "decays": True},
            {"params": others, "rate": 1.0, "decays": False},
            {"params": embeds, "rate": self.embedding_rate, "decays": False},
        ]

    @property
    def _last_layer(self) -> MemberLinear | MemberCosineLinear:
        return self.output

    @property
    def _matrices(self) -> list[nn.Parameter]:
        return [layer.weight for layer in (*self.hidden, self.output)]


def _hidden_layers(n_members: int, widths: list[int]) -> nn.ModuleList:
    layers = nn.ModuleList()
    for pair in pairwise(widths):
        layer = MemberLinear(n_members, *pair, gain=math.sqrt(2))
        if not len(layers):
            nn.init.normal_(layer.bias, std=_FIRST_BIAS)
        layers.append(layer)
    return layers


def gate_bins(X: Any, weight: NDArray) -> Any:
    """Yield, for each column of X, the bin of each row; gaps have -1."""
    for values, is_there in present_values(X):
        bins = np.full(len(is_there), -1)
        edges = bin_edges(values, weight[is_there], _GATE_BINS)
        bins[is_there] = np.searchsorted(edges[1:-1], values)
        yield bins


def gates_from(
    information: NDArray[np.float64], is_constant: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Compute gates of mean square 1, proportional to the root of the information.

    Constant inputs have the gate 0, which the gates of the others make up for.
    """
    gates = np.sqrt(information)
    largest = gates.max(axis=1, keepdims=True, initial=0.0)
    gates = np.where(largest > 0, gates / np.where(largest > 0, largest, 1.0), 1.0)
    gates = np.where(is_constant, 0.0, np.maximum(gates, _LEAST_GATE))
    square = np.square(gates).sum(axis=1, keepdims=True) / max(len(is_constant), 1)
    return gates / np.sqrt(np.where(square > 0, square, 1.0))


def _auto_bins(n_columns: int, n_rows: int) -> int:
    n_bins = int(np.clip(n_rows // _ROWS_OF_A_BIN, 16, 48))
    return max(min(n_bins, _AUTO_BINS // max(n_columns, 1)), 4)


def _check(
    hidden_sizes: Sequence[int],
    activation: str,
    n_bins: int | str,
    n_channels: int,
    n_waves: int,
) -> None:
    check_layers(hidden_sizes, activation, list(ACTIVATIONS))
    if n_bins != "auto" and not isinstance(n_bins, Integral):
        raise ValueError(
            f"module__n_bins must be 'auto' or a positive integer, however: {n_bins=}"
        )
    if n_channels < 1 or n_waves < 0:
        raise ValueError(
            "module__n_channels must be at least 1, and module__n_waves at least 0, "
            f"however: {n_channels=}, {n_waves=}"
        )

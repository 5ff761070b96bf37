"""The default network: embedded columns, gates, and members side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
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

# Bins of a column, by which its mutual information with the classes is taken.
_GATE_BINS = 8
# The gate of a column that tells nothing, beside that of the one that tells most.
_LEAST_GATE = 0.1
# Bins of all columns together that "auto" goes up to.
_AUTO_BINS = 4096
_ROWS_OF_A_BIN = 100
_FIRST_BIAS = 0.3
_MANY_PARAMETERS = 10_000_000


class TabularMLP(nn.Module):
    """An ensemble of perceptrons over embedded columns, trained as one network.

    Numbers are scaled by median and interquartile range and bent at ±`clip`
    (:class:`RobustScale`); each column then becomes `n_channels` piecewise linear
    functions of it (:class:`PiecewiseLinearEncoding` and a linear layer without
    activation, which starts out linear), and `n_waves` cosines of learned frequency and
    phase. Categories have one column for each frequent level (:class:`OneHot`). A
    learnable gate scales each input; it starts at the square root of the column's
    mutual information with the classes, relative to the largest and at least a tenth.
    Hidden layers and logits follow. Every member has weights of its own throughout: no
    member learns from a fold that it holds out.

    **Shape**

    - input: ``(batch, in_features)``, or ``(batch, n_members, in_features)`` where each
      member sees rows of its own
    - output: ``(batch, n_members, out_features)``; ``(batch, out_features)`` for one
      member

    Parameters
    ----------
    in_features : int
        Number of columns.
    out_features : int
        Number of classes.
    n_members : int, default=1
        Perceptrons side by side.
    n_categories : sequence of int or None, default=None
        One for each column: 0 for numbers, else the number of codes that stand for
        categories. None is numbers alone.
    hidden_sizes : sequence of int, default=(128, 64)
        Width of each hidden layer of a member.
    activation : {"relu", "gelu", "silu", "tanh"}, default="relu"
        Nonlinearity behind each hidden layer.
    dropout : float, default=0.2
        Share of hidden units that is left out in training, in [0, 1).
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
        Whether gates start at what their columns tell of the classes; at 1 otherwise.
    embedding_rate : float, default=4.0
        By which the learning rate of embedding and gates is multiplied.
    clip : float or True, default=3.0
        Where scaled values bend. True is 3.0, and lets the classifier accept infinite
        values.
    normalize_output : bool, default=False
        Whether the last layer gives cosines; ``loss="ldam"`` switches it on.

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
        _check(hidden_sizes, activation, n_channels, n_waves)
        super().__init__()
        sizes = column_sizes(in_features, n_categories)
        n_numbers = int((sizes == 0).sum())
        scale = RobustScale(n_numbers, 3.0 if clip is True else clip)
        self.input = MixedInput(sizes.tolist(), scale)
        self.n_members, self.n_channels = n_members, n_channels
        self.gates, self.embedding_rate = gates, embedding_rate
        if n_bins != "auto" and not isinstance(n_bins, Integral):
            raise ValueError(
                "module__n_bins must be 'auto' or a positive integer, however: "
                f"{n_bins=}"
            )
        self.n_bins = n_bins
        n_bins = _auto_bins(n_numbers, 0) if n_bins == "auto" else int(n_bins)
        self.encoding = PiecewiseLinearEncoding(n_numbers, n_bins)
        self._build_embedding(n_waves, frequency)
        width = n_numbers * (n_channels + n_waves) + self.n_levels
        self.hidden = nn.ModuleList()
        for size in hidden_sizes:
            layer = MemberLinear(n_members, width, size, math.sqrt(2))
            if not len(self.hidden):
                nn.init.normal_(layer.bias, std=_FIRST_BIAS)
            self.hidden.append(layer)
            width = size
        self._warn_if_large(in_features)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = ByteDropout(dropout, n_shared=1)
        last = MemberCosineLinear if normalize_output else MemberLinear
        self.output = last(n_members, width, out_features)

    def _warn_if_large(self, in_features: int) -> None:
        n_parameters = sum(parameter.numel() for parameter in self.parameters())
        if n_parameters > _MANY_PARAMETERS:
            warn(
                f"For {in_features} columns, this network has {n_parameters:,} "
                "parameters; module='mlp' is smaller by far, and takes sparse tables "
                "of thousands of columns."
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

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits of a batch."""
        return self.body(self.prepare(x))

    def prepare(self, x: Tensor) -> Tensor:
        """Encode rows: what needs no gradient, and may be done for many."""
        sizes = self.n_numbers, self.n_levels
        numbers, levels = self.input(x).split(sizes, dim=-1)
        encoded = self.encoding(numbers).flatten(-2)
        return torch.cat([encoded, levels], dim=-1) if self.n_levels else encoded

    @property
    def n_numbers(self) -> int:
        """Columns of numbers."""
        return len(self.input.of_numbers)

    @property
    def n_levels(self) -> int:
        """Columns that levels of categories have."""
        return self.input.one_hot.out_features

    def body(self, prepared: Tensor) -> Tensor:
        """Give the logits of rows that are prepared."""
        sizes = self.n_numbers, 1 + self.encoding.start.shape[1]
        n_encoded = self.prepared_width - self.n_levels
        encoded = prepared[..., :n_encoded].unflatten(-1, sizes)
        parts = [self._functions(encoded)]
        if self.frequency.numel():
            parts.append(self._waves(encoded[..., 0]))
        if self.n_levels:
            levels = prepared[..., n_encoded:]
            levels = levels.transpose(0, 1) if levels.ndim == 3 else levels
            parts.append(levels * self.level_gate.unsqueeze(1))
        h = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        for layer in self.hidden:
            h = self.dropout(self.activation(layer(h)))
        logits = self.output(h).transpose(0, 1)
        return logits.squeeze(1) if self.n_members == 1 else logits

    def _functions(self, encoded: Tensor) -> Tensor:
        """Give each member's piecewise linear functions of the columns.

        Parameters
        ----------
        encoded : Tensor of shape (batch, [members,] columns, bins)

        Returns
        -------
        Tensor of shape (members, batch, columns * channels)
        """
        n_columns, _, n_members, n_channels = self.embedding.shape
        batch = encoded.shape[0]  # len() would fix it in an exported graph
        gate = self.number_gate.t()[:, None, :, None]
        functions = self.embedding * gate  # (columns, bins, members, channels)
        if encoded.ndim == 3:
            rows = encoded.transpose(0, 1)
            h = torch.bmm(rows, functions.flatten(2))  # (columns, batch, ...)
            h = h.view(n_columns, batch, n_members, n_channels).permute(2, 1, 0, 3)
        else:
            rows = encoded.permute(1, 2, 0, 3).flatten(0, 1)
            functions = functions.permute(2, 0, 1, 3).flatten(0, 1)
            h = torch.bmm(rows, functions)  # (members * columns, batch, channels)
            h = h.view(n_members, n_columns, batch, n_channels).transpose(1, 2)
        return h.reshape(n_members, batch, n_columns * n_channels)

    def _waves(self, z: Tensor) -> Tensor:
        """Turn (batch, [members,] columns) into (members, batch, columns * waves)."""
        z = z.transpose(0, 1) if z.ndim == 3 else z.unsqueeze(0)
        angle = torch.addcmul(self.phase, z.unsqueeze(-1), self.frequency)
        gate = self.number_gate[:, None, :, None]
        return (angle.cos() * gate).flatten(2)

    @torch.no_grad()
    def initialize_from(
        self,
        X: Any,
        y: NDArray,
        sample_weight: NDArray,
        folds: NDArray | None = None,
    ) -> None:
        """Take statistics, bins, frequent levels and gates from the training rows.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, in_features)
        y : ndarray of shape (n_rows,)
            Class codes.
        sample_weight : ndarray of shape (n_rows,)
        folds : ndarray of shape (n_rows,) or None, default=None
            The fold of each row. Member j learns nothing of the classes of fold j's
            rows; medians, bins and levels, which know no classes, are those of all.
        """
        table = sparse.csc_matrix(X) if sparse.issparse(X) else X
        if self.n_bins == "auto":
            self._take_bins(_auto_bins(self.n_numbers, len(y)))
        self.input.initialize_from(table, y, sample_weight)
        numbers, codes = self.input.numbers_in(table), self.input.codes_in(table)
        self.encoding.set_edges(self._scaled_edges(numbers, sample_weight))
        self._initialize_gates(numbers, codes, y, sample_weight, folds)

    def _take_bins(self, n_bins: int) -> None:
        """Change the number of bins of a network that has not been trained."""
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
        n_members, n_classes = self.n_members, self.output.out_features
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
        """Start at `logits`, of shape (out_features,), whatever the features.

        Cosines have no bias, and start where they are.
        """
        if isinstance(self.output, MemberLinear):
            self.output.bias.copy_(logits.expand_as(self.output.bias))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the parameters by learning rate and decay, for the optimiser.

        Returns
        -------
        list of dict
            With "params"; "rate", by which the learning rate is multiplied; and
            "decays", whether weight decay acts on them.
        """
        biases = [layer.bias for layer in self._layers()]
        weights = [layer.weight for layer in self.hidden]
        weights.append(self.output.weight)
        return [
            {"params": weights, "rate": 1.0, "decays": True},
            {"params": biases, "rate": 1.0, "decays": False},
            self._embedding_group(),
        ]

    def _embedding_group(self) -> dict[str, Any]:
        embeds = [self.embedding, self.frequency, self.phase]
        embeds += [self.number_gate, self.level_gate]
        return {"params": embeds, "rate": self.embedding_rate, "decays": False}

    def _layers(self) -> list[MemberLinear]:
        layers = [*self.hidden, self.output]
        return [layer for layer in layers if isinstance(layer, MemberLinear)]

    @property
    def prepared_width(self) -> int:
        """Values of a row that :meth:`prepare` gives."""
        n_encoded = self.encoding.start.numel() + self.n_numbers
        return n_encoded + self.n_levels


def gate_bins(X: Any, weight: NDArray) -> Any:
    """Yield, for each column, the bin of each row; -1 is a gap.

    Parameters
    ----------
    X : {ndarray, CSC matrix} of shape (n_rows, n_columns)
    weight : ndarray of shape (n_rows,)
    """
    for values, is_there in present_values(X):
        bins = np.full(len(is_there), -1)
        edges = bin_edges(values, weight[is_there], _GATE_BINS)
        bins[is_there] = np.searchsorted(edges[1:-1], values)
        yield bins


def gates_from(
    information: NDArray[np.float64], is_constant: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Give gates of mean square 1, in proportion to the root of the information.

    Parameters
    ----------
    information : ndarray of shape (n_members, n_inputs)
    is_constant : ndarray of shape (n_inputs,)
        Constant inputs have the gate 0; the others make up for it.

    Examples
    --------
    >>> gates_from(np.array([[1.0, 0.0]]), np.array([False, False])).round(2)
    array([[1.41, 0.14]])
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
    hidden_sizes: Sequence[int], activation: str, n_channels: int, n_waves: int
) -> None:
    check_layers(hidden_sizes, activation, list(ACTIVATIONS))
    if n_channels < 1 or n_waves < 0:
        raise ValueError(
            "module__n_channels must be at least 1, and module__n_waves at least 0, "
            f"however: {n_channels=}, {n_waves=}"
        )

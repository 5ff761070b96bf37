"""The default network: embedded columns, gates, and independent members."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from imbalnet._parameters import ActivationName
from imbalnet._warn import warn
from imbalnet.networks._checks import (
    check_constant,
    check_dropout,
    check_flags,
    check_layers,
    check_numbers,
    check_sizes,
    check_sizes_or_auto,
    check_table,
)
from imbalnet.networks._information import (
    class_counts,
    mutual_information,
    weight_of_a_row,
)
from imbalnet.networks._wide import (
    functions_of_a_column,
    n_sharing,
    standardize_from,
    wide_rate,
)
from imbalnet.networks.base import Network
from imbalnet.networks.layers.categories import FEWEST_ROWS, column_sizes
from imbalnet.networks.layers.dropout import ByteDropout
from imbalnet.networks.layers.embeddings import bin_edges, present_values
from imbalnet.networks.layers.member_linear import MemberCosineLinear, MemberLinear
from imbalnet.networks.layers.standardize import Standardize
from imbalnet.networks.layers.table import TableEncoding
from imbalnet.networks.mlp import ACTIVATIONS
from imbalnet.posterior._checks import checked_codes, checked_folds

# Bins for the mutual information of a column with the classes.
_GATE_BINS = 8
# The smallest gate, relative to the largest one.
_LEAST_GATE = 0.1
_FIRST_BIAS = 0.3
# Initial standard deviation of the embeddings of levels: small, since the effects of
# levels with few rows are mostly noise.
_FIRST_LEVEL = 0.05
_MANY_PARAMETERS = 10_000_000
_MOST_NAMES = 10
# The axis of members of the parameters in which it is not the first one.
_MEMBER_AXIS = {"embedding": 2, "level_embedding": 1}


class TabularMLP(Network):
    """An ensemble of perceptrons over embedded columns, trained as one network.

    Numbers are scaled by median and interquartile range and compressed beyond ±`clip`
    (:class:`RobustScale`). Each column then becomes `n_channels` piecewise linear
    functions (:class:`PiecewiseLinearEncoding` and a linear layer without activation,
    which starts out linear), and `n_waves` cosines of learned frequency and phase.
    Categories have one column for each frequent level (:class:`OneHot`). Columns with
    more than 40 frequent levels also have a learned embedding of each. Columns of two
    values, and gaps, have one input (``TableEncoding``). A learned gate scales each
    input; it starts at the square root of the column's mutual information with the
    classes, relative to the largest one and at least a tenth. Hidden layers and logits
    follow. Members share no parameters, so that none learns from a fold that it holds
    out.

    More than 32 columns of numbers share 256 functions and cosines, but have three at
    least; more than 341 share 1,024. With more than 512, such as the counts of words,
    the inputs are the scaled numbers, which are standardised, and the learning rate is
    lower.

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
    n_channels : int or "auto", default="auto"
        Piecewise linear functions of each column of numbers; with 0 the scaled number
        is used instead. "auto" is 4 for up to 32 columns of numbers (2 for 64), and 0
        for more than 512.
    n_waves : int or "auto", default="auto"
        Cosines of each column of numbers. "auto" is 4 for up to 32 columns of numbers
        (2 for 64), and 0 for more than 512.
    frequency : float, default=0.5
        Standard deviation of the cosines' initial frequencies, in periods per
        interquartile range.
    level_channels : int, default=4
        Width of the embedding of each level, in columns that have more than 40 frequent
        levels; with 0 only the 40 most frequent levels are encoded.
    gaps : bool, default=True
        Whether missing numbers have an input of their own, where at least five rows
        lack the column.
    gates : bool, default=True
        Whether gates start from the mutual information; otherwise they start equal.
    embedding_rate : float, default=4.0
        Factor of the learning rate of embedding and cosines.
    gate_rate : float, default=16.0
        Factor of the learning rate of gates.
    clip : float or True, default=3.0
        Scaled value beyond which values are compressed. True is 3.0, and makes the
        classifier accept infinite values.
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
    merges_rare_levels = True
    shares_batches = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        n_members: int = 1,
        n_categories: Sequence[int] | None = None,
        hidden_sizes: Sequence[int] = (128, 64),
        activation: ActivationName = "relu",
        dropout: float = 0.2,
        n_bins: int | str = "auto",
        n_channels: int | str = "auto",
        n_waves: int | str = "auto",
        frequency: float = 0.5,
        level_channels: int = 4,
        gaps: bool = True,
        gates: bool = True,
        embedding_rate: float = 4.0,
        gate_rate: float = 16.0,
        clip: float | bool = 3.0,
        normalize_output: bool = False,
    ) -> None:
        check_layers(hidden_sizes, activation, list(ACTIVATIONS))
        check_sizes_or_auto(1, n_bins=n_bins)
        check_sizes_or_auto(n_channels=n_channels, n_waves=n_waves)
        check_sizes(0, level_channels=level_channels)
        check_sizes(in_features=in_features, out_features=out_features)
        check_sizes(n_members=n_members)
        check_dropout(dropout=dropout)
        check_numbers(frequency=frequency, embedding_rate=embedding_rate)
        check_numbers(gate_rate=gate_rate)
        check_flags(gaps=gaps, gates=gates, normalize_output=normalize_output)
        super().__init__()
        sizes = column_sizes(in_features, n_categories)
        self._given = n_channels, n_waves, n_bins
        self.input = TableEncoding(
            sizes,
            3.0 if clip is True else clip,
            self._choose_functions(int((sizes == 0).sum()), 0),
            gaps=gaps,
            embeds=level_channels > 0,
        )
        self.out_features, self.n_members = out_features, n_members
        self.hidden_sizes = tuple(hidden_sizes)
        self.level_channels, self.frequency_scale = level_channels, frequency
        self.gates, self.gate_rate = gates, gate_rate
        self.embedding_rate = embedding_rate
        self.normalize_output = normalize_output
        self.activation = ACTIVATIONS[activation]()
        self.dropout = ByteDropout(dropout, n_shared=1)
        self._build()
        self._warn_if_large(in_features)

    def _choose_functions(self, n_numbers: int, n_flags: int) -> int | str:
        """Set `n_channels` and `n_waves`; return the number of bins of a column."""
        n_channels, n_waves, n_bins = self._given
        shared_by = n_sharing(n_numbers, n_flags)
        functions = functions_of_a_column(shared_by, n_channels, n_waves)
        self.n_channels, self.n_waves = functions
        return n_bins if self.n_channels else 0

    def _build(self) -> None:
        """Create the parameters, whose shapes depend on the encoding of the columns."""
        self._build_embedding()
        self._build_layers()

    def _build_embedding(self) -> None:
        encoding, n_members = self.input, self.n_members
        n_numbers, n_bins = encoding.encoding.start.shape
        self.standardize: Standardize | None = None
        if not self.n_channels:
            self.standardize = Standardize(encoding.n_encoded + encoding.n_indicators)
        embedding = torch.zeros(n_numbers, 1 + n_bins, n_members, self.n_channels)
        nn.init.normal_(embedding[:, 0])  # linear at first; the bins start at 0
        self.embedding = nn.Parameter(embedding)
        shape = n_members, 1, n_numbers, self.n_waves
        frequency = torch.randn(shape) * self.frequency_scale * math.tau
        self.frequency = nn.Parameter(frequency)
        self.phase = nn.Parameter((torch.rand(shape) - 0.5) * math.tau)
        n_embedded = len(encoding.of_embedded)
        if n_embedded:
            levels = encoding.levels.n_places, n_members, self.level_channels
            self.level_embedding = nn.Parameter(torch.randn(levels) * _FIRST_LEVEL)
            self.embedded_gate = nn.Parameter(torch.ones(n_members, n_embedded))
        self.number_gate = nn.Parameter(torch.ones(n_members, n_numbers))
        self.indicator_gate = nn.Parameter(torch.ones(n_members, encoding.n_indicators))

    @property
    def _embedded_width(self) -> int:
        """Width of an embedded row, the input of the hidden layers."""
        n_numbers = len(self.input.of_numbers) * ((self.n_channels or 1) + self.n_waves)
        n_embedded = len(self.input.of_embedded) * self.level_channels
        return n_numbers + self.input.n_indicators + n_embedded

    def _build_layers(self) -> None:
        widths = [self._embedded_width, *self.hidden_sizes]
        self.hidden = _hidden_layers(self.n_members, widths)
        last: Any = MemberCosineLinear if self.normalize_output else MemberLinear
        self.output: Any = last(self.n_members, widths[-1], self.out_features)

    def _warn_if_large(self, in_features: int) -> None:
        n_parameters = sum(parameter.numel() for parameter in self.parameters())
        if n_parameters > _MANY_PARAMETERS:
            warn(
                f"For {in_features} columns, this network has {n_parameters:,} "
                "parameters. Fewer members (n_members=4) or a narrower first layer "
                "(module__hidden_sizes=(32, 64)) make it smaller in proportion; "
                "module='linear' has one weight a column."
            )

    def prepare(self, x: Tensor) -> Tensor:
        """Encode the columns; the inputs of wide tables are also standardised."""
        z = self.input(x)
        if self.standardize is None:
            return z
        width = self.standardize.out_features
        return torch.cat([self.standardize(z[..., :width]), z[..., width:]], dim=-1)

    @property
    def prepared_width(self) -> int:  # type: ignore[override]
        """Number of values of a prepared row."""
        return self.input.out_features

    def body(self, z: Tensor) -> Tensor:
        """Compute the logits of prepared rows."""
        # (members, batch, width), or (1, batch, width) for rows that members share
        h = self._embedded(z.transpose(0, 1) if z.ndim == 3 else z.unsqueeze(0))
        for layer in self.hidden:
            h = self.dropout(self.activation(layer(h)))
        return self.output(h).transpose(0, 1)

    def _embedded(self, z: Tensor) -> Tensor:
        """Compute the input of the hidden layers: (members, batch, width)."""
        encoding = self.input
        sizes = encoding.n_encoded, encoding.n_indicators, len(encoding.of_embedded)
        encoded, indicators, places = z.split(sizes, dim=-1)
        parts = []
        if sizes[0]:
            shape = len(encoding.of_numbers), -1
            encoded = encoded.unflatten(-1, shape)
            parts.append(self._functions(encoded))
            if self.n_waves:
                parts.append(self._waves(encoded[..., 0]))
        if sizes[1]:
            parts.append(indicators * self.indicator_gate.unsqueeze(1))
        if sizes[2]:
            parts.append(self._levels(places.long()))
        if not parts:  # of a table without any column
            return z.expand(self.n_members, *z.shape[1:])
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]

    def _functions(self, encoded: Tensor) -> Tensor:
        """Compute each member's piecewise linear functions of the columns.

        (members or 1, batch, columns, bins) -> (members, batch, columns * channels)
        """
        if not self.n_channels:
            return encoded[..., 0] * self.number_gate.unsqueeze(1)
        n_columns, _, n_members, n_channels = self.embedding.shape
        batch = encoded.shape[1]  # len() would be a constant in an exported graph
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

    def _levels(self, places: Tensor) -> Tensor:
        """Look up the embeddings of levels: (members, batch, columns * channels)."""
        if places.shape[0] == 1:
            found = self.level_embedding[places[0]].permute(2, 0, 1, 3)
        else:
            members = torch.arange(self.n_members, device=places.device)
            found = self.level_embedding[places, members[:, None, None]]
        return (found * self.embedded_gate[:, None, :, None]).flatten(2)

    @torch.no_grad()
    def initialize_from(
        self, X: Any, y: NDArray, sample_weight: NDArray, folds: NDArray | None = None
    ) -> None:
        """Choose the encoding of the columns, and compute its statistics and the gates.

        A member's gates do not depend on the classes in its fold. Everything else does
        not depend on any class, and is computed from all rows.
        """
        check_table(X, sample_weight, len(self.input.sizes))
        checked_codes("y", y, X.shape[0], self.out_features)
        if folds is not None:
            checked_folds(folds, X.shape[0])
        table = sparse.csc_matrix(X) if sparse.issparse(X) else X
        before = self.input.kinds, self.input.encoding.start.shape
        self.input.initialize_from(table, sample_weight, self._choose_functions)
        if self.input.kinds != before[0]:
            like = self.number_gate
            self._build()
            self.to(like).train(self.training)
        elif self.input.encoding.start.shape != before[1]:
            self._resize_embedding()
        if self.standardize is not None:
            standardize_from(self.standardize, self.input, X, sample_weight)
        self._initialize_gates(table, y, sample_weight, folds)

    @torch.no_grad()
    def update_from(self, X: Any, y: NDArray, sample_weight: NDArray) -> None:
        """Set scale and bins of columns of numbers that were constant or empty so far.

        They are computed in the first call in which at least five rows have other
        values. All other statistics stay.
        """
        del y
        if not bool(self.input.numbers.is_constant.any()):
            return
        table = sparse.csc_matrix(X) if sparse.issparse(X) else X
        started, waiting = self.input.update_from(table, sample_weight)
        self.number_gate[:, started] = 1.0  # the initial mean square of the gates
        if waiting:
            warn(
                f"The columns {waiting[:_MOST_NAMES]} (counted from 0) held one value, "
                "or none, in the rows that the network was built for. Other values of "
                f"theirs have no effect until a call of partial_fit has {FEWEST_ROWS} "
                "rows with them: pass more rows in a call."
            )

    def _resize_embedding(self) -> None:
        """Adapt the embedding to the number of bins, before training."""
        n_columns, n_bins = self.input.encoding.start.shape
        shape = n_columns, 1 + n_bins, *self.embedding.shape[2:]
        embedding = self.embedding.new_zeros(shape)
        embedding[:, 0] = self.embedding[:, 0]
        self.embedding = nn.Parameter(embedding)

    def _initialize_gates(
        self, X: Any, y: NDArray, weight: NDArray, folds: NDArray | None
    ) -> None:
        encoding, n_members = self.input, self.n_members
        n_classes = self.out_features
        weight = weight / weight_of_a_row(weight)

        def information_of(bins: NDArray, n_bins: int) -> NDArray:
            counts = class_counts(bins, n_bins, y, n_classes, weight, folds, n_members)
            return mutual_information(counts)[:, None]

        parts = [np.empty((n_members, 0))]
        numbers = X[:, encoding.of_numbers.cpu().numpy()]
        parts += [
            information_of(bins, _GATE_BINS) for bins in gate_bins(numbers, weight)
        ]
        indicators = encoding.indicators_of(X).T
        parts += [information_of(indicator.astype(int), 2) for indicator in indicators]
        places = encoding.places_of(X).T
        parts += [
            information_of(column - column.min(), np.ptp(column) + 1)
            for column in places
        ]
        information = np.concatenate(parts, axis=1)
        if not self.gates:
            information = np.ones_like(information)
        is_constant = encoding.is_constant.cpu().numpy()
        gates = torch.from_numpy(gates_from(information, is_constant))
        widths = [len(gate.T) for gate in self._gates]
        for gate, start in zip(self._gates, gates.split(widths, dim=1), strict=True):
            gate.copy_(start)

    @property
    def _gates(self) -> list[nn.Parameter]:
        gates = [self.number_gate, self.indicator_gate]
        return [*gates, self.embedded_gate] if len(self.input.of_embedded) else gates

    @torch.no_grad()
    def initialize_output(self, logits: Tensor) -> None:
        """Set the biases to `logits`, of shape (out_features,); cosines have none."""
        if isinstance(self._last_layer, MemberLinear):
            check_constant(logits, self._last_layer.out_features)
            self._last_layer.bias.copy_(logits.expand_as(self._last_layer.bias))

    @torch.no_grad()
    def shift_output(self, logits: Tensor) -> None:
        """Add `logits`, of shape (out_features,), to the biases; cosines have none."""
        if isinstance(self._last_layer, MemberLinear):
            check_constant(logits, self._last_layer.out_features)
            self._last_layer.bias.add_(logits)

    def take_members(self, which: slice) -> TabularMLP | None:
        """Return a network of some members, whose tensors are parts of these."""
        if self.members_share_rows:
            return None
        start, stop, _ = which.indices(self.n_members)
        tensors: dict[int, Any] = {id(buffer): buffer for buffer in self.buffers()}
        for name, parameter in self.named_parameters():
            axis = _MEMBER_AXIS.get(name, 0)
            part = parameter.detach().narrow(axis, start, stop - start)
            tensors[id(parameter)] = nn.Parameter(part, parameter.requires_grad)
        network = copy.deepcopy(self, tensors)
        for module in network.modules():
            if isinstance(module, MemberLinear):
                module.within = start, self.n_members
        network.n_members = stop - start
        return network

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the parameters; embedding and gates have their own learning rate.

        Weight decay acts on the matrices of hidden and last layers, and on the levels'
        embedding. See :meth:`Network.parameter_groups`.
        """
        embeds = [self.embedding, self.frequency, self.phase]
        decaying = self._matrices
        if len(self.input.of_embedded):
            decaying = [*decaying, self.level_embedding]
        taken = {id(p) for p in (*embeds, *self._gates, *decaying)}
        others = [p for p in self.parameters() if id(p) not in taken]
        rate = 1.0 if self.n_channels else wide_rate(self._embedded_width)
        embedding_rate, gate_rate = self.embedding_rate * rate, self.gate_rate * rate
        return [
            {"params": decaying, "rate": rate, "decays": True},
            {"params": others, "rate": rate, "decays": False},
            {"params": embeds, "rate": embedding_rate, "decays": False},
            {"params": self._gates, "rate": gate_rate, "decays": False},
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
    """Yield, for each column of X, the bin of each row, or -1 for gaps."""
    for values, is_present in present_values(X):
        bins = np.full(len(is_present), -1)
        edges = bin_edges(values, weight[is_present], _GATE_BINS)
        bins[is_present] = np.searchsorted(edges[1:-1], values)
        yield bins


def gates_from(
    information: NDArray[np.float64], is_constant: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Compute gates of mean square 1, proportional to the root of the information.

    Constant inputs have the gate 0; the mean square of all gates is still 1.
    """
    gates = np.sqrt(information)
    largest = gates.max(axis=1, keepdims=True, initial=0.0)
    gates = np.where(largest > 0, gates / np.where(largest > 0, largest, 1.0), 1.0)
    gates = np.where(is_constant, 0.0, np.maximum(gates, _LEAST_GATE))
    square = np.square(gates).sum(axis=1, keepdims=True) / max(len(is_constant), 1)
    return gates / np.sqrt(np.where(square > 0, square, 1.0))

"""The first layer of :class:`TabularMLP`, which encodes the columns of a table.

The training rows decide, whatever the dtype of a column, whether it is encoded as a
number or as an indicator of its two values, and whether its gaps get an indicator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbalnet.networks._checks import check_width
from imbalnet.networks.layers.categories import (
    FEWEST_ROWS,
    LevelPlaces,
    OneHot,
    dense,
    is_frequent,
)
from imbalnet.networks.layers.embeddings import (
    PiecewiseLinearEncoding,
    RobustScale,
    bin_edges,
    present_values,
)

# Most bins of all columns together with n_bins="auto", and the rows for each bin.
_AUTO_BINS = 4096
_ROWS_OF_A_BIN = 100
# The value of an indicator of rows that have it. Scaled numbers seldom exceed it; with
# 1, networks learn from categories too slowly.
_INDICATOR = 3.0


class TableEncoding(nn.Module):
    """Encode numbers by bins, and everything else by indicators and level numbers.

    The output for a row is the concatenation of

    - for each column of numbers, the scaled value and its position in each bin
      (:class:`RobustScale`, :class:`PiecewiseLinearEncoding`);
    - indicators, which are 0 or 3: of frequent levels (:class:`OneHot`), of one value
      of columns of two values, and of gaps. Columns of numbers that are missing in the
      same rows share the indicator of their gaps. At least five rows must have an
      indicator, and five must not. An indicator that most rows have is inverted, so
      that most rows are 0;
    - for each column with more frequent levels than :class:`OneHot` encodes, the number
      of the level among all frequent ones (:class:`LevelPlaces`).

    Before :meth:`initialize_from` all columns that are not categories are numbers.

    **Shape**

    - input: ``(..., in_features)``
    - output: ``(..., out_features)``

    Parameters
    ----------
    n_categories : sequence of int
        Number of category codes of each column, 0 for numbers.
    clip : float
        Bound of :class:`RobustScale`.
    n_bins : int or "auto"
        Largest number of bins of a column; with 0 a number is only scaled.
    gaps, embeds : bool
        Whether gaps have indicators, and whether columns of many levels have level
        numbers.
    """

    of_numbers: Tensor
    of_categories: Tensor
    of_flags: Tensor
    of_gaps: Tensor
    of_embedded: Tensor
    flag_zero: Tensor
    flag_range: Tensor
    is_common: Tensor

    def __init__(
        self,
        n_categories: NDArray[np.int64],
        clip: float,
        n_bins: int | str,
        *,
        gaps: bool = True,
        embeds: bool = True,
    ) -> None:
        super().__init__()
        self.sizes = np.asarray(n_categories)
        self.clip, self.n_bins = clip, n_bins
        self.gaps, self.embeds = gaps, embeds
        self.one_hot = OneHot(self.sizes[self.sizes > 0].tolist())
        self.numbers = RobustScale(0, clip)
        self.encoding = PiecewiseLinearEncoding(0, 1)
        self.levels = LevelPlaces([])
        categories = np.flatnonzero(self.sizes > 0)
        self._set("of_categories", categories)
        self._lay_out(np.flatnonzero(self.sizes == 0), 0)

    def _lay_out(
        self,
        numbers: NDArray[np.intp],
        n_rows: int,
        flags: Any = (),
        gaps: Any = (),
        embedded: Any = (),
    ) -> None:
        """Set the encoding of each column; `flags` has columns and their two values."""
        n_bins = self.n_bins
        if n_bins == "auto":
            n_bins = _auto_bins(len(numbers), n_rows)
        like = self.numbers.center
        self.numbers = RobustScale(len(numbers), self.clip).to(like)
        self.encoding = PiecewiseLinearEncoding(len(numbers), int(n_bins)).to(like)
        self.levels = LevelPlaces(self.sizes[list(embedded)].tolist()).to(like.device)
        self._set("of_numbers", numbers)
        self._set("of_gaps", np.array(gaps, dtype=np.int64))
        self._set("of_embedded", np.array(embedded, dtype=np.int64))
        table = np.array(flags, dtype=np.float64).reshape(-1, 3)
        self._set("of_flags", table[:, 0].astype(np.int64))
        self._set("flag_zero", table[:, 1])
        self._set("flag_range", table[:, 2] - table[:, 1])
        self._set("is_common", np.zeros(self.n_indicators))

    def _set(self, name: str, values: NDArray) -> None:
        like = self.numbers.center
        tensor = torch.from_numpy(values)
        dtype = like.dtype if tensor.is_floating_point() else tensor.dtype
        self.register_buffer(name, tensor.to(like.device, dtype))

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The encoding of each column as a tuple, to detect changes."""
        of_columns = self.of_numbers, self.of_flags, self.of_gaps, self.of_embedded
        return *(tuple(of.tolist()) for of in of_columns), self.levels.n_places

    @property
    def is_constant(self) -> Tensor:
        """Whether each column of numbers, indicator and embedded column is constant.

        The shape is (n_numbers + n_indicators + n_embedded,).
        """
        n_others = len(self.of_flags) + len(self.of_gaps) + len(self.of_embedded)
        varies = self.of_numbers.new_zeros(n_others, dtype=torch.bool)
        return torch.cat([self.numbers.is_constant, self.one_hot.is_constant, varies])

    @property
    def n_indicators(self) -> int:
        """Number of indicators."""
        return self.one_hot.out_features + len(self.of_flags) + len(self.of_gaps)

    @property
    def n_encoded(self) -> int:
        """Number of values that encode numbers."""
        return self.encoding.start.numel() + len(self.of_numbers)

    @property
    def out_features(self) -> int:
        """Width of the output."""
        return self.n_encoded + self.n_indicators + len(self.of_embedded)

    def forward(self, x: Tensor) -> Tensor:
        """Encode a batch."""
        check_width(x, len(self.sizes))
        is_all = len(self.of_numbers) == x.shape[-1]
        numbers = self.numbers(x if is_all else x.index_select(-1, self.of_numbers))
        parts = [self.encoding(numbers).flatten(-2)]
        if self.n_indicators:
            columns = self.of_categories, self.of_flags, self.of_gaps
            some = [x.index_select(-1, of) for of in columns]
            indicators = self._indicators(*some).sub_(self.is_common).abs_()
            parts.append(indicators.mul_(_INDICATOR))
        if len(self.of_embedded):
            places = self.levels(x.index_select(-1, self.of_embedded))
            parts.append(places.to(x.dtype))
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]

    def _indicators(self, codes: Tensor, flags: Tensor, gaps: Tensor) -> Tensor:
        """Return the indicators of selected columns, from 0 to 1, before inversion.

        A column of two values may have new values between them.
        """
        return torch.cat([self.one_hot(codes), self._others(flags, gaps)], dim=-1)

    def _others(self, flags: Tensor, gaps: Tensor) -> Tensor:
        """Return the indicators of columns of two values, and of gaps."""
        flags = (flags - self.flag_zero).div_(self.flag_range)
        flags = flags.nan_to_num_(0.0).clamp_(0.0, 1.0)
        return torch.cat([flags, gaps.isnan().to(gaps.dtype)], dim=-1)

    def _common(self, X: Any, weight: NDArray) -> NDArray[np.bool_]:
        """Return which indicators more than half of the rows have, by weight."""
        of_others = self.of_flags, self.of_gaps
        columns = [self._selected(X, of).to(self.numbers.center) for of in of_others]
        share = weight @ self._others(*columns).cpu().numpy()
        of_levels = self.one_hot.is_common.cpu().numpy()
        return np.concatenate([of_levels, share > weight.sum() / 2])

    @torch.no_grad()
    def initialize_from(
        self,
        X: Any,
        sample_weight: NDArray,
        n_bins_for: Callable[[int, int], int | str] | None = None,
    ) -> None:
        """Choose the encoding of each column, and compute scales, bins and levels.

        Parameters
        ----------
        X : {ndarray, CSC matrix} of shape (n_rows, in_features)
            Training rows.
        sample_weight : ndarray of shape (n_rows,)
            Their weights.
        n_bins_for : callable or None, default=None
            Called with the number of columns of numbers and that of columns of two
            values; returns `n_bins`.
        """
        categories = np.flatnonzero(self.sizes > 0)
        codes = dense(X[:, categories])
        self.one_hot.initialize_from(codes, sample_weight)
        kinds = self._kinds(X, codes)
        if n_bins_for is not None:
            numbers, _, flags, *_ = kinds
            self.n_bins = n_bins_for(len(numbers), len(flags))
        self._lay_out(*kinds)
        self.levels.initialize_from(dense(X[:, self.of_embedded.cpu().numpy()]))
        self._set("is_common", self._common(X, sample_weight).astype(np.float64))
        numbers = X[:, self.of_numbers.cpu().numpy()]
        self.numbers.initialize_from(numbers, None, sample_weight)
        self.encoding.set_edges(self._scaled_edges(numbers, sample_weight))

    def _kinds(self, X: Any, codes: NDArray) -> tuple[Any, ...]:
        """Return the arguments of `_lay_out` for the columns of training rows."""
        numbers, flags = [], []
        gaps: dict[bytes, Any] = {}
        of_numbers = np.flatnonzero(self.sizes == 0)
        n_rows = X.shape[0]
        for j, (values, is_present) in zip(
            of_numbers, present_values(X[:, of_numbers]), strict=True
        ):
            if self.gaps and is_frequent(n_rows - len(values), n_rows):
                gaps.setdefault(is_present.tobytes(), j)
            low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
            n_high = np.count_nonzero(values == high)
            n_low = np.count_nonzero(values == low)
            if n_high + n_low != len(values) or low == high:
                numbers.append(j)
            elif is_frequent(int(min(n_low, n_high)), n_rows):
                flags.append((j, low, high) if n_high <= n_low else (j, high, low))
        embedded = [
            j
            for j, column in zip(np.flatnonzero(self.sizes > 0), codes.T, strict=True)
            if self.embeds and self.levels.has_many(column)
        ]
        of_gaps = list(gaps.values())
        return np.array(numbers, dtype=np.int64), n_rows, flags, of_gaps, embedded

    def _scaled_edges(self, numbers: Any, weight: NDArray) -> list[Tensor]:
        n_columns, n_bins = self.encoding.start.shape
        if not n_bins:
            return []
        table = self.encoding.start.new_full((n_bins + 1, n_columns), torch.nan)
        sizes = []
        for j, (values, is_present) in enumerate(present_values(numbers)):
            edges = bin_edges(values, weight[is_present], n_bins)
            table[: len(edges), j] = torch.from_numpy(edges)
            sizes.append(len(edges))
        scaled = self.numbers(table).unbind(1)
        return [column[:size] for column, size in zip(scaled, sizes, strict=True)]

    @torch.no_grad()
    def update_from(
        self, X: Any, sample_weight: NDArray
    ) -> tuple[list[int], list[int]]:
        """Set scale and bins of columns of numbers that were constant or empty so far.

        That takes five rows with other values. Return the places of these columns among
        the numbers, and the positions of columns with fewer such rows.
        """
        places = np.flatnonzero(self.numbers.is_constant.cpu().numpy())
        columns = self.of_numbers.cpu().numpy()[places]
        started, waiting = [], []
        of_columns = zip(places.tolist(), present_values(X[:, columns]), strict=True)
        for j, (values, is_present) in of_columns:
            n_others = np.count_nonzero(values != float(self.numbers.center[j]))
            if n_others >= FEWEST_ROWS:
                self._initialize_number(j, values, sample_weight[is_present])
                started.append(j)
            elif n_others:
                waiting.append(int(self.of_numbers[j]))
        return started, waiting

    def _initialize_number(self, j: int, values: NDArray, weight: NDArray) -> None:
        """Compute scale and bins of one column of numbers from its values."""
        if np.ptp(values) == 0:  # the distance to the earlier value is the scale
            values = np.append(values, float(self.numbers.center[j]))
            weight = np.append(weight, weight[0])
        self.numbers.initialize_column(j, values, weight)
        start = self.encoding.start
        edges = bin_edges(values, weight, start.shape[1])
        table = start.new_zeros(len(edges), len(self.of_numbers))
        table[:, j] = torch.from_numpy(edges)
        self.encoding.set_column(j, self.numbers(table)[:, j])

    def codes_apart(self) -> dict[int, NDArray[np.bool_]]:
        """Return which codes of each column are not encoded as unknown values."""
        columns, embedded = self.of_categories.tolist(), self.of_embedded.tolist()
        apart = dict(zip(columns, self.one_hot.codes_apart(), strict=True))
        for j, has_embedding in zip(embedded, self.levels.codes_apart(), strict=True):
            apart[j] = apart[j] | has_embedding
        return apart

    def keep_codes(self, kept: Mapping[int, NDArray[np.intp]]) -> None:
        """Drop all but the `kept` codes of each column, and number these from 0."""
        self.one_hot.keep_codes([kept[j] for j in self.of_categories.tolist()])
        self.levels.keep_codes([kept[j] for j in self.of_embedded.tolist()])
        self.sizes = np.array([len(kept.get(j, ())) for j in range(len(self.sizes))])

    def indicators_of(self, X: Any) -> NDArray[np.bool_]:
        """Return a mask of shape (n_rows, n_indicators): which row has which one."""
        columns = self.of_categories, self.of_flags, self.of_gaps
        some = [self._selected(X, of).to(self.numbers.center) for of in columns]
        return self._indicators(*some).gt(0.5).cpu().numpy()

    def places_of(self, X: Any) -> NDArray[np.int64]:
        """Return the level numbers of columns of many levels."""
        return self.levels(self._selected(X, self.of_embedded)).cpu().numpy()

    @staticmethod
    def _selected(X: Any, columns: Tensor) -> Tensor:
        """Return some columns as a dense tensor; all of them may not fit in memory."""
        return torch.as_tensor(dense(X[:, columns.cpu().numpy()])).to(columns.device)


def _auto_bins(n_columns: int, n_rows: int) -> int:
    n_bins = int(np.clip(n_rows // _ROWS_OF_A_BIN, 16, 48))
    return max(min(n_bins, _AUTO_BINS // max(n_columns, 1)), 4)

"""The first layer of networks for tables with numbers, gaps and categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from imbalnet._warn import warn
from imbalnet.networks._checks import check_table, check_width
from imbalnet.networks.layers.categories import (
    FEWEST_ROWS,
    OneHot,
    column_sizes,
    dense,
    is_frequent,
    n_frequent,
)
from imbalnet.networks.layers.embeddings import RobustScale
from imbalnet.networks.layers.standardize import FillMissing, Standardize

# Most one-hot columns of a table, enough for 1,000 levels of each of four columns.
_MOST_ONE_HOT = 4096


class MixedInput(nn.Module):
    """Apply one layer to columns of numbers, and :class:`OneHot` to categories.

    With `widens`, :meth:`initialize_from` adds a column for every level with at least 5
    rows, up to 4,096 in total, and indicators of gaps, 0 or 1. Columns that are missing
    in the same rows share an indicator. At least five rows must have it, and five must
    not.

    **Shape**

    - input: ``(..., in_features)``
    - output: ``(..., out_features)``: the numbers in their order, then the columns of
      the first categorical column, of the second, and so on, then indicators of gaps
    """

    of_numbers: Tensor
    of_categories: Tensor
    of_gaps: Tensor

    def __init__(
        self,
        n_categories: Sequence[int],
        numbers: Standardize | RobustScale,
        *,
        widens: bool = False,
    ) -> None:
        super().__init__()
        sizes = np.asarray(n_categories)
        self.numbers, self.widens = numbers, widens
        most_columns = _MOST_ONE_HOT if widens else 0
        self.one_hot = OneHot(sizes[sizes > 0].tolist(), most_columns)
        for name, where in (("of_numbers", sizes == 0), ("of_categories", sizes > 0)):
            places = torch.from_numpy(np.flatnonzero(where))
            self.register_buffer(name, places, persistent=False)
        self.register_buffer("of_gaps", torch.zeros(0, dtype=torch.long))

    @property
    def in_features(self) -> int:
        """Number of columns."""
        return len(self.of_numbers) + len(self.of_categories)

    @property
    def out_features(self) -> int:
        """Width of the output."""
        n_encoded = self.one_hot.out_features + len(self.of_gaps)
        return len(self.of_numbers) + n_encoded

    def forward(self, x: Tensor) -> Tensor:
        """Scale and encode a batch."""
        if not len(self.of_categories) + len(self.of_gaps):
            return self.numbers(x)
        check_width(x, self.in_features)
        parts = [self.numbers(x.index_select(-1, self.of_numbers))]
        if len(self.of_categories):
            parts.append(self.one_hot(x.index_select(-1, self.of_categories)))
        if len(self.of_gaps):
            parts.append(x.index_select(-1, self.of_gaps).isnan().to(x.dtype))
        return torch.cat(parts, dim=-1)

    def initialize_from(self, X: Any, y: Any, sample_weight: NDArray) -> None:
        """Compute statistics and frequent levels of the training rows."""
        check_table(X, sample_weight, self.in_features)
        codes = self.codes_in(X)
        self.one_hot.initialize_from(codes, sample_weight)
        self.numbers.initialize_from(self.numbers_in(X), y, sample_weight)
        if self.widens:
            gaps = torch.from_numpy(columns_with_gaps(X, self.of_numbers.cpu().numpy()))
            self.of_gaps = gaps.to(self.of_numbers.device)
            self._warn_of_merged(codes)

    def _warn_of_merged(self, codes: NDArray) -> None:
        """Warn if frequent levels of a column share one input."""
        widths = np.diff(self.one_hot.bounds)
        for j, column, width in zip(self.of_categories, codes.T, widths, strict=True):
            n_levels = n_frequent(column)
            if n_levels > width:
                warn(
                    f"Column {int(j)} (the first is 0) has {n_levels:,} levels with at "
                    f"least {FEWEST_ROWS} rows, of which the {width - 1:,} most "
                    "frequent have an input each, and the others share one. "
                    "module='tabular' learns an embedding of each level; otherwise "
                    "group the levels before."
                )

    def update_from(self, X: Any, y: Any, sample_weight: NDArray) -> None:
        """Merge further rows into the statistics; the frequent levels stay."""
        if not isinstance(self.numbers, RobustScale):  # quantiles cannot be merged
            self.numbers.update_from(self.numbers_in(X), y, sample_weight)

    def codes_apart(self) -> dict[int, NDArray[np.bool_]]:
        """Return which codes of each column are not encoded as unknown values."""
        columns = self.of_categories.tolist()
        return dict(zip(columns, self.one_hot.codes_apart(), strict=True))

    def keep_codes(self, kept: Mapping[int, NDArray[np.intp]]) -> None:
        """Drop all but the `kept` codes of each column, and number these from 0."""
        self.one_hot.keep_codes([kept[j] for j in self.of_categories.tolist()])

    def numbers_in(self, X: Any) -> Any:
        """Select the columns of numbers."""
        return X[:, self.of_numbers.cpu().numpy()]

    def codes_in(self, X: Any) -> NDArray:
        """Select the columns of categories, as a dense array."""
        return dense(X[:, self.of_categories.cpu().numpy()])

    @property
    def is_constant(self) -> Tensor:
        """Whether each output was constant, of shape ``(out_features,)``."""
        varies = torch.zeros_like(self.of_gaps, dtype=torch.bool)
        return torch.cat([self.numbers.is_constant, self.one_hot.is_constant, varies])

    def shift_and_scale(self) -> tuple[Tensor, Tensor]:
        """Return shift and scale: numbers are ``(x - shift) / scale``."""
        assert not isinstance(self.numbers, RobustScale)  # it is not linear
        shift, scale = self.numbers.shift_and_scale()
        n_encoded = self.out_features - len(shift)
        zeros, ones = shift.new_zeros(n_encoded), scale.new_ones(n_encoded)
        return torch.cat([shift, zeros]), torch.cat([scale, ones])


InputLayer = Standardize | MixedInput


def input_layer(
    in_features: int,
    n_categories: Sequence[int] | None = None,
    *,
    standardize: bool = True,
    clip: float | bool | None = None,
) -> InputLayer:
    """Build the first layer of a network; the arguments are those of :class:`MLP`."""
    if clip is True and not standardize:
        raise ValueError(
            "module__clip=True accepts infinite values, which needs standardised "
            f"columns, however: {standardize=}"
        )
    sizes = column_sizes(in_features, n_categories)
    n_numbers = int((sizes == 0).sum())
    numbers = Standardize(n_numbers, clip) if standardize else FillMissing(n_numbers)
    if n_numbers == in_features:
        return numbers
    return MixedInput(sizes.tolist(), numbers, widens=True)


def with_gaps(layer: InputLayer, X: Any) -> InputLayer:
    """Add indicators of gaps to a layer of numbers, if the gaps are frequent enough."""
    n_columns = X.shape[1]
    if isinstance(layer, MixedInput) or sparse.issparse(X):
        return layer
    if not len(columns_with_gaps(X, np.arange(n_columns))):
        return layer
    return MixedInput([0] * n_columns, layer, widens=True).to(layer.mean.device)


def columns_with_gaps(X: Any, columns: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return columns with frequent gaps, one for each set of rows that have the gap."""
    if sparse.issparse(X):  # sparse tables have no gaps
        return np.empty(0, dtype=np.int64)
    found: dict[bytes, int] = {}
    for j in columns:
        is_gap = np.isnan(X[:, j])
        if is_frequent(int(is_gap.sum()), len(is_gap)):
            found.setdefault(np.packbits(is_gap).tobytes(), int(j))
    return np.array(list(found.values()), dtype=np.int64)

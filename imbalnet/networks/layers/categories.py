"""Layers that encode categories: one column for each frequent level, or a number."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from imbalnet._checks import is_integer
from imbalnet.networks._checks import check_sizes, check_width

# Default limit of levels with their own column, and the rows that such a level needs.
_MOST_LEVELS = 40
FEWEST_ROWS = 5


class _CodePlaces(nn.Module):
    """Look-up table from the codes of categorical columns to places.

    Subclasses define the places: output columns, or rows of an embedding table.
    """

    offset: Tensor
    last: Tensor
    place: Tensor

    def __init__(self, n_categories: Sequence[int]) -> None:
        super().__init__()
        if not _are_sizes(n_categories) or any(size < 1 for size in n_categories):
            raise ValueError(
                f"n_categories must be positive integers, however: {n_categories=}"
            )
        sizes = np.asarray(n_categories, dtype=np.int64)
        self._set_places(sizes, torch.arange(int(sizes.sum())))

    def _set_places(self, sizes: NDArray[np.int64], place: Tensor) -> None:
        self.starts = [0, *np.cumsum(sizes).tolist()]
        offset = torch.tensor(self.starts[:-1], dtype=torch.long).to(place.device)
        last = torch.from_numpy(sizes - 1).to(place.device)
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("last", last, persistent=False)
        self.register_buffer("place", place)

    def places(self, codes: Tensor) -> Tensor:
        """Look up the places of codes; codes beyond the last one count as the last."""
        known = torch.minimum(codes.long().clamp(min=0), self.last)
        return self.place[known.add_(self.offset)]

    def codes_apart(self) -> list[NDArray[np.bool_]]:
        """Return which codes of each column have another place than its last code."""
        of_columns = self.place.cpu().split(np.diff(self.starts).tolist())
        return [(place != place[-1]).numpy() for place in of_columns]

    def keep_codes(self, kept: Sequence[NDArray[np.intp]]) -> None:
        """Drop all but the `kept` codes of each column, and number these from 0."""
        sizes = np.array([len(codes) for codes in kept], dtype=np.int64)
        pairs = zip(self.starts, kept, strict=False)  # the last start is the end
        some = [start + code for start, codes in pairs for code in codes.tolist()]
        self._set_places(sizes, self.place[some])

    def extra_repr(self) -> str:
        """Return the parameters for the representation."""
        sizes = [stop - start for start, stop in pairwise(self.starts)]
        return f"n_categories={sizes}"


class OneHot(_CodePlaces):
    """One column for each frequent code of a categorical column, one for the others.

    :meth:`initialize_from` gives a column to each of the 40 most frequent codes
    (weighted) with at least 5 rows, or to more of them if `most_columns` allows it. All
    others, unseen ones included, share the last column, so that levels of single rows
    do not widen the network. If all rows would fall into one column, all codes share
    the last column, and have no effect.

    **Shape**

    - input: ``(..., n_columns)``, codes as whole numbers
    - output: ``(..., out_features)``, 0 and 1, with ``min(n, 41)`` columns for n codes,
      or more after :meth:`initialize_from`

    Parameters
    ----------
    n_categories : sequence of int
        Number of codes of each column.
    most_columns : int, default=0
        Output width up to which :meth:`initialize_from` gives each code with at least 5
        rows its own column. If that is not enough, the columns with more than 40 such
        codes share the width evenly; each keeps at least 40 codes.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import OneHot
    >>> OneHot([3])(torch.tensor([[0.0], [2.0]]))
    tensor([[1., 0., 0.],
            [0., 0., 1.]])
    """

    is_constant: Tensor
    is_common: Tensor

    def __init__(self, n_categories: Sequence[int], most_columns: int = 0) -> None:
        check_sizes(0, most_columns=most_columns)
        super().__init__(n_categories)
        self.most_columns = most_columns
        self._lay_out(np.minimum(np.diff(self.starts), _MOST_LEVELS + 1))
        for i, (start, stop) in enumerate(pairwise(self.starts)):
            width = self.bounds[i + 1] - self.bounds[i]
            codes = torch.arange(stop - start).clamp_(max=width - 1)
            self.place[start:stop] = self.bounds[i] + codes

    def _lay_out(self, widths: NDArray[np.int64]) -> None:
        self.bounds = [0, *np.cumsum(widths).tolist()]
        of_none = torch.zeros(
            self.out_features, dtype=torch.bool, device=self.place.device
        )
        self.register_buffer("is_constant", of_none)
        # whether more than half of the rows, by weight, have a 1 in the output
        self.register_buffer("is_common", of_none.clone())

    @property
    def out_features(self) -> int:
        """Width of the output."""
        return self.bounds[-1]

    def codes_of_outputs(self) -> list[list[list[int]]]:
        """Return, for each column, the codes that each of its outputs represents."""
        of_columns = self.place.cpu().split(np.diff(self.starts).tolist())
        return [
            [torch.nonzero(place == i).flatten().tolist() for i in range(*bounds)]
            for place, bounds in zip(of_columns, pairwise(self.bounds), strict=True)
        ]

    def forward(self, codes: Tensor) -> Tensor:
        """Encode a batch."""
        check_width(codes, len(self.last), "codes")
        encoded = codes.new_zeros((*codes.shape[:-1], self.out_features))
        return encoded.scatter_(-1, self.places(codes), 1.0)

    @torch.no_grad()
    def initialize_from(self, codes: NDArray, sample_weight: NDArray) -> None:
        """Choose the codes that have a column of their own.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, n_columns)
            Codes of the training rows.
        sample_weight : ndarray of shape (n_rows,)
            Weights of the rows.
        """
        self._lay_out(self._widths(codes))
        for i, (start, stop) in enumerate(pairwise(self.starts)):
            low, high = self.bounds[i], self.bounds[i + 1]
            column = codes[:, i].astype(np.int64)
            n_rows = np.bincount(column, minlength=stop - start)
            weight = np.bincount(column, sample_weight, minlength=stop - start)
            place = low + _places(n_rows, weight, high - low)
            self.place[start:stop] = torch.from_numpy(place)
            used = np.bincount(place - low, n_rows, minlength=high - low)
            is_constant = (used == 0) | (used == len(column))
            self.is_constant[low:high] = torch.from_numpy(is_constant)
            of_column = np.bincount(place - low, weight, minlength=high - low)
            is_common = of_column > sample_weight.sum() / 2
            self.is_common[low:high] = torch.from_numpy(is_common)

    def _widths(self, codes: NDArray) -> NDArray[np.int64]:
        """Return how many columns the codes of each column get."""
        sizes = np.diff(self.starts)
        widths = np.minimum(sizes, _MOST_LEVELS + 1)
        wanted = np.array([n_frequent(column) for column in codes.T], dtype=np.int64)
        has_many = wanted > _MOST_LEVELS
        n_left = self.most_columns - widths[~has_many].sum()
        if (wanted[has_many] + 1).sum() > n_left:
            wanted = np.minimum(wanted, n_left // max(has_many.sum(), 1) - 1)
        return np.where(has_many, np.maximum(widths, wanted + 1), widths)


def is_frequent(n_with: int, n_rows: int) -> bool:
    """Whether enough rows have an indicator, and enough lack it, to learn from it."""
    return FEWEST_ROWS <= n_with <= n_rows - FEWEST_ROWS


def n_frequent(codes: NDArray) -> int:
    """Count the codes with at least 5 rows."""
    return int((np.bincount(codes.astype(np.int64)) >= FEWEST_ROWS).sum())


def _places(n_rows: NDArray, weight: NDArray, width: int) -> NDArray[np.int64]:
    """Return each code's column; rare codes share the last one."""
    ranked = np.argsort(-weight, kind="stable")
    kept = ranked[n_rows[ranked] >= FEWEST_ROWS][: width - 1]
    places = np.full(len(n_rows), width - 1)
    if n_rows[kept].max(initial=0) < n_rows.sum():
        places[np.sort(kept)] = np.arange(len(kept))
    return places


class LevelPlaces(_CodePlaces):
    """Number the frequent levels of categorical columns, for a table of embeddings.

    Each level with at least 5 rows has its own number. All other levels of a column,
    unseen ones included, share one number.

    **Shape**

    - input: ``(..., n_columns)``, codes as whole numbers
    - output: ``(..., n_columns)``, whole numbers below ``n_places``

    Parameters
    ----------
    n_categories : sequence of int
        Number of codes of each column.
    """

    def __init__(self, n_categories: Sequence[int]) -> None:
        super().__init__(n_categories)
        self.n_places = self.starts[-1]

    @staticmethod
    def has_many(codes: NDArray) -> bool:
        """Whether a column has more frequent levels than :class:`OneHot` encodes."""
        return n_frequent(codes) > _MOST_LEVELS

    def forward(self, codes: Tensor) -> Tensor:
        """Return the places of a batch."""
        return self.places(codes)

    @torch.no_grad()
    def initialize_from(self, codes: NDArray) -> None:
        """Assign numbers to the frequent levels of codes, (n_rows, n_columns)."""
        self.n_places = 0
        for (start, stop), column in zip(pairwise(self.starts), codes.T, strict=True):
            n_rows = np.bincount(column.astype(np.int64), minlength=stop - start)
            is_own = n_rows >= FEWEST_ROWS
            place = np.where(is_own, np.cumsum(is_own), 0)  # 0 for all others
            self.place[start:stop] = torch.from_numpy(self.n_places + place)
            self.n_places += int(is_own.sum()) + 1


def column_sizes(
    in_features: int, n_categories: Sequence[int] | None
) -> NDArray[np.int64]:
    """Return each column's number of codes, 0 for numbers."""
    check_sizes(in_features=in_features)
    if n_categories is None:
        return np.zeros(in_features, np.int64)
    is_right = _are_sizes(n_categories) and len(n_categories) == in_features
    if not is_right or any(size < 0 for size in n_categories):
        raise ValueError(
            "n_categories must hold one number of codes for each column, 0 for "
            f"numbers, however: {in_features=}, {n_categories=}"
        )
    return np.asarray(n_categories, dtype=np.int64)


def _are_sizes(values: Any) -> bool:
    is_sequence = isinstance(values, Sequence | np.ndarray)
    return is_sequence and all(is_integer(value) for value in values)


def dense(X: Any) -> NDArray:
    """Return a sparse matrix as an array; an array is returned as it is."""
    return X.toarray() if sparse.issparse(X) else X

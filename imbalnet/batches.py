"""Training and validation rows, and batches sliced from them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.utils.data import Dataset

Batch = tuple[Tensor, Tensor, Tensor]
EpochRows = NDArray[np.intp] | list[NDArray[np.intp]]


class EpochOrder(Protocol):
    """What gives the order of an epoch; every index sampler does."""

    def epoch(self, batch_size: int) -> EpochRows:
        """Give row numbers, to be cut into batches in this order, or the batches."""


class Shuffle:
    """Every row once, in random order."""

    def __init__(self, n_rows: int, rng: np.random.Generator) -> None:
        self.n_rows, self.rng = n_rows, rng

    def epoch(self, batch_size: int) -> NDArray[np.intp]:
        """Give row numbers, to be cut into batches in this order."""
        del batch_size
        return self.rng.permutation(self.n_rows)

    def epoch_rows(self, counts: NDArray) -> int:
        """Give how many rows an epoch has."""
        del counts
        return self.n_rows

    def rates(self, counts: NDArray, batch_size: int) -> NDArray[np.float64]:
        """Give how often a row of each class comes in an epoch: once."""
        del batch_size
        return np.ones(len(counts))


class TableRows(Dataset):
    """Rows of a table that lies on the device as a whole; the split is an index.

    A sparse table stays in main memory and becomes dense batch by batch.

    Parameters
    ----------
    table : {ndarray, CSR matrix, Tensor} of shape (n_table_rows, n_features)
        Shared between the training and the validation rows, not copied where dtype
        and device already fit.
    codes : ndarray of shape (n_table_rows,)
        Class codes.
    weight : ndarray of shape (n_table_rows,)
        Loss weights.
    index : ndarray of int or None, default=None
        The table's rows that belong to this set; None takes all.
    order : EpochOrder or None, default=None
        Asked for the order of the rows once an epoch; None goes through them as they
        stand.
    dtype, device
        Of the batches.
    """

    def __init__(
        self,
        table: Any,
        codes: NDArray,
        weight: NDArray,
        index: NDArray | None = None,
        *,
        order: EpochOrder | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.dtype, self.device = dtype, torch.device(device)
        self.table: Any = table if sparse.issparse(table) else self._on_device(table)
        self.codes = torch.as_tensor(codes, dtype=torch.int64, device=device)
        self.weight = torch.as_tensor(weight, dtype=dtype, device=device)
        self.order = order
        rows = np.arange(table.shape[0]) if index is None else index
        self.index = torch.as_tensor(rows, dtype=torch.int64, device=device)

    def _on_device(self, values: Any) -> Tensor:
        with warnings.catch_warnings():
            # a read-only array (joblib's memory map): nothing here writes to it
            warnings.filterwarnings("ignore", "The given NumPy array is not writ")
            return torch.as_tensor(values, dtype=self.dtype, device=self.device)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> Batch:
        X, y, weight = self.take(torch.tensor([i]))
        return X[0], y[0], weight[0]

    def take(self, positions: Tensor) -> Batch:
        """Gather the rows at `positions` (numbers within this set) as one batch."""
        rows = self.index[positions.to(self.device)]
        return self._features(rows), self.codes[rows], self.weight[rows]

    def _features(self, rows: Tensor) -> Tensor:
        if sparse.issparse(self.table):
            return self._on_device(self.table[rows.cpu().numpy()].toarray())
        return self.table.index_select(0, rows)

    @property
    def X(self) -> Any:  # noqa: N802
        """The features, gathered on each access; for skorch callbacks."""
        if sparse.issparse(self.table):
            return self.table[self.index.cpu().numpy()]
        return self._features(self.index)

    @property
    def y(self) -> Tensor:
        """The class codes, gathered on each access."""
        return self.codes[self.index]


class TensorBatches:
    """Cut an epoch into batches without a per-row step.

    Parameters
    ----------
    rows : TableRows
    batch_size : int

    Yields
    ------
    (X, codes, weight) : tuple of Tensor
        A single row that would be left over joins the batch before it: batch
        normalisation cannot train on one row.

    See Also
    --------
    batch_sizes : Where an epoch is cut.
    """

    def __init__(self, rows: TableRows, batch_size: int) -> None:
        self.rows, self.batch_size = rows, batch_size

    def __iter__(self) -> Iterator[Batch]:
        order = self.rows.order
        if order is None:
            drawn: EpochRows = np.arange(len(self.rows))
        else:
            drawn = order.epoch(self.batch_size)
        flat, sizes = _flattened(drawn, self.batch_size)
        for batch in torch.from_numpy(flat).to(self.rows.device).split(sizes):
            yield self.rows.take(batch)


def batch_sizes(n_rows: int, batch_size: int) -> list[int]:
    """Give the sizes of the batches that an epoch is cut into.

    A single row that would be left over joins the batch before it.

    Parameters
    ----------
    n_rows : int
        Rows of the epoch.
    batch_size : int

    Examples
    --------
    >>> batch_sizes(10, 4), batch_sizes(9, 4)
    ([4, 4, 2], [4, 5])
    """
    n_full, left = divmod(int(n_rows), batch_size)
    return _joined([batch_size] * n_full + ([left] if left else []))


def _flattened(drawn: EpochRows, batch_size: int) -> tuple[NDArray, list[int]]:
    if isinstance(drawn, list):
        return np.concatenate(drawn), _joined([len(batch) for batch in drawn])
    return drawn, batch_sizes(len(drawn), batch_size)


def _joined(sizes: list[int]) -> list[int]:
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes

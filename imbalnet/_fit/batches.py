"""Training and validation rows, and batches sliced from them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.utils.data import Dataset

from imbalnet.samplers._epochs import (
    EpochOrder,
    EpochRows,
    batch_sizes,
    checked_epoch,
    without_single_row,
)

Batch = tuple[Tensor, Tensor, Tensor]
PreparedBatch = tuple[Tensor, Tensor, Tensor, Tensor]

# Values of a block of batches: 1 MiB in float32, and 64 MiB.
_CPU_BLOCK_VALUES = 2**18
_GPU_BLOCK_VALUES = 2**24


class TableRows(Dataset):
    """Rows of a table; the split is an index.

    A dense table lies on the device as a whole, where it fits. A sparse one, and one
    that is not `resident`, stay in main memory and follow block by block.

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
    resident : bool, default=True
        Whether a dense table goes to the device as a whole.
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
        resident: bool = True,
    ) -> None:
        self.dtype, self.device = dtype, torch.device(device)
        self.resident = resident and not sparse.issparse(table)
        home = self.device if self.resident else torch.device("cpu")
        self.table: Any = table
        if not sparse.issparse(table):
            self.table = as_tensor(table, dtype=dtype, device=home)
        self.codes = as_tensor(codes, device=home)
        self.weight = as_tensor(weight, dtype=dtype, device=home)
        self.order = order
        self.index = None if index is None else as_tensor(index, device=home)

    def __len__(self) -> int:
        return len(self.codes) if self.index is None else len(self.index)

    def __getitem__(self, i: int) -> Batch:
        X, y, weight = self.take(torch.tensor([i]))
        return X[0], y[0], weight[0]

    def take(self, positions: Tensor | slice) -> Batch:
        """Gather the rows at `positions` (numbers within this set) on the device.

        A slice of all the table's rows is no copy.
        """
        rows = self._table_rows(positions)
        return (
            self._features(rows),
            self._to_device(_at(self.codes, rows)).long(),
            self._to_device(_at(self.weight, rows)),
        )

    def features(self, positions: Tensor | slice) -> Tensor:
        """Gather the features alone; see :meth:`take`."""
        return self._features(self._table_rows(positions))

    def epoch(self, batch_size: int) -> tuple[Tensor | None, list[int]]:
        """Give the positions of an epoch's rows, and the sizes of its batches.

        None are the rows as they stand.
        """
        if self.order is None:
            return None, batch_sizes(len(self), batch_size)
        drawn = self.order.epoch(batch_size)
        drawn = checked_epoch(drawn, len(self), type(self.order).__name__)
        flat, sizes = _flattened(drawn, batch_size)
        return torch.from_numpy(flat).to(self.codes.device), sizes

    @property
    def values_per_row(self) -> int:
        """Features that a row of a batch holds."""
        return self.table.shape[1]

    def _table_rows(self, positions: Tensor | slice) -> Tensor | slice:
        if isinstance(positions, Tensor):
            positions = positions.to(self.codes.device)
        if self.index is None:
            return positions
        return _at(self.index, positions)

    def _features(self, rows: Tensor | slice) -> Tensor:
        if sparse.issparse(self.table):
            chosen = rows.numpy() if isinstance(rows, Tensor) else rows
            dense = torch.from_numpy(self.table[chosen].toarray())
            return self._to_device(dense.to(self.dtype))
        return self._to_device(_at(self.table, rows))

    def _to_device(self, values: Tensor) -> Tensor:
        """Bring a block over; from pinned memory, while the device goes on working."""
        if self.device.type == "cuda" and values.device.type == "cpu":
            return values.pin_memory().to(self.device, non_blocking=True)
        return values.to(self.device)

    @property
    def X(self) -> Any:  # noqa: N802
        """The features, gathered on each access; for skorch callbacks."""
        if sparse.issparse(self.table):
            return self.table if self.index is None else self.table[self.index.numpy()]
        return self.features(slice(None))

    @property
    def y(self) -> Tensor:
        """The class codes, gathered on each access."""
        return _at(self.codes, self._table_rows(slice(None))).long()


def as_tensor(
    values: Any, device: torch.device | str, dtype: torch.dtype | None = None
) -> Tensor:
    """Give a tensor that shares memory with `values` where dtype and device fit."""
    with warnings.catch_warnings():
        # a read-only array (joblib's memory map): nothing here writes to it
        warnings.filterwarnings("ignore", "The given NumPy array is not writ")
        return torch.as_tensor(values, dtype=dtype, device=device)


def _at(values: Tensor, rows: Tensor | slice) -> Tensor:
    return values[rows] if isinstance(rows, slice) else values.index_select(0, rows)


class TensorBatches:
    """Cut an epoch into batches without a per-row step.

    Rows are gathered block by block, a block holding as many batches as fit the
    processor's cache (on a GPU, as keep it busy), and a batch is a slice of its block.

    Parameters
    ----------
    rows : TableRows
    batch_size : int

    Attributes
    ----------
    prepared_width : int
        Values of a row that is prepared, where those are more than the table's.

    Yields
    ------
    (X, codes, weight) : tuple of Tensor
        Of the length of the batch. A single row that would be left over joins the
        batch before it: batch normalisation cannot train on one row.

    See Also
    --------
    batch_sizes : Where an epoch is cut.
    """

    def __init__(self, rows: TableRows, batch_size: int) -> None:
        self.rows, self.batch_size = rows, batch_size
        self.prepared_width = 0

    def __iter__(self) -> Iterator[Batch]:
        for block, sizes in self._blocks():
            yield from _cut(block, sizes)

    def prepared(
        self, prepare: Callable[[Tensor], Tensor] | None
    ) -> Iterator[PreparedBatch]:
        """Yield batches of which more is done, block by block.

        Parameters
        ----------
        prepare : callable or None
            Turns features into what the batches shall hold.

        Yields
        ------
        (prepared, codes, weight, share) : tuple of Tensor
            ``share`` is the weight divided by the size of the batch.
        """
        for (X, codes, weight), sizes in self._blocks():
            X = X if prepare is None else prepare(X)
            yield from _cut((X, codes, weight, _shares(weight, sizes)), sizes)

    def _blocks(self) -> Iterator[tuple[Batch, list[int]]]:
        """Yield rows, and the sizes of the batches that they are cut into."""
        positions, sizes = self.rows.epoch(self.batch_size)
        stop = 0
        for part in self._grouped(sizes):
            start, stop = stop, stop + sum(part)
            chosen = slice(start, stop)
            rows = chosen if positions is None else positions[chosen]
            yield self.rows.take(rows), part

    def _grouped(self, sizes: list[int]) -> Iterator[list[int]]:
        on_cpu = self.rows.device.type == "cpu"
        values = _CPU_BLOCK_VALUES if on_cpu else _GPU_BLOCK_VALUES
        width = max(self.rows.values_per_row, self.prepared_width)
        n_batches = max(1, values // (width * max(sizes)))
        for start in range(0, len(sizes), n_batches):
            yield sizes[start : start + n_batches]


def _cut(block: tuple[Tensor, ...], sizes: list[int]) -> Iterator[Any]:
    return zip(*(column.split(sizes) for column in block), strict=True)


def _shares(weight: Tensor, sizes: list[int]) -> Tensor:
    if min(sizes) == max(sizes):
        return weight / sizes[0]
    lengths = torch.tensor(sizes, device=weight.device)
    lengths = lengths.repeat_interleave(lengths, output_size=len(weight))
    return weight / lengths.view(-1, *[1] * (weight.ndim - 1))


def _flattened(drawn: EpochRows, batch_size: int) -> tuple[NDArray, list[int]]:
    if isinstance(drawn, list):
        return np.concatenate(drawn), without_single_row(
            [len(batch) for batch in drawn]
        )
    return drawn, batch_sizes(len(drawn), batch_size)

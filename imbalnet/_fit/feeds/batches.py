"""Tables of rows on the device, and batches, which are slices of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import gen_batches
from torch import Tensor
from torch.utils.data import Dataset

from imbalnet._predict import as_tensor
from imbalnet._runtime import free_memory
from imbalnet._tables import Rows, ShuffledMatrix
from imbalnet._warn import warn
from imbalnet.samplers import IndexSampler, Shuffle
from imbalnet.samplers._epochs import (
    EpochRows,
    batch_sizes,
    checked_epoch,
    without_single_row,
)

Batch = tuple[Tensor, Tensor, Tensor]
PreparedBatch = tuple[Tensor, Tensor, Tensor, Tensor]
# From positions and batch sizes of an epoch to those of this process.
Cut = Callable[[Tensor, list[int]], tuple[Tensor, list[int]]]
# A table, positions of rows in it (None: all, in order), and for each batch its number
# of rows in this process and in all.
Window = tuple["Table", Tensor | None, list[int], list[int]]

# Largest number of values in a block of batches: 1 MiB and 64 MiB in float32.
_CPU_BLOCK_VALUES = 2**18
_GPU_BLOCK_VALUES = 2**24

# Share of a device's free memory that a table may use; the network needs the rest.
_SHARE_OF_FREE_MEMORY = 0.8


@dataclass(frozen=True)
class Place:
    """Device and dtype of batches, and whether a dense table is stored there."""

    dtype: torch.dtype
    device: torch.device
    is_resident: bool = True

    @classmethod
    def of(cls, X: Any, dtype: torch.dtype, device: torch.device) -> Place:
        """Return a place for X, which is stored on the device if it has the memory."""
        free = free_memory(device)
        n_bytes = X.size * dtype.itemsize if _is_dense(X) else 0
        if free is None or n_bytes <= _SHARE_OF_FREE_MEMORY * free:
            return cls(dtype, device)
        warn(
            f"X has {n_bytes / 1e9:.1f} GB, but {device} has {free / 1e9:.1f} GB free: "
            "the batches come from main memory, which takes longer. Free memory there, "
            "or take a device with more, to train without copies."
        )
        return cls(dtype, device, is_resident=False)


class Table(Dataset):
    """Some rows of a table, from which batches on the device are gathered.

    A dense table is stored on the device if it fits. Sparse and larger ones stay in
    main memory, and are moved block by block. A table that is not in memory is read in
    `windows`, each of which is a table in memory. Rows are selected by an index, so
    that several splits share one table.

    With `keeps_sparse`, the batches of a sparse table are sparse tensors. Nothing is
    copied if dtype and device are the same. `weight` are the loss weights of all rows
    of the table (None: the sample weights), `order` draws the rows of an epoch (None:
    all, in order), and `features` replace those of the table if they are already on the
    device.
    """

    def __init__(
        self,
        rows: Rows,
        place: Place,
        *,
        weight: NDArray | None = None,
        order: Shuffle | IndexSampler | None = None,
        features: Any = None,
        keeps_sparse: bool = False,
    ) -> None:
        self.dtype, self.device = place.dtype, place.device
        self.table: Any = rows.X if features is None else features
        is_dense = _is_dense(self.table)
        self.keeps_sparse = keeps_sparse and sparse.issparse(self.table)
        self.is_resident = is_dense and place.is_resident
        storage = self.device if self.is_resident else torch.device("cpu")
        if is_dense:
            self.table = as_tensor(self.table, dtype=self.dtype, device=storage)
        self.codes = as_tensor(rows.codes, device=storage)
        weight = rows.weight if weight is None else weight
        if weight is None:  # a view of a single 1
            one = torch.ones((), dtype=self.dtype, device=storage)
            self.weight = one.expand(len(rows.codes))
        else:
            self.weight = as_tensor(weight, dtype=self.dtype, device=storage)
        self.order = order
        index = rows.index
        self.index = None if index is None else as_tensor(index, device=storage)

    def __len__(self) -> int:
        return len(self.codes) if self.index is None else len(self.index)

    def __getitem__(self, i: int) -> Batch:
        X, y, weight = self.take(torch.tensor([i]))
        return X[0], y[0], weight[0]

    def take(self, positions: Tensor | slice) -> Batch:
        """Gather features, codes and weights of rows on the device.

        `positions` refer to the selected rows, not to those of the table. A slice is
        not copied if all rows are selected.
        """
        rows = self._table_rows(positions)
        features = self._sparse if self.keeps_sparse else self._features
        return (
            features(rows),
            self._to_device(_at(self.codes, rows)).long(),
            self._to_device(_at(self.weight, rows)),
        )

    def features(self, positions: Tensor | slice) -> Tensor:
        """Gather only the features; see :meth:`take`."""
        return self._features(self._table_rows(positions))

    def epoch(self, batch_size: int) -> tuple[Tensor | None, list[int]]:
        """Return the positions of an epoch's rows, and the sizes of its batches.

        If positions are None, the epoch is all rows, in order.
        """
        if self.order is None:
            return None, batch_sizes(len(self), batch_size)
        drawn = self.order.epoch(batch_size)
        drawn = checked_epoch(drawn, len(self), type(self.order).__name__)
        flat, sizes = _flattened(drawn, batch_size)
        return torch.from_numpy(flat).to(self.codes.device), sizes

    def windows(self, batch_size: int, cut: Cut | None = None) -> Iterator[Window]:
        """Yield the windows of an epoch, with the rows of this process (`cut`).

        A table in memory is one window.
        """
        positions, sizes = self.epoch(batch_size)
        lengths = sizes
        if cut is not None and positions is not None:
            positions, lengths = cut(positions, sizes)
        if not isinstance(self.table, ShuffledMatrix):
            yield self, positions, lengths, sizes
            return
        stop, n_batches = 0, max(1, self.table.window_rows // max(sizes))
        for some in gen_batches(len(sizes), n_batches):
            start, stop = stop, stop + sum(lengths[some])
            rows = slice(start, stop) if positions is None else positions[start:stop]
            yield self._loaded(rows), None, lengths[some], sizes[some]

    def _loaded(self, positions: Tensor | slice) -> Table:
        """Return the rows at `positions`, in their order, as a table on the device."""
        rows, window = self._table_rows(positions), copy.copy(self)
        window.is_resident, window.index = True, None
        window.table = self._features(rows)
        window.codes = self._to_device(_at(self.codes, rows))
        window.weight = self._to_device(_at(self.weight, rows))
        return window

    @property
    def values_per_row(self) -> int:
        """Number of features."""
        return self.table.shape[1]

    def _table_rows(self, positions: Tensor | slice) -> Tensor | slice:
        if isinstance(positions, Tensor):
            positions = positions.to(self.codes.device)
        return positions if self.index is None else _at(self.index, positions)

    def _features(self, rows: Tensor | slice) -> Tensor:
        if isinstance(self.table, Tensor):
            return self._to_device(_at(self.table, rows))
        part = self.table[rows.numpy() if isinstance(rows, Tensor) else rows]
        dense = torch.from_numpy(part.toarray() if sparse.issparse(part) else part)
        return self._to_device(dense.to(self.dtype))

    def _sparse(self, rows: Tensor | slice) -> Tensor:
        """Gather rows of a sparse table as a sparse tensor."""
        part = self.table[rows.numpy() if isinstance(rows, Tensor) else rows].tocoo()
        index = torch.from_numpy(np.stack([part.row, part.col]).astype(np.int64))
        values = torch.from_numpy(part.data).to(self.dtype)
        shape = torch.Size(part.shape)
        rows = torch.sparse_coo_tensor(index, values, shape, check_invariants=False)
        return rows.to(self.device).coalesce()

    def _to_device(self, values: Tensor) -> Tensor:
        """Move a block to the device; copies from pinned memory are asynchronous."""
        if self.device.type == "cuda" and values.device.type == "cpu":
            return values.pin_memory().to(self.device, non_blocking=True)
        return values.to(self.device)

    @property
    def X(self) -> Any:  # noqa: N802
        """The features, for skorch's callbacks; gathered on each access."""
        if isinstance(self.table, ShuffledMatrix):
            raise ValueError(
                "callbacks: one reads all training rows, which those of a LargeTable "
                "are too many for; let it look at validation rows (on_train=False)."
            )
        if sparse.issparse(self.table):
            return self.table if self.index is None else self.table[self.index.numpy()]
        return self.features(slice(None))

    @property
    def y(self) -> Tensor:
        """The class codes, gathered on each access."""
        return _at(self.codes, self._table_rows(slice(None))).long()


def _is_dense(X: Any) -> bool:
    """Return whether a table can be converted to one dense tensor."""
    return not (sparse.issparse(X) or isinstance(X, ShuffledMatrix))


def _at(values: Tensor, rows: Tensor | slice) -> Tensor:
    return values[rows] if isinstance(rows, slice) else values.index_select(0, rows)


class TensorBatches:
    """Iterate over the batches of an epoch, without a Python step for each row.

    Rows are gathered in blocks of several batches, which fit into the processor's cache
    (on a GPU, the blocks are larger). A batch is a slice of its block.

    If the last batch had a single row, this row is added to the batch before it,
    because batch normalisation cannot be trained on one row.

    Attributes
    ----------
    prepare : callable or None
        The network's first layers, if these are not trained, and can be applied to
        blocks.
    prepared_width : int
        Number of values in a row after these layers.
    cut : callable or None
        Maps positions and batch sizes of an epoch to those of this process.
    """

    def __init__(self, dataset: Table, batch_size: int) -> None:
        self.dataset, self.batch_size = dataset, batch_size
        self.prepare: Callable[[Tensor], Tensor] | None = None
        self.prepared_width = 0
        self.cut: Cut | None = None

    def __iter__(self) -> Iterator[Batch]:
        for block, lengths, _ in self._blocks():
            yield from _cut(block, lengths)

    def prepared(self) -> Iterator[PreparedBatch]:
        """Yield features, codes, weights, and weights divided by the batch size.

        `prepare` is applied to the features.
        """
        for (X, codes, weight), lengths, sizes in self._blocks():
            X = X if self.prepare is None else self.prepare(X)
            share = _shares(weight, lengths, sizes)
            yield from _cut((X, codes, weight, share), lengths)

    def _blocks(self) -> Iterator[tuple[Batch, list[int], list[int]]]:
        """Yield blocks of rows, and each batch's number of rows here and in all."""
        windows = self.dataset.windows(self.batch_size, self.cut)
        for table, positions, lengths, sizes in windows:
            stop = 0
            for batches in self._grouped(sizes):
                start, stop = stop, stop + sum(lengths[batches])
                chosen = slice(start, stop)
                rows = chosen if positions is None else positions[chosen]
                yield table.take(rows), lengths[batches], sizes[batches]

    def _grouped(self, sizes: list[int]) -> Iterator[slice]:
        on_cpu = self.dataset.device.type == "cpu"
        values = _CPU_BLOCK_VALUES if on_cpu else _GPU_BLOCK_VALUES
        width = max(self.dataset.values_per_row, self.prepared_width)
        n_batches = max(1, values // (width * max(sizes)))
        return gen_batches(len(sizes), n_batches)


@dataclass(frozen=True)
class FreshBatches:
    """Batches of a dataset from a new iterator in each epoch, of any class."""

    dataset: Any
    new_iterator: Callable[[], Any]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.new_iterator())


def _cut(block: tuple[Tensor, ...], sizes: list[int]) -> Iterator[Any]:
    if len(sizes) == 1:  # sparse rows cannot be split
        return iter([block])
    return zip(*(column.split(sizes) for column in block), strict=True)


def _shares(weight: Tensor, lengths: list[int], sizes: list[int]) -> Tensor:
    """Divide the weights of rows by the size of their batch."""
    if min(sizes) == max(sizes):
        return weight / sizes[0]
    repeats, divisors = (
        torch.tensor(n, device=weight.device) for n in (lengths, sizes)
    )
    divisors = divisors.repeat_interleave(repeats, output_size=len(weight))
    return weight / divisors.view(-1, *[1] * (weight.ndim - 1))


def _flattened(drawn: EpochRows, batch_size: int) -> tuple[NDArray, list[int]]:
    if isinstance(drawn, list):
        return np.concatenate(drawn), without_single_row(
            [len(batch) for batch in drawn]
        )
    return drawn, batch_sizes(len(drawn), batch_size)

"""Training and validation rows, and batches sliced from them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.utils.data import Dataset

Batch = tuple[Tensor, Tensor, Tensor]
PreparedBatch = tuple[Tensor, Tensor, Tensor, Tensor]
# Row numbers, or the batches of them; users' own may be any kind of integers.
EpochRows = NDArray[np.integer] | list[NDArray[np.integer]]

# Values of a block of batches: 1 MiB in float32, and 64 MiB.
_CPU_BLOCK_VALUES = 2**18
_GPU_BLOCK_VALUES = 2**24


class EpochOrder(Protocol):
    """What gives the order of an epoch; every index sampler does."""

    def epoch(self, batch_size: int) -> EpochRows:
        """Give row numbers, to be cut into batches in this order, or the batches."""


class Shuffle:
    """Every row once, in random order."""

    def __init__(self, n_rows: int, rng: np.random.Generator) -> None:
        self.n_rows, self.rng = n_rows, rng

    def epoch(self, batch_size: int) -> NDArray[np.integer]:
        """Give row numbers, to be cut into batches in this order."""
        del batch_size
        rows = np.arange(self.n_rows, dtype=index_dtype(self.n_rows))
        self.rng.shuffle(rows)
        return rows

    def epoch_rows(self, counts: NDArray) -> int:
        """Give how many rows an epoch has."""
        del counts
        return self.n_rows

    def rates(self, counts: NDArray, batch_size: int) -> NDArray[np.float64]:
        """Give how often a row of each class comes in an epoch: once."""
        del batch_size
        return np.ones(len(counts))


def index_dtype(n_rows: int) -> type[np.signedinteger]:
    """Give the smaller type that holds row numbers; torch takes both for an index."""
    return np.int32 if n_rows < 2**31 else np.int64


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
    return without_single_row([batch_size] * n_full + ([left] if left else []))


def checked_epoch(drawn: Any, n_rows: int, sampler: str) -> EpochRows:
    """Bring what a sampler gave for an epoch to arrays of row numbers, or raise.

    Parameters
    ----------
    drawn : iterable of int or of iterables of int
        Row numbers, or batches of them: arrays, tensors, lists and so on.
    n_rows : int
        Rows that there are.
    sampler : str
        Its name, for the error.

    Returns
    -------
    ndarray of shape (n_drawn,) or list of ndarray
        A list holds the batches, without empty ones.

    Raises
    ------
    ValueError
        If there is no row, or one that is no integer from 0 to `n_rows` - 1.

    Examples
    --------
    >>> checked_epoch([3, 1, 0], n_rows=4, sampler="Mine")
    array([3, 1, 0])
    >>> checked_epoch([[3, 1], [0]], n_rows=4, sampler="Mine")
    [array([3, 1]), array([0])]
    """
    try:
        rows = _row_numbers(drawn)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"sampler={sampler} must give an epoch as row numbers, integers from 0 to "
            f"{n_rows - 1}, or as a list of batches of them: {error}."
        ) from error
    if not len(rows):
        raise ValueError(
            f"sampler={sampler} drew no rows in an epoch of {n_rows} training rows; an "
            "epoch must have some."
        )
    flat = np.concatenate(rows) if isinstance(rows, list) else rows
    outside = flat[(flat < 0) | (flat >= n_rows)]
    if len(outside):
        raise ValueError(
            f"sampler={sampler} drew row {outside[0]}, but the training rows have the "
            f"numbers 0 to {n_rows - 1}: they are counted behind the validation split. "
            "Build the sampler from the class codes that it is given: the labels or "
            "data_source of a torch sampler's __init__, the codes of bind."
        )
    return rows


def _row_numbers(drawn: Any) -> EpochRows:
    if not isinstance(drawn, np.ndarray | Tensor):
        drawn = list(drawn)
    if len(drawn) and np.ndim(drawn[0]) > 0:
        return [_integers(batch) for batch in drawn if len(batch)]
    return _integers(drawn)


def _integers(values: Any) -> NDArray[np.integer]:
    if isinstance(values, list | tuple) and values and isinstance(values[0], Tensor):
        values = torch.stack(list(values))  # NumPy would take them one by one
    if isinstance(values, Tensor):
        values = values.cpu()
    numbers = np.asarray(values)
    if numbers.ndim != 1 or (len(numbers) and numbers.dtype.kind not in "iu"):
        raise ValueError(
            f"it gave values of dtype {numbers.dtype} and shape {numbers.shape}"
        )
    signed = numbers.dtype if numbers.dtype in (np.int32, np.int64) else np.int64
    return np.require(numbers, signed, ["C", "W"])  # torch takes no other views


def _flattened(drawn: EpochRows, batch_size: int) -> tuple[NDArray, list[int]]:
    if isinstance(drawn, list):
        return np.concatenate(drawn), without_single_row(
            [len(batch) for batch in drawn]
        )
    return drawn, batch_sizes(len(drawn), batch_size)


def without_single_row(sizes: list[int]) -> list[int]:
    """Let a last batch of a single row join the one before it.

    Parameters
    ----------
    sizes : list of int
    """
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes

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
# Row numbers, or the batches of them; users' own may be any kind of integers.
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
        n_rows = len(self.rows)
        if order is None:
            drawn: EpochRows = np.arange(n_rows)
        else:
            drawn = order.epoch(self.batch_size)
            drawn = checked_epoch(drawn, n_rows, type(order).__name__)
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


def _integers(values: Any) -> NDArray[np.intp]:
    if isinstance(values, list | tuple) and values and isinstance(values[0], Tensor):
        values = torch.stack(list(values))  # NumPy would take them one by one
    if isinstance(values, Tensor):
        values = values.cpu()
    numbers = np.asarray(values)
    if numbers.ndim != 1 or (len(numbers) and numbers.dtype.kind not in "iu"):
        raise ValueError(
            f"it gave values of dtype {numbers.dtype} and shape {numbers.shape}"
        )
    return np.require(numbers, np.intp, ["C", "W"])  # torch takes no other views


def _flattened(drawn: EpochRows, batch_size: int) -> tuple[NDArray, list[int]]:
    if isinstance(drawn, list):
        return np.concatenate(drawn), _joined([len(batch) for batch in drawn])
    return drawn, batch_sizes(len(drawn), batch_size)


def _joined(sizes: list[int]) -> list[int]:
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes

"""An epoch as row numbers, and the sizes of its batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbalnet._checks import checked_integer

# Row numbers, or batches of them; samplers of users may draw any dtype of integers.
EpochRows = NDArray[np.integer] | list[NDArray[np.integer]]


class Shuffle:
    """Every row once, in random order.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    rng : numpy.random.Generator
        Generator of the orders.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.samplers import Shuffle
    >>> Shuffle(6, np.random.default_rng(0)).epoch(batch_size=2).tolist()
    [3, 2, 5, 4, 0, 1]
    """

    def __init__(self, n_rows: int, rng: np.random.Generator) -> None:
        self.n_rows = checked_integer("n_rows", n_rows)
        self.rng = checked_generator(rng)

    def epoch(self, batch_size: int) -> NDArray[np.integer]:
        """Draw one epoch of row numbers.

        Parameters
        ----------
        batch_size : int
            Number of rows in a batch; not used.

        Returns
        -------
        ndarray of shape (n_rows,)
            Row numbers.
        """
        del batch_size
        rows = np.arange(self.n_rows, dtype=index_dtype(self.n_rows))
        self.rng.shuffle(rows)
        return rows

    def epoch_rows(self, counts: NDArray) -> int:
        """Return how many rows an epoch has.

        Parameters
        ----------
        counts : ndarray of shape (n_classes,)
            Number of rows of each class; not used.

        Returns
        -------
        int
            ``n_rows``.
        """
        del counts
        return self.n_rows

    def rates(self, counts: NDArray, batch_size: int) -> NDArray[np.float64]:
        """Return how often a row of each class is drawn in an epoch: once.

        Parameters
        ----------
        counts : ndarray of shape (n_classes,)
            Number of rows of each class.
        batch_size : int
            Number of rows in a batch; not used.

        Returns
        -------
        ndarray of shape (n_classes,)
            Ones.
        """
        del batch_size
        return np.ones(len(counts))


class BlockShuffle(Shuffle):
    """Every row once: blocks of rows in random order, and rows shuffled in windows.

    This is for tables that are read window by window, and whose blocks are random
    samples. A window holds rows of few blocks, so that it is read from few places.

    Parameters
    ----------
    edges : ndarray of shape (n_blocks + 1,)
        First row of each block, and the end of the last one.
    rng : numpy.random.Generator
        Generator of the orders.
    window_rows : int
        Number of rows that are shuffled together.
    """

    def __init__(
        self, edges: NDArray[np.integer], rng: np.random.Generator, window_rows: int
    ) -> None:
        super().__init__(int(edges[-1]), rng)
        self.edges, self.window_rows = edges, window_rows

    def epoch(self, batch_size: int) -> NDArray[np.integer]:
        """Draw one epoch of row numbers."""
        rows: NDArray = np.empty(self.n_rows, dtype=index_dtype(self.n_rows))
        stop = 0
        for i in self.rng.permutation(len(self.edges) - 1).tolist():
            first, last = self.edges[i : i + 2].tolist()
            start, stop = stop, stop + last - first
            rows[start:stop] = np.arange(first, last)
        step = max(1, self.window_rows // batch_size) * batch_size
        for start in range(0, self.n_rows, step):
            self.rng.shuffle(rows[start : start + step])
        return rows


def checked_generator(rng: Any) -> np.random.Generator:
    """Return a generator, or raise for a seed or anything else."""
    if isinstance(rng, np.random.Generator):
        return rng
    raise ValueError(
        f"rng={rng!r} must be a numpy.random.Generator; a seed becomes one by "
        "np.random.default_rng(seed)."
    )


def index_dtype(n_rows: int) -> type[np.signedinteger]:
    """Return the smallest dtype for row numbers that torch accepts as an index."""
    return np.int32 if n_rows < 2**31 else np.int64


def batch_sizes(n_rows: int, batch_size: int) -> list[int]:
    """Compute the sizes of the batches that an epoch is cut into.

    Parameters
    ----------
    n_rows : int
        Number of rows in the epoch.
    batch_size : int
        Number of rows in a batch. If a single row is left over, it is added to the
        batch before it.

    Returns
    -------
    list of int
        Numbers of rows, whose sum is `n_rows`.

    Raises
    ------
    ValueError
        If `n_rows` is not an integer of at least 0, or `batch_size` not an integer of
        at least 1.

    Examples
    --------
    >>> from imbalnet.samplers import batch_sizes
    >>> batch_sizes(10, 4), batch_sizes(9, 4)
    ([4, 4, 2], [4, 5])
    """
    n_rows = checked_integer("n_rows", n_rows, 0)
    batch_size = checked_integer("batch_size", batch_size, 1)
    n_full, left = divmod(n_rows, batch_size)
    return without_single_row([batch_size] * n_full + ([left] if left else []))


def checked_epoch(drawn: Any, n_rows: int, sampler: str) -> EpochRows:
    """Convert the rows that a sampler drew to an array, or to a list of batches.

    Raise a ValueError if there are no rows, or if a number is not below `n_rows`.

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
            f"numbers 0 to {n_rows - 1}: they are counted after the validation split. "
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
        values = torch.stack(list(values))  # NumPy would convert them one by one
    if isinstance(values, Tensor):
        values = values.cpu()
    numbers = np.asarray(values)
    if numbers.ndim != 1 or (len(numbers) and numbers.dtype.kind not in "iu"):
        raise ValueError(
            f"it gave values of dtype {numbers.dtype} and shape {numbers.shape}"
        )
    signed = numbers.dtype if numbers.dtype in (np.int32, np.int64) else np.int64
    return np.require(numbers, signed, ["C", "W"])  # torch accepts only such arrays


def without_single_row(sizes: list[int]) -> list[int]:
    """Add a last batch of a single row to the batch before it."""
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes

"""The matrix that training reads: a temporary file of rows in random order."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from math import ceil
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

# Buckets in one window of training, whose rows are shuffled together.
_OF_WINDOW = 8
_MOST_BUCKETS = 2**14

_READ_BYTES = 2**22


class ShuffledMatrix:
    """Rows in a temporary file, which can be indexed like an array.

    Each row is stored in one of several buckets, drawn at random, so that a bucket is a
    random sample of the table, whatever the order of the table is. Within a bucket,
    rows are in the order of the table; the reader of a bucket shuffles them.

    Parameters
    ----------
    buckets : ndarray of shape (n_rows,)
        The bucket of each row, in the order of the table.
    width : int
        Number of columns.
    dtype : {numpy.float32, numpy.float64}
    window_rows : int
        Number of rows of a window, which training holds in memory.
    folder : str or None
        Folder of the file; None is the system's for temporary files.

    Attributes
    ----------
    edges : ndarray of shape (n_buckets + 1,)
        Positions where the buckets begin, and where the last one ends.
    """

    ndim = 2

    def __init__(
        self,
        buckets: NDArray[np.integer],
        width: int,
        dtype: type,
        *,
        window_rows: int,
        folder: str | None = None,
    ) -> None:
        self.shape, self.dtype = (len(buckets), width), np.dtype(dtype)
        self.window_rows = window_rows
        self.edges = np.concatenate([[0], np.cumsum(np.bincount(buckets))])
        self._row_bytes = width * self.dtype.itemsize
        folder = tempfile.gettempdir() if folder is None else folder
        needed, free = len(buckets) * self._row_bytes, shutil.disk_usage(folder).free
        if needed > free:
            raise ValueError(
                f"The table takes {needed / 1e9:.1f} GB in a temporary file, but "
                f"{folder!r} has {free / 1e9:.1f} GB free; name a folder on another "
                "disk, LargeTable(source, folder=...)."
            )
        # it has no name, so the system deletes it if the process is killed
        self._file: IO[Any] = tempfile.TemporaryFile(  # noqa: SIM115, see finalize
            dir=folder, buffering=0
        )
        weakref.finalize(self, self._file.close)

    def fill(self, blocks: Iterable[NDArray], buckets: NDArray[np.integer]) -> None:
        """Write the blocks of the table to the buckets of their rows."""
        starts, stop = self.edges[:-1].copy(), 0
        for block in blocks:
            start, stop = stop, stop + len(block)
            own = buckets[start:stop]
            sorted_rows = block[np.argsort(own, kind="stable")]
            counts = np.bincount(own, minlength=len(starts))
            used = np.flatnonzero(counts)
            parts = np.split(sorted_rows, np.cumsum(counts[used])[:-1])
            for first, part in zip(starts[used].tolist(), parts, strict=True):
                self._file.seek(first * self._row_bytes)
                _write(self._file, part)
            starts += counts

    @property
    def size(self) -> int:
        """Number of values."""
        return self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray:
        """Return rows, or a column, as an array."""
        if isinstance(key, tuple):
            rows, column = key
            parts = self.blocks() if rows == slice(None) else [self[rows]]
            return np.concatenate([part[:, column] for part in parts])
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            return self._read(start, max(start, stop))[::step]
        if np.ndim(key) == 0:
            return self._read(int(key), int(key) + 1)[0]
        return self._gather(np.asarray(key))

    def blocks(self) -> Iterator[NDArray]:
        """Yield all rows in blocks."""
        for rows in self._slices():
            yield self[rows]

    def _slices(self) -> Iterator[slice]:
        n_rows = max(1, _READ_BYTES // max(1, self._row_bytes))
        yield from gen_batches(len(self), n_rows)

    def _gather(self, rows: NDArray[np.integer]) -> NDArray:
        """Read rows in one pass over the parts of the file that contain them."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        found: NDArray = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        for block in self._slices():
            i, j = np.searchsorted(ascending, [block.start, block.stop]).tolist()
            if i < j:
                first, last = int(ascending[i]), int(ascending[j - 1])
                part = self._read(first, last + 1)
                found[order[i:j]] = part[ascending[i:j] - first]
        return found

    def _read(self, start: int, stop: int) -> NDArray:
        part: NDArray = np.empty((stop - start, self.shape[1]), dtype=self.dtype)
        view = memoryview(part.reshape(-1).view(np.uint8))
        self._file.seek(start * self._row_bytes)
        while len(view):
            n_read = self._file.readinto(view)  # type: ignore[attr-defined]
            if not n_read:
                raise OSError("The temporary file of the table is shorter than it was.")
            view = view[n_read:]
        return part


def _write(file: IO[Any], part: NDArray) -> None:
    """Write a whole array; the system may write fewer bytes at once."""
    view = memoryview(np.ascontiguousarray(part).reshape(-1).view(np.uint8))
    while len(view):
        view = view[file.write(view) :]


def draw_buckets(n_rows: int, window_rows: int) -> NDArray[np.uint16]:
    """Draw a bucket for each row; they are the same in each fit of a table."""
    n_buckets = min(max(1, ceil(_OF_WINDOW * n_rows / window_rows)), _MOST_BUCKETS)
    rng = np.random.default_rng(0)
    return rng.integers(n_buckets, size=n_rows, dtype=np.uint16)

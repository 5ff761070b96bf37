"""Sources of large tables: one interface to arrays, Arrow datasets and lazy frames.

A source yields its rows in blocks, always in the same order, and holds only a few
blocks at a time. :class:`~imbalnet._tables.large.table.LargeTable` chooses among them.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._packages import require
from imbalnet._tables.readers import listed, without_views

# Bytes of a column that are read from a Parquet file at once.
_BUFFER_BYTES = 2**18


class Source(ABC):
    """Rows of a table in blocks.

    Attributes
    ----------
    names : list of str or None
        Names of the columns; None if they have none.
    width : int
        Number of columns.
    n_rows : int
    """

    names: list[str] | None
    width: int

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Number of rows."""

    @abstractmethod
    def blocks(self, columns: Sequence[str] | None, block_rows: int) -> Iterator[Any]:
        """Yield tables of about `block_rows` rows, of some columns (None: all)."""

    @abstractmethod
    def header(self, columns: Sequence[str] | None) -> Any:
        """Return a table without rows."""

    @abstractmethod
    def joined(self, parts: Sequence[Any]) -> Any:
        """Concatenate tables."""

    def taken(self, block: Any, positions: NDArray[np.intp]) -> Any:
        """Return some rows of a block."""
        return block[positions]


class ArraySource(Source):
    """A two-dimensional array of numbers, such as a memory map."""

    names = None

    def __init__(self, X: NDArray) -> None:
        if X.ndim != 2 or X.dtype.kind not in "biuf":
            raise ValueError(
                f"source is an array of shape {X.shape} and dtype {X.dtype}: give one "
                "of two dimensions that holds numbers."
            )
        self.X = X
        self.width = X.shape[1]

    @property
    def n_rows(self) -> int:
        return len(self.X)

    def blocks(
        self, columns: Sequence[str] | None, block_rows: int
    ) -> Iterator[NDArray]:
        del columns  # they have no names
        for start in range(0, self.n_rows, block_rows):
            yield np.array(self.X[start : start + block_rows])
            self._release_pages()

    def _release_pages(self) -> None:
        """Release the pages of a memory map, which otherwise count as memory.

        Those of a map of mode "c" are kept: changes are stored only there.
        """
        pages = getattr(self.X, "_mmap", None)
        advice = getattr(mmap, "MADV_DONTNEED", None)
        if advice is not None and pages and getattr(self.X, "mode", "c") != "c":
            pages.madvise(advice)

    def header(self, columns: Sequence[str] | None) -> NDArray:
        del columns
        return np.array(self.X[:0])

    def joined(self, parts: Sequence[NDArray]) -> NDArray:
        return np.concatenate(parts)


class DatasetSource(Source):
    """A ``pyarrow.dataset.Dataset``."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.names = list(dataset.schema.names)
        self.width = len(self.names)
        self._check_files()

    def _check_files(self) -> None:
        """Raise if files have different columns: Arrow would fill them with nulls."""
        fragments = getattr(self.dataset, "get_fragments", lambda: ())()
        for fragment in fragments:
            own = set(fragment.physical_schema.names)
            more, fewer = own - set(self.names or ()), set(self.names or ()) - own
            fewer -= _partitions(self.dataset)
            if more or fewer:
                has = f"has {listed(sorted(more))} in addition" if more else ""
                lacks = f"lacks {listed(sorted(fewer))}" if fewer else ""
                both = " and ".join(text for text in (lacks, has) if text)
                raise ValueError(
                    f"The files of the source have different columns: "
                    f"{getattr(fragment, 'path', fragment)!r} {both}. Give files with "
                    "the same columns."
                )

    @cached_property
    def n_rows(self) -> int:
        return self.dataset.count_rows()

    def blocks(self, columns: Sequence[str] | None, block_rows: int) -> Iterator[Any]:
        import pyarrow as pa

        schema = self.header(columns).schema
        held: list[Any] = []
        for batch in self._batches(schema.names, block_rows):
            if batch.schema.types != schema.types:
                batch = batch.cast(schema)
            if held and sum(map(len, held)) + len(batch) > block_rows:
                yield pa.Table.from_batches(held, schema)
                held = []
            held.append(batch)
        if held:
            yield pa.Table.from_batches(held, schema)

    def _batches(self, columns: list[str], block_rows: int) -> Iterator[Any]:
        """Yield batches in order; no more than one is read ahead."""
        yield from self.dataset.to_batches(
            columns=columns,
            batch_size=block_rows,
            batch_readahead=1,
            fragment_readahead=1,
            use_threads=False,
        )

    def header(self, columns: Sequence[str] | None) -> Any:
        schema = self.dataset.schema
        names = self.names if columns is None else columns
        import pyarrow as pa

        fields = [schema.field(name) for name in names or ()]
        plain = [field.with_type(without_views(field.type)) for field in fields]
        return pa.schema(plain).empty_table()

    def joined(self, parts: Sequence[Any]) -> Any:
        import pyarrow as pa

        return pa.concat_tables(parts)

    def taken(self, block: Any, positions: NDArray[np.intp]) -> Any:
        return block.take(positions)


class ParquetSource(DatasetSource):
    """Parquet files, read page by page: Arrow's scanner decodes whole row groups."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        use = f"source={str(path)!r}"
        arrow = require("pyarrow.dataset", use=use, cure="imbalnet[tables]")
        self.files = _files_of(Path(path))
        try:
            dataset = arrow.dataset(self.files, format="parquet")
        except (OSError, TypeError, ValueError) as error:
            raise ValueError(
                f"{use} cannot be read as Parquet: {error}. Read other files before, "
                "such as by pandas.read_csv."
            ) from error
        super().__init__(dataset)

    def _batches(self, columns: list[str], block_rows: int) -> Iterator[Any]:
        import pyarrow.parquet as pq

        for name in self.files:
            with pq.ParquetFile(
                name, pre_buffer=False, buffer_size=_BUFFER_BYTES
            ) as file:
                batches = file.iter_batches(
                    block_rows, columns=columns, use_threads=False
                )
                yield from (batch.select(columns) for batch in batches)


def _files_of(path: Path) -> list[str]:
    """Return a file, or those of a folder in the order of their paths."""
    if not path.exists():
        raise ValueError(
            f"source={str(path)!r} does not exist: give a Parquet file, or a folder of "
            "Parquet files."
        )
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise ValueError(
            f"source={str(path)!r} is a folder without files that end in .parquet."
        )
    return [str(file) for file in files]


def _partitions(dataset: Any) -> set[str]:
    """Return the names of columns whose values are names of folders."""
    partitioning = getattr(dataset, "partitioning", None)
    return set() if partitioning is None else set(partitioning.schema.names)


class LazySource(Source):
    """A polars LazyFrame, which is run once, into a temporary Parquet file.

    Slices of the frame itself would run its whole query for each block.
    """

    def __init__(self, frame: Any, folder: str | None) -> None:
        self.frame, self.folder = frame, folder
        self.names = list(frame.collect_schema().names())
        self.width = len(self.names)

    @cached_property
    def _file(self) -> str:
        """Path of the file, which is deleted with this object."""
        folder = tempfile.mkdtemp(dir=self.folder, prefix="imbalnet-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = os.path.join(folder, "frame.parquet")
        self.frame.sink_parquet(path, row_group_size=self._group_rows)
        return path

    @property
    def _group_rows(self) -> int:
        return max(2**10, 2**20 // self.width)

    @property
    def _scan(self) -> Any:
        import polars as pl

        return pl.scan_parquet(self._file)

    @cached_property
    def n_rows(self) -> int:
        import polars as pl

        return self._scan.select(pl.len()).collect().item()

    def blocks(self, columns: Sequence[str] | None, block_rows: int) -> Iterator[Any]:
        frame = self._scan.select(self.names if columns is None else list(columns))
        for start in range(0, self.n_rows, block_rows):
            yield frame.slice(start, block_rows).collect()

    def header(self, columns: Sequence[str] | None) -> Any:
        frame = self.frame.collect_schema().to_frame()
        return frame if columns is None else frame.select(list(columns))

    def joined(self, parts: Sequence[Any]) -> Any:
        import polars as pl

        return pl.concat(parts)

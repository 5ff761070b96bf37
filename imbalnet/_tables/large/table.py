"""The class by which users pass a table that is not loaded into memory."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from imbalnet._tables.large.sources import (
    ArraySource,
    DatasetSource,
    LazySource,
    ParquetSource,
    Source,
)
from imbalnet._tables.readers import listed

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_LEAST_BYTES = 10**6

# Share of the memory that one block takes as it is read.
_OF_BLOCK = 1 / 32
_BLOCK_ROWS = 2**10, 2**16


class LargeTable:
    """A table that need not fit into memory.

    Pass it as X to ``fit``, ``predict`` and ``predict_proba``. It is read in blocks of
    rows. ``fit`` writes its features to a temporary file, as float32 (4 bytes for each
    value) and in random order, and trains on windows of that file.

    Parameters
    ----------
    source : path, pyarrow.dataset.Dataset, polars.LazyFrame or array
        A Parquet file; a folder of Parquet files, in the order of their paths; a
        dataset; a lazy frame, which is run once, into a temporary file; or a
        two-dimensional array, such as a :class:`numpy.memmap`.
    max_memory : int or str, default="1GB"
        Memory that the rows may take in ``fit``, in bytes or as text such as "500MB".
        Packages, the network, and the label, weight and position of each row (up to 30
        bytes) take further memory.
    folder : path or None, default=None
        Folder of the temporary files; None is the system's. It should be on a disk,
        not in memory as ``/tmp`` is on some systems.

    Attributes
    ----------
    shape : tuple of int
        Numbers of rows and columns.
    names : list of str or None
        Names of the columns; None for arrays.

    Raises
    ------
    ValueError
        If the source cannot be read as a table, or `max_memory` is no amount.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.large_tables import LargeTable
    >>> LargeTable(np.zeros((1000, 3)), max_memory="10MB")
    LargeTable(1000 rows, 3 columns, max_memory='10MB')
    """

    def __init__(
        self,
        source: Any,
        *,
        max_memory: int | str = "1GB",
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self.max_memory = max_memory
        self.max_bytes = _as_bytes(max_memory)
        self.folder = None if folder is None else os.fspath(folder)
        if self.folder is not None and not os.path.isdir(self.folder):
            raise ValueError(f"folder={self.folder!r} is no folder.")
        self.source = _open(source, self.folder)
        self._columns: list[str] | None = None

    def __repr__(self) -> str:
        n_rows, width = self.shape
        return (
            f"LargeTable({n_rows} rows, {width} columns, "
            f"max_memory={self.max_memory!r})"
        )

    @property
    def names(self) -> list[str] | None:
        """Names of the columns."""
        return self.source.names if self._columns is None else self._columns

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        names = self.names
        return self.source.n_rows, self.source.width if names is None else len(names)

    @property
    def header(self) -> Any:
        """A table of the same columns without rows."""
        return self.source.header(self._columns)

    def select(self, names: Sequence[str]) -> LargeTable:
        """Return the table of some columns.

        Parameters
        ----------
        names : sequence of str
            Columns to keep, in this order.

        Returns
        -------
        LargeTable
            It reads the same source.
        """
        self.check_has(names)
        selected = copy.copy(self)
        selected._columns = list(names)
        return selected

    def with_columns_of(self, names: Sequence[Any] | None) -> LargeTable:
        """Return the table with the columns of ``fit`` only, if these have names.

        Parameters
        ----------
        names : sequence or None
            Names of the columns in ``fit``.

        Returns
        -------
        LargeTable
            Without further columns, such as labels.
        """
        return self if names is None or self.names is None else self.select(names)

    def check_filled(self) -> None:
        """Raise a ValueError if there are no rows."""
        if not self.shape[0]:
            raise ValueError("The table has no rows.")

    def check_has(self, names: Sequence[str], what: str = "columns") -> None:
        """Raise a ValueError unless there are columns of these names.

        Parameters
        ----------
        names : sequence of str
            Columns that are needed.
        what : str, default="columns"
            Description of the columns, for the message.
        """
        known = self.names
        lacking = [name for name in names if name not in (known or ())]
        if lacking:
            has = "have no names" if known is None else f"are {listed(known)}"
            raise ValueError(
                f"The table lacks the {what} {listed(lacking)}; its columns {has}."
            )

    def blocks(self) -> Iterator[Any]:
        """Yield the rows in blocks.

        Yields
        ------
        ndarray, pyarrow.Table or polars.DataFrame
            Rows in the order of the source.
        """
        self.check_filled()
        yield from self.source.blocks(self._columns, self.block_rows)

    @property
    def block_rows(self) -> int:
        """Number of rows of a block."""
        fitting = self.max_bytes * _OF_BLOCK // (8 * max(self.shape[1], 1))
        return int(np.clip(fitting, *_BLOCK_ROWS))


def _open(source: Any, folder: str | None) -> Source:
    """Return the source of a path, a dataset, a lazy frame or an array."""
    library, name = type(source).__module__.split(".")[0], type(source).__name__
    if isinstance(source, str | os.PathLike):
        return ParquetSource(source)
    if library == "pyarrow" and hasattr(source, "to_batches"):
        return DatasetSource(_as_dataset(source))
    if library == "polars" and name == "LazyFrame":
        return LazySource(source, folder)
    if isinstance(source, np.ndarray):
        return ArraySource(source)
    raise ValueError(
        f"source must be a path, a pyarrow.dataset.Dataset, a polars.LazyFrame or a "
        f"NumPy array, but is of type {name}. Data frames are in memory already: give "
        "them to fit as they are."
    )


def _as_dataset(table: Any) -> Any:
    import pyarrow.dataset as ds

    return table if isinstance(table, ds.Dataset) else ds.dataset(table)


def _as_bytes(amount: Any) -> float:
    """Return an amount of memory in bytes; raise if it is not valid."""
    found: float | None = None
    if isinstance(amount, str):
        match = re.fullmatch(r"\s*([\d.]+)\s*([kmgt]?i?)b?\s*", amount.lower())
        if match and match[2] in _UNITS and match[1].count(".") < 2 and match[1] != ".":
            found = float(match[1]) * _UNITS[match[2]]
    elif isinstance(amount, Integral) and not isinstance(amount, bool):
        found = int(amount)
    if found is None or found < _LEAST_BYTES:
        raise ValueError(
            f"max_memory={amount!r} must be a whole number of bytes, or a text such as "
            "'500MB' or '2GB'; at least 1 MB."
        )
    return found


def is_large(X: Any) -> bool:
    """Whether X is a table that is not in memory, or a path of one."""
    if isinstance(X, LargeTable | os.PathLike | str):
        return True
    library, name = type(X).__module__.split(".")[0], type(X).__name__
    is_dataset = library == "pyarrow" and name.endswith("Dataset")
    return is_dataset or (library == "polars" and name == "LazyFrame")


def opened(X: Any, title: str = "X") -> Any:
    """Return X as a `LargeTable`, or X itself if it is a table in memory."""
    if isinstance(X, LargeTable) or not is_large(X):
        return X
    try:
        return LargeTable(X)
    except ValueError as error:
        raise ValueError(f"{title}: {error}") from error

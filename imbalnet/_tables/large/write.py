"""Scores of rows, written to a Parquet file block by block."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from numpy.typing import NDArray

from imbalnet._packages import require


class ScoreFile:
    """A Parquet file that is written under another name until it is complete.

    Parameters
    ----------
    path : path
        Path of the complete file.
    names : sequence of str
        Names of the columns of scores.
    """

    def __init__(self, path: str | os.PathLike[str], names: Sequence[str]) -> None:
        use = f"destination={str(path)!r}"
        self.parquet = require("pyarrow.parquet", use=use, cure="imbalnet[tables]")
        self.path, self.names = os.fspath(path), list(names)
        self.unfinished = f"{self.path}.unfinished"
        self.writer: Any = None

    def __enter__(self) -> ScoreFile:
        return self

    def write(self, scores: NDArray, kept: Any) -> None:
        """Append rows: the columns of the frame `kept`, then the scores."""
        import pyarrow as pa

        columns: dict[str, Any] = {}
        if kept is not None:
            kept = kept.to_arrow() if hasattr(kept, "to_arrow") else kept
            columns = dict(zip(kept.column_names, kept.columns, strict=True))
        columns |= dict(zip(self.names, scores.T, strict=True))
        table = pa.table(columns)
        if self.writer is None:
            self.writer = self.parquet.ParquetWriter(self.unfinished, table.schema)
        self.writer.write_table(table.cast(self.writer.schema))

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self.writer is not None:
            self.writer.close()
        if kind is None:
            os.replace(self.unfinished, self.path)
        else:
            with suppress(FileNotFoundError):
                os.remove(self.unfinished)

"""One pass over a large table for kinds and levels, and one for its labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.columns import Columns
from imbalnet._tables.features import Reading
from imbalnet._tables.fill import filled
from imbalnet._tables.find import CATEGORY
from imbalnet._tables.labels import as_codes, as_labels, sorted_classes
from imbalnet._tables.large.table import LargeTable
from imbalnet._tables.levels import Levels, count_rows, is_missing
from imbalnet._tables.readers import ArrayReader, Reader, reader_of
from imbalnet._tables.rules import ColumnRules

# Rows that determine the shifts of columns.
_SAMPLE_ROWS = 2**16
# Most levels of a column; all are kept in memory.
_MOST_LEVELS = 2**20


@dataclass(frozen=True)
class LabelColumn:
    """The labels of a table: distinct values, and each row's position among them."""

    values: NDArray
    positions: NDArray[np.integer]

    @classmethod
    def of(cls, labels: NDArray) -> LabelColumn:
        """Sort the distinct labels of an array."""
        values = sorted_classes(labels)
        return cls(values, as_codes(labels, values))

    def __len__(self) -> int:
        return len(self.positions)

    def occurring(self, used: NDArray | None) -> NDArray:
        """Return the sorted labels of some rows (None: all)."""
        positions = self.positions if used is None else self.positions[used]
        counts = np.bincount(positions, minlength=len(self.values))
        return sorted_classes(self.values[counts > 0])

    def codes(self, classes: NDArray, used: NDArray | None) -> NDArray[np.integer]:
        """Return the positions of rows' labels in sorted `classes`; 0 if not used."""
        known = np.isin(self.values, self.occurring(used))
        of_known = as_codes(self.values[known], classes)
        of_value = np.zeros(len(self.values), dtype=of_known.dtype)
        of_value[known] = of_known
        return of_value[self.positions]


def read_labels(X: LargeTable, name: str) -> LabelColumn:
    """Read the column of labels."""
    X.check_has([name], "column of labels")
    parts: list[NDArray] = []
    code_of: dict[Any, int] = {}
    for start, block in _with_starts(X.select([name])):
        title = f"y={name!r}" + (f" (row 0 is row {start} of the table)" * (start > 0))
        labels = as_labels(_column(block), title)
        values, positions = np.unique(labels, return_inverse=True)
        own = [code_of.setdefault(value, len(code_of)) for value in values.tolist()]
        small = np.min_scalar_type(len(code_of))
        parts.append(np.array(own, dtype=small)[positions])
    return LabelColumn(as_labels(list(code_of), f"y={name!r}"), np.concatenate(parts))


def _column(block: Any) -> Any:
    """Return the only column of a frame."""
    return block.column(0) if hasattr(block, "column") else block.to_series()


def _with_starts(X: LargeTable) -> Iterator[tuple[int, Any]]:
    start = 0
    for block in X.blocks():
        yield start, block
        start += block.shape[0]


def find_columns(
    X: LargeTable, rules: ColumnRules, reading: Reading, used: NDArray | None
) -> Columns:
    """Find levels of the columns in all rows, and all else in a random sample.

    `used` are the positions of the rows to look at (None: all).
    """
    wanted = _sample(X.shape[0], used)
    kinds = rules.kinds(_reader(X.header, reading.title))
    tallies = {i: _Tally() for i, kind in enumerate(kinds) if kind == CATEGORY}
    parts = []
    for start, block in _with_starts(X):
        stop = start + block.shape[0]
        parts.append(X.source.taken(block, _within(wanted, start, stop)))
        counted = None if used is None else _within(used, start, stop)
        for i, tally in tallies.items():
            tally.add(_reader(block, reading.title), i, counted)
    sample = _reader(X.source.joined(parts), reading.title)
    return _found(sample, rules, reading.dtype, tallies)


def _found(
    sample: Reader, rules: ColumnRules, dtype: type, tallies: dict[int, _Tally]
) -> Columns:
    """Return the columns, from a sample of rows and the levels of all rows."""
    finder = rules.finder(sample, dtype)

    def column(i: int) -> NDArray:
        if i not in tallies:
            return finder.column(i)
        finder.levels[i], n_rows = tallies[i].levels()
        finder.note(i, n_rows)
        return np.zeros(sample.n_rows)

    filled(sample, dtype, column)
    return rules.found(finder)


class _Tally:
    """Count the rows of each level of a column."""

    def __init__(self) -> None:
        self.counts: Counter[Any] = Counter()

    def add(self, reader: Reader, i: int, used: NDArray | None) -> None:
        """Add the counts of a block; raise if there are too many levels."""
        positions, values = reader.occurring(i)
        positions = positions if used is None else positions[used]
        n_rows = count_rows(positions, len(values)).tolist()
        for value, n in zip(values, n_rows, strict=True):
            if n and not is_missing(value):
                self.counts[value] += n
        if len(self.counts) > _MOST_LEVELS:
            raise ValueError(
                f"{reader.title} has more than {_MOST_LEVELS:,} different values in "
                f"the column of categories {reader.names[i]!r}: drop it, or derive "
                "what rows share, such as a prefix or a length."
            )

    def levels(self) -> tuple[Levels, NDArray[np.intp]]:
        """Return the levels, and the number of rows of each."""
        levels = Levels.of(self.counts)
        n_rows = [self.counts[value] for value in levels.values]
        return levels, np.array(n_rows, dtype=np.intp)


def _reader(block: Any, title: str) -> Reader:
    reader = reader_of(block, title) or ArrayReader(block)
    reader.title = title
    return reader


def _sample(n_rows: int, used: NDArray | None) -> NDArray[np.intp]:
    """Return sorted positions of a random sample, the same ones in each fit."""
    n_used = n_rows if used is None else len(used)
    some = np.arange(n_used)
    if n_used > _SAMPLE_ROWS:
        rng = np.random.default_rng(0)
        some = np.unique(rng.integers(n_used, size=_SAMPLE_ROWS))
    return some if used is None else used[some]


def _within(positions: NDArray, start: int, stop: int) -> NDArray:
    """Return the sorted positions that lie in a block, counted from its start."""
    first, last = np.searchsorted(positions, [start, stop])
    return positions[first:last] - start

"""Reading of the columns of training rows, which finds their levels and shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.levels import Levels, count_rows, hardly_repeat, is_missing
from imbalnet._tables.notes import Note, notes_of_words
from imbalnet._tables.readers import Reader
from imbalnet._tables.shifts import Shift, sample_rows

NUMBER, CATEGORY, ORDERED = "number", "category", "ordered"


@dataclass
class ColumnFinder:
    """Read columns, and collect their levels, shifts and notes.

    Attributes
    ----------
    reader : Reader
        The table.
    kinds : sequence of {NUMBER, CATEGORY, ORDERED}
        How each column is to be read.
    dtype : type
        Dtype that numbers will be cast to.
    used : ndarray of int or None
        The rows that determine levels and shifts (None: all).
    is_whole : bool
        Whether these are all rows; with ``partial_fit``, further ones may follow.
    are_meant : bool
        Whether the user has named the columns of categories, so that no notes on words
        are needed.
    """

    reader: Reader
    kinds: Sequence[str]
    dtype: type
    used: NDArray | None = None
    is_whole: bool = True
    are_meant: bool = False
    levels: dict[int, Levels] = field(default_factory=dict)
    shifts: dict[int, Shift] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    @cached_property
    def _sample(self) -> NDArray[np.intp] | slice:
        return sample_rows(self.reader, self.used)

    def column(self, i: int) -> NDArray:
        """Read a column: its numbers, shifted, or its codes."""
        if self.kinds[i] != NUMBER:
            return self._codes(i)
        values = self.reader.numbers(i)
        shift = Shift.of(values[self._sample], self.dtype)
        if shift is None:
            return values
        self.shifts[i] = shift
        return shift.apply(values)

    def _codes(self, i: int) -> NDArray:
        is_ordered = self.kinds[i] == ORDERED
        declares_order = is_ordered and self.reader.declares_order(i)
        read = self.reader.dictionary if declares_order else self.reader.occurring
        positions, values = read(i)
        rows = positions if self.used is None else positions[self.used]
        n_rows = count_rows(rows, len(values))
        if declares_order:
            levels = Levels(tuple(v for v in values if not is_missing(v)))
        else:
            levels = Levels.of(compress(values, (n_rows > 0).tolist()))
        levels = replace(levels, are_ordered=is_ordered)
        places = levels.places(values)
        self.levels[i] = levels
        if not is_ordered:
            of_levels = np.bincount(places, n_rows, levels.n_codes)
            self.note(i, of_levels[: len(levels.values)])
        return levels.codes(positions, places)

    def note(self, i: int, n_rows: NDArray) -> None:
        """Add notes on a column of categories, and mark levels that hardly repeat.

        `n_rows` are the numbers of rows of its levels.
        """
        if self.is_whole and hardly_repeat(n_rows):
            self.levels[i] = replace(self.levels[i], are_own=True)
        if not self.are_meant:
            name, is_declared = self.reader.names[i], self.reader.is_declared(i)
            self.notes.extend(notes_of_words(name, self.levels[i], is_declared))

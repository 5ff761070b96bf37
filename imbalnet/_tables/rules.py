"""What columns may hold, and what those of the training rows do hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.columns import Columns
from imbalnet._tables.fill import ENCODE_BEFORE, filled
from imbalnet._tables.levels import Levels, hardly_repeat
from imbalnet._tables.notes import Note, notes_of_words, warn_of
from imbalnet._tables.readers import Reader, listed, reject_columns_of_times
from imbalnet._tables.shifts import Shift, find_shifts, sample_rows
from imbalnet._tables.unseen import Unseen


@dataclass(frozen=True)
class ColumnRules:
    """What columns may hold; `read` finds what those of the training rows do hold.

    Attributes
    ----------
    categorical_features : "from_dtype", array-like or None
        The estimator's parameter.
    missing, infinite, categories : bool
        Whether the network takes missing numbers, infinite numbers and categories.
    module : str
        The network's name, for error messages.
    is_whole : bool
        Whether the rows are all that will come, not the first of ``partial_fit``.
    """

    categorical_features: Any = "from_dtype"
    missing: bool = False
    infinite: bool = False
    categories: bool = True
    module: str = "the network"
    is_whole: bool = True

    @property
    def names_categories(self) -> bool:
        """Whether the parameter, not the dtypes, says which columns hold categories."""
        return not (
            self.categorical_features is None
            or isinstance(self.categorical_features, str)
            or len(self.categorical_features) == 0
        )

    def of_numbers(self, table: Any, dtype: type, used: NDArray | None) -> Columns:
        """Return the columns of a table of numbers only."""
        shifts = find_shifts(table, dtype, used)
        return Columns((), self.missing, self.infinite, shifts)

    def read(
        self,
        reader: Reader,
        dtype: type,
        used: NDArray | None = None,
        unseen: Unseen | None = None,
    ) -> tuple[NDArray, Columns]:
        """Read a table and find what its columns hold; raise for unusable ones.

        `used` are the rows that count (None: all): they have the levels, and tell where
        columns of numbers lie. No value is `unseen`.
        """
        del unseen
        is_category = self.choose(reader)
        self._check_module(reader, is_category)
        levels: list[Levels | None] = [None] * len(reader.names)
        shifts: dict[int, Shift] = {}
        notes: list[Note] = []
        some = sample_rows(reader, used)

        def column(i: int) -> NDArray:
            if is_category[i]:
                levels[i], codes, found = self._categories(reader, i, used)
                notes.extend(found)
                return codes
            values = reader.numbers(i)
            shift = Shift.of(values[some], dtype)
            if shift is None:
                return values
            shifts[i] = shift
            return shift.apply(values)

        matrix = filled(reader, dtype, column)
        known = enumerate(levels)
        reject_columns_of_times(reader, (i for i, lv in known if lv and lv.hold_times))
        warn_of(notes)
        found = tuple(levels) if is_category.any() else ()
        return matrix, Columns(found, self.missing, self.infinite, shifts)

    def _categories(
        self, reader: Reader, i: int, used: NDArray | None
    ) -> tuple[Levels, NDArray, list[Note]]:
        """Return the levels of a column, its codes, and what is noteworthy."""
        positions, values = reader.dictionary(i)
        rows = positions if used is None else positions[used]
        n_rows = np.bincount(rows + 1, minlength=len(values) + 1)[1:]
        levels = Levels.of(compress(values, (n_rows > 0).tolist()))
        places = levels.places(values)
        of_levels = np.bincount(places, n_rows, levels.n_codes)[: len(levels.values)]
        if self.is_whole and hardly_repeat(of_levels):
            levels = replace(levels, are_own=True)
        notes = []
        if not self.names_categories:
            notes = notes_of_words(reader.names[i], levels, reader.is_declared(i))
        return levels, levels.codes(positions, places), notes

    def choose(self, reader: Reader) -> NDArray[np.bool_]:
        """Return which columns hold categories; raise if X lacks some of them."""
        n_features = len(reader.names)
        if not self.names_categories:
            is_automatic = isinstance(self.categorical_features, str)
            return np.array(
                [is_automatic and reader.is_category(i) for i in range(n_features)],
                dtype=bool,
            )
        given = np.asarray(self.categorical_features)
        kind = given.dtype.kind if given.ndim == 1 else ""
        if kind == "b" and len(given) != n_features:
            raise self._error(
                f"is a mask of {len(given)} columns, but X has {n_features}; give one "
                "bool for each column"
            )
        if kind == "b":
            return given
        if kind in ("i", "u"):
            positions: Any = given
        elif kind and all(isinstance(name, str) for name in given):
            positions = self._positions_of(given.tolist(), reader.names)
        else:
            raise self._error(
                'must be "from_dtype", None, a list of column names or of positions, '
                "or a mask of bool"
            )
        if np.min(positions) < 0 or np.max(positions) >= n_features:
            raise self._error(
                f"holds positions that X does not have; give some from 0 to "
                f"{n_features - 1}"
            )
        return np.isin(np.arange(n_features), positions)

    def _positions_of(self, given: list[str], names: list[Any]) -> list[int]:
        if not all(isinstance(name, str) for name in names):
            raise self._error(
                "names columns, but those of X have no names; give positions or a mask"
            )
        unknown = [name for name in given if name not in names]
        if unknown:
            raise self._error(
                f"names columns that X does not have: {unknown}; known are "
                f"{listed(names)}"
            )
        return [names.index(name) for name in given]

    def _error(self, fault: str) -> ValueError:
        return ValueError(
            f"categorical_features={self.categorical_features!r} {fault}."
        )

    def _check_module(self, reader: Reader, is_category: NDArray[np.bool_]) -> None:
        if self.categories or not is_category.any():
            return
        names = listed(list(compress(reader.names, is_category)))
        raise ValueError(
            f"X has columns of categories: {names}, but module={self.module} takes "
            f"numbers only. Use module='mlp', or {ENCODE_BEFORE.format(names)}. A "
            "module of your own takes codes if it accepts n_categories= (the number of "
            "codes of each column, 0 for numbers)."
        )

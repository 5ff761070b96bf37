"""Concatenation of rows that were read from several tables.

``partial_fit`` receives the first rows in parts. Each part may change the columns: it
may have further levels, another centre, or numbers in a column that was all missing.
`FurtherRules` reads a part, and `join` appends it to the parts before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import compress, zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from imbalnet._tables.columns import Columns
from imbalnet._tables.find import CATEGORY, NUMBER, ORDERED
from imbalnet._tables.levels import Levels
from imbalnet._tables.readers import Reader, reader_of
from imbalnet._tables.rows import Rows
from imbalnet._tables.rules import ColumnRules
from imbalnet._tables.shifts import find_shifts


@dataclass(frozen=True)
class FurtherRules(ColumnRules):
    """Rules for a table that follows others, which have determined some kinds.

    Attributes
    ----------
    known : tuple of {NUMBER, CATEGORY, ORDERED} or None
        Kind of each column; None if all its values were missing so far.
    """

    known: tuple[str | None, ...] = ()

    @classmethod
    def after(cls, rules: ColumnRules, rows: Rows) -> FurtherRules:
        """Return the rules for tables that follow some rows."""
        known: list[str | None] = [NUMBER] * rows.X.shape[1]
        if not sparse.issparse(rows.X):
            is_there = np.isfinite(rows.X).any(axis=0).tolist()
            of_columns = zip_longest(rows.columns.levels, is_there)
            known = [_kind(levels, has_numbers) for levels, has_numbers in of_columns]
        return cls(**vars(rules), known=tuple(known))

    @property
    def names_categories(self) -> bool:
        """Whether there are columns of categories, independent of a table's dtypes."""
        return super().names_categories or any(
            k not in (NUMBER, None) for k in self.known
        )

    def kinds(self, reader: Reader) -> list[str]:
        """Return the kind that each column is to be read as."""
        pairs = zip(super().kinds(reader), self.known, strict=True)
        return [found if known is None else known for found, known in pairs]


def _kind(levels: Levels | None, has_numbers: bool) -> str | None:
    if levels is None:
        return NUMBER if has_numbers else None
    if levels.are_ordered:
        return ORDERED
    return CATEGORY if levels.values else None


def join(first: Rows, second: Rows) -> Rows:
    """Concatenate rows of two tables, as if they had been read from one.

    The levels of a column are those of both tables, and shifts are determined anew.
    Rows outside the index are left out.
    """
    levels = _levels_of_both(first.columns, second.columns)
    columns = replace(second.columns, levels=levels, shifts={})
    parts = [recoded(rows, columns) for rows in (first, second)]
    X = _stacked(*(part.X for part in parts))
    dtype = second.X.dtype.type
    shifts = find_shifts(X, dtype, None)
    of_numbers = [levels is None for levels in levels or [None] * X.shape[1]]
    shifts = {i: shift for i, shift in shifts.items() if of_numbers[i]}
    columns = replace(columns, shifts=shifts)
    weight = None
    if any(part.weight is not None for part in parts):
        weight = np.concatenate([part.weights for part in parts])
    codes = np.concatenate([part.codes for part in parts])
    X = columns.shifted(X, dtype) if shifts else X.astype(dtype, copy=False)
    return Rows(X, codes, weight, frame=_names_only(second, columns), columns=columns)


def recoded(rows: Rows, columns: Columns) -> Rows:
    """Return the rows of the index as a table, with codes and shifts of `columns`.

    If the kind of a column differs, categories become missing numbers, and numbers
    become the unknown category. X is float64 if shifts are undone.
    """
    X = rows.of(rows.X)
    if rows.columns != columns:
        X = _recoded(X, rows.columns, columns)
    weight = None if rows.weight is None else rows.of(rows.weight)
    frame = _names_only(rows, columns)
    return Rows(X, rows.of(rows.codes), weight, frame=frame, columns=columns)


def apart(rows: Rows) -> Rows:
    """Return a copy of the rows that shares nothing with the user's table."""
    own = recoded(rows, rows.columns)
    weight = None if own.weight is None else own.weight.copy()
    return replace(own, X=own.X.copy(), weight=weight)


def _names_only(rows: Rows, columns: Columns) -> Any:
    """Return a frame without rows, which resamplers need for the names; or None."""
    reader = reader_of(rows.frame)
    if reader is None or find_spec("pandas") is None:
        return None
    return columns.to_frame(np.empty((0, rows.X.shape[1])), reader.names, None)


def _recoded(X: Any, old: Columns, new: Columns) -> Any:
    dtype = X.dtype.type
    X = old.restored(X)
    pairs = list(zip_longest(old.levels, new.levels))
    changed = [i for i, (before, after) in enumerate(pairs) if before != after]
    X = X.copy() if changed else X
    for i in changed:
        X[:, i] = _in_levels(X[:, i], *pairs[i])
    return new.shifted(X, dtype)


def _in_levels(column: NDArray, old: Levels | None, new: Levels | None) -> NDArray:
    if new is None:
        return np.full(len(column), np.nan)
    missing, unknown = new.n_codes - 2, new.n_codes - 1
    is_missing = np.isnan(column)
    if old is None:
        return new.codes(is_missing.astype(np.intp), np.array([unknown, missing]))
    places = np.append(new.places(old.values), [missing, unknown])
    codes = np.where(is_missing, len(old.values), column)
    return new.codes(codes.astype(np.intp), places)


def _levels_of_both(first: Columns, second: Columns) -> tuple[Levels | None, ...]:
    """Return the levels of both; the second table determines which columns have any."""
    pairs = zip_longest(first.levels[: len(second.levels)], second.levels)
    return tuple(
        new if old is None or new is None else _united(old, new) for old, new in pairs
    )


def _united(old: Levels, new: Levels) -> Levels:
    """Return the union of levels; values with the same normal form are one level."""
    unknown = old.n_codes - 1
    is_new = (old.places(new.values) == unknown).tolist()
    values = (*old.values, *compress(new.values, is_new))
    united = Levels.of(values)
    if new.are_ordered and Levels.of(old.values).values != old.values:
        united = Levels(values)  # keep the order of the dtype
    return replace(united, are_ordered=new.are_ordered)


def _stacked(first: Any, second: Any) -> Any:
    if sparse.issparse(first) or sparse.issparse(second):
        parts = [sparse.csr_matrix(part) for part in (first, second)]
        return sparse.vstack(parts, "csr")
    return np.concatenate([first, second])

"""The first rows of ``partial_fit``, which are kept until there are enough of them.

Medians, scales, bins and levels are computed from the rows that a network is built for,
and a first call may have a single row. So the rows are kept, and training starts anew
on all of them: how they were divided into calls makes no difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from imbalnet._tables import Columns, Rows, apart, join, recoded

# Number of rows that is enough unless a class or a column is missing, and number that
# is always enough.
ENOUGH_ROWS, MOST_ROWS = 2**9, 2**12
# Rows with a value other than the most frequent one that a column needs.
_FEWEST_VALUES = 5
# Training starts anew when the number of rows has grown by this factor, so not in each
# call.
_GROWTH = 1.125


@dataclass(frozen=True)
class Missing:
    """Numbers of classes without rows, and of columns that hardly vary."""

    n_classes: int
    n_columns: int

    @classmethod
    def from_rows(cls, rows: Rows, n_classes: int) -> Missing:
        """Count the missing classes and columns of some rows."""
        n_seen = len(np.unique(rows.of(rows.codes)))
        varies = _varies(rows.of(rows.X))
        return cls(n_classes - n_seen, int((~varies).sum()))

    @property
    def any(self) -> bool:
        """Whether a class or a column is missing."""
        return self.n_classes + self.n_columns > 0


@dataclass(frozen=True)
class Gathered:
    """Rows that are kept for later calls.

    Attributes
    ----------
    rows : Rows
        All rows so far.
    built : Columns
        The columns that the network was built for.
    n_built : int
        The number of rows that the network was built for.
    largest_call : int
        The number of rows of the largest call.
    missing : Missing
        Missing classes and columns of the rows that the network was built for.
    """

    rows: Rows
    built: Columns
    n_built: int
    largest_call: int
    missing: Missing


@dataclass(frozen=True)
class Part:
    """The rows that a call of ``partial_fit`` trains on.

    Attributes
    ----------
    rows : Rows
        The rows of the call, or all rows so far.
    starts_anew_for : int or None
        If the network is built anew, the number of rows of the largest call.
    gathered : Gathered or None
        Rows to keep for later calls; None if there are enough.
    """

    rows: Rows
    starts_anew_for: int | None = None
    gathered: Gathered | None = None


def next_part(
    rows: Rows, gathered: Gathered | None, n_classes: int, *, is_first: bool
) -> Part:
    """Return the rows to train on, from those of this call and of earlier ones."""
    if is_first:
        return _first_part(rows, n_classes)
    return Part(rows) if gathered is None else _further_part(rows, gathered, n_classes)


def _first_part(rows: Rows, n_classes: int) -> Part:
    if len(rows) >= MOST_ROWS:
        return Part(rows)
    missing = Missing.from_rows(rows, n_classes)
    if _are_enough(rows, missing):
        return Part(rows)
    n_rows = len(rows)
    kept = Gathered(apart(rows), rows.columns, n_rows, n_rows, missing)
    return Part(rows, gathered=kept)


def _further_part(rows: Rows, gathered: Gathered, n_classes: int) -> Part:
    together = join(gathered.rows, rows)
    missing, before = Missing.from_rows(together, n_classes), gathered.missing
    are_enough, n_rows = _are_enough(together, missing), len(together)
    are_more = are_enough or n_rows >= _GROWTH * gathered.n_built
    are_better = gathered.n_built < ENOUGH_ROWS or missing != before
    largest = max(gathered.largest_call, len(rows))
    if not (
        (are_more and are_better)
        or missing.n_classes < before.n_classes
        or _kinds(together.columns) != _kinds(gathered.built)
    ):
        kept = replace(gathered, rows=together, largest_call=largest)
        part = Part(recoded(rows, gathered.built), gathered=kept)
    else:
        kept = Gathered(together, together.columns, n_rows, largest, missing)
        part = Part(together, starts_anew_for=largest, gathered=kept)
    return replace(part, gathered=None) if are_enough else part


def _are_enough(rows: Rows, missing: Missing) -> bool:
    n_rows = len(rows)
    return n_rows >= MOST_ROWS or (n_rows >= ENOUGH_ROWS and not missing.any)


def _kinds(columns: Columns) -> list[bool | None]:
    """Return for each column whether its categories are ordered; None for numbers."""
    kinds = [
        None if levels is None else levels.are_ordered for levels in columns.levels
    ]
    return [] if all(kind is None for kind in kinds) else kinds


def _varies(X: Any) -> NDArray[np.bool_]:
    """Return which columns have enough rows apart from their most frequent value."""
    if sparse.issparse(X):
        n_stored = np.diff(X.tocsc().indptr)
        n_others = np.minimum(n_stored, X.shape[0] - n_stored)
        varies: NDArray[np.bool_] = n_others >= _FEWEST_VALUES
        full = np.flatnonzero(X.shape[0] - n_stored < _FEWEST_VALUES)
        if len(full):
            varies[full] = _varies(X[:, full].toarray())
        return varies
    # a value that has more than half of the rows is the median
    is_there = np.isfinite(X)
    ordered = np.sort(np.where(is_there, X, np.inf), axis=0)
    middle = np.maximum(is_there.sum(axis=0) - 1, 0) // 2
    median = np.take_along_axis(ordered, middle[None], axis=0)
    return (is_there & (X != median)).sum(axis=0) >= _FEWEST_VALUES

"""Counts of values that ``fit`` did not see, and the warning about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.levels import Levels
from imbalnet._warn import warn

# Unseen values are allowed. Fewer values do not lead to a warning.
_FEWEST_VALUES, _FEWEST_IF_ALL = 20, 3
_MOST_LEVELS = 5
# No warning if all values are rare levels of ``fit`` with more than this probability.
_BY_CHANCE = 1e-3


@dataclass
class _Column:
    name: Any
    known: Levels
    n_unseen: int = 0
    n_present: int = 0
    example: Any = None

    @property
    def is_mostly_unseen(self) -> bool:
        """Whether so many values are unseen that the column is worth a warning."""
        if self.known.are_own:  # such as ids: fit has warned
            return False
        rare = self.known.rare_share  # share of rows of fit that count as unseen, too
        if self.n_unseen == self.n_present:
            are_many = self.n_present >= _FEWEST_IF_ALL
            return are_many and rare**self.n_present < _BY_CHANCE
        if self.n_present < _FEWEST_VALUES:
            return False
        return 2 * self.n_unseen > (1 + rare) * self.n_present

    def __str__(self) -> str:
        known = [repr(value) for value in self.known.values[:_MOST_LEVELS]]
        more = ", ..." if len(self.known.values) > _MOST_LEVELS else ""
        saw = "often saw" if self.known.rare_share else "saw"
        return (
            f"{self.name!r} ({self.n_unseen:,} of {self.n_present:,} values, such as "
            f"{self.example!r}; fit {saw} {', '.join(known)}{more})"
        )


@dataclass
class Unseen:
    """Counts of unseen values by column, over all blocks of a table."""

    columns: dict[int, _Column] = field(default_factory=dict)

    def count(
        self,
        i: int,
        name: Any,
        known: Levels,
        values: list[Any],
        places: NDArray[np.intp],
        n_rows: NDArray[np.integer],
    ) -> None:
        """Add distinct values of a column, with their codes and numbers of rows."""
        missing, unknown = len(known.values), len(known.values) + 1
        tally = self.columns.setdefault(i, _Column(name, known))
        tally.n_present += int(n_rows[places != missing].sum())
        is_new = (places == unknown) & (n_rows > 0)
        if is_new.any():
            tally.n_unseen += int(n_rows[is_new].sum())
            tally.example = values[int(np.flatnonzero(is_new)[0])]

    def warn(self, title: str) -> None:
        """Warn about columns most of whose values are unseen."""
        found = [
            str(tally) for tally in self.columns.values() if tally.is_mostly_unseen
        ]
        if found:
            warn(
                f"{title} has columns of categories most of whose values fit did not "
                f"see: {'; '.join(found)}. They count as unseen, or as missing if the "
                "categories are ordered. Give the values as in fit, or fit again."
            )

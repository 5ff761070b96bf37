"""The levels of a categorical column, and their codes."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.words import normal_forms

_TIMES = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    np.datetime64,
    np.timedelta64,
)

# Levels hardly repeat if more than this share of the rows, and at least so many rows,
# have a level of their own.
_OWN, _FEWEST_ROWS = 0.5, 20

_OF_BOOL = {"true": 1, "false": 0}


@dataclass(frozen=True)
class Levels:
    """Sorted distinct values of a categorical column; a level's position is its code.

    After the codes of the L levels, L is the code of a missing value and L + 1 that of
    an unknown one. Values are compared as in Python: 1, 1.0 and True are one level,
    "1" is another. A value that is no level counts as the level with the same normal
    form, if there is just one, see `normal_forms`: "1" counts as 1 if "1" is no level.

    Attributes
    ----------
    values : tuple
        The levels: numbers, strings, intervals, then other values sorted by their text.
        Those of an ordered dtype are in its order.
    are_own : bool
        Whether most training rows have a level of their own, so that most values of new
        rows will be unknown.
    are_ordered : bool
        Whether codes are numbers, the positions in an order. Missing and unknown values
        are NaN then.
    rare_share : float
        Share of the training rows whose level was deleted, see `only`. Deleted levels
        are unknown values, like those that ``fit`` did not see.
    """

    values: tuple[Any, ...]
    are_own: bool = False
    are_ordered: bool = False
    rare_share: float = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields; pandas' intervals become tuples (left, right, closed)."""
        values = list(self.values)
        places = [i for i, v in enumerate(values) if type(v).__name__ == "Interval"]
        for i in places:
            values[i] = values[i].left, values[i].right, values[i].closed
        state = {name: vars(self)[name] for name in self.__dataclass_fields__}
        return {**state, "values": tuple(values), "intervals": places}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the fields."""
        values, places = list(state["values"]), state["intervals"]
        if places:
            import pandas as pd
        for i in places:
            values[i] = pd.Interval(*values[i])
        fields = {name: state[name] for name in self.__dataclass_fields__}
        self.__dict__.update(fields, values=tuple(values))

    @classmethod
    def of(cls, values: Iterable[Any]) -> Levels:
        """Sort the distinct values that are not missing."""
        distinct = dict.fromkeys(value for value in values if not is_missing(value))
        return cls(tuple(sorted(distinct, key=_sort_key)))

    @property
    def hold_times(self) -> bool:
        """Whether a level is a date, a time or a duration."""
        return any(isinstance(value, _TIMES) for value in self.values)

    @property
    def n_codes(self) -> int:
        """Number of codes, including those of missing and unknown values."""
        return len(self.values) + 2

    @cached_property
    def _code_of(self) -> dict[Any, int]:
        return {value: code for code, value in enumerate(self.values)}

    @cached_property
    def _code_of_form(self) -> dict[Any, int]:
        """The code of each normal form that only one level has."""
        forms = [(f, c) for v, c in self._code_of.items() for f in normal_forms(v)]
        counts = Counter(form for form, _ in forms)
        return {form: code for form, code in forms if counts[form] == 1}

    def places(self, values: Sequence[Any]) -> NDArray[np.intp]:
        """Return the code of each value; values may be missing or unknown."""
        missing = len(self.values)
        codes = (
            missing if is_missing(value) else self._code_of.get(value, -1)
            for value in values
        )
        places = np.fromiter(codes, dtype=np.intp)
        for i in np.flatnonzero(places < 0).tolist():
            places[i] = self._similar(values[i])
        return places

    def _similar(self, value: Any) -> int:
        """Return the code of the level with the same form, or of unknown values."""
        forms = normal_forms(value)
        known = (self._code_of_form[f] for f in forms if f in self._code_of_form)
        return next(known, len(self.values) + 1)

    def only(self, is_kept: NDArray[np.bool_]) -> tuple[Levels, NDArray[np.intp]]:
        """Return some of the levels, and their codes among all.

        Levels that share a normal form with a kept one are kept, too: otherwise, their
        values would count as that level.
        """
        codes = np.flatnonzero(is_kept)
        if 0 < len(codes) < len(self.values):
            forms = [_equal_forms(value) for value in self.values]
            of_kept = set().union(*(forms[code] for code in codes.tolist()))
            is_like = [bool(own & of_kept) for own in forms]
            codes = np.flatnonzero(is_kept | is_like)
        values = tuple(self.values[code] for code in codes.tolist())
        return replace(self, values=values), codes

    def codes(
        self, positions: NDArray[np.integer], places: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Return the code of every row, in float32, which represents codes exactly.

        The code of row i is ``places[positions[i]]``; position -1 is a missing value.
        """
        table = np.append(places, len(self.values)).astype(np.float32)
        if self.are_ordered:
            table[table >= len(self.values)] = np.nan
        return table.take(positions, mode="wrap")  # -1: the last


def _equal_forms(value: Any) -> set[Any]:
    """Return the normal forms of a value; "true" and "false" are 1 and 0, too."""
    forms = set(normal_forms(value))
    return forms | {_OF_BOOL[form] for form in forms if form in _OF_BOOL}


def count_rows(positions: NDArray[np.integer], n_values: int) -> NDArray[np.integer]:
    """Count the rows of each value, from the positions of rows (-1: missing)."""
    return np.bincount(positions + 1, minlength=n_values + 1)[1:]


def hardly_repeat(n_rows: NDArray) -> bool:
    """Whether most rows have a level of their own; `n_rows` are those of levels."""
    total = n_rows.sum()
    return bool(total >= _FEWEST_ROWS and (n_rows == 1).sum() > _OWN * total)


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating | Decimal) and value != value


def are_numbers(values: Iterable[Any]) -> bool:
    """Whether there are numbers, and all other values are missing."""
    kinds = {type(value) for value in values if not is_missing(value)}
    return bool(kinds) and all(issubclass(kind, Real | Decimal) for kind in kinds)


def _sort_key(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Real | Decimal):
        return 0, value
    if isinstance(value, str):
        return 1, value
    if type(value).__name__ == "Interval":
        return 2, value.left, value.right
    return 3, type(value).__name__, str(value)

"""Rules for the kinds of columns, and the search for kinds and levels in ``fit``."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.columns import Columns
from imbalnet._tables.fill import ENCODE_BEFORE, filled
from imbalnet._tables.find import CATEGORY, NUMBER, ORDERED, ColumnFinder
from imbalnet._tables.levels import are_numbers
from imbalnet._tables.notes import warn_of
from imbalnet._tables.readers import Reader, listed, reject_columns_of_times
from imbalnet._tables.shifts import find_shifts
from imbalnet._tables.unseen import Unseen

_MUST = (
    'must be "from_dtype", None, a list of column names or of positions, or a mask of '
    "bool"
)


@dataclass(frozen=True)
class ColumnRules:
    """Rules for the kinds of columns; `read` applies them to the training rows.

    Attributes
    ----------
    categorical_features : "from_dtype", array-like or None
        The estimator's parameter.
    missing, infinite, categories : bool
        Whether the network takes missing numbers, infinite numbers and categories.
    module : str
        The network's name, for error messages.
    is_whole : bool
        Whether these are all rows; with ``partial_fit``, further ones may follow.
    """

    categorical_features: Any = "from_dtype"
    missing: bool = False
    infinite: bool = False
    categories: bool = True
    module: str = "the network"
    is_whole: bool = True

    def __post_init__(self) -> None:
        given = self.categorical_features
        is_known = given == "from_dtype" if isinstance(given, str) else given is None
        if not is_known and np.ndim(given) == 0:
            raise self._error(_MUST)

    @property
    def names_categories(self) -> bool:
        """Whether the parameter determines the columns of categories, not the dtype."""
        return self._are_named

    @property
    def _are_named(self) -> bool:
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
        """Read a table, and find kinds and levels; raise for unusable columns.

        `used` are the rows that determine levels and shifts (None: all). `unseen` is
        not needed, since all values become levels.
        """
        del unseen
        finder = self.finder(reader, dtype, used)
        matrix = filled(reader, dtype, finder.column)
        return matrix, self.found(finder)

    def finder(
        self, reader: Reader, dtype: type, used: NDArray | None = None
    ) -> ColumnFinder:
        """Return a finder for the columns of a table."""
        return ColumnFinder(
            reader,
            self.kinds(reader),
            dtype,
            used,
            is_whole=self.is_whole,
            are_meant=self._are_named,
        )

    def found(self, finder: ColumnFinder) -> Columns:
        """Return the columns that were read; warn with the notes, raise for dates."""
        reader, levels = finder.reader, finder.levels
        reject_columns_of_times(reader, (i for i in levels if levels[i].hold_times))
        warn_of(finder.notes)
        of_columns = [levels.get(i) for i in range(len(reader.names))]
        found = tuple(of_columns) if levels else ()
        return Columns(found, self.missing, self.infinite, finder.shifts)

    def kinds(self, reader: Reader) -> list[str]:
        """Return the kind to read each column as; raise if X lacks named columns."""
        is_category = self.choose(reader)
        columns = range(len(reader.names))
        is_ordered = np.array([self._is_ordered(reader, i) for i in columns], bool)
        if self._are_named:
            is_ordered &= ~is_category
        is_category = is_category & ~is_ordered  # the user's own mask stays
        self._check_module(reader, is_category)
        kinds = np.where(is_category, CATEGORY, np.where(is_ordered, ORDERED, NUMBER))
        return kinds.tolist()

    def _is_ordered(self, reader: Reader, i: int) -> bool:
        """Whether a column holds ordered categories.

        With ``categorical_features=None``, ordered categories that are numbers are read
        as these numbers.
        """
        if not reader.is_ordered(i):
            return False
        has_rule = self._are_named or isinstance(self.categorical_features, str)
        return has_rule or not are_numbers(reader.dictionary(i)[1])

    def choose(self, reader: Reader) -> NDArray[np.bool_]:
        """Return a mask of the columns of categories; raise if X lacks named ones."""
        n_features = len(reader.names)
        if not self._are_named:
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
            raise self._error(_MUST)
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

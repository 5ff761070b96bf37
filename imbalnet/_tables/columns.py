"""What the columns of a table hold: numbers, or categories, which become codes.

`ColumnRules` finds it in the training rows. The `Columns` that it returns read every
further table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.levels import Levels
from imbalnet._tables.readers import Reader, listed, reject_columns_of_times

# A cache line of float32, and the rows of so many columns that the L1 cache holds.
_COLUMNS_AT_ONCE = 16
_ROWS_AT_ONCE = 2048


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
    """

    categorical_features: Any = "from_dtype"
    missing: bool = False
    infinite: bool = False
    categories: bool = True
    module: str = "the network"

    @property
    def names_categories(self) -> bool:
        """Whether the parameter, not the dtypes, says which columns hold categories."""
        return not (
            self.categorical_features is None
            or isinstance(self.categorical_features, str)
            or len(self.categorical_features) == 0
        )

    def of_numbers(self) -> Columns:
        """Return the columns of a table of numbers only."""
        return Columns((), self.missing, self.infinite)

    def read(self, reader: Reader, dtype: type) -> tuple[NDArray, Columns]:
        """Read a table and find the levels of its columns; raise for unusable ones."""
        is_category = self.choose(reader)
        self._check_module(reader, is_category)
        levels: list[Levels | None] = [None] * len(reader.names)

        def column(i: int) -> NDArray:
            if not is_category[i]:
                return reader.numbers(i)
            positions, values = reader.dictionary(i)
            seen = np.zeros(len(values) + 1, dtype=bool)  # the last one for -1
            seen[positions] = True
            levels[i] = found = Levels.of(compress(values, seen.tolist()))
            return found.codes(positions, values)

        matrix = _filled(reader, dtype, column)
        known = zip(reader.names, levels, strict=True)
        reject_columns_of_times(name for name, lv in known if lv and lv.hold_times)
        found = tuple(levels) if is_category.any() else ()
        return matrix, Columns(found, self.missing, self.infinite)

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
            f"numbers only. Use module='mlp', or {_ENCODE_BEFORE.format(names)}. A "
            "module of your own takes codes if it accepts n_categories= (the number of "
            "codes of each column, 0 for numbers)."
        )


@dataclass(frozen=True)
class Columns:
    """What the columns of the training rows hold; further tables are read alike.

    Categories are codes: 0 to L - 1 for the L levels of a column, L for a missing value
    and L + 1 for a value that is no level.

    Attributes
    ----------
    levels : tuple of Levels or None
        The levels of each column, None for numbers; empty if all columns hold numbers.
    missing, infinite : bool
        Whether numbers may be missing or infinite.
    """

    levels: tuple[Levels | None, ...] = ()
    missing: bool = False
    infinite: bool = False

    @property
    def names_categories(self) -> bool:
        """Whether there is a column of categories."""
        return bool(self.levels)

    @property
    def n_categories(self) -> tuple[int, ...]:
        """Number of codes of each column, 0 for numbers; empty without categories."""
        return tuple(0 if lv is None else lv.n_codes for lv in self.levels)

    def of_numbers(self) -> Columns:
        """Return itself, the columns of a table of numbers only."""
        return self

    def read(self, reader: Reader, dtype: type) -> tuple[NDArray, Columns]:
        """Read a further table; raise if columns of numbers hold something else."""

        def column(i: int) -> NDArray:
            known = self.levels[i] if self.levels else None
            if known is None:
                return reader.numbers(i)
            return known.codes(*reader.dictionary(i))

        return _filled(reader, dtype, column), self

    def used_by(self, X: NDArray, index: NDArray) -> Columns:
        """Drop the levels that only rows outside `index` have; recode X in place."""
        levels = list(self.levels)
        for i, known in enumerate(self.levels):
            if known is None:
                continue
            seen = np.zeros(known.n_codes, dtype=bool)
            seen[X[index, i].astype(np.intp)] = True
            levels[i] = fewer = Levels(tuple(compress(known.values, seen.tolist())))
            positions = np.append(np.arange(len(known.values)), [-1, -1])
            recode = fewer.codes(positions, list(known.values))
            recode[-1] = fewer.n_codes - 1
            X[:, i] = recode[X[:, i].astype(np.intp)]
        return replace(self, levels=tuple(levels))

    def to_frame(self, X: NDArray, names: Sequence[Any], index: Any) -> Any:
        """Return a matrix as a pandas frame, with categories of dtype category."""
        import pandas as pd

        columns = dict(zip(names, X.T, strict=True))
        for name, known in zip(names, self.levels, strict=False):
            if known is not None:
                n_levels = len(known.values)
                codes = np.where(columns[name] < n_levels, columns[name], -1)
                values = pd.Index(list(known.values), tupleize_cols=False)
                columns[name] = pd.Categorical.from_codes(codes.astype(int), values)
        return pd.DataFrame(columns, index=index)

    def check_codes(self, X: NDArray, maker: str) -> None:
        """Raise if a resampler made values between the codes."""
        bad = [
            i
            for i, known in enumerate(self.levels)
            if known is not None
            and not np.isin(X[:, i], np.arange(known.n_codes, dtype=X.dtype)).all()
        ]
        if bad:
            raise ValueError(
                f"{maker} made values that are no category of the columns {bad}: it "
                f"interpolates. Use SMOTENC(categorical_features={bad}) or SMOTEN()."
            )


def _filled(reader: Reader, dtype: type, column: Callable[[int], NDArray]) -> NDArray:
    """Fill a matrix column by column; raise with all columns that cannot be read."""
    n_features = len(reader.names)
    matrix: NDArray = np.empty((reader.n_rows, n_features), dtype=dtype)
    unread = []
    with np.errstate(over="ignore"):  # what overflows is reported later
        for start in range(0, n_features, _COLUMNS_AT_ONCE):
            some = range(start, min(start + _COLUMNS_AT_ONCE, n_features))
            part: NDArray = np.empty((len(some), reader.n_rows), dtype=dtype)
            for values, i in zip(part, some, strict=True):
                try:
                    values[:] = column(i)
                except (TypeError, ValueError):
                    unread.append(str(reader.names[i]))
            _transpose(part, matrix[:, some.start : some.stop])
    if unread:
        raise ValueError(
            f"X has columns that are not numeric: {listed(unread)}. Name them in "
            f"categorical_features, or {_ENCODE_BEFORE.format(listed(unread))}."
        )
    return matrix


def _transpose(part: NDArray, out: NDArray) -> None:
    """Copy columns into a matrix of rows, in blocks that the cache holds."""
    for start in range(0, len(out), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        out[rows] = part[:, rows].T


_ENCODE_BEFORE = (
    "encode them before the classifier, for instance with make_column_transformer("
    "(OneHotEncoder(handle_unknown='ignore'), {}), remainder='passthrough')"
)

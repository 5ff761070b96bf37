"""From the columns of a table to one matrix of numbers and codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.levels import Levels
from imbalnet._tables.readers import TIMES_CURE, Reader

_MOST_NAMES = 10

# A cache line of float32, and rows of as many columns in the nearest cache.
_COLUMNS_AT_ONCE = 16
_ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class ColumnRules:
    """What is asked of columns before any were seen.

    Parameters
    ----------
    categorical_features : "from_dtype", array-like or None
        The estimator's parameter.
    missing, infinite, categories : bool
        What the network takes.
    module : str
        The network's name, for errors.
    """

    categorical_features: Any = "from_dtype"
    missing: bool = False
    infinite: bool = False
    categories: bool = True
    module: str = "the network"

    @property
    def names_categories(self) -> bool:
        """Whether it takes more than the dtypes to know what the columns hold."""
        return not (
            self.categorical_features is None
            or isinstance(self.categorical_features, str)
            or len(self.categorical_features) == 0
        )

    def of_numbers(self) -> Columns:
        """Give the columns of a table that holds numbers alone."""
        return Columns((), self.missing, self.infinite)

    def read(self, reader: Reader, dtype: type) -> tuple[NDArray, Columns]:
        """Learn the levels of a table's columns, and read it.

        Raises
        ------
        ValueError
            Naming the columns that hold what is not taken.
        """
        is_category = self.choose(reader)
        self._check_module(reader, is_category)
        levels: list[Levels | None] = [None] * len(reader.names)

        def column(i: int) -> NDArray:
            if not is_category[i]:
                return reader.numbers(i)
            positions, values = reader.dictionary(i)
            seen = np.zeros(len(values) + 1, dtype=bool)  # the last is for -1
            seen[positions] = True
            used = zip(values, seen[:-1].tolist(), strict=True)
            levels[i] = found = Levels.of(value for value, is_used in used if is_used)
            return found.codes(positions, values)

        matrix = _filled(reader, dtype, column)
        _reject_times(levels, reader.names)
        found = tuple(levels) if is_category.any() else ()
        return matrix, Columns(found, self.missing, self.infinite)

    def choose(self, reader: Reader) -> NDArray[np.bool_]:
        """Tell which columns hold categories.

        Raises
        ------
        ValueError
            If `categorical_features` names columns that are not there.
        """
        n_features = len(reader.names)
        if not self.names_categories:
            is_automatic = isinstance(self.categorical_features, str)
            return np.array(
                [is_automatic and reader.is_category(i) for i in range(n_features)],
                dtype=bool,
            )
        given = np.asarray(self.categorical_features)
        if given.ndim == 1 and given.dtype.kind == "b":
            return self._of_mask(given, n_features)
        if given.ndim == 1 and given.dtype.kind in "iu":
            return self._of_positions(given, n_features)
        if given.ndim == 1 and all(isinstance(name, str) for name in given.tolist()):
            return self._of_names(given.tolist(), reader.names)
        raise self._error(
            'must be "from_dtype", None, a list of column names or of positions, or a '
            "mask of bool"
        )

    def _of_mask(self, mask: NDArray, n_features: int) -> NDArray[np.bool_]:
        if len(mask) != n_features:
            raise self._error(
                f"is a mask of {len(mask)} columns, but X has {n_features}; give one "
                "bool a column"
            )
        return mask

    def _of_positions(self, positions: NDArray, n_features: int) -> NDArray[np.bool_]:
        if positions.min() < 0 or positions.max() >= n_features:
            raise self._error(
                f"holds positions that X does not have; they go from 0 to "
                f"{n_features - 1}"
            )
        return np.isin(np.arange(n_features), positions)

    def _of_names(self, given: list[str], names: Sequence[Any]) -> NDArray[np.bool_]:
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
        return np.isin(np.arange(len(names)), [names.index(name) for name in given])

    def _error(self, fault: str) -> ValueError:
        return ValueError(
            f"categorical_features={self.categorical_features!r} {fault}."
        )

    def _check_module(self, reader: Reader, is_category: NDArray[np.bool_]) -> None:
        if self.categories or not is_category.any():
            return
        chosen = zip(reader.names, is_category, strict=True)
        names = listed([name for name, is_one in chosen if is_one])
        raise ValueError(
            f"X has columns of categories: {names}, but module={self.module} takes "
            f"numbers only. Use module='mlp', or {_ENCODE_BEFORE.format(names)}. A "
            "module of your own takes codes if it accepts n_categories= (the number of "
            "codes of each column, 0 for numbers)."
        )


@dataclass(frozen=True)
class Columns:
    """What the columns hold, as ``fit`` found it.

    A column of categories becomes codes: its L levels are 0 to L - 1, a missing value
    is L, and a value that was not seen in ``fit`` is L + 1.

    Attributes
    ----------
    levels : tuple of Levels or None
        One a column, None for numbers; empty where all hold numbers.
    missing, infinite : bool
        Whether numbers may be so.
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
        """Give itself, which is asked of tables without categories."""
        return self

    def read(self, reader: Reader, dtype: type) -> tuple[NDArray, Columns]:
        """Read further rows of the table.

        Raises
        ------
        ValueError
            Naming the columns that no longer hold numbers.
        """
        levels = self.levels or (None,) * len(reader.names)

        def column(i: int) -> NDArray:
            known = levels[i]
            if known is None:
                return reader.numbers(i)
            return known.codes(*reader.dictionary(i))

        return _filled(reader, dtype, column), self

    def used_by(self, X: NDArray, index: NDArray) -> Columns:
        """Forget the levels of rows outside `index`; the codes in X follow."""
        levels = list(self.levels)
        for i, known in enumerate(self.levels):
            if known is None:
                continue
            seen = np.zeros(known.n_codes, dtype=bool)
            seen[X[index, i].astype(np.intp)] = True
            is_seen = seen[: len(known.values)].tolist()
            kept = zip(known.values, is_seen, strict=True)
            levels[i] = fewer = Levels(tuple(v for v, is_used in kept if is_used))
            positions = np.append(np.arange(len(known.values)), [-1, -1])
            recode = fewer.codes(positions, list(known.values))
            recode[-1] = fewer.n_codes - 1
            X[:, i] = recode[X[:, i].astype(np.intp)]
        return replace(self, levels=tuple(levels))

    def to_frame(self, X: NDArray, names: Sequence[Any], index: Any) -> Any:
        """Give rows as a pandas frame, whose categories are of dtype category.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
        names : sequence
            Of the columns; no two the same.
        index : pandas.Index or None
        """
        import pandas as pd

        levels = self.levels or (None,) * len(names)
        columns = {
            name: X[:, i] if known is None else _categorical(X[:, i], known)
            for i, (name, known) in enumerate(zip(names, levels, strict=True))
        }
        return pd.DataFrame(columns, index=index)

    def check_codes(self, X: NDArray, maker: str) -> None:
        """Raise where a resampler made codes between those that there are."""
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


def _categorical(codes: NDArray, levels: Levels) -> Any:
    import pandas as pd

    n_levels = len(levels.values)
    positions = np.where(codes < n_levels, codes, -1).astype(np.int64)
    categories = pd.Index(list(levels.values), tupleize_cols=False)
    return pd.Categorical.from_codes(positions, categories=categories)


def _filled(reader: Reader, dtype: type, column: Callable[[int], NDArray]) -> NDArray:
    """Fill a matrix column by column, and name all that cannot be read."""
    n_features = len(reader.names)
    matrix: NDArray = np.empty((reader.n_rows, n_features), dtype=dtype)
    words = []
    with np.errstate(over="ignore"):  # what overflows is said to be too large
        for start in range(0, n_features, _COLUMNS_AT_ONCE):
            some = range(start, min(start + _COLUMNS_AT_ONCE, n_features))
            part: NDArray = np.empty((len(some), reader.n_rows), dtype=dtype)
            for values, i in zip(part, some, strict=True):
                try:
                    values[:] = column(i)
                except (TypeError, ValueError):
                    words.append(str(reader.names[i]))
            _transpose(part, matrix[:, some.start : some.stop])
    if words:
        raise ValueError(
            f"X has columns that are not numeric: {listed(words)}. Name them in "
            f"categorical_features, or {_ENCODE_BEFORE.format(listed(words))}."
        )
    return matrix


def _transpose(part: NDArray, out: NDArray) -> None:
    """Copy columns into a matrix of rows, some of each while the cache holds them."""
    for start in range(0, len(out), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        out[rows] = part[:, rows].T


def _reject_times(levels: Sequence[Levels | None], names: Sequence[Any]) -> None:
    """Raise where dates stand in columns of dtype object."""
    found = zip(names, levels, strict=True)
    times = [str(name) for name, known in found if known and known.hold_times]
    if times:
        raise ValueError(
            f"X has columns that hold dates or times: {listed(times)}. {TIMES_CURE}"
        )


_ENCODE_BEFORE = (
    "encode them before the classifier, for instance with make_column_transformer("
    "(OneHotEncoder(handle_unknown='ignore'), {}), remainder='passthrough')"
)


def listed(names: Sequence[Any]) -> str:
    """Write names as a list, of which the first are enough."""
    text = str(list(names[:_MOST_NAMES]))
    more = len(names) - _MOST_NAMES
    return f"{text[:-1]}, ...] ({more} more)" if more > 0 else text

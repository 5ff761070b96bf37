"""Kinds of the columns of a table: numbers, or categories, which become codes.

`ColumnRules` (in ``rules.py``) determines them from the training rows, and returns
`Columns`, which read all further tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.fill import filled
from imbalnet._tables.levels import Levels, count_rows
from imbalnet._tables.readers import Reader
from imbalnet._tables.shifts import Shift, map_columns
from imbalnet._tables.unseen import Unseen


@dataclass(frozen=True)
class Columns:
    """Levels and shifts of the columns of the training rows, to read further tables.

    Categories become codes: 0 to L - 1 for the L levels of a column, L for a missing
    value and L + 1 for an unknown one. Ordered categories become numbers: 0 to L - 1,
    and NaN for missing and unknown values.

    Attributes
    ----------
    levels : tuple of Levels or None
        The levels of each column, None for numbers; empty if all columns hold numbers.
    missing, infinite : bool
        Whether numbers may be missing or infinite.
    shifts : mapping of int to Shift
        Shifts of columns of numbers before the cast to float32; most have none.
    """

    levels: tuple[Levels | None, ...] = ()
    missing: bool = False
    infinite: bool = False
    shifts: Mapping[int, Shift] = field(default_factory=dict)

    @property
    def names_categories(self) -> bool:
        """Whether there is a column of categories, ordered or not."""
        return bool(self.levels)

    @property
    def n_categories(self) -> tuple[int, ...]:
        """Number of codes of each column, 0 for numbers and for ordered categories.

        It is empty if all are 0.
        """
        sizes = tuple(
            0 if lv is None or lv.are_ordered else lv.n_codes for lv in self.levels
        )
        return sizes if any(sizes) else ()

    def of_numbers(self, table: Any, dtype: type, used: NDArray | None) -> Columns:
        """Return self, as the columns of a table of numbers only."""
        del table, dtype, used
        return self

    def read(
        self,
        reader: Reader,
        dtype: type,
        used: NDArray | None = None,
        unseen: Unseen | None = None,
    ) -> tuple[NDArray, Columns]:
        """Read a further table; raise if columns of numbers hold something else.

        Unknown values are counted in `unseen`.
        """
        del used

        def column(i: int) -> NDArray:
            known = self.levels[i] if self.levels else None
            if known is not None:
                positions, values = reader.occurring(i)
                places = known.places(values)
                if unseen is not None:
                    name, n_rows = reader.names[i], count_rows(positions, len(values))
                    unseen.count(i, name, known, values, places, n_rows)
                return known.codes(positions, places)
            numbers = reader.numbers(i)
            return self.shifts[i].apply(numbers) if i in self.shifts else numbers

        return filled(reader, dtype, column, levels=self.levels), self

    def shifted(self, X: Any, dtype: type) -> Any:
        """Shift columns of an array or a CSR matrix; without shifts, return X."""
        if not self.shifts:
            return X
        return map_columns(X, {i: s.apply for i, s in self.shifts.items()}, dtype)

    def restored(self, X: Any) -> Any:
        """Undo `shifted`; the result is float64 if there are shifts."""
        if not self.shifts:
            return X
        undo = {i: shift.undo for i, shift in self.shifts.items()}
        return map_columns(X, undo, np.float64)

    def raw_coefficients(
        self, coef: NDArray, intercept: NDArray
    ) -> tuple[NDArray, NDArray]:
        """Convert coefficients of shifted columns to those of the original columns.

        `coef`, of shape (n_outputs, n_inputs), begins with the columns of numbers.
        """
        coef, intercept = coef.copy(), intercept.copy()
        is_number = [not n_codes for n_codes in self.n_categories]
        for i, (center, scale) in self.shifts.items():
            j = sum(is_number[:i]) if is_number else i
            intercept -= coef[:, j] * (center / scale)
            with np.errstate(over="ignore"):  # infinite for a unit of subnormal values
                coef[:, j] /= scale
        return coef, intercept

    def value(self, i: int, number: float) -> Any:
        """Return the original value of a number in column i; None if it is missing."""
        known = self.levels[i] if self.levels else None
        if known is not None:
            return known.values[int(number)] if number < len(known.values) else None
        if np.isnan(number):
            return None
        shift = self.shifts.get(i)
        return number if shift is None else shift.undo(np.array(number)).item()

    def to_frame(self, X: NDArray, names: Sequence[Any], index: Any) -> Any:
        """Return a matrix as a pandas frame, with categories of dtype category.

        Shifted columns are restored, in float64.
        """
        import pandas as pd

        columns = dict(zip(names, X.T, strict=True))
        for i, shift in self.shifts.items():
            columns[names[i]] = shift.undo(X[:, i])
        for name, known in zip(names, self.levels, strict=False):
            if known is not None:
                n_levels = len(known.values)
                codes = np.where(columns[name] < n_levels, columns[name], -1)
                values = pd.Index(list(known.values), tupleize_cols=False)
                columns[name] = pd.Categorical.from_codes(
                    codes.astype(int), values, ordered=known.are_ordered
                )
        return pd.DataFrame(columns, index=index)

    def check_codes(self, X: NDArray, maker: str) -> None:
        """Raise if a resampler made values that are no codes."""
        bad = [
            i
            for i, n_codes in enumerate(self.n_categories)
            if n_codes and not np.isin(X[:, i], np.arange(n_codes, dtype=X.dtype)).all()
        ]
        if bad:
            raise ValueError(
                f"{maker} made values that are no category of the columns {bad}: it "
                f"interpolates. Use SMOTENC(categorical_features={bad}) or SMOTEN()."
            )

"""Rows of a table with their classes and weights, which all steps of training take.

A split is an index: training and validation rows share one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.columns import Columns
from imbalnet._tables.large.shuffled import ShuffledMatrix
from imbalnet._tables.readers import reader_of

_NUMBERS = Columns()


@dataclass(frozen=True)
class Rows:
    """Rows of a table, which may hold more of them.

    Arrays as long as the table are most of the memory of ``fit``, so that there are as
    few as possible: None stands for all rows, and for weights of 1.

    Attributes
    ----------
    X : {ndarray, CSR matrix, ShuffledMatrix} of shape (n_table_rows, n_features)
        Numbers, and codes of categories; the last one is not in memory.
    codes : ndarray of shape (n_table_rows,)
        Class codes, of one byte where that is enough.
    weight : ndarray of shape (n_table_rows,) or None
        Weights; None is 1 for every row.
    index : ndarray of int or None
        Positions of the rows in the table; None is all.
    frame : data frame or None
        The data frame that X was read from, or one of its columns without rows.
    columns : Columns
        What the columns of X hold.
    groups : ndarray of shape (n_table_rows,) or None
        Numbers of the groups that validation keeps together; None is none.
    """

    X: Any
    codes: NDArray[np.integer]
    weight: NDArray[np.floating] | None = None
    index: NDArray[np.integer] | None = None
    frame: Any = None
    columns: Columns = _NUMBERS
    groups: NDArray[np.integer] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields, with the columns' names instead of the frame."""
        names = None if self.frame is None else list(self.names)
        return {**vars(self), "frame": names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the fields; the frame has no rows."""
        names, columns = state["frame"], state["columns"]
        frame = None
        if names is not None and find_spec("pandas") is not None:
            frame = columns.to_frame(np.empty((0, len(names))), names, None)
        self.__dict__.update(state, frame=frame)

    def __len__(self) -> int:
        return len(self.codes) if self.index is None else len(self.index)

    @property
    def is_large(self) -> bool:
        """Whether the table is not in memory."""
        return isinstance(self.X, ShuffledMatrix)

    def loaded(self) -> Rows:
        """Return these rows as a table in memory; themselves if they are there."""
        if not self.is_large:
            return self
        X = self.X[slice(None) if self.index is None else self.index]
        weight = None if self.weight is None else self.of(self.weight)
        return Rows(X, self.of(self.codes), weight, columns=self.columns)

    def of(self, values: Any) -> Any:
        """Select from `values` of the table's rows those of these rows."""
        return values if self.index is None else values[self.index]

    def subset(self, positions: NDArray[np.intp]) -> Rows:
        """Select the rows at `positions` within these rows."""
        index = positions if self.index is None else self.index[positions]
        small: type = np.int32 if len(self.codes) < 2**31 else np.int64
        return replace(self, index=index.astype(small, copy=False))

    @property
    def names(self) -> Sequence[Any]:
        """Names of the columns, or their positions."""
        reader = reader_of(self.frame)
        return range(self.X.shape[1]) if reader is None else reader.names

    @property
    def weights(self) -> NDArray[np.floating]:
        """Weights of the table's rows; ones without memory of their own for None."""
        if self.weight is None:
            return np.broadcast_to(1.0, len(self.codes))
        return self.weight

    @property
    def weight_sum(self) -> float:
        """Sum of the weights of these rows."""
        return len(self) * 1.0 if self.weight is None else self.of(self.weight).sum()

    def counts(self, n_classes: int) -> NDArray[np.float64]:
        """Sum the weights of each class."""
        weight = None if self.weight is None else self.of(self.weight)
        counts = np.bincount(self.of(self.codes), weight, n_classes)
        return counts.astype(np.float64)

    def weighted_by_class(self, factor: NDArray[np.float64]) -> Rows:
        """Multiply the weights by a factor of each class."""
        unit = 1.0 if self.weight is None else self.weight.max()
        factor = (factor * unit).astype(self.X.dtype)  # float32 lacks some scales
        if self.weight is None and np.ptp(factor) == 0:
            return replace(self, weight=np.broadcast_to(factor[0], len(self.codes)))
        weight = factor[self.codes]
        if self.weight is not None:
            np.multiply(weight, self.weight / unit, out=weight, casting="same_kind")
        return replace(self, weight=weight)

    def features(self) -> Any:
        """Return the features as resamplers take them.

        That is a pandas frame if X was read from a frame: categories have dtype
        category, the other columns the dtype of X. Columns that were shifted before
        the cast to float32 are as they came, in float64.
        """
        X = self.of(self.X)
        reader = reader_of(self.frame)
        if reader is None or find_spec("pandas") is None:
            return self.columns.restored(X)
        index = getattr(self.frame, "index", None)
        if index is None or len(index) != len(self.codes):
            index = None
        elif self.index is not None:
            index = index[self.index]
        return self.columns.to_frame(X, reader.names, index)


def resampled_matrix(X: Any, rows: Rows, maker: str) -> Any:
    """Read what a resampler made of ``rows.features()`` as a matrix like ``rows.X``."""
    reader = reader_of(X, f"The X that {maker} made")
    if reader is not None:
        return rows.columns.read(reader, rows.X.dtype)[0]
    rows.columns.check_codes(X, maker)
    return rows.columns.shifted(X, rows.X.dtype.type)

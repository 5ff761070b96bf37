"""Rows of a table with their classes and weights, the data of all steps of training.

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
    """Some or all rows of a table.

    Arrays as long as the table take most of the memory of ``fit``, so there are as few
    as possible: None represents an index of all rows, and weights of 1.

    Attributes
    ----------
    X : {ndarray, CSR matrix, ShuffledMatrix} of shape (n_table_rows, n_features)
        Numbers, and codes of categories. A ShuffledMatrix is not in memory.
    codes : ndarray of shape (n_table_rows,)
        Class codes, of one byte if that is enough.
    weight : ndarray of shape (n_table_rows,) or None
        Weights; None means 1 for every row.
    index : ndarray of int or None
        Positions of the rows in the table; None means all.
    frame : data frame or None
        The data frame that X was read from, or one with the same columns and no rows.
    columns : Columns
        Kinds and levels of the columns of X.
    groups : ndarray of shape (n_table_rows,) or None
        Group numbers, for splits that keep groups together; None means no groups.
    """

    X: Any
    codes: NDArray[np.integer]
    weight: NDArray[np.floating] | None = None
    index: NDArray[np.integer] | None = None
    frame: Any = None
    columns: Columns = _NUMBERS
    groups: NDArray[np.integer] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields, with the names of the columns instead of the frame."""
        names = None if self.frame is None else list(self.names)
        return {**vars(self), "frame": names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the fields; the frame gets no rows."""
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
        """Return these rows as a table in memory; self if it is in memory already."""
        if not self.is_large:
            return self
        X = self.X[slice(None) if self.index is None else self.index]
        weight = None if self.weight is None else self.of(self.weight)
        return Rows(X, self.of(self.codes), weight, columns=self.columns)

    def of(self, values: Any) -> Any:
        """Return the values of these rows, from `values` of all rows of the table."""
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
        """Weights of all rows of the table; ones that take no memory for None."""
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
        factor = (factor * unit).astype(self.X.dtype)  # near 1, unlike factor
        if self.weight is None and np.ptp(factor) == 0:
            return replace(self, weight=np.broadcast_to(factor[0], len(self.codes)))
        weight = factor[self.codes]
        if self.weight is not None:
            np.multiply(weight, self.weight / unit, out=weight, casting="same_kind")
        return replace(self, weight=weight)

    def features(self) -> Any:
        """Return the features for resamplers.

        They are a pandas frame if X was read from a frame: categories have dtype
        category, the other columns the dtype of X. Columns that were shifted before the
        cast to float32 are restored, in float64.
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
    """Read the output X of a resampler as a matrix like ``rows.X``.

    Its input was ``rows.features()``; `maker` is its name, for errors.
    """
    reader = reader_of(X, f"The X that {maker} made")
    if reader is not None:
        return rows.columns.read(reader, rows.X.dtype)[0]
    rows.columns.check_codes(X, maker)
    return rows.columns.shifted(X, rows.X.dtype.type)

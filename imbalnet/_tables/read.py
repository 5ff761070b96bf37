"""Reading of features, labels and weights as `Rows`, for training and validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from imbalnet._tables.features import Reading, read_matrix
from imbalnet._tables.labels import (
    as_codes,
    as_labels,
    as_weights,
    check_lengths,
    sorted_classes,
)
from imbalnet._tables.notes import find_constant, note_of_constant, warn_of
from imbalnet._tables.readers import reader_of
from imbalnet._tables.rows import Rows
from imbalnet._tables.rules import ColumnRules
from imbalnet._tables.unseen import Unseen


def read_rows(
    X: Any, y: Any, sample_weight: Any, reading: Reading, classes: NDArray | None
) -> tuple[Rows, NDArray]:
    """Read training rows.

    Rows of weight 0 are left out of the index, and determine neither classes nor levels
    of categories. If their label is no class, their code is 0.

    X was returned by `as_table`; `classes` are the sorted labels (None: those of y).
    Return the rows and the sorted labels.
    """
    labels = as_labels(y)
    check_lengths(X, labels)
    weight = as_weights(sample_weight, X)
    index = None if weight is None or weight.all() else np.flatnonzero(weight)
    unseen = Unseen()
    matrix, columns = read_matrix(X, reading, index, unseen)
    used = labels if index is None else labels[index]
    classes = sorted_classes(used) if classes is None else classes
    check_two_classes(classes, reading.owner)
    codes = as_codes(used, classes)
    if index is not None:
        is_known = np.isin(labels, classes)
        of_known = as_codes(labels[is_known], classes)
        codes = np.zeros(len(labels), dtype=of_known.dtype)
        codes[is_known] = of_known
    unseen.warn(reading.title)
    reader = reader_of(X)
    # a frame of sparse columns became a sparse matrix, and resamplers take that
    is_plain = reader is None or sparse.issparse(matrix)
    rows = Rows(matrix, codes, weight, index, None if is_plain else X, columns)
    if isinstance(reading.columns, ColumnRules) and reading.columns.is_whole:
        warn_of_constant(rows, None if reader is None else reader.names)
    return rows, classes


def check_two_classes(classes: NDArray, owner: str) -> None:
    """Raise if there are fewer than two classes."""
    if len(classes) < 2:
        raise ValueError(
            f"{owner} needs rows of at least two classes, but y (without rows of "
            f"sample_weight 0) has one class: {classes.tolist()}."
        )


def warn_of_constant(rows: Rows, names: Sequence[Any] | None = None) -> None:
    """Warn of constant columns; `names` are those of all columns (None: the rows')."""
    names = rows.names if names is None else names
    constant = find_constant(rows.X, rows.index)
    warn_of(note_of_constant(names[i], rows.columns.value(i, v)) for i, v in constant)


def read_validation_rows(
    X: Any, y: Any, reading: Reading, classes: NDArray
) -> Rows | None:
    """Read ``X_val`` and ``y_val``; None if neither is given."""
    if (X is None) != (y is None):
        raise ValueError("X_val and y_val belong together: give both or neither.")
    if X is None:
        return None
    labels = as_labels(y, "y_val")
    check_lengths(X, labels, "X_val", "y_val")
    unseen = Unseen()
    matrix, _ = read_matrix(X, reading, unseen=unseen)
    unseen.warn(reading.title)
    return Rows(matrix, as_codes(labels, classes, "y_val"))

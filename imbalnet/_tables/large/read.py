"""Reading of a large table and its labels as `Rows` whose features are in a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._tables.features import Reading, matrix_blocks
from imbalnet._tables.labels import as_labels, as_weights, check_rows
from imbalnet._tables.large.scan import LabelColumn, find_columns, read_labels
from imbalnet._tables.large.shuffled import ShuffledMatrix, draw_buckets
from imbalnet._tables.large.table import LargeTable
from imbalnet._tables.read import check_two_classes, warn_of_constant
from imbalnet._tables.rows import Rows
from imbalnet._tables.rules import ColumnRules

# Share of the memory for one window of rows. There are two while the next one is read.
_OF_WINDOW = 1 / 4
_LEAST_ROWS = 2**10
# Bytes of a row in addition to its features: its position in the window, and memory to
# sort positions.
_POSITION_BYTES = 32


def without_labels(X: LargeTable, y: Any) -> tuple[LargeTable, Any]:
    """Return a table without the column of labels that `y` names, and the labels."""
    if not isinstance(y, str):
        return X, y
    labels = read_labels(X, y)
    return X.select([name for name in X.names or () if name != y]), labels


def read_large_rows(
    X: LargeTable, y: Any, sample_weight: Any, reading: Reading, classes: NDArray | None
) -> tuple[Rows, NDArray]:
    """Read training rows, in random order; see :func:`~imbalnet._tables.read_rows`.

    `y` are labels, or the `LabelColumn` that `without_labels` returned.
    """
    X.check_filled()
    labels = y if isinstance(y, LabelColumn) else LabelColumn.of(as_labels(y))
    check_rows("X", X.shape[0], "y", len(labels))
    weight = as_weights(sample_weight, X)
    used = None if weight is None or weight.all() else np.flatnonzero(weight)
    classes = labels.occurring(used) if classes is None else classes
    check_two_classes(classes, reading.owner)
    codes = labels.codes(classes, used)
    columns = reading.columns
    is_new = isinstance(columns, ColumnRules)
    if isinstance(columns, ColumnRules):
        columns = find_columns(X, columns, reading, used)
    matrix, order = _shuffled(X, replace(reading, columns=columns))
    if weight is not None:
        weight = weight[order]
        used = None if used is None else np.flatnonzero(weight)
    header = None if X.names is None else X.header
    rows = Rows(matrix, codes[order], weight, used, header, columns)
    if is_new:
        warn_of_constant(rows)
    return rows, classes


def _shuffled(X: LargeTable, reading: Reading) -> tuple[ShuffledMatrix, NDArray]:
    """Return the matrix, and the positions of its rows in the table."""
    n_rows, width = X.shape
    row_bytes = np.dtype(reading.dtype).itemsize * width + _POSITION_BYTES
    window_rows = max(int(_OF_WINDOW * X.max_bytes) // row_bytes, _LEAST_ROWS)
    buckets = draw_buckets(n_rows, window_rows)
    matrix = ShuffledMatrix(
        buckets, width, reading.dtype, window_rows=window_rows, folder=X.folder
    )
    matrix.fill(matrix_blocks(X, reading), buckets)
    return matrix, np.argsort(buckets, kind="stable")

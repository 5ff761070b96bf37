"""The warning about outliers in columns of a linear model.

Other networks scale outliers logarithmically (:class:`~imbalnet.networks.Standardize`).
A linear model, which must agree with a logistic regression, cannot.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._checks import and_more
from imbalnet._tables import Rows
from imbalnet._warn import warn
from imbalnet.networks import Standardize
from imbalnet.networks.layers.standardize import heavy_columns

# Least ratio of the standard deviation to the one that the quartiles suggest. Skewed
# columns have a ratio of about 10, which is no reason for a warning.
_HIDES = 100.0
_MOST_COLUMNS = 5


def warn_of_outliers(
    rows: Rows, some: NDArray[np.intp] | slice, layer: Standardize
) -> None:
    """Warn about columns of numbers with far outliers.

    `some` are the positions of the rows to which the `layer` was fitted.
    """
    sizes = np.asarray(rows.columns.n_categories or [0] * rows.X.shape[1])
    numbers = np.flatnonzero(sizes == 0)
    part = (rows if isinstance(some, slice) else rows.subset(some)).loaded()
    X, weight = part.of(part.X), part.of(part.weights)
    X = X if len(numbers) == len(sizes) else X[:, numbers]
    mean, deviation = (of.cpu().numpy() for of in (layer.mean, layer.deviation))
    found = [
        _described(rows, int(numbers[j]), X[:, [j]])
        for j, _, _ in heavy_columns(X, weight, mean, deviation, _HIDES)
    ]
    if not found:
        return
    warn(
        "X has columns in which values far away hide all others from a linear model: "
        f"{and_more(found, _MOST_COLUMNS)}. Mend such values, take a logarithm "
        "(np.arcsinh has one for every number), or use module='mlp', which bends "
        "them in."
    )


def _described(rows: Rows, i: int, column: Any) -> str:
    """Return the name of a column, and its original value farthest from 0."""
    values = np.asarray(column.toarray() if hasattr(column, "toarray") else column)
    values = values[np.isfinite(values)].astype(np.float64)
    value = rows.columns.value(i, float(values[np.abs(values).argmax()]))
    return f"{rows.names[i]!r} (such as {value:g})"

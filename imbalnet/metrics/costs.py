"""The cost of decisions, given a cost matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import checked_weights
from imbalnet.metrics._rows import pairs_of_labels
from imbalnet.posterior import cheapest_class, resolve_costs


def mean_cost(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    cost_matrix: Any = None,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the mean cost of the decisions; a profit is a negative cost.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,)
        True and predicted labels.
    cost_matrix : array-like of shape (n_classes, n_classes) or (n_rows, n_classes, \
            n_classes), dict, data frame or None, default=None
        ``cost_matrix[i, j]`` is the cost of predicting class j where i is true, or
        ``cost_matrix[row, i, j]``. A dict maps (true label, predicted label) to a
        number, or to an array of shape (n_rows,). None is 1 for each error.
    labels : array-like of shape (n_classes,), default=None
        All labels; None means those that occur. An array `cost_matrix` is in the order
        of the sorted labels.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows; None means equal weights.

    Returns
    -------
    float
        In the unit of the costs.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or if a cost is missing or not finite.

    See Also
    --------
    imbalnet.posterior.cheapest_class : The decision of the lowest expected cost.

    Examples
    --------
    A missed fraud costs the amount, a false alarm 5:

    >>> from imbalnet.metrics import mean_cost
    >>> costs = {("fraud", "fine"): [20, 300, 40], ("fine", "fraud"): 5}
    >>> mean_cost(["fraud", "fraud", "fine"], ["fine", "fraud", "fraud"], costs)
    8.33...
    """
    codes, decided, known = pairs_of_labels(y_true, y_pred, labels, "labels")
    costs = matrix_of_costs(cost_matrix, known, len(codes))
    weight = checked_weights(sample_weight, len(codes))
    return float(np.average(costs_of_rows(costs, codes, decided), weights=weight))


def least_cost(
    codes: NDArray[np.intp],
    probabilities: NDArray[np.float64],
    cost_matrix: Any = None,
    *,
    labels: NDArray,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the mean cost of the decisions of the lowest expected cost."""
    costs = matrix_of_costs(cost_matrix, labels, len(codes))
    called = cheapest_class(probabilities, costs)
    weight = checked_weights(sample_weight, len(codes))
    return float(np.average(costs_of_rows(costs, codes, called), weights=weight))


def matrix_of_costs(
    cost_matrix: Any, classes: NDArray, n_rows: int
) -> NDArray[np.float64]:
    """Convert costs to an array; None means 1 for each error."""
    costs = resolve_costs(cost_matrix, classes, n_rows)
    return 1.0 - np.eye(len(classes)) if costs is None else costs


def costs_of_rows(
    costs: NDArray[np.float64],
    codes: NDArray[np.integer],
    called: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Return the cost of the decision for each row."""
    if costs.ndim == 2:
        return costs[codes, called]
    return costs[np.arange(len(codes)), codes, called]

"""Decisions from posteriors and costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import (
    and_more,
    check_label_order,
    checked_classes,
    checked_floats,
    checked_integer,
    is_no_number,
    values_by_label,
)
from imbalnet.posterior._checks import checked_probabilities


def bayes_threshold(
    false_positive_cost: float,
    false_negative_cost: float,
    true_positive_cost: float = 0.0,
    true_negative_cost: float = 0.0,
) -> float:
    """Compute the probability of the positive class above which calling it is cheapest.

    With the costs fp, fn, tp and tn it is ``(fp - tn) / (fp - tn + fn - tp)`` [1]_. The
    probabilities must be calibrated for the place of use, as with
    ``target_prior="train"`` or :func:`shift_probabilities`.

    Parameters
    ----------
    false_positive_cost : float
        Cost of calling a negative row positive.
    false_negative_cost : float
        Cost of calling a positive row negative.
    true_positive_cost : float, default=0.0
        Cost of calling a positive row positive; negative costs are gains.
    true_negative_cost : float, default=0.0
        Cost of calling a negative row negative.

    Returns
    -------
    float
        Threshold between 0 and 1, at which both decisions cost the same.

    Raises
    ------
    ValueError
        If a cost is not finite, or if an error costs no more than the right decision
        for the same row, so that there is no cheapest threshold.

    See Also
    --------
    cheapest_class : The same decision for any number of classes.

    References
    ----------
    .. [1] Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.

    Examples
    --------
    A missed fraud costs 500, a needless call to the customer 5:

    >>> from imbalnet.posterior import bayes_threshold
    >>> round(bayes_threshold(5, 500), 4)
    0.0099
    >>> bayes_threshold(1, 1)
    0.5
    """
    costs = {
        "false_positive_cost": false_positive_cost,
        "false_negative_cost": false_negative_cost,
        "true_positive_cost": true_positive_cost,
        "true_negative_cost": true_negative_cost,
    }
    for name, cost in costs.items():
        if is_no_number(cost) or not math.isfinite(cost):
            raise ValueError(f"{name}={cost!r} must be a finite number.")
    negative = _excess(costs, "false_positive_cost", "true_negative_cost")
    positive = _excess(costs, "false_negative_cost", "true_positive_cost")
    # halved, so that the sum does not overflow
    return negative / 2 / (negative / 2 + positive / 2)


def _excess(costs: dict[str, float], error: str, right: str) -> float:
    """Compute how much more an error costs than the right decision."""
    excess = float(costs[error]) - float(costs[right])
    if math.isinf(excess):
        raise ValueError(
            f"{error}={costs[error]!r} and {right}={costs[right]!r} are too far apart; "
            "divide all costs by the same number."
        )
    if excess <= 0:
        raise ValueError(
            f"{error}={costs[error]!r} must be larger than {right}={costs[right]!r}: "
            "where an error costs no more than the right decision, no threshold is "
            "cheapest. Costs are positive, gains are negative costs."
        )
    return excess


def cheapest_class(
    probabilities: ArrayLike, cost_matrix: ArrayLike
) -> NDArray[np.intp]:
    """Choose the class of the lowest expected cost.

    The expected cost of predicting j is ``sum_i p_i * cost_matrix[i, j]`` [1]_. Costs
    may differ from row to row, such as with the amount of a payment.

    Parameters
    ----------
    probabilities : array-like of shape (..., n_classes) or (n_rows,)
        Rows that sum to 1, calibrated for the place of use. A single axis holds the
        probability of the second of two classes.
    cost_matrix : array-like of shape (n_classes, n_classes) or \
            (..., n_classes, n_classes)
        ``cost_matrix[i, j]`` is the cost of predicting class j where class i is true,
        for all rows; or ``cost_matrix[row, i, j]`` that of each row. Negative costs are
        gains.

    Returns
    -------
    ndarray of shape (...,) or (n_rows,)
        Positions of the classes. Among equally cheap classes, the most probable one.

    Raises
    ------
    ValueError
        If `probabilities` does not hold probabilities, or if `cost_matrix` does not
        hold a finite cost for each pair of classes (and each row).

    See Also
    --------
    bayes_threshold : The same decision for two classes, as a threshold.
    resolve_costs : Costs by label, and costs of each row, as an array.

    References
    ----------
    .. [1] Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.

    Examples
    --------
    The third class is worth a false alarm:

    >>> from imbalnet.posterior import cheapest_class
    >>> costs = [[0, 1, 1], [1, 0, 1], [20, 20, 0]]
    >>> cheapest_class([[0.7, 0.2, 0.1], [0.6, 0.39, 0.01]], costs).tolist()
    [2, 0]
    >>> cheapest_class([0.05, 0.3], [[0, 1], [9, 0]]).tolist()
    [0, 1]

    A miss costs 20 in the first row and 200 in the second:

    >>> cheapest_class([0.1, 0.1], [[[0, 5], [20, 0]], [[0, 5], [200, 0]]]).tolist()
    [0, 1]
    """
    rows = checked_probabilities(probabilities)
    check_label_order("cost_matrix", cost_matrix)
    costs = _checked_costs(cost_matrix, rows.shape[-1], rows.shape[:-1])
    expected = _expected(rows, costs)
    rounding = 8 * np.finfo(np.float64).eps * _expected(rows, np.abs(costs))
    cheapest = expected - rounding <= expected.min(axis=-1, keepdims=True)
    return np.where(cheapest, rows, -1.0).argmax(axis=-1)


def _expected(rows: NDArray, costs: NDArray) -> NDArray[np.float64]:
    """Compute the expected cost of each prediction."""
    if costs.ndim == 2:
        return rows @ costs
    return np.einsum("...i,...ij->...j", rows, costs)


def resolve_costs(
    cost_matrix: Any, classes: NDArray, n_rows: int | None = None
) -> NDArray[np.float64] | None:
    """Convert the parameter ``cost_matrix`` to an array; None stays None.

    Parameters
    ----------
    cost_matrix : array-like of shape (n_classes, n_classes) or (n_rows, n_classes, \
            n_classes), dict, data frame or None
        An array-like has a row for each true and a column for each predicted class, in
        the order of `classes`. The index of a frame holds the true labels, its columns
        the predicted ones, in any order. A dict maps (true label, predicted label) to a
        cost; a right prediction that it leaves out costs 0. With `n_rows`, an
        array-like may hold a matrix for each row, and a dict arrays of shape (n_rows,).
    classes : array-like of shape (n_classes,)
        The sorted labels.
    n_rows : int or None, default=None
        Number of rows that the costs may differ between; None means that they may not.

    Returns
    -------
    ndarray of shape (n_classes, n_classes) or (n_rows, n_classes, n_classes), or None
        ``[i, j]`` is the cost of predicting ``classes[j]`` where ``classes[i]`` is
        true, or ``[row, i, j]`` is.

    Raises
    ------
    ValueError
        If an array-like has another shape, if a dict leaves out an error or a frame a
        class, if a dict names a label that `classes` lacks (without giving a cost to
        each error of such a class), if a frame has no labels, or if a cost is not a
        finite number.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.posterior import resolve_costs
    >>> costs = {("fine", "fraud"): 5, ("fraud", "fine"): 500}
    >>> resolve_costs(costs, np.array(["fine", "fraud"])).tolist()
    [[0.0, 5.0], [500.0, 0.0]]

    A missed fraud costs the amount of the payment:

    >>> costs[("fraud", "fine")] = [20, 300]
    >>> resolve_costs(costs, np.array(["fine", "fraud"]), n_rows=2).tolist()
    [[[0.0, 5.0], [20.0, 0.0]], [[0.0, 5.0], [300.0, 0.0]]]
    """
    if cost_matrix is None:
        return None
    labels = checked_classes("classes", classes).tolist()
    n_rows = None if n_rows is None else checked_integer("n_rows", n_rows, 0)
    leading = () if n_rows is None else (n_rows,)
    if hasattr(cost_matrix, "columns"):
        cost_matrix = _from_frame(cost_matrix, labels)
    elif (of_pair := values_by_label("cost_matrix", cost_matrix)) is not None:
        cost_matrix = _from_mapping(of_pair, labels, leading)
    return _checked_costs(cost_matrix, len(labels), leading)


def _from_frame(frame: Any, labels: list) -> NDArray:
    """Convert a frame to an array in the order of `labels`, without other labels."""
    positions = []
    for axis in ("index", "columns"):
        found = list(getattr(frame, axis, ()))  # polars' frames have no index
        position_of = {label: position for position, label in enumerate(found)}
        missing = [label for label in labels if label not in position_of]
        if missing or len(position_of) < len(found):
            raise ValueError(
                "cost_matrix is a frame, whose index must hold the true labels and its "
                f"columns the predicted ones, each of {_listed(labels)} once, but its "
                f"{axis} is {_listed(found) or 'not there'}. If it is in the order of "
                "classes_, give cost_matrix.to_numpy()."
            )
        positions.append([position_of[label] for label in labels])
    return frame.to_numpy()[np.ix_(*positions)]


def _from_mapping(
    costs: Mapping[Any, Any], labels: list, leading: tuple[int, ...]
) -> NDArray[np.float64]:
    """Convert costs of pairs to an array; pairs of absent classes are ignored."""
    pairs = [(true, predicted) for true in labels for predicted in labels]
    missing = [pair for pair in pairs if pair not in costs and pair[0] != pair[1]]
    unknown = _unknown_pairs(costs, labels)
    if missing:
        raise ValueError(
            f"cost_matrix leaves out the pairs {_listed(missing)} of (true label, "
            "predicted label); give each error a cost"
            + (f". No pair of labels of y is {_listed(unknown)}." if unknown else ".")
        )
    if unknown:
        raise ValueError(
            f"cost_matrix has costs for {_listed(unknown)}, but pairs of (true label, "
            f"predicted label) have labels of y: {_listed(labels)}. A class that y "
            "happens to lack needs a cost for each of its errors."
        )
    values = [_cost_of_pair(pair, costs.get(pair, 0.0), leading) for pair in pairs]
    by_pair = np.stack(np.broadcast_arrays(*values), axis=-1)
    return by_pair.reshape(*by_pair.shape[:-1], len(labels), len(labels))


def _unknown_pairs(costs: Mapping[Any, Any], labels: list) -> list:
    """Return the keys that are not a pair of labels.

    A fold of the data may lack a rare class. A label that `labels` lacks is taken for
    such a class, and not for a typo, if all its errors have costs.
    """
    named = {label for pair in costs if isinstance(pair, tuple) for label in pair}
    absent = {
        other
        for other in named
        if all((other, label) in costs and (label, other) in costs for label in labels)
    }
    known = {*labels, *absent}
    return [
        pair
        for pair in costs
        if not (isinstance(pair, tuple) and len(pair) == 2 and known.issuperset(pair))
    ]


def _cost_of_pair(
    pair: tuple, cost: Any, leading: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return one cost for all rows, or one for each row, or raise."""
    try:
        values = checked_floats(f"cost_matrix[{pair!r}]", cost)
    except ValueError as error:
        raise ValueError(f"cost_matrix[{pair!r}]={cost!r} must be a number.") from error
    if values.shape not in ((), leading):
        cure = (
            f"or hold one for each of the {leading[0]} rows"
            if leading
            else "; costs of each row are an argument of predict(X, cost_matrix=)"
        )
        raise ValueError(
            f"cost_matrix[{pair!r}] must be a number {cure}, but has shape "
            f"{values.shape}."
        )
    return values


def _listed(items: list) -> str:
    return and_more([repr(item) for item in items], 6)


def _checked_costs(
    cost_matrix: ArrayLike, n_classes: int, leading: tuple[int, ...] = ()
) -> NDArray[np.float64]:
    """Convert costs of all rows, or of rows of a shape, to floats, or raise."""
    try:
        costs = checked_floats("cost_matrix", cost_matrix)
    except ValueError as error:
        raise ValueError(
            f"cost_matrix={cost_matrix!r} must hold {n_classes} rows of {n_classes} "
            "numbers, or be a dict of (true label, predicted label) to cost."
        ) from error
    square = (n_classes, n_classes)
    if costs.shape not in (square, (*leading, *square)):
        of_rows = (
            f"shape {(*leading, *square)}, such a matrix for each row"
            if leading
            else "be an argument of predict, which takes such a matrix for each row"
        )
        raise ValueError(
            f"cost_matrix must have shape {square}, a row for each true and a column "
            f"for each predicted class, or {of_rows}, but has shape {costs.shape}."
        )
    is_finite = np.isfinite(costs)
    if not is_finite.all():
        place = np.argwhere(~is_finite)[0].tolist()
        raise ValueError(
            f"cost_matrix must hold finite costs, but holds {costs[tuple(place)]} at "
            f"{place}."
        )
    return costs

"""Metrics of a ranking, most of them of its top rows only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_curve,
)

from imbalnet._checks import checked_share, checked_weights
from imbalnet.metrics._rows import (
    as_positive,
    as_scores,
    checked_budget,
    codes_of_groups,
)

# Shares are sums of weights, which are rounded.
_ROUNDING = 1e-12


def average_precision_lift(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute average precision divided by the prevalence.

    The prevalence is the average precision of a constant score, so that the lift tells
    how many times better than chance a ranking is.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels of two classes.
    y_score : array-like of shape (n_rows,)
        Scores; higher means more likely positive.
    pos_label : object, default=None
        Label of the positive class; None is the second of the two sorted labels.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows; None means equal weights.

    Returns
    -------
    float
        From about 1, by chance, to ``1 / prevalence``.

    Raises
    ------
    ValueError
        If there are no positive rows, if a score is not finite, or if the arrays do
        not fit together.

    Examples
    --------
    >>> from imbalnet.metrics import average_precision_lift
    >>> average_precision_lift([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.9])
    4.0
    """
    is_positive, scores, weight = _read(y_true, y_score, pos_label, sample_weight)
    prevalence = np.average(is_positive, weights=weight)
    if prevalence == 0:
        raise ValueError("y_true has no positive row, so that there is no lift.")
    precision = average_precision_score(is_positive, scores, sample_weight=weight)
    return float(precision / prevalence)


def precision_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    k: float,
    *,
    periods: ArrayLike | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the share of positives among the k rows of the highest scores.

    If rows with equal scores are at the edge, an equal share of each of them counts.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels of two classes.
    y_score : array-like of shape (n_rows,)
        Scores; higher means more likely positive.
    k : int or float
        Whole number of rows, or, if below 1, their share of all. More than there are
        means all.
    periods : array-like of shape (n_rows,), default=None
        Period of each row, such as the day; `k` applies to each period.
    pos_label : object, default=None
        Label of the positive class; None is the second of the two sorted labels.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows; a row of weight 2 counts as two.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If `k` is not a positive number or share of rows, if a score is not finite, or
        if the arrays do not fit together.

    See Also
    --------
    recall_at_k : The share of the positives that is found.

    Examples
    --------
    >>> from imbalnet.metrics import precision_at_k, recall_at_k
    >>> y, scores = [0, 1, 0, 1, 1], [0.1, 0.2, 0.7, 0.8, 0.9]
    >>> precision_at_k(y, scores, 2), recall_at_k(y, scores, 2)
    (1.0, 0.66...)

    A budget of one alert a day, on two days:

    >>> precision_at_k(y, scores, 1, periods=["Mon", "Mon", "Mon", "Tue", "Tue"])
    0.5
    """
    found, called, _, _ = _called_at_k(
        y_true, y_score, k, periods, pos_label, sample_weight
    )
    return found / called


def recall_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    k: float,
    *,
    periods: ArrayLike | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the share of the positives among the k rows of the highest scores.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels of two classes.
    y_score : array-like of shape (n_rows,)
        Scores; higher means more likely positive.
    k : int or float
        Whole number of rows, or, if below 1, their share of all.
    periods : array-like of shape (n_rows,), default=None
        As in :func:`precision_at_k`.
    pos_label : object, default=None
        Label of the positive class; None is the second of the two sorted labels.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows.

    Returns
    -------
    float
        Between 0 and 1; 0 without positive rows.

    Raises
    ------
    ValueError
        If `k` is not a positive number or share of rows, if a score is not finite, or
        if the arrays do not fit together.

    Examples
    --------
    >>> from imbalnet.metrics import recall_at_k
    >>> y = [0, 0, 1, 0, 0, 1, 0, 1]
    >>> scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9]
    >>> [round(recall_at_k(y, scores, k), 2) for k in (1, 3, 8)]
    [0.33, 0.67, 1.0]
    >>> round(recall_at_k(y, scores, 0.5), 2)  # half of the rows
    0.67
    """
    found, _, positives, _ = _called_at_k(
        y_true, y_score, k, periods, pos_label, sample_weight
    )
    return found / positives if positives else 0.0


def lift_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    k: float,
    *,
    periods: ArrayLike | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the share of positives among the top k rows, divided by the prevalence.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels of two classes.
    y_score : array-like of shape (n_rows,)
        Scores; higher means more likely positive.
    k : int or float
        Whole number of rows, or, if below 1, their share of all.
    periods : array-like of shape (n_rows,), default=None
        As in :func:`precision_at_k`.
    pos_label : object, default=None
        Label of the positive class; None is the second of the two sorted labels.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows.

    Returns
    -------
    float
        :func:`precision_at_k` divided by the prevalence; 0 without positive rows.

    Raises
    ------
    ValueError
        If `k` is not a positive number or share of rows, if a score is not finite, or
        if the arrays do not fit together.

    Examples
    --------
    A quarter of the rows is positive, and half of the top ones are:

    >>> from imbalnet.metrics import lift_at_k
    >>> y = [0, 0, 1, 0, 0, 0, 0, 1]
    >>> scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9]
    >>> lift_at_k(y, scores, 2)
    2.0
    """
    found, called, positives, total = _called_at_k(
        y_true, y_score, k, periods, pos_label, sample_weight
    )
    return found / called / (positives / total) if positives else 0.0


def recall_at_precision(
    y_true: ArrayLike,
    y_score: ArrayLike,
    precision: float,
    *,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the highest recall among the thresholds that reach a precision.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels of two classes.
    y_score : array-like of shape (n_rows,)
        Scores; higher means more likely positive.
    precision : float
        Share of the called rows that must be positive, from 0 to 1.
    pos_label : object, default=None
        Label of the positive class; None is the second of the two sorted labels.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows.

    Returns
    -------
    float
        Between 0 and 1; 0 if no threshold reaches the precision.

    Raises
    ------
    ValueError
        If `precision` does not lie between 0 and 1, if a score is not finite, or if the
        arrays do not fit together.

    See Also
    --------
    sklearn.metrics.precision_recall_curve : All pairs of the two.

    Examples
    --------
    >>> from imbalnet.metrics import recall_at_precision
    >>> recall_at_precision([0, 1, 0, 1], [0.1, 0.3, 0.6, 0.9], precision=0.9)
    0.5
    """
    floor = checked_share("precision", precision)
    is_positive, scores, weight = _read(y_true, y_score, pos_label, sample_weight)
    if not weight[is_positive].any():
        return 0.0
    reached, recall, _ = precision_recall_curve(
        is_positive, scores, sample_weight=weight
    )
    return float(recall[reached >= floor - _ROUNDING].max(initial=0.0))


def recall_at_fpr(
    y_true: ArrayLike,
    y_score: ArrayLike,
    fpr: float,
    *,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the highest recall among thresholds with a limited false positive rate.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels of two classes.
    y_score : array-like of shape (n_rows,)
        Scores; higher means more likely positive.
    fpr : float
        Share of the negative rows that may be called, from 0 to 1.
    pos_label : object, default=None
        Label of the positive class; None is the second of the two sorted labels.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows.

    Returns
    -------
    float
        Between 0 and 1; 0 if `y_true` has rows of one class alone.

    Raises
    ------
    ValueError
        If `fpr` does not lie between 0 and 1, if a score is not finite, or if the
        arrays do not fit together.

    See Also
    --------
    sklearn.metrics.roc_curve : All pairs of the two.

    Examples
    --------
    >>> from imbalnet.metrics import recall_at_fpr
    >>> recall_at_fpr([0, 1, 0, 1], [0.1, 0.3, 0.6, 0.9], fpr=0.5)
    1.0
    """
    ceiling = checked_share("fpr", fpr)
    is_positive, scores, weight = _read(y_true, y_score, pos_label, sample_weight)
    if not (weight[is_positive].any() and weight[~is_positive].any()):
        return 0.0
    rate, recall, _ = roc_curve(
        is_positive, scores, sample_weight=weight, drop_intermediate=False
    )
    return float(recall[rate <= ceiling + _ROUNDING].max())


def _read(
    y_true: ArrayLike, y_score: ArrayLike, pos_label: Any, sample_weight: Any
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Return which rows are positive, their scores and their weights."""
    is_positive = as_positive(y_true, pos_label)
    scores = as_scores(y_score, len(is_positive))
    return is_positive, scores, checked_weights(sample_weight, len(is_positive))


def _called_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    k: float,
    periods: ArrayLike | None,
    pos_label: Any,
    sample_weight: ArrayLike | None,
) -> tuple[float, float, float, float]:
    """Return the weight of true positives, of called, positive and all rows."""
    k = checked_budget("k", k)
    is_positive, scores, weight = _read(y_true, y_score, pos_label, sample_weight)
    if periods is None:
        is_called = _share_called(scores, weight, k)
    else:
        of_rows = codes_of_groups("periods", periods, len(scores))
        is_called = np.empty(len(scores))
        for period in range(of_rows.max() + 1):
            rows = of_rows == period
            is_called[rows] = _share_called(scores[rows], weight[rows], k)
    called = weight * is_called
    found, false = called[is_positive].sum(), called[~is_positive].sum()
    positives = weight[is_positive].sum()
    # so that rounding cannot make found larger than called, or than positives
    return (
        float(min(found, positives)),
        float(found + false),
        float(positives),
        float(weight.sum()),
    )


def _share_called(
    scores: NDArray[np.float64], weight: NDArray[np.float64], k: float
) -> NDArray[np.float64]:
    """Return 1 for the top k rows, 0 for the others, a share for ties at the edge."""
    if not weight.any():  # of a period
        return np.zeros(len(scores))
    budget = min(k if k >= 1 else k * weight.sum(), weight.sum())
    counted = np.flatnonzero(weight)  # without weight there is no share at the edge
    order = counted[np.argsort(-scores[counted], kind="stable")]
    reached = np.cumsum(weight[order])
    edge = scores[order[min(np.searchsorted(reached, budget), len(order) - 1)]]
    above, at_edge = scores > edge, scores == edge
    left = budget - weight[above].sum()
    return above + at_edge * min(left / weight[at_edge].sum(), 1.0)

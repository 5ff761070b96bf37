"""The decision threshold that maximises a criterion on held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import as_floats, checked_weights
from imbalnet._parameters import ThresholdName
from imbalnet._warn import warn
from imbalnet.decisions.criteria import (
    Counts,
    LeastCost,
    PrecisionAtLeast,
    RecallAtLeast,
    as_criterion,
    fewest_errors,
    of_kept_rows,
)
from imbalnet.metrics._rows import (
    as_positive_probabilities,
    check_finite,
    is_finite_number,
    labels_of_rows,
    two_labels,
)
from imbalnet.posterior import effective_weight

# With fewer positive rows, the best threshold is mostly noise.
FEWEST_POSITIVES = 20
# Most thresholds at which a function of labels and predictions is evaluated.
_MOST_CALLS = 256


def choose_threshold(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    criterion: ThresholdName | Callable[..., Any] = "f1",
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
) -> float:
    """Choose the probability from which on rows are called positive.

    The rows must be held out: those of a validation set, or out-of-fold ones such as
    ``oof_proba_`` or those of :func:`~sklearn.model_selection.cross_val_predict`. With
    training rows the threshold is too high.

    With fewer than 20 positive rows (by the effective number of rows, if there are
    weights), the best threshold by the labels is mostly noise. The counts of the
    confusion matrix are then replaced by their expectations under the probabilities
    [1]_, which must be calibrated.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels of two classes.
    probabilities : array-like of shape (n_rows,) or (n_rows, 2)
        Held-out probabilities of the positive class, or of both classes in the order of
        the sorted labels.
    criterion : str, criterion or callable, default="f1"
        "f1", "f2", "mcc", "g_mean" or "balanced_accuracy"; one of
        :class:`PrecisionAtLeast`, :class:`RecallAtLeast`, :class:`AlertShare`,
        :class:`LeastCost` and :class:`FBeta`; or a function of true and predicted
        labels (and ``sample_weight``, if given), of which more is better, such as
        those of :mod:`sklearn.metrics`.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows; None means equal weights.
    pos_label : object, default=None
        Label of the positive class; None is the second of the two sorted labels.

    Returns
    -------
    float
        A row is called positive if its probability is at least this. It lies halfway
        between the probabilities of two rows; of equally good thresholds, it is the
        highest.

    Raises
    ------
    ValueError
        If the arrays do not fit together, if the labels are not of two classes, if a
        probability is not from 0 to 1, or if `criterion` is unknown.

    Warns
    -----
    UserWarning
        If there are few positive rows, or if no threshold reaches the floor of
        `criterion`; the nearest one is returned.

    See Also
    --------
    sklearn.model_selection.FixedThresholdClassifier : Predicts at such a threshold.
    imbalnet.posterior.bayes_threshold : The threshold for given costs, without rows.

    References
    ----------
    .. [1] Lipton, Elkan, Naryanaswamy, "Optimal thresholding of classifiers to maximize
       F1 measure", ECML PKDD 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.decisions import PrecisionAtLeast, choose_threshold
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 2.0, size=5_000)
    >>> y = (rng.random(5_000) < p).astype(int)
    >>> round(choose_threshold(y, p), 2), round(choose_threshold(y, p, "g_mean"), 2)
    (0.27, 0.08)
    >>> threshold = choose_threshold(y, p, PrecisionAtLeast(0.9))
    >>> bool(y[p >= threshold].mean() >= 0.9)
    True
    """
    as_criterion(criterion, "criterion")
    true = labels_of_rows(y_true)
    labels = two_labels(true, pos_label)
    is_positive = true == labels[1]
    is_second = bool(labels[0] < labels[1])
    scores = as_positive_probabilities(probabilities, true, is_second=is_second)
    weight = checked_weights(sample_weight, len(scores))
    kept = weight > 0
    best = best_threshold(
        scores[kept],
        is_positive[kept],
        weight[kept],
        of_kept_rows(criterion, kept),
        labels=labels,
        passes_weight=sample_weight is not None,
    )
    return _rounded_up(best, np.asarray(probabilities).dtype)


def _rounded_up(threshold: float, dtype: np.dtype) -> float:
    """Return the lowest number of a dtype of floats that is at least the threshold.

    NumPy compares an array with a number in the precision of the array. If that rounded
    the threshold down, ``probabilities >= threshold`` would call further rows.
    """
    if dtype.kind != "f" or dtype.itemsize >= 8:
        return threshold
    rounded = dtype.type(threshold)
    if float(rounded) < threshold:
        rounded = np.nextafter(rounded, dtype.type(np.inf))
    return float(rounded)


def best_threshold(
    scores: NDArray[np.float64],
    is_positive: NDArray[np.bool_],
    weight: NDArray[np.float64],
    criterion: Any,
    *,
    honest: NDArray[np.float64] | None = None,
    labels: NDArray | None = None,
    passes_weight: bool = True,
) -> float:
    """Choose a threshold of `scores`, see :func:`choose_threshold`.

    `honest` are the rows' calibrated probabilities under the class shares that `weight`
    leads to, if these are not the scores. A function of labels is called with the
    negative and the positive one of `labels` (by default 0 and 1), and with weights if
    `passes_weight`.
    """
    thresholds, values = criterion_values(
        scores,
        is_positive,
        weight,
        criterion,
        honest=honest,
        labels=labels,
        passes_weight=passes_weight,
    )
    best = int(np.argmax(values))
    if values[best] < 0 and isinstance(criterion, PrecisionAtLeast | RecallAtLeast):
        warn(
            f"No threshold reaches {criterion} on held-out rows. The one that is used "
            f"misses it by {-values[best]:.2g}."
        )
    return float(thresholds[best])


def criterion_values(
    scores: NDArray[np.float64],
    is_positive: NDArray[np.bool_],
    weight: NDArray[np.float64],
    criterion: Any,
    *,
    honest: NDArray[np.float64] | None = None,
    labels: NDArray | None = None,
    passes_weight: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return thresholds, descending, and a criterion's value at each of them.

    The arguments are those of :func:`best_threshold`.
    """
    of_counts = as_criterion(criterion)
    share = is_positive.astype(np.float64)
    if _has_few(weight[is_positive], is_chance=of_counts is None):
        share = scores if honest is None else honest
    positive, negative = weight * share, weight * (1 - share)
    if isinstance(of_counts, LeastCost) and of_counts.is_of_rows:
        of_positives, of_negatives = of_counts.excess(len(scores))
        positive, negative = positive * of_positives, negative * of_negatives
        of_counts = fewest_errors
    thresholds, counts = threshold_counts(scores, positive, negative)
    if of_counts is not None:
        values = of_counts(counts)
    else:
        if len(thresholds) > _MOST_CALLS:
            kept = np.geomspace(1, len(thresholds), _MOST_CALLS).astype(np.intp) - 1
            thresholds = thresholds[np.unique(kept)]
        labels = np.array([0, 1]) if labels is None else labels
        extra = {"sample_weight": weight} if passes_weight else {}
        value_at = partial(_value_at, criterion, labels, extra, is_positive)
        values = np.array([value_at(scores >= threshold) for threshold in thresholds])
    return thresholds, values


def _has_few(weight_of_positives: NDArray[np.float64], *, is_chance: bool) -> bool:
    """Warn and return True if there are too few positive rows for a threshold."""
    n_rows = 0.0
    if weight_of_positives.any():
        n_rows = float(effective_weight(weight_of_positives).sum())
    if n_rows >= FEWEST_POSITIVES:
        return False
    meaning = (
        "it is chance; give a number instead."
        if is_chance
        else "not by their labels, which would be chance, but by what the "
        "probabilities lead to expect."
    )
    warn(
        f"The threshold is chosen by {n_rows:.0f} positive rows (fewer than "
        f"{FEWEST_POSITIVES}): {meaning}"
    )
    return True


def threshold_counts(
    scores: NDArray[np.float64],
    positive: NDArray[np.float64],
    negative: NDArray[np.float64],
) -> tuple[NDArray[np.float64], Counts]:
    """Compute the confusion matrix at each threshold between two distinct scores.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Scores of the positive class, from 0 to 1.
    positive, negative : ndarray of shape (n_rows,)
        Weights of each row as a positive and as a negative row.

    Returns
    -------
    thresholds : ndarray of shape (n_thresholds,)
        Descending; at the first no row is called positive, at the last one all are.
    counts : Counts
        The confusion matrix at each of them.

    Raises
    ------
    ValueError
        If shapes do not fit together, or if an array holds a value that is not finite.

    Examples
    --------
    The profit at each threshold, if a check costs 5 and a hit saves 20:

    >>> import numpy as np
    >>> from imbalnet.decisions import threshold_counts
    >>> y, p = np.array([0, 0, 1, 0, 1]), np.array([0.1, 0.2, 0.4, 0.6, 0.8])
    >>> thresholds, counts = threshold_counts(p, positive=y, negative=1 - y)
    >>> thresholds.round(2).tolist()
    [0.9, 0.7, 0.5, 0.3, 0.15, 0.0]
    >>> (20 * counts.true_positives - 5 * counts.called).tolist()
    [0.0, 15.0, 10.0, 25.0, 20.0, 15.0]
    """
    scores, positive, negative = _checked_columns(scores, positive, negative)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    is_last = np.append(np.diff(ordered) != 0, True)  # of rows with equal scores
    distinct = ordered[is_last]
    below = np.append(distinct[1:], 0.0)
    middle = (distinct + below) / 2
    middle = np.where(middle > below, middle, distinct)  # if there is no float between
    middle[-1] = 0.0
    top = (distinct[0] + 1) / 2
    above = top if top > distinct[0] else np.nextafter(distinct[0], np.inf)
    hits, alarms = (
        np.append(0.0, np.cumsum(of_rows[order])[is_last])
        for of_rows in (positive, negative)
    )
    counts = Counts(hits, alarms, hits[-1] - hits, alarms[-1] - alarms)
    return np.append(above, middle), counts


def _value_at(
    figure: Callable[..., float],
    labels: NDArray,
    extra: dict[str, NDArray],
    is_positive: NDArray[np.bool_],
    is_called: NDArray[np.bool_],
) -> float:
    """Return a figure of labels and predictions, or raise if it is not finite."""
    true, called = (labels[of.astype(np.intp)] for of in (is_positive, is_called))
    value = figure(true, called, **extra)
    if not is_finite_number(value):
        raise ValueError(
            f"The criterion {figure!r} gave {value!r} for true and predicted labels; "
            "it must give a finite number, of which more is better."
        )
    return float(value)


def _checked_columns(
    scores: ArrayLike, positive: ArrayLike, negative: ArrayLike
) -> list[NDArray[np.float64]]:
    """Return scores and weights of rows as floats, or raise."""
    given = {"scores": scores, "positive": positive, "negative": negative}
    columns = {name: as_floats(name, values) for name, values in given.items()}
    n_rows = columns["scores"].size
    for name, values in columns.items():
        if values.shape != (n_rows,) or not n_rows:
            raise ValueError(
                f"{name} must hold a number for each row, as scores, but has shape "
                f"{values.shape}."
            )
        check_finite(name, values)
    return [*columns.values()]

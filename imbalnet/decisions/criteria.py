"""Criteria for decision thresholds, computed from the confusion matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._checks import (
    as_floats,
    checked_number,
    checked_share,
    did_you_mean,
)


@dataclass(frozen=True)
class Counts:
    """Weighted counts of the confusion matrix, at each of several thresholds.

    Attributes
    ----------
    true_positives : ndarray of shape (n_thresholds,)
        Positive rows that are called positive.
    false_positives : ndarray of shape (n_thresholds,)
        Negative rows that are called positive.
    false_negatives : ndarray of shape (n_thresholds,)
        Positive rows that are not called positive.
    true_negatives : ndarray of shape (n_thresholds,)
        Negative rows that are not called positive.

    Examples
    --------
    Counts at every threshold that four rows allow, from no alarm to all alarms:

    >>> import numpy as np
    >>> from imbalnet.decisions import threshold_counts
    >>> y, p = np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.6, 0.8])
    >>> thresholds, counts = threshold_counts(p, positive=y, negative=1 - y)
    >>> counts.called.tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    >>> counts.precision.round(2).tolist()
    [0.0, 1.0, 0.5, 0.67, 0.5]
    >>> counts.recall.tolist()
    [0.0, 0.5, 0.5, 1.0, 1.0]
    """

    true_positives: NDArray[np.float64]
    false_positives: NDArray[np.float64]
    false_negatives: NDArray[np.float64]
    true_negatives: NDArray[np.float64]

    @property
    def called(self) -> NDArray[np.float64]:
        """Rows that are called positive."""
        return self.true_positives + self.false_positives

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the called rows that are positive; 0 where none is called."""
        return _ratio(self.true_positives, self.called)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the positive rows that are called; 0 without positive rows."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> NDArray[np.float64]:
        """Share of the negative rows that are not called."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def total(self) -> NDArray[np.float64]:
        """All rows."""
        return self.called + self.false_negatives + self.true_negatives


Criterion = Callable[[Counts], NDArray[np.float64]]


@dataclass(frozen=True)
class FBeta:
    """The F score, in which recall counts `beta` times as much as precision.

    Parameters
    ----------
    beta : float, default=1.0
        Positive; above 1 recall counts more.

    See Also
    --------
    sklearn.metrics.fbeta_score : The F score of predictions.

    Examples
    --------
    If recall counts more, the threshold is lower:

    >>> import numpy as np
    >>> from imbalnet.decisions import FBeta, choose_threshold
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 2.0, size=5_000)
    >>> y = (rng.random(5_000) < p).astype(int)
    >>> [round(choose_threshold(y, p, FBeta(beta)), 2) for beta in (0.5, 1, 2)]
    [0.4, 0.27, 0.17]
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        checked_number("beta", self.beta, 0.0, open_low=True)

    def __call__(self, counts: Counts) -> NDArray[np.float64]:
        """Return the score at each threshold."""
        square = self.beta**2
        hits = (1 + square) * counts.true_positives
        errors = square * counts.false_negatives + counts.false_positives
        return _ratio(hits, hits + errors)


@dataclass(frozen=True)
class PrecisionAtLeast:
    """The highest recall at which precision reaches a floor.

    Parameters
    ----------
    precision : float
        Share of the called rows that must be positive, from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.decisions import PrecisionAtLeast, choose_threshold
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 2.0, size=5_000)
    >>> y = (rng.random(5_000) < p).astype(int)
    >>> called = p >= choose_threshold(y, p, PrecisionAtLeast(0.8))
    >>> print(f"precision {y[called].mean():.3f}, recall {called[y == 1].mean():.3f}")
    precision 0.840, recall 0.096
    """

    precision: float

    def __post_init__(self) -> None:
        checked_share("precision", self.precision)

    def __call__(self, counts: Counts) -> NDArray[np.float64]:
        """Return the recall; below the floor, the (negative) distance from it."""
        return _above(counts.precision, self.precision, counts.recall)


@dataclass(frozen=True)
class RecallAtLeast:
    """The highest precision at which recall reaches a floor.

    Parameters
    ----------
    recall : float
        Share of the positive rows that must be called, from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.decisions import RecallAtLeast, choose_threshold
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 2.0, size=5_000)
    >>> y = (rng.random(5_000) < p).astype(int)
    >>> called = p >= choose_threshold(y, p, RecallAtLeast(0.9))
    >>> print(f"precision {y[called].mean():.3f}, recall {called[y == 1].mean():.3f}")
    precision 0.270, recall 0.902
    """

    recall: float

    def __post_init__(self) -> None:
        checked_share("recall", self.recall)

    def __call__(self, counts: Counts) -> NDArray[np.float64]:
        """Return the precision; below the floor, the (negative) distance from it."""
        return _above(counts.recall, self.recall, counts.precision)


@dataclass(frozen=True)
class AlertShare:
    """As many calls as a budget allows.

    Parameters
    ----------
    share : float
        Largest share of the rows that may be called, from 0 to 1; for 20 alerts among
        4,000 payments a day it is 0.005.

    Examples
    --------
    A budget of 20 alerts for 4,000 payments, which is 25 for 5,000 payments:

    >>> import numpy as np
    >>> from imbalnet.decisions import AlertShare, choose_threshold
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 2.0, size=5_000)
    >>> y = (rng.random(5_000) < p).astype(int)
    >>> called = p >= choose_threshold(y, p, AlertShare(20 / 4_000))
    >>> print(f"{called.sum()} alerts, {y[called].sum()} of them right")
    25 alerts, 20 of them right
    """

    share: float

    def __post_init__(self) -> None:
        try:
            checked_share("share", self.share)
        except ValueError as error:
            raise ValueError(
                f"{error} 20 alerts of 4,000 rows are AlertShare(20 / 4_000)."
            ) from None

    def __call__(self, counts: Counts) -> NDArray[np.float64]:
        """Return the share that is called; beyond the budget, minus the excess."""
        share = _ratio(counts.called, counts.total)
        return _above(-share, -self.share, share)


@dataclass(frozen=True)
class LeastCost:
    """The lowest cost of all decisions.

    If the probabilities are calibrated, :func:`~imbalnet.posterior.bayes_threshold`
    computes the same threshold without any rows. This criterion does not require
    calibration.

    In :func:`choose_threshold` the costs may differ from row to row; each array holds a
    cost for every row, whatever its label. One threshold for rows of different costs is
    a compromise; ``predict(X, cost_matrix=)`` decides by the costs of each row.

    Parameters
    ----------
    false_positive : float or array-like of shape (n_rows,)
        Cost of calling a negative row positive.
    false_negative : float or array-like of shape (n_rows,)
        Cost of not calling a positive row.
    true_positive : float or array-like of shape (n_rows,), default=0.0
        Cost of calling a positive row; gains are negative.
    true_negative : float or array-like of shape (n_rows,), default=0.0
        Cost of not calling a negative row.

    Examples
    --------
    A missed fraud costs the amount of the payment:

    >>> import numpy as np
    >>> from imbalnet.decisions import LeastCost, choose_threshold
    >>> rng = np.random.default_rng(0)
    >>> p, amount = rng.beta(0.2, 2.0, size=5_000), rng.lognormal(4, 1, size=5_000)
    >>> y = (rng.random(5_000) < p).astype(int)
    >>> round(choose_threshold(y, p, LeastCost(5, amount)), 2)
    0.08
    """

    false_positive: Any
    false_negative: Any
    true_positive: Any = 0.0
    true_negative: Any = 0.0

    def __post_init__(self) -> None:
        for name, cost in vars(self).items():
            _checked_costs(name, cost)

    @property
    def is_of_rows(self) -> bool:
        """Whether a cost differs from row to row."""
        return any(np.ndim(cost) for cost in vars(self).values())

    def excess(self, n_rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute the cost of each row's error minus that of the right decision.

        With these as weights of the rows, the counts of false negatives and false
        positives sum to the total cost, up to a constant.

        Parameters
        ----------
        n_rows : int
            Number of rows.

        Returns
        -------
        of_positives, of_negatives : ndarray of shape (n_rows,)
            Excess cost of a false negative and of a false positive in each row.

        Raises
        ------
        ValueError
            If the costs are those of another number of rows.
        """
        costs = {}
        for name, cost in vars(self).items():
            costs[name] = _checked_costs(name, cost)
            if costs[name].shape not in ((), (n_rows,)):
                raise ValueError(
                    f"{name} has the costs of {len(cost)} rows, but there are {n_rows}."
                )
        of_positives = costs["false_negative"] - costs["true_positive"]
        of_negatives = costs["false_positive"] - costs["true_negative"]
        return np.full(n_rows, of_positives), np.full(n_rows, of_negatives)

    def __call__(self, counts: Counts) -> NDArray[np.float64]:
        """Return minus the mean cost of a row."""
        if self.is_of_rows:
            raise ValueError(
                "Counts do not say which rows they count, so that costs of each row "
                "cannot be added up from them; use choose_threshold."
            )
        cost = (
            float(self.false_positive) * counts.false_positives
            + float(self.false_negative) * counts.false_negatives
            + float(self.true_positive) * counts.true_positives
            + float(self.true_negative) * counts.true_negatives
        )
        return -_ratio(cost, counts.total)


def fewest_errors(counts: Counts) -> NDArray[np.float64]:
    """Return minus the weight of all errors."""
    return -(counts.false_positives + counts.false_negatives)


def balanced_accuracy(counts: Counts) -> NDArray[np.float64]:
    """Return the mean of recall and specificity, as in scikit-learn."""
    return (counts.recall + counts.specificity) / 2


def g_mean(counts: Counts) -> NDArray[np.float64]:
    """Return the geometric mean of recall and specificity, as in imbalanced-learn."""
    return np.sqrt(counts.recall * counts.specificity)


def matthews(counts: Counts) -> NDArray[np.float64]:
    """Return Matthews' correlation coefficient, as in scikit-learn."""
    tp, fp = counts.true_positives, counts.false_positives
    fn, tn = counts.false_negatives, counts.true_negatives
    scale = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
    return _ratio(tp * tn - fp * fn, scale)


CRITERIA: dict[str, Criterion] = {
    "balanced_accuracy": balanced_accuracy,
    "f1": FBeta(1.0),
    "f2": FBeta(2.0),
    "g_mean": g_mean,
    "mcc": matthews,
}
_FUNCTIONS = [of for of in CRITERIA.values() if not isinstance(of, FBeta)]
# Suggestions for words that name a criterion with a parameter.
_SUGGESTIONS = {
    "precision": "PrecisionAtLeast(0.9)",
    "recall": "RecallAtLeast(0.9)",
    "alert": "AlertShare(0.02)",
    "cost": "LeastCost(false_positive=5, false_negative=100)",
}
_OF_COUNTS = (FBeta, PrecisionAtLeast, RecallAtLeast, AlertShare, LeastCost)


def as_criterion(criterion: Any, name: str = "threshold") -> Criterion | None:
    """Return a criterion of counts; None for a callable of labels and predictions.

    `name` is the argument's name in error messages.

    Raises
    ------
    ValueError
        If `criterion` is neither a known name nor a callable.
    """
    if isinstance(criterion, str) and criterion in CRITERIA:
        return CRITERIA[criterion]
    if isinstance(criterion, _OF_COUNTS) or any(criterion is of for of in _FUNCTIONS):
        of_counts: Criterion = criterion
        return of_counts
    if callable(criterion) and not isinstance(criterion, type):
        return None
    number = "a number from 0 to 1, " if name == "threshold" else ""
    raise ValueError(
        f"{name}={criterion!r} must be {number}one of {sorted(CRITERIA)}, a criterion "
        "such as PrecisionAtLeast(0.9), or a function of true and predicted labels."
        f"{_meant(criterion)}"
    )


def _meant(criterion: Any) -> str:
    """Return a question about the criterion that the user may have meant."""
    if not isinstance(criterion, str):
        return ""
    plain = criterion.strip().lower()
    suggested = next((_SUGGESTIONS[word] for word in _SUGGESTIONS if word in plain), "")
    return f" Did you mean {suggested}?" if suggested else did_you_mean(plain, CRITERIA)


def check_threshold(threshold: Any, n_classes: int) -> None:
    """Raise a ValueError if a threshold is neither a probability nor a criterion.

    Raise one, too, if there are more than two classes, for which thresholds are not
    defined.
    """
    if isinstance(threshold, Real):
        checked_share("threshold", threshold)
    else:
        as_criterion(threshold)
    if isinstance(threshold, LeastCost) and threshold.is_of_rows:
        raise ValueError(
            "threshold is a LeastCost with costs of each row, but a parameter cannot "
            "know the rows that fit is given. Set the number that "
            "choose_threshold(y, clf.oof_proba_, LeastCost(...)) returns, or decide by "
            "the costs of each row with predict(X, cost_matrix=)."
        )
    if n_classes > 2:
        raise ValueError(
            f"threshold={threshold!r} decides between two classes, but y holds "
            f"{n_classes}. For more, change target_prior, or give a cost_matrix."
        )


def of_kept_rows(criterion: Any, kept: NDArray[np.bool_]) -> Any:
    """Return a criterion for some of the rows, whose costs may differ."""
    if not isinstance(criterion, LeastCost) or not criterion.is_of_rows:
        return criterion
    criterion.excess(len(kept))  # raises for costs of another number of rows
    costs = vars(criterion).items()
    return LeastCost(**{n: np.asarray(c)[kept] if np.ndim(c) else c for n, c in costs})


def _checked_costs(name: str, cost: Any) -> NDArray[np.float64]:
    """Return one cost, or one for each row, as floats, or raise."""
    try:
        costs = as_floats(name, cost)
    except ValueError as error:
        raise ValueError(f"{name} must be a finite cost, however: {cost!r}") from error
    if isinstance(cost, bool | np.bool_):
        raise ValueError(f"{name} must be a finite cost, however: {cost!r}")
    if costs.ndim > 1:
        raise ValueError(
            f"{name} must be one cost, or one for each row, but has shape "
            f"{costs.shape}."
        )
    is_finite = np.isfinite(costs)
    if not is_finite.all():
        raise ValueError(
            f"{name} must be a finite cost, however: {costs[~is_finite].flat[0]}"
        )
    return costs


def _ratio(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole != 0)


def _above(value: NDArray, floor: float, reward: NDArray) -> NDArray[np.float64]:
    rounding = 1e-12
    return np.where(value >= floor - rounding, reward, value - floor)

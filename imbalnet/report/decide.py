"""The decisions that a report compares, and their metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imbalnet.decisions import AlertShare, FBeta, threshold_counts
from imbalnet.metrics import SCORERS
from imbalnet.metrics.costs import costs_of_rows
from imbalnet.posterior import cheapest_class
from imbalnet.report.scored_rows import ScoredRows


class DecisionRow(NamedTuple):
    """The metrics of one way to decide.

    Attributes
    ----------
    decision : str
        Name of the decision.
    threshold : float or None
        The probability of the positive class from which on rows are called positive.
    share_called : float or None
        Weighted share of the rows that are called positive; None for several classes.
    precision, recall, f1 : float
        Those of the positive class; for several classes, the means over the classes.
    mcc : float
        Matthews' correlation coefficient.
    g_mean : float
        Geometric mean of the recalls.
    balanced_accuracy : float
        Mean of the recalls.
    accuracy : float
        Share of right predictions; compare it with that of the majority guess.
    cost : float or None
        Mean cost of a row; None without costs.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.report import imbalance_report
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 4.0, size=3_000)
    >>> report = imbalance_report((rng.random(3_000) < p).astype(int), p)
    >>> for row in report.decisions:
    ...     print(f"{row.decision}: recall {row.recall:.2f}, MCC {row.mcc:.2f}")
    at 0.5: recall 0.08, MCC 0.23
    best F1: recall 0.52, MCC 0.36
    majority guess: recall 0.00, MCC 0.00
    """

    decision: str
    threshold: float | None
    share_called: float | None
    precision: float
    recall: float
    f1: float
    mcc: float
    g_mean: float
    balanced_accuracy: float
    accuracy: float
    cost: float | None


class Decision(NamedTuple):
    """The predicted classes of all rows under one way to decide."""

    name: str
    called: NDArray[np.intp]
    threshold: float | None = None


def decide(rows: ScoredRows, alerts: float | None) -> list[Decision]:
    """Return all decisions, from the model's own to the majority guess."""
    found = [] if rows.called is None else [Decision("predict", rows.called)]
    if rows.is_binary:
        found += _by_threshold(rows, alerts)
    else:
        found.append(Decision("most likely", rows.probabilities.argmax(axis=1)))
    if rows.costs is not None:
        cheapest = cheapest_class(rows.probabilities, rows.costs)
        found.append(Decision("least cost", cheapest))
    majority = np.full(len(rows.codes), rows.prior.argmax())
    return [*found, Decision("majority guess", majority)]


def _by_threshold(rows: ScoredRows, alerts: float | None) -> Iterator[Decision]:
    """Generate decisions at thresholds of the second of two classes."""
    scores, is_positive = rows.scores, rows.codes == 1
    thresholds, counts = threshold_counts(
        scores, rows.weight * is_positive, rows.weight * ~is_positive
    )
    at = {"at 0.5": 0.5, "best F1": thresholds[FBeta()(counts).argmax()]}
    if alerts is not None:
        name = f"{alerts:g} alerts" if alerts >= 1 else f"{alerts:.3%} alerts"
        share = alerts if alerts < 1 else min(alerts / rows.weight.sum(), 1.0)
        at[name] = thresholds[AlertShare(share)(counts).argmax()]
    for name, threshold in at.items():
        yield Decision(name, (scores >= threshold).astype(np.intp), float(threshold))


def decision_row(rows: ScoredRows, decision: Decision) -> DecisionRow:
    """Compute the metrics of a decision."""
    called, weight = decision.called, rows.weight
    figures = {
        name: SCORERS[name].figure(
            rows.codes, called, rows.classes, sample_weight=weight
        )
        for name in ("precision", "recall", "f1", "mcc", "g_mean", "balanced_accuracy")
    }
    share = np.average(called == 1, weights=weight) if rows.is_binary else None
    accuracy = np.average(called == rows.codes, weights=weight)
    cost = None
    if rows.costs is not None:
        of_rows = costs_of_rows(rows.costs, rows.codes, called)
        cost = np.average(of_rows, weights=weight)
    of_row = {**figures, "accuracy": accuracy, "cost": cost}
    return DecisionRow(decision.name, decision.threshold, share, **of_row)

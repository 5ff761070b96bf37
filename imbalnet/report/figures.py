"""The figures of a report, with their intervals and baselines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imbalnet.metrics import SCORERS, calibration_noise
from imbalnet.metrics.intervals import (
    logit_interval,
    normal_interval,
    student_quantile,
)
from imbalnet.report.resampled import resampled_figures
from imbalnet.report.scored_rows import ScoredRows


class FigureRow(NamedTuple):
    """A figure of the probabilities.

    Attributes
    ----------
    figure : str
        Its name.
    value : float
        Its value.
    low, high : float
        Bounds of its confidence interval; NaN if there is none.
    baseline : float
        The value of a constant score, or of the prevalence as probability. For the
        calibration error, the mean of calibrated probabilities by chance.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.report import imbalance_report
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 4.0, size=3_000)
    >>> report = imbalance_report((rng.random(3_000) < p).astype(int), p)
    >>> row = report.figures[0]
    >>> print(f"{row.figure}: {row.value:.2f}, by chance {row.baseline:.2f}")
    average precision: 0.34, by chance 0.05
    """

    figure: str
    value: float
    low: float
    high: float
    baseline: float


class ClassRow(NamedTuple):
    """The shares, precision and recall of a class.

    Attributes
    ----------
    label : object
        The class.
    n_rows : int
        Number of its rows.
    share : float
        Its weighted share of the rows.
    expected : float
        The mean of its probabilities.
    predicted : float
        The share of the rows that are predicted to be of this class.
    precision, recall : float
        Share of the rows predicted to be of this class that are of it; share of its
        rows that are predicted to be of it. 0 if there are no such rows.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.report import imbalance_report
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 4.0, size=3_000)
    >>> report = imbalance_report(np.where(rng.random(3_000) < p, "bad", "good"), 1 - p)
    >>> for row in report.by_class:
    ...     print(f"{row.label}: {row.n_rows} rows, recall {row.recall:.2f}")
    bad: 142 rows, recall 0.08
    good: 2858 rows, recall 1.00
    """

    label: object
    n_rows: int
    share: float
    expected: float
    predicted: float
    precision: float
    recall: float


# Name, scorer and scale of the interval, in the order of `resampled_figures`.
_RESAMPLED = [
    ("average precision", "average_precision", "logit"),
    ("ROC-AUC", "roc_auc", "logit"),
    ("log-loss", "neg_log_loss", "linear"),
    ("Brier score", "neg_brier_score", "linear"),
    ("Brier skill", "brier_skill", "linear"),
]


class CalibrationOfRows(NamedTuple):
    """The calibration error, and that of calibrated probabilities; means over classes.

    Attributes
    ----------
    error : float
        The error of the rows.
    noise : float
        Mean error of calibrated probabilities, by chance.
    highest_noise : float
        95 % quantile of the error of calibrated probabilities.
    """

    error: float
    noise: float
    highest_noise: float

    @classmethod
    def of(cls, rows: ScoredRows) -> CalibrationOfRows:
        """Compute the errors."""
        noise = [
            calibration_noise(p, sample_weight=rows.weight) for p in _one_by_one(rows)
        ]
        means = np.mean(noise, axis=0).tolist()
        return cls(_figure("neg_calibration_error", rows), *means)


def figure_rows(
    rows: ScoredRows, level: float, calibration: CalibrationOfRows
) -> list[FigureRow]:
    """Compute all figures, with their intervals and baselines."""
    if (rows.counts > 0).sum() < 2:
        return []
    resamples = resampled_figures(rows)
    quantile = student_quantile(rows.codes, level)
    found = []
    for column, (name, scorer, scale) in enumerate(_RESAMPLED):
        value = _figure(scorer, rows)
        interval = logit_interval if scale == "logit" else normal_interval
        bounds = interval(value, resamples[:, column], quantile)
        found.append(FigureRow(name, *bounds, baseline=_baseline(name, rows)))
    error, noise, _ = calibration
    return [*found, FigureRow("calibration error", error, np.nan, np.nan, noise)]


def class_rows(rows: ScoredRows, called: NDArray[np.intp]) -> list[ClassRow]:
    """Compute the shares, precision and recall of each class."""
    k = rows.n_classes
    predicted = np.bincount(called, rows.weight, k) / rows.weight.sum()
    hits = (
        np.bincount(rows.codes, rows.weight * (called == rows.codes), k)
        / rows.weight.sum()
    )
    expected = np.average(rows.probabilities, axis=0, weights=rows.weight)
    with np.errstate(invalid="ignore"):
        precision, recall = (np.nan_to_num(hits / n) for n in (predicted, rows.prior))
    columns = rows.counts, rows.prior, expected, predicted, precision, recall
    return [
        ClassRow(label, *figures)
        for label, *figures in zip(
            rows.classes.tolist(), *(c.tolist() for c in columns), strict=True
        )
    ]


def _figure(scorer: str, rows: ScoredRows) -> float:
    return SCORERS[scorer].figure(
        rows.codes, rows.scores, rows.classes, sample_weight=rows.weight
    )


def _one_by_one(rows: ScoredRows) -> list[NDArray[np.float64]]:
    """Return the probabilities of each class; of two, only those of the second."""
    if rows.is_binary:
        return [rows.scores]
    return [rows.probabilities[:, c] for c in np.flatnonzero(rows.counts)]


def _baseline(name: str, rows: ScoredRows) -> float:
    prior = rows.prior[rows.prior > 0]
    if name == "average precision":
        return float(prior[-1] if rows.is_binary else prior.mean())
    brier = float((prior * (1 - prior)).sum()) / (2 if rows.is_binary else 1)
    entropy = -float(prior @ np.log(prior))
    return {"ROC-AUC": 0.5, "log-loss": entropy, "Brier score": brier}.get(name, 0.0)

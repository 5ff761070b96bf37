"""Warnings about figures of a report that are not reliable, and the cure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imbalnet._checks import and_more
from imbalnet._tables.labels import notes_on_positive
from imbalnet.decisions.threshold import FEWEST_POSITIVES
from imbalnet.report.decide import DecisionRow
from imbalnet.report.figures import CalibrationOfRows, ClassRow, FigureRow
from imbalnet.report.scored_rows import ScoredRows

_MOST_NAMED = 5
# A higher average precision is probably the result of a leak.
_TOO_GOOD = 0.9995


def cautions(
    rows: ScoredRows,
    figures: list[FigureRow],
    decision: DecisionRow,
    classes: list[ClassRow],
    calibration: CalibrationOfRows,
) -> list[str]:
    """Return the warnings that belong to a report."""
    found = notes_on_positive(rows.classes.tolist(), rows.counts.tolist())
    found += [*_few_rows(rows), *_chance(figures), *_too_good(rows, figures)]
    found += _not_calibrated(rows, calibration)
    return [*found, *_never_called(rows, decision, classes)]


def _few_rows(rows: ScoredRows) -> Iterator[str]:
    rare = [
        f"{label!r} ({n:,})"
        for label, n in zip(rows.classes.tolist(), rows.counts, strict=True)
        if n < FEWEST_POSITIVES
    ]
    if rare:
        yield (
            f"Few rows: {and_more(rare, _MOST_NAMED)}. With fewer than "
            f"{FEWEST_POSITIVES} rows of a class, its figures and thresholds are "
            "mostly chance, and their intervals too narrow."
        )


def _chance(figures: list[FigureRow]) -> Iterator[str]:
    for row in figures[:1]:  # average precision
        if row.low <= row.baseline:
            yield (
                f"The interval of average precision, {row.low:.3g} to {row.high:.3g}, "
                f"holds {row.baseline:.3g}, that of a constant score: these rows do "
                "not show that the model ranks better than chance."
            )


def _too_good(rows: ScoredRows, figures: list[FigureRow]) -> Iterator[str]:
    """Warn of figures that suggest a leak, or labels in place of probabilities."""
    if np.isin(rows.probabilities, (0.0, 1.0)).all():
        yield (
            "All probabilities are 0 or 1, as if they were labels: give those of "
            "predict_proba, not of predict."
        )
    elif figures and (rows.counts > 0).all() and figures[0].value > _TOO_GOOD:
        yield (
            f"An average precision of {figures[0].value:.3f} is rarely true: does a "
            "column tell the label, or is it known only after it? "
            "imbalnet.check_table(X, y) names columns that are the label itself."
        )


def _not_calibrated(rows: ScoredRows, calibration: CalibrationOfRows) -> Iterator[str]:
    """Compare the calibration error with that of calibrated probabilities."""
    if not rows.is_binary or (rows.counts == 0).any():
        return
    error, high = calibration.error, calibration.highest_noise
    if error > high:
        mean, share = np.average(rows.scores, weights=rows.weight), rows.prior[1]
        level = "right on average."
        if abs(mean - share) > error / 2:
            level = (
                f"{mean:.3g} on average, for a prevalence of {share:.3g}. After class "
                "weights or samplers, target_prior='train' brings them back to the "
                "data."
            )
        yield (
            f"The probabilities are off by {error:.3g} (honest ones: up to "
            f"{high:.3g}); they are {level}"
        )


def _never_called(
    rows: ScoredRows, decision: DecisionRow, classes: list[ClassRow]
) -> Iterator[str]:
    never = [repr(row.label) for row in classes if row.n_rows and not row.predicted]
    cure = (
        "Choose a threshold by what the decision is for, such as threshold='f1'"
        if rows.is_binary
        else "Set target_prior, such as 'uniform'"
    )
    if never:
        yield (
            f"No row is predicted to be {and_more(never, _MOST_NAMED)} by the decision "
            f"{decision.decision!r}. {cure}, or give costs."
        )

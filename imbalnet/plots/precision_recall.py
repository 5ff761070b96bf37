"""Precision-recall curves with prevalence, bootstrap bands and the threshold in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from imbalnet._checks import as_floats, checked_integer, checked_share
from imbalnet.metrics import bootstrap_weights
from imbalnet.metrics.average_precision import (
    RankedRows,
    average_precision_of_counts,
    precision_of_counts,
)
from imbalnet.metrics.intervals import logit_interval, student_quantile
from imbalnet.plots._base import (
    Predictions,
    PredictionsDisplay,
    add_legend,
    check_parts,
    checked_options,
    counted,
    drawing,
    faint,
    next_color,
    percent,
    read_predictions,
)

# Recalls at which curves of resamples are compared, and those of classes averaged.
_GRID = np.linspace(0.01, 1.0, 100)
_ISO_F1 = (0.2, 0.4, 0.6, 0.8)
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """The curve of one class against all others, or the mean over classes.

    Attributes
    ----------
    label : str
        The class.
    precision, recall : ndarray of shape (n_points,)
        By descending recall, as in :func:`sklearn.metrics.precision_recall_curve`.
    average_precision : float
        The area under the curve.
    prevalence : float
        Share of the rows that are of the class; for the mean over classes, the mean
        share.
    n_positives : int
        Number of rows of the class.
    interval : tuple of float or None
        Bounds of the 95 % bootstrap interval of `average_precision`.
    band : ndarray of shape (3, n_recalls) or None
        Recalls, and the pointwise bounds of precision at each of them.
    marked : tuple of float or None
        Recall and precision at the threshold.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.plots import PrecisionRecallDisplay
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 2.0, size=2_000)
    >>> y = rng.random(2_000) < p
    >>> (curve,) = PrecisionRecallDisplay.from_predictions(y, p).curves
    >>> print(f"{curve.summary}, of chance {curve.prevalence:.2f}")
    AP 0.56 [0.49, 0.63], of chance 0.08
    """

    label: str
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    average_precision: float
    prevalence: float
    n_positives: int
    interval: tuple[float, float] | None = None
    band: NDArray[np.float64] | None = None
    marked: tuple[float, float] | None = None

    @property
    def summary(self) -> str:
        """Average precision with its interval, as text."""
        text = f"AP {self.average_precision:.2f}"
        if self.interval is not None:
            text += f" [{self.interval[0]:.2f}, {self.interval[1]:.2f}]"
        return text


class PrecisionRecallDisplay(PredictionsDisplay):
    """Precision against recall, with the prevalence, which a random order reaches.

    Use ``from_estimator``, ``from_out_of_fold`` or ``from_predictions``. With few
    positive rows the curve is uncertain: a band shows pointwise 95 % intervals of a
    bootstrap stratified by class. For more than two classes, the curves of the rarest
    ones are drawn, each against all others, and the mean over all classes.

    Parameters
    ----------
    curves : sequence of PrecisionRecallCurve
        The curve of the positive class; or those of several classes, followed by the
        mean over all classes.
    threshold : float, default=None
        The threshold that is marked.
    name : str, default=None
        Name of the classifier in the legend.

    Attributes
    ----------
    line_ : Line2D or list of Line2D
        The curves; a list if there are several.
    band_ : PolyCollection or None
        The band of the only curve, or of the mean over classes.
    prevalence_ : Line2D or None
        The line at the height of the prevalence; None for several classes.
    marker_ : Line2D or None
        The threshold.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    sklearn.metrics.PrecisionRecallDisplay : The curve alone, of two classes.
    ThresholdDisplay : Precision and recall against the threshold.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from imbalnet.plots import PrecisionRecallDisplay
    >>> X, y = make_classification(1000, weights=[0.9], random_state=0)
    >>> fitted = LogisticRegression().fit(X[:500], y[:500])
    >>> display = PrecisionRecallDisplay.from_estimator(fitted, X[500:], y[500:])
    >>> display.curves[0].n_positives
    55
    """

    def __init__(
        self,
        curves: Sequence[PrecisionRecallCurve],
        *,
        threshold: float | None = None,
        name: str | None = None,
    ) -> None:
        self.curves = curves
        self.threshold = threshold
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        probabilities: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        pos_label: Any = None,
        threshold: float | None = None,
        n_classes: int | None = 6,
        n_resamples: int = 200,
        groups: ArrayLike | None = None,
        random_state: Any = 0,
        name: str | None = None,
        ax: Any = None,
        **plot_options: Any,
    ) -> PrecisionRecallDisplay:
        """Draw labels and probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,)
            True labels.
        probabilities : array-like of shape (n_rows,) or (n_rows, n_classes)
            Held-out probabilities; one axis holds those of the second of two classes.
        classes : array-like of shape (n_classes,), default=None
            The label of each column; None are the sorted labels of `y_true`.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows; None means equal weights.
        pos_label : object, default=None
            The positive class, against all others together. None is the second of two
            classes, and each class of more.
        threshold : float, default=None
            Threshold to mark, with two classes or a `pos_label`.
        n_classes : int or None, default=6
            Number of curves of several classes, the rarest ones; None means all.
        n_resamples : int, default=200
            Number of bootstrap resamples, which take seconds from 100,000 rows on; with
            0 no band is drawn.
        groups : array-like of shape (n_rows,), default=None
            Rows that belong together; the bootstrap draws whole groups.
        random_state : int, RandomState instance or None, default=0
            Seeds the bootstrap.
        name : str, default=None
            Name of the classifier in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **plot_options
            Keyword arguments of :meth:`plot`.

        Returns
        -------
        PrecisionRecallDisplay
            After ``plot``.

        Raises
        ------
        ValueError
            If labels and probabilities do not fit together, if no row is positive, or
            if `threshold` is given for more than two classes.
        """
        rows = read_predictions(
            y_true, probabilities, classes, sample_weight, pos_label, groups
        )
        display = cls._of_rows(
            rows, threshold, name, n_classes, n_resamples, random_state
        )
        return display.plot(ax=ax, **plot_options)

    @classmethod
    def _of_rows(
        cls,
        rows: Predictions,
        threshold: float | None,
        name: str | None,
        n_classes: int | None = 6,
        n_resamples: int = 200,
        random_state: Any = 0,
    ) -> PrecisionRecallDisplay:
        threshold = rows.checked_threshold(threshold)
        if n_resamples != 0 or isinstance(n_resamples, bool):
            n_resamples = checked_integer("n_resamples", n_resamples, 2)
        shown, codes = rows.rarest(n_classes), rows.rarest(None)
        if not np.isin(codes, rows.codes).all():
            raise ValueError(
                f"There is no row of class {rows.text(1)}, so that recall means "
                "nothing; give rows of both classes."
            )
        rankings = [RankedRows(*rows.of_class(code)) for code in codes]
        resamples = _resampled(rows, rankings, n_resamples, random_state)
        curves = [
            _curve(rows, code, resamples[:, codes.index(code)], threshold)
            for code in shown
        ]
        if not rows.is_binary:
            curves.append(_mean_curve(rows, rankings, resamples))
        return cls(curves, threshold=threshold, name=name)

    @drawing
    def plot(
        self,
        ax: Any = None,
        *,
        iso_f1: bool | Sequence[float] = False,
        **line_options: Any,
    ) -> PrecisionRecallDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        iso_f1 : bool or sequence of float, default=False
            Whether to draw lines of equal F1; the values, or True for 0.2 to 0.8.
        **line_options
            Keyword arguments of matplotlib's ``plot`` for the curves.

        Returns
        -------
        PrecisionRecallDisplay
            The display itself.
        """
        check_parts("curves", self.curves, PrecisionRecallCurve)
        levels = _levels(iso_f1)
        line_options = checked_options("plot", line_options)
        ax = self._set_axes(ax)
        _draw_iso_f1(ax, levels)
        is_single = len(self.curves) == 1
        lines = [self._draw(ax, curve, line_options) for curve in self.curves]
        self.line_ = lines[0] if is_single else lines
        self.band_ = self.prevalence_ = self.marker_ = None
        last, color = self.curves[-1], lines[-1].get_color()
        if last.band is not None:
            self.band_ = ax.fill_between(*last.band, alpha=0.2, color=color, lw=0)
        if is_single:
            label = f"prevalence {percent(last.prevalence)}"
            options = {"linestyle": "--", "linewidth": 1, "label": label, **faint()}
            self.prevalence_ = ax.axhline(last.prevalence, **options)
        if last.marked is not None:
            label = f"threshold {self.threshold:.3g}"
            (self.marker_,) = ax.plot(*last.marked, "o", color=color, label=label)
        ax.set(xlabel="Recall", ylabel="Precision", xlim=(-0.01, 1.01))
        ax.set(ylim=(-0.01, 1.02), title=self._title)
        # the legend of several curves is beside the axes
        place = {"loc": "upper left", "bbox_to_anchor": (1, 1), "title": "class (rows)"}
        add_legend(ax, **({} if is_single else place))
        return self

    def _draw(self, ax: Any, curve: PrecisionRecallCurve, options: dict) -> Any:
        is_mean = curve is self.curves[-1] and len(self.curves) > 1
        name = self.name or curve.label
        style = {"linewidth": 2.5, "color": faint()["color"]} if is_mean else {}
        if not is_mean and len(self.curves) > 1:
            style = {"linewidth": 1.2, "color": next_color(ax)}
        style = {"drawstyle": "steps-post", **style, **options}
        label = f"{name}: {curve.summary}, {counted(curve.n_positives, 'positive')}"
        if len(self.curves) > 1:
            label = f"{curve.label} ({curve.n_positives:,}): {curve.summary}"
        return ax.plot(curve.recall, curve.precision, label=label, **style)[0]

    @property
    def _title(self) -> str:
        if len(self.curves) > 1:
            return "Precision and recall of the rarest classes"
        return f"Precision and recall of class {self.curves[0].label}"


def _figures(ranked: RankedRows, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return average precision, followed by precision at the recalls of the grid.

    NaN if no row of the class has a weight.
    """
    hits, called = ranked.counts(weight)
    if hits[-1] == 0:
        return np.full(1 + len(_GRID), np.nan)
    at = np.searchsorted(hits, hits[-1] * (_GRID - 1e-12))  # sums are rounded
    precision = precision_of_counts(hits, called)[at]
    return np.append(average_precision_of_counts(hits, called), precision)


def _curve(
    rows: Predictions, code: int, resamples: NDArray, threshold: float | None
) -> PrecisionRecallCurve:
    """Compute the curve of one class."""
    scores, is_positive = rows.of_class(code)
    weight = rows.weight
    precision, recall, _ = precision_recall_curve(
        is_positive, scores, sample_weight=weight, drop_intermediate=True
    )
    area = average_precision_score(is_positive, scores, sample_weight=weight)
    return PrecisionRecallCurve(
        rows.text(code),
        precision,
        recall,
        area,
        weight[is_positive].sum() / weight.sum(),
        int(is_positive.sum()),
        *_intervals(rows, area, resamples),
        None if threshold is None else _marked(rows, code, threshold),
    )


def _mean_curve(
    rows: Predictions, rankings: list[RankedRows], resamples: NDArray
) -> PrecisionRecallCurve:
    """Compute the mean over all classes; its area is the mean of their areas."""
    parts = [_figures(ranked, rows.weight) for ranked in rankings]
    area, *precision = np.mean(parts, axis=0)
    return PrecisionRecallCurve(
        f"mean of {len(rankings)}",
        np.append(precision[::-1], precision[0]),
        np.append(_GRID[::-1], 0.0),
        float(area),
        1 / len(rankings),
        len(rows.codes),
        *_intervals(rows, float(area), np.nanmean(resamples, axis=1)),
    )


def _resampled(
    rows: Predictions, rankings: list[RankedRows], n_resamples: int, random_state: Any
) -> NDArray[np.float64]:
    """Return the figures of resamples, of shape (n_resamples, n_classes, n_figures)."""
    drawn = bootstrap_weights(
        rows.codes, n_resamples, groups=rows.groups, random_state=random_state
    )
    found = [[_figures(r, rows.weight * counts) for r in rankings] for counts in drawn]
    return np.array(found).reshape(-1, len(rankings), 1 + len(_GRID))


def _intervals(
    rows: Predictions, area: float, resamples: NDArray[np.float64]
) -> tuple[tuple[float, float] | None, NDArray[np.float64] | None]:
    """Return the interval of average precision, as in reports, and the band."""
    if np.isnan(resamples).all():
        return None, None
    strata = rows.codes if rows.groups is None else rows.groups
    by_group = rows.groups is not None
    quantile = student_quantile(strata, _CONFIDENCE, by_group=by_group)
    areas = resamples[:, 0]
    interval = logit_interval(area, areas[~np.isnan(areas)], quantile)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.nanquantile(resamples[:, 1:], [tail, 1 - tail], axis=0)
    return (interval.low, interval.high), np.stack([_GRID, low, high])


def _marked(rows: Predictions, code: int, threshold: float) -> tuple[float, float]:
    """Return recall and precision at a threshold."""
    scores, is_positive = rows.of_class(code)
    weight, called = rows.weight, scores >= checked_share("threshold", threshold)
    hits = weight[called & is_positive].sum()
    recall = hits / weight[is_positive].sum() if is_positive.any() else 0.0
    # without called rows precision is 1, as at the end of scikit-learn's curve
    return float(recall), float(hits / weight[called].sum() if called.any() else 1.0)


def _levels(iso_f1: Any) -> Sequence[float]:
    """Return the values of F1 whose lines are drawn, or raise."""
    if isinstance(iso_f1, bool):
        return _ISO_F1 if iso_f1 else ()
    levels = as_floats("iso_f1", iso_f1)
    if levels.ndim != 1 or not ((levels > 0) & (levels <= 1)).all():
        raise ValueError(
            f"iso_f1={iso_f1!r} must be True, False, or values of F1 between 0 and 1."
        )
    return levels.tolist()


def _draw_iso_f1(ax: Any, values: Sequence[float]) -> None:
    for value in values:
        recall = np.linspace(value / 2 + 1e-9, 1, 200)
        precision = value * recall / (2 * recall - value)
        shown = precision <= 1
        ax.plot(recall[shown], precision[shown], ":", linewidth=1, **faint(0.4))
        end = value / (2 - value)
        text = {"ha": "right", "va": "bottom", "fontsize": "x-small", **faint()}
        ax.text(1.0, end, f"F1 {value:g}", **text)

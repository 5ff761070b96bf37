"""Observed shares against probabilities, with intervals for few positives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from imbalnet._checks import check_known, checked_integer
from imbalnet.metrics.probabilities import bins_of_equal_mass
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
    read_predictions,
)
from imbalnet.posterior import effective_weight

BinStrategy = Literal["positives", "rows"]
AxesScale = Literal["auto", "log", "linear"]

# Fewest expected positive rows of a bin.
_FEWEST_EXPECTED = 5
# With a lower share of positives, scale="auto" is logarithmic.
_RARE = 0.1
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class ReliabilityCurve:
    """Bins of rows of similar probability for one class.

    Attributes
    ----------
    label : str
        The class.
    predicted : ndarray of shape (n_bins,)
        Mean probability of the rows of each bin.
    observed : ndarray of shape (n_bins,)
        Share of the rows of each bin that are of the class.
    low, high : ndarray of shape (n_bins,)
        Bounds of the 95 % interval of the share (Clopper-Pearson).
    counts : ndarray of int, shape (n_bins,)
        Number of rows of each bin.
    n_positives : int
        Number of rows of the class.
    ratio : float
        Observed positives divided by the sum of the probabilities; ideally 1.

    Examples
    --------
    Probabilities that are twice as high as they should be:

    >>> import numpy as np
    >>> from imbalnet.plots import ReliabilityDisplay
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.5, 20, size=5_000)
    >>> y = rng.random(5_000) < p
    >>> (curve,) = ReliabilityDisplay.from_predictions(y, 2 * p, n_bins=3).curves
    >>> print(curve.predicted.round(3), curve.observed.round(3))
    [0.021 0.11  0.241] [0.01  0.052 0.103]
    >>> round(curve.ratio, 2)
    0.46
    """

    label: str
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    counts: NDArray[np.integer]
    n_positives: int
    ratio: float


class ReliabilityDisplay(PredictionsDisplay):
    """Observed share of positives against the probability that was predicted.

    Use ``from_estimator``, ``from_out_of_fold`` or ``from_predictions``. Points of
    calibrated probabilities lie on the diagonal. If positives are rare, the axes are
    logarithmic, because a probability of 0.2 % instead of 2 % is a large error. A bin
    without positives has no point, but an interval.

    Parameters
    ----------
    curves : sequence of ReliabilityCurve
        The curve of the positive class, or those of several classes.
    name : str, default=None
        Name of the classifier in the legend.

    Attributes
    ----------
    line_ : Line2D or list of Line2D
        The points; a list if there are several curves.
    bars_ : list of LineCollection
        The intervals of each curve.
    diagonal_ : Line2D
        The diagonal, on which shares equal probabilities.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : Linear axes, without intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.plots import ReliabilityDisplay
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.5, 20, size=2_000)
    >>> y = rng.random(2_000) < p
    >>> display = ReliabilityDisplay.from_predictions(y, p, n_bins=4)
    >>> int(display.curves[0].counts.sum())
    2000
    """

    _marks_threshold = False

    def __init__(
        self, curves: Sequence[ReliabilityCurve], *, name: str | None = None
    ) -> None:
        self.curves = curves
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
        n_classes: int | None = 4,
        n_bins: int = 10,
        strategy: BinStrategy = "positives",
        name: str | None = None,
        ax: Any = None,
        **plot_options: Any,
    ) -> ReliabilityDisplay:
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
        n_classes : int or None, default=4
            Number of classes that are drawn, the rarest of several; None means all.
        n_bins : int, default=10
            Largest number of bins; each has at least 5 expected positives.
        strategy : {"positives", "rows"}, default="positives"
            Whether bins have the same number of expected positives (the sum of the
            probabilities) or of rows. If positives are rare, most bins of the same
            number of rows have none.
        name : str, default=None
            Name of the classifier in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **plot_options
            Keyword arguments of :meth:`plot`.

        Returns
        -------
        ReliabilityDisplay
            After ``plot``.

        Raises
        ------
        ValueError
            If labels and probabilities do not fit together, or if `n_bins` or
            `strategy` is not one of the above.
        """
        check_known("strategy", strategy, get_args(BinStrategy))
        n_bins = checked_integer("n_bins", n_bins)
        rows = read_predictions(
            y_true, probabilities, classes, sample_weight, pos_label
        )
        display = cls._of_rows(rows, name, n_classes, n_bins, strategy)
        return display.plot(ax=ax, **plot_options)

    @classmethod
    def _of_rows(
        cls,
        rows: Predictions,
        name: str | None,
        n_classes: int | None = 4,
        n_bins: int = 10,
        strategy: str = "positives",
    ) -> ReliabilityDisplay:
        shown = rows.rarest(n_classes)
        curves = [_curve(rows, code, n_bins, strategy) for code in shown]
        return cls(curves, name=name)

    @drawing
    def plot(
        self, ax: Any = None, *, scale: AxesScale = "auto", **line_options: Any
    ) -> ReliabilityDisplay:
        """Draw the points, with intervals.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        scale : {"auto", "log", "linear"}, default="auto"
            Scale of both axes; "auto" is "log" if less than 10 % of the rows are
            positive.
        **line_options
            Keyword arguments of matplotlib's ``errorbar``.

        Returns
        -------
        ReliabilityDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `scale` is unknown.
        """
        check_known("scale", scale, get_args(AxesScale))
        check_parts("curves", self.curves, ReliabilityCurve)
        line_options = checked_options("errorbar", line_options)
        ax = self._set_axes(ax)
        is_log = scale == "log" or (scale == "auto" and self._is_rare)
        limits = self._limits if is_log else (0.0, 1.0)
        diagonal = {"linestyle": "--", "linewidth": 1, **faint()}
        (self.diagonal_,) = ax.plot(limits, limits, **diagonal)
        drawn = [self._draw(ax, i, line_options) for i in range(len(self.curves))]
        lines, bars = zip(*drawn, strict=True)
        self.line_ = lines[0] if len(lines) == 1 else list(lines)
        self.bars_ = list(bars)
        if is_log:
            _set_log(ax, limits)
        else:
            ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        ax.set(xlabel="Predicted probability", ylabel="Observed share")
        ax.set_title("Reliability of the probabilities")
        add_legend(ax)
        return self

    def _draw(self, ax: Any, i: int, options: dict[str, Any]) -> tuple[Any, Any]:
        curve, is_single = self.curves[i], len(self.curves) == 1
        name = (self.name or curve.label) if is_single else curve.label
        # distances of the bounds from the point
        errors = [curve.observed - curve.low, curve.high - curve.observed]
        rows = counted(curve.n_positives, "positive" if is_single else "row")
        style: dict[str, Any] = {"fmt": "o-" if is_single else "o", "markersize": 5}
        style |= {"elinewidth": 1.2, "color": next_color(ax), "alpha": 0.9}
        style["label"] = f"{name}: {rows}, {curve.ratio:.2f} × expected"
        # shifted, so that the intervals of several classes do not overlap
        place = curve.predicted * (1.0 if is_single else 1.04 ** (i - 1.5))
        line, _, bars = ax.errorbar(
            place, curve.observed, np.maximum(errors, 0.0), **style | options
        )
        return line, bars[0]

    @property
    def _is_rare(self) -> bool:
        rows = sum(curve.counts.sum() for curve in self.curves)
        return sum(curve.n_positives for curve in self.curves) < _RARE * rows

    @property
    def _limits(self) -> tuple[float, float]:
        """Limits of logarithmic axes, which include all points and upper bounds."""
        parts = [(c.predicted, c.observed, c.high) for c in self.curves]
        values = np.concatenate([np.concatenate(part) for part in parts])
        return max(1e-7, 0.6 * float(values[values > 0].min())), 1.1


def _set_log(ax: Any, limits: tuple[float, float]) -> None:
    """Make both axes logarithmic, with ticks in percent."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.set(xscale="log", xlim=limits, ylim=limits)
    ax.set_yscale("log", nonpositive="clip")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.5g} %"))
        axis.set_minor_formatter(NullFormatter())


def _curve(
    rows: Predictions, code: int, n_bins: int, strategy: str
) -> ReliabilityCurve:
    """Compute the bins of one class."""
    scores, is_positive = rows.of_class(code)
    weight = rows.weight
    expected = (effective_weight(weight) * scores).sum()
    n_bins = max(1, min(n_bins, int(expected // _FEWEST_EXPECTED)))
    mass = weight * scores if strategy == "positives" else weight
    bins = bins_of_equal_mass(scores, mass, n_bins)
    bins = np.unique(bins, return_inverse=True)[1]  # without empty ones
    total, predicted, observed, squares = (
        np.bincount(bins, of_rows)
        for of_rows in (weight, weight * scores, weight * is_positive, weight**2)
    )
    share, n_effective = observed / total, total**2 / squares
    low, high = _proportion_interval(share * n_effective, n_effective)
    return ReliabilityCurve(
        rows.text(code),
        predicted / total,
        share,
        low,
        high,
        np.bincount(bins),
        int(is_positive.sum()),
        float(observed.sum() / predicted.sum()) if predicted.any() else np.inf,
    )


def _proportion_interval(
    hits: NDArray[np.float64], n_rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Clopper and Pearson's interval, also for fractional counts.

    scipy.stats.binomtest accepts whole numbers only.
    """
    tail, misses = (1 - _CONFIDENCE) / 2, np.maximum(n_rows - hits, 0.0)
    has_hits, has_misses = hits > 1e-9, misses > 1e-9
    low = beta.ppf(tail, np.where(has_hits, hits, 1), misses + 1)
    high = beta.ppf(1 - tail, hits + 1, np.where(has_misses, misses, 1))
    return np.where(has_hits, low, 0.0), np.where(has_misses, high, 1.0)

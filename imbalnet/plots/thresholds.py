"""Metrics of the decisions at each threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from imbalnet._text import numbered_repeats
from imbalnet.decisions import Counts, threshold_counts
from imbalnet.decisions.criteria import (
    AlertShare,
    PrecisionAtLeast,
    RecallAtLeast,
    as_criterion,
    of_kept_rows,
)
from imbalnet.decisions.threshold import criterion_values
from imbalnet.plots._base import (
    Predictions,
    PredictionsDisplay,
    check_columns,
    check_parts,
    checked_options,
    drawing,
    faint,
    label_text,
    percent,
    probability_limits,
    read_predictions,
    set_log_odds,
    spaced,
)

# Figures that are not criteria, because their best threshold is at an end.
_FIGURES = "precision", "recall", "specificity"
# Most points of a curve that are drawn; more cannot be distinguished.
_PLACES = 1500
_CRITERIA = "precision", "recall", "f1"
# Criteria whose values below 0 are the distance from a floor.
_WITH_FLOOR = PrecisionAtLeast, RecallAtLeast, AlertShare
# Shares of called rows for the ticks of the upper axis.
_SHARES = np.array([1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 1e-4, 1e-5])


@dataclass(frozen=True)
class ThresholdCurve:
    """The values of a criterion at each threshold.

    Attributes
    ----------
    label : str
        Name of the criterion.
    thresholds : ndarray of shape (n_thresholds,)
        Descending.
    values : ndarray of shape (n_thresholds,)
        Higher is better; NaN where a floor is not reached.
    best : float or None
        The threshold that :func:`~imbalnet.decisions.choose_threshold` returns; None
        for precision, recall and specificity, whose best threshold is at an end.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.plots import ThresholdDisplay
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 2.0, size=5_000)
    >>> y = rng.random(5_000) < p
    >>> (curve,) = ThresholdDisplay.from_predictions(y, p, criteria=["f1"]).curves
    >>> print(f"F1 {np.nanmax(curve.values):.2f} at {curve.best:.2f}")
    F1 0.52 at 0.27
    """

    label: str
    thresholds: NDArray[np.float64]
    values: NDArray[np.float64]
    best: float | None = None

    @property
    def is_share(self) -> bool:
        """Whether the values fit an axis from 0 to 1, or from -1."""
        return bool(np.nanmax(np.abs(self.values), initial=0.0) <= 1 + 1e-9)


class ThresholdDisplay(PredictionsDisplay):
    """Figures of the decisions against the threshold, with the best one marked.

    Use ``from_estimator``, ``from_out_of_fold`` or ``from_predictions``. Several
    criteria of :func:`~imbalnet.decisions.choose_threshold` can be drawn at once. Gains
    and other values that are not shares have an axis on the right. The upper axis shows
    the share of rows that are called, to be compared with a budget of alerts. With
    fewer than 20 positive rows, the curves of criteria are expectations under the
    probabilities.

    Parameters
    ----------
    curves : sequence of ThresholdCurve
        The criteria.
    shares : tuple of ndarray
        Thresholds, descending, and the share of the rows that are called at each.
    label : str, default="1"
        The positive class.
    threshold : float, default=None
        The threshold in use, which is marked.
    name : str, default=None
        Name of the classifier above the legend.

    Attributes
    ----------
    lines_ : list of Line2D
        The curves.
    best_ : list of Line2D
        The best thresholds.
    threshold_line_ : Line2D or None
        The threshold in use.
    right_ax_ : matplotlib Axes or None
        The axis of values that are not shares.
    alerts_ax_ : matplotlib Axes or None
        The axis of the share of called rows.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    imbalnet.decisions.choose_threshold : Choose the threshold that is marked.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.plots import ThresholdDisplay
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 2.0, size=5_000)
    >>> y = rng.random(5_000) < p
    >>> display = ThresholdDisplay.from_predictions(y, p, criteria=["f1", "mcc"])
    >>> [round(curve.best, 2) for curve in display.curves]
    [0.27, 0.23]
    """

    def __init__(
        self,
        curves: Sequence[ThresholdCurve],
        shares: tuple[NDArray[np.float64], NDArray[np.float64]],
        *,
        label: str = "1",
        threshold: float | None = None,
        name: str | None = None,
    ) -> None:
        self.curves = curves
        self.shares = shares
        self.label = label
        self.threshold = threshold
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        probabilities: ArrayLike,
        *,
        criteria: Any = ("precision", "recall", "f1"),
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        pos_label: Any = None,
        threshold: float | None = None,
        name: str | None = None,
        ax: Any = None,
        **plot_options: Any,
    ) -> ThresholdDisplay:
        """Draw labels and probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,)
            True labels.
        probabilities : array-like of shape (n_rows,) or (n_rows, n_classes)
            Held-out probabilities; one axis holds those of the second of two classes.
        criteria : criterion, sequence of them or dict, \
                default=("precision", "recall", "f1")
            "precision", "recall" or "specificity"; or a criterion of
            :func:`~imbalnet.decisions.choose_threshold`, such as "f1", "mcc" or
            ``LeastCost(5, 500)``. The keys of a dict are names for the legend.
        classes : array-like of shape (n_classes,), default=None
            The label of each column; None are the sorted labels of `y_true`.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows; None means equal weights.
        pos_label : object, default=None
            The positive class, against all others together. None is the second of two
            classes; with more classes, it is required.
        threshold : float, default=None
            The threshold in use, which is marked.
        name : str, default=None
            Name of the classifier above the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **plot_options
            Keyword arguments of :meth:`plot`.

        Returns
        -------
        ThresholdDisplay
            After ``plot``.

        Raises
        ------
        ValueError
            If labels and probabilities do not fit together, if there are more than two
            classes and no `pos_label`, or if a criterion is unknown.

        Warns
        -----
        UserWarning
            If there are fewer than 20 positive rows.
        """
        rows = read_predictions(
            y_true, probabilities, classes, sample_weight, pos_label
        )
        if sample_weight is not None:  # rows of weight 0 are left out
            kept = np.asarray(sample_weight) > 0
            named = _named(criteria)
            criteria = {label: of_kept_rows(named[label], kept) for label in named}
        display = cls._of_rows(
            rows, threshold, name, criteria, weighs=sample_weight is not None
        )
        return display.plot(ax=ax, **plot_options)

    @classmethod
    def _of_rows(
        cls,
        rows: Predictions,
        threshold: float | None,
        name: str | None,
        criteria: Any = _CRITERIA,
        *,
        weighs: bool = True,
    ) -> ThresholdDisplay:
        if not rows.is_binary:
            raise ValueError(
                f"A threshold separates two classes, but there are {len(rows.classes)}."
                " Give pos_label=, a class to tell from all others."
            )
        threshold = rows.checked_threshold(threshold)
        named, counted = _named(criteria), _counts(rows)
        curves = [_curve(rows, counted, *item, weighs) for item in named.items()]
        of_rows: dict[str, Any] = {
            "label": rows.text(1),
            "threshold": threshold,
            "name": name,
        }
        thresholds, counts = counted
        return cls(curves, (thresholds, counts.called / counts.total), **of_rows)

    @drawing
    def plot(
        self, ax: Any = None, *, alerts: bool = True, **line_options: Any
    ) -> ThresholdDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        alerts : bool, default=True
            Whether an upper axis shows the share of the rows that are called.
        **line_options
            Keyword arguments of matplotlib's ``plot`` for the curves.

        Returns
        -------
        ThresholdDisplay
            The display itself.
        """
        check_parts("curves", self.curves, ThresholdCurve)
        thresholds, shares = self.shares
        check_columns(thresholds=thresholds, shares=shares)
        line_options = checked_options("plot", line_options)
        ax = self._set_axes(ax)
        self.right_ax_ = self._add_right(ax)
        limits = probability_limits(self.shares[0])
        drawn = [self._draw(i, limits, line_options) for i in range(len(self.curves))]
        self.lines_ = [line for line, _ in drawn]
        self.best_ = [best for _, best in drawn if best is not None]
        self.threshold_line_ = None
        if self.threshold is not None:
            label = f"in use: {self.threshold:.3g}"
            options = {"linestyle": "--", "label": label, **faint(0.8)}
            at = np.clip(self.threshold, *limits)
            self.threshold_line_ = ax.axvline(at, **options)
        set_log_odds(ax.xaxis, limits)
        ax.set(xlabel=f"Threshold for class {self.label}", ylabel="Figure of decisions")
        self.alerts_ax_ = self._add_alerts(ax, limits) if alerts else None
        handles = [*self.lines_, *filter(None, [self.threshold_line_])]
        ax.legend(handles=handles, fontsize="small", loc="best", title=self.name)
        return self

    def _draw(
        self, i: int, limits: tuple[float, float], options: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Draw a curve, and a point at its best threshold."""
        curve = self.curves[i]
        axes: Any = self.ax_ if curve.is_share else self.right_ax_
        shown = _shown(curve, limits)
        at = np.clip(curve.thresholds[shown], *limits)
        label = curve.label
        if curve.best is not None:
            label += f": best at {curve.best:.3g}"
        style = {"color": f"C{i}", "label": label, "drawstyle": "steps-mid", **options}
        (line,) = axes.plot(at, curve.values[shown], **style)
        if curve.best is None:
            return line, None
        value = curve.values[curve.thresholds == curve.best][0]
        point = np.clip(curve.best, *limits), value
        return line, axes.plot(*point, "o", color=line.get_color())[0]

    def _add_right(self, ax: Any) -> Any:
        """Add an axis for values that are not shares, behind the legend."""
        if all(curve.is_share for curve in self.curves):
            return None
        right = ax.twinx()
        right.set_ylabel("Mean gain of a row")
        ax.set_zorder(right.get_zorder() + 1)
        ax.patch.set_visible(False)
        return right

    def _add_alerts(self, ax: Any, limits: tuple[float, float]) -> Any:
        """Add an upper axis, whose ticks are round shares of called rows."""
        thresholds, shares = self.shares
        round_shares = _SHARES[_SHARES >= shares[shares > 0].min(initial=1.0)]
        last = np.searchsorted(shares, round_shares, side="right") - 1
        at = np.clip(thresholds[last], *limits)
        kept = spaced(at, limits)
        upper = ax.twiny()  # a secondary axis does not support the logit scale
        upper.set_xlabel("Share of the rows that are called")
        set_log_odds(upper.xaxis, limits)
        upper.set_xticks(at[kept], [percent(share) for share in round_shares[kept]])
        return upper


def _shown(curve: ThresholdCurve, limits: tuple[float, float]) -> NDArray[np.bool_]:
    """Return which thresholds are drawn: one in each cell of the axis, and the best."""
    low, high = logit(limits)
    place = logit(np.clip(curve.thresholds, *limits))
    cell = np.round(_PLACES * (place - low) / (high - low))
    return (np.diff(cell, append=-1.0) != 0) | (curve.thresholds == curve.best)


def _named(criteria: Any) -> dict[str, Any]:
    """Return criteria by their names, or raise if one is unknown."""
    if isinstance(criteria, str) or callable(criteria):
        criteria = [criteria]
    if not isinstance(criteria, Mapping | Sequence) or not criteria:
        raise ValueError(
            f"criteria={criteria!r} must be a criterion, a sequence of them or a dict, "
            "with one at least, such as 'f1'."
        )
    values = criteria.values() if isinstance(criteria, Mapping) else criteria
    for criterion in values:
        if not isinstance(criterion, str) or criterion not in _FIGURES:
            as_criterion(criterion, "criteria")
    if isinstance(criteria, Mapping):
        return {str(name): criterion for name, criterion in criteria.items()}
    names = numbered_repeats(map(_name, criteria))
    return dict(zip(names, criteria, strict=True))


def _name(criterion: Any) -> str:
    """Return the text for a criterion: its name, or its class and arguments."""
    if not is_dataclass(criterion) or isinstance(criterion, type):
        return getattr(criterion, "__name__", None) or label_text(criterion)
    values = [(getattr(criterion, f.name), f.default) for f in fields(criterion)]
    own = [v for v, default in values if np.ndim(v) or v != default]
    texts = ["of rows" if np.ndim(v) else f"{v:g}" for v in own]
    return f"{type(criterion).__name__}({', '.join(texts)})"


def _curve(
    rows: Predictions,
    counted: tuple[NDArray[np.float64], Counts],
    name: str,
    criterion: Any,
    weighs: bool,
) -> ThresholdCurve:
    """Compute a criterion's values and its best threshold.

    `counted` holds the thresholds and the counts at each of them.
    """
    scores, is_positive = rows.of_class(1)
    if isinstance(criterion, str) and criterion in _FIGURES:
        thresholds, counts = counted
        values = np.array(getattr(counts, criterion))
        if criterion == "precision":
            values[0] = np.nan  # no row is called
        return ThresholdCurve(name, thresholds, values)
    thresholds, values = criterion_values(
        scores,
        is_positive,
        rows.weight,
        criterion,
        labels=rows.classes,
        passes_weight=weighs,
    )
    best = float(thresholds[np.argmax(values)])
    if isinstance(criterion, _WITH_FLOOR):
        reached = values >= 0
        values = np.where(reached | (thresholds == best), values, np.nan)
    return ThresholdCurve(name, thresholds, values, best)


def _counts(rows: Predictions) -> tuple[NDArray[np.float64], Counts]:
    scores, is_positive = rows.of_class(1)
    weight = rows.weight
    return threshold_counts(scores, weight * is_positive, weight * ~is_positive)

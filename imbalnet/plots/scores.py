"""Distributions of the probability of a class, for its rows and for all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from imbalnet._checks import checked_integer
from imbalnet.plots._base import (
    Predictions,
    PredictionsDisplay,
    add_legend,
    check_columns,
    check_parts,
    counted,
    drawing,
    faint,
    next_color,
    probability_limits,
    read_predictions,
    set_log_odds,
)

# With fewer rows, each row is marked.
_FEW_ROWS = 100
# Largest height of a distribution if there are several, which are drawn 1 apart.
_HEIGHT = 0.85


@dataclass(frozen=True)
class ScoreDistribution:
    """Distributions of the probability of a class, for its rows and all other rows.

    Attributes
    ----------
    label, other : str
        Names of the class and of the other rows.
    positive, negative : ndarray of shape (n_bins,)
        Share of the rows of the class, and of all others, in each bin. Each sums to 1.
    n_positives, n_negatives : int
        Numbers of rows.
    few : ndarray of shape (n_positives,)
        Probabilities of the rows of the class, if they are fewer than 100; otherwise
        empty.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.plots import ScoreDistributionDisplay
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.5, 20, size=2_000)
    >>> y = rng.random(2_000) < p
    >>> display = ScoreDistributionDisplay.from_predictions(y, p)
    >>> (distribution,) = display.distributions
    >>> distribution.n_positives, distribution.n_negatives
    (51, 1949)
    >>> shares = distribution.positive[display.edges[:-1] >= 0.1]
    >>> print(f"{shares.sum():.0%} of the positives have a probability of 0.1 or more")
    8% of the positives have a probability of 0.1 or more
    """

    label: str
    other: str
    positive: NDArray[np.float64]
    negative: NDArray[np.float64]
    n_positives: int
    n_negatives: int
    few: NDArray[np.float64]


class ScoreDistributionDisplay(PredictionsDisplay):
    """Distributions of the probabilities, normalised for each class.

    Use ``from_estimator``, ``from_out_of_fold`` or ``from_predictions``. The axis is in
    log odds, which separates small probabilities. Each distribution is normalised, so
    that that of a rare class is visible. If a class has fewer than 100 rows, each of
    them is marked. More than two classes are drawn one above the other: the probability
    of each class, for its own rows and for all others.

    Parameters
    ----------
    distributions : sequence of ScoreDistribution
        The distributions of the positive class, or those of several classes.
    edges : ndarray of shape (n_bins + 1,)
        Bounds of the bins, as probabilities.
    threshold : float, default=None
        The threshold that is marked.
    name : str, default=None
        Name of the classifier above the legend.

    Attributes
    ----------
    stairs_ : list of tuple of StepPatch
        For each distribution, the other rows and those of the class.
    threshold_line_ : Line2D or None
        The threshold.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.plots import ScoreDistributionDisplay
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.5, 20, size=2_000)
    >>> y = rng.random(2_000) < p
    >>> display = ScoreDistributionDisplay.from_predictions(y, p, threshold=0.1)
    >>> display.distributions[0].positive.sum().round(3)
    np.float64(1.0)
    """

    def __init__(
        self,
        distributions: Sequence[ScoreDistribution],
        edges: NDArray[np.float64],
        *,
        threshold: float | None = None,
        name: str | None = None,
    ) -> None:
        self.distributions = distributions
        self.edges = edges
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
        n_bins: int = 40,
        name: str | None = None,
        ax: Any = None,
        **plot_options: Any,
    ) -> ScoreDistributionDisplay:
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
            Number of classes that are drawn, the rarest of several; None means all.
        n_bins : int, default=40
            Number of bins, which have equal width in log odds.
        name : str, default=None
            Name of the classifier above the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **plot_options
            Keyword arguments of :meth:`plot`.

        Returns
        -------
        ScoreDistributionDisplay
            After ``plot``.

        Raises
        ------
        ValueError
            If labels and probabilities do not fit together, or if `threshold` is given
            for more than two classes.
        """
        rows = read_predictions(
            y_true, probabilities, classes, sample_weight, pos_label
        )
        display = cls._of_rows(rows, threshold, name, n_classes, n_bins)
        return display.plot(ax=ax, **plot_options)

    @classmethod
    def _of_rows(
        cls,
        rows: Predictions,
        threshold: float | None,
        name: str | None,
        n_classes: int | None = 6,
        n_bins: int = 40,
    ) -> ScoreDistributionDisplay:
        threshold = rows.checked_threshold(threshold)
        n_bins = checked_integer("n_bins", n_bins)
        shown = rows.rarest(n_classes)
        limits = probability_limits(rows.probabilities[:, shown])
        edges = expit(np.linspace(logit(limits[0]), logit(limits[1]), n_bins + 1))
        distributions = [_distribution(rows, code, edges) for code in shown]
        return cls(distributions, edges, threshold=threshold, name=name)

    @drawing
    def plot(self, ax: Any = None) -> ScoreDistributionDisplay:
        """Draw the distributions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        ScoreDistributionDisplay
            The display itself.
        """
        check_parts("distributions", self.distributions, ScoreDistribution)
        for part in self.distributions:
            bins = {"positive": part.positive, "negative": part.negative}
            check_columns(**{"edges[1:]": self.edges[1:]}, **bins)
        ax = self._set_axes(ax)
        colors = next_color(ax), next_color(ax)
        rows = range(len(self.distributions))
        self.stairs_ = [self._draw(ax, place, colors) for place in rows]
        self.threshold_line_ = None
        if self.threshold is not None:
            label = f"threshold {self.threshold:.3g}"
            options = {"linestyle": "--", "label": label, **faint(0.8)}
            at = np.clip(self.threshold, self.edges[0], self.edges[-1])
            self.threshold_line_ = ax.axvline(at, **options)
        set_log_odds(ax.xaxis, (self.edges[0], self.edges[-1]))
        if len(rows) == 1:
            label = self.distributions[0].label
            ax.set(xlabel=f"Probability of class {label}", ylabel="Share of the class")
        else:
            of_rows = [f"{d.label} ({d.n_positives:,})" for d in self.distributions]
            ax.set_yticks(list(rows), of_rows)
            ax.set(xlabel="Probability of the class", ylabel="Class (rows)")
            ax.set_ylim(-0.3, len(rows) + 0.5)  # with room for the legend
        ax.set_title("Probabilities by true class")
        place = {} if len(rows) == 1 else {"loc": "upper right", "ncols": 2}
        add_legend(ax, title=self.name, **place)
        return self

    def _draw(self, ax: Any, place: int, colors: tuple[Any, Any]) -> tuple[Any, Any]:
        """Draw the distributions of a class and of all others, from a height on."""
        drawn, is_single = self.distributions[place], len(self.distributions) == 1
        highest = max(drawn.positive.max(), drawn.negative.max(), 1e-12)
        factor = 1.0 if is_single else _HEIGHT / highest
        labels = "rows of all other classes", "rows of the class"
        if is_single:
            negatives = counted(drawn.n_negatives, "row")
            positives = counted(drawn.n_positives, "row")
            labels = f"{drawn.other}: {negatives}", f"{drawn.label}: {positives}"
        patches = []
        parts = zip((drawn.negative, drawn.positive), colors, labels, strict=True)
        for shares, color, label in parts:
            height = place + factor * shares
            fill = {"fill": True, "alpha": 0.3, "color": color, "label": label}
            patches.append(ax.stairs(height, self.edges, baseline=place, **fill))
            ax.stairs(height, self.edges, baseline=place, color=color)
        if len(drawn.few):
            inside = np.clip(drawn.few, self.edges[0], self.edges[-1])
            mark = {"color": colors[1], "markersize": 7, "markeredgewidth": 1.2}
            below = place - (0.02 * highest if is_single else 0.06)
            ax.plot(inside, np.full(len(inside), below), "|", **mark)
        return patches[0], patches[1]


def _distribution(
    rows: Predictions, code: int, edges: NDArray[np.float64]
) -> ScoreDistribution:
    """Compute the distributions of one class and of all others."""
    scores, is_positive = rows.of_class(code)
    positive, negative = (
        _shares(scores[kept], rows.weight[kept], edges)
        for kept in (is_positive, ~is_positive)
    )
    n_positives = int(is_positive.sum())
    return ScoreDistribution(
        rows.text(code),
        rows.text(0) if rows.is_binary else "all others",
        positive,
        negative,
        n_positives,
        len(scores) - n_positives,
        scores[is_positive] if n_positives < _FEW_ROWS else np.empty(0),
    )


def _shares(
    scores: NDArray[np.float64],
    weight: NDArray[np.float64],
    edges: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the share of the weight in each bin; the outer bins have open ends."""
    inside = np.clip(scores, edges[0], edges[-1])
    heights = np.histogram(inside, edges, weights=weight)[0]
    return heights / heights.sum() if heights.any() else heights

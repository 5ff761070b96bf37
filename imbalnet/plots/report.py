"""Four plots of a classifier on one page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from imbalnet._checks import check_axes
from imbalnet._packages import require
from imbalnet.plots._base import Display, PredictionsDisplay, read_predictions
from imbalnet.plots.counts import ClassCountsDisplay
from imbalnet.plots.precision_recall import PrecisionRecallDisplay
from imbalnet.plots.reliability import ReliabilityDisplay
from imbalnet.plots.scores import ScoreDistributionDisplay
from imbalnet.plots.thresholds import ThresholdDisplay


class ReportDisplay(PredictionsDisplay):
    """Ranking, reliability, distributions and decisions on one page.

    Use ``from_estimator``, ``from_out_of_fold`` or ``from_predictions``. For two
    classes the last plot shows metrics against the threshold, and for more classes the
    counts of the most probable class.

    Parameters
    ----------
    displays : dict of str to display
        The four plots: "precision_recall", "reliability", "scores", and "thresholds" or
        "counts".
    name : str, default=None
        Name of the classifier in the title.

    Attributes
    ----------
    axes_ : ndarray of shape (2, 2)
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    imbalnet.report.imbalance_report : The report in numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.plots import ReportDisplay
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 2.0, size=1_000)
    >>> y = rng.random(1_000) < p
    >>> report = ReportDisplay.from_predictions(y, p)
    >>> list(report.displays)
    ['precision_recall', 'reliability', 'scores', 'thresholds']
    """

    def __init__(self, displays: dict[str, Any], *, name: str | None = None) -> None:
        self.displays = displays
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
        name: str | None = None,
        axes: Any = None,
    ) -> ReportDisplay:
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
        name : str, default=None
            Name of the classifier in the title.
        axes : sequence of four matplotlib Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        ReportDisplay
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
        # all plots are computed from the same validated rows
        displays: dict[str, Any] = {
            "precision_recall": PrecisionRecallDisplay._of_rows(rows, threshold, name),
            "reliability": ReliabilityDisplay._of_rows(rows, name),
            "scores": ScoreDistributionDisplay._of_rows(rows, threshold, None),
        }
        if rows.is_binary:
            displays["thresholds"] = ThresholdDisplay._of_rows(rows, threshold, None)
        else:
            called = rows.probabilities.argmax(axis=1)
            displays["counts"] = ClassCountsDisplay._of_codes(
                rows.codes, called, rows.classes, rows.weight
            )
        return cls(displays, name=name).plot(axes)

    def plot(self, axes: Any = None) -> ReportDisplay:
        """Draw the four plots.

        Parameters
        ----------
        axes : sequence of four matplotlib Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        ReportDisplay
            The display itself.
        """
        require("matplotlib", use="plot()", cure="imbalnet[plots]")
        _check_displays(self.displays)
        if axes is not None:
            axes = _checked_axes(axes)
        if axes is None:
            import matplotlib.pyplot as plt

            figure = plt.figure(figsize=(13, 9), layout="constrained")
            parts: Any = figure.subfigures(2, 1)  # so a legend only narrows its row
            axes = [part.subplots(1, 2) for part in parts]
        self.axes_ = np.asarray(axes, dtype=object).reshape(2, 2)
        for ax, display in zip(self.axes_.flat, self.displays.values(), strict=True):
            display.plot(ax=ax)
        self.figure_ = self.axes_[0, 0].figure.figure  # the figure of the subfigure
        if self.name is not None:
            self.figure_.suptitle(self.name)
        return self


def _check_displays(displays: Any) -> None:
    values = [*displays.values()] if isinstance(displays, Mapping) else []
    if len(values) != 4 or not all(isinstance(display, Display) for display in values):
        raise ValueError(
            f"displays={displays!r} must be a dict of four displays; from_predictions "
            "makes them."
        )


def _checked_axes(axes: Any) -> Any:
    """Return four axes as an array, or raise."""
    four = np.asarray(axes, dtype=object)
    if four.size != 4:
        raise ValueError(
            f"axes={axes!r} must be four matplotlib Axes, such as "
            "matplotlib.pyplot.subplots(2, 2)[1]."
        )
    for ax in four.flat:
        check_axes(ax, "axes")
    return four

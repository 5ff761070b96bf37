"""Bars of true, predicted and correctly predicted rows of each class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import checked_integer, checked_weights
from imbalnet.metrics._fitted import labels_and_response
from imbalnet.metrics._rows import pairs_of_labels
from imbalnet.plots._base import (
    Display,
    add_legend,
    check_columns,
    drawing,
    label_text,
    last_step,
    out_of_fold_rows,
    threshold_of,
)

# If counts of classes differ by a larger factor, the axis is logarithmic.
_WIDE = 20


class ClassCountsDisplay(Display):
    """Rows of each class beside the rows that are predicted to be of it.

    Use ``from_estimator``, ``from_out_of_fold`` or ``from_predictions``. If a rare
    class is predicted less often than it occurs, some of its rows are missed; if it is
    predicted more often, there are false alarms. Right predictions divided by the true
    rows are the recall, and divided by the predicted rows the precision.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Labels, the most frequent one first.
    true, predicted, right : ndarray of shape (n_classes,)
        Weighted counts of the rows of each class, of those predicted to be of it, and
        of those that are both.

    Attributes
    ----------
    bars_ : list of BarContainer
        The true, the predicted and the right rows.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : Counts of all pairs of classes.

    Examples
    --------
    >>> from imbalnet.plots import ClassCountsDisplay
    >>> y_true = ["oak", "oak", "oak", "oak", "elm", "elm"]
    >>> y_pred = ["oak", "oak", "oak", "elm", "oak", "elm"]
    >>> display = ClassCountsDisplay.from_predictions(y_true, y_pred)
    >>> display.classes.tolist(), display.true.tolist(), display.right.tolist()
    (['oak', 'elm'], [4.0, 2.0], [3.0, 1.0])
    """

    def __init__(
        self,
        classes: NDArray,
        true: NDArray[np.float64],
        predicted: NDArray[np.float64],
        right: NDArray[np.float64],
    ) -> None:
        self.classes = classes
        self.true = true
        self.predicted = predicted
        self.right = right

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        **options: Any,
    ) -> ClassCountsDisplay:
        """Draw the predictions of a fitted classifier for rows it was not trained on.

        Parameters
        ----------
        estimator : classifier
            Any fitted classifier.
        X : array-like or data frame of shape (n_rows, n_features)
            Rows that `estimator` was not trained on.
        y : array-like of shape (n_rows,)
            Their labels.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows; None means equal weights.
        **options
            Keyword arguments of :meth:`from_predictions`.

        Returns
        -------
        ClassCountsDisplay
            After ``plot``.
        """
        labels, predicted = labels_and_response(estimator, X, y, "predict")
        options = {"classes": estimator.classes_, **options}
        return cls.from_predictions(
            labels, predicted, sample_weight=sample_weight, **options
        )

    @classmethod
    def from_out_of_fold(cls, estimator: Any, **options: Any) -> ClassCountsDisplay:
        """Draw the out-of-fold predictions of training rows.

        These are the decisions at the estimator's threshold, or else the most probable
        classes; `cost_matrix` is not used.

        Parameters
        ----------
        estimator : BalancedNeuralClassifier
            Fitted, with members that hold out folds (the default); or a pipeline that
            ends in one.
        **options
            Keyword arguments of :meth:`from_predictions`, except `sample_weight`.

        Returns
        -------
        ClassCountsDisplay
            After ``plot``.

        Raises
        ------
        ValueError
            If `estimator` has no out-of-fold predictions.
        """
        labels, probabilities, weight = out_of_fold_rows(estimator)
        classes, threshold = last_step(estimator).classes_, threshold_of(estimator)
        codes = probabilities.argmax(axis=1)
        if threshold is not None:
            codes = (probabilities[:, 1] >= threshold).astype(np.intp)
        options = {"classes": classes, **options}
        return cls.from_predictions(
            labels, classes[codes], sample_weight=weight, **options
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        ax: Any = None,
        **plot_options: Any,
    ) -> ClassCountsDisplay:
        """Draw true and predicted labels.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,)
            True labels.
        y_pred : array-like of shape (n_rows,)
            Predicted labels.
        classes : array-like of shape (n_classes,), default=None
            All labels; None are those of `y_true` and `y_pred`.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows; None means equal weights.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **plot_options
            Keyword arguments of :meth:`plot`.

        Returns
        -------
        ClassCountsDisplay
            After ``plot``.

        Raises
        ------
        ValueError
            If the arrays do not fit together, or if a label is not in `classes`.
        """
        true, predicted, known = pairs_of_labels(y_true, y_pred, classes)
        weight = checked_weights(sample_weight, len(true))
        display = cls._of_codes(true, predicted, known, weight)
        return display.plot(ax=ax, **plot_options)

    @classmethod
    def _of_codes(
        cls,
        true: NDArray[np.integer],
        predicted: NDArray[np.integer],
        classes: NDArray,
        weight: NDArray[np.float64],
    ) -> ClassCountsDisplay:
        """Count the rows, given the positions of their labels in `classes`."""
        right = weight * (true == predicted)
        parts = (true, weight), (predicted, weight), (true, right)
        counts: list[Any]
        counts = [np.bincount(codes, mass, len(classes)) for codes, mass in parts]
        by_support = np.argsort(-counts[0], kind="stable")
        of_rows, called, hits = (count[by_support] for count in counts)
        return cls(classes[by_support], of_rows, called, hits)

    @drawing
    def plot(self, ax: Any = None, *, n_classes: int | None = 20) -> ClassCountsDisplay:
        """Draw the counts as bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        n_classes : int or None, default=20
            Number of classes that are drawn, the rarest ones; None means all.

        Returns
        -------
        ClassCountsDisplay
            The display itself.
        """
        if n_classes is not None:
            n_classes = -checked_integer("n_classes", n_classes)
        columns = {"true": self.true, "predicted": self.predicted, "right": self.right}
        check_columns(classes=self.classes, **columns)
        ax = self._set_axes(ax)
        shown = slice(n_classes, None)
        classes = self.classes[shown]
        place, counts = np.arange(len(classes)), self.true[shown]
        parts = [
            ("true", counts, -0.2, {"color": "C0"}),
            ("predicted", self.predicted[shown], 0.2, {"color": "C1"}),
            ("of them right", self.right[shown], 0.2, {"color": "C2"}),
        ]
        self.bars_ = [
            ax.barh(place + shift, widths, label=label, **self._bar(label), **color)
            for label, widths, shift, color in parts
        ]
        self._set_scale(ax, counts, max(counts.max(), self.predicted[shown].max()))
        ax.set_yticks(place, [label_text(label) for label in classes.tolist()])
        ax.set_ylim(len(classes) - 0.4, -0.6)
        hidden = len(self.classes) - len(classes)
        title = f"{len(classes)} rarest classes" if hidden else "classes"
        ax.set(xlabel="Rows", ylabel="Class", title=f"True and predicted {title}")
        for bars, values in zip(self.bars_[:2], (counts, self.predicted), strict=True):
            numbers = [f" {value:,.0f}" for value in values[shown][: len(classes)]]
            ax.bar_label(bars, numbers, fontsize="x-small")
        add_legend(ax)
        return self

    @staticmethod
    def _set_scale(ax: Any, counts: NDArray[np.float64], highest: float) -> None:
        """Set the scale and limits of the x axis, with room for numbers after bars."""
        lowest = counts[counts > 0].min(initial=highest)
        if highest <= _WIDE * lowest:
            ax.set_xlim(0, 1.15 * highest)
            return
        ax.set_xscale("log")
        ax.set_xlim(min(0.7, 0.7 * lowest), 2 * highest)
        ax.xaxis.set_major_formatter("{x:,.6g}")

    @staticmethod
    def _bar(label: str) -> dict[str, Any]:
        return {"height": 0.2 if label == "of them right" else 0.38}

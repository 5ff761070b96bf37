"""Base classes of the displays, and functions for axes, colours and labels.

A display computes in its ``from_...`` constructors and draws in ``plot``, as in
scikit-learn. Colours come from the style in use, so that plots fit dark and light
pages.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from numbers import Real
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit
from sklearn.pipeline import Pipeline

from imbalnet._checks import (
    check_axes,
    checked_integer,
    checked_share,
    checked_weights,
)
from imbalnet._packages import require
from imbalnet._tables.labels import numbered
from imbalnet.decisions.criteria import check_threshold
from imbalnet.metrics._fitted import check_classifier, labels_and_response
from imbalnet.metrics._rows import position_of_label
from imbalnet.report import ScoredRows


@dataclass(frozen=True)
class Predictions(ScoredRows):
    """Labels and probabilities of rows that are drawn, see `ScoredRows`.

    Attributes
    ----------
    groups : ndarray of shape (n_rows,) or None, default=None
        The group of each row.
    """

    groups: NDArray | None = None

    def of_class(self, code: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the rows' probabilities of a class, and which rows are of it."""
        return self.probabilities[:, code], self.codes == code

    def rarest(self, n_classes: int | None) -> list[int]:
        """Return the classes that are drawn one-vs-rest, the most frequent one first.

        Of two classes it is the positive one. Of several, these are the `n_classes`
        rarest ones (all for None) that have rows.
        """
        if n_classes is not None:
            n_classes = checked_integer("n_classes", n_classes)
        if self.is_binary:
            return [1]
        n_rows = np.bincount(self.codes, minlength=len(self.classes))
        by_rows = np.argsort(-n_rows, kind="stable")
        present = by_rows[n_rows[by_rows] > 0].tolist()
        return present if n_classes is None else present[-n_classes:]

    def text(self, code: int) -> str:
        """Return the label of a class as text."""
        return label_text(self.classes[code])

    def checked_threshold(self, threshold: Any) -> float | None:
        """Return a threshold as a float; raise if there are more than two classes."""
        if threshold is None:
            return None
        value = checked_share("threshold", threshold)
        check_threshold(value, len(self.classes))
        return value

    def as_binary(self, pos_label: Any) -> Predictions:
        """Return the same rows with one label as the positive class.

        All other classes together are the negative one. For None nothing changes.
        """
        if pos_label is None:
            return self
        labels = self.classes.tolist()
        code = position_of_label(pos_label, labels)
        text = label_text(pos_label)
        # of one dtype, which functions of true and predicted labels need
        named = np.array([f"not {text}", text])
        positive = self.probabilities[:, code]
        return replace(
            self,
            codes=(self.codes == code).astype(np.intp),
            classes=self.classes[[1 - code, code]] if self.is_binary else named,
            probabilities=np.stack([1 - positive, positive], axis=1),
        )


def read_predictions(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    classes: ArrayLike | None,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
    groups: ArrayLike | None = None,
) -> Predictions:
    """Validate labels, probabilities and weights; leave out rows of weight 0.

    Raises
    ------
    ValueError
        If they do not fit together.
    """
    rows = ScoredRows.read(y_true, probabilities, classes, sample_weight)
    n_rows, together = len(np.asarray(probabilities)), None
    if groups is not None:
        kept = checked_weights(sample_weight, n_rows) > 0
        together = numbered(groups, n_rows)[kept]
    return Predictions(**vars(rows), groups=together).as_binary(pos_label)


Plot = TypeVar("Plot", bound=Callable[..., Any])


def drawing(plot: Plot) -> Plot:
    """Decorate ``plot``: check the axes, and restore axes and display on failure."""

    @wraps(plot)
    def drawn(self: Display, ax: Any = None, **options: Any) -> Any:
        require("matplotlib", use="plot()", cure="imbalnet[plots]")
        if ax is not None:
            check_axes(ax)
        before = dict(vars(self))
        artists = [] if ax is None else [*ax.get_children(), *ax.figure.axes]
        try:
            return plot(self, ax, **options)
        except BaseException:
            if ax is None:
                _close(self, before)
            else:
                _remove_others(ax, artists)
            vars(self).clear()
            vars(self).update(before)
            raise

    return drawn  # type: ignore[return-value]


def _close(display: Display, before: dict[str, Any]) -> None:
    """Close the figure of a display if it was created after `before`."""
    import matplotlib.pyplot as plt

    figure = vars(display).get("figure_")
    if figure is not None and figure is not before.get("figure_"):
        plt.close(figure)


def _remove_others(ax: Any, kept: list[Any]) -> None:
    """Remove all artists of axes, and axes of their figure, that are not in `kept`."""
    for artist in [*ax.get_children(), *ax.figure.axes]:
        if not any(artist is other for other in kept):
            artist.remove()


def checked_options(method: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return options of a method of Axes by their full names, or raise.

    They are tried on a separate figure.
    """
    if not options:
        return options
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    try:
        options = normalize_kwargs(options, Line2D)
        getattr(Figure().add_subplot(), method)([0.5], [0.5], **options)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"plot got the options {options}, which matplotlib's {method} does not "
            f"take: {error}"
        ) from error
    return options


def check_parts(name: str, parts: Any, kind: type) -> None:
    """Raise unless `parts` is a sequence of one or more objects of a kind."""
    is_sequence = isinstance(parts, Sequence) and len(parts) > 0
    if not is_sequence or not all(isinstance(part, kind) for part in parts):
        raise ValueError(
            f"{name}={parts!r} must be a sequence of {kind.__name__}, one at least; "
            "from_predictions makes them."
        )


def check_columns(**columns: Any) -> None:
    """Raise unless all arrays have one axis and the same number of values."""
    first, *_ = columns
    for name, values in columns.items():
        if np.shape(values) != np.shape(columns[first])[:1] or not np.size(values):
            raise ValueError(
                f"{name} must have one axis, and as many values as {first} (one at "
                f"least), but has shape {np.shape(values)}, and {first} has "
                f"{np.shape(columns[first])}."
            )


class Display:
    """Base class of the displays.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last ``plot``.
    figure_ : matplotlib Figure
        Their figure.
    """

    def _set_axes(self, ax: Any) -> Any:
        """Set and return the axes to draw on; None creates a figure."""
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        return ax


class PredictionsDisplay(Display):
    """Base class of displays of true labels and probabilities."""

    _marks_threshold: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def from_predictions(cls, *args: Any, **options: Any) -> Any:
        """Draw labels and probabilities."""

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        **options: Any,
    ) -> Any:
        """Draw the predictions of a fitted classifier for rows it was not trained on.

        Parameters
        ----------
        estimator : classifier
            Fitted, with ``predict_proba``; or a pipeline that ends in one. Its
            threshold, if it has one, is marked.
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
        display
            After ``plot``.

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        ValueError
            If it has no ``predict_proba``, or if the rows do not fit.
        """
        labels, probabilities = labels_and_response(estimator, X, y)
        options = {**cls._defaults_of(estimator, options.get("pos_label")), **options}
        return cls.from_predictions(
            labels, probabilities, sample_weight=sample_weight, **options
        )

    @classmethod
    def from_out_of_fold(cls, estimator: Any, **options: Any) -> Any:
        """Draw the out-of-fold predictions of training rows; no further rows needed.

        Parameters
        ----------
        estimator : BalancedNeuralClassifier
            Fitted, with members that hold out folds (the default); or a pipeline that
            ends in one. Its threshold, if it has one, is marked.
        **options
            Keyword arguments of :meth:`from_predictions`, except `sample_weight`: the
            weights are ``oof_weight_``. Rows that no member held out are left out.

        Returns
        -------
        display
            After ``plot``.

        Raises
        ------
        ValueError
            If `estimator` has no out-of-fold predictions.
        """
        labels, probabilities, weight = out_of_fold_rows(estimator)
        options = {**cls._defaults_of(estimator, options.get("pos_label")), **options}
        return cls.from_predictions(
            labels, probabilities, sample_weight=weight, **options
        )

    @classmethod
    def _defaults_of(cls, estimator: Any, pos_label: Any) -> dict[str, Any]:
        """Return the options that come from the estimator: classes, name, threshold."""
        classes = estimator.classes_
        defaults = {"classes": classes, "name": type(last_step(estimator)).__name__}
        is_of_second = len(classes) == 2 and pos_label in (None, classes[1])
        if cls._marks_threshold and is_of_second:
            defaults["threshold"] = threshold_of(estimator)
        return defaults


def out_of_fold_rows(
    estimator: Any,
) -> tuple[NDArray, NDArray[np.float64], NDArray[np.float64]]:
    """Return labels, probabilities and weights of the rows that a member held out."""
    check_classifier(estimator)
    step = last_step(estimator)
    try:
        weight = step.oof_weight_
        held = weight > 0
        return step.oof_labels_[held], step.oof_proba_[held], weight[held]
    except AttributeError as error:
        raise ValueError(
            f"{type(step).__name__} has no out-of-fold predictions; draw those of "
            "sklearn.model_selection.cross_val_predict by from_predictions. "
            f"({error})"
        ) from error


def last_step(estimator: Any) -> Any:
    """Return the classifier at the end of a pipeline."""
    return last_step(estimator[-1]) if isinstance(estimator, Pipeline) else estimator


def threshold_of(estimator: Any) -> float | None:
    """Return the threshold of the second class's probability, or None."""
    step = last_step(estimator)
    # as of scikit-learn's FixedThresholdClassifier
    is_of_first = getattr(step, "pos_label", None) not in (None, step.classes_[1])
    if is_of_first or getattr(step, "response_method", None) == "decision_function":
        return None
    for name in ("threshold_", "best_threshold_", "threshold"):
        value = getattr(step, name, None)
        if isinstance(value, Real):
            return float(value)
    return None


def label_text(label: Any) -> str:
    """Return a label as text; whole numbers without a decimal point."""
    is_whole = isinstance(label, float) and label.is_integer()
    return f"{label:.0f}" if is_whole else str(label)


def percent(share: float) -> str:
    """Return a share as text with three digits."""
    return f"{100 * share:.3g} %"


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def faint(alpha: float = 0.6) -> dict[str, Any]:
    """Return the options of auxiliary lines: the colour of text, but lighter."""
    import matplotlib as mpl

    return {"color": mpl.rcParams["text.color"], "alpha": alpha}


def next_color(ax: Any) -> Any:
    """Take the next colour of the style's cycle on these axes."""
    (line,) = ax.plot([], [])
    color = line.get_color()
    line.remove()
    return color


def add_legend(ax: Any, **options: Any) -> None:
    """Draw a legend, in which each label occurs once."""
    handles, labels = ax.get_legend_handles_labels()
    first = dict(zip(labels[::-1], handles[::-1], strict=True))
    entries = {label: first[label] for label in labels}
    options = {"loc": "best", "fontsize": "small", **options}
    ax.legend(entries.values(), entries.keys(), **options)


def probability_limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return bounds of a log-odds axis for probabilities, which may be 0 and 1."""
    inside = values[(values > 0) & (values < 1)]
    if not len(inside):
        return 0.01, 0.99
    low = max(1e-6, float(inside.min()) / 2)
    high = min(1 - 1e-6, (1 + float(inside.max())) / 2)
    return low, high


def spaced(
    probabilities: NDArray[np.float64], limits: tuple[float, float]
) -> NDArray[np.intp]:
    """Return which of the ascending ticks of a log-odds axis have room for a label."""
    place = logit(probabilities)
    room = (logit(limits[1]) - logit(limits[0])) / 9
    kept: list[int] = []
    for i in range(len(place)):
        if not kept or place[i] - place[kept[-1]] >= room:
            kept.append(i)
    return np.array(kept, dtype=np.intp)


def set_log_odds(axis: Any, limits: tuple[float, float]) -> None:
    """Scale an axis of probabilities by log odds, with ticks in percent."""
    from matplotlib.ticker import NullLocator

    low, high = limits
    tails = 10.0 ** np.arange(-9, 0)
    if logit(high) - logit(low) < 7:
        tails = np.sort(np.concatenate([tails, 2 * tails, 5 * tails[:-1]]))
    ticks = np.concatenate([tails, [0.5], 1 - tails[::-1]])
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    ticks = ticks[spaced(ticks, limits)]
    getattr(axis.axes, f"set_{axis.axis_name}scale")("logit")
    axis.set_minor_locator(NullLocator())
    axis.set_ticks(ticks, [f"{100 * tick:.8g} %" for tick in ticks])
    getattr(axis.axes, f"set_{axis.axis_name}lim")(low, high)

"""Permutation importance of the columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.inspection import permutation_importance

from imbalnet._checks import checked_integer, checked_weights
from imbalnet._tables import column_names
from imbalnet.metrics import SCORERS, get_scorer
from imbalnet.metrics._fitted import check_classifier
from imbalnet.metrics._rows import checked_generator, labels_of_rows
from imbalnet.plots._base import Display, drawing, faint


class ColumnImportanceDisplay(Display):
    """Loss of average precision when a column is shuffled.

    Use ``from_estimator``. If two columns hold the same information, the loss of each
    is small, although shuffling both would lose much. Bars reach from the smallest to
    the largest loss of the shuffles. If a bar includes 0, the importance may be chance.

    Parameters
    ----------
    importances : ndarray of shape (n_columns, n_repeats)
        Loss of the score in each shuffle.
    columns : sequence of str
        Names of the columns.
    score_name : str, default="average precision"
        Name of the score in the label of the axis.

    Attributes
    ----------
    order_ : ndarray of int
        Positions of the drawn columns, the most important one first.
    points_ : ErrorbarContainer
        Means and ranges.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    sklearn.inspection.permutation_importance : The losses as an array.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from imbalnet.plots import ColumnImportanceDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> fitted = LogisticRegression(max_iter=500).fit(X[::2], y[::2])
    >>> display = ColumnImportanceDisplay.from_estimator(fitted, X[1::2], y[1::2])
    >>> display.columns[display.order_[0]]
    'petal length (cm)'
    """

    def __init__(
        self,
        importances: NDArray[np.float64],
        columns: list[str],
        *,
        score_name: str = "average precision",
    ) -> None:
        self.importances = importances
        self.columns = columns
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        scoring: Any = "average_precision",
        n_repeats: int = 5,
        random_state: Any = 0,
        ax: Any = None,
        **plot_options: Any,
    ) -> ColumnImportanceDisplay:
        """Shuffle each column, and draw the loss of the score.

        Parameters
        ----------
        estimator : classifier
            Any fitted classifier, or a pipeline.
        X : array-like or pandas data frame of shape (n_rows, n_features)
            Rows that `estimator` was not trained on; a few hundred positive ones are
            enough.
        y : array-like of shape (n_rows,)
            Their labels.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows; None means equal weights.
        scoring : str or callable, default="average_precision"
            A name of ``imbalnet.metrics.SCORERS``, which accept any labels and several
            classes; or a scorer of scikit-learn.
        n_repeats : int, default=5
            Number of shuffles of each column.
        random_state : int, RandomState instance or None, default=0
            Seeds the shuffles.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **plot_options
            Keyword arguments of :meth:`plot`.

        Returns
        -------
        ColumnImportanceDisplay
            After ``plot``.

        Raises
        ------
        ValueError
            If X, y and `sample_weight` do not fit together, or if `scoring` is unknown.
        """
        check_classifier(estimator, "predict")
        labels = labels_of_rows(y, "y")
        if sample_weight is not None:
            sample_weight = checked_weights(sample_weight, len(labels))
        found = permutation_importance(
            estimator,
            X,
            labels,
            scoring=_scorer(scoring),
            n_repeats=checked_integer("n_repeats", n_repeats),
            random_state=checked_generator(random_state),
            sample_weight=sample_weight,
        )
        n_columns = len(found.importances)
        names = column_names(X) or [f"column {i}" for i in range(n_columns)]
        name = scoring.replace("_", " ") if isinstance(scoring, str) else "the score"
        display = cls(found.importances, [str(n) for n in names], score_name=name)
        return display.plot(ax=ax, **plot_options)

    @drawing
    def plot(
        self, ax: Any = None, *, n_columns: int | None = 15
    ) -> ColumnImportanceDisplay:
        """Draw the most important columns.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        n_columns : int or None, default=15
            Number of columns that are drawn; None means all.

        Returns
        -------
        ColumnImportanceDisplay
            The display itself.
        """
        if n_columns is not None:
            n_columns = checked_integer("n_columns", n_columns)
        shape = np.shape(self.importances)
        if len(shape) != 2 or not all(shape) or len(self.columns) != shape[0]:
            raise ValueError(
                "importances must have shape (n_columns, n_repeats), with a name in "
                f"columns for each row, but has shape {shape}, and columns are "
                f"{self.columns!r}."
            )
        ax = self._set_axes(ax)
        mean = self.importances.mean(axis=1)
        self.order_ = np.argsort(-mean, kind="stable")[:n_columns]
        drawn, center = self.importances[self.order_], mean[self.order_]
        reach = np.abs(drawn.max(axis=1) - center), np.abs(center - drawn.min(axis=1))
        place = np.arange(len(drawn))
        ax.axvline(0, linewidth=1, **faint())
        self.points_ = ax.errorbar(center, place, xerr=reach[::-1], fmt="o")
        ax.set_yticks(place, [self.columns[i] for i in self.order_])
        ax.set_ylim(len(drawn) - 0.5, -0.5)
        of_all = (
            f" (first {len(drawn)} of {len(mean)})" if len(drawn) < len(mean) else ""
        )
        ax.set(xlabel=f"Loss of {self.score_name} when shuffled")
        ax.set_title(f"Importance of columns{of_all}")
        return self


def _scorer(scoring: Any) -> Any:
    """Return the scorer of a name; a callable is returned unchanged."""
    if isinstance(scoring, str) and scoring in SCORERS:
        return get_scorer(scoring)
    is_name = isinstance(scoring, str | type)
    if callable(scoring) and not is_name:
        return scoring
    raise ValueError(
        f"scoring={scoring!r} must be a scorer that is called as scorer(estimator, X, "
        f"y), or the name of one: {sorted(SCORERS)}."
    )

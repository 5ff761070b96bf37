"""The display that compares the candidates of a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t
from sklearn.model_selection import (
    GroupShuffleSplit,
    LeavePGroupsOut,
    LeavePOut,
    PredefinedSplit,
    TimeSeriesSplit,
)

from imbalnet._checks import check_axes, did_you_mean
from imbalnet._packages import require
from imbalnet.metrics._fitted import check_fitted
from imbalnet.metrics._rows import checked_level
from imbalnet.strategies.differences import (
    Difference,
    checked_scores,
    paired_differences,
)
from imbalnet.strategies.names import PLAIN, unique_names

_COLOUR = "#0072B2"  # blue and grey of Okabe and Ito
# Splits whose test share is neither 1 / n_splits nor a parameter. A generator was used
# up by the search.
_NOT_FOLDS = Iterator, LeavePGroupsOut, LeavePOut, TimeSeriesSplit


class StrategyComparisonDisplay:
    """Differences of candidates to a reference, on the same splits.

    Use :meth:`from_cv_results` or :meth:`from_scores`, then :meth:`plot` or
    :meth:`to_frame`.

    Parameters
    ----------
    differences : dict of str to Difference
        Differences of the candidates, see
        :func:`~imbalnet.strategies.paired_differences`.
    reference : str
        The candidate that the others are compared with.
    metric : str, default="score"
        Name of the scores, for the axis.
    level : float, default=0.95
        Confidence level of the intervals.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, after ``plot``.
    figure_ : matplotlib.figure.Figure
        Their figure.
    errorbar_ : matplotlib.container.ErrorbarContainer
        Points and intervals.

    See Also
    --------
    strategy_grid : Candidates for a search.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from imbalnet.strategies import StrategyComparisonDisplay
    >>> X, y = make_classification(1000, weights=[0.9], random_state=0)
    >>> search = GridSearchCV(
    ...     LogisticRegression(),
    ...     {"class_weight": [None, "balanced"]},
    ...     scoring="average_precision",
    ... ).fit(X, y)
    >>> display = StrategyComparisonDisplay.from_cv_results(search)
    >>> display.reference
    'plain'
    >>> print(display.differences["balanced"])
    -0.0067 [-0.0349, +0.0214]
    """

    def __init__(
        self,
        differences: dict[str, Difference],
        *,
        reference: str,
        metric: str = "score",
        level: float = 0.95,
    ) -> None:
        self.differences = differences
        self.reference = reference
        self.metric = metric
        self.level = level

    @classmethod
    def from_cv_results(
        cls,
        search: Any,
        *,
        metric: str | None = None,
        reference: str | None = None,
        iteration: int | None = None,
        test_share: float | None = None,
        level: float = 0.95,
    ) -> StrategyComparisonDisplay:
        """Compare the candidates of a fitted search.

        This does not draw; call :meth:`plot` afterwards.

        Parameters
        ----------
        search : fitted search
            Any of scikit-learn's, such as ``GridSearchCV``, ``RandomizedSearchCV`` or
            ``HalvingGridSearchCV``.
        metric : str, default=None
            The score to compare, if the search has several; None means that of
            ``refit``.
        reference : str, default=None
            Name of the candidate that the others are compared with, see
            :func:`~imbalnet.strategies.strategy_name`. None means "plain", or the
            candidate with the best mean score if there is no such one or it failed.
        iteration : int, default=None
            The iteration of a halving search; None means the last one. Scores of
            different iterations are not comparable, because the resources differ.
        test_share : float, default=None
            Share of the rows in the test set of a split; None means that of
            ``search.cv``.
        level : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        StrategyComparisonDisplay
            The differences.

        Raises
        ------
        ValueError
            If the search has no such metric, reference or iteration, if no candidate
            has a score, or if `test_share` cannot be derived from ``search.cv``.
        """
        results = _checked_results(search)
        metric = _metric_of(search) if metric is None else metric
        rows = _rows_of_iteration(results, iteration)
        names = unique_names(_own_params(search, row) for row in rows)
        of_splits = _split_scores(search, metric)[rows]
        is_named = metric == "score" and isinstance(search.scoring, str)
        return cls.from_scores(
            dict(zip(names, of_splits, strict=True)),
            test_share=_test_share(search) if test_share is None else test_share,
            reference=reference,
            metric=search.scoring if is_named else metric,
            level=level,
        )

    @classmethod
    def from_scores(
        cls,
        scores: Mapping[str, ArrayLike],
        *,
        test_share: float,
        reference: str | None = None,
        metric: str = "score",
        level: float = 0.95,
    ) -> StrategyComparisonDisplay:
        """Compare candidates by their scores on the same splits.

        Parameters
        ----------
        scores : dict of str to array-like of shape (n_splits,)
            Scores of each candidate; NaN where a fit failed.
        test_share : float
            Share of the rows in the test set of a split, such as 0.2 for five folds.
        reference : str, default=None
            The candidate that the others are compared with. None means "plain", or the
            candidate with the best mean score if there is no such one or it failed.
        metric : str, default="score"
            Name of the scores, for the axis.
        level : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        StrategyComparisonDisplay
            The differences.

        Raises
        ------
        ValueError
            See :func:`~imbalnet.strategies.paired_differences`; or if no candidate has
            a score.
        """
        _check_metric(metric)
        reference = _reference(scores) if reference is None else reference
        differences = paired_differences(
            scores, reference, test_share=test_share, level=level
        )
        return cls(differences, reference=reference, metric=metric, level=level)

    @property
    def choice(self) -> str:
        """The candidate to use: the reference, or a significantly better candidate.

        A candidate is significantly better if its interval is above 0 also after
        Bonferroni's correction for the number of candidates. Of several, it is the one
        with the highest mean. A higher mean alone is often due to chance.
        """
        rivals = [name for name in self._drawn if name != self.reference]
        better = [name for name in rivals if self._low_among(name, len(rivals)) > 0]
        by_mean = {name: self.differences[name].mean for name in better}
        return max(by_mean, key=by_mean.__getitem__, default=self.reference)

    def _low_among(self, name: str, n_comparisons: int) -> float:
        """Return a lower bound with the level of all comparisons together."""
        point, level = self.differences[name], self.level
        levels = [(1 + level) / 2, 1 - (1 - level) / (2 * n_comparisons)]
        alone, together = student_t.ppf(levels, point.n_splits - 1)
        return point.difference - (point.difference - point.low) * together / alone

    def to_frame(self) -> Any:
        """Return the differences as a pandas frame, the highest mean first.

        Returns
        -------
        pandas.DataFrame
            Indexed by the names of the candidates, with the columns ``mean``,
            ``difference``, ``low``, ``high`` and ``n_splits``.
        """
        pd = require("pandas", use="to_frame()", cure="imbalnet[tables]")

        index = pd.Index(list(self.differences), name="strategy")
        frame = pd.DataFrame(list(self.differences.values()), index=index)
        return frame.sort_values("mean", ascending=False, kind="stable")

    def plot(self, ax: Any = None) -> StrategyComparisonDisplay:
        """Draw the differences with their intervals, the largest one on top.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        StrategyComparisonDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        require("matplotlib", use="plot()", cure="imbalnet[plots]")
        self._check()
        if ax is not None:
            check_axes(ax)
        names = sorted(self._drawn, key=lambda name: self.differences[name].difference)
        ax = _new_axes(len(names)) if ax is None else ax
        points = [self.differences[name] for name in names]
        x = np.array([point.difference for point in points])
        bounds = np.array([[point.low, point.high] for point in points])
        self.errorbar_ = ax.errorbar(
            x,
            range(len(names)),
            xerr=np.nan_to_num(np.abs(bounds - x[:, None]).T),
            fmt="o",
            color=_COLOUR,
            ecolor="0.6",
            capsize=2,
        )
        ax.axvline(0, color="0.3", lw=1, ls=":")
        ax.set(
            yticks=range(len(names)),
            yticklabels=names,
            ylim=(-0.6, len(names) - 0.4),
            xlabel=f"Difference in {self.metric.replace('_', ' ')} to\n"
            f"{self.reference!r} ({self.level:.0%} intervals)",
        )
        ax.spines[["top", "right"]].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _check(self) -> None:
        """Raise if the attributes are not usable, or if all differences are NaN."""
        found = self.differences
        is_dict = isinstance(found, Mapping) and len(found) > 0
        if not is_dict or not all(isinstance(d, Difference) for d in found.values()):
            raise ValueError(
                f"differences={found!r} must be a dict of a candidate's name to its "
                "Difference, as paired_differences returns it."
            )
        if self.reference not in list(found):
            raise ValueError(
                f"reference={self.reference!r} must be one of {list(found)}."
                f"{did_you_mean(self.reference, found)}"
            )
        if not self._drawn:
            raise ValueError(
                "differences hold NaN only: the reference has no score in any split."
            )
        _check_metric(self.metric)
        checked_level(self.level)

    @property
    def _drawn(self) -> list[str]:
        """Names of the candidates that have a difference."""
        found = self.differences.items()
        return [name for name, point in found if not np.isnan(point.difference)]


def _new_axes(n_names: int) -> Any:
    import matplotlib.pyplot as plt

    height = 1.2 + 0.32 * n_names
    return plt.subplots(figsize=(7.5, height), layout="constrained")[1]


def _checked_results(search: Any) -> Mapping[str, Any]:
    """Return the ``cv_results_`` of a search, or raise if it is not a fitted one."""
    if isinstance(search, type) or not hasattr(search, "cv_results_"):
        check_fitted(search, "search (which needs cv_results_)")
        raise ValueError(
            f"search={type(search).__name__} has no cv_results_; give a fitted search, "
            "such as GridSearchCV."
        )
    return search.cv_results_


def _check_metric(metric: Any) -> None:
    if not isinstance(metric, str):
        raise ValueError(f"metric={metric!r} must be a str, the name of the scores.")


def _reference(scores: Mapping[str, ArrayLike]) -> str:
    arrays = checked_scores(scores)
    means = {name: v.mean() for name, v in arrays.items() if not np.isnan(v).any()}
    if PLAIN in means:
        return PLAIN
    if not means:
        raise ValueError(
            "no candidate has a score in every split. Fit with error_score='raise' to "
            "see why fits fail, or name one by reference=."
        )
    return max(means, key=means.__getitem__)


def _own_params(search: Any, row: int) -> dict[str, Any]:
    """Return the parameters of a candidate, without the resource of a halving search.

    All candidates of an iteration have the same resource.
    """
    params = dict(search.cv_results_["params"][row])
    params.pop(getattr(search, "resource", None), None)
    return params


def _metric_of(search: Any) -> str:
    if "mean_test_score" in search.cv_results_:
        return "score"
    if isinstance(search.refit, str):
        return search.refit
    raise ValueError(
        f"the search has several scores, {_metrics(search.cv_results_)}: choose one by "
        "metric=."
    )


def _metrics(results: Mapping[str, Any]) -> list[str]:
    start = "mean_test_"
    return [key.removeprefix(start) for key in results if key.startswith(start)]


def _split_scores(search: Any, metric: str) -> NDArray[np.float64]:
    """Return the scores of all candidates (rows) on all splits (columns)."""
    results, known = search.cv_results_, _metrics(search.cv_results_)
    if metric not in known:
        meant = did_you_mean(metric, known)
        raise ValueError(f"metric={metric!r} must be one of {known}.{meant}")
    splits = range(search.n_splits_)
    return np.column_stack([results[f"split{i}_test_{metric}"] for i in splits])


def _rows_of_iteration(
    results: Mapping[str, Any], iteration: int | None
) -> NDArray[np.intp]:
    """Return the rows of ``cv_results_`` that belong to an iteration."""
    if "iter" not in results:
        if iteration is not None:
            raise ValueError(
                f"iteration={iteration!r} needs a halving search; leave it out."
            )
        return np.arange(len(results["params"]))
    of_rows = np.asarray(results["iter"])
    chosen = of_rows.max() if iteration is None else iteration
    rows = np.flatnonzero(of_rows == chosen)
    if not len(rows):
        raise ValueError(
            f"iteration={iteration!r} must be one of {np.unique(of_rows).tolist()}."
        )
    return rows


def _test_share(search: Any) -> float:
    """Return the share of the rows in the test set of a split."""
    cv, n_splits = search.cv, search.n_splits_
    share: Any
    if isinstance(cv, Sequence | PredefinedSplit):  # pairs of training and test rows
        pairs = cv.split() if isinstance(cv, PredefinedSplit) else cv
        counts = np.array([[*map(_n_chosen, pair)] for pair in pairs])
        share = np.mean(counts[:, 1] / counts.sum(axis=1))
    elif isinstance(cv, _NOT_FOLDS):
        share = np.nan
    elif not hasattr(cv, "test_size"):
        share = getattr(cv, "n_repeats", 1) / n_splits
    elif cv.test_size is not None and cv.train_size is not None:  # not all rows
        is_alike = isinstance(cv.test_size, float) == isinstance(cv.train_size, float)
        share = cv.test_size / (cv.test_size + cv.train_size) if is_alike else np.nan
    elif cv.test_size is not None:
        share = cv.test_size
    elif cv.train_size is not None:
        share = 1 - cv.train_size
    else:
        share = 0.2 if isinstance(cv, GroupShuffleSplit) else 0.1  # the defaults
    if not 0 < share < 1:
        raise ValueError(
            f"the share of the rows that a split of cv={cv!r} tests on is not known: "
            "give it as test_share=."
        )
    return share


def _n_chosen(rows: ArrayLike) -> int:
    """Return the number of rows of positions, or of a mask."""
    chosen = np.asarray(rows)
    return int(chosen.sum()) if chosen.dtype == bool else len(chosen)

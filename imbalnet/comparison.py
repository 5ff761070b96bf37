"""Comparison of the network with levers, linear models and boosting on one table.

:func:`compare` trains every model on the same splits, and estimates by how much each
differs from the default. No other module imports the estimator.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, get_args

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
)
from sklearn.model_selection import ParameterGrid, StratifiedShuffleSplit, check_cv
from sklearn.utils import _safe_indexing

from imbalnet._checks import check_known, did_you_mean, is_integer
from imbalnet._fit.cv import name_of_cv, positions
from imbalnet._packages import require
from imbalnet._tables.labels import as_codes, as_labels, sorted_classes
from imbalnet._text import html_table, text_table
from imbalnet.classifier import BalancedNeuralClassifier
from imbalnet.metrics import macro_average_precision
from imbalnet.metrics._rows import checked_generator
from imbalnet.posterior import resolve_prior, shift_probabilities
from imbalnet.strategies import (
    Difference,
    StrategyComparisonDisplay,
    paired_differences,
    strategy_grid,
    strategy_name,
)
from imbalnet.tables import ColumnReport, check_table

__all__ = ["Comparison", "compare"]


def __dir__() -> list[str]:
    return sorted(__all__)


DEFAULT = "imbalnet"
TUNED = 'imbalnet, threshold="f1"'
ModelSet = Literal["quick", "all"]
FigureName = Literal[
    "average_precision", "f1", "mcc", "balanced_accuracy", "log_loss", "fit_seconds"
]

# Titles of the figures; for log-loss and seconds, less is better.
FIGURES: dict[FigureName, str] = {
    "average_precision": "AP",
    "f1": "F1",
    "mcc": "MCC",
    "balanced_accuracy": "bal. acc.",
    "log_loss": "log-loss",
    "fit_seconds": "fit [s]",
}
_TEST_SHARE = 0.25
_MOST_SEEDS = 2**31 - 1

Scores = dict[str, dict[str, NDArray[np.float64]]]  # model -> figure -> splits
Candidates = dict[str, tuple[Any, NDArray]]  # name -> model, labels to fit it to


@dataclass(frozen=True)
class Comparison:
    """The result of :func:`compare`.

    It is shown as a table of the models' mean figures, with the difference in average
    precision to the default and its confidence interval.

    Attributes
    ----------
    scores : dict of str to dict of str to ndarray of shape (n_splits,)
        For each model, its "average_precision", "f1", "mcc", "balanced_accuracy",
        "log_loss" and "fit_seconds" on each split.
    class_prior : dict
        Share of the rows of each label. Of two labels, the last is the positive class.
    n_rows : int
        Number of rows of the table.
    test_share : float
        Share of the rows that are test rows in a split.

    Examples
    --------
    Scores of two models on three splits:

    >>> import numpy as np
    >>> from imbalnet.comparison import Comparison
    >>> scores = {
    ...     "imbalnet": {"average_precision": np.array([0.61, 0.58, 0.66])},
    ...     "boosting": {"average_precision": np.array([0.57, 0.55, 0.60])},
    ... }
    >>> comparison = Comparison(scores, {0: 0.95, 1: 0.05}, 2_000, test_share=0.25)
    >>> print(comparison.differences()["boosting"])
    -0.0433 [-0.0970, +0.0103]
    """

    scores: Scores
    class_prior: dict[Any, float]
    n_rows: int
    test_share: float

    def differences(
        self, figure: FigureName = "average_precision", level: float = 0.95
    ) -> dict[str, Difference]:
        """Compare each model with the default on the same splits.

        Parameters
        ----------
        figure : str, default="average_precision"
            One of those in ``scores``.
        level : float, default=0.95
            Confidence level of each interval, see
            :func:`~imbalnet.strategies.paired_differences`.

        Returns
        -------
        dict of str to Difference
            In the order of ``scores``.

        Raises
        ------
        ValueError
            If `figure` is unknown.
        """
        of_models = self._of_models(figure)
        return paired_differences(
            of_models, DEFAULT, test_share=self.test_share, level=level
        )

    def to_frame(self, level: float = 0.95) -> Any:
        """Return all figures as a pandas frame.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of each interval.

        Returns
        -------
        pandas.DataFrame
            A row for each model. Columns have two levels: the figure, and "mean",
            "difference" (to the default), "low" and "high" (its interval).
        """
        pd = require("pandas", use="to_frame()", cure="imbalnet[tables]")

        columns = {
            (figure, part): [getattr(d, part) for d in differences.values()]
            for figure in FIGURES
            for differences in [self.differences(figure, level)]
            for part in ("mean", "difference", "low", "high")
        }
        frame = pd.DataFrame(columns, index=pd.Index(list(self.scores), name="model"))
        frame.columns.names = "figure", None
        return frame

    def plot(self, figure: FigureName = "average_precision", ax: Any = None) -> Any:
        """Draw the differences to the default with intervals, the largest on top.

        Parameters
        ----------
        figure : str, default="average_precision"
            One of those in ``scores``; of log-loss and seconds less is better.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        StrategyComparisonDisplay
            With the axes as ``ax_`` and the figure as ``figure_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        return StrategyComparisonDisplay.from_scores(
            self._of_models(figure),
            test_share=self.test_share,
            reference=DEFAULT,
            metric=figure,
        ).plot(ax)

    def __str__(self) -> str:
        table = text_table(self._cells(), numbers=slice(1, None))
        return "\n\n".join([self._headline, table, self._notes])

    def _repr_html_(self) -> str:
        return (
            f"<p>{escape(self._headline)}</p>{html_table(self._cells())}"
            f"<p>{escape(self._notes)}</p>"
        )

    def _of_models(self, figure: str) -> dict[str, NDArray[np.float64]]:
        check_known("figure", figure, FIGURES)
        return {model: figures[figure] for model, figures in self.scores.items()}

    def _cells(self) -> list[list[str]]:
        titles = list(FIGURES.values())
        differences = self.differences()
        return [
            ["", titles[0], "difference to the default", *titles[1:]],
            *(
                self._row(model, figures, differences[model])
                for model, figures in self.scores.items()
            ),
        ]

    def _row(
        self, model: str, figures: dict[str, NDArray], difference: Difference
    ) -> list[str]:
        means = {name: values.mean() for name, values in figures.items()}
        digits = {"log_loss": 4, "fit_seconds": 1}
        cells = [f"{mean:.{digits.get(name, 3)}f}" for name, mean in means.items()]
        gain = "" if model == DEFAULT else _signed(difference)
        return [model, cells[0], gain, *cells[1:]]

    @property
    def _headline(self) -> str:
        n_splits = len(self.scores[DEFAULT]["f1"])
        classes = ", ".join(
            f"{label!r} {share:.2%}" for label, share in self.class_prior.items()
        )
        return (
            f"{self.n_rows:,} rows; classes: {classes}; {n_splits} splits, each with "
            f"{self.test_share:.0%} of the rows for testing"
        )

    @property
    def _notes(self) -> str:
        shares = np.array(list(self.class_prior.values()))
        constant = -(shares * np.log(shares)).sum()
        chance = shares[-1] if len(shares) == 2 else shares.mean()
        return (
            "Means over the splits, with 95% intervals of differences in average "
            f"precision (AP). Chance has AP {chance:.3f}; the class shares as "
            f"probabilities have log-loss {constant:.4f}."
        )


def compare(
    X: Any,
    y: ArrayLike,
    *,
    models: ModelSet | Mapping[str, Any] = "quick",
    network: BalancedNeuralClassifier | None = None,
    cv: Any = None,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> Comparison:
    """Compare the default network with levers, linear models and boosting.

    Every model is trained and tested on the same splits of the table:

    - "imbalnet", which is :class:`~imbalnet.BalancedNeuralClassifier` without further
      parameters, and for two classes the same fit with ``threshold="f1"``, if its
      members hold out folds;
    - levers against imbalance from :func:`~imbalnet.strategies.strategy_grid`;
    - :class:`~sklearn.linear_model.LogisticRegression` on standardised numbers and
      one-hot categories, plain and with balanced class weights;
    - :class:`~sklearn.ensemble.HistGradientBoostingClassifier` on numbers and
      categories, plain and with balanced class weights;
    - models of your own.

    Parameters
    ----------
    X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)
        The raw table, with words, categories and gaps.
    y : array-like of shape (n_rows,)
        Labels of any sortable kind. Of two labels, the second in sorted order is the
        positive class.
    models : {"quick", "all"} or dict, default="quick"
        "quick" has one lever of each kind, "all" has all levers of the grid. A dict of
        names and estimators adds your own models to the quick ones. They are fitted to
        the rows of X as they are, and to labels as integers from 0 on.
    network : BalancedNeuralClassifier, default=None
        The network that takes the place of the default, such as
        ``BalancedNeuralClassifier(preset="quick")``. The levers are applied to it. Its
        `categorical_features` hold for all models; its `class_weight` and `cost_matrix`
        may name labels of `y`.
    cv : int, splitter, iterable of (train, test) or None, default=None
        The splits. None makes random stratified splits, each with a quarter of the rows
        as test rows: 5 splits, 3 from 5,000 rows on, and 2 from 20,000 rows on.
    random_state : int, RandomState instance or None, default=None
        Seeds splits and models.
    n_jobs : int or None, default=None
        Number of splits that joblib runs at the same time.

    Returns
    -------
    Comparison
        Print it, or use ``to_frame()`` and ``plot()``.

    Raises
    ------
    ValueError
        If data or parameters are not usable, or if a model cannot be fitted. Your own
        models are fitted first, so that their errors come early.

    Notes
    -----
    Average precision judges the ranking, and log-loss the probabilities. For log-loss,
    probabilities of models with balanced weights are first corrected to the class
    shares of the data (:func:`~imbalnet.posterior.shift_probabilities`). F1, MCC and
    balanced accuracy judge the predicted classes. With several classes, average
    precision is the mean of one-vs-rest, and F1 the mean over classes.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from imbalnet import compare
    >>> X, y = make_classification(400, weights=[0.9], random_state=0)
    >>> comparison = compare(X, y, cv=2, random_state=0)
    >>> list(comparison.scores)[:3]
    ['imbalnet', 'imbalnet, threshold="f1"', 'imbalnet: balanced, power=0.5']
    >>> comparison.to_frame()["log_loss"].columns.tolist()
    ['mean', 'difference', 'low', 'high']
    """
    labels = as_labels(y)
    classes = sorted_classes(labels)
    codes = as_codes(labels, classes).astype(np.intp)
    network = BalancedNeuralClassifier() if network is None else network
    _check_parameters(models, network, n_jobs)
    columns = check_table(X, labels, network.categorical_features).columns
    seed = checked_generator(random_state).randint(_MOST_SEEDS)
    candidates = _models(models, network, X, labels, columns)
    splits = _splits(cv, codes, seed)
    _check_splits(splits, codes, len(classes))
    of_splits = Parallel(n_jobs=n_jobs)(
        delayed(_run_split)(candidates, X, codes, split, (seed + i) % _MOST_SEEDS)
        for i, split in enumerate(splits)
    )
    shares = np.bincount(codes) / len(codes)
    prior = dict(zip(classes.tolist(), shares.tolist(), strict=True))
    share = np.mean([len(test) / (len(train) + len(test)) for train, test in splits])
    return Comparison(_stacked(of_splits), prior, len(codes), float(share))


def _check_parameters(models: Any, network: Any, n_jobs: Any) -> None:
    """Raise if a parameter is not usable, whatever the data."""
    if not isinstance(network, BalancedNeuralClassifier):
        raise ValueError(
            f"network={network!r} must be an instance of BalancedNeuralClassifier; "
            "other classifiers go into models."
        )
    if n_jobs is not None and not (is_integer(n_jobs) and n_jobs):
        raise ValueError(f"n_jobs={n_jobs!r} must be None, or an integer other than 0.")
    if not isinstance(models, Mapping):
        if not isinstance(models, str) or models not in get_args(ModelSet):
            raise ValueError(
                f"models={models!r} must be 'quick', 'all', or a dict of estimators."
                f"{did_you_mean(models, get_args(ModelSet))}"
            )
        return
    for name, model in models.items():
        if not isinstance(name, str):
            raise ValueError(f"models has the name {name!r}, which must be a str.")
        if isinstance(model, type) or not hasattr(model, "get_params"):
            raise ValueError(
                f"models[{name!r}]={model!r} must be an instance of an estimator."
            )


# -- splits ----------------------------------------------------------------------------


def _splits(cv: Any, codes: NDArray[np.intp], seed: int) -> list[Any]:
    """Return training and test rows of all splits, as positions."""
    all_rows = np.arange(len(codes))
    try:
        splitter = _splitter(cv, codes, seed)
        return [
            (positions(train, all_rows), positions(test, all_rows))
            for train, test in splitter.split(np.zeros(len(codes)), codes)
        ]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name_of_cv(cv)} must be a number of folds (2 or more), a splitter, or "
            f"pairs (train, test) of positions among the {len(codes)} rows of X, but: "
            f"{error}"
        ) from error


def _splitter(cv: Any, codes: NDArray[np.intp], seed: int) -> Any:
    if isinstance(cv, bool):
        raise ValueError(f"{cv} is no number")
    if cv is not None:
        return check_cv(cv, codes, classifier=True)
    n_rows = len(codes)
    n_splits = 5 if n_rows < 5_000 else 3 if n_rows < 20_000 else 2
    return StratifiedShuffleSplit(n_splits, test_size=_TEST_SHARE, random_state=seed)


def _check_splits(splits: list[Any], codes: NDArray[np.intp], n_classes: int) -> None:
    if not splits:
        raise ValueError("cv has no splits.")
    for i, (train, test) in enumerate(splits):
        if not len(test):
            raise ValueError(f"cv has no test rows in split {i}.")
        absent = np.setdiff1d(np.arange(n_classes), codes[train])
        if len(absent):
            raise ValueError(
                f"split {i} has no training rows of {len(absent)} of the classes: use "
                "fewer folds, or leave classes of few rows out."
            )


# -- models ----------------------------------------------------------------------------


def _models(
    models: str | Mapping[str, Any],
    network: BalancedNeuralClassifier,
    X: Any,
    labels: NDArray,
    columns: Sequence[ColumnReport],
) -> Candidates:
    """Build all models; those of the user come last.

    Networks are fitted to the labels, since `class_weight`, `cost_matrix` and samplers
    may name these. All others are fitted to codes, which every classifier takes.
    """
    from imbalnet._peers import peers  # takes a fifth of a second to import

    own = dict(models) if isinstance(models, Mapping) else {}
    # without a threshold, so that TUNED differs by its threshold only
    plain = clone(network).set_params(target_prior="train", threshold=None)
    is_all = models == "all"
    grid = strategy_grid(labels, X, size="full" if is_all else "short")
    levers = {
        f"{DEFAULT}: {strategy_name(params)}": clone(plain).set_params(**params)
        for params in list(ParameterGrid(grid))[1:]
    }
    others = peers(columns, network.categorical_features)
    networks = {DEFAULT: plain, **levers}
    taken = sorted(set(own) & {*networks, *others, TUNED})
    if taken:
        raise ValueError(f"models has names that are taken: {taken}.")
    codes = np.unique(labels, return_inverse=True)[1]
    return {
        **{name: (model, labels) for name, model in networks.items()},
        **{name: (model, codes) for name, model in {**others, **own}.items()},
    }


# -- one split -------------------------------------------------------------------------


def _run_split(
    models: Candidates, X: Any, codes: NDArray, split: Any, seed: int
) -> Scores:
    """Fit and score all models on one split; the user's first, since they may fail."""
    train, test = split
    X_train, X_test = _safe_indexing(X, train), _safe_indexing(X, test)
    prior = np.bincount(codes[train]) / len(train)
    scores: Scores = {}
    for name, (prototype, y) in reversed(models.items()):
        model, start = _seeded(clone(prototype), seed), time.perf_counter()
        try:
            model.fit(X_train, y[train])
        except Exception as error:
            raise ValueError(f"{name!r} could not be fitted: {error}") from error
        if not hasattr(model, "predict_proba"):  # some have it only after fit
            raise ValueError(
                f"models[{name!r}]={model!r} has no predict_proba; wrap it in "
                "sklearn.calibration.CalibratedClassifierCV."
            )
        seconds = {"fit_seconds": np.array(time.perf_counter() - start)}
        try:
            scored = _scored(model, X_test, codes[test], prior, np.unique(y))
        except Exception as error:
            raise ValueError(f"{name!r} could not be scored: {error}") from error
        if name == DEFAULT and len(prior) == 2 and hasattr(model, "oof_proba_"):
            model.set_params(threshold="f1")  # read at prediction time
            decided = _scored(model, X_test, codes[test], prior, np.unique(y))
            scores[TUNED] = {**decided, **seconds}
        scores[name] = {**scored, **seconds}
    return dict(reversed(scores.items()))


def _seeded(model: Any, seed: int) -> Any:
    """Set every ``random_state`` that is None."""
    unset = [
        name
        for name, value in model.get_params().items()
        if value is None and name.split("__")[-1] == "random_state"
    ]
    return model.set_params(**dict.fromkeys(unset, seed))


def _scored(
    model: Any,
    X: Any,
    codes: NDArray,
    prior: NDArray[np.float64],
    classes: NDArray,
) -> dict[str, NDArray]:
    """Compute the figures of a model that was fitted to labels from `classes`."""
    probabilities = model.predict_proba(X)
    predicted = np.searchsorted(classes, model.predict(X))
    average = "binary" if len(prior) == 2 else "macro"
    honest = shift_probabilities(probabilities, _learned_prior(model, prior), prior)
    figures = {
        "average_precision": macro_average_precision(codes, probabilities),
        "f1": f1_score(codes, predicted, average=average, zero_division=0.0),
        "mcc": matthews_corrcoef(codes, predicted),
        "balanced_accuracy": balanced_accuracy_score(codes, predicted),
        "log_loss": log_loss(codes, honest, labels=np.arange(len(prior))),
    }
    return {name: np.array(value, dtype=float) for name, value in figures.items()}


def _learned_prior(model: Any, prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the class distribution that a model's probabilities hold for."""
    model = getattr(model, "best_estimator_", model)
    last = model[-1] if hasattr(model, "steps") else model
    if isinstance(last, BalancedNeuralClassifier):
        target = resolve_prior(last.target_prior, last.classes_, last.class_prior_)
        return last.effective_prior_ if target is None else target
    if getattr(last, "class_weight", None) == "balanced":
        return np.full(len(prior), 1 / len(prior))
    return prior


def _stacked(of_splits: list[Scores]) -> Scores:
    return {
        name: {
            figure: np.array([scores[name][figure] for scores in of_splits])
            for figure in FIGURES
        }
        for name in of_splits[0]
    }


# -- text ------------------------------------------------------------------------------


def _signed(difference: Difference) -> str:
    low, high = difference.low, difference.high
    return f"{difference.difference:+.3f} [{low:+.3f}, {high:+.3f}]"

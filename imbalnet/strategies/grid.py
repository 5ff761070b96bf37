"""Candidates for scikit-learn's searches, chosen by the labels."""

from __future__ import annotations

from typing import Any, Literal, get_args

from numpy.typing import ArrayLike

from imbalnet._checks import check_known, is_integer
from imbalnet.strategies.levers import levers_for

GridSize = Literal["full", "short"]


def strategy_grid(
    y: ArrayLike,
    X: Any = None,
    *,
    size: GridSize = "full",
    cv: int = 5,
    prefix: str = "",
) -> list[dict[str, list[Any]]]:
    """Return the strategies against imbalance that are worth trying for some labels.

    The first candidate is always the estimator's default. The others depend on the
    number of classes, on the number of rows of the rarest one, and on the ratio of the
    most frequent to the rarest class; :doc:`/guide/strategies` has the table and its
    reasons. All have ``target_prior="train"``, so that probabilities are calibrated for
    the class shares of the data, and log-losses are comparable, too.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Labels that are passed to the search.
    X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features), \
            default=None
        The table that is passed to the classifier. If it is given, SMOTE is a candidate
        if every class has enough rows and no column has gaps: ``SMOTE`` for numbers,
        ``SMOTENC`` for numbers and categories, ``SMOTEN`` for categories. Without it,
        SMOTE is left out, since the kind of SMOTE depends on the columns.
    size : {"full", "short"}, default="full"
        "short" has one candidate for each kind of lever: none, weights, sampler, loss.
    cv : int, default=5
        Number of folds of the search. They hold out rows of the rarest class, which
        limits the number of neighbours of SMOTE.
    prefix : str, default=""
        Prefix of every name, such as ``"clf__"`` for the step "clf" of a pipeline.

    Returns
    -------
    list of dict
        A grid for :class:`~sklearn.model_selection.GridSearchCV` and
        :class:`~sklearn.model_selection.HalvingGridSearchCV`, for
        :class:`~imbalnet.BalancedNeuralClassifier`.

    Raises
    ------
    ValueError
        If `y` has fewer than two classes, or if another parameter is not usable.

    See Also
    --------
    strategy_distributions : Distributions of parameters for a random search.
    strategy_name : Short names of the candidates.
    StrategyComparisonDisplay : Compare the candidates of a fitted search.

    Examples
    --------
    >>> from sklearn.model_selection import ParameterGrid
    >>> from imbalnet.strategies import strategy_grid, strategy_name
    >>> y = [0] * 1900 + [1] * 100
    >>> for candidate in ParameterGrid(strategy_grid(y)):
    ...     print(strategy_name(candidate))
    plain
    balanced, power=0.5
    balanced
    weighted, power=0.5
    stratified_batch, power=0.5
    balanced_batch
    cross_entropy, label_smoothing=0.05
    focal, gamma=1
    focal, gamma=2
    asymmetric, gamma_negative=4
    >>> strategy_grid(y, size="short", prefix="clf__")[0]
    {'clf__target_prior': ['train']}
    """
    check_known("size", size, get_args(GridSize))
    _check_prefix(prefix)
    levers = levers_for(y, X, _checked_folds(cv), is_short=size == "short")
    return [_prefixed(lever.grid, prefix) for lever in levers]


def strategy_distributions(
    y: ArrayLike, X: Any = None, *, cv: int = 5, prefix: str = ""
) -> list[dict[str, Any]]:
    """Return the strategies of :func:`strategy_grid` with distributions of parameters.

    The powers of weights and samplers, gamma, label smoothing and similar parameters
    are drawn from uniform distributions.
    :class:`~sklearn.model_selection.RandomizedSearchCV` first draws a strategy, then
    its parameters, so that all strategies are equally frequent.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Labels that are passed to the search.
    X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features), \
            default=None
        The table that is passed to the classifier, see :func:`strategy_grid`.
    cv : int, default=5
        Number of folds of the search, see :func:`strategy_grid`.
    prefix : str, default=""
        Prefix of every name, such as ``"clf__"`` for the step "clf" of a pipeline.

    Returns
    -------
    list of dict
        For :class:`~sklearn.model_selection.RandomizedSearchCV`: lists of values, and
        distributions of :mod:`scipy.stats`.

    Raises
    ------
    ValueError
        If `y` has fewer than two classes, or if another parameter is not usable.

    Examples
    --------
    >>> from sklearn.model_selection import ParameterSampler
    >>> from imbalnet.strategies import strategy_distributions, strategy_name
    >>> space = strategy_distributions([0] * 1900 + [1] * 100)
    >>> for candidate in ParameterSampler(space, 4, random_state=0):
    ...     print(strategy_name(candidate))
    balanced_batch
    plain
    weighted, power=0.893
    focal, gamma=1.42
    """
    _check_prefix(prefix)
    levers = levers_for(y, X, _checked_folds(cv))
    return [_prefixed({**lever.grid, **lever.ranges}, prefix) for lever in levers]


def _prefixed(params: dict[str, Any], prefix: str) -> dict[str, Any]:
    params = {"target_prior": ["train"], **params}
    return {prefix + name: values for name, values in params.items()}


def _check_prefix(prefix: Any) -> None:
    if not isinstance(prefix, str):
        raise ValueError(f"prefix={prefix!r} must be a str, such as 'clf__'.")


def _checked_folds(cv: Any) -> int:
    if is_integer(cv) and cv >= 2:
        return int(cv)
    raise ValueError(f"cv={cv!r} must be a number of folds, at least 2.")

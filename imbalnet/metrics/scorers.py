"""Scorers for ``scoring=`` that accept any labels, and folds that lack a class.

scikit-learn's ``"average_precision"`` raises for strings as labels, and its scorers of
probabilities for folds that lack a class. The scorers of this module encode the labels
by the estimator's ``classes_``, and call the same metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.metrics._scorer import _BaseScorer
from sklearn.pipeline import Pipeline

from imbalnet._checks import (
    checked_integer,
    checked_share,
    checked_weights,
    did_you_mean,
)
from imbalnet._tables.labels import as_labels, check_lengths, sorted_classes
from imbalnet.metrics._fitted import check_classifier
from imbalnet.metrics._rows import (
    checked_budget,
    pairs_of_labels,
    present_classes,
)
from imbalnet.metrics.costs import least_cost, mean_cost
from imbalnet.metrics.probabilities import brier_skill_score, calibration_error
from imbalnet.metrics.ranking import (
    average_precision_lift,
    lift_at_k,
    precision_at_k,
    recall_at_fpr,
    recall_at_k,
    recall_at_precision,
)

SCORES = ("predict_proba", "decision_function")


class ClassifierScorer(_BaseScorer):
    """A scorer that encodes labels by the classes of the estimator.

    It is called as scikit-learn's scorers are, ``scorer(estimator, X, y)``, and accepts
    ``sample_weight``, also as routed metadata. :func:`get_scorer` returns scorers by
    name.

    Parameters
    ----------
    score_func : callable
        Called as ``score_func(codes, response, classes, **kwargs)``, where `codes` are
        those of the true classes. For `response_method` "predict", `response` holds the
        codes of the predicted classes; otherwise scores, of shape (n_rows,) for the
        second of two classes, or (n_rows, n_classes). To tune a threshold,
        :class:`~sklearn.model_selection.TunedThresholdClassifierCV` calls it with true
        and predicted labels, and without `classes`.
    sign : {1, -1}
        -1 if lower values are better.
    kwargs : dict
        Further arguments of `score_func`.
    response_method : str or tuple of str, default="predict"
        The method of the estimator that is called; of several, the first that exists.

    Examples
    --------
    A custom scorer, the number of missed positives:

    >>> import numpy as np
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from imbalnet.metrics import ClassifierScorer
    >>> def n_missed(codes, predicted, classes, sample_weight=None):
    ...     return np.sum((codes == 1) & (predicted == 0))
    >>> scorer = ClassifierScorer(n_missed, -1, {})
    >>> X, y = make_classification(400, weights=[0.9], random_state=0)
    >>> words = np.where(y == 1, "fraud", "fine")
    >>> scorer(LogisticRegression().fit(X, words), X, words)
    -20.0
    """

    def _score(
        self,
        method_caller: Callable,
        estimator: Any,
        X: Any,
        y_true: Any,
        **kwargs: Any,
    ) -> float:
        method = self._response_method
        check_classifier(estimator, method)
        if method == SCORES:  # scikit-learn caches responses by the method's name
            method = next((name for name in SCORES if hasattr(estimator, name)), method)
        codes, classes = _codes(y_true, _known_classes(estimator, y_true, method))
        response = method_caller(estimator, method, X)
        check_lengths(np.asarray(response), codes)
        if kwargs.get("sample_weight") is not None:
            weight = checked_weights(kwargs["sample_weight"], len(codes))
            kwargs["sample_weight"] = weight
        if method == "predict":
            response, classes = _codes(response, classes)
        else:
            self._reject_unseen(classes[len(estimator.classes_) :])
            response = _one_column_each(np.asarray(response), len(classes))
        return self._sign * self.figure(codes, response, classes, **kwargs)

    def _reject_unseen(self, labels: list) -> None:
        """Raise for labels without a probability; rankings put their class last."""
        if labels and self._response_method == "predict_proba":
            raise ValueError(
                f"y holds the labels {labels}, which the estimator was not fitted with "
                "and gives no probability; use stratified folds, or leave the rows out."
            )

    def figure(
        self, codes: NDArray, response: NDArray, classes: Any, **kwargs: Any
    ) -> float:
        """Return the figure of codes and a response, without the sign of a score.

        Parameters
        ----------
        codes : ndarray of shape (n_rows,)
            True classes, as positions in `classes`.
        response : ndarray of shape (n_rows,) or (n_rows, n_classes)
            Response of the estimator, as `score_func` expects it.
        classes : sequence
            The labels.
        **kwargs
            Further arguments of `score_func`, such as ``sample_weight``.

        Returns
        -------
        float
            The figure.
        """
        arguments = {**self._kwargs, **kwargs}
        return float(self._score_func(codes, response, classes, **arguments))

    def _accept_sample_weight(self) -> bool:
        return True

    def _get_pos_label(self) -> None:
        return None  # classes_[1], for any labels


def _known_classes(estimator: Any, y_true: ArrayLike, method: Any) -> ArrayLike:
    """Return the classes of an estimator, of which each has a column of scores.

    Raises
    ------
    ValueError
        If its scores are not one for each of several classes.
    """
    known = np.asarray(estimator.classes_)
    if len(known) == 1 and method == "predict":  # the positive label may be the other
        return sorted_classes(np.concatenate([known, as_labels(y_true)]))
    if len(known) == 1:
        raise ValueError(
            f"estimator was fitted with rows of one class alone, {known.tolist()}, so "
            "that it has no scores of others; use stratified folds."
        )
    if method == "decision_function" and len(known) > 2 and _is_ovo(estimator):
        raise ValueError(
            "estimator has decision_function_shape='ovo', a score for each pair of "
            "classes; set it to 'ovr', which gives one for each class."
        )
    return known


def _is_ovo(estimator: Any) -> bool:
    """Return whether an SVC, also one in searches and pipelines, scores pairs."""
    if hasattr(estimator, "best_estimator_"):
        return _is_ovo(estimator.best_estimator_)
    if isinstance(estimator, Pipeline):
        return _is_ovo(estimator[-1])
    return getattr(estimator, "decision_function_shape", None) == "ovo"


def _codes(labels: ArrayLike, classes: ArrayLike) -> tuple[NDArray[np.intp], list]:
    """Return the positions of labels in `classes`, to which unknown ones are added."""
    known = np.asarray(classes).tolist()
    distinct, of_rows = np.unique(as_labels(labels), return_inverse=True)
    known += [label for label in distinct.tolist() if label not in known]
    return np.array([known.index(label) for label in distinct.tolist()])[of_rows], known


def _one_column_each(scores: NDArray, n_classes: int) -> NDArray:
    """Return one column for each class; classes unknown to ``fit`` get the lowest."""
    if n_classes == 2:
        return scores
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores])
    lowest = np.full((len(scores), n_classes - scores.shape[1]), scores.min())
    return np.hstack([scores, lowest])


def _encoded(
    true: NDArray, called: NDArray, classes: Sequence | None
) -> tuple[NDArray[np.intp], NDArray[np.intp], Any]:
    """Return codes and classes, also of labels, for which `classes` is None.

    scikit-learn's TunedThresholdClassifierCV does not call scorers, but their function,
    with true and predicted labels.
    """
    return pairs_of_labels(true, called) if classes is None else (true, called, classes)


def _of_columns(classes: Sequence | None) -> Sequence:
    """Return the classes of scores; raise if there are labels in place of scores."""
    if classes is None:
        raise ValueError(
            "A figure of scores or probabilities does not depend on a threshold; tune "
            "the threshold by a figure of decisions, such as 'f1' or 'mcc'."
        )
    return classes


def _of_scores(
    codes: NDArray[np.intp],
    scores: NDArray,
    classes: Sequence | None = None,
    *,
    figure: Callable[..., float],
    chance: float | None = None,
    average: str = "macro",
    **params: Any,
) -> float:
    """Return a figure of two classes; for several, the mean of one against the rest.

    The mean is over the classes that occur; with `average` "weighted", by the sums of
    the weights of their rows. If only one class occurs, the result is `chance`.
    """
    classes = _of_columns(classes)
    present, mass = present_classes(codes, params.get("sample_weight"))
    if len(present) < 2 and chance is not None:
        return chance
    if len(classes) == 2:
        return figure(codes == 1, scores, **params)
    values = [figure(codes == code, scores[:, code], **params) for code in present]
    return float(np.average(values, weights=mass if average == "weighted" else None))


def _of_distribution(
    codes: NDArray[np.intp],
    probabilities: NDArray,
    classes: Sequence | None = None,
    *,
    figure: Callable[..., float],
    chance: float | None = None,
    **params: Any,
) -> float:
    """Return a figure of the probabilities of all classes."""
    classes = _of_columns(classes)
    present, _ = present_classes(codes, params.get("sample_weight"))
    if chance is not None and len(present) < 2:
        return chance
    return figure(codes, probabilities, labels=np.arange(len(classes)), **params)


def _of_decisions(
    codes: NDArray,
    called: NDArray,
    classes: Sequence | None = None,
    *,
    figure: Callable[..., float],
    average: str | None = None,
    **params: Any,
) -> float:
    """Return a figure of the second of two classes, or an average of those that occur.

    That is the mean, unless `average` is another one. An `average` that is given is
    computed for two classes, too.
    """
    codes, called, classes = _encoded(codes, called, classes)
    params["average"] = "binary"
    if len(classes) > 2 or average is not None:
        present, _ = present_classes(codes, params.get("sample_weight"))
        params |= {"average": average or "macro", "labels": present}
    return figure(codes, called, **{"zero_division": 0.0, **params})


def _of_all_decisions(
    codes: NDArray,
    called: NDArray,
    classes: Sequence | None = None,
    *,
    figure: Callable[..., float],
    **params: Any,
) -> float:
    """Return a figure that has no positive class."""
    codes, called, classes = _encoded(codes, called, classes)
    return figure(codes, called, **params)


def _balanced_accuracy(
    codes: NDArray, called: NDArray, sample_weight: ArrayLike | None = None
) -> float:
    # scikit-learn's own warns if a class is predicted that a fold lacks
    present, _ = present_classes(codes, sample_weight)
    return recall_score(
        codes, called, average="macro", labels=present, sample_weight=sample_weight
    )


def _g_mean(
    codes: NDArray, called: NDArray, sample_weight: ArrayLike | None = None
) -> float:
    present, _ = present_classes(codes, sample_weight)
    recalls = recall_score(
        codes, called, average=None, labels=present, sample_weight=sample_weight
    )
    return float(np.prod(recalls) ** (1 / len(recalls)))


def _mcc(codes: NDArray, called: NDArray, **params: Any) -> float:
    if np.array_equal(codes, called) and len(np.unique(codes)) < 2:
        return 0.0  # as in scikit-learn, but without its warning
    return matthews_corrcoef(codes, called, **params)


def _cost(
    codes: NDArray,
    response: NDArray,
    classes: Sequence | None = None,
    *,
    figure: Callable[..., float],
    cost_matrix: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the mean cost of decisions, or of the cheapest decisions."""
    if figure is mean_cost:
        codes, response, classes = _encoded(codes, response, classes)
    labels = np.asarray(_of_columns(classes))
    if figure is mean_cost:
        codes, response = labels[codes], labels[response]
    return figure(
        codes, response, cost_matrix, labels=labels, sample_weight=sample_weight
    )


# -- the registry --------------------------------------------------------------------


def _named(
    call: Callable[..., float], figure: Callable[..., float], **fixed: Any
) -> Any:
    """Bind the figure of a scorer; scikit-learn 1.7 prints the name of the result."""
    bound = partial(call, figure=figure, **fixed)
    vars(bound)["__name__"] = getattr(figure, "__name__", type(figure).__name__)
    return bound


def _ranking(figure: Callable[..., float], chance: float, **params: Any) -> Any:
    score_func = _named(_of_scores, figure=figure, chance=chance)
    return ClassifierScorer(score_func, 1, params, SCORES)


def _decisions(figure: Callable[..., float], **params: Any) -> Any:
    return ClassifierScorer(_named(_of_decisions, figure=figure), 1, params)


def _distribution(figure: Callable[..., float], **params: Any) -> Any:
    score_func = _named(_of_distribution, figure=figure)
    return ClassifierScorer(score_func, -1, params, "predict_proba")


def _all_decisions(figure: Callable[..., float], **params: Any) -> Any:
    return ClassifierScorer(_named(_of_all_decisions, figure=figure), 1, params)


SCORERS: dict[str, ClassifierScorer] = {
    "average_precision": _ranking(average_precision_score, 0.0),
    "average_precision_weighted": _ranking(
        average_precision_score, 0.0, average="weighted"
    ),
    "average_precision_lift": _ranking(average_precision_lift, 1.0),
    "roc_auc": _ranking(roc_auc_score, 0.5),
    "precision_at_k": _ranking(precision_at_k, 0.0, k=0.01),
    "recall_at_k": _ranking(recall_at_k, 0.0, k=0.01),
    "lift_at_k": _ranking(lift_at_k, 1.0, k=0.01),
    "recall_at_precision": _ranking(recall_at_precision, 0.0, precision=0.9),
    "recall_at_fpr": _ranking(recall_at_fpr, 0.0, fpr=0.01),
    "neg_log_loss": _distribution(log_loss),
    "neg_brier_score": _distribution(brier_score_loss),
    "brier_skill": ClassifierScorer(
        _named(_of_distribution, figure=brier_skill_score, chance=0.0),
        1,
        {},
        "predict_proba",
    ),
    "neg_calibration_error": ClassifierScorer(
        _named(_of_scores, figure=calibration_error), -1, {}, "predict_proba"
    ),
    "f1": _decisions(f1_score),
    "f1_weighted": _decisions(f1_score, average="weighted"),
    "precision": _decisions(precision_score),
    "recall": _decisions(recall_score),
    "balanced_accuracy": _all_decisions(_balanced_accuracy),
    "g_mean": _all_decisions(_g_mean),
    "neg_mean_cost": ClassifierScorer(_named(_cost, figure=mean_cost), -1, {}),
    "neg_least_cost": ClassifierScorer(
        _named(_cost, figure=least_cost), -1, {}, "predict_proba"
    ),
    "mcc": _all_decisions(_mcc),
}


# Parameters of figures that can be checked without any rows.
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "k": checked_budget,
    "precision": checked_share,
    "fpr": checked_share,
    "n_bins": checked_integer,
}
_AVERAGES = "macro", "weighted"
# Arguments of figures that are data, not parameters.
_GIVEN = {"y_true", "y_score", "y_pred", "y_proba", "probabilities", "codes", "called"}
_GIVEN |= {"labels", "pos_label", "sample_weight", "params"}


def get_scorer(name: str, **params: Any) -> ClassifierScorer:
    """Return a scorer for ``scoring=``, with parameters of its figure.

    Parameters
    ----------
    name : str
        A key of ``SCORERS``.
    **params
        Parameters of the figure, such as ``k=100`` of "precision_at_k",
        ``precision=0.8`` of "recall_at_precision", ``n_bins=20`` of
        "neg_calibration_error" or ``cost_matrix=`` of "neg_mean_cost", and
        ``average="weighted"`` for several classes.

    Returns
    -------
    ClassifierScorer
        Higher is better; names with ``neg_`` in front have the minus sign.

    Raises
    ------
    ValueError
        If the name or a parameter is unknown, or if a parameter is not usable.

    See Also
    --------
    sklearn.metrics.get_scorer : The scorers of scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_validate
    >>> from imbalnet.metrics import get_scorer
    >>> X, y = make_classification(400, weights=[0.9], random_state=0)
    >>> words = np.where(y == 1, "fraud", "fine")
    >>> scoring = {
    ...     "ap": get_scorer("average_precision"),
    ...     "at_20": get_scorer("precision_at_k", k=20),
    ... }
    >>> scores = cross_validate(LogisticRegression(), X, words, scoring=scoring)
    >>> scores["test_ap"].shape
    (5,)
    """
    if not isinstance(name, str) or name not in SCORERS:
        raise ValueError(
            f"name={name!r} is unknown: the scorers are {sorted(SCORERS)}."
            f"{did_you_mean(name, SCORERS)}"
        )
    scorer = SCORERS[name]
    score_func = scorer._score_func
    known = {*signature(score_func.keywords["figure"]).parameters, "average"} - _GIVEN
    if score_func.func not in (_of_scores, _of_decisions):
        known.remove("average")  # they have no positive class
    for param, value in params.items():
        if param not in known:
            raise ValueError(
                f"{name!r} has no parameter {param!r}; it has {sorted(known) or None}."
                f"{did_you_mean(param, known)}"
            )
        averages = [*_AVERAGES, *["micro"] * (score_func.func is _of_decisions)]
        if param == "average" and value not in averages:
            raise ValueError(f"average={value!r} must be one of {averages}.")
        if param in _CHECKS:
            _CHECKS[param](param, value)
    return ClassifierScorer(
        score_func, scorer._sign, {**scorer._kwargs, **params}, scorer._response_method
    )

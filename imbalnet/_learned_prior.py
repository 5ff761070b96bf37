"""The class distribution that a classifier of any kind was fitted to.

Class weights, sample weights and the resampling steps of a pipeline change it. For
:class:`imbalnet.prior_shift.PriorShiftClassifier`, this module records the labels and
weights that the classifier itself is fitted with, and multiplies by its class weights.
Classifiers whose distribution cannot be computed this way are refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

from imbalnet._tables.labels import as_codes, as_labels, as_weights
from imbalnet.class_weights import class_weights
from imbalnet.posterior import effective_prior

# Parameters that change the class distribution in a way that is not modelled here, and
# their values that do not change it.
_NEUTRAL = {
    "auto_class_weights": (None, "None"),
    "class_prior": (None,),
    "class_weights": (None,),
    "fit_prior": (True,),
    "is_unbalance": (None, False),
    "pos_weight": (None,),
    "priors": (None,),
    "sampler": (None,),
    "sampling_strategy": (),
    "target_prior": (),
    "weight": (None,),
}
# Base classes whose probabilities do not follow weights: leaves of one class give 0 and
# 1 whatever the weights, and the probabilities of an SVC are fitted without them.
_WITHOUT_WEIGHTS = {"BaseBagging", "BaseDecisionTree", "BaseForest", "BaseLibSVM"}
# Classes whose probabilities do not depend on the class distribution at all.
_WITHOUT_PRIOR = {"ComplementNB"}
_CURE = (
    "give effective_prior the class distribution that its probabilities hold for, such "
    'as "uniform" after balancing'
)


class FitRecorder(BaseEstimator):
    """Wrap a classifier, and record the labels and weights that it is fitted with."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: ArrayLike, **fit_params: Any) -> FitRecorder:
        """Fit the classifier."""
        self.labels_, self.weight_ = y, fit_params.get("sample_weight")
        self.estimator.fit(X, y, **fit_params)
        return self

    def get_metadata_routing(self) -> Any:
        """Request what the classifier requests."""
        return get_routing_for_object(self.estimator)

    def __sklearn_tags__(self) -> Tags:
        return get_tags(self.estimator)


def last_step(model: Any) -> Any:
    """Return the classifier at the end of a pipeline, or of pipelines in it."""
    while isinstance(model, Pipeline):
        model = model.steps[-1][1]
    return model


def replace_last_step(model: Any, last: Any) -> Any:
    """Return `model` with `last` as its classifier; pipelines are changed in place."""
    if not isinstance(model, Pipeline):
        return last
    name, inner = model.steps[-1]
    model.steps = [*model.steps[:-1], (name, replace_last_step(inner, last))]
    return model


def check_is_known(model: Any) -> None:
    """Raise unless the class distribution that a model learns can be computed."""
    last = last_step(model)
    params = last.get_params()
    title = f"effective_prior='auto' with {type(last).__name__}"
    inside = [name for name, value in params.items() if hasattr(value, "fit")]
    if inside:
        raise ValueError(
            f"{title}: what becomes of weights and rows in its {inside[0]} is not "
            f"known; wrap that classifier instead, or {_CURE}."
        )
    if _WITHOUT_PRIOR & _bases(last):
        raise ValueError(
            f"{title}: its probabilities do not follow the class distribution; {_CURE}."
        )
    for name, value in params.items():  # also criterion__weight, as skorch has it
        neutral = _NEUTRAL.get(name.split("__")[-1], (value,))
        if not any(value is of for of in neutral):
            raise ValueError(
                f"{title}: its {name}={value!r} changes the class distribution in a "
                f"way of its own; {_CURE}."
            )
    weights = params.get("class_weight")
    if not (weights is None or isinstance(weights, dict) or _is_balanced(weights)):
        raise ValueError(
            f"{title}: its class_weight={weights!r} is neither None, 'balanced' nor a "
            f"dict; {_CURE}."
        )


def learned_prior(recorder: FitRecorder, classes: NDArray) -> NDArray[np.float64]:
    """Compute the class distribution that the recorded classifier has learned."""
    model = recorder.estimator
    codes = as_codes(as_labels(recorder.labels_), classes)
    weight = as_weights(recorder.weight_, codes[:, None])
    counts = np.bincount(codes, weight, minlength=len(classes))
    params = model.get_params(deep=False)
    factors = _class_factors(params, counts, classes)
    is_weighted = weight is not None and np.ptp(weight) > 0
    has_factors = np.ptp(factors[counts > 0]) > 0
    title = f"effective_prior='auto' with {type(model).__name__}"
    if has_factors and is_weighted and _is_balanced(params.get("class_weight")):
        raise ValueError(
            f"{title}: classifiers differ in whether class_weight='balanced' counts "
            f"rows or the sum of their sample_weight; {_CURE}."
        )
    if (has_factors or is_weighted) and _bases(model) & _WITHOUT_WEIGHTS:
        raise ValueError(
            f"{title}: its probabilities do not follow weights in closed form; leave "
            f"the weights out, or {_CURE}."
        )
    return effective_prior(counts, factors)


def _bases(model: Any) -> set[str]:
    """Return the names of a model's class and its base classes."""
    return {base.__name__ for base in type(model).__mro__}


def _is_balanced(class_weight: Any) -> bool:
    return isinstance(class_weight, str) and class_weight == "balanced"


def _class_factors(
    params: dict[str, Any], counts: NDArray, classes: NDArray
) -> NDArray[np.float64]:
    """Return the class weights that the classifier's parameters imply."""
    factors = class_weights(counts, params.get("class_weight"), classes=classes)
    of_positive = params.get("scale_pos_weight")
    if of_positive is not None and len(classes) == 2:
        factors = factors * [1.0, of_positive]
    return factors

"""Probabilities of any classifier for another class distribution.

:class:`PriorShiftClassifier` does for other classifiers what the parameter
``target_prior`` does for the network of this package.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    _fit_context,
    clone,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from imbalnet._learned_prior import (
    FitRecorder,
    check_is_known,
    last_step,
    learned_prior,
    replace_last_step,
)
from imbalnet._nested import accepted_names
from imbalnet._tables.labels import as_codes, as_labels, as_weights, sorted_classes
from imbalnet.posterior import effective_prior, shift_probabilities
from imbalnet.posterior.prior import class_distribution, target_distribution

__all__ = ["PriorShiftClassifier"]


def __dir__() -> list[str]:
    return sorted(__all__)


class PriorShiftClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Convert the probabilities of a classifier to another class distribution.

    After class weights or resampling, a classifier predicts probabilities for a class
    distribution that the data does not have. This meta-estimator fits the classifier,
    computes that distribution, and converts the probabilities to `target_prior` by
    :func:`~imbalnet.posterior.shift_probabilities`. With two classes, the ranking of
    the rows does not change.

    Parameters
    ----------
    estimator : estimator instance
        A classifier with ``predict_proba``, or a pipeline that ends in one, also one of
        imbalanced-learn. Its clone is fitted.

    target_prior : {"train", "uniform"}, dict, Series, array-like or None, \
            default="train"
        Class distribution that probabilities are computed for: "train" is that of the
        labels passed to ``fit``, before any resampling. A dict or pandas Series (label
        to probability), or an array in the order of ``classes_``, is the base rate at
        the place of use. None leaves the probabilities as they are. You can
        change it after ``fit``.

    effective_prior : {"auto", "train", "uniform"}, dict, Series or array-like, \
            default="auto"
        Class distribution that the probabilities of `estimator` hold for. With "auto",
        it is computed from the rows that the classifier is fitted to (after the
        resampling steps of a pipeline), times their weights, times ``class_weight`` or
        ``scale_pos_weight``. ``fit`` raises an error if these do not determine it, such
        as in a search or an ensemble that resamples. "uniform" is right after
        balancing, and "train" for a calibrated classifier.

    Attributes
    ----------
    estimator_ : estimator instance
        The fitted classifier.

    classes_ : ndarray of shape (n_classes,)
        The sorted labels.

    class_prior_ : ndarray of shape (n_classes,)
        Class frequencies of the labels passed to ``fit``, weighted by `sample_weight`.

    effective_prior_ : ndarray of shape (n_classes,)
        Class distribution that the probabilities of `estimator_` hold for.

    n_features_in_ : int
        Number of columns, if `estimator_` has this attribute.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if `estimator_` has this attribute.

    See Also
    --------
    imbalnet.posterior.shift_probabilities : The same for an array of probabilities.
    sklearn.calibration.CalibratedClassifierCV : Calibrates probabilities on held-out
        rows, which takes further fits.
    sklearn.model_selection.FixedThresholdClassifier : Predicts by a threshold.

    Notes
    -----
    The shift is exact for a classifier that minimises a weighted log-loss and fits the
    data. It does not cure overfitting. After SMOTE, whose rows are synthetic, it is an
    approximation.

    `sample_weight` is how often a row counts in the data, and is part of
    ``class_prior_``. Weights that reach a step of a pipeline under another name, such
    as ``logisticregression__sample_weight``, change ``effective_prior_`` only.

    Examples
    --------
    >>> from imblearn.over_sampling import RandomOverSampler
    >>> from imblearn.pipeline import make_pipeline
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from imbalnet.prior_shift import PriorShiftClassifier
    >>> X, y = make_classification(5000, weights=[0.95], class_sep=0.5, random_state=0)
    >>> sampler = RandomOverSampler(random_state=0)
    >>> pipeline = make_pipeline(sampler, LogisticRegression())
    >>> bool(pipeline.fit(X, y).predict_proba(X)[:, 1].mean() > 0.1)
    True
    >>> shifted = PriorShiftClassifier(pipeline).fit(X, y)
    >>> shifted.effective_prior_.round(2).tolist()
    [0.5, 0.5]
    >>> round(float(shifted.predict_proba(X)[:, 1].mean()), 2)
    0.05
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "target_prior": [StrOptions({"train", "uniform"}), dict, "array-like", None],
        "effective_prior": [
            StrOptions({"auto", "train", "uniform"}),
            dict,
            "array-like",
        ],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        target_prior: Any = "train",
        effective_prior: Any = "auto",
    ) -> None:
        self.estimator = estimator
        self.target_prior = target_prior
        self.effective_prior = effective_prior

    @_fit_context(prefer_skip_nested_validation=False)  # `estimator` validates its own
    def fit(
        self, X: Any, y: ArrayLike, sample_weight: Any = None, **fit_params: Any
    ) -> PriorShiftClassifier:
        """Fit the classifier, and compute the class distribution that it learns.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_rows, n_features)
            Training rows, as `estimator` takes them.
        y : array-like of shape (n_rows,)
            Labels.
        sample_weight : array-like of shape (n_rows,), default=None
            How often each row counts; passed to ``estimator.fit``.
        **fit_params : dict
            Further arguments of ``estimator.fit``.

        Returns
        -------
        self : PriorShiftClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a prior is no distribution of the classes, if ``effective_prior="auto"``
            cannot be computed, or if `estimator` takes no `sample_weight`.
        """
        labels = as_labels(y)
        classes = sorted_classes(labels)
        codes = as_codes(labels, classes)
        weight = as_weights(sample_weight, codes[:, None])
        prior = effective_prior(np.bincount(codes, weight))
        self._target(classes, prior)
        learned = self._given(classes, prior)
        fit_params = self._routed(sample_weight, fit_params)
        fitted, learned = _fitted(clone(self.estimator), X, y, fit_params, learned)
        _check_classes(fitted, classes)
        self.estimator_, self.classes_ = fitted, classes
        self.class_prior_, self.effective_prior_ = prior, learned
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Compute class probabilities under `target_prior`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_rows, n_features)
            Rows, as `estimator` takes them.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Probabilities in the order of ``classes_``.
        """
        check_is_fitted(self)
        target = self._target(self.classes_, self.class_prior_)
        probabilities = self.estimator_.predict_proba(X)
        if target is None:
            return probabilities
        return shift_probabilities(probabilities, self.effective_prior_, target)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Compute the logarithms of :meth:`predict_proba`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_rows, n_features)
            Rows, as `estimator` takes them.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Log probabilities in the order of ``classes_``.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> NDArray:
        """Predict the class that is most likely under `target_prior`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_rows, n_features)
            Rows, as `estimator` takes them.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels.
        """
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata is routed: ``fit`` passes it on to `estimator`.

        Returns
        -------
        MetadataRouter
            The routing, see scikit-learn's user guide.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.non_deterministic = inner.non_deterministic
        if inner.classifier_tags is not None:
            tags.classifier_tags = inner.classifier_tags
        return tags

    def _target(self, classes: NDArray, class_prior: NDArray) -> NDArray | None:
        return target_distribution(self.target_prior, classes, class_prior)

    def _given(self, classes: NDArray, class_prior: NDArray) -> NDArray | None:
        """Return the effective prior that the user passed, or None for "auto"."""
        if isinstance(self.effective_prior, str) and self.effective_prior == "auto":
            check_is_known(self.estimator)
            return None
        return class_distribution(
            "effective_prior", self.effective_prior, classes, class_prior
        )

    def _routed(self, sample_weight: Any, fit_params: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of ``estimator.fit``."""
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(
                self, "fit", sample_weight=sample_weight, **fit_params
            )
            return routed["estimator"]["fit"]
        if sample_weight is None:
            return fit_params
        if not _takes_weight(self.estimator):
            raise ValueError(
                f"sample_weight: {type(self.estimator).__name__}.fit takes none; leave "
                "it out, or for a step of a pipeline enable scikit-learn's metadata "
                "routing."
            )
        return {**fit_params, "sample_weight": sample_weight}


def _takes_weight(estimator: Any) -> bool:
    """Return whether ``fit`` takes `sample_weight`, by name or as searches do."""
    if has_fit_parameter(estimator, "sample_weight"):
        return True
    takes_any = accepted_names(estimator.fit) is None
    return takes_any and not isinstance(estimator, Pipeline)  # it wants step__name


def _fitted(
    model: Any,
    X: Any,
    y: ArrayLike,
    fit_params: dict[str, Any],
    learned: NDArray | None,
) -> tuple[Any, NDArray[np.float64]]:
    """Fit a model; return it with `learned`, which is computed if it is None."""
    if learned is not None:
        return model.fit(X, y, **fit_params), learned
    recorder = FitRecorder(last_step(model))
    replace_last_step(model, recorder).fit(X, y, **fit_params)
    model = replace_last_step(model, recorder.estimator)
    return model, learned_prior(recorder, recorder.estimator.classes_)


def _check_classes(model: Any, classes: NDArray) -> None:
    """Raise if the classes of a fitted model are not those of y."""
    known = np.asarray(model.classes_)
    if not np.array_equal(known, classes):
        raise ValueError(
            f"{type(model).__name__} knows the classes {known.tolist()}, but y has "
            f"{classes.tolist()}; give rows of the same classes, and no sampler that "
            "removes one."
        )

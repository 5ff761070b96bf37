"""scikit-learn's and imbalanced-learn's own checks, on every kind of configuration."""

from __future__ import annotations

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.utils.estimator_checks import (
    check_classifier_on_multilabel_or_multioutput_targets,
    check_classifiers_with_encoded_labels,
)
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import (
    check_param_validation,
    parametrize_with_checks,
)

from imbalnet import BalancedNeuralClassifier

# The networks, and every kind of lever on the mlp.
CONFIGURATIONS = {
    "default": {},
    "quick": {"preset": "quick"},
    "one member": {"module": "tabular", "n_members": 1},
    "linear": {"module": "linear"},
    "mlp": {"module": "mlp"},
}
LEVERS = {
    "focal": {"loss": "focal"},
    "balanced": {"class_weight": "balanced"},
    "weighted sampler": {"sampler": "weighted"},
    "resampler": {"sampler": RandomOverSampler()},
    "members": {"n_members": 3, "batch_size": 16},
    "float64": {"dtype": "float64"},
    "float64 focal": {"dtype": "float64", "loss": "focal"},
    "float64 balanced": {"dtype": "float64", "class_weight": "balanced"},
    "float64 weighted sampler": {"dtype": "float64", "sampler": "weighted"},
    "float64 ldam": {"dtype": "float64", "loss": "ldam"},
    "float64 vector scaling, stratified": {
        "dtype": "float64",
        "loss": "vector_scaling",
        "sampler": "stratified_batch",
    },
    "float64 linear": {"dtype": "float64", "module": "linear"},
}
CONFIGURATIONS |= {name: {"module": "mlp", **lever} for name, lever in LEVERS.items()}
ESTIMATORS = {
    name: BalancedNeuralClassifier(**params) for name, params in CONFIGURATIONS.items()
}

EQUIVALENCE_CHECKS = [
    f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")
]


# Single networks that draw no rows: weights and repetitions train them alike.
EQUIVALENT = [
    name
    for name in CONFIGURATIONS
    if name not in ("default", "quick", "members", "resampler")
]


def expected_failures(estimator):
    """The two checks that set `cv`, and so compare ensembles of three members."""
    if hasattr(estimator.sampler, "fit_resample"):
        reason = "the sampler draws rows at random: weights and repetitions draw others"
    else:
        reason = (
            "out of fold, weights count as their effective number of rows, repetitions "
            "as rows; test_sample_weight_equals_repetition holds single networks to it"
        )
    return dict.fromkeys(EQUIVALENCE_CHECKS, reason)


# What is above in float32, for test_sample_weight_equals_repetition.
REPEATED = [f"float64 {name}" for name in ("focal", "balanced", "weighted sampler")]
REPEATED += ["float64 linear"]


@parametrize_with_checks(
    [estimator for name, estimator in ESTIMATORS.items() if name not in REPEATED],
    expected_failed_checks=expected_failures,
)
def test_estimator_check(estimator, check):
    check(estimator)


@pytest.mark.long
@parametrize_with_checks(
    [ESTIMATORS[name] for name in REPEATED], expected_failed_checks=expected_failures
)
def test_estimator_check_in_float64(estimator, check):
    check(estimator)


class WithoutCV(ClassifierMixin, BaseEstimator):
    """A classifier that has no parameter `cv` for the check to set."""

    def __init__(self, classifier, random_state=None):
        self.classifier, self.random_state = classifier, random_state

    def fit(self, X, y, sample_weight=None):
        self.fitted_ = clone(self.classifier).set_params(random_state=self.random_state)
        self.fitted_.fit(X, y, sample_weight)
        return self

    def predict_proba(self, X):
        return self.fitted_.predict_proba(X)

    def decision_function(self, X):
        return self.fitted_.decision_function(X)

    def predict(self, X):
        return self.fitted_.predict(X)


@pytest.mark.parametrize("name", EQUIVALENT)
@pytest.mark.parametrize("check", EQUIVALENCE_CHECKS)
def test_sample_weight_equals_repetition(name, check, monkeypatch):
    """scikit-learn's check, for float32 at 1e-5 instead of 1e-7."""
    compared = []
    estimator = clone(ESTIMATORS[name])
    tolerance = 1e-5 if estimator.dtype == "float32" else 0.0

    def assert_close(actual, desired, err_msg=""):
        compared.append(actual)
        np.testing.assert_allclose(actual, desired, atol=tolerance, err_msg=err_msg)

    monkeypatch.setattr(estimator_checks, "assert_allclose_dense_sparse", assert_close)
    if name == "one member":
        estimator.set_params(module__dropout=0.0)
    getattr(estimator_checks, check)("WithoutCV", WithoutCV(estimator))
    assert compared


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_param_validation(name):
    check_param_validation("BalancedNeuralClassifier", ESTIMATORS[name])


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize(
    "check",
    [
        check_classifier_on_multilabel_or_multioutput_targets,
        check_classifiers_with_encoded_labels,
    ],
)
def test_imblearn_check(name, check):
    check(name, ESTIMATORS[name])

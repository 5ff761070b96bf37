"""scikit-learn's and imbalanced-learn's own checks, on every kind of configuration."""

from __future__ import annotations

import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.utils.estimator_checks import (
    check_classifier_on_multilabel_or_multioutput_targets,
    check_classifiers_with_encoded_labels,
)
from sklearn.utils.estimator_checks import (
    check_param_validation,
    parametrize_with_checks,
)

from imbalnet import BalancedNeuralClassifier

CONFIGURATIONS = {
    "default": {},
    "focal": {"loss": "focal"},
    "balanced": {"class_weight": "balanced"},
    "weighted sampler": {"sampler": "weighted"},
    "resampler": {"sampler": RandomOverSampler()},
    "linear": {"module": "linear"},
    "float64": {"dtype": "float64"},
}


@parametrize_with_checks(
    [BalancedNeuralClassifier(**params) for params in CONFIGURATIONS.values()]
)
def test_estimator_check(estimator, check):
    check(estimator)

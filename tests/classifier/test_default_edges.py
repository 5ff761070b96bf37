"""The default where warm starts, callbacks, weights and columns are unusual."""

import numpy as np
import pytest
from skorch.callbacks import EpochScoring

from imbalnet import BalancedNeuralClassifier

SMALL = {"module__hidden_sizes": (8,), "n_members": 3, "random_state": 0}


@pytest.fixture
def noise(rng):
    return rng.normal(size=(120, 5)), rng.integers(0, 2, 120)


def classifier(**params):
    return BalancedNeuralClassifier(**{**SMALL, "max_epochs": 3, **params})


def trained_in_parts(clf, X, y):
    return clf.partial_fit(X, y, classes=[0, 1])


def trained_without_folds(clf, X, y):
    return clf.set_params(early_stopping=False).fit(X, y)


def trained_on_rows_in_another_order(clf, X, y):
    return clf.fit(X[::-1], y[::-1])


@pytest.mark.parametrize(
    "train",
    [trained_in_parts, trained_without_folds, trained_on_rows_in_another_order],
)
def test_members_that_may_know_a_row_do_not_judge_it(train, noise):
    clf = train(classifier(warm_start=True), *noise)
    with pytest.warns(UserWarning, match="no oof_proba_") as caught:
        clf.set_params(early_stopping="auto").fit(*noise)
    assert caught[0].filename == __file__
    with pytest.raises(AttributeError, match="oof_proba_"):
        clf.oof_proba_  # noqa: B018
    assert clf.temperature_ == 1.0


def test_warm_start_on_the_same_rows_keeps_the_folds_honest(noise):
    clf = classifier(warm_start=True).fit(*noise)
    assert clf.fit(*noise).oof_proba_.shape == (120, 2)


@pytest.mark.parametrize("params", [{}, {"module": "mlp", "n_members": 1}])
def test_scores_of_training_rows_are_of_the_rows_in_order(params, rng):
    X = rng.normal(size=(200, 3))
    y = (X[:, 0] > 0).astype(int)
    score = EpochScoring("roc_auc", lower_is_better=False, on_train=True, name="auc")
    clf = classifier(callbacks=[score], max_epochs=10, learning_rate=0.01, **params)
    assert clf.fit(X, y).history_[-1, "auc"] > 0.9


@pytest.mark.parametrize("scale", [1e-39, 1e200])
@pytest.mark.parametrize("params", [{}, {"module": "mlp", "n_members": 1}])
def test_the_unit_of_weights_does_not_matter(params, scale, rng):
    X = rng.normal(size=(200, 3))
    y = (X[:, 0] > 0).astype(int)
    weight = rng.uniform(0.5, 1.0, 200)
    a, b = (
        classifier(**params).fit(X, y, weight * unit).predict_proba(X)
        for unit in (1.0, scale)
    )
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_class_of_weight_zero_leaves_the_temperature_alone(rng):
    X = rng.normal(size=(200, 3))
    y = (X[:, 0] > 0).astype(int)
    clf = classifier(class_weight={0: 1.0, 1: 0.0}).fit(X, y)
    assert clf.temperature_ == pytest.approx(1.0, abs=0.1)


def test_a_network_for_thousands_of_columns_warns(rng):
    X = rng.normal(size=(30, 2000))
    classifier = BalancedNeuralClassifier(
        module__hidden_sizes=(640,), max_epochs=1, random_state=0
    )
    with pytest.warns(UserWarning, match=r"has 10,\d{3},\d{3} parameters. Fewer mem"):
        classifier.fit(X, X[:, 0] > 0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module__clip": None}, "module__clip must be"),
        ({"module__n_bins": "many"}, "module__n_bins must be"),
        ({"module__hidden_sizes": 64}, "module__hidden_sizes must be"),
    ],
)
def test_wrong_parameters_of_the_network_are_named(params, message, noise):
    with pytest.raises(ValueError, match=message):
        classifier(**params).fit(*noise)

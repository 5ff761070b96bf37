"""``threshold=``: predict at a threshold that out-of-fold rows chose."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import f1_score, matthews_corrcoef
from sklearn.model_selection import GridSearchCV

from imbalnet import BalancedNeuralClassifier
from imbalnet._calibration import OutOfFold
from imbalnet.decisions import (
    CRITERIA,
    AlertShare,
    LeastCost,
    PrecisionAtLeast,
    choose_threshold,
)


def new(**params):
    defaults = {"module": "mlp", "n_members": 3, "max_epochs": 4, "random_state": 0}
    return BalancedNeuralClassifier(**{**defaults, **params})


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_200, 4))
    y = (rng.random(1_200) < 1 / (1 + np.exp(3.0 - 1.5 * X[:, 0]))).astype(int)
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def fitted(table):
    return new(threshold="f1").fit(*table)


def test_predict_calls_rows_from_the_threshold_on(fitted, table):
    X, y = table
    expected = choose_threshold(y, fitted.oof_proba_, "f1")
    assert fitted.threshold_ == expected
    assert 0.05 < expected < 0.45
    called = fitted.predict_proba(X)[:, 1] >= expected
    np.testing.assert_array_equal(fitted.predict(X), called)


@pytest.mark.parametrize(
    "criterion", [*CRITERIA, PrecisionAtLeast(0.5), AlertShare(0.1), matthews_corrcoef]
)
def test_threshold_is_read_at_prediction_time(criterion, fitted, table):
    X, y = table
    clf = pickle.loads(pickle.dumps(fitted)).set_params(threshold=criterion)
    assert clf.threshold_ == choose_threshold(y, fitted.oof_proba_, criterion)
    np.testing.assert_array_equal(
        clf.predict(X), clf.predict_proba(X)[:, 1] >= clf.threshold_
    )
    clf.set_params(threshold=None)
    np.testing.assert_array_equal(clf.predict(X), clf.predict_proba(X)[:, 1] > 0.5)


def test_a_number_is_the_threshold(fitted, table):
    X, _ = table
    clf = clone(fitted).set_params(threshold=0.1, n_members=1).fit(*table)
    assert clf.threshold_ == 0.1
    np.testing.assert_array_equal(clf.predict(X), clf.predict_proba(X)[:, 1] >= 0.1)


def test_threshold_follows_the_target_prior(fitted, table):
    _, y = table
    clf = pickle.loads(pickle.dumps(fitted)).set_params(target_prior=[0.5, 0.5])
    share = np.bincount(y) / len(y)
    weight = (0.5 / share)[y]
    expected = choose_threshold(y, clf.oof_proba_, "f1", sample_weight=weight)
    assert clf.threshold_ == pytest.approx(expected, abs=1e-12)
    assert clf.threshold_ > fitted.threshold_


def test_weights_and_classes_reach_the_criterion(table):
    X, y = table
    words = np.where(y == 1, "fraud", "fine")
    weight = np.where(np.arange(len(y)) % 3 == 0, 0.0, 2.0)
    seen = []

    def figure(true, called, sample_weight):
        seen.append((set(true) | set(called), len(true), set(sample_weight)))
        return f1_score(true, called, pos_label="fraud", sample_weight=sample_weight)

    clf = new(threshold=figure).fit(X, words, sample_weight=weight)
    assert {n_rows for _, n_rows, _ in seen} == {int((weight > 0).sum())}
    assert seen[0][0] <= {"fine", "fraud"}
    assert set(clf.predict(X)) == {"fine", "fraud"}


@pytest.mark.parametrize("weight", [None, "balanced"])
def test_class_weights_change_the_scale_and_not_the_decisions(weight, table):
    """Thresholds of probabilities under the effective prior mean nearly the same."""
    X, y = table
    clf = new(threshold="f1", class_weight=weight).fit(X, y)
    assert f1_score(y, clf.predict(X)) > 0.3
    assert (clf.threshold_ > 0.4) == (weight == "balanced")


def test_threshold_is_chosen_once(fitted, table, monkeypatch):
    X, _ = table
    clf = pickle.loads(pickle.dumps(fitted))
    calls = []
    original = OutOfFold.best_threshold
    monkeypatch.setattr(
        OutOfFold,
        "best_threshold",
        lambda self, *args: calls.append(args) or original(self, *args),
    )
    for _ in range(3):
        clf.predict(X[:5])
    assert len(calls) == 1


def test_few_positives_warn_in_fit(table):
    X, y = table
    rare = y * (np.cumsum(y) <= 10)
    with pytest.warns(UserWarning, match="chosen by 10 positive rows"):
        new(threshold="f1").fit(X, rare)


def test_a_frequent_positive_class_is_told_where_it_chooses(table):
    X, y = table
    labels = np.where(y == 1, "fraud", "ok")
    with pytest.warns(UserWarning, match="class is 'ok'.* give y == 'fraud'"):
        new(threshold="f1").fit(X, labels)
    new(threshold=0.3).fit(X, labels)  # nothing is chosen, and nothing warns


def test_a_search_goes_over_thresholds(table):
    X, y = table
    grid = {"threshold": [0.01, "f1"]}
    search = GridSearchCV(new(), grid, scoring="f1", cv=2).fit(X, y)
    assert search.best_params_ == {"threshold": "f1"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"threshold": "f3"}, "threshold='f3' must be a number"),
        (
            {"threshold": 1.5},
            "threshold=1.5 must be a number that lies between 0 and 1",
        ),
        (
            {"threshold": LeastCost(1.0, np.ones(1_200))},
            "a parameter cannot know the rows",
        ),
        ({"threshold": "f1", "n_members": 1}, "with n_members of at least 2"),
        (
            {"threshold": 0.2, "cost_matrix": [[0, 1], [9, 0]]},
            "threshold and cost_matrix both decide",
        ),
        (
            {"threshold": "f1", "early_stopping": False},
            "out-of-fold rows, which there are in fit with n_members",
        ),
    ],
)
def test_what_is_wrong_is_named_in_fit(params, message, table):
    clf = new(**params)
    with pytest.raises((ValueError, AttributeError), match=message):
        clf.fit(*table)
    assert not hasattr(clf, "net_")


def test_thresholds_are_for_two_classes(table):
    X, y = table
    with pytest.raises(ValueError, match="decides between two classes, but y holds 3"):
        new(threshold="f1").fit(X, y + (X[:, 1] > 1))


def test_partial_fit_takes_numbers_only(table):
    with pytest.raises(ValueError, match="chosen by out-of-fold rows"):
        new(threshold="f1").partial_fit(*table, classes=[0, 1])
    clf = new(threshold=0.3).partial_fit(*table, classes=[0, 1])
    assert clf.threshold_ == 0.3


def test_without_a_threshold_there_is_none(table):
    clf = new().fit(*table)
    assert not hasattr(clf, "threshold_")


@pytest.mark.parametrize("how", ["early_stopping=False", "X_val", "one member"])
def test_threshold_without_out_of_fold_rows_is_named_before_training(how):
    X, y = np.random.default_rng(0).normal(size=(80, 2)), np.arange(80) % 4 == 0
    params = {"early_stopping=False": {"early_stopping": False}}.get(how, {})
    clf = BalancedNeuralClassifier("mlp", n_members=1 + (how != "one member"), **params)
    given = (X, y) if how == "X_val" else (None, None)
    with pytest.raises(ValueError, match="chosen by out-of-fold rows"):
        clf.set_params(threshold="f1").fit(X, y, None, *given)
    assert not hasattr(clf, "net_")

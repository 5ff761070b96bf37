"""Scorers, where scikit-learn uses them and with the labels that people have."""

from __future__ import annotations

import pickle
from functools import wraps

import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.metrics import geometric_mean_score
from sklearn import metrics
from sklearn.dummy import DummyClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    PredefinedSplit,
    TunedThresholdClassifierCV,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from imbalnet import BalancedNeuralClassifier
from imbalnet.metrics import SCORERS, get_scorer

each_scorer = pytest.mark.parametrize("name", SCORERS)

LABELS = {
    "int": lambda y: y,
    "bool": lambda y: y == 1,
    "words": lambda y: np.array(["fine", "fraud"])[y],
    "objects": lambda y: np.array(["fine", "fraud"], object)[y],
    "pandas": lambda y: pd.Series(np.array(["fine", "fraud"])[y]),
    "Int64": lambda y: pd.Series(y).astype("Int64"),
    "boolean": lambda y: pd.Series(y == 1).astype("boolean"),
    "category": lambda y: pd.Series(np.array(["fine", "fraud"])[y]).astype("category"),
}
each_kind = pytest.mark.parametrize("kind", LABELS)


@pytest.fixture(scope="module")
def two():
    rng = np.random.default_rng(0)
    y = (rng.random(240) < 0.25).astype(int)
    return rng.normal(size=(240, 3)) + 0.8 * y[:, None], y


@pytest.fixture(scope="module")
def three():
    rng = np.random.default_rng(1)
    y = rng.choice(3, 240, p=[0.7, 0.2, 0.1])
    return rng.normal(size=(240, 3)) + y[:, None], y


SAME = {
    "average_precision": "average_precision",
    "roc_auc": "roc_auc",
    "neg_log_loss": "neg_log_loss",
    "neg_brier_score": "neg_brier_score",
    "f1": "f1",
    "f1_weighted": "f1_weighted",
    "precision": "precision",
    "recall": "recall",
    "balanced_accuracy": "balanced_accuracy",
    "mcc": "matthews_corrcoef",
}


FUNCTIONS = {
    "f1": metrics.f1_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "mcc": metrics.matthews_corrcoef,
    "g_mean": geometric_mean_score,
}


@pytest.mark.parametrize("name", SAME)
def test_scorer_of_0_and_1_is_that_of_scikit_learn(name, two):
    X, y = two
    model = LogisticRegression().fit(X, y)
    expected = metrics.get_scorer(SAME[name])(model, X, y)
    assert SCORERS[name](model, X, y) == pytest.approx(expected, abs=1e-12)


MACRO = {
    "roc_auc": "roc_auc_ovr",
    "neg_log_loss": "neg_log_loss",
    "f1": "f1_macro",
    "f1_weighted": "f1_weighted",
    "precision": "precision_macro",
    "recall": "recall_macro",
    "balanced_accuracy": "balanced_accuracy",
    "mcc": "matthews_corrcoef",
}


@pytest.mark.parametrize("name", MACRO)
def test_scorer_of_three_classes_is_that_of_scikit_learn(name, three):
    X, y = three
    model = LogisticRegression().fit(X, y)
    expected = metrics.get_scorer(MACRO[name])(model, X, y)
    assert SCORERS[name](model, X, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_average_precision_of_three_classes_is_averaged(average, three):
    X, y = three
    model = LogisticRegression().fit(X, y)
    expected = metrics.average_precision_score(
        np.eye(3)[y], model.predict_proba(X), average=average
    )
    scorer = get_scorer("average_precision", average=average)
    assert scorer(model, X, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("data", ["two", "three"])
def test_g_mean_is_that_of_imblearn(data, request):
    X, y = request.getfixturevalue(data)
    model = LogisticRegression().fit(X, y)
    expected = geometric_mean_score(y, model.predict(X))
    assert SCORERS["g_mean"](model, X, y) == pytest.approx(expected, abs=1e-12)


@each_kind
@each_scorer
def test_labels_make_no_difference(name, kind, two):
    X, y = two
    labels = LABELS[kind](y)
    expected = SCORERS[name](GaussianNB().fit(X, y), X, y)
    model = GaussianNB().fit(X, np.asarray(labels).tolist())
    assert SCORERS[name](model, X, labels) == pytest.approx(expected, abs=1e-12)


@each_kind
def test_scorers_serve_cross_validation(kind, two):
    X, y = two
    scores = cross_validate(
        GaussianNB(), X, LABELS[kind](y), scoring=SCORERS, cv=3, error_score="raise"
    )
    for name in SCORERS:
        assert np.isfinite(scores[f"test_{name}"]).all()


@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
@each_kind
def test_scorers_serve_searches(kind, search, two):
    X, y = two
    scoring = SCORERS["average_precision"]
    grid = {"var_smoothing": [1e-9, 1e-2]}
    found = search(GaussianNB(), grid, scoring=scoring, cv=2, error_score="raise")
    found.fit(X, LABELS[kind](y))
    assert 0.3 < found.best_score_ <= 1
    assert found.score(X, LABELS[kind](y)) == scoring(found, X, LABELS[kind](y))


@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
@each_scorer
def test_every_scorer_serves_searches(name, search, two):
    X, y = two
    grid = {"var_smoothing": [1e-9, 1e-2]}
    found = search(
        GaussianNB(), grid, scoring=SCORERS[name], cv=2, error_score="raise"
    ).fit(X, LABELS["words"](y))
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


@each_kind
def test_scorers_serve_importance(kind, two):
    X, y = two
    labels = LABELS[kind](y)
    model = GaussianNB().fit(X, labels)
    found = permutation_importance(
        model, X, labels, scoring=SCORERS, n_repeats=1, random_state=0
    )
    assert found.keys() == SCORERS.keys()
    assert (found["average_precision"].importances_mean > 0).all()


@each_scorer
def test_scorers_serve_learning_curves(name, two):
    X, y = two
    for labels in (y, LABELS["words"](y)):
        _, _, scores = learning_curve(
            GaussianNB(),
            X,
            labels,
            cv=2,
            scoring=SCORERS[name],
            train_sizes=[0.5, 1.0],
            error_score="raise",
        )
        assert np.isfinite(scores).all()


@each_scorer
def test_fold_that_lacks_a_class_has_a_score(name, two, three):
    """scikit-learn's scorers of probabilities raise or warn there."""
    for X, y in (two, three):
        fold = np.where(y == y.max(), 0, np.arange(len(y)) % 2)  # fold 1 lacks it
        fold[np.flatnonzero(y == y.max())[:5]] = -1  # but training rows do not
        scores = cross_validate(
            GaussianNB(),
            X,
            np.array(["a", "b", "c"])[y],
            scoring=SCORERS[name],
            cv=PredefinedSplit(fold),
            error_score="raise",
        )
        assert np.isfinite(scores["test_score"]).all()


def test_one_class_alone_is_scored_as_chance_is(two):
    X, y = two
    model = GaussianNB().fit(X, y)
    negative = X[y == 0], y[y == 0]
    chance = {"average_precision": 0.0, "average_precision_lift": 1.0, "roc_auc": 0.5}
    assert {n: SCORERS[n](model, *negative) for n in chance} == chance


def test_class_that_fit_did_not_see_ranks_last(two):
    X, y = two
    labels = np.array(["a", "b"])[y]
    model = GaussianNB().fit(X, labels)
    labels = np.where(np.arange(len(y)) < 12, "new", labels)
    found = SCORERS["average_precision"](model, X, labels)
    p = model.predict_proba(X)
    of_known = [
        metrics.average_precision_score(labels == label, p[:, i])
        for i, label in enumerate("ab")
    ]
    assert found == pytest.approx(np.mean([*of_known, 12 / len(y)]))


def test_class_that_fit_did_not_see_has_no_probability(two):
    X, y = two
    model = GaussianNB().fit(X, np.array(["a", "b"])[y])
    with pytest.raises(ValueError, match="'new'"):
        SCORERS["neg_log_loss"](model, X, np.full(len(y), "new"))


@pytest.mark.parametrize("label", [0, 1])
def test_classifier_of_one_class_is_scored_by_its_predictions(label, two):
    X, y = two
    model = DummyClassifier().fit(X[y == label], y[y == label])
    for name in ("f1", "recall", "precision"):
        figure = getattr(metrics, f"{name}_score")
        expected = figure(y, model.predict(X), zero_division=0.0)
        assert SCORERS[name](model, X, y) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"one class alone.*stratified"):
        SCORERS["average_precision"](model, X, y)


def test_scores_of_pairs_of_classes_are_named(three):
    X, y = three
    model = SVC(decision_function_shape="ovo").fit(X, y)
    with pytest.raises(ValueError, match=r"'ovo'.*set it to 'ovr'"):
        SCORERS["average_precision"](make_pipeline(model), X, y)
    of_each = OneVsRestClassifier(model).fit(X, y)  # its scores are one for each class
    assert SCORERS["average_precision"](of_each, X, y) > 0.5


def test_ranking_needs_no_probabilities(two):
    X, y = two
    model = Perceptron().fit(X, np.array(["fine", "fraud"])[y])
    expected = metrics.average_precision_score(y, model.decision_function(X))
    found = SCORERS["average_precision"](model, X, np.array(["fine", "fraud"])[y])
    assert found == expected


def test_constant_scores_have_the_prevalence(two):
    X, y = two
    model = DummyClassifier().fit(X, y)
    assert SCORERS["average_precision"](model, X, y) == pytest.approx(y.mean())
    assert SCORERS["brier_skill"](model, X, y) == pytest.approx(0.0, abs=1e-12)


@each_scorer
def test_weights_are_those_of_repeated_rows(name, two):
    X, y = two
    model = GaussianNB().fit(X, y)
    n = 1 + np.arange(len(y)) % 2
    expected = SCORERS[name](model, X.repeat(n, axis=0), y.repeat(n))
    found = SCORERS[name](model, X, y, sample_weight=n)
    assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("average", ["macro", "weighted"])
@each_scorer
def test_a_class_of_weight_0_does_not_occur(name, average, three):
    X, y = three
    model = GaussianNB().fit(X, y)
    n = np.where(y == 1, 0, np.arange(len(y)) % 4)
    try:
        scorer = get_scorer(name, average=average)
    except ValueError:  # a figure without one-vs-rest
        scorer = get_scorer(name)
    expected = scorer(model, X.repeat(n, axis=0), y.repeat(n))
    assert scorer(model, X, y, sample_weight=n) == pytest.approx(expected)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_averages_are_those_of_scikit_learn_for_two_classes_too(average, two):
    X, y = two
    model = GaussianNB().fit(X, y)
    expected = metrics.f1_score(y, model.predict(X), average=average)
    assert get_scorer("f1", average=average)(model, X, y) == pytest.approx(expected)


def test_weights_are_routed(two):
    X, y = two
    weight = np.where(y == 1, 3.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = get_scorer("f1").set_score_request(sample_weight=True)
        scores = cross_validate(
            GaussianNB().set_fit_request(sample_weight=False),
            X,
            y,
            cv=2,
            scoring=scorer,
            params={"sample_weight": weight},
        )["test_score"]
        plain = cross_validate(GaussianNB(), X, y, cv=2, scoring=get_scorer("f1"))
    assert (scores > plain["test_score"]).all()


def test_parameters_reach_the_figure(two):
    X, y = two
    model = GaussianNB().fit(X, y)
    few, many = (get_scorer("recall_at_k", k=k)(model, X, y) for k in (5, 200))
    assert few < many


@pytest.mark.parametrize("kind", ["int", "words"])
def test_figures_of_decisions_tune_thresholds(kind, two):
    """scikit-learn calls the function of the scorer then, with labels."""
    X, y = two
    for name in ("f1", "balanced_accuracy", "mcc", "g_mean"):
        expected, found = (
            TunedThresholdClassifierCV(
                GaussianNB(), scoring=scoring, cv=2, thresholds=9, store_cv_results=True
            ).fit(X, labels)
            for scoring, labels in (
                (metrics.make_scorer(FUNCTIONS[name]), y),
                (get_scorer(name), LABELS[kind](y)),
            )
        )
        assert found.best_threshold_ == expected.best_threshold_
        assert found.best_score_ == pytest.approx(expected.best_score_)


def test_costs_tune_thresholds(two):
    X, y = two
    words = LABELS["words"](y)
    costs = {("fraud", "fine"): 9.0, ("fine", "fraud"): 1.0}
    scoring = get_scorer("neg_mean_cost", cost_matrix=costs)
    tuned = TunedThresholdClassifierCV(GaussianNB(), scoring=scoring, cv=2)
    scores = [scoring(m.fit(X, words), X, words) for m in (tuned, GaussianNB())]
    assert scores[0] > scores[1]


@pytest.mark.parametrize("name", ["roc_auc", "neg_log_loss", "neg_least_cost"])
def test_figures_of_scores_tune_no_threshold(name, two):
    tuned = TunedThresholdClassifierCV(GaussianNB(), scoring=SCORERS[name], cv=2)
    with pytest.raises(ValueError, match="figure of decisions, such as 'f1'"):
        tuned.fit(*two)


@each_scorer
def test_scorers_can_be_pickled(name, two):
    X, y = two
    model = GaussianNB().fit(X, y)
    again = pickle.loads(pickle.dumps(SCORERS[name]))
    assert again(model, X, y) == SCORERS[name](model, X, y)


def test_estimators_predict_once_for_many_scorers(two, monkeypatch):
    X, y = two
    calls = []
    predict_proba = GaussianNB.predict_proba

    @wraps(predict_proba)
    def counted(self, X):
        calls.append(len(X))
        return predict_proba(self, X)

    monkeypatch.setattr(GaussianNB, "predict_proba", counted)
    names = ["average_precision", "roc_auc", "neg_log_loss", "brier_skill"]
    scoring = {name: SCORERS[name] for name in names}
    cross_validate(GaussianNB(), X, y, cv=2, scoring=scoring)
    assert len(calls) == 2


def test_the_network_is_scored(two):
    X, y = two
    words = np.array(["fine", "fraud"])[y]
    clf = BalancedNeuralClassifier(n_members=2, max_epochs=2, random_state=0)
    search = GridSearchCV(
        clf,
        {"loss": ["cross_entropy", "focal"]},
        scoring=SCORERS["average_precision"],
        cv=2,
    )
    assert search.fit(X, words).best_score_ > 0.25


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("averageprecision", {}, "averageprecision.*average_precision"),
        ("recall_at_k", {"n": 3}, "no parameter 'n'.*'k'"),
        ("mcc", {"average": "macro"}, "no parameter 'average'; it has None"),
        ("neg_log_loss", {"average": "macro"}, "no parameter 'average'; it has"),
    ],
)
def test_unknown_names_are_listed(name, params, message):
    with pytest.raises(ValueError, match=message):
        get_scorer(name, **params)

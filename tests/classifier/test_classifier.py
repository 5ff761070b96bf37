"""The estimator: input, labels, prediction, parameters and copies."""

from __future__ import annotations

import copy
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from imblearn.over_sampling import SMOTE
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from torch import nn

from imbalnet import BalancedNeuralClassifier

CONTAINERS = {
    "list": lambda X: X.tolist(),
    "float64": np.asarray,
    "float32": lambda X: X.astype(np.float32),
    "fortran": np.asfortranarray,
    "pandas": pd.DataFrame,
    "nullable pandas": lambda X: pd.DataFrame(X).astype("Float64"),
    "polars": lambda X: pl.DataFrame(X, schema=[f"x{i}" for i in range(X.shape[1])]),
    "csr": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "coo": sparse.coo_array,
}
LABELS = {
    "strings": np.array(["fine", "fraud"]),
    "objects": np.array(["fine", "fraud"], dtype=object),
    "negative": np.array([-1, 1]),
    "bool": np.array([False, True]),
    "float": np.array([0.0, 2.0]),
}
LABEL_CONTAINERS = {
    "array": np.asarray,
    "list": list,
    "pandas": pd.Series,
    "categorical": lambda y: pd.Series(y, dtype="category"),
    "polars": lambda y: pl.Series(y.tolist()),
}


def fitted(data, **params):
    X, y = data
    return BalancedNeuralClassifier(random_state=0, **params).fit(X, y)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_fit_takes_every_container(rare, container):
    X, y = rare
    expected = fitted(rare, max_epochs=5).predict_proba(X)
    clf = BalancedNeuralClassifier(random_state=0, max_epochs=5)
    probabilities = clf.fit(container(X), y).predict_proba(container(X))
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


@pytest.mark.parametrize("container", LABEL_CONTAINERS.values(), ids=LABEL_CONTAINERS)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_fit_takes_every_label(rare, labels, container):
    X, y = rare
    clf = BalancedNeuralClassifier(random_state=0, max_epochs=5)
    clf.fit(X, container(labels[y]))
    np.testing.assert_array_equal(clf.classes_, labels)
    assert set(clf.predict(X)) <= set(labels.tolist())
    np.testing.assert_array_equal(
        clf.predict(X), labels[fitted(rare, max_epochs=5).predict(X)]
    )


@pytest.mark.filterwarnings("ignore:.*no calibrated inverse")
@pytest.mark.parametrize("loss", ["cross_entropy", "focal", nn.MultiMarginLoss])
@pytest.mark.parametrize("prior", [None, "train", "uniform"])
def test_probabilities_sum_to_one_and_agree_with_decisions(three_classes, loss, prior):
    X, _ = three_classes
    clf = fitted(three_classes, loss=loss, target_prior=prior, max_epochs=5)
    probabilities = clf.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    scores = clf.decision_function(X)
    assert scores.shape == (len(X), 3)
    np.testing.assert_array_equal(clf.predict(X), scores.argmax(1))
    np.testing.assert_array_equal(clf.predict(X), probabilities.argmax(1))


def test_decision_function_of_two_classes_is_the_log_odds(rare):
    X, _ = rare
    clf = fitted(rare, max_epochs=5, dtype="float64")
    p = clf.predict_proba(X)
    assert clf.decision_function(X).shape == (len(X),)
    np.testing.assert_allclose(clf.decision_function(X), np.log(p[:, 1] / p[:, 0]))


def test_predict_of_one_row_equals_that_of_many(rare):
    X, _ = rare
    clf = fitted(rare, max_epochs=5)
    alone = np.concatenate([clf.predict_proba(row[None]) for row in X[:20]])
    np.testing.assert_array_equal(alone, clf.predict_proba(X)[:20])


def test_sample_weight_zero_is_removal(rare):
    X, y = rare
    weight = np.ones(len(y))
    weight[::7] = 0
    params = {"random_state": 0, "max_epochs": 3, "dtype": "float64"}
    with_zeros = BalancedNeuralClassifier(**params).fit(X, y, sample_weight=weight)
    without = BalancedNeuralClassifier(**params).fit(X[weight > 0], y[weight > 0])
    np.testing.assert_array_equal(with_zeros.predict_proba(X), without.predict_proba(X))


# -- parameters, copies -----------------------------------------------------------


def test_nested_parameters_are_parameters():
    clf = BalancedNeuralClassifier(loss="focal", loss__gamma=3)
    assert clf.get_params()["loss__gamma"] == 3
    assert clone(clf.set_params(class_weight__power=0.5)).get_params() == (
        clf.get_params()
    )
    assert "loss__gamma=3" in repr(clf)


def test_nested_parameter_of_an_estimator_reaches_it():
    sampler = SMOTE()
    clf = BalancedNeuralClassifier(sampler=sampler).set_params(sampler__k_neighbors=2)
    assert sampler.k_neighbors == 2
    assert clf.get_params()["sampler__k_neighbors"] == 2
    assert clf.get_params(deep=False)["sampler"] is sampler


def test_fit_changes_no_parameter(rare):
    sampler = SMOTE()
    params = {"sampler": sampler, "sampler__k_neighbors": 2, "max_epochs": 1}
    clf = fitted(rare, **params)
    assert clf.get_params(deep=False) | params == clf.get_params(deep=False)
    assert (sampler.k_neighbors, sampler.random_state) == (5, None)


@pytest.mark.parametrize("copier", ["pickle", "joblib", "deepcopy"])
def test_copy_predicts_and_trains_the_same(rare, copier, tmp_path):
    X, y = rare
    clf = fitted(rare, max_epochs=2)
    if copier == "pickle":
        twin = pickle.loads(pickle.dumps(clf))
    elif copier == "joblib":
        joblib.dump(clf, tmp_path / "clf.joblib")
        twin = joblib.load(tmp_path / "clf.joblib")
    else:
        twin = copy.deepcopy(clf)
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
    for each in (clf, twin):
        each.partial_fit(X, y)
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize(
    ("params", "bytes_per_row"),
    [({"module": "mlp"}, 0), ({"module__n_bins": 4}, 2 * 4 + 3)],
    ids=["mlp", "default"],
)
def test_pickle_holds_no_training_rows(rng, params, bytes_per_row):
    """Of members, it holds the rows' out-of-fold posteriors, folds and labels."""
    sizes = []
    for n_rows in (2_000, 20_000):
        X, y = rng.normal(size=(n_rows, 20)), np.arange(n_rows) % 5 == 0
        clf = BalancedNeuralClassifier(
            module__hidden_sizes=(4,), max_epochs=1, sampler="weighted", **params
        ).fit(X, y)
        sizes.append(len(pickle.dumps(clf)))
    assert sizes[1] - sizes[0] < 18_000 * bytes_per_row + 10_000


def test_pickle_of_a_gpu_loads_without_one(rare):
    """The state says cuda, as after training on a GPU; loading maps it to the CPU."""
    X, _ = rare
    clf = fitted(rare, max_epochs=1)
    expected = clf.predict_proba(X)
    clf.net_.device = torch.device("cuda")
    data = pickle.dumps(clf)
    with pytest.warns(UserWarning, match="cuda, which this machine does not have"):
        loaded = pickle.loads(data)
    assert loaded.device_.type == "cpu"
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


@pytest.mark.gpu
def test_gpu_trains_and_loads_on_the_cpu(rare):
    X, y = rare
    clf = fitted(rare, device="cuda")
    assert clf.device_.type == "cuda"
    assert average_precision_score(y, clf.decision_function(X)) > 0.8
    on_cpu = fitted(rare, device="cpu")
    assert abs(clf.predict_proba(X) - on_cpu.predict_proba(X)).mean() < 0.05


def test_silent_by_default(rare, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(rare, max_epochs=2).partial_fit(*rare)
    assert capsys.readouterr() == ("", "")

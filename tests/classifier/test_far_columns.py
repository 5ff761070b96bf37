"""Columns far from 0 and of extreme scale are learned from like centred ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from scipy import sparse
from sklearn.metrics import average_precision_score

from imbalnet import BalancedNeuralClassifier

N_TRAIN = 600
COLUMNS = {
    "amounts with a base": lambda z: 1e9 + 10 * z,
    "timestamps": lambda z: 1.7e9 + 100 * z,
    "epoch milliseconds": lambda z: (1.7e12 + 1e5 * z).astype(np.int64),
    "amounts": lambda z: 1e6 + 0.05 * z,
    "identifiers": lambda z: 2**26 + (100 * z).astype(np.int64),
    "long identifiers": lambda z: 2**60 + (1e4 * z).astype(np.int64),
    "tiny": lambda z: 1e-42 * z,
    "huge": lambda z: 1e200 * z,
}
QUICK = {
    "max_epochs": 6,
    "n_members": 2,
    "learning_rate": 0.01,
    "module__hidden_sizes": (16,),
    "random_state": 0,
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2 * N_TRAIN, 2))
    odds = np.exp(3 * z[:, 0] + z[:, 1] - 2)
    return z, (rng.random(2 * N_TRAIN) < odds / (1 + odds)).astype(int)


def precision(clf, X, y, fit=None):
    """Average precision in new rows."""
    fit = (lambda clf, X, y: clf.fit(X, y)) if fit is None else fit
    fit(clf, X[:N_TRAIN], y[:N_TRAIN])
    return average_precision_score(y[N_TRAIN:], clf.predict_proba(X[N_TRAIN:])[:, 1])


def table(z, name):
    """Both columns as they are, or the first one far away."""
    X = {"a": z[:, 0] if name is None else COLUMNS[name](z[:, 0]), "b": z[:, 1]}
    return pd.DataFrame(X)


def as_csr(X):
    return sparse.csr_array(X.to_numpy(dtype=np.float64))


BUILD = {
    "array": lambda X: X.to_numpy(dtype=np.float64),
    "frame": lambda X: X,
    "CSR": as_csr,
}


def in_parts(clf, X, y):
    for start in range(0, N_TRAIN, 200):
        rows = slice(start, start + 200)
        clf.partial_fit(X[rows], y[rows], classes=[0, 1])


def with_validation_rows(clf, X, y):
    half = N_TRAIN // 2
    clf.fit(X[:half], y[:half], X_val=X[half:], y_val=y[half:])


@pytest.fixture(scope="module")
def centred(data):
    z, y = data
    return precision(BalancedNeuralClassifier(**QUICK), table(z, None), y)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_far_away_is_worth_what_a_centred_one_is(name, data, centred):
    z, y = data
    build = BUILD["array" if name == "long identifiers" else "CSR"]
    X = table(z, name)
    X = X if name == "long identifiers" else build(X)
    clf = BalancedNeuralClassifier(**QUICK)
    assert precision(clf, X, y) == pytest.approx(centred, abs=0.005)


@pytest.mark.parametrize("fit", [in_parts, with_validation_rows])
@pytest.mark.parametrize("build", BUILD.values(), ids=BUILD)
def test_further_tables_are_shifted_alike(build, fit, data):
    z, y = data
    expected, found = (
        precision(BalancedNeuralClassifier(**QUICK), build(table(z, name)), y, fit)
        for name in (None, "timestamps")
    )
    assert found == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("module", ["mlp", "linear", "resnet"])
@pytest.mark.parametrize("name", ["timestamps", "tiny", "huge"])
def test_every_network_gets_shifted_columns(module, name, data):
    z, y = data
    params = {"module": module, "max_epochs": 8, "random_state": 0}
    expected, found = (
        precision(BalancedNeuralClassifier(**params), table(z, column), y)
        for column in (None, name)
    )
    assert found == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("sampler", [RandomOverSampler(), RandomUnderSampler()])
def test_resampled_rows_are_shifted_alike(sampler, data):
    z, y = data
    params = {**QUICK, "sampler": sampler}
    expected, found = (
        precision(BalancedNeuralClassifier(**params), table(z, name), y)
        for name in (None, "timestamps")
    )
    assert found == pytest.approx(expected, abs=0.005)


def test_synthetic_rows_lie_among_the_original_ones(data):
    """SMOTE sees the values that came, not the shifted ones."""
    z, y = data
    seen = []

    class Spy(SMOTE):
        def fit_resample(self, X, y):
            seen.append(np.asarray(X))
            return super().fit_resample(X, y)

    X = BUILD["array"](table(z, "amounts"))
    BalancedNeuralClassifier(module="mlp", max_epochs=1, sampler=Spy()).fit(X, y)
    np.testing.assert_allclose(seen[0], X, rtol=1e-7)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_coefficients_are_those_of_the_columns_as_they_came(container, data):
    z, y = data
    X = np.column_stack([1000 + 0.5 * z[:, 0], 3e5 + z[:, 1] / 3])
    params = {"module": "linear", "optimizer": "adamw", "random_state": 0}
    clf = BalancedNeuralClassifier(**params, max_epochs=20).fit(container(X), y)
    assert clf._columns.shifts.keys() == {0, 1}
    logits = X @ clf.coef_.T + clf.intercept_
    np.testing.assert_allclose(
        logits[:, 0], clf.decision_function(container(X)), atol=0.01
    )


def test_polars_and_masked_arrays_give_the_bits_of_pandas(data):
    z, y = data
    X = table(z, "timestamps")
    clf = BalancedNeuralClassifier(**QUICK).fit(X, y)
    expected = clf.predict_proba(X)
    np.testing.assert_array_equal(clf.predict_proba(pl.from_pandas(X)), expected)
    gaps = np.zeros(X.shape, dtype=bool)
    gaps[::5, 1] = True
    masked = np.ma.array(X.to_numpy(), mask=gaps, copy=True)
    masked.data[gaps] = 1e6
    filled = X.mask(gaps)
    other = BalancedNeuralClassifier(**QUICK).fit(masked, y)
    clf.fit(filled, y)
    np.testing.assert_array_equal(
        other.predict_proba(masked), clf.predict_proba(filled)
    )


def test_coefficients_of_subnormal_numbers_do_not_warn(data):
    """The log odds of a unit pass float64's range there; the intercept does not."""
    z, y = data
    z = z[:, 0]
    X = np.column_stack([1e-310 * z, z])
    clf = BalancedNeuralClassifier("linear", max_epochs=2, random_state=0).fit(X, y)
    assert np.isinf(clf.coef_[0, 0])
    assert np.isfinite(clf.coef_[0, 1])
    assert np.isfinite(clf.intercept_).all()

"""Networks on standardised columns, where a few values are far from all others."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier
from imbalnet.networks import Standardize

hides = pytest.mark.filterwarnings("ignore:X has columns in which values far away")


def precision(module, X, y, n_train=400):
    clf = BalancedNeuralClassifier(module, max_epochs=15, random_state=0)
    clf.fit(X[:n_train], y[:n_train])
    return average_precision_score(y[n_train:], clf.decision_function(X[n_train:]))


def with_one_outlier(X):
    X = X.copy()
    X[7] = 1e9
    return X


def with_some(X):
    X = X.copy()
    X[7:11] = -1e5
    return X


def with_exponential_tails(X):
    return np.sinh(4 * X)


CHANGES = [with_one_outlier, with_some, with_exponential_tails]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("module", ["mlp", "resnet"])
def test_outliers_do_not_hide_the_others(module, change, rare):
    X, y = rare
    expected = precision(module, X, y)
    tolerance = 0.25 if change is with_exponential_tails else 0.05
    assert precision(module, change(X), y) > expected - tolerance


@pytest.fixture
def fitted_layer():
    def fit(column, weight=None):
        column = np.asarray(column, dtype=float)[:, None]
        layer = Standardize(1, clip=3.0).double()
        weight = np.ones(len(column)) if weight is None else weight
        layer.initialize_from(column, None, weight)
        return layer

    return fit


def test_outlying_columns_have_the_scale_of_their_quartiles(fitted_layer, rng):
    column = rng.normal(5, 2, 4001)
    column[0] = 1e9
    layer = fitted_layer(column)
    assert layer.is_heavy.all()
    low, middle, high = np.quantile(column, [0.25, 0.5, 0.75])
    assert layer.mean.item() == pytest.approx(middle)
    assert layer.scale.item() == pytest.approx((high - low) / 1.349)
    x = torch.tensor([[middle], [middle + 2 * layer.scale.item()], [1e9], [np.nan]])
    z = layer(x.double())[:, 0]
    beyond = 3 + np.log((1e9 - middle) / layer.scale.item() / 3)
    np.testing.assert_allclose(z.numpy(), [0, 2, beyond, 0], atol=1e-9)


def test_bend_keeps_the_order(fitted_layer, rng):
    column = rng.normal(size=1000)
    column[:2] = 1e12, -1e12
    layer = fitted_layer(column)
    values = np.sort(np.concatenate([column, np.geomspace(1, 9e13, 50)]))
    z = layer(torch.from_numpy(values)[:, None])[:, 0]
    assert (z.diff() > 0).all()
    bounds = layer(torch.tensor([[np.inf], [-np.inf]], dtype=torch.float64))
    assert bounds[0] > z.max()
    assert bounds[1] < z.min()


@pytest.mark.parametrize(
    "name", ["normal", "uniform", "exponential", "laplace", "lognormal", "t", "binary"]
)
def test_ordinary_columns_are_standardised(name, fitted_layer):
    rng = np.random.default_rng(0)
    draw = {
        "t": lambda n: rng.standard_t(4, n),
        "binary": lambda n: (rng.random(n) < 0.01) * 1.0,
        "lognormal": lambda n: rng.lognormal(0, 1, n),
    }
    column = draw.get(name, lambda n: getattr(rng, name)(size=n))(4000)
    layer = fitted_layer(column)
    assert not layer.may_be_heavy
    assert layer.mean.item() == pytest.approx(column.mean())
    assert layer.scale.item() == pytest.approx(column.std())


def test_column_that_is_mostly_zero_has_the_scale_of_the_others(fitted_layer, rng):
    column = np.where(np.arange(2000) < 1600, 0.0, rng.exponential(size=2000))
    assert not fitted_layer(column).may_be_heavy
    column[-1] = 1e9
    layer = fitted_layer(column)
    assert layer.mean.item() == 0.0
    expected = np.median(column[1600:])
    assert layer.scale.item() == pytest.approx(expected)


@pytest.mark.parametrize("build", [sparse.csr_matrix, sparse.csr_array])
def test_sparse_tables_are_scaled_like_dense_ones(build, rng):
    X = np.where(rng.random((500, 3)) < 0.7, rng.normal(size=(500, 3)), 0.0)
    X[3, 1] = 1e8
    layers = [Standardize(3, 3.0).double() for _ in range(2)]
    for layer, table in zip(layers, (X, build(X)), strict=True):
        layer.initialize_from(table, None, np.ones(500))
    assert layers[0].is_heavy.tolist() == [False, True, False]
    for name, value in layers[0].state_dict().items():
        torch.testing.assert_close(value, layers[1].state_dict()[name])


def test_weight_of_two_is_two_rows(fitted_layer, rng):
    column = np.append(rng.normal(size=200), 1e9)
    weight = rng.integers(1, 3, 201)
    weighted = fitted_layer(column, weight.astype(float))
    repeated = fitted_layer(np.repeat(column, weight))
    assert weighted.is_heavy.all()
    for name in ("mean", "scale"):
        torch.testing.assert_close(getattr(weighted, name), getattr(repeated, name))


def test_later_outliers_leave_the_scale_alone(fitted_layer, rng):
    layer = fitted_layer(rng.normal(5, 2, 1000))
    before = layer.mean.item(), layer.scale.item()
    for rows in ([1e9], np.append(rng.normal(5, 2, 300), 1e9), rng.normal(5, 2, 300)):
        layer.update_from(np.reshape(rows, (-1, 1)), None, np.ones(len(rows)))
        assert (layer.mean.item(), layer.scale.item()) == before
    assert layer.is_heavy.all()


def test_columns_that_move_are_no_outliers(fitted_layer, rng):
    first, second = rng.normal(size=500), rng.normal(50, 1, 500)
    layer = fitted_layer(first)
    layer.update_from(second[:, None], None, np.ones(500))
    both = np.append(first, second)
    assert layer.scale.item() == pytest.approx(both.std())
    assert not layer.may_be_heavy


def test_state_of_a_layer_can_be_loaded(fitted_layer, rng):
    layer = fitted_layer(np.append(rng.normal(size=500), 1e9))
    other = Standardize(1, clip=3.0).double()
    other.load_state_dict(layer.state_dict())
    x = torch.linspace(-9, 9, 50, dtype=torch.float64)[:, None]
    assert torch.equal(other(x), layer(x))


@hides
def test_network_without_clip_standardises(rng):
    X = with_one_outlier(rng.normal(size=(300, 2)))
    layer = Standardize(2)
    layer.initialize_from(X, None, np.ones(300))
    np.testing.assert_allclose(layer.scale.numpy(), X.std(axis=0), rtol=1e-5)


def test_linear_model_warns_and_agrees_with_logistic_regression(rare):
    X, y = rare
    X = X.copy()
    X[7, 2] = 1e9
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(10)])
    with pytest.warns(UserWarning, match=r"linear model: 'x2' \(such as 1e\+09\)"):
        clf = BalancedNeuralClassifier("linear", max_epochs=200).fit(frame, y)
    reference = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    np.testing.assert_allclose(
        clf.predict_proba(frame), reference.predict_proba(X), atol=5e-3
    )


@pytest.mark.parametrize("params", [{}, {"n_members": 3}])
def test_linear_model_does_not_warn_of_skewed_columns(params, rare):
    X, y = rare
    clf = BalancedNeuralClassifier("linear", max_epochs=1, random_state=0, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(np.exp(X / 2), y)
    X = with_one_outlier(X)
    with pytest.warns(UserWarning, match=r"linear model: 0 \(such as.* and 5 more"):
        clf.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.set_params(module__standardize=False, n_members=1).fit(X / 1e6, y)

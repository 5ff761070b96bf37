"""Levels and gaps in "linear", "mlp" and "resnet"."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from imbalnet import BalancedNeuralClassifier
from imbalnet.networks import MLP, LinearModel, OneHot
from imbalnet.networks.layers import mixed


def shops(n_levels, n_rows, seed=0):
    """Rows whose class depends on one of many even levels, and on a number."""
    rng = np.random.default_rng(seed)
    effect, level = 1.5 * rng.normal(size=n_levels), rng.integers(n_levels, size=n_rows)
    amount = rng.normal(size=n_rows)
    logit = effect[level] + 0.5 * amount - 2.5
    y = (rng.random(n_rows) < 1 / (1 + np.exp(-logit))).astype(int)
    shop = pd.Categorical([f"s{code}" for code in level])
    return pd.DataFrame({"amount": amount, "shop": shop}), y


def precision(classifier, X, y):
    return average_precision_score(y, classifier.predict_proba(X)[:, 1])


@pytest.mark.parametrize("n_levels", [60, 500])
def test_linear_sees_as_many_levels_as_one_hot_logistic_regression(n_levels):
    X, y = shops(n_levels, 12_000)
    reference = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["shop"]),
            remainder=StandardScaler(),
        ),
        LogisticRegression(max_iter=1_000),
    ).fit(X[:6_000], y[:6_000])
    ours = BalancedNeuralClassifier("linear").fit(X[:6_000], y[:6_000])
    least = precision(reference, X[6_000:], y[6_000:])
    assert precision(ours, X[6_000:], y[6_000:]) >= least - 0.01


@pytest.mark.parametrize("module", ["mlp", "resnet"])
def test_networks_tell_many_levels_apart(module):
    X, y = shops(80, 4_500)
    params = {"max_epochs": 12, "learning_rate": 3e-3, "random_state": 0}
    ours = BalancedNeuralClassifier(module, **params).fit(X[:3_000], y[:3_000])
    kept = X.shop.isin(X.shop[:3_000].value_counts().index[:40])
    merged = X.assign(shop=X.shop.astype(object).where(kept, "other"))
    fewer = BalancedNeuralClassifier(module, **params).fit(merged[:3_000], y[:3_000])
    best = precision(ours, X[3_000:], y[3_000:])
    assert best > precision(fewer, merged[3_000:], y[3_000:]) + 0.05


def test_one_hot_widens_for_levels_with_five_rows_only():
    codes = np.repeat(np.arange(80), np.where(np.arange(80) < 70, 5, 4))[:, None]
    layer, narrow = OneHot([90], most_columns=1_000), OneHot([90])
    for one_hot in (layer, narrow):
        one_hot.initialize_from(codes, np.ones(len(codes)))
    assert (layer.out_features, narrow.out_features) == (71, 41)
    encoded = layer(torch.arange(90.0)[:, None])
    torch.testing.assert_close(encoded[:70, :70], torch.eye(70))
    assert (encoded[70:, 70] == 1).all()


def test_one_hot_shares_its_width_among_columns_of_many_levels():
    codes = np.stack([np.arange(500) % n for n in (100, 60, 3)], axis=1)
    layer = OneHot([102, 62, 5], most_columns=110)
    layer.initialize_from(codes, np.ones(500))
    assert np.diff(layer.bounds).tolist() == [52, 52, 5]


def test_levels_beyond_the_bound_are_named_in_a_warning(monkeypatch):
    monkeypatch.setattr(mixed, "_MOST_ONE_HOT", 51)
    X, y = shops(60, 1_000)
    with pytest.warns(UserWarning, match=r"Column 1 .* has 60 levels .* the 50 most"):
        BalancedNeuralClassifier("linear").fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BalancedNeuralClassifier("linear").fit(*shops(45, 1_000))


@pytest.fixture
def gaps(rng):
    """A gap tells the class; two columns lack the same rows."""
    X = rng.normal(size=(1_500, 4))
    is_gap = rng.random(1_500) < 0.15
    X[is_gap, 1] = np.nan
    X[is_gap, 3] = np.nan
    logit = X[:, 0] - 3 + 3 * is_gap
    return X, (rng.random(1_500) < 1 / (1 + np.exp(-logit))).astype(int)


@pytest.mark.parametrize("module", ["linear", "mlp", "resnet"])
def test_networks_find_an_informative_gap(module, gaps):
    X, y = gaps
    by_hand = np.column_stack([np.nan_to_num(X), np.isnan(X[:, 1])])
    params = {"max_epochs": 20, "learning_rate": 3e-3, "random_state": 0}
    params = {} if module == "linear" else params
    ours, reference, blind = (
        precision(
            BalancedNeuralClassifier(module, **params).fit(table[:1_000], y[:1_000]),
            table[1_000:],
            y[1_000:],
        )
        for table in (X, by_hand, np.nan_to_num(X))
    )
    assert ours >= reference - 0.01
    assert ours > blind + 0.02


def test_columns_that_lack_the_same_rows_share_an_indicator(gaps):
    X, y = gaps
    X[:4, 0] = np.nan  # too few rows
    network = MLP(4, 2)
    network.initialize_from(X, y, np.ones(len(y)))
    assert network.input.of_gaps.tolist() == [1]
    assert network.hidden[0].weight.shape == (256, 5)
    prepared = network.prepare(torch.tensor(X).float())
    torch.testing.assert_close(prepared[:, 4], torch.tensor(np.isnan(X[:, 1])).float())


def test_table_without_gaps_keeps_its_first_layer(gaps):
    X, y = gaps
    torch.manual_seed(0)
    network = MLP(4, 2)
    before = network.hidden[0].weight.clone()
    network.initialize_from(np.nan_to_num(X), y, np.ones(len(y)))
    assert isinstance(network.input, mixed.Standardize)
    torch.testing.assert_close(network.hidden[0].weight, before, rtol=0, atol=0)


def test_gaps_and_levels_widen_a_linear_model_that_starts_at_zero(gaps, rng):
    X, y = gaps
    X[:, 2] = rng.integers(50, size=len(X))
    network = LinearModel(4, 2, n_categories=[0, 0, 52, 0])
    network.initialize_from(X, y, np.ones(len(y)))
    assert network.output.weight.shape == (1, 3 + 51 + 1)
    assert (network.output.weight == 0).all()
    coef, _ = network.coefficients()
    assert coef.shape == (1, 55)


@pytest.mark.parametrize("n_members", [1, 3])
def test_gap_in_further_rows_is_seen_or_counts_as_the_mean(gaps, n_members):
    X, y = gaps
    clf = BalancedNeuralClassifier("mlp", n_members=n_members, max_epochs=2)
    clf.fit(X, y).partial_fit(X, y)
    few = X[:5].copy()
    few[:, 0] = np.nan
    mean = few.copy()
    mean[:, 0] = X[:, 0].mean()
    np.testing.assert_allclose(
        clf.predict_proba(few), clf.predict_proba(mean), atol=0.02
    )


@pytest.mark.parametrize("module", ["mlp", "resnet", "linear"])
def test_members_may_have_indicators_of_gaps_that_others_lack(module):
    """Of nine gaps one member sees five or more, the other fewer."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(240, 2)), (rng.random(240) < 0.3).astype(int)
    X[:9, 0] = np.nan
    clf = BalancedNeuralClassifier(
        module, n_members=2, max_epochs=2, optimizer="adamw", random_state=0
    ).fit(X, y)
    assert len({member.prepared_width for member in clf.module_.members}) == 2
    whole = clf.predict_proba(X)
    by_row = np.concatenate([clf.predict_proba(row[None]) for row in X[:20]])
    np.testing.assert_allclose(whole[:20], by_row, rtol=1e-5)
    again = pickle.loads(pickle.dumps(clf)).predict_proba(X)
    np.testing.assert_array_equal(again, whole)

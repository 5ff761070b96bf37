"""The fixed first layer of the default network, and what reaches the network by it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from imbalnet import BalancedNeuralClassifier
from imbalnet.networks import TabularMLP
from imbalnet.networks.layers.table import TableEncoding


def encoding_of(X, n_categories=None, **params):
    sizes = np.zeros(X.shape[1], int) if n_categories is None else n_categories
    layer = TableEncoding(np.asarray(sizes), clip=3.0, n_bins=4, **params).double()
    layer.initialize_from(X, np.ones(len(X)))
    return layer


def indicators(layer, X):
    encoded = layer(torch.tensor(X))
    return encoded[:, layer.n_encoded :][:, : layer.n_indicators].numpy() / 3.0


# -- kinds of columns ------------------------------------------------------------------


@pytest.mark.parametrize("rare", [1.0, 0.0, -7.5])
def test_column_of_two_values_is_an_indicator_of_the_rarer_one(rare):
    common = 2.5
    column = np.where(np.arange(40) < 12, rare, common)
    X = np.column_stack([column, np.linspace(0, 1, 40)])
    layer = encoding_of(X)
    assert layer.of_flags.tolist() == [0]
    assert layer.of_numbers.tolist() == [1]
    np.testing.assert_array_equal(indicators(layer, X)[:, 0], column == rare)


def test_flag_takes_other_values_between_and_beyond():
    X = np.repeat([[0.0], [1.0]], [30, 10], axis=0)
    new = np.array([[0.25], [7.0], [-3.0], [np.nan]])
    found = indicators(encoding_of(X), new)[:, 0]
    np.testing.assert_allclose(found, [0.25, 1.0, 0.0, 0.0])


def test_columns_with_the_same_gaps_share_an_indicator(rng):
    X = rng.normal(size=(60, 4))
    X[:20, [0, 2]] = np.nan
    X[10:30, 1] = np.nan
    layer = encoding_of(X)
    assert layer.of_gaps.tolist() == [0, 1]
    np.testing.assert_array_equal(indicators(layer, X), np.isnan(X[:, :2]))


def test_what_most_rows_have_is_zero(rng):
    X = rng.normal(size=(60, 2))
    X[:45, 0] = np.nan
    levels = np.repeat([0.0, 1.0, 2.0], [10, 40, 10])
    layer = encoding_of(np.column_stack([X, levels]), [0, 0, 3])
    of_levels, of_gap = np.eye(3)[levels.astype(int)], np.isnan(X[:, :1])
    of_levels[:, 1] = levels != 1
    found = indicators(layer, np.column_stack([X, levels]))
    np.testing.assert_array_equal(found, np.column_stack([of_levels, ~of_gap]))


def test_weights_tell_what_most_rows_have():
    levels = np.repeat([0.0, 1.0], [40, 20])
    layer = TableEncoding(np.array([2]), clip=3.0, n_bins=4).double()
    layer.initialize_from(levels[:, None], np.where(levels == 1, 3.0, 1.0))
    assert layer.one_hot.places(torch.ones(1, 1)).item() == 0
    assert layer.is_common.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("n_rows", [4, 56])
def test_indicator_needs_five_rows_with_and_without(n_rows, rng):
    X = rng.normal(size=(60, 3))
    X[:n_rows, 0] = np.nan
    X[:, 1] = np.arange(60) < n_rows
    layer = encoding_of(X)
    assert layer.of_gaps.tolist() == []
    assert layer.of_flags.tolist() == []
    assert 1 not in layer.of_numbers.tolist()


def test_gaps_have_no_indicator_on_request(rng):
    X = rng.normal(size=(60, 2))
    X[:30, 1] = np.nan
    layer = encoding_of(X, gaps=False)
    assert layer.of_numbers.tolist() == [0, 1]
    assert layer.n_indicators == 0


def test_frequent_levels_of_a_long_column_have_places_of_their_own():
    codes = np.repeat(np.arange(50), 6)
    codes = np.append(codes, [50, 50, 51])[:, None].astype(float)  # rare levels
    layer = encoding_of(codes, [54])
    assert layer.of_embedded.tolist() == [0]
    assert layer.levels.n_places == 51
    places = layer.places_of(codes)[:, 0]
    assert len(np.unique(places[:300])) == 50
    assert (places[300:] == 0).all()
    unseen = layer.places_of(np.array([[52.0], [53.0], [99.0], [-1.0]]))[:, 0]
    assert (unseen[:3] == 0).all()


def test_short_column_of_categories_has_no_embedding():
    codes = np.repeat(np.arange(40), 6)[:, None].astype(float)
    layer = encoding_of(codes, [42])
    assert layer.of_embedded.tolist() == []
    assert layer.out_features == 41 + 1 - 1


def test_sparse_rows_are_encoded_as_dense_ones(rng):
    X = rng.integers(0, 3, (80, 4)).astype(float)
    X[:, 1] = X[:, 1] > 0
    X[:12, 2] = np.nan
    dense = encoding_of(X)
    of_sparse = TableEncoding(np.zeros(4, int), clip=3.0, n_bins=4).double()
    of_sparse.initialize_from(sparse.csc_matrix(X), np.ones(80))
    assert dense.kinds == of_sparse.kinds
    rows = torch.tensor(X)
    assert torch.equal(dense(rows), of_sparse(rows))


def test_network_is_built_for_the_kinds_of_columns(rng):
    X = rng.normal(size=(400, 4))
    X[:, 1] = X[:, 1] > 1
    X[::5, 2] = np.nan
    X[:, 3] = rng.permutation(np.repeat(np.arange(50), 8))
    y = (X[:, 0] > 1).astype(int)
    torch.manual_seed(0)
    network = TabularMLP(4, 2, n_members=3, n_categories=(0, 0, 0, 52)).double()
    network.initialize_from(X, y, np.ones(400))
    assert network.embedding.shape[0] == 2
    assert network.indicator_gate.shape == (3, 41 + 1 + 1)
    assert network.level_embedding.shape == (51, 3, 4)
    x = torch.tensor(X)
    shared = network.eval()(x)
    own = network(x[:, None].expand(-1, 3, -1))
    torch.testing.assert_close(shared, own)


# -- what reaches the network ----------------------------------------------------------

SMALL = {"module": "tabular", "n_members": 4, "max_epochs": 8, "n_neighbors": 0}


def average_precision(X, y, n=2000, **params):
    """Fit to the first n rows, and score the others."""
    clf = BalancedNeuralClassifier(**SMALL, random_state=0, **params)
    p = clf.fit(X[:n], y[:n]).predict_proba(X[n:])[:, 1]
    return average_precision_score(y[n:], p)


def test_gap_that_tells_is_found(rng):
    """As well as an indicator column that the user adds."""
    X = rng.normal(size=(12_000, 4)).astype(np.float32)
    is_gap = rng.random(12_000) < 0.3
    y = (rng.random(12_000) < np.where(is_gap, 0.25, 0.03)).astype(int)
    X[is_gap, 1] = np.nan
    added = np.column_stack([X, is_gap]).astype(np.float32)
    found, by_hand = average_precision(X, y), average_precision(added, y)
    blind = average_precision(X, y, module__gaps=False)
    assert found > by_hand - 0.01
    assert found > blind + 0.02


def test_gap_without_meaning_is_harmless(rng):
    X = rng.normal(size=(12_000, 4)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=12_000) > 2).astype(int)
    X[rng.random((12_000, 4)) < 0.1] = np.nan
    found = average_precision(X, y)
    blind = average_precision(X, y, module__gaps=False)
    assert found > blind - 0.01


def test_many_even_levels_are_heard(rng):
    """About as well as by one-hot logistic regression; 40 columns give 0.16."""
    n, n_rows, n_levels = 16_000, 8000, 200
    effect = 1.2 * rng.normal(size=n_levels)
    level = rng.integers(n_levels, size=n)
    z = rng.normal(size=(n, 2))
    odds = np.exp(-3 + effect[level] + 0.5 * z[:, 0])
    y = (rng.random(n) < odds / (1 + odds)).astype(int)
    X = pd.DataFrame(z, columns=["a", "b"])
    X["shop"] = pd.Categorical.from_codes(level, [f"s{i}" for i in range(n_levels)])
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["shop"]), remainder=StandardScaler()
    )
    reference = make_pipeline(encode, LogisticRegression(max_iter=500))
    reference.fit(X[:n_rows], y[:n_rows])
    p = reference.predict_proba(X[n_rows:])[:, 1]
    expected = average_precision_score(y[n_rows:], p)
    assert average_precision(X, y, n_rows) > expected - 0.02


def test_one_hot_columns_and_their_categories_are_alike(rng):
    """In dense and sparse columns too."""
    n = 10_000
    X = pd.DataFrame({"z": rng.normal(size=n)})
    for name, n_levels in (("a", 4), ("b", 12)):
        codes = rng.integers(n_levels, size=n)
        levels = [f"{name}{i}" for i in range(n_levels)]
        X[name] = pd.Categorical.from_codes(codes, levels)
    score = X["z"] + (X["a"] == "a1") + 1.5 * X["b"].isin(["b2", "b7"])
    y = (score + rng.normal(size=n) > 3).to_numpy().astype(int)
    encoder = OneHotEncoder(sparse_output=False)
    columns = np.column_stack([X["z"], encoder.fit_transform(X[["a", "b"]])])
    columns = columns.astype(np.float32)
    as_categories = average_precision(X, y)
    as_columns = average_precision(columns, y)
    assert abs(as_categories - as_columns) < 0.02
    as_sparse = average_precision(sparse.csr_matrix(columns), y)
    assert as_sparse == pytest.approx(as_columns, abs=1e-6)

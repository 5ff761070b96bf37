"""The default network for tables of hundreds and thousands of columns."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from imbalnet import BalancedNeuralClassifier
from imbalnet.networks import TabularMLP
from imbalnet.networks import tabular as module_of_tabular
from imbalnet.networks._wide import functions_of_a_column, wide_rate


@pytest.fixture(scope="module")
def documents():
    """Counts of 700 words in 2,400 documents; 100 words tell the rare class."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(3, 703)
    frequency /= frequency.sum()
    y = (rng.random(2_400) < 0.1).astype(int)
    tilt = np.zeros(700)
    tilt[rng.choice(700, 100, replace=False)] = 1.2 * rng.normal(size=100)
    of_rare = frequency * np.exp(tilt)
    expected = np.where(y[:, None], of_rare / of_rare.sum(), frequency)
    counts = rng.poisson(expected * rng.integers(50, 151, (2_400, 1)))
    return sparse.csr_matrix(counts.astype(float)), y


@pytest.fixture(scope="module")
def few_documents(documents):
    X, y = documents
    return X[:400, :600], y[:400]


@pytest.mark.parametrize("is_tfidf", [False, True])
def test_default_ranks_documents_as_well_as_logistic_regression(is_tfidf, documents):
    X, y = documents
    X = TfidfTransformer().fit_transform(X) if is_tfidf else X
    half = len(y) // 2
    linear = LogisticRegression(max_iter=1_000).fit(X[:half], y[:half])
    ours = BalancedNeuralClassifier(max_epochs=3, random_state=0, n_threads=1)
    ours.fit(X[:half], y[:half])
    score, least = (
        average_precision_score(y[half:], model.predict_proba(X[half:])[:, 1])
        for model in (ours, linear)
    )
    assert least > 0.5
    assert score >= least - 0.01


def test_wide_table_is_the_same_sparse_and_dense(few_documents):
    X, y = few_documents
    params = {"max_epochs": 2, "n_members": 2, "random_state": 0}
    of_sparse, of_dense = (
        BalancedNeuralClassifier(**params).fit(table, y).predict_proba(X)
        for table in (X, X.toarray())
    )
    np.testing.assert_array_equal(of_sparse, of_dense)


def test_functions_fall_with_the_number_of_columns():
    """Up to 32 columns they are four and four; then there is no cliff."""
    inputs = [sum(functions_of_a_column(n, "auto", "auto")) for n in range(1, 2_000)]
    assert set(inputs[:32]) == {8}
    assert set(inputs[85:341]) == {3}
    assert set(np.diff(inputs)) <= {0, -1, -2}
    assert inputs[511] == 2
    assert set(inputs[512:]) == {0}
    assert functions_of_a_column(2_000, 3, "auto") == (3, 0)
    assert functions_of_a_column(2_000, "auto", 2) == (0, 2)


def test_wide_rate_falls_with_the_number_of_inputs():
    assert wide_rate(0) == wide_rate(256) == 1.0
    assert wide_rate(2_560) == pytest.approx(0.1)


def wide_network(X, y, **params):
    torch.manual_seed(0)
    network = TabularMLP(X.shape[1], 2, n_members=2, hidden_sizes=(8,), **params)
    network.initialize_from(X, y, np.ones(len(y)))
    return network


def test_wide_inputs_are_standardised(few_documents):
    X, y = few_documents
    network = wide_network(X, y, gates=False)
    network.eval()
    h = network._embedded(network.prepare(torch.tensor(X.toarray()).float())[None])
    deviation = h.std((0, 1), correction=0)
    # with gates that start equal
    assert h.shape == (2, 400, network.hidden[0].weight.shape[1])
    torch.testing.assert_close(
        h.mean((0, 1)), torch.zeros_like(deviation), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(deviation, deviation[:1].expand_as(deviation))


def test_wide_network_is_small_and_learns_slowly(few_documents):
    X, y = few_documents
    network = wide_network(X, y)
    width = network.hidden[0].weight.shape[1]
    assert width <= 600
    assert sum(p.numel() for p in network.parameters()) < 2 * 12 * 600
    rates = {
        id(p): group["rate"]
        for group in network.parameter_groups()
        for p in group["params"]
    }
    assert rates[id(network.hidden[0].weight)] == wide_rate(width) < 1
    assert rates[id(network.number_gate)] == network.gate_rate * wide_rate(width)


@pytest.mark.parametrize("n_channels", [0, "auto"])
def test_wide_network_takes_gaps_flags_categories_and_constants(n_channels, rng):
    X = rng.normal(size=(60, 600))
    X[:, 1] = X[:, 1] > 0
    X[::3, 2] = np.nan
    X[:, 3] = 2.0
    X[:, 4] = rng.integers(3, size=60)
    y = rng.integers(2, size=60)
    sizes = np.zeros(600, int)
    sizes[4] = 3
    network = wide_network(X, y, n_channels=n_channels, n_categories=sizes)
    logits = network.eval()(torch.tensor(X).float())
    assert logits.shape == (60, 2, 2)
    assert torch.isfinite(logits).all()
    assert (network.number_gate.isfinite()).all()


def test_few_columns_can_go_without_functions(rng):
    X, y = rng.normal(size=(60, 3)), rng.integers(2, size=60)
    network = wide_network(X, y, n_channels=0, n_waves=0)
    assert network.hidden[0].weight.shape == (2, 3, 8)


def test_warning_about_many_parameters_tells_what_makes_them_fewer(monkeypatch):
    monkeypatch.setattr(module_of_tabular, "_MANY_PARAMETERS", 600_000)
    with pytest.warns(UserWarning, match=r"n_members=4.*hidden_sizes=\(32, 64\)"):
        TabularMLP(600, 2, n_members=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TabularMLP(600, 2, n_members=4)
        TabularMLP(600, 2, n_members=8, hidden_sizes=(32, 64))


def test_columns_of_two_values_leave_numbers_their_functions():
    """A table and its one-hot version have the same network."""
    rng = np.random.default_rng(0)
    numbers, levels = rng.normal(size=(600, 3)), rng.integers(0, 200, 600)
    y = (numbers[:, 0] + rng.normal(size=600) > 1).astype(int)
    one_hot = np.hstack([numbers, np.eye(200)[levels]])
    one_hot = one_hot[:, one_hot.std(axis=0) > 0]
    raw, encoded = (TabularMLP(X.shape[1], 2) for X in (numbers, one_hot))
    assert encoded.n_channels < raw.n_channels  # as long as all may be numbers
    weight = np.ones(600)
    raw.initialize_from(numbers, y, weight)
    encoded.initialize_from(one_hot, y, weight)
    assert (encoded.n_channels, encoded.n_waves) == (raw.n_channels, raw.n_waves)
    assert encoded.input.n_bins == raw.input.n_bins
    assert encoded.embedding.shape == raw.embedding.shape


def test_very_many_columns_of_two_values_are_counted():
    rng = np.random.default_rng(0)
    words = (rng.random((400, 700)) < 0.1).astype(float)
    X = np.hstack([rng.normal(size=(400, 3)), words])
    net = TabularMLP(X.shape[1], 2)
    net.initialize_from(X, rng.integers(0, 2, 400), np.ones(400))
    assert net.n_channels == 0

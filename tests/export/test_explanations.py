"""What the guide says of explanations: sums that hold, and what shifts leave alone."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
import torch

from imbalnet import BalancedNeuralClassifier
from imbalnet.networks import NETWORKS

from .conftest import SMALL


@pytest.fixture(scope="module")
def table():
    """Numbers with gaps, and words with gaps, of which all matter."""
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300)})
    X["word"] = rng.choice(["red", "green", "blue"], 300)
    X.loc[::7, "b"] = X.loc[::9, "word"] = None
    y = X["a"] + (X["word"] == "red") + X["b"].isna() + rng.logistic(size=300) > 2
    return X, y.to_numpy()


def log_odds_of(module):
    def log_odds(rows):
        log_p = module.log_probabilities(torch.as_tensor(rows))
        return log_p[:, 1] - log_p[:, 0]

    return log_odds


def fitted(table, module, **params):
    params = {"max_epochs": 4, "n_neighbors": 0} | SMALL[module] | params
    return BalancedNeuralClassifier(module, random_state=0, **params).fit(*table)


@pytest.mark.parametrize("module", NETWORKS)
def test_gradients_of_the_first_layer_add_up_column_by_column(module, table):
    """Categories and gaps too, as the guide does it."""
    attr = pytest.importorskip("captum.attr")
    X, _ = table
    members = {"n_members": 1} if module == "mlp" else {}
    clf = fitted(table, module, **members)
    net, rows = clf.to_torch(), clf.to_tensor(X[:6])
    reference = clf.to_tensor(X[10:11]).expand_as(rows).contiguous()
    log_odds = log_odds_of(net)
    found = attr.LayerIntegratedGradients(log_odds, net.network.input).attribute(
        rows, reference, n_steps=200
    )

    def inputs(given):
        return net.network.input(net.features(given))

    by_column = []
    for j in range(X.shape[1]):
        replaced = rows.clone()
        replaced[:, j] = reference[:, j]
        has_changed = inputs(replaced) != inputs(rows)
        by_column.append(torch.where(has_changed, found, 0.0).sum(dim=1))
    difference = log_odds(rows) - log_odds(reference)
    assert difference.abs().max() > 0.1
    total = torch.stack(by_column).sum(dim=0)
    torch.testing.assert_close(total.double(), difference, rtol=0, atol=5e-3)


def shapley_values(function, row, background):
    """Shapley values by their definition: the mean over sets of other columns."""
    n = len(row)

    def worth(columns):
        rows = background.copy()
        rows[:, columns] = row[list(columns)]
        return function(rows).mean()

    values = np.zeros(n)
    for j in range(n):
        others = [i for i in range(n) if i != j]
        for size in range(n):
            for some in combinations(others, size):
                gain = worth([*some, j]) - worth(list(some))
                values[j] += gain / (n * comb(n - 1, size))
    return values


def test_shap_of_codes_are_shapley_values_of_the_log_odds(table):
    shap = pytest.importorskip("shap")
    X, _ = table
    clf = fitted(table, "mlp", class_weight="balanced")
    log_odds = log_odds_of(clf.to_torch())
    rows = clf.to_tensor(X.dropna()[:3]).numpy()
    background = clf.to_tensor(X.dropna()[10:40]).numpy()

    def function(given):
        return log_odds(given).numpy()

    found = shap.KernelExplainer(function, background).shap_values(rows, silent=True)
    expected = [shapley_values(function, row, background) for row in rows]
    np.testing.assert_allclose(found, expected, atol=1e-8)
    np.testing.assert_allclose(
        found.sum(axis=1) + function(background).mean(),
        clf.decision_function(X.dropna()[:3]),
        atol=1e-6,
    )


@pytest.mark.parametrize("module", ["mlp", "tabular"])
@pytest.mark.parametrize("target_prior", ["train", "uniform", {False: 0.9, True: 0.1}])
def test_target_prior_adds_a_constant_to_the_log_odds(module, target_prior, table):
    """So that explanations of differences stay the same."""
    X, _ = table
    clf = fitted(table, module, class_weight="balanced")
    before = clf.decision_function(X)
    shift = clf.set_params(target_prior=target_prior).decision_function(X) - before
    np.testing.assert_allclose(shift, shift[0], atol=1e-12)

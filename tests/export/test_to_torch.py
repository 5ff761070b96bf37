"""The torch module of a fitted classifier: the same probabilities, and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError

from imbalnet import BalancedNeuralClassifier
from imbalnet.export.neighbor_evidence import NeighborEvidence
from imbalnet.losses import LOSSES
from imbalnet.neighbors import Neighbors
from imbalnet.networks import NETWORKS

from .conftest import coded, fitted

CLOSE = {"rtol": 0, "atol": 1e-6}


def probabilities(clf, X):
    return clf.to_torch()(torch.from_numpy(np.asarray(X))).numpy()


@pytest.mark.filterwarnings("ignore:X has columns in which values far away")
@pytest.mark.parametrize("module", NETWORKS)
def test_module_gives_the_probabilities_of_each_network(module, numbers):
    X, y = numbers
    clf = fitted(X, y, module)
    np.testing.assert_allclose(probabilities(clf, X), clf.predict_proba(X), **CLOSE)


@pytest.mark.parametrize("loss", LOSSES)
def test_module_gives_the_probabilities_of_each_loss(loss, numbers):
    X, y = numbers
    clf = fitted(X, y, "mlp", loss=loss, max_epochs=1)
    for target_prior in (None, "train", [0.2, 0.3, 0.5]):
        clf.target_prior = target_prior
        np.testing.assert_allclose(probabilities(clf, X), clf.predict_proba(X), **CLOSE)


def test_module_has_the_whole_formula(full, frame):
    X, _ = frame
    module = full.to_torch()
    assert module.needs_double
    given = torch.from_numpy(coded(X, module))
    np.testing.assert_allclose(module(given).numpy(), full.predict_proba(X), **CLOSE)
    assert not module(given[:0]).numel()


@pytest.mark.parametrize("target_prior", [None, "uniform", [0.6, 0.4]])
@pytest.mark.parametrize(
    "decision", [{}, {"threshold": 0.45}, {"cost_matrix": [[0.0, 1.0], [2.5, 0.0]]}]
)
def test_decision_is_that_of_predict(decision, target_prior, numbers):
    X, y = numbers
    params = {"class_weight": "balanced", "max_epochs": 30, **decision}
    clf = fitted(X, y > 0, "mlp", target_prior=target_prior, **params)
    log_probabilities = clf.to_torch().log_probabilities(torch.from_numpy(X))
    codes = clf._decision()(log_probabilities).numpy()
    np.testing.assert_array_equal(clf.classes_[codes], clf.predict(X))
    assert 0 < codes.sum() < len(X)


def test_tensor_is_what_the_module_takes(full, frame):
    X, _ = frame
    module = full.to_torch()
    given = full.to_tensor(X)
    np.testing.assert_array_equal(given.numpy(), coded(X, module))
    np.testing.assert_allclose(module(given).numpy(), full.predict_proba(X), **CLOSE)


def test_tensor_of_numbers_is_a_copy_of_them(numbers):
    X, y = numbers
    clf = fitted(X, y, "mlp")
    for table in (X, sparse.csr_matrix(np.nan_to_num(X))):
        given = clf.to_tensor(table)
        assert given.dtype is torch.float64
        values = table.toarray() if sparse.issparse(table) else table
        np.testing.assert_array_equal(given.numpy(), values)
    given = clf.to_tensor(X.astype(np.float64))
    given.zero_()
    assert X.any()


def test_tensor_refuses_what_predict_proba_refuses(full, frame):
    X, _ = frame
    with pytest.raises(ValueError, match="feature names"):
        full.to_tensor(X[X.columns[::-1]])
    with pytest.raises(NotFittedError):
        BalancedNeuralClassifier().to_tensor(X)


def test_module_shifts_columns_as_they_are_read(numbers):
    X, y = numbers
    X = X.astype(np.float64) * 10 + 1e9
    X[0, 3], X[1, 3] = 1e300, -1e300
    clf = fitted(X, y, "mlp")
    np.testing.assert_allclose(probabilities(clf, X), clf.predict_proba(X), **CLOSE)


def test_module_keeps_infinite_values(numbers):
    X, y = numbers
    X = X.astype(np.float64) * 10 + 1e9
    X[0, 0], X[1, 1] = np.inf, -np.inf
    clf = fitted(X, y, "mlp", module__clip=True)
    np.testing.assert_allclose(probabilities(clf, X), clf.predict_proba(X), **CLOSE)


def test_module_is_a_copy(numbers):
    X, y = numbers
    clf = fitted(X, y, "mlp")
    before = clf.predict_proba(X)
    module = clf.to_torch()
    for values in module.state_dict().values():
        values.zero_()
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_module_needs_a_fit():
    with pytest.raises(NotFittedError):
        BalancedNeuralClassifier().to_torch()


@pytest.mark.parametrize("digits", [1, 8])
@pytest.mark.parametrize("n_neighbors", [1, 4, 30])
def test_evidence_is_that_of_neighbors(digits, n_neighbors, rng):
    """With one digit, most distances have equals, and rows have copies."""
    X = rng.normal(size=(300, 3)).round(digits).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    codes, weight = rng.integers(0, 3, 300), rng.random(300)
    prior = np.array([0.5, 0.3, 0.2, 0.0])
    neighbors = Neighbors(X, codes, weight, prior, n_neighbors, rng=0)
    rows = np.concatenate([X, rng.normal(size=(100, 3)).round(digits)])
    rows = rows.astype(np.float32)
    found = NeighborEvidence(neighbors, 0.5)(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(found, 0.5 * neighbors.evidence(rows), atol=1e-12)


def test_module_is_exported_with_any_number_of_rows(full, frame):
    X, _ = frame
    module = full.to_torch()
    given = torch.from_numpy(coded(X, module))
    rows = torch.export.Dim("rows")
    program = torch.export.export(module, (given,), dynamic_shapes=({0: rows},))
    for n_rows in (1, 50, len(given)):
        found = program.module()(given[:n_rows])
        torch.testing.assert_close(found, module(given[:n_rows]))


def test_captum_attributes_all_of_a_difference(numbers):
    attr = pytest.importorskip("captum.attr")
    X, y = numbers
    module = fitted(X, y, "tabular").to_torch()
    some = torch.from_numpy(np.nan_to_num(X[:5])).double()
    base = torch.zeros_like(some)
    found = attr.IntegratedGradients(module).attribute(
        some, base, target=1, n_steps=400
    )
    difference = (module(some) - module(base))[:, 1]
    torch.testing.assert_close(found.sum(dim=1), difference, rtol=0, atol=2e-3)


def test_shap_explains_by_gradients(numbers):
    shap = pytest.importorskip("shap")
    X, y = numbers
    module = fitted(X, y, "tabular").to_torch()
    X = torch.from_numpy(np.nan_to_num(X))
    explainer = shap.GradientExplainer(module, X[:50])
    found = explainer.shap_values(X[:3], nsamples=10, rseed=0)
    assert found.shape == (3, 4, 3)
    assert np.abs(found).max() > 0


@pytest.mark.long  # shap compiles for it
def test_shap_explains_by_permutations(numbers):
    shap = pytest.importorskip("shap")
    X, y = numbers
    module = fitted(X, y, "tabular").to_torch()
    X = np.nan_to_num(X)

    def positive(table):
        return module(torch.from_numpy(table))[:, 1].numpy()

    explained = shap.PermutationExplainer(positive, X[:20], seed=0, silent=True)(X[:1])
    total = explained.values.sum() + explained.base_values[0]
    np.testing.assert_allclose(total, positive(X[:1])[0], atol=1e-6)

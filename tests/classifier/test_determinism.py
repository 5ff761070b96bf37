"""Same seed, same bits; global generators stay untouched."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from joblib import Parallel, delayed, parallel_config
from scipy import sparse

from imbalnet import BalancedNeuralClassifier

CONFIGURATIONS = {
    "default": {},
    "mlp": {"module": "mlp"},
    "early stopping": {
        "module": "mlp",
        "early_stopping": True,
        "validation_fraction": 0.3,
    },
    "dropout": {"module": "mlp", "module__dropout": 0.3},
    "weighted sampler": {"sampler": "weighted"},
    "undersample": {"sampler": "undersample"},
    "SMOTE": {"sampler": SMOTE()},
}
configurations = pytest.mark.parametrize(
    "params", CONFIGURATIONS.values(), ids=CONFIGURATIONS
)


def probabilities(data, params, random_state=0):
    X, y = data
    clf = BalancedNeuralClassifier(max_epochs=4, random_state=random_state, **params)
    return clf.fit(X, y).predict_proba(X)


@configurations
def test_same_seed_gives_the_same_bits(rare, params):
    first = probabilities(rare, params)
    np.testing.assert_array_equal(first, probabilities(rare, params))
    assert not np.array_equal(first, probabilities(rare, params, random_state=1))


@pytest.mark.parametrize("backend", ["loky", "threading"])
@configurations
def test_jobs_give_the_same_bits(rare, params, backend):
    expected = probabilities(rare, params)
    with parallel_config(backend=backend, n_jobs=2):
        results = Parallel()(delayed(probabilities)(rare, params) for _ in range(4))
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_number_of_threads_around_does_not_matter(rare):
    expected = probabilities(rare, {})
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        np.testing.assert_array_equal(probabilities(rare, {}), expected)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@configurations
def test_pickled_estimator_fits_the_same_bits(rare, params):
    X, y = rare
    clf = BalancedNeuralClassifier(max_epochs=4, random_state=0, **params)
    twin = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(
        clf.fit(X, y).predict_proba(X), twin.fit(X, y).predict_proba(X)
    )


@pytest.mark.parametrize("random_state", [0, None])
@configurations
def test_global_generators_stay_untouched(rare, params, random_state):
    X, y = rare
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    clf = BalancedNeuralClassifier(max_epochs=2, random_state=random_state, **params)
    clf.fit(X, y).partial_fit(X, y).predict(X)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_global_generators_stay_untouched_by_threads(rare):
    """Fits in parallel threads do not restore each other's seeds."""
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda _: probabilities(rare, {"module__dropout": 0.1}), range(8))
        )
    assert torch.equal(torch.get_rng_state(), before)


def test_random_state_instance_goes_on(rare):
    """As in scikit-learn: an instance gives another result at each fit."""
    rng = np.random.RandomState(0)
    first, second = (probabilities(rare, {}, rng) for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(
        first, probabilities(rare, {}, np.random.RandomState(0))
    )


def test_no_seed_gives_another_result_each_time(rare):
    assert not np.array_equal(
        probabilities(rare, {}, None), probabilities(rare, {}, None)
    )


def in_float32(data):
    """8 columns, so that a row has no other alignment in memory than the others."""
    X, y = data
    return X[:, :8].astype(np.float32), y


PREDICTORS = {
    "default": {},
    "mlp": {"module": "mlp"},
    "linear": {"module": "linear"},
    "float64": {"dtype": "float64"},
    "prior": {"target_prior": "uniform", "class_weight": "balanced"},
    "focal": {"loss": "focal"},
}
predictors = pytest.mark.parametrize("params", PREDICTORS.values(), ids=PREDICTORS)


@pytest.fixture(params=["rare", "three_classes"])
def predicted(request):
    """Rows, and what fits a classifier of 64 rows a chunk to them."""
    X, y = in_float32(request.getfixturevalue(request.param))

    def fit(**params):
        return BalancedNeuralClassifier(
            max_epochs=4,
            net__iterator_valid__batch_size=64,
            device="cpu",
            random_state=0,
            **params,
        ).fit(X, y)

    return X, fit


@predictors
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_number_of_threads_changes_no_bit_of_a_prediction(
    predicted, params, container, monkeypatch
):
    """Of ten chunks, in one block and in several."""
    X, fit = predicted
    clf = fit(**params)
    expected = clf.set_params(n_threads=1).predict_proba(container(X))
    for n_threads in (2, 3, None):
        clf.set_params(n_threads=n_threads)
        np.testing.assert_array_equal(clf.predict_proba(container(X)), expected)
    monkeypatch.setattr("imbalnet._tables.features._BLOCK_ROWS", 192)
    for n_threads in (1, 2):
        clf.set_params(n_threads=n_threads)
        np.testing.assert_array_equal(clf.predict_proba(container(X)), expected)


@predictors
def test_rows_get_the_same_bits_in_every_chunk(predicted, params):
    X, fit = predicted
    clf = fit(**params)
    expected = clf.predict_proba(X)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_array_equal(clf.predict_proba(X[order]), expected[order])
    for start, stop in [(0, 1), (599, 600), (3, 66), (3, 67), (3, 68), (100, 600)]:
        part = clf.predict_proba(X[start:stop])
        np.testing.assert_array_equal(part, expected[start:stop])
    for n_rows in (1, 63, 128, 600):
        clf.net_.iterator_valid__batch_size = n_rows
        np.testing.assert_array_equal(clf.predict_proba(X), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_classes", [3, 5, 6])
@pytest.mark.parametrize("n_members", [1, 3])
def test_rows_get_the_same_bits_with_any_number_of_classes(
    n_members, n_classes, dtype, rng
):
    """The default's products have a column for each class, wherever in memory."""
    X, y = rng.normal(size=(200, 5)), np.arange(200) % n_classes
    clf = BalancedNeuralClassifier(
        n_members=n_members,
        module__hidden_sizes=(10,),
        dtype=dtype,
        max_epochs=1,
        device="cpu",
    ).fit(X, y)
    expected = clf.predict_proba(X)
    for start in (1, 2, 3):
        np.testing.assert_array_equal(clf.predict_proba(X[start:]), expected[start:])


def test_partial_fit_of_many_rows_is_seeded(rng):
    """More rows than statistics are taken from: their sample is drawn by the seed."""
    X = rng.normal(size=(70_000, 2)).astype(np.float32)
    y = (X[:, 0] > 1).astype(int)
    before = torch.get_rng_state()

    def fitted():
        clf = BalancedNeuralClassifier(
            "mlp", module__hidden_sizes=(4,), batch_size=7_000, random_state=0
        )
        return clf.partial_fit(X, y, classes=[0, 1]).partial_fit(2 * X, y)

    first, second = fitted(), fitted()
    np.testing.assert_array_equal(
        first.predict_proba(X[:99]), second.predict_proba(X[:99])
    )
    assert torch.equal(torch.get_rng_state(), before)

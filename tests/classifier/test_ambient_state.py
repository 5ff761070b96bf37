"""Results do not depend on what the caller has set around, and leave it as it was."""

from __future__ import annotations

import warnings
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import sklearn
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from imbalnet import BalancedNeuralClassifier


@contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def denormals_flushed():
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor does not flush denormal numbers")
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@contextmanager
def anomalies():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Anomaly Detection")
        with torch.autograd.set_detect_anomaly(True):
            yield


STATES = {
    "no_grad": torch.no_grad,
    "grad disabled": lambda: torch.set_grad_enabled(False),
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "default dtype": default_dtype,
    "meta": lambda: torch.device("meta"),
    "default device": default_device,
    "deterministic": deterministic,
    "anomalies": anomalies,
    "denormals": denormals_flushed,
    "numpy": lambda: np.errstate(all="raise"),
    "numpy silent": lambda: np.errstate(all="ignore"),
    "warnings": warnings_are_errors,
    "assume_finite": lambda: sklearn.config_context(assume_finite=True),
    "pandas": lambda: sklearn.config_context(transform_output="pandas"),
    "unvalidated": lambda: sklearn.config_context(skip_parameter_validation=True),
    "routing": lambda: sklearn.config_context(enable_metadata_routing=True),
}
states = pytest.mark.parametrize("state", STATES.values(), ids=STATES)


def ambient():
    """What may be asked for of the state around."""
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.is_autocast_cache_enabled(),
        torch.get_default_dtype(),
        torch.empty(0).device,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_anomaly_enabled(),
        np.float64(5e-324) * 1.0 == 0.0,
        np.geterr(),
        sklearn.get_config(),
    )


class Dropped(nn.Sequential):
    """A module of a user, which draws, and creates tensors in each batch."""

    def __init__(self, in_features, out_features):
        super().__init__(
            nn.Linear(in_features, 8), nn.Dropout(0.2), nn.Linear(8, out_features)
        )

    def forward(self, x):
        return super().forward(x + torch.zeros(x.shape[1]))


CONFIGURATIONS = {
    "default": {"n_members": 2, "threshold": "f1"},
    "linear": {"module": "linear"},
    "sampler, own module": {"module": Dropped, "sampler": "oversample"},
}
if torch.ops.mkldnn._is_mkldnn_bf16_supported():
    CONFIGURATIONS["bfloat16"] = {"module": "mlp", "dtype": "bfloat16"}
# States that other configurations than the default one met in other places.
ELSEWHERE = "no_grad", "inference_mode", "autocast", "default dtype", "meta", "numpy"
PAIRS = [("default", state) for state in STATES]
PAIRS += [(name, state) for name in list(CONFIGURATIONS)[1:] for state in ELSEWHERE]


def probabilities(clf, X, y):
    return clone(clf).fit(X, y).predict_proba(X)


def results(data, params, state=nullcontext):
    """All that training and prediction give, computed in a state."""
    X, y = data
    clf = BalancedNeuralClassifier(max_epochs=2, random_state=0, **params)
    with state():
        before = ambient()
        clf.fit(X, y)
        found = [clf.predict_proba(X), clf.predict(X), clf.decision_function(X)]
        found += [clf.score(X, y)]
        if "threshold" in params:
            found += [clf.oof_proba_, clf.oof_weight_, clf.threshold_]
            found += [str(clf.report_)]
        if params.get("module") == "linear":
            found += [clf.coef_, clf.intercept_]
        clf.set_params(threshold=None).partial_fit(X, y)
        found += [clf.predict_proba(X)]
        assert ambient() == before
    return [*found, clf.predict_proba(X)]


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5)).astype(np.float32)
    return X, (X[:, 0] + rng.normal(size=200) > 0.8).astype(int)


@pytest.fixture(scope="module")
def usual(small):
    return {name: results(small, p) for name, p in CONFIGURATIONS.items()}


@pytest.mark.parametrize(("name", "state"), PAIRS)
def test_every_state_gives_the_same_bits_and_stays(small, usual, name, state):
    found = results(small, CONFIGURATIONS[name], STATES[state])
    for one, other in zip(found, usual[name], strict=True):
        np.testing.assert_array_equal(one, other)


def test_states_nest(small, usual):
    @contextmanager
    def nested():
        with default_dtype(), torch.inference_mode(), torch.device("meta"):
            yield

    found = results(small, CONFIGURATIONS["default"], nested)
    for one, other in zip(found, usual["default"], strict=True):
        np.testing.assert_array_equal(one, other)


def test_workers_give_the_same_bits_under_another_default_dtype(small, usual):
    """A worker process does not have the dtype of its parent."""
    with default_dtype():
        clf = BalancedNeuralClassifier(
            max_epochs=2, random_state=0, **CONFIGURATIONS["default"]
        )
        job = delayed(probabilities)(clf, *small)
        for backend in ("threading", "loky"):
            for found in Parallel(2, backend=backend)([job] * 4):
                np.testing.assert_array_equal(found, usual["default"][0])
        assert torch.get_default_dtype() == torch.float64


class Fails(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise ZeroDivisionError


@states
def test_state_stays_where_a_fit_fails(small, state):
    clf = BalancedNeuralClassifier("mlp", callbacks=[Fails()])
    with state():
        before = ambient()
        with pytest.raises(ZeroDivisionError):
            clf.fit(*small)
        assert ambient() == before

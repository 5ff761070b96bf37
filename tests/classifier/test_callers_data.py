"""Modules that work in place do not change what the caller handed over."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from imbalnet import BalancedNeuralClassifier
from imbalnet.networks import Network


class Shifts(nn.Module):
    """It shifts its input in place, and takes its statistics in place too."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.output = nn.Linear(in_features, out_features)

    def initialize_from(self, X, y, sample_weight):
        X += 1.0

    def update_from(self, X, y, sample_weight):
        X += 1.0

    def forward(self, x):
        return self.output(x.add_(1.0).relu_())


class ShiftsOutside(Shifts):
    """The same, out of place."""

    def forward(self, x):
        return self.output((x + 1.0).relu())


class ShiftsInBody(Network):
    """`prepare` hands its input on."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.output = nn.Linear(in_features, out_features)

    def body(self, z):
        return self.output(z.add_(1.0).relu_())


class ShiftsInPrepare(ShiftsInBody):
    def prepare(self, x):
        return x.add_(1.0)

    def body(self, z):
        return self.output(z.relu())


MODULES = [Shifts, ShiftsInBody, ShiftsInPrepare]
WAYS = {
    "batches": {"batch_size": 32},
    "one batch": {"batch_size": 128},
    "lbfgs": {"optimizer": "lbfgs", "learning_rate": 0.1},
    "members": {"n_members": 2, "n_neighbors": 0},
    "members, one batch": {"n_members": 2, "early_stopping": False, "batch_size": 128},
}
ways = pytest.mark.parametrize("params", WAYS.values(), ids=WAYS)


@pytest.fixture
def table(rng, tmp_path):
    """128 rows: predictions in full blocks, without padding."""
    X = rng.normal(size=(128, 4)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    y = (X[:, 0] + rng.normal(size=128) > 0.5).astype(int)
    return X, y, tmp_path / "X.npy"


def fitted(module, X, y, params, **fit_params):
    return BalancedNeuralClassifier(module, max_epochs=2, random_state=0, **params).fit(
        X, y, **fit_params
    )


@pytest.mark.parametrize("module", MODULES)
@ways
def test_module_that_works_in_place_leaves_the_table(module, params, table):
    X, y, path = table
    kept, before = X, X.copy()
    clf = fitted(module, X, y, params)
    clf.predict_proba(X)
    clf.partial_fit(X, y).decision_function(X)
    np.testing.assert_array_equal(kept, before)
    for held in (np.load(path, mmap_mode="r"), before.view()):
        held.flags.writeable = False  # writing to mapped memory would end the process
        expected = fitted(module, before.copy(), y, params).predict_proba(before.copy())
        found = fitted(module, held, y, params).predict_proba(held)
        np.testing.assert_array_equal(found, expected)


@ways
def test_validation_rows_stay(params, table):
    X, y, _ = table
    if params.get("n_members"):
        params = {"n_members": 2, "n_neighbors": 0}
    X_val = X.copy()
    fitted(Shifts, X.copy(), y, params, X_val=X_val, y_val=y)
    np.testing.assert_array_equal(X_val, X)


@ways
def test_module_that_works_in_place_gives_what_it_gives_out_of_place(params, table):
    """Its members do not see each other's changes."""
    X, y, _ = table
    one, other = (fitted(m, X, y, params) for m in (Shifts, ShiftsOutside))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_own_networks_take_the_table_as_it_is(table, monkeypatch):
    """Without a copy of its rows."""
    X, y, _ = table
    clf = fitted("mlp", X, y, {})
    seen = []
    clf.module_.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    clf.predict_proba(X)
    assert {x.data_ptr() for x in seen} == {torch.from_numpy(X).data_ptr()}

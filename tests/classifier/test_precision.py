"""Half precision, compiled networks, and tables that do not fit on the device."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import average_precision_score, log_loss
from torch import nn

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.feeds.batches import Place, Table
from imbalnet._fit.net.reduction import LossSum
from imbalnet._runtime import check_bfloat16
from imbalnet._tables import Rows

mlp = partial(BalancedNeuralClassifier, module="mlp")

PARAMS = {"max_epochs": 8, "random_state": 0}


@pytest.fixture(scope="module")
def halves():
    X, y = make_classification(
        6000, 10, n_informative=6, weights=[0.9], flip_y=0.02, random_state=0
    )
    X = X.astype(np.float32)
    return X[::2], y[::2], X[1::2], y[1::2]


def quality(clf, halves):
    X, y, X_test, y_test = halves
    probabilities = clf.fit(X, y).predict_proba(X_test)
    ap = average_precision_score(y_test, probabilities[:, 1])
    return ap, log_loss(y_test, probabilities)


def has_bfloat16():
    try:
        check_bfloat16(torch.device("cpu"))
    except ValueError:
        return False
    return True


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bfloat16")
@pytest.mark.parametrize(
    "params",
    [{}, {"loss": "focal"}, {"class_weight": "balanced", "early_stopping": True}],
    ids=["plain", "focal", "weights"],
)
def test_bfloat16_is_as_good(params, halves):
    single = quality(mlp(**PARAMS, **params), halves)
    clf = mlp(dtype="bfloat16", **PARAMS, **params)
    assert quality(clf, halves) == pytest.approx(single, abs=0.01)
    assert {p.dtype for p in clf.module_.parameters()} == {torch.float32}


class Products(nn.Module):
    """Remember in which precision a layer computes."""

    seen: list = []

    def __init__(self, in_features, out_features):
        super().__init__()
        self.layer = nn.Linear(in_features, out_features)

    def forward(self, x):
        logits = self.layer(x)
        self.seen.append((x.dtype, logits.dtype))
        return logits


class SeenLoss(nn.CrossEntropyLoss):
    """Remember the precision of the logits."""

    seen: list = []

    def forward(self, logits, target):
        self.seen.append(logits.dtype)
        return super().forward(logits, target)

    def log_posterior(self, logits):
        return logits.log_softmax(-1)


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bfloat16")
def test_bfloat16_is_for_products_only(halves):
    Products.seen, SeenLoss.seen = [], []
    clf = BalancedNeuralClassifier(
        Products, loss=SeenLoss, dtype="bfloat16", max_epochs=1
    )
    probabilities = clf.fit(*halves[:2]).predict_proba(halves[0])
    # what is only looked at, before the first step, is in single precision
    n_looks = Products.seen.index((torch.float32, torch.bfloat16))
    assert set(Products.seen[:n_looks]) == {(torch.float32, torch.float32)}
    assert set(Products.seen[n_looks:]) == {(torch.float32, torch.bfloat16)}
    assert torch.bfloat16 not in SeenLoss.seen
    assert probabilities.dtype == np.float64


def test_bfloat16_is_refused_where_it_is_not(halves, monkeypatch):
    def no(device):
        raise ValueError("dtype='bfloat16' is not supported")

    monkeypatch.setattr("imbalnet._fit.options.resolve.check_bfloat16", no)
    clf = mlp(dtype="bfloat16", max_epochs=1)
    with pytest.raises(ValueError, match="dtype='bfloat16' is not supported"):
        clf.fit(*halves[:2])
    assert not hasattr(clf, "net_")


def test_lbfgs_stays_in_float64_with_bfloat16(halves):
    X, y, *_ = halves
    plain = BalancedNeuralClassifier("linear").fit(X, y)
    half = BalancedNeuralClassifier("linear", dtype="bfloat16").fit(X, y)
    np.testing.assert_array_equal(plain.coef_, half.coef_)


def test_a_table_that_does_not_fit_is_streamed(halves, monkeypatch):
    """The batches are the same, and the user is told."""
    X, y, *_ = halves
    resident = mlp(**PARAMS, early_stopping=True).fit(X, y)
    flags = []
    build = Table.__init__

    def remember(self, *args, **kwargs):
        build(self, *args, **kwargs)
        flags.append(self.is_resident)

    monkeypatch.setattr(Table, "__init__", remember)
    monkeypatch.setattr(
        "imbalnet._fit.feeds.batches.free_memory", lambda device: X.nbytes
    )
    streamed = mlp(**PARAMS, early_stopping=True)
    with pytest.warns(UserWarning, match=r"X has 0.0 GB, but cpu has 0.0 GB free"):
        streamed.fit(X, y)
    assert not any(flags)
    np.testing.assert_array_equal(streamed.predict_proba(X), resident.predict_proba(X))


@pytest.mark.gpu
def test_streamed_batches_are_the_resident_ones_on_a_gpu(halves, monkeypatch):
    X, y, *_ = halves
    resident = mlp(**PARAMS, device="cuda").fit(X, y)
    monkeypatch.setattr("imbalnet._fit.feeds.batches.free_memory", lambda device: 1)
    with pytest.warns(UserWarning, match="come from main memory"):
        streamed = mlp(**PARAMS, device="cuda").fit(X, y)
    np.testing.assert_allclose(
        streamed.predict_proba(X), resident.predict_proba(X), atol=1e-5
    )


@pytest.mark.gpu
def test_an_epoch_waits_for_the_gpu_once(halves, monkeypatch):
    """CUDA raises for any synchronisation in the loop but the one at its end."""
    X, y, *_ = halves
    clf = mlp(**PARAMS, device="cuda", early_stopping=False)
    clf.fit(X, y)
    net = clf.net_
    rows = Table(Rows(X, y), Place(torch.float32, torch.device("cuda")))
    batches = net.iterator_train(rows, batch_size=100)
    monkeypatch.setattr(LossSum, "result", lambda self: (0.0, 1))
    net._train_in_a_loop(batches)
    torch.cuda.set_sync_debug_mode("error")
    try:
        net._train_in_a_loop(batches)
    finally:
        torch.cuda.set_sync_debug_mode("default")

"""The skorch net: weighting, reduction, and what an epoch costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imbalnet import BalancedNeuralClassifier
from imbalnet.batches import Shuffle
from imbalnet.losses import CrossEntropy
from imbalnet.net import ImbalanceNet, NetRows
from imbalnet.networks import LinearModel


@pytest.fixture
def net():
    return ImbalanceNet(
        LinearModel,
        module__in_features=2,
        module__out_features=2,
        criterion=CrossEntropy(),
        optimizer=torch.optim.SGD,
        lr=1.0,
        verbose=0,
        device="cpu",
    ).initialize()


def gradient(net, X, y, weight):
    net.optimizer_.zero_grad()
    net.train_step_single((torch.tensor(X), torch.tensor(y), torch.tensor(weight)))
    return net.module_.output.weight.grad.clone()


def test_a_batch_without_positives_keeps_its_weight(net, rng):
    """torch's weighted mean cancels the weights in a batch of one class."""
    X = rng.normal(size=(6, 2)).astype(np.float32)
    y, weight = np.zeros(6, dtype=int), np.full(6, 0.505, dtype=np.float32)
    plain = gradient(net, X, y, np.ones(6, dtype=np.float32))
    torch.testing.assert_close(gradient(net, X, y, weight), 0.505 * plain)
    criterion = nn.CrossEntropyLoss(weight=torch.tensor([0.505, 50.0]))
    loss = criterion(net.module_(torch.tensor(X)), torch.tensor(y))
    (cancelled,) = torch.autograd.grad(loss, net.module_.output.weight)
    torch.testing.assert_close(cancelled, plain)


def test_epochs_of_batches_have_the_gradient_of_the_whole(net, rng):
    """The mean over a shuffled epoch's batches is the training set's weighted mean."""
    X = rng.normal(size=(60, 2)).astype(np.float32)
    y, weight = rng.integers(0, 2, 60), rng.random(60).astype(np.float32)
    whole = gradient(net, X, y, weight)
    parts = [
        gradient(net, X[part], y[part], weight[part])
        for part in np.array_split(rng.permutation(60), 6)
    ]
    torch.testing.assert_close(torch.stack(parts).mean(0), whole)


def test_recorded_losses_are_exact(rng):
    """With a learning rate of next to nothing, the epoch's loss is the mean loss."""
    X = rng.normal(size=(103, 2)).astype(np.float32)
    y = rng.integers(0, 2, 103)
    clf = BalancedNeuralClassifier(
        class_weight={0: 1, 1: 3}, learning_rate=1e-12, max_epochs=1, batch_size=10
    ).fit(X, y, X_val=X, y_val=y)
    weight = np.where(y == 1, 3.0, 1.0)
    log_posterior = clf.net_.predict_log_posterior(X)
    expected = np.average(-log_posterior[np.arange(103), y], weights=weight)
    assert clf.history_[0, "train_loss"] == pytest.approx(expected, rel=1e-5)
    assert clf.history_[0, "valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_penalty_of_optimisers_without_weight_decay(rng):
    """Decay as a gradient: the penalty's is weight_decay * W."""
    nets = [
        ImbalanceNet(
            LinearModel,
            module__in_features=2,
            module__out_features=2,
            criterion=CrossEntropy(),
            optimizer=torch.optim.LBFGS,
            weight_decay=decay,
            verbose=0,
        ).initialize()
        for decay in (0.0, 0.3)
    ]
    X = rng.normal(size=(9, 2)).astype(np.float32)
    y, weight = rng.integers(0, 2, 9), np.ones(9, dtype=np.float32)
    for each in nets:
        nn.init.constant_(each.module_.output.weight, 2.0)
    plain, decayed = (gradient(each, X, y, weight) for each in nets)
    torch.testing.assert_close(decayed - plain, torch.full((1, 2), 0.6))


def count_synchronisations(monkeypatch, batch_size, params):
    """Count the calls that would make a GPU wait in a fit of two epochs."""
    calls = []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__"):
        original = getattr(Tensor, name)

        def counted(self, *args, _original=original):
            calls.append(self)
            return _original(self, *args)

        monkeypatch.setattr(Tensor, name, counted)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 3)), np.arange(200) % 4 == 0
    clf = BalancedNeuralClassifier(batch_size=batch_size, max_epochs=2, **params)
    clf.fit(X, y)
    monkeypatch.undo()
    return len(calls)


@pytest.mark.parametrize("params", [{}, {"loss": "focal"}, {"sampler": "weighted"}])
def test_batches_do_not_synchronise(monkeypatch, params):
    """As many synchronisations with 20 batches an epoch as with 2."""
    few, many = (count_synchronisations(monkeypatch, n, params) for n in (100, 10))
    assert few == many


def test_callbacks_that_nobody_asked_for_hear_no_batches(net, rng, monkeypatch):
    told = []
    monkeypatch.setattr(
        "skorch.NeuralNet.notify", lambda self, name, **kwargs: told.append(name)
    )
    rows = NetRows(
        rng.normal(size=(50, 2)), np.arange(50) % 2, np.ones(50), order=Shuffle(50, rng)
    )
    net.history.new_epoch()
    net.fit_loop((rows, None), epochs=1)
    assert set(told) == {"on_epoch_begin", "on_epoch_end"}


def test_fit_and_predict_do_not_copy_a_float32_matrix(monkeypatch, rng):
    """The table that batches are gathered from is the user's own memory."""
    X = np.ascontiguousarray(rng.normal(size=(3000, 4)), dtype=np.float32)
    y = np.arange(3000) % 5 == 0
    tables, chunks = [], []
    build, infer = NetRows.__init__, ImbalanceNet._infer_alike

    def remember_table(self, table, *args, **kwargs):
        build(self, table, *args, **kwargs)
        tables.append(self.table.data_ptr())

    def remember_chunk(self, chunk):
        chunks.append((chunk.data_ptr() - X.ctypes.data) / X[0].nbytes)
        return infer(self, chunk)

    monkeypatch.setattr(NetRows, "__init__", remember_table)
    clf = BalancedNeuralClassifier(
        max_epochs=1, early_stopping=True, net__iterator_valid__batch_size=1024
    )
    clf.fit(X, y)
    # training rows, validation rows, and these again for the offset
    assert tables == [X.ctypes.data] * 3
    monkeypatch.setattr(ImbalanceNet, "_infer_alike", remember_chunk)
    clf.predict_proba(X)
    assert chunks == [0, 1024, 2048]  # rows of X where they lie

"""The skorch net: weighting, reduction, and what an epoch costs."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.optim.optimizer import register_optimizer_step_post_hook

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.feeds.batches import Table
from imbalnet._fit.feeds.feed import Feed
from imbalnet._fit.net import ImbalanceNet
from imbalnet._fit.net.reduction import LossSum, loss_per_row
from imbalnet._predict import Concatenation, Predictor
from imbalnet._tables import Rows
from imbalnet.losses import LOSSES, CrossEntropy
from imbalnet.networks import MLP, LinearModel, Standardize
from imbalnet.samplers import Shuffle

mlp = partial(BalancedNeuralClassifier, module="mlp")


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
    loss = criterion(net.infer(torch.tensor(X)).squeeze(1), torch.tensor(y))
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
    clf = mlp(
        class_weight={0: 1, 1: 3}, learning_rate=1e-12, max_epochs=1, batch_size=10
    ).fit(X, y, X_val=X, y_val=y)
    weight = np.where(y == 1, 3.0, 1.0)
    log_posterior = clf.net_.predict_log_posterior(X)
    expected = np.average(-log_posterior[np.arange(103), 0, y], weights=weight)
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
    clf = mlp(batch_size=batch_size, max_epochs=2, **params)
    clf.fit(X, y)
    monkeypatch.undo()
    return len(calls)


@pytest.mark.parametrize("params", [{}, {"loss": "focal"}, {"sampler": "weighted"}])
def test_batches_do_not_synchronise(monkeypatch, params):
    """As many synchronisations with 20 batches an epoch as with 2."""
    few, many = (count_synchronisations(monkeypatch, n, params) for n in (100, 10))
    assert few == many


def test_callbacks_that_nobody_asked_for_hear_no_batches(net, rng, monkeypatch, place):
    told = []
    monkeypatch.setattr(
        "skorch.NeuralNet.notify", lambda self, name, **kwargs: told.append(name)
    )
    rows = Rows(rng.normal(size=(50, 2)), np.arange(50) % 2)
    feed = Feed(rows, place, order=Shuffle(50, rng))
    net.history.new_epoch()
    net.fit_loop((feed, None), epochs=1)
    assert set(told) == {"on_epoch_begin", "on_epoch_end"}


def test_fit_and_predict_do_not_copy_a_float32_matrix(monkeypatch, rng):
    """The table that batches are gathered from is the user's own memory."""
    X = np.ascontiguousarray(rng.normal(size=(3000, 4)), dtype=np.float32)
    y = np.arange(3000) % 5 == 0
    tables, chunks = [], []
    build, infer = Table.__init__, Predictor.steady_logits

    def remember_table(self, *args, **kwargs):
        build(self, *args, **kwargs)
        tables.append(self.table.data_ptr())

    def remember_chunk(self, chunk):
        chunks.append((chunk.data_ptr() - X.ctypes.data) / X[0].nbytes)
        return infer(self, chunk)

    monkeypatch.setattr(Table, "__init__", remember_table)
    clf = mlp(max_epochs=1, early_stopping=True, net__iterator_valid__batch_size=1024)
    clf.fit(X, y)
    # training rows, validation rows, and these again for the offset
    assert tables == [X.ctypes.data] * 3
    monkeypatch.setattr(Predictor, "steady_logits", remember_chunk)
    clf.predict_proba(X)
    assert chunks == [0, 1024, 2048]  # rows of X where they lie


@pytest.mark.parametrize("n_members", [1, 3])
def test_skorch_callbacks_see_no_axis_of_a_single_member(n_members, rare, recorder):
    X, y = rare
    shape = {1: (2,), 3: (3, 2)}[n_members]
    clf = mlp(n_members=n_members, max_epochs=1, batch_size=50, callbacks=[recorder])
    clf.fit(X, y, X_val=X, y_val=y)
    for training in (True, False):
        batches = recorder.of(training=training)
        assert batches
        for batch in batches:
            assert batch.y_pred.shape == (len(batch.y), *shape)
    infer = clf.net_.infer(torch.tensor(X[:5], dtype=torch.float32))
    assert infer.shape == (5, n_members, 2)
    assert clf.net_.predict_log_posterior(X[:5]).shape == (5, n_members, 2)
    assert clf.net_.predict_proba(X[:5].astype(np.float32)).shape == (5, 2)


class OwnForward(MLP):
    """Changes the forward pass of a network that prepares blocks."""

    def forward(self, x):
        return -3.0 * super().forward(x)


class LearnsFirst(MLP):
    """Learns the layer that prepares."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features, standardize=False)
        self.input = nn.Linear(in_features, in_features)


class OwnPrepare(nn.Linear):
    """Has a method that happens to have the name of imbalnet's."""

    def prepare(self, x):
        return x.clamp(-5, 5)

    def forward(self, x):
        return super().forward(self.prepare(x))


class NormalisesFirst(MLP):
    """Prepares with the statistics of a batch, and learns nothing there."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features, standardize=False)
        self.input = nn.BatchNorm1d(in_features, affine=False)


WAYS = {
    "balanced": {"class_weight": "balanced"},
    "deferred": {"class_weight": "balanced", "class_weight__start_epoch": 2},
    "sample weights": {"is_weighted": True},
    **{name: {"loss": name} for name in LOSSES},
    "weighted sampler": {"sampler": "weighted"},
    "validation": {"early_stopping": True},
    "SGD": {"optimizer": torch.optim.SGD},
    "Adam": {"optimizer": torch.optim.Adam},
    "linear": {"module": "linear", "optimizer": "adamw"},
    "members": {"module": "three_members"},
    "members, focal": {"module": "three_members", "loss": "focal"},
    "one column": {"module": "one_column"},
    "own forward": {"module": OwnForward},
    "learns first": {"module": LearnsFirst},
    "own prepare": {"module": OwnPrepare},
    "normalises first": {"module": NormalisesFirst},
}


@pytest.mark.parametrize("params", WAYS.values(), ids=WAYS)
def test_bare_loop_trains_as_skorch_does(rare, monkeypatch, params, recorder, request):
    X, y = rare
    params = {"early_stopping": False, **params}
    if params.get("module") in ("three_members", "one_column"):
        params["module"] = request.getfixturevalue(params["module"])
    weight = np.arange(1, 601) / 300 if params.pop("is_weighted", False) else None
    ways = []
    for name in ("_train_in_a_loop", "_train_in_steps"):
        original = getattr(ImbalanceNet, name)

        def told(self, *args, _name=name, _original=original):
            ways.append(_name)
            return _original(self, *args)

        monkeypatch.setattr(ImbalanceNet, name, told)
    bare, watched = (
        mlp(
            max_epochs=4,
            batch_size=37,
            dtype="float64",
            random_state=0,
            callbacks=callbacks,
            **params,
        ).fit(X, y, sample_weight=weight)
        for callbacks in (None, [recorder])
    )
    assert ways == ["_train_in_a_loop"] * 4 + ["_train_in_steps"] * 4
    for name, values in bare.module_.state_dict().items():
        expected = watched.module_.state_dict()[name]
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-8)
    for key in bare.history_[-1]:
        if key.startswith(("train_", "valid_")):
            assert bare.history_[:, key] == pytest.approx(
                watched.history_[:, key], abs=1e-8
            )


def test_loss_of_members_is_the_mean_of_their_losses():
    logits, y = torch.randn(7, 4, 2), torch.arange(7) % 2
    members = [
        nn.functional.cross_entropy(m, y, reduction="none") for m in logits.unbind(1)
    ]
    losses = loss_per_row(CrossEntropy(), logits, y)
    torch.testing.assert_close(losses, sum(members) / 4)


def count_passes(batch_size, **params):
    """Count optimiser steps, and rows of training and other passes, in two epochs."""
    steps, passes = [], {True: [], False: []}

    def count_step(optimizer, args, kwargs):
        if isinstance(optimizer, torch.optim.AdamW):  # L-BFGS finds a loss' minimiser
            steps.append(args)

    def count_last_layer(module, inputs, output):
        if isinstance(module, nn.Linear) and module.out_features == 3:
            passes[module.training].append(len(output))

    X, y = np.random.default_rng(0).normal(size=(201, 4)), np.arange(201) % 3
    clf = mlp(batch_size=batch_size, max_epochs=2, **params)
    hooks = [
        register_optimizer_step_post_hook(count_step),
        register_module_forward_hook(count_last_layer),
    ]
    try:
        clf.fit(X, y, X_val=X, y_val=y)
    finally:
        for hook in hooks:
            hook.remove()
    return len(steps), passes[True], passes[False]


@pytest.mark.parametrize(
    "params",
    [{}, {"module": "linear", "optimizer": "adamw"}, {"module": nn.Linear}],
    ids=["mlp", "linear", "own"],
)
def test_a_batch_costs_one_pass_and_one_step(params):
    n_steps, trained, others = count_passes(50, **params)
    assert n_steps == 2 * 4
    assert trained == [50, 50, 50, 51] * 2
    *_, trained, others_of_few = count_passes(100, **params)
    assert trained == [100, 101] * 2
    assert others == others_of_few  # first look, validation, offset


@pytest.mark.parametrize("early_stopping", [False, True])
def test_blocks_are_standardised_once(rare, monkeypatch, early_stopping):
    """An epoch of 600 rows of 10 columns in blocks of 2000 values is three passes."""
    sizes = []
    original = Standardize.forward

    def remember(self, x):
        if self.training:
            sizes.append(len(x))
        return original(self, x)

    monkeypatch.setattr(Standardize, "forward", remember)
    monkeypatch.setattr("imbalnet._fit.feeds.batches._CPU_BLOCK_VALUES", 2000)
    clf = mlp(batch_size=20, max_epochs=2, early_stopping=early_stopping, device="cpu")
    clf.fit(*rare)
    assert sizes == ([200, 200, 140] if early_stopping else [200, 200, 200]) * 2


def test_loss_mean_is_the_weighted_mean_of_all_rows(rng):
    """Batches' sums are integers of float32, which their own sum would not be."""
    sizes = rng.integers(1, 8, size=3000)
    losses, weight = rng.integers(0, 500, size=(2, sizes.sum())).astype(np.float32)
    mean = LossSum()
    stops = np.cumsum(sizes)[:-1]
    for part in zip(np.split(losses, stops), np.split(weight, stops), strict=True):
        mean.add(*(torch.tensor(values) for values in part))
    total, n_rows = mean.result()
    expected = np.mean(losses.astype(np.float64) * weight)
    assert total / n_rows == pytest.approx(expected, rel=1e-12)


def test_loss_mean_takes_one_weight_for_all_rows():
    mean = LossSum()
    for size in (3, 5):
        mean.add(torch.arange(float(size)), torch.tensor(2.0).expand(size).double())
    assert mean.result() == (pytest.approx(2 * (3 + 10)), 8)


@pytest.mark.parametrize("sizes", [(9,), (4, 4, 1), (1, 1, 7)])
def test_batches_are_concatenated(sizes):
    columns = torch.randn(9, 3, 2), torch.arange(9), torch.rand(9)
    rows = Concatenation(9)
    for part in zip(*(column.split(sizes) for column in columns), strict=True):
        rows.add(*part)
    for whole, column in zip(rows.columns, columns, strict=True):
        torch.testing.assert_close(whole, column, rtol=0, atol=0)


def test_concatenation_is_no_longer_than_what_came():
    rows = Concatenation(9)
    rows.add(torch.ones(4, 2), torch.ones(4))
    assert [len(column) for column in rows.columns] == [4, 4]


@pytest.mark.parametrize(
    "batch_size",
    [
        1,
        100,
        10_000,
        -1,
    ],
)
def test_validation_batches_may_have_any_size(rare, batch_size):
    """As in skorch, -1 is all rows at once."""
    X, y = rare
    params = {"max_epochs": 2, "early_stopping": True, "random_state": 0}
    clf = mlp(**params, net__iterator_valid__batch_size=batch_size).fit(X, y)
    expected = mlp(**params).fit(X, y)
    assert clf.history_[:, "valid_loss"] == pytest.approx(
        expected.history_[:, "valid_loss"], rel=1e-5
    )
    np.testing.assert_allclose(
        clf.predict_proba(X), expected.predict_proba(X), rtol=1e-5
    )

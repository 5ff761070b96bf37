"""Checkpoints: a fit that was killed goes on to the same bits, or is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import SMOTE
from scipy import sparse
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from skorch.callbacks import Callback, EarlyStopping, Freezer, LRScheduler
from torch import nn
from torch.utils.data import DataLoader, Sampler

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.checkpoint import saver
from imbalnet._fit.checkpoint.files import CheckpointFile
from imbalnet._fit.checkpoint.identity import digest
from imbalnet.large_tables import LargeTable
from imbalnet.losses import LOSSES
from imbalnet.networks import NETWORKS
from imbalnet.samplers import SAMPLERS

MEMBERS = {"n_members": 2, "max_epochs": 4}
MLP = {"module": "mlp", "max_epochs": 4}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype(np.float32)
Y = (X[:, 0] + 0.5 * RNG.normal(size=200) > 0.4).astype(int)


class KilledError(Exception):
    """Stands for a kill, after which nothing of the process is left."""


class Kill(Callback):
    """End a fit at the beginning of an epoch, and count the epochs."""

    epoch, n_begun = None, 0  # of the class: they are no parameters of the fit

    def on_epoch_begin(self, net, **kwargs):
        Kill.n_begun += 1
        if len(net.history) == Kill.epoch:
            raise KilledError


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    """Write after every epoch."""
    monkeypatch.setattr(saver, "_FIRST_AFTER", -1.0)
    monkeypatch.setattr(saver, "_MOST_SHARE", 1.0)
    monkeypatch.setattr(Kill, "epoch", None)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "fit"


def new(callbacks=(), **params):
    params = {"random_state": 0, "batch_size": 64, **params}
    return BalancedNeuralClassifier(callbacks=[*callbacks, Kill()], **params)


def killed(clf, *data, epoch=3, **call):
    """Fit up to the beginning of an epoch."""
    Kill.epoch = epoch
    with pytest.raises(KilledError):
        clf.fit(*(data or (X, Y)), **call)
    Kill.epoch = None


def left_by(clf, table=None):
    """What a user can see of a fit; durations aside."""
    left = {"proba": clf.predict_proba(X if table is None else table)}
    left |= {f"weights {k}": v.numpy() for k, v in clf.module_.state_dict().items()}
    for name in ("temperature_", "offset_", "effective_prior_", "n_iter_"):
        left[name] = np.asarray(getattr(clf, name))
    left["best"] = np.asarray(clf.best_iteration_)
    if hasattr(clf, "oof_proba_"):
        left["oof"] = clf.oof_proba_
    for i, record in enumerate(clf.history_):
        for name, value in record.items():
            if name not in ("dur", "batches"):
                left[f"history {i} {name}"] = np.asarray(value)
    return left


def assert_same(one, other):
    assert one.keys() == other.keys()
    different = [
        name for name in one if one[name].tobytes() != np.asarray(other[name]).tobytes()
    ]
    assert not different


def check_resumes(folder, *data, make=new, epoch=3, **call):
    """A fit that is killed, then called again, ends as one that is not."""
    data = data or (X, Y)
    whole = make().fit(*data, **call)
    killed(make(checkpoint=folder), *data, epoch=epoch, **call)
    assert (folder / "unfinished_fit.pt").exists()
    Kill.n_begun = 0
    again = make(checkpoint=folder).fit(*data, **call)
    assert_same(left_by(whole, data[0]), left_by(again, data[0]))
    assert Kill.n_begun == whole.n_iter_ - (epoch - 1)
    assert not list(folder.iterdir())
    return again


# -- every kind of fit ------------------------------------------------------------


@pytest.mark.parametrize("epoch", [2, 4])
@pytest.mark.parametrize("module", [n for n in NETWORKS if n != "tabm"])
def test_networks_resume(folder, module, epoch):
    params = {"module": module, "n_members": epoch // 2, "max_epochs": 4}
    if module == "linear":
        params["optimizer"] = "adamw"
    check_resumes(folder, make=partial(new, **params), epoch=epoch)


def test_tabm_resumes(folder):
    pytest.importorskip("tabm")
    check_resumes(folder, make=partial(new, preset="best", max_epochs=4))


@pytest.mark.parametrize("sampler", [*SAMPLERS, SMOTE()], ids=str)
def test_samplers_resume(folder, sampler):
    check_resumes(folder, make=partial(new, **MLP, n_members=2, sampler=sampler))


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_resume(folder, loss):
    check_resumes(folder, make=partial(new, loss=loss, **MLP))


class Shuffled(Sampler):
    """A sampler of a user, with a generator and a place of its own."""

    def __init__(self, labels, generator):
        self.n_rows, self.generator, self.n_epochs = len(labels), generator, 0

    def __iter__(self):
        self.n_epochs += 1
        order = torch.randperm(self.n_rows, generator=self.generator)
        return iter(order.roll(self.n_epochs).tolist())

    def __len__(self):
        return self.n_rows


class Noisy(nn.Module):
    """A module of a user: batch norm, a counter, a buffer that is not saved, noise."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.norm = nn.BatchNorm1d(in_features)
        self.linear = nn.Linear(in_features, out_features)
        self.drop = nn.Dropout(0.2)
        self.generator = torch.Generator().manual_seed(0)
        self.rng = np.random.default_rng(0)
        self.n_steps = 0
        self.register_buffer("mean", torch.zeros(in_features), persistent=False)

    def forward(self, x):
        x = self.norm(x)
        if self.training:
            self.n_steps += 1
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
            noise = torch.randn(x.shape, generator=self.generator)
            x = x + noise * self.rng.random() / self.n_steps
        return self.linear(self.drop(x - self.mean))


class Damped(torch.optim.SGD):
    """An optimiser of a user that counts outside of its state."""

    n_steps = 0

    def step(self, closure=None):
        self.n_steps += 1
        for group in self.param_groups:
            group["momentum"] = 0.9 / self.n_steps
        return super().step(closure)


CONFIGURATIONS = {
    "default": {"max_epochs": 4},
    "lbfgs": {"module": "linear", "optimizer__max_iter": 2, "max_epochs": 5},
    "early stopping": {**MLP, "early_stopping": True, "patience": 1},
    "loss as monitor": {**MLP, "early_stopping": True, "monitor": "loss"},
    "deferred": {
        **MEMBERS,
        "class_weight": "balanced",
        "class_weight__start_epoch": 2,
    },
    "adam": {**MLP, "optimizer": "adam"},
    "sgd": {**MLP, "optimizer": "sgd", "schedule": "constant"},
    "float64": {**MEMBERS, "dtype": "float64"},
    "one batch": {**MLP, "batch_size": 200},
    "cv": {**MLP, "cv": ShuffleSplit(1, random_state=0)},
    "folds of the user": {**MLP, "cv": 3},
    "own module": {"module": Noisy, "max_epochs": 4},
    "own modules": {"module": Noisy, **MEMBERS},
    "own sampler": {**MLP, "sampler": Shuffled},
    "own samplers": {**MEMBERS, "sampler": Shuffled},
    "own optimizer": {**MLP, "optimizer": Damped},
    "own loss": {**MLP, "loss": nn.CrossEntropyLoss},
    "random state": {**MLP, "random_state": "RandomState"},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configurations_resume(folder, name):
    def make(**more):
        params = {**CONFIGURATIONS[name], **more}
        if params.get("random_state") == "RandomState":
            params["random_state"] = np.random.RandomState(3)
        return new(**params)

    check_resumes(folder, make=make, epoch=3 if name != "early stopping" else 2)


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="needs bfloat16"
)
def test_bfloat16_resumes(folder):
    check_resumes(folder, make=partial(new, dtype="bfloat16", **MEMBERS))


def test_frames_weights_and_groups_resume(folder):
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["shop"] = pd.Categorical(RNG.choice(list("xyz"), 200))
    call = {"sample_weight": np.arange(200) % 3, "groups": np.arange(200) // 2}
    check_resumes(folder, frame, Y, make=partial(new, **MEMBERS), **call)
    check_resumes(folder, make=partial(new, **MLP), X_val=X[:50], y_val=Y[:50])
    table = sparse.csr_matrix(np.where(X < 0, 0, X))
    check_resumes(folder, table, Y, make=partial(new, **MLP))


def test_table_that_is_not_in_memory_resumes(folder):
    """All of its values are compared, although they come block by block."""
    large, make = LargeTable(X, max_memory="1MB"), partial(new, **MLP)
    check_resumes(folder, large, Y, make=partial(make, early_stopping=True))
    killed(make(checkpoint=folder), large, Y)
    other = LargeTable(changed(X, (7, 2), 0.5), max_memory="1MB")
    with pytest.raises(ValueError, match="another X"):
        make(checkpoint=folder).fit(other, Y)


def test_fit_killed_again_and_again_resumes(folder):
    whole = new(**MLP).fit(X, Y)
    for epoch in (2, 3, 4):
        killed(new(**MLP, checkpoint=folder), epoch=epoch)
    assert_same(left_by(whole), left_by(new(**MLP, checkpoint=folder).fit(X, Y)))


def test_fit_without_seed_resumes_with_the_seeds_that_it_had(folder, tmp_path):
    params = {**MEMBERS, "random_state": None}
    killed(new(**params, checkpoint=folder), epoch=2)
    twin = tmp_path / "twin"
    twin.mkdir()
    written = (folder / "unfinished_fit.pt").read_bytes()
    (twin / "unfinished_fit.pt").write_bytes(written)
    killed(new(**params, checkpoint=folder), epoch=4)
    one, other = (new(**params, checkpoint=f).fit(X, Y) for f in (folder, twin))
    assert_same(left_by(one), left_by(other))


def test_end_of_training_resumes_without_an_epoch(folder, monkeypatch):
    """A kill while the probabilities are calibrated."""
    whole = new(**MEMBERS).fit(X, Y)
    with monkeypatch.context() as patch:
        patch.setattr("imbalnet._fit.train._calibrate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            new(**MEMBERS, checkpoint=folder).fit(X, Y)
    Kill.n_begun = 0
    assert_same(left_by(whole), left_by(new(**MEMBERS, checkpoint=folder).fit(X, Y)))
    assert Kill.n_begun == 0


def test_early_stop_stays_a_stop(folder, monkeypatch):
    params = {"module": "mlp", "early_stopping": True, "patience": 1}
    whole = new(**params, max_epochs=60).fit(X, Y)
    assert whole.n_iter_ < 60
    with monkeypatch.context() as patch:
        patch.setattr("imbalnet._fit.train._calibrate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            new(**params, max_epochs=60, checkpoint=folder).fit(X, Y)
    again = new(**params, max_epochs=60, checkpoint=folder).fit(X, Y)
    assert_same(left_by(whole), left_by(again))


def test_interrupted_fit_goes_on(folder, interrupt):
    whole = new(**MLP).fit(X, Y)
    stops = [interrupt["epoch"](3)]
    with pytest.raises(KeyboardInterrupt, match="training ended in epoch"):
        new(stops, **MLP, checkpoint=folder).fit(X, Y)
    assert (folder / "unfinished_fit.pt").exists()
    with pytest.raises(ValueError, match="callbacks"):
        new(**MLP, checkpoint=folder).fit(X, Y)
    stops[0].epoch = 3
    again = new(stops, **MLP, checkpoint=folder)
    with pytest.raises(KeyboardInterrupt, match="training ended in epoch"):
        again.fit(X, Y)
    assert whole.n_iter_ > again.n_iter_


def test_warm_fit_resumes_from_the_same_weights_only(folder):
    params = {**MLP, "warm_start": True}
    whole, cut, other = (new(**params).fit(X, Y) for _ in range(3))
    other.fit(X, Y)
    whole.fit(X, Y)
    cut.set_params(checkpoint=folder)
    killed(cut, epoch=7)
    with pytest.raises(ValueError, match="another start"):
        other.set_params(checkpoint=folder).fit(X, Y)
    with pytest.raises(ValueError, match="weights of an earlier fit, now new weights"):
        new(**params, checkpoint=folder).fit(X, Y)
    assert_same(left_by(whole), left_by(cut.fit(X, Y)))


def test_partial_fit_has_no_checkpoint(folder):
    clf = new(**MLP, checkpoint=folder).partial_fit(X, Y, classes=[0, 1])
    plain = new(**MLP).partial_fit(X, Y, classes=[0, 1])
    assert_same(left_by(clf), left_by(plain))
    assert not folder.exists()


def test_checkpoint_changes_no_result(folder):
    assert_same(
        left_by(new(**MEMBERS).fit(X, Y)),
        left_by(new(**MEMBERS, checkpoint=str(folder)).fit(X, Y)),
    )
    assert not list(folder.iterdir())


# -- callbacks --------------------------------------------------------------------


class Annealed(Callback):
    """State of many kinds, on which the learning rate depends."""

    def __init__(self):
        self.seen, self.by_epoch = [], {}
        self.rng, self.generator = np.random.default_rng(0), torch.Generator()
        self.best = (np.float64(1.0), {1, 2})
        self.mean = torch.zeros(2)
        self.curve = np.ones(3)
        self.function = np.sqrt

    def on_train_begin(self, net, **kwargs):
        self.net = net

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(net.history[-1]["train_loss"])
        self.by_epoch[len(self.seen)] = self.mean = self.mean + 1
        self.curve = self.curve * 0.5
        draw = self.rng.random() + torch.rand(1, generator=self.generator).item()
        lr = net.lr * draw * self.curve.sum() / (1 + self.mean.sum().item())
        net.set_params(lr=lr / len(self.by_epoch) / len(self.best[1]))
        net.history.record("drawn", lr)


class Counter:
    """An object that says its own state."""

    def __init__(self):
        self.n, self.lock = 0, threading.Lock()

    def __deepcopy__(self, memo):
        return type(self)()

    def state_dict(self):
        return {"n": self.n}

    def load_state_dict(self, state):
        self.n = state["n"]


class CountsItself(Counter, Callback):
    def on_epoch_end(self, net, **kwargs):
        self.n += 1
        net.history.record("n", self.n)


class HoldsACounter(Callback):
    def __init__(self):
        self.counter = Counter()

    def on_epoch_end(self, net, **kwargs):
        self.counter.n += 1
        net.history.record("n", self.counter.n)


@pytest.mark.parametrize(
    "make_callbacks",
    [
        lambda: [Annealed()],
        lambda: [CountsItself()],
        lambda: [HoldsACounter()],
        lambda: [("lr", LRScheduler("StepLR", step_size=2, gamma=0.1))],
        lambda: [Freezer("*weight*")],
        lambda: [EarlyStopping("train_loss", patience=2, threshold=0.5)],
    ],
    ids=["attributes", "own", "object", "scheduler", "freezer", "stopping"],
)
def test_callbacks_resume(folder, make_callbacks):
    def make(**more):
        return new(make_callbacks(), schedule="constant", **MLP, **more)

    check_resumes(folder, make=make)


def test_callbacks_that_share_a_list_share_it_again(folder):
    class Writes(Annealed):
        pass

    def make(**more):
        one, other = Annealed(), Writes()
        other.seen = one.seen
        return new([one, other], schedule="constant", **MLP, **more)

    again = check_resumes(folder, make=make)
    held = [cb for _, cb in again.net_.callbacks_ if isinstance(cb, Annealed)]
    assert held[0].seen is held[1].seen
    assert len(held[0].seen) == 8


class Locked(Callback):
    def __init__(self):
        self.lock = threading.Lock()


def test_callback_that_cannot_be_saved_is_an_error_at_the_start(folder):
    clf = new([Locked()], **MLP, checkpoint=folder)
    with pytest.raises(ValueError, match=r"Locked\.lock holds a lock.*state_dict"):
        clf.fit(X, Y)
    assert not hasattr(clf, "net_")
    assert not (folder / "unfinished_fit.pt").exists()


class Holder:
    """An object with an address, and a time, of its own in each process."""

    def __init__(self):
        self.created, self.inner = object(), [id(self)]


def test_objects_of_callbacks_are_known_again_by_their_class():
    one, other = CountsItself(), CountsItself()
    one.lock, other.lock = Holder(), Holder()
    assert digest([one]) == digest([other])
    other.n = 1
    assert digest([one]) != digest([other])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (X, np.asfortranarray(X)),
        (X, np.repeat(X, 2, axis=1)[:, ::2]),
        (sparse.csr_array(X), sparse.csr_array(X.copy())),
        (SMOTE(k_neighbors=3), SMOTE(k_neighbors=3)),
        (pd.Series({"no": 1, "yes": 2}), pd.Series({"no": 1, "yes": 2})),
        (np.float64(0.5), 0.5),
        (torch.ones(1), torch.ones(()).expand(1)),
    ],
    ids=["dict", "order", "view", "sparse", "estimator", "series", "number", "stride"],
)
def test_equal_values_have_one_digest(one, other):
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (X, X.astype(np.float64)),
        (X, X[::-1]),
        (X[:, :2], X[:, :2].reshape(-1)),
        ([1, [2]], [[1], 2]),
        (SMOTE(k_neighbors=3), SMOTE(k_neighbors=4)),
        (pd.Series({"no": 1, "yes": 2}), pd.Series({"no": 1, "ja": 2})),
        (partial(Noisy, in_features=1), partial(Noisy, in_features=2)),
        (np.array(["a", "b"], object), np.array(["a", "c"], object)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16)),
        (np.random.RandomState(0), np.random.RandomState(1)),
        (np.random.default_rng(0), np.random.default_rng(1)),
        ({1, 2}, {1, 3}),
    ],
)
def test_other_values_have_another_digest(one, other):
    assert digest(one) != digest(other)


def test_objects_that_hold_each_other_have_a_digest():
    one = Holder()
    one.inner = [one]
    assert digest(one) == digest(one)


def test_iterator_of_the_user_is_an_error(folder):
    clf = new(module="mlp", net__iterator_train=DataLoader, checkpoint=folder)
    with pytest.raises(ValueError, match="net__iterator_train"):
        clf.fit(X, Y)


# -- refused ----------------------------------------------------------------------

OTHER = {
    "learning_rate": (
        {"learning_rate": 0.01},
        "learning_rate='auto', now learning_rate=0.01",
    ),
    "seed": ({"random_state": 1}, "random_state=0, now random_state=1"),
    "no seed": ({"random_state": None}, "random_state=0, now random_state=None"),
    "generator": (
        {"random_state": np.random.RandomState(0)},
        "random_state=0, now random_state=<RandomState>",
    ),
    "module": ({"module": "linear"}, "module='mlp', now module='linear'"),
    "nested": ({"module__dropout": 0.5}, "no module__dropout, now module__dropout=0.5"),
    "loss": ({"loss": nn.CrossEntropyLoss}, "now loss=CrossEntropyLoss"),
    "weights": ({"class_weight": [1.0, 2.0]}, r"now class_weight=\[1.0, 2.0\]"),
    "sampler": ({"sampler": SMOTE(k_neighbors=3)}, r"now sampler=SMOTE\(k_ne"),
    "folds": ({"cv": KFold(2)}, "now cv=KFold"),
    "dtype": ({"dtype": "float64"}, "dtype='float32', now dtype='float64'"),
}


@pytest.mark.parametrize("name", OTHER)
def test_other_parameters_are_refused_by_name(folder, name):
    changed, message = OTHER[name]
    killed(new(**MLP, checkpoint=folder))
    clf = new(**{**MLP, **changed}, checkpoint=folder)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, Y)
    assert not hasattr(clf, "net_")
    assert new(**MLP, checkpoint=folder).fit(X, Y).n_iter_ == 4


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"X": changed(X, (7, 2), 0.5)}, "another X"),
        ({"X": X[:190], "y": Y[:190]}, "X of 200 rows and 4 columns, now X of 190"),
        ({"X": X[:, :3]}, "now X of 200 rows and 3 columns"),
        ({"y": changed(Y, 5, 1 - Y[5])}, "another y"),
        ({"y": np.array(["no", "yes"])[Y]}, "another y"),
        ({"sample_weight": np.arange(1, 201)}, "another sample_weight"),
        ({"groups": np.arange(200)}, "another groups"),
        ({"X_val": X[:9], "y_val": Y[:9]}, "no X_val, now X_val of 9 rows"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_other_data_are_refused_by_name(folder, call, message):
    killed(new(**MLP, checkpoint=folder))
    with pytest.raises(ValueError, match=f"unfinished fit with .*{message}.*delete"):
        new(**MLP, checkpoint=folder).fit(**{"X": X, "y": Y, **call})


def test_what_shows_or_predicts_may_change(folder, capsys):
    whole = new(**MLP).fit(X, Y)
    killed(new(**MLP, checkpoint=folder))
    again = new(**MLP, verbose=1, n_threads=1, target_prior="train", checkpoint=folder)
    again.fit(X, Y)
    assert "epoch 3 of 4" in capsys.readouterr().out
    assert_same(left_by(whole), left_by(again.set_params(target_prior=None)))


def test_other_versions_are_refused_by_name(folder, monkeypatch):
    killed(new(**MLP, checkpoint=folder))
    monkeypatch.setattr(torch, "__version__", "9.9")
    with pytest.raises(ValueError, match=r"torch 2.*, now torch 9\.9"):
        new(**MLP, checkpoint=folder).fit(X, Y)


class Restless:
    """A sampler that draws without the seed that it could have."""

    def fit_resample(self, X, y):
        chosen = np.random.default_rng().permutation(len(y))
        return X[chosen], y[chosen]

    def get_params(self, deep=True):
        return {}

    def set_params(self, **params):
        return self


def test_sampler_that_draws_other_rows_is_refused(folder):
    killed(new(**MLP, sampler=Restless(), checkpoint=folder))
    with pytest.raises(ValueError, match=r"other training rows.*random_state"):
        new(**MLP, sampler=Restless(), checkpoint=folder).fit(X, Y)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign", "code"])
def test_damaged_file_is_refused_by_name(folder, damage):
    killed(new(**MLP, checkpoint=folder))
    path = folder / "unfinished_fit.pt"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-100]
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
    elif damage == "empty":
        content = b""
    elif damage == "foreign":
        content = b"something else"
    else:
        CheckpointFile(str(folder), "").write({"runs": os.system})
        content = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"unfinished_fit\.pt is damaged.*delete"):
        new(**MLP, checkpoint=folder).fit(X, Y)
    path.unlink()
    new(**MLP, checkpoint=folder).fit(X, Y)


def test_folder_that_is_none_is_an_error(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(ValueError, match="must be a folder"):
        new(**MLP, checkpoint=path).fit(X, Y)


def test_diverged_fit_leaves_nothing_to_go_on_with(folder):
    params = {**MLP, "optimizer": "sgd", "schedule": "constant"}
    with pytest.raises(FloatingPointError):
        new(**params, learning_rate=1e30, checkpoint=folder).fit(X, Y)
    new(**params, checkpoint=folder).fit(X, Y)


def test_full_disk_is_a_warning(folder, monkeypatch):
    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    whole = new(**MLP).fit(X, Y)
    with pytest.warns(UserWarning, match="No space left") as caught:
        clf = new(**MLP, checkpoint=folder).fit(X, Y)
    assert len(caught) == 1
    assert_same(left_by(whole), left_by(clf))
    assert not list(folder.iterdir())


def test_writing_takes_a_small_share_of_the_time(folder, monkeypatch):
    """By a clock that writing moves on: 1 s an epoch, 2 s a write."""
    now, written = [0.0], []

    class Clock(Callback):
        def on_epoch_begin(self, net, **kwargs):
            now[0] += 1.0

    def write(self, content):
        now[0] += 2.0
        written.append(content["n_done"])

    monkeypatch.setattr(saver.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(saver, "_FIRST_AFTER", 1.0)
    monkeypatch.setattr(saver, "_MOST_SHARE", 0.05)
    monkeypatch.setattr(CheckpointFile, "write", write)
    new([Clock()], module="mlp", max_epochs=50, checkpoint=folder).fit(X, Y)
    assert written == [1, 39]


# -- several fits -----------------------------------------------------------------


def test_search_that_is_killed_goes_on(folder):
    def search(**params):
        clf = new(**MLP, **params)
        return GridSearchCV(clf, {"learning_rate": [0.001, 0.01]}, cv=2)

    whole = search().fit(X, Y)
    own = folder / "{fit}"
    Kill.epoch = 3
    with pytest.raises(KilledError):
        search(checkpoint=own).set_params(error_score="raise").fit(X, Y)
    Kill.epoch, Kill.n_begun = None, 0
    assert len(list(folder.iterdir())) == 1
    again = search(checkpoint=own).fit(X, Y)
    assert Kill.n_begun == 5 * 4 - 2
    scores = "mean_test_score"
    np.testing.assert_array_equal(whole.cv_results_[scores], again.cv_results_[scores])
    assert_same(left_by(whole.best_estimator_), left_by(again.best_estimator_))
    assert not list(folder.iterdir())


def test_two_fits_in_a_folder_are_refused_or_have_their_own(folder):
    class FitsAnother(Callback):
        def __init__(self, clf):
            self.clf = clf

        def __deepcopy__(self, memo):
            return self

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            pass

        def on_epoch_end(self, net, **kwargs):
            self.clf.fit(X, Y)

    inner = new(**MLP, checkpoint=folder)
    outer = new([FitsAnother(inner)], **MLP, checkpoint=folder)
    with pytest.raises(ValueError, match=r"another fit that is running.*\{fit\}"):
        outer.fit(X, Y)
    own = folder / "{fit}"
    outer.set_params(checkpoint=own)
    inner.set_params(checkpoint=own, learning_rate=0.01)
    outer.fit(X, Y)


# -- real kills -------------------------------------------------------------------

SCRIPT = """
import os, signal, sys, threading
import numpy as np
from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.checkpoint import saver, files
saver._FIRST_AFTER, saver._MOST_SHARE = -1.0, 1.0
folder, way, at = sys.argv[1:]
count = 0
def kill(*args):
    global count
    count += 1
    if count == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)
if way == "sync":
    real, os.fsync = os.fsync, kill
elif way == "replace":
    real, os.replace = os.replace, kill
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)).astype(np.float32)
y = (X[:, 0] + 0.5 * rng.normal(size=200) > 0.4).astype(int)
clf = BalancedNeuralClassifier(
    n_members=2, max_epochs=6, random_state=0, checkpoint=folder, sampler="weighted"
).fit(X, y)
np.save(sys.argv[1] + ".npy", clf.predict_proba(X))
"""


def run(folder, way, at):
    source = Path(__file__).parents[2]
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), folder, way, str(at)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(source)}
    return subprocess.run(command, env=environment, check=False).returncode


@pytest.mark.long  # a few seconds for each process
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_fit_killed_while_it_writes_resumes(folder):
    """In the middle of the third file; then between file and name of the second."""
    assert run(str(folder), "sync", 5) == -signal.SIGKILL
    assert (folder / "unfinished_fit.tmp").exists()
    assert run(str(folder), "replace", 2) == -signal.SIGKILL
    clf = BalancedNeuralClassifier(
        random_state=0,
        checkpoint=folder,
        sampler="weighted",
        callbacks=None,
        n_members=2,
        max_epochs=6,
    )
    rng = np.random.default_rng(0)
    table = rng.normal(size=(200, 4)).astype(np.float32)
    y = (table[:, 0] + 0.5 * rng.normal(size=200) > 0.4).astype(int)
    resumed = clf.fit(table, y)
    whole = clf.set_params(checkpoint=None).fit(table, y)
    assert_same(left_by(whole), left_by(resumed))
    assert not list(folder.iterdir())


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL and fork")
def test_fifty_killed_fits_resume():
    root = Path(__file__).parents[2]
    script = root / "examples" / "benchmarks" / "kills.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    command = [sys.executable, str(script), "--kills", "50"]
    subprocess.run(command, env=environment, check=True)

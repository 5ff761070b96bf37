"""Every callback of skorch, in a fit of one network and of members with folds."""

from __future__ import annotations

import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import skorch.callbacks
import torch
from sklearn.metrics import average_precision_score, log_loss
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    NeptuneLogger,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
    WarmRestartLR,
)
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from imbalnet import BalancedNeuralClassifier

NO_VALIDATION, SPLIT, FOLDS = {}, {"early_stopping": True}, {"n_members": 2}
HELD_OUT = [pytest.param(SPLIT, id="split"), pytest.param(FOLDS, id="folds")]
ALL = [pytest.param(NO_VALIDATION, id="none"), *HELD_OUT]


def fitted(data, callbacks, **params):
    small = {"module__hidden_sizes": (4,), "max_epochs": 2, "batch_size": 200}
    clf = BalancedNeuralClassifier(
        "mlp", **{**small, "random_state": 0, "callbacks": callbacks, **params}
    )
    return clf.fit(*data)


def scores(name="ap", **params):
    params = {"lower_is_better": False, **params}
    return EpochScoring("average_precision", name=name, **params)


# -- scores --------------------------------------------------------------------------


@pytest.mark.parametrize("params", ALL)
def test_batches_of_training_are_recorded(rare, params):
    watch = PassthroughScoring("train_loss", on_train=True)
    last = fitted(rare, [watch], **params).history_[-1]
    plain = fitted(rare, [], **params).history_[-1]
    batches = [batch for batch in last["batches"] if "train_loss" in batch]
    assert len(batches) >= 2
    assert min(batch["train_batch_size"] for batch in batches) > 0
    assert last["train_loss"] == pytest.approx(plain["train_loss"], rel=1e-5)
    assert last["train_loss_best"]


@pytest.mark.parametrize("params", HELD_OUT)
def test_batches_of_validation_are_recorded(rare, params):
    validation = PassthroughScoring("valid_loss")
    history = fitted(rare, [validation], **params).history_
    plain = fitted(rare, [], **params).history_
    assert history[-1, "batches", -1, "valid_batch_size"] > 0
    assert history[:, "valid_loss"] == pytest.approx(plain[:, "valid_loss"], rel=1e-5)


def test_nothing_is_recorded_by_batch_where_nobody_listens(rare):
    history = fitted(rare, [Freezer("nothing"), PrintLog(sink=str)], **SPLIT).history_
    assert history[-1, "batches"] == [{}]


@pytest.mark.parametrize("params", HELD_OUT)
def test_batch_scoring_scores_validation_rows(rare, params):
    """There is one batch of them: its score is that of the epoch."""
    scoring = BatchScoring("neg_log_loss", name="batch", lower_is_better=False)
    epoch = EpochScoring("neg_log_loss", name="epoch", lower_is_better=False)
    history = fitted(rare, [scoring, epoch], **params).history_
    assert history[:, "batch"] == pytest.approx(history[:, "epoch"], rel=1e-9)


class DropOut(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(0.5), nn.Linear(in_features, 2))

    def forward(self, x):
        return self.layers(x)


def test_batch_scoring_of_training_leaves_training_as_it_is(rare):
    """It predicts, without dropout, between two steps."""
    scoring = BatchScoring("accuracy", name="acc", on_train=True)
    watched, plain = (
        BalancedNeuralClassifier(
            DropOut, max_epochs=2, batch_size=200, callbacks=callbacks, random_state=0
        ).fit(*rare)
        for callbacks in ([scoring], [])
    )
    assert 0 < watched.history_[-1, "acc"] <= 1
    for ours, theirs in zip(
        watched.module_.parameters(), plain.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


LEVERS = [
    {},
    {"class_weight": "balanced"},
    {"class_weight": "balanced", "target_prior": "train"},
    {"class_weight": "balanced", "class_weight__start_epoch": 1},
    {"loss": "focal", "sampler": "oversample"},
]


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("params", LEVERS, ids=str)
@pytest.mark.parametrize("n_members", [1, 2])
def test_epoch_scoring_sees_what_predict_proba_gives(
    rare, n_members, params, use_caching
):
    X, y = rare
    clf = BalancedNeuralClassifier(
        "mlp",
        module__hidden_sizes=(4,),
        n_members=n_members,
        max_epochs=3,
        learning_rate=0.02,
        early_stopping=True,
        calibrate=False,
        random_state=0,
        callbacks=[
            scores(use_caching=use_caching),
            EpochScoring("neg_log_loss", name="loss", use_caching=use_caching),
        ],
        **params,
    )
    clf.fit(X[200:], y[200:], X_val=X[:200], y_val=y[:200])
    best = clf.history_[clf.best_iteration_ - 1]
    probabilities = clf.predict_proba(X[:200])
    expected = average_precision_score(y[:200], probabilities[:, 1])
    assert best["ap"] == pytest.approx(expected, abs=1e-9)
    assert best["loss"] == pytest.approx(-log_loss(y[:200], probabilities), rel=1e-6)


@pytest.mark.parametrize("params", LEVERS, ids=str)
def test_epoch_scoring_sees_out_of_fold_rows_without_its_cache(rare, params):
    """Temperature and neighbours, which are fitted behind training, rank alike."""
    both = [scores("cached"), scores("fresh", use_caching=False)]
    clf = fitted(rare, both, n_neighbors=0, learning_rate=0.02, **FOLDS, **params)
    history = clf.history_
    assert history[:, "fresh"] == history[:, "cached"]
    ours = average_precision_score(rare[1], clf.oof_proba_[:, 1])
    best = history[clf.best_iteration_ - 1]
    assert best["fresh"] == pytest.approx(ours, abs=1e-4)


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("target_prior", [None, [0.3, 0.7]])
@pytest.mark.parametrize("params", LEVERS[1::2], ids=str)
def test_epoch_scoring_of_folds_sees_oof_proba(rare, params, target_prior, use_caching):
    """Without calibration, which is fitted behind training, to the last digits."""
    loss = EpochScoring("neg_log_loss", name="loss", use_caching=use_caching)
    params = {"learning_rate": 0.02, "calibrate": False, "n_neighbors": 0, **params}
    clf = fitted(rare, [loss], target_prior=target_prior, **FOLDS, **params)
    best = clf.history_[clf.best_iteration_ - 1]
    assert -best["loss"] == pytest.approx(log_loss(rare[1], clf.oof_proba_), rel=1e-5)


@pytest.mark.parametrize("params", ALL)
def test_epoch_scoring_of_training_rows_scores_all_of_them(rare, params):
    X, y = rare
    params = {**params, "early_stopping": params.get("early_stopping", False)}
    clf = fitted((X, y), [scores(on_train=True)], **params)
    if params["early_stopping"]:
        assert 0 < clf.history_[-1, "ap"] <= 1
        return
    expected = average_precision_score(y, clf.predict_proba(X)[:, 1])
    assert clf.history_[-1, "ap"] == pytest.approx(expected, abs=1e-9)


# -- the learning rate ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheduler", "rates"),
    [
        (LRScheduler("StepLR", step_size=1, gamma=0.1), [1.0, 0.1]),
        (LRScheduler(WarmRestartLR, min_lr=0.01, max_lr=0.02), None),
        (LRScheduler("ReduceLROnPlateau", monitor="train_loss"), [1.0, 1.0]),
    ],
    ids=["step", "restarts", "plateau"],
)
def test_schedulers_step_by_epoch(rare, scheduler, rates):
    clf = fitted(rare, [scheduler], schedule="constant", learning_rate=0.01)
    found = clf.history_[:, "event_lr"]
    if rates is None:
        assert found[0] == pytest.approx(0.02)
        return
    assert found == pytest.approx([0.01 * rate for rate in rates])


@pytest.mark.parametrize(
    "scheduler",
    [
        LRScheduler(
            "CyclicLR",
            base_lr=0.01,
            max_lr=0.1,
            step_every="batch",
            cycle_momentum=False,
        ),
        LRScheduler(ReduceLROnPlateau, monitor="train_loss", step_every="batch"),
    ],
    ids=["cyclic", "plateau"],
)
def test_schedulers_step_by_batch(rare, scheduler):
    clf = fitted(rare, [scheduler], schedule="constant", learning_rate=0.01)
    rates = clf.history_[-1, "batches", :, "event_lr"]
    assert len(rates) == 3
    assert min(rates) >= 0.01


def test_scheduler_beside_our_schedule_is_named(rare):
    with pytest.raises(ValueError, match=r"LRScheduler.*set schedule='constant'"):
        fitted(rare, [LRScheduler("StepLR", step_size=1)])


# -- checkpoints, stopping -----------------------------------------------------------


@pytest.mark.parametrize("params", HELD_OUT)
@pytest.mark.parametrize("cls", [Checkpoint, TrainEndCheckpoint])
def test_checkpoints_are_written_and_read_again(rare, params, cls, tmp_path):
    X, _ = rare
    saver = cls(dirname=str(tmp_path))
    first = fitted(rare, [saver], learning_rate=0.02, **params)
    assert any(path.name.endswith("params.pt") for path in tmp_path.iterdir())

    class Start(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if not hasattr(self, "state_"):
                self.state_ = [p.detach().clone() for p in net.module_.parameters()]

    saver = cls(dirname=str(tmp_path))
    again = fitted(rare, [saver, LoadInitState(saver), Start()], **params)
    started = next(cb for _, cb in again.net_.callbacks_ if isinstance(cb, Start))
    for ours, theirs in zip(started.state_, first.module_.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert len(again.history_) == 2 + 2
    assert np.isfinite(again.predict_proba(X)).all()


@pytest.mark.parametrize("params", HELD_OUT)
def test_early_stopping_monitors_a_score_before_it(rare, params):
    stop = EarlyStopping("ap", patience=1, threshold=0.9, lower_is_better=False)
    clf = fitted(rare, [scores(), stop], max_epochs=9, patience=9, **params)
    assert len(clf.history_) == 2


MONITORS = [
    EarlyStopping,
    lambda monitor: Checkpoint(monitor, dirname="unused"),
    lambda monitor: LRScheduler("ReduceLROnPlateau", monitor=monitor),
]


@pytest.mark.parametrize("new", MONITORS, ids=["stop", "checkpoint", "plateau"])
@pytest.mark.parametrize(
    ("before", "monitor", "params", "cure"),
    [
        ([], "valid_los", SPLIT, "'valid_loss'.* scoring callback of that name"),
        ([], "valid_loss", NO_VALIDATION, "set early_stopping=True"),
        ([scores()], "ap", NO_VALIDATION, "scoring callback of that name"),
    ],
)
def test_monitor_of_nothing_is_named_before_training(
    rare, new, before, monitor, params, cure
):
    message = rf"(Early|Check|LR)\w+\(monitor='{monitor}'\), but .*{cure}"
    with pytest.raises(ValueError, match=message):
        fitted(rare, [*before, new(monitor)], schedule="constant", **params)


@pytest.mark.parametrize("new", [Checkpoint, partial(LRScheduler, "StepLR")])
def test_unknown_monitor_behind_a_callback_without_event_is_named(rare, new):
    callbacks = [new(event_name=None), EarlyStopping("ap")]
    with pytest.raises(ValueError, match=r"monitor='ap'.* known are .*'valid_loss'"):
        fitted(rare, callbacks, schedule="constant", **SPLIT)


def test_monitor_behind_an_own_callback_may_be_its_record(rare):
    class Own(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("own", 1.0)

    clf = fitted(rare, [Own(), EarlyStopping("own", patience=1)], max_epochs=9)
    assert len(clf.history_) == 2


def test_callback_that_raises_leaves_the_estimator_unfitted(rare):
    class Own(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyError("mine")

    clf = BalancedNeuralClassifier("mlp", callbacks=[Own()], max_epochs=2)
    before = dict(vars(clf))
    with pytest.raises(KeyError, match="mine"):
        clf.fit(*rare)
    assert vars(clf) == before


# -- parameters ----------------------------------------------------------------------


@pytest.mark.parametrize("params", ALL)
def test_parameters_are_frozen_mapped_and_set(rare, params):
    seen = []
    callbacks = [
        Initializer("*bias", fn=lambda bias: nn.init.constant_(bias, 0.25)),
        Freezer("*bias"),
        Unfreezer("*bias", at=2),
        ParamMapper("*weight", fn=lambda w: seen.append(w.shape), at=2),
        GradientNormClipping(0.1),
    ]
    clf = fitted(rare, callbacks, max_epochs=1, **params)
    for name, value in clf.module_.named_parameters():
        if name.endswith("bias"):
            assert torch.equal(value, torch.full_like(value, 0.25))
    assert not seen
    fitted(rare, callbacks, max_epochs=2, **params)
    assert seen


def test_freezing_all_is_named(rare):
    with pytest.raises(ValueError, match=r"frozen in epoch 1.*Freezer.*weight"):
        fitted(rare, [Freezer("*")])


def test_what_training_does_itself_is_named(rare):
    with pytest.raises(ValueError, match=r"InputShapeSetter.*take in_features="):
        fitted(rare, [InputShapeSetter()])
    with pytest.raises(ValueError, match=r"BatchScoring\(on_train=True\).*n_members=2"):
        fitted(rare, [BatchScoring("accuracy", on_train=True)], **FOLDS)


# -- logs ----------------------------------------------------------------------------


class Shown(ProgressBar):
    """A progress bar that keeps what it writes behind itself."""

    shown: list

    def _get_postfix_dict(self, net):
        postfix = super()._get_postfix_dict(net)
        Shown.shown.append(postfix)
        return postfix


@pytest.mark.parametrize("params", ALL)
@pytest.mark.parametrize("batches", ["auto", "count"])
def test_progress_bar_shows_the_losses_of_batches(rare, params, batches, capsys):
    Shown.shown = []
    fitted(rare, [Shown(batches_per_epoch=batches)], **params)
    assert "train_loss" in Shown.shown[0]
    assert ("valid_loss" in Shown.shown[-1]) == bool(params)
    assert "%" in capsys.readouterr().err


def test_tables_and_timers_are_taken_once_more(rare):
    lines = []
    clf = fitted(rare, [EpochTimer(), PrintLog(sink=lines.append)], verbose=1, **SPLIT)
    assert "valid_loss" in "\n".join(lines)
    assert clf.history_[-1, "dur"] > 0


class Fake:
    """As much of a run, a client or an experiment as loggers call."""

    def __init__(self):
        self.names, self.info = set(), SimpleNamespace(run_id="run")

    def __deepcopy__(self, memo):
        return self  # a run is not copied

    def add_scalar(self, tag, scalar_value, global_step):
        self.names.add(tag)

    def log_scalar(self, name, value, step=None):
        self.names.add(name)

    def log_metric(self, run_id, name, value, step):
        self.names.add(name)

    def log_artifact(self, run_id, path):
        self.names.add(path.name)

    def log(self, values):
        self.names |= values.keys()

    def watch(self, module):
        pass

    def close(self):
        pass

    set_terminated = watch


class FakeRun(dict):
    """A run of Neptune: values under names of any depth."""

    def __deepcopy__(self, memo):
        return self

    def __missing__(self, name):
        return self.setdefault(name, FakeRun())

    def append(self, value):
        self.setdefault("values", []).append(value)


@pytest.mark.parametrize("params", HELD_OUT)
@pytest.mark.parametrize(
    ("new", "names"),
    [
        (TensorBoard, {"Loss/valid_loss"}),
        (partial(WandbLogger, save_model=False), {"valid_loss"}),
        (partial(SacredLogger, log_on_batch_end=True), {"valid_loss_batch"}),
        (
            lambda fake: MlflowLogger(fake, fake, log_on_batch_end=True),
            {"train_loss_batch", "valid_loss_epoch", "params.pth", "optimizer.pth"},
        ),
    ],
    ids=["tensorboard", "wandb", "sacred", "mlflow"],
)
def test_loggers_are_told_of_epochs(rare, params, new, names):
    fake = Fake()
    fitted(rare, [new(fake)], **params)
    assert names <= fake.names


def test_wandb_that_saves_the_best_needs_held_out_rows(rare):
    with pytest.raises(ValueError, match=r"save_model=True\).*early_stopping=True"):
        fitted(rare, [WandbLogger(Fake())], **NO_VALIDATION)
    fitted(rare, [WandbLogger(Fake(), save_model=False)], **NO_VALIDATION)


def test_wandb_saves_the_best_epoch(rare, tmp_path):
    run = Fake()
    run.dir = tmp_path
    clf = fitted(rare, [WandbLogger(run)], **SPLIT)
    assert clf.history_[-1, "valid_loss_best"]  # so that its weights are the last ones
    saved = torch.load(tmp_path / "best_model.pth", weights_only=True)
    torch.testing.assert_close(saved, dict(clf.module_.state_dict()))


def test_neptune_is_told_of_batches(rare, monkeypatch):
    run, file = FakeRun(), SimpleNamespace(from_content=lambda text, extension: text)
    monkeypatch.setitem(sys.modules, "neptune.types", SimpleNamespace(File=file))
    monkeypatch.setitem(sys.modules, "neptune", SimpleNamespace())
    logger = NeptuneLogger(run, log_on_batch_end=True, close_after_train=False)
    clf = fitted(rare, [logger], **SPLIT)
    losses = run["training"]["validation"]["epoch"]["loss"]["values"]
    assert losses == clf.history_[:, "valid_loss"]
    assert len(run["training"]["train"]["batch"]["loss"]["values"]) == 2 * 3


def test_every_callback_of_skorch_is_tested_here():
    tested = {name for name in globals() if name in skorch.callbacks.__all__}
    assert tested == set(skorch.callbacks.__all__)

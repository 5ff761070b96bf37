"""What is shown while a net trains."""

from __future__ import annotations

import re
import sys
from functools import partial

import pytest
from skorch.callbacks import Callback, PrintLog

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.progress import Progress, Score, duration

mlp = partial(
    BalancedNeuralClassifier, "mlp", module__hidden_sizes=(4,), random_state=0
)
PRECISION = Score("valid_average_precision", "out-of-fold average precision")
ADVICE = "the best epoch is among the last: more max_epochs may help"


class Net:
    """As much of a net as the callback touches."""

    def __init__(self, max_epochs, best=None, *, was_interrupted=False):
        self.max_epochs, self.best = max_epochs, best
        self.was_interrupted, self.history = was_interrupted, []

    def best_epoch(self):
        return self.best


def closing_line(capsys, n_epochs, net, n_before=0):
    """The last line, of scores that rise by 0.01 from epoch to epoch."""
    net.history = [{}] * n_before
    progress = Progress(PRECISION, patience=6, has_table=True)
    progress.on_train_begin(net)
    for epoch in range(1, n_epochs + 1):
        net.history.append({PRECISION.key: epoch / 100})
        progress.on_epoch_end(net)
    progress.on_train_end(net)
    (line,) = capsys.readouterr().out.splitlines()
    return re.sub(r", \d+\.\d s", "", line)


@pytest.mark.parametrize(
    ("n_epochs", "net", "expected"),
    [
        (
            13,
            Net(28, best=7),
            "stopped after epoch 13 of 28: no better one for 6 epochs; best epoch 7, "
            "out-of-fold average precision 0.0700",
        ),
        (
            28,
            Net(28, best=24),
            "trained all 28 epochs; best epoch 24, out-of-fold average precision 0.240",
        ),
        (
            28,
            Net(28, best=27),
            "trained all 28 epochs; best epoch 27, out-of-fold average precision "
            f"0.270; {ADVICE}",
        ),
        (
            5,
            Net(28, best=4),
            "stopped after epoch 5 of 28 by a callback; best epoch 4, out-of-fold "
            "average precision 0.0400",
        ),
        (
            5,
            Net(28, best=4, was_interrupted=True),
            "interrupted in epoch 5 of 28; best epoch 4, out-of-fold average precision "
            "0.0400",
        ),
        (
            28,
            Net(28, best=28, was_interrupted=True),
            "interrupted in epoch 28 of 28; best epoch 28, out-of-fold average "
            "precision 0.280",
        ),
        (3, Net(3), "trained all 3 epochs; out-of-fold average precision 0.0300"),
        (1, Net(1), "trained 1 epoch; out-of-fold average precision 0.0100"),
    ],
)
def test_closing_line_says_why_training_ended(capsys, n_epochs, net, expected):
    assert closing_line(capsys, n_epochs, net) == expected


def test_closing_line_counts_the_epochs_of_earlier_fits(capsys):
    line = closing_line(capsys, 13, Net(28, best=37), n_before=30)
    assert line.startswith("stopped after epoch 43 of 58: no better one for 6 epochs;")


@pytest.mark.parametrize(
    ("monitor", "kind", "key", "name"),
    [
        ("combined", "folds", "valid_average_precision", PRECISION.name),
        ("average_precision", "split", PRECISION.key, "validation average precision"),
        ("loss", "given", "valid_loss", "validation loss"),
        ("loss", "folds", "valid_loss", "out-of-fold loss"),
        (None, "folds", "train_loss", "training loss"),
    ],
)
def test_score_is_the_one_that_chooses(monitor, kind, key, name):
    assert Score.of(monitor, kind) == Score(key, name)


def test_score_of_an_epoch_that_was_interrupted():
    assert PRECISION.text({}) == "no out-of-fold average precision"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.5, "9.5 s"), (11.4, "11 s"), (119, "119 s"), (150, "2 min")],
)
def test_duration_has_a_readable_unit(seconds, text):
    assert duration(seconds) == text


# -- the estimator -------------------------------------------------------------------


def printed(capsys):
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def test_lines_show_epoch_score_and_time_left(rare, capsys):
    clf = mlp(n_members=3, max_epochs=3, verbose=1).fit(*rare)
    *lines, last = printed(capsys)
    assert len(lines) == 3
    for epoch, line in enumerate(lines, start=1):
        score = clf.history_[epoch - 1, "valid_average_precision"]
        start = f"epoch {epoch} of 3: out-of-fold average precision {score:#.3g} "
        assert line.startswith(start)
        assert re.search(r"\(best epoch \d\), at most \d+\.\d s left$", line)
    assert last.startswith(f"trained all 3 epochs; best epoch {clf.best_iteration_}, ")


def test_lines_without_validation_show_the_training_loss(rare, capsys):
    clf = mlp(max_epochs=2, verbose=1, early_stopping=False).fit(*rare)
    lines = printed(capsys)
    losses = [f"training loss {loss:#.3g}" for loss in clf.history_[:, "train_loss"]]
    assert [loss in line for loss, line in zip(losses, lines, strict=False)] == [
        True
    ] * 2
    assert lines[-1].startswith(f"trained all 2 epochs; {losses[-1]}, ")


def test_table_is_skorchs_with_a_closing_line(rare, capsys):
    mlp(max_epochs=3, verbose=2).fit(*rare)
    head, rule, *lines = printed(capsys)
    assert {"epoch", "train_loss", "dur"} <= set(head.split())
    assert set(rule) == {"-", " "}
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "trained"]


@pytest.mark.parametrize("verbose", [1, 2])
def test_partial_fit_has_one_closing_line(rare, capsys, verbose):
    X, y = rare
    mlp(verbose=verbose).partial_fit(X, y, classes=[0, 1])
    lines = printed(capsys)
    assert len(lines) == (1 if verbose == 1 else 4)
    assert lines[-1].startswith("trained 1 epoch; training loss 0.")


def test_verbose_may_change_between_fits(rare, capsys):
    clf = mlp(max_epochs=2, warm_start=True).fit(*rare)
    assert printed(capsys) == []
    clf.set_params(verbose=1).fit(*rare)
    first, second, last = printed(capsys)
    assert (first[:12], second[:12]) == ("epoch 3 of 4", "epoch 4 of 4")
    assert last.startswith("trained all 2 epochs")
    clf.set_params(verbose=0).fit(*rare)
    assert printed(capsys) == []


def test_a_table_of_the_users_own_is_printed(rare, capsys):
    table = PrintLog(keys_ignored="dur")
    clf = mlp(max_epochs=2, warm_start=True, callbacks=[table]).fit(*rare)
    assert printed(capsys) == []
    clf.set_params(verbose=1).fit(*rare)
    heads = [line for line in printed(capsys) if "train_loss" in line]
    assert len(heads) == 1
    assert "dur" not in heads[0].split()


def test_net_keeps_no_callback_for_progress(rare):
    names = [
        name for name, _ in mlp(max_epochs=1, verbose=2).fit(*rare).net_.callbacks_
    ]
    assert names == ["epoch_timer", "schedule"]


def test_closing_line_knows_early_stopping_and_interrupts(rare, capsys, interrupt):
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.stop_training = True

    fit = partial(mlp, n_members=3, verbose=1)
    fit(max_epochs=40, patience=1, learning_rate=0.5).fit(*rare)
    assert re.match(
        r"stopped after epoch \d+ of 40: no better one for 1 epoch; best epoch \d+, ",
        printed(capsys)[-1],
    )
    fit(max_epochs=3, callbacks=[Stop()]).fit(*rare)
    assert printed(capsys)[-1].startswith("stopped after epoch 1 of 3 by a callback; ")
    with pytest.raises(KeyboardInterrupt, match="ended in epoch 2"):
        fit(max_epochs=3, callbacks=[interrupt["epoch"](2)]).fit(*rare)
    assert printed(capsys)[-1].startswith("interrupted in epoch 2 of 3; best epoch")


class Bar:
    """As much of a bar of tqdm as is used."""

    bars = []

    def __init__(self, *, total, disable, **kwargs):
        self.total, self.disable = total, bool(disable)
        self.n, self.texts, self.is_open = 0, [], True
        self.bars.append(self)

    def update(self, n=1):
        self.n += n

    def set_postfix_str(self, text, refresh):
        self.texts.append(text)

    def close(self):
        self.is_open = False


@pytest.fixture
def bars(monkeypatch):
    """The bars that are drawn, as if there were a terminal."""
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    monkeypatch.setattr(Bar, "bars", [])
    return Bar.bars


def test_bar_takes_the_place_of_lines(rare, capsys, bars):
    clf = mlp(n_members=3, max_epochs=3, verbose=1).fit(*rare)
    (bar,) = bars
    assert (bar.total, bar.n, bar.is_open) == (3, 3, False)
    scores = clf.history_[:, "valid_average_precision"]
    assert bar.texts == [
        f"out-of-fold average precision {score:#.3g}" for score in scores
    ]
    assert len(printed(capsys)) == 1  # the closing line


class FailOnce(Callback):
    """Fail at the beginning of the third epoch."""

    has_failed = False  # of the class, for a fit has a copy of its own

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3 and not FailOnce.has_failed:
            FailOnce.has_failed = True
            raise InterruptedError


def test_bar_goes_on_from_a_checkpoint(rare, bars, monkeypatch, tmp_path):
    monkeypatch.setattr("imbalnet._fit.checkpoint.saver._FIRST_AFTER", -1.0)
    monkeypatch.setattr("imbalnet._fit.checkpoint.saver._MOST_SHARE", 1.0)
    monkeypatch.setattr(FailOnce, "has_failed", False)
    clf = mlp(max_epochs=4, verbose=1, callbacks=[FailOnce()], checkpoint=tmp_path)
    with pytest.raises(InterruptedError):
        clf.fit(*rare)
    clf.fit(*rare)
    assert [(bar.n, len(bar.texts)) for bar in bars] == [(2, 2), (4, 2)]


@pytest.mark.parametrize("verbose", [0, 2])
def test_no_bar_beside_silence_or_a_table(rare, bars, verbose):
    mlp(max_epochs=2, verbose=verbose).fit(*rare)
    assert bars == []


def test_bar_is_removed_when_training_fails(rare, capsys, bars):
    with pytest.raises(FloatingPointError):
        mlp(max_epochs=3, verbose=1, learning_rate=1e30).fit(*rare)
    assert [bar.is_open for bar in bars] == [False]
    assert printed(capsys) == []


def test_lines_where_tqdm_is_missing(rare, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    mlp(max_epochs=2, verbose=1).fit(*rare)
    assert [line.split()[0] for line in printed(capsys)] == [
        "epoch",
        "epoch",
        "trained",
    ]

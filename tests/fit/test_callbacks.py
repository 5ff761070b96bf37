"""What is watched, and the learning rate."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.callbacks import BestEpoch, choose_monitor

mlp = partial(BalancedNeuralClassifier, module="mlp")


class Net:
    """As much of a net as the callback touches."""

    def __init__(self):
        self.history, self.stop_training = History(), False
        self.module_ = self.criterion_ = State()


class History(list):
    def record(self, key, value):
        self[-1][key] = value


class State:
    value = 0

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


def watch(scores, **params):
    """Feed (average precision, loss) of each epoch; the state is the epoch's number."""
    callback, net = BestEpoch(**params).initialize(), Net()
    callback.on_train_begin(net)
    for epoch, (precision, loss) in enumerate(scores, start=1):
        net.module_.value, net.epochs_behind_ = epoch, epoch
        net.history.append(
            {
                "valid_average_precision": precision,
                "valid_loss": loss,
                "valid_score": precision - loss,
            }
        )
        callback.on_epoch_end(net)
        if net.stop_training:
            break
    callback.on_train_end(net)
    return callback, net


@pytest.mark.parametrize(
    ("monitor", "scores", "best"),
    [
        ("average_precision", [(0.1, 3), (0.5, 2), (0.4, 1)], 2),
        ("average_precision", [(0.5, 3), (0.5, 1), (0.5, 2)], 2),  # a tie
        ("loss", [(0.9, 3), (0.1, 1), (0.5, 2)], 2),
        ("average_precision", [(0.1, np.nan)], 1),
        ("combined", [(0.9, 0.5), (0.8, 0.1), (0.5, 0.1)], 2),
    ],
)
def test_best_epoch_is_chosen_and_restored(monitor, scores, best):
    callback, net = watch(scores, monitor=monitor, patience=None)
    assert callback.best_epoch_ == best
    assert net.module_.value == best
    assert callback.best_state_ is None  # a pickle does not hold it twice


def test_patience_counts_epochs_without_a_better_one():
    scores = [(0.1, 1), (0.5, 1), (0.4, 1), (0.4, 1), (0.9, 1)]
    callback, net = watch(scores, monitor="average_precision", patience=2)
    assert (len(net.history), callback.best_epoch_) == (4, 2)


@pytest.mark.parametrize("kind", ["folds", "split", "given"])
@pytest.mark.parametrize(
    ("monitor", "fewest", "chosen"),
    [
        ("average_precision", 5, "average_precision"),
        ("average_precision", 4, "loss"),
        ("combined", 5, "combined"),
        ("combined", 4, "loss"),
        ("combined", 3, "loss"),
        ("loss", 1, "loss"),
        (None, 0, None),
    ],
)
def test_monitor_falls_back_to_the_loss(monitor, fewest, chosen, kind):
    """With a note where ranking was asked for, and the cure that there is."""
    counts = np.array([90, fewest])
    found, note = choose_monitor(monitor, counts, np.array([0, 1]), kind)
    assert found == chosen
    assert bool(note) == (monitor == "average_precision" and chosen == "loss")
    if note:
        assert f"{fewest} validation rows" in note
        assert "monitor='loss'" in note
        assert ("validation_fraction" in note) == (kind == "split")


@pytest.mark.parametrize(
    ("kind", "cure"),
    [
        ("folds", "early_stopping=False, so that every member"),
        ("split", "raise validation_fraction"),
        ("given", "as X_val"),
    ],
)
@pytest.mark.parametrize(
    ("monitor", "counts"),
    [
        ("average_precision", [90, 2]),
        ("combined", [1, 90, 1]),
        ("loss", [0, 90]),
        ("combined", [0, 0]),
    ],
)
def test_monitor_falls_back_to_the_last_epoch(monitor, counts, kind, cure):
    classes = np.array(["ill", "well", "unknown"][: len(counts)])
    found, note = choose_monitor(monitor, np.array(counts), classes, kind)
    assert found is None
    assert note.startswith(f"{sum(counts) - max(counts)} held-out rows")
    assert f"than {classes[np.argmax(counts)].item()!r}, too few to choose" in note
    assert cure in note


def test_monitor_needs_no_rows_of_every_class():
    """Three rows outside of the most frequent class judge by the loss."""
    counts, classes = np.array([90, 2, 1, 0]), np.arange(4)
    assert choose_monitor("combined", counts, classes, "folds") == ("loss", "")


def test_cosine_schedule_falls_to_zero(rare):
    clf = mlp(max_epochs=5, learning_rate=0.01).fit(*rare)
    expected = 0.01 * 0.5 * (1 + np.cos(np.pi * np.arange(5) / 5))
    np.testing.assert_allclose(clf.history_[:, "event_lr"], expected)


def test_constant_schedule_keeps_the_learning_rate(rare):
    clf = mlp(max_epochs=3, learning_rate=0.01, schedule="constant").fit(*rare)
    assert clf.net_.optimizer_.param_groups[0]["lr"] == 0.01


def test_patience_does_not_count_before_the_last_phase():
    scores = [(0.9, 1.0)] + [(0.1, 2.0)] * 10
    assert len(watch(scores, monitor="loss", patience=2)[1].history) == 3
    waited = watch(scores, monitor="loss", patience=2, first_stop=5)
    assert len(waited[1].history) == 7

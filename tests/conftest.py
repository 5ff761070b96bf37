"""Fixtures of all tests: tables, callbacks and modules."""

from __future__ import annotations

import os

# The workers of pytest-xdist and joblib share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Without it, one of scikit-learn's estimator checks is skipped.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import signal
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch.callbacks import Callback
from torch import Tensor, nn


def pytest_collection_modifyitems(items):
    """Skip tests that need a GPU if there is none."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def rare():
    """600 rows, two classes, 8 % positives."""
    return make_classification(
        600, 10, n_informative=6, weights=[0.92], class_sep=1.5, random_state=0
    )


@pytest.fixture(scope="session")
def three_classes():
    """600 rows, three classes of 80, 15 and 5 %."""
    return make_classification(
        600,
        10,
        n_informative=6,
        n_classes=3,
        weights=[0.8, 0.15],
        class_sep=1.5,
        random_state=0,
    )


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# -- callbacks -----------------------------------------------------------------------


class Batch(NamedTuple):
    """The arguments of a callback for one batch."""

    training: bool
    X: Tensor
    y: Tensor
    y_pred: Tensor


class Recorder(Callback):
    """Record every batch, for which the net must be trained by skorch's steps."""

    def __init__(self):
        self.batches = []

    def __deepcopy__(self, memo):
        return self  # the estimator copies its callbacks

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        tensors = (values.detach().cpu() for values in (*batch, y_pred))
        self.batches.append(Batch(training, *tensors))

    def of(self, *, training):
        """Return the batches of training, or those of validation."""
        return [batch for batch in self.batches if batch.training == training]


@pytest.fixture
def recorder():
    return Recorder()


class InterruptAfterEpoch(Callback):
    """Raise SIGINT at the end of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            signal.raise_signal(signal.SIGINT)


class InterruptInEpoch(Callback):
    """Raise SIGINT in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interrupt():
    """Callbacks that raise SIGINT, as Ctrl-C does, in a batch or after an epoch.

    The handler is set because Python ignores SIGINT if the parent process did.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield {"batch": InterruptInEpoch, "epoch": InterruptAfterEpoch}
    signal.signal(signal.SIGINT, before)


# -- modules as users write them -----------------------------------------------------


class OneColumn(nn.Module):
    """A module with one output for two classes, batch normalisation and dropout."""

    def __init__(self, in_features, out_features, width=16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_features, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(width, 1 if out_features == 2 else out_features),
        )

    def forward(self, x):
        return self.layers(x)


@pytest.fixture(scope="session")
def one_column():
    return OneColumn


class ThreeMembers(nn.Module):
    """Three linear members: logits of shape (batch, 3, classes)."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.members = nn.ModuleList(
            nn.Linear(in_features, out_features) for _ in range(3)
        )

    def forward(self, x):
        return torch.stack([member(x) for member in self.members], dim=1)


@pytest.fixture(scope="session")
def three_members():
    return ThreeMembers

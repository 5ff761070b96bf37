"""Fixtures of the tests of training: tables on a device, and options."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbalnet._fit.feeds.batches import Place, Table
from imbalnet._fit.options import resolve_options
from imbalnet._tables import Rows

CPU = torch.device("cpu")


class Scripted:
    """A sampler that returns given epochs, and then the last one repeatedly."""

    def __init__(self, *epochs):
        self.epochs = list(epochs)

    def epoch(self, batch_size):
        del batch_size
        return self.epochs.pop(0) if len(self.epochs) > 1 else self.epochs[0]


@pytest.fixture(scope="session")
def scripted():
    return Scripted


@pytest.fixture(scope="session")
def place():
    """The CPU, with float32."""
    return Place(torch.float32, CPU)


@pytest.fixture(scope="session")
def make_table(place):
    """Return a function that makes a `Table` of rows."""

    def make(X, codes, weight=None, index=None, *, order=None):
        return Table(Rows(X, codes, weight, index), place, order=order)

    return make


@pytest.fixture(scope="session")
def options_of():
    """Return a function that resolves an estimator's parameters."""

    def resolve(clf, n_rows=100, *, n_columns=3, dtype=np.float32, **call):
        X = np.broadcast_to(dtype(0), (n_rows, n_columns))
        rows = Rows(X, np.broadcast_to(np.uint8(0), n_rows))
        params = clf.get_params(deep=False)
        return resolve_options(params, rows, np.arange(2), **call)

    return resolve

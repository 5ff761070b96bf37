"""Searches and predictions in the workers of a Dask cluster: same bits, one thread."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_validate
from skorch.callbacks import Callback

from imbalnet import BalancedNeuralClassifier, _runtime

distributed = pytest.importorskip("distributed")
# Dask's own, of sockets that its event loop has yet to close
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

GRID = {"loss__gamma": [0.5, 2.0], "class_weight": [None, "balanced"]}


@pytest.fixture(scope="module")
def client():
    """Two worker processes of one thread each."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def new(**params):
    defaults = {"loss": "focal", "max_epochs": 2, "random_state": 0}
    return BalancedNeuralClassifier("mlp", **{**defaults, **params})


def check_same(found, expected):
    assert found.best_params_ == expected.best_params_
    for name, values in expected.cv_results_.items():
        if "score" in name and "time" not in name:
            np.testing.assert_array_equal(found.cv_results_[name], values)


def arrays_on_workers(client):
    """The workers of each array that was sent to them."""
    return {k: w for k, w in client.who_has().items() if k.startswith("ndarray")}


def test_grid_search_gives_the_same_and_data_travel_once(client, rare):
    X, y = rare
    expected = GridSearchCV(new(), GRID, cv=2).fit(X, y)
    with parallel_config("dask", scatter=[X, y]):
        found = GridSearchCV(new(), GRID, cv=2, n_jobs=-1).fit(X, y)
        sent = arrays_on_workers(client)
    check_same(found, expected)
    assert sorted(map(len, sent.values())) == [2, 2]
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


class CountThreads(Callback):
    """Note the threads of each step."""

    def on_batch_end(self, net, **kwargs):
        net.history.record("threads", torch.get_num_threads())


def threads_in_worker(X, y):
    """Allowed by torch, used by a large step, used by a large prediction."""
    _runtime._LARGE_STEP = _runtime._LARGE_PREDICTION = 0
    torch.set_num_threads(2)
    clf = new(callbacks=[CountThreads()]).fit(X, y)
    return (
        torch.get_num_threads(),
        set(clf.history_[:, "threads"]),
        _runtime.prediction_threads(None, 1),
    )


def test_workers_compute_with_one_thread(client, rare):
    """However large the network is."""
    seen = client.gather([client.submit(threads_in_worker, *rare, pure=False)] * 2)
    assert seen == [(2, {1}, 1)] * 2


def test_blocks_of_an_array_are_scored_with_a_model_that_travels_once(client, rare):
    import dask.array as da

    X, y = rare
    clf = new().fit(X, y)
    model = client.scatter(clf, broadcast=True)
    rows = da.from_array(X, chunks=(100, -1))
    scores = rows.map_blocks(probability, model, drop_axis=1, meta=np.empty(0))
    np.testing.assert_array_equal(scores.compute(), clf.predict_proba(X)[:, 1])


def probability(rows, model):
    return model.predict_proba(rows)[:, 1]

"""Searches and predictions in the workers of a Dask cluster: same bits, one thread."""

from __future__ import annotations

import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    StratifiedKFold,
    cross_validate,
)
from skorch.callbacks import Callback

from imbalnet import BalancedNeuralClassifier
from imbalnet._runtime import threads

distributed = pytest.importorskip("distributed")
# Dask's own, of sockets that its event loop has yet to close
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

GRID = {"loss__gamma": [0.5, 2.0], "class_weight": [None, "balanced"]}


@pytest.fixture(scope="module")
def client():
    """Two worker processes of one thread each."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        client.amm.stop()  # it would take back copies of the data
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
    grid = {"loss__gamma": [0.5, 2.0]}
    expected = GridSearchCV(new(), grid, cv=2).fit(X, y)
    with parallel_config("dask", scatter=[X, y]):
        found = GridSearchCV(new(), grid, cv=2, n_jobs=-1).fit(X, y)
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
    threads._LARGE_STEP = threads._LARGE_PREDICTION = 0
    torch.set_num_threads(2)
    clf = new(callbacks=[CountThreads()]).fit(X, y)
    return (
        torch.get_num_threads(),
        set(clf.history_[:, "threads"]),
        threads.prediction_threads(None, 1),
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


@pytest.mark.long
def test_other_searches_give_the_same(client, rare):
    X, y = rare

    def halving():
        search = HalvingGridSearchCV(new(), GRID, cv=2, n_jobs=-1, random_state=0)
        return search.fit(X, y)

    def validated():
        return cross_validate(new(), X, y, cv=3, n_jobs=-1)["test_score"]

    expected = halving(), validated()
    with parallel_config("dask", scatter=[X, y]):
        found = halving(), validated()
    check_same(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


class KillOnce(Callback):
    """End the worker in the middle of a fit, unless a file says that one has ended."""

    def __init__(self, file):
        self.file = file

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2 and not self.file.exists():
            self.file.touch()
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.long
def test_search_survives_a_worker_that_is_killed(client, rare, tmp_path):
    X, y = rare
    splits = list(StratifiedKFold(2).split(X, y))
    scatter = [X, y, *splits[0], *splits[1]]  # joblib sends others to one worker alone
    expected = GridSearchCV(new(max_epochs=3), GRID, cv=splits).fit(X, y)
    before = set(client.run(os.getpid).values())
    clf = new(max_epochs=3, callbacks=[KillOnce(tmp_path / "killed")])
    with parallel_config("dask", scatter=scatter):
        found = GridSearchCV(clf, GRID, cv=splits, refit=False).fit(X, y)
        copies = arrays_on_workers(client)
    assert len(copies) == len({array.tobytes() for array in scatter})  # same ones once
    client.wait_for_workers(2)
    assert len(before & set(client.run(os.getpid).values())) == 1
    check_same(found, expected)


@pytest.mark.long
def test_fit_of_a_killed_worker_goes_on_in_another(client, rare, tmp_path):
    """From the checkpoint, in a folder that all workers see."""
    clf = new(max_epochs=4, callbacks=[KillOnce(tmp_path / "killed")])
    clf.set_params(checkpoint=tmp_path / "{fit}")
    found = client.submit(fit_that_saves_at_once, clf, *rare).result()
    expected = new(max_epochs=4).fit(*rare)
    assert (tmp_path / "killed").exists()
    np.testing.assert_array_equal(
        found.predict_proba(rare[0]), expected.predict_proba(rare[0])
    )


def fit_that_saves_at_once(clf, X, y):
    from imbalnet._fit.checkpoint import saver

    saver._FIRST_AFTER = 0.0
    return clf.fit(X, y)


@pytest.mark.long
def test_partitions_with_words_are_scored(client, rare):
    """Dask makes strings Arrow's, whose partitions may lack a category."""
    import dask.dataframe as dd

    X, y = rare
    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    frame["word"] = np.where(X[:, 4] > 1, "high", "low").astype(object)
    frame.loc[::7, "word"] = None
    frame["kind"] = pd.Categorical(np.where(X[:, 5] > 0, "x", "y"))
    frame = frame.sort_values("kind", kind="stable")
    clf = new().fit(frame, y)
    model = client.scatter(clf, broadcast=True)
    table = dd.from_pandas(frame.reset_index(drop=True), npartitions=3)
    scores = table.map_partitions(column, model, meta=pd.Series(dtype=float))
    np.testing.assert_array_equal(scores.compute(), clf.predict_proba(frame)[:, 1])


def column(rows, model):
    return pd.Series(probability(rows, model), index=rows.index)


@pytest.mark.long
def test_callbacks_of_scikit_learn_do_no_harm(client, rare):
    """Dask unpickles a monitor in its scheduler too, where the scores end up."""
    callback = pytest.importorskip("sklearn.callback")
    X, y = rare
    expected = GridSearchCV(new(), GRID, cv=2, refit=False).fit(X, y)
    clf = new().set_callbacks(callback.ScoringMonitor(scoring="average_precision"))
    with parallel_config("dask", scatter=[X, y]):
        found = GridSearchCV(clf, GRID, cv=2, refit=False).fit(X, y)
    check_same(found, expected)

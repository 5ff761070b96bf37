"""Device, threads, seeds, and back on failure."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from imbalnet import BalancedNeuralClassifier
from imbalnet._runtime import (
    devices,
    one_blas_thread,
    pool_of_threads,
    prediction_threads,
    resolve_device,
    restored_on_failure,
    seeded_torch,
    spawn_seeds,
    torch_threads,
    training_threads,
)
from imbalnet._runtime.threads import available_threads
from imbalnet.posterior import fit_member_offsets

SMALL, LARGE = 10**6, 10**9  # products of a step, and of a prediction


def threads_of_a_new_thread():
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


@pytest.fixture
def two_threads():
    """Two of torch's threads, in this thread and in those that begin."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_auto_device_prefers_a_gpu_where_its_dtype_exists(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto").type == "mps"
    assert resolve_device("auto", torch.float64).type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto", torch.float64).type == "cuda"


def test_each_rank_has_the_gpu_of_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices, "_computes", lambda device: True)
    for local_rank, expected in enumerate(["cuda:0", "cuda:1"]):
        ranks = SimpleNamespace(local_rank=local_rank)
        monkeypatch.setattr(devices, "ranks_now", lambda ranks=ranks: ranks)
        assert [str(resolve_device(d)) for d in ("auto", "cuda")] == [expected] * 2
        assert str(resolve_device("cuda:0")) == "cuda:0"
        assert str(resolve_device("cpu")) == "cpu"
    monkeypatch.setattr(devices, "ranks_now", lambda: SimpleNamespace(local_rank=2))
    with pytest.raises(ValueError, match=r"process 2 .* of a machine with 2; start 2"):
        resolve_device("auto")


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_device_may_be_named(device):
    assert resolve_device(device) == torch.device("cpu")


def test_seeds_differ_and_repeat():
    seeds = spawn_seeds(0, 4)
    assert len(set(seeds)) == 4
    assert seeds == spawn_seeds(0, 4)
    assert seeds != spawn_seeds(0, 4, step=1)
    assert spawn_seeds(None, 4) != spawn_seeds(None, 4)


def test_seeds_of_an_instance_go_on():
    rng = np.random.RandomState(0)
    assert spawn_seeds(rng, 2) != spawn_seeds(rng, 2)


def test_seeded_torch_repeats_and_restores():
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded_torch(3, torch.device("cpu")):
            draws.append(torch.rand(3))
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_threads_and_attributes_come_back_after_an_error(error):
    estimator, before = BaseEstimator(), torch.get_num_threads()
    estimator.kept_ = 1

    def fail():
        with restored_on_failure(estimator), torch_threads(3):
            estimator.kept_, estimator.new_ = 2, 3
            raise error

    with pytest.raises(error):
        fail()
    assert vars(estimator) == {"kept_": 1}
    assert torch.get_num_threads() == before


def blas_threads():
    return {
        library["num_threads"]
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }


needs_openblas = pytest.mark.skipif(
    not any(library["internal_api"] == "openblas" for library in threadpool_info()),
    reason="NumPy computes without OpenBLAS here",
)


@needs_openblas
def test_blocks_of_one_blas_thread_that_overlap_leave_the_number():
    def inner():
        with one_blas_thread():
            return blas_threads()

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with one_blas_thread(), ThreadPoolExecutor(1) as pool:
            assert inner() == pool.submit(inner).result() == {1}
            assert blas_threads() == {1}
        assert blas_threads() == before == {2}
        with pytest.raises(ZeroDivisionError), one_blas_thread():
            1 / 0  # noqa: B018
        assert blas_threads() == before


@needs_openblas
def test_training_of_many_classes_takes_one_blas_thread(rng, monkeypatch):
    """Members' offsets are fitted by matrix products of NumPy in each epoch."""
    seen = []

    def watched(*args, **kwargs):
        seen.append(blas_threads())
        return fit_member_offsets(*args, **kwargs)

    monkeypatch.setattr("imbalnet._fit.feeds.fold_feed.fit_member_offsets", watched)
    monkeypatch.setattr("imbalnet._fit.calibrate.fit_member_offsets", watched)
    X, y = rng.normal(size=(150, 3)), np.arange(150) % 30
    with threadpool_limits(2, user_api="blas"):
        BalancedNeuralClassifier(n_members=2, max_epochs=2, random_state=0).fit(X, y)
    assert seen == [{1}] * 3


@pytest.fixture
def many_threads(monkeypatch):
    """Many of torch's threads on a large machine, in no pool."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    monkeypatch.setattr("imbalnet._runtime.threads.cpu_count", lambda: 16)
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: None)


@pytest.mark.parametrize(("n_threads", "n_cores"), [(8, 3), (3, 8), (1, 8)])
def test_available_threads_are_those_of_torch_and_of_the_machine(
    many_threads, monkeypatch, n_threads, n_cores
):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    monkeypatch.setattr("imbalnet._runtime.threads.cpu_count", lambda: n_cores)
    assert available_threads() == min(n_threads, n_cores)


def test_available_threads_are_one_in_a_thread(many_threads):
    assert available_threads() == 16
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(available_threads).result() == 1


def test_available_threads_are_one_in_a_child_process(many_threads, monkeypatch):
    """Unless OMP_NUM_THREADS says what is its share."""
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert available_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert available_threads() == 16


@pytest.mark.parametrize("threads", [training_threads, prediction_threads])
@pytest.mark.parametrize("n_threads", [1, 3, 64])
@pytest.mark.parametrize("products", [0, LARGE])
def test_threads_that_the_user_wants_win(many_threads, threads, n_threads, products):
    assert threads(n_threads, products) == n_threads


@pytest.mark.parametrize(
    ("n_available", "expected"), [(1, 1), (2, 1), (3, 2), (5, 4), (64, 4)]
)
def test_training_of_large_steps_leaves_a_core_free(monkeypatch, n_available, expected):
    monkeypatch.setattr(
        "imbalnet._runtime.threads.available_threads", lambda: n_available
    )
    assert training_threads(None, LARGE) == expected
    assert training_threads(None, SMALL) == 1


@pytest.mark.parametrize("n_available", [1, 2, 64])
def test_large_predictions_take_every_core(monkeypatch, n_available):
    monkeypatch.setattr(
        "imbalnet._runtime.threads.available_threads", lambda: n_available
    )
    assert prediction_threads(None, LARGE) == n_available
    assert prediction_threads(None, SMALL) == 1


class Actor:
    """A thread that enters and leaves blocks when it is told to; no pool: this one."""

    def __init__(self, pool=None):
        self.pool = pool
        self.blocks = []

    def do(self, step, *args):
        if self.pool is None:
            return step(*args)
        return self.pool.submit(step, *args).result()

    def enter(self, n_threads):
        self.blocks.append(torch_threads(n_threads))
        self.blocks[-1].__enter__()

    def leave(self):
        self.blocks.pop().__exit__(None, None, None)


@pytest.fixture
def actors(two_threads):
    with ThreadPoolExecutor(1) as a, ThreadPoolExecutor(1) as b:
        yield {"A": Actor(a), "B": Actor(b), "M": Actor()}


def play(actors, script):
    """Let actors enter blocks of so many threads, leave (-), or only look (?)."""
    expected = {name: [] for name in actors}
    for actor, *step in script.split():
        each, inside = actors[actor], expected[actor]
        if step == ["-"]:
            each.do(each.leave)
            inside.pop()
        elif step != ["?"]:
            inside.append(int(step[0]))
            each.do(each.enter, inside[-1])
        number = each.do(torch.get_num_threads)
        assert step == ["?"] or number == (inside or [2])[-1]


@pytest.mark.parametrize(
    "script",
    [
        "M1 M-",
        "M1 M3 M5 M- M- M-",
        "A1 A3 A- A-",
        "A1 B3 A- B-",
        "A1 B3 B- A-",
        "A? B? A1 B3 A- B-",
        "A1 B3 A- A5 B- A-",
        "A1 A3 B5 A- A- B-",
        "A1 B3 A5 B- A- A-",
        "M1 A3 M- A-",
        "A1 M3 A- M-",
        "M1 A3 A- M- A1 M3 A- M-",
        "A1 B? A- B3 B-",
    ],
)
def test_blocks_of_threads_leave_every_thread_as_it_was(actors, script):
    """A script's steps are told one by one, so that blocks overlap as it says."""
    play(actors, script)
    assert torch.get_num_threads() == 2
    assert threads_of_a_new_thread() == 2


def test_blocks_that_fail_in_threads_leave_every_thread_as_it_was(two_threads):
    """Both are inside at once, and both fail."""
    both_inside = threading.Barrier(2)

    def fail(n_threads):
        with torch_threads(n_threads):
            both_inside.wait(timeout=60)
            raise ZeroDivisionError

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(fail, n_threads) for n_threads in (1, 3)]
        for future in futures:
            with pytest.raises(ZeroDivisionError):
                future.result()
    assert torch.get_num_threads() == 2
    assert threads_of_a_new_thread() == 2


def watched(forward):
    """Give a linear network that calls `forward` with each batch."""

    class Watched(nn.Linear):
        def forward(self, x):
            forward(self, x)
            return super().forward(x)

    return Watched


def classifier(module="mlp", **params):
    return BalancedNeuralClassifier(
        module,
        max_epochs=2,
        batch_size=100,
        net__iterator_valid__batch_size=64,
        device="cpu",
        random_state=0,
        **params,
    )


class Fails(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise ZeroDivisionError


@pytest.mark.parametrize("n_threads", [None, 1, 3])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_estimator_leaves_the_threads_as_they_were(
    rare, two_threads, n_threads, early_stopping
):
    X, y = rare
    clf = classifier(n_threads=n_threads, early_stopping=early_stopping).fit(X, y)
    assert (torch.get_num_threads(), threads_of_a_new_thread()) == (2, 2)
    clf.predict_proba(X)
    assert (torch.get_num_threads(), threads_of_a_new_thread()) == (2, 2)
    clf.partial_fit(X, y)
    assert (torch.get_num_threads(), threads_of_a_new_thread()) == (2, 2)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_failures_leave_the_threads_as_they_were(rare, two_threads, n_threads):
    X, y = rare
    clf = classifier(n_threads=n_threads, callbacks=[Fails()])
    with pytest.raises(ZeroDivisionError):
        clf.fit(X, y)
    assert (torch.get_num_threads(), threads_of_a_new_thread()) == (2, 2)

    def fail_at_a_seven(module, x):
        if (x == 7).any():
            raise ZeroDivisionError

    clf = classifier(watched(fail_at_a_seven), n_threads=n_threads).fit(X, y)
    X = np.vstack([X, np.full(10, 7.0)])
    with pytest.raises(ZeroDivisionError):
        clf.predict(X)
    assert (torch.get_num_threads(), threads_of_a_new_thread()) == (2, 2)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_training_computes_with_the_threads_that_the_user_wants(
    rare, two_threads, n_threads
):
    """Prediction does with one of torch's in each thread."""
    numbers = {True: set(), False: set()}
    module = watched(
        lambda self, x: numbers[self.training].add(torch.get_num_threads())
    )
    clf = classifier(module, n_threads=n_threads).fit(*rare)
    assert numbers[True] == {n_threads}
    numbers[False].clear()
    clf.predict(rare[0])
    assert numbers[False] == {1}


def test_prediction_shares_the_rows_between_threads(rare):
    """Two chunks wait for each other: they are computed at once, in other threads."""
    X, y = rare
    both_inside, waited = threading.Barrier(2), []

    def wait(module, x):
        if threading.current_thread() is not threading.main_thread():
            waited.append(both_inside.wait(timeout=60))

    clf = classifier(watched(wait), n_threads=2).fit(X, y)
    clf.predict_proba(X[:192])  # this thread has computed one chunk of 64 before
    assert sorted(waited) == [0, 1]


def threads_seen(data, **params):
    """Give the threads, and torch's numbers of threads, that a network runs in."""
    seen = set()
    here = threading.current_thread()
    module = watched(
        lambda self, x: seen.add(
            (threading.current_thread() is here, torch.get_num_threads())
        )
    )
    classifier(module, **params).fit(*data).predict_proba(data[0])
    return seen


def test_workers_that_are_threads_compute_with_one(rare, two_threads, monkeypatch):
    """However large the network is."""
    monkeypatch.setattr("imbalnet._runtime.threads._LARGE_STEP", 0)
    monkeypatch.setattr("imbalnet._runtime.threads._LARGE_PREDICTION", 0)
    monkeypatch.setattr("imbalnet._runtime.threads.cpu_count", lambda: 8)
    with parallel_config(backend="threading", n_jobs=2):
        seen = Parallel()(delayed(threads_seen)(rare) for _ in range(4))
    assert seen == [{(True, 1)}] * 4
    assert torch.get_num_threads() == 2


def test_workers_that_are_processes_compute_with_one(rare):
    """Small networks do so even where OMP_NUM_THREADS would allow for more."""
    with parallel_config(backend="loky", n_jobs=2, inner_max_num_threads=2):
        seen = Parallel()(delayed(threads_seen)(rare) for _ in range(2))
        allowed = Parallel()(delayed(torch.get_num_threads)() for _ in range(2))
    assert allowed == [2, 2]
    assert seen == [{(True, 1)}] * 2


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs Linux")
def test_threads_of_a_pool_have_ended_behind_it():
    """A process that is forked while they end would hang in MKL."""
    for _ in range(20):
        with pool_of_threads(3) as pool:
            threads = set(pool.map(lambda _: threading.get_native_id(), range(30)))
        assert not threads & set(map(int, os.listdir("/proc/self/task")))

"""Forked, spawned and threaded work gives equal results, and never waits for ever."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from imbalnet import BalancedNeuralClassifier

SCRIPT = """
import multiprocessing, sys, threading, time
import numpy as np
from joblib import Parallel, delayed
from imbalnet import BalancedNeuralClassifier

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)).astype(np.float32)
y = (X[:, 0] + rng.normal(size=200) > 1).astype(int)
new = BalancedNeuralClassifier(n_members=2, max_epochs=2, random_state=0)

def fit(_=None):
    return new.fit(X, y).predict_proba(X)

def check(results):
    for found in results:
        np.testing.assert_array_equal(found, expected)

if __name__ == "__main__":
    expected = fit()
"""

WAYS = {
    "fork": """
        with multiprocessing.get_context("fork").Pool(2) as pool:
            check(pool.map(fit, range(3)))
        """,
    "fork behind a prediction in threads": """
        new.set_params(n_threads=2).predict_proba(np.tile(X, (60, 1)))
        with multiprocessing.get_context("fork").Pool(2) as pool:
            check(pool.map(fit, range(3)))
        """,
    "multiprocessing": """
        check(Parallel(2, backend="multiprocessing")(delayed(fit)() for _ in range(3)))
        """,
    "fork while a thread trains": """
        other = BalancedNeuralClassifier("mlp", module__dropout=0.3, max_epochs=10)
        is_over = False

        def train():
            while not is_over:
                other.fit(X, y)

        thread = threading.Thread(target=train)
        thread.start()
        context = multiprocessing.get_context("fork")
        for _ in range(4):
            with context.Pool(1) as pool:
                check([pool.apply(fit)])
        is_over = True
        thread.join()
        """,
}
FURTHER = {
    "spawn": """
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            check(pool.map(fit, range(3)))
        """,
    "threading": """
        from sklearn.base import clone
        jobs = (delayed(clone(new).fit)(X, y) for _ in range(4))
        fits = Parallel(2, backend="threading")(jobs)
        check(one.predict_proba(X) for one in fits)
        """,
    "very many threads": """
        new.set_params(n_threads=256)  # the most that is allowed
        new.fit(X, y).predict_proba(np.tile(X, (60, 1)))
        """,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_forked_processes_give_the_same_bits(way, tmp_path):
    """With as many threads in the parent as torch takes by itself."""
    run(way, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("way", FURTHER.values(), ids=FURTHER)
def test_workers_give_the_same_bits(way, tmp_path):
    run(way, tmp_path)


def run(way, folder):
    file = folder / "script.py"
    file.write_text(SCRIPT + textwrap.indent(textwrap.dedent(way), "    "))
    free = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    subprocess.run([sys.executable, file], env=free, timeout=240, check=True)


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)).astype(np.float32)
    return X, (X[:, 0] + rng.normal(size=200) > 1).astype(int)


def new(**params):
    return BalancedNeuralClassifier(max_epochs=2, random_state=0, **params)


def test_one_estimator_in_16_threads(small):
    X, y = small
    clf = new(n_members=2).fit(X, y)
    expected, alone = clf.predict_proba(X), clf.predict_proba(X[:1])
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: clf.predict_proba(X), range(48)))
        single = list(pool.map(lambda _: clf.predict_proba(X[:1]), range(48)))
    np.testing.assert_array_equal(found, np.stack([expected] * 48))
    np.testing.assert_array_equal(single, np.stack([alone] * 48))


def test_fits_in_threads_do_not_touch_each_other(small):
    seeds = list(range(8))

    def fit(seed):
        clf = new(module="mlp", module__dropout=0.2).set_params(random_state=seed)
        return clf.fit(*small).predict_proba(small[0])

    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_array_equal(list(pool.map(fit, seeds)), [*map(fit, seeds)])


def grown(step, n_times):
    """Bytes of Python's and NumPy's memory, and objects, that steps leave behind."""
    for _ in range(10):
        step()
    gc.collect()
    n_objects = len(gc.get_objects())
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(n_times):
        step()
    gc.collect()
    n_bytes = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return n_bytes, len(gc.get_objects()) - n_objects


def check_growth(small, n_predictions, n_fits):
    X, y = small
    clf = new(n_members=2).fit(X, y)
    assert max(grown(lambda: clf.predict_proba(X[:20]), n_predictions)) < 50_000
    assert max(grown(lambda: clf.fit(X, y), n_fits)) < 200_000


def test_memory_does_not_grow(small):
    check_growth(small, 100, 4)


@pytest.mark.long
def test_memory_does_not_grow_in_the_long_run(small):
    check_growth(small, 2_000, 50)

"""Whatever fails or is interrupted, and wherever, leaves the estimator as it was."""

from __future__ import annotations

import copy
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

import imbalnet
from imbalnet import BalancedNeuralClassifier

PACKAGE = str(Path(imbalnet.__file__).parent)


class InjectedError(BaseException):
    """Raised between two calls, where a signal could be."""


class Raise:
    """Raise an exception at the k-th call of a function of the package.

    Generator expressions do not count: Python calls those that were not used up once
    more when it deletes them, and swallows what is raised there.
    """

    def __init__(self, k, error=InjectedError):
        self.k, self.error, self.n_calls = k, error, 0

    def __call__(self, frame, event, arg):
        code = frame.f_code
        is_ours = code.co_filename.startswith(PACKAGE) and code.co_name != "<genexpr>"
        if event == "call" and is_ours:
            self.n_calls += 1
            if self.n_calls == self.k:
                sys.settrace(None)
                raise self.error

    def around(self, step, *args):
        before = sys.gettrace()  # of a debugger, or of what measures coverage
        sys.settrace(self)
        try:
            step(*args)
        finally:
            sys.settrace(before)


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 4)).astype(np.float32)
    return X, (X[:, 0] + rng.normal(size=160) > 0.8).astype(int)


def state_of(clf, X):
    """All that further training must not leave half changed."""
    if not hasattr(clf, "net_"):
        return [sorted(vars(clf))]
    fitted = [clf.predict_proba(X), clf.effective_prior_, clf.class_prior_]
    fitted += [clf.offset_, clf.n_iter_, len(clf.history_), clf.class_weight_]
    optimizer = clf.net_.optimizer_.state_dict()
    weights = [*clf.module_.state_dict().values()]
    weights += [v for s in optimizer["state"].values() for v in s.values()]
    weights = [w.clone() if isinstance(w, torch.Tensor) else w for w in weights]
    rates = [group["lr"] for group in optimizer["param_groups"]]
    best = [clf.best_iteration_, clf.temperature_, sorted(vars(clf))]
    return [*fitted, *weights, *rates, *best, clf.net_.epochs_behind_]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def new(**params):
    params = {"module": "mlp", "max_epochs": 2, "random_state": 0} | params
    return BalancedNeuralClassifier(batch_size=60, **params)


def warm(X, y):
    return new(module="auto", n_members=2, warm_start=True).fit(X, y)


STEPS = {
    "first fit": (lambda X, y: new(), lambda clf, X, y: clf.fit(X, y)),
    "fit": (lambda X, y: new().fit(X, y), lambda clf, X, y: clf.fit(X, y)),
    "warm fit": (warm, lambda clf, X, y: clf.fit(X, y)),
    "partial_fit": (
        lambda X, y: new(class_weight="balanced").fit(X, y),
        lambda clf, X, y: clf.partial_fit(X[:90], y[:90]),
    ),
    "partial_fit anew": (
        lambda X, y: new(module="auto", n_members=2).partial_fit(
            X[:60], y[:60], [0, 1]
        ),
        lambda clf, X, y: clf.partial_fit(X[60:], y[60:]),
    ),
    "predict": (warm, lambda clf, X, y: clf.predict(X)),
    "oof_proba_": (warm, lambda clf, X, y: clf.oof_proba_),
}


def points(name, small, n_points):
    """A fitted estimator, and some of the calls at which a step may fail."""
    X, y = small
    clf = STEPS[name][0](X, y)
    state_of(clf, X)  # the first prediction sets the mode of evaluation
    for _ in range(2):  # the first time fills caches
        counter = Raise(0)
        counter.around(STEPS[name][1], copy.deepcopy(clf), X, y)
    ends = np.arange(max(counter.n_calls - 5, 1), counter.n_calls + 1)
    spread = np.linspace(1, counter.n_calls, n_points).astype(int)
    return clf, np.unique(np.concatenate([spread, ends])).tolist()


def check_points(name, small, n_points, error):
    (X, y), (clf, calls) = small, points(name, small, n_points)
    before = state_of(clf, X)
    for k in calls:
        failed = copy.deepcopy(clf)
        with pytest.raises(error):
            Raise(k, error).around(STEPS[name][1], failed, X, y)
        assert_same(state_of(failed, X), before)


@pytest.mark.parametrize("name", STEPS)
def test_failure_anywhere_leaves_the_estimator_as_it_was(name, small):
    check_points(name, small, 8, InjectedError)


@pytest.mark.long
@pytest.mark.parametrize("name", STEPS)
def test_failure_at_many_points_leaves_the_estimator_as_it_was(name, small):
    check_points(name, small, 300, InjectedError)


@pytest.mark.parametrize("name", ["partial_fit", "partial_fit anew", "predict"])
def test_interrupt_anywhere_leaves_the_estimator_as_it_was(name, small):
    check_points(name, small, 8, KeyboardInterrupt)


@pytest.mark.parametrize("name", ["partial_fit", "partial_fit anew"])
def test_training_behind_a_failure_goes_on_as_without_it(name, small):
    (X, y), (clf, calls) = small, points(name, small, 6)
    twin = copy.deepcopy(clf)
    for k in calls:
        if k > 0.8 * calls[-1]:  # after a failure there may be fewer calls
            continue
        with pytest.raises(InjectedError):
            Raise(k).around(STEPS[name][1], clf, X, y)
    for each in (clf, twin):
        STEPS[name][1](each, X, y)
    assert_same(state_of(clf, X), state_of(twin, X))


@pytest.mark.parametrize("name", ["first fit", "warm fit"])
def test_interrupt_of_fit_leaves_old_or_new(name, small):
    """In an epoch it is kept as far as it has come; at other times it is as it was."""
    (X, y), (clf, calls) = small, points(name, small, 16)
    n_kept, twin = 0, copy.deepcopy(clf)
    before = state_of(clf, X)
    for k in calls:
        clf = copy.deepcopy(twin)
        with pytest.raises(KeyboardInterrupt) as caught:
            Raise(k, KeyboardInterrupt).around(STEPS[name][1], clf, X, y)
        if "keeps the best weights" in str(caught.value):
            n_kept += 1
            assert clf.n_iter_ == len(clf.history_)
            assert clf.net_.was_interrupted
            assert np.isfinite(clf.predict_proba(X)).all()
        else:
            assert_same(state_of(clf, X), before)
    assert 0 < n_kept < len(calls)


# -- real signals --------------------------------------------------------------------

SCRIPT = """
import signal, sys, threading, time
import numpy as np
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping
from imbalnet import BalancedNeuralClassifier

signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 5)).astype(np.float32)
y = (X[:, 0] + rng.normal(size=300) > 1).astype(int)
begun, done = threading.Event(), []

class Begun(Callback):
    def __deepcopy__(self, memo):
        return self

    def on_epoch_begin(self, net, **kwargs):
        begun.set()

def press():
    begun.wait()
    time.sleep(0.1)
    signal.raise_signal(signal.SIGINT)

BalancedNeuralClassifier("mlp", max_epochs=1).fit(X, y)  # torch imports late
clf = BalancedNeuralClassifier(
    "mlp", max_epochs=100_000, random_state=0, early_stopping=False,
    callbacks=[Begun(), EarlyStopping(monitor="train_loss", patience=10**6)],
)
pressing = threading.Thread(target=press, daemon=True)
"""

LOOPS = {
    "fits": """
        pressing.start()
        for i in range(3):
            done.append(i)
            clf.fit(X, y)
        """,
    "partial_fits": """
        clf.partial_fit(X, y, [0, 1])
        begun.clear()
        pressing.start()
        for i in range(10**6):
            clf.partial_fit(X, y)
        """,
    "grid": """
        pressing.start()
        search = GridSearchCV(clf, {"learning_rate": [1e-3, 1e-4]}, cv=2, n_jobs=1)
        search.fit(X, y)
        """,
}


@pytest.mark.parametrize("loop", LOOPS)
def test_signal_ends_the_loop_around_a_fit(loop):
    script = SCRIPT + "try:\n" + textwrap.indent(textwrap.dedent(LOOPS[loop]), "    ")
    script += textwrap.dedent(
        f"""
        except KeyboardInterrupt as error:
            assert len(done) <= 1, done
            if {loop!r} == "fits":
                assert "keeps the best weights" in str(error)
                assert clf.n_iter_ == len(clf.history_) < 100_000
            if {loop!r} != "grid":
                assert np.isfinite(clf.predict_proba(X)).all()
                clf.partial_fit(X, y)
            sys.exit(17)
        """
    )
    run = subprocess.run([sys.executable, "-c", script], timeout=120, check=False)
    assert run.returncode == 17


def test_interrupt_handler_stays(small):
    before = signal.getsignal(signal.SIGINT)
    new().fit(*small).partial_fit(*small).predict(small[0])
    assert signal.getsignal(signal.SIGINT) is before

"""``partial_fit`` learns what one large call does, whatever its first calls hold."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import average_precision_score, log_loss
from skorch.callbacks import Callback

from imbalnet import BalancedNeuralClassifier

N_TRAIN = 2000
LATER = list(range(400, N_TRAIN, 200))
NETWORKS = {
    "default": {"n_members": 2, "module__hidden_sizes": (32,)},
    "mlp": {"module": "mlp"},
    "linear": {"module": "linear"},
    "resnet": {"module": "resnet", "module__d_block": 64},
}

meets_news = pytest.mark.filterwarnings("ignore:X has columns of categories most of")


def table(n_rows, seed=0):
    """Numbers, of which some are missing, and categories; 15 % positives."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n_rows) < 0.15).astype(int)
    X = rng.normal(size=(n_rows, 4)) + np.array([2, 0, 0, 0.5]) * y[:, None]
    X[:, 1] = np.exp(X[:, 1] + y)
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["shop"] = np.where(
        rng.random(n_rows) < 0.4 * y, "z", rng.choice(list("pqr"), n_rows)
    )
    frame.loc[rng.random(n_rows) < np.where(y, 0.4, 0.1), "c"] = np.nan
    frame.loc[rng.random(n_rows) < 0.1, "shop"] = None
    return frame, y


def negatives_first(X, y):
    first = np.flatnonzero(y == 0)[:400]
    order = np.append(first, np.setdiff1d(np.arange(len(y)), first))
    return X.iloc[order], y[order]


def constant_at_first(X, y, n_rows=400):
    X = X.copy()
    X.loc[X.index[:n_rows], "a"] = 0.5
    X.loc[X.index[:n_rows], "shop"] = "p"
    return X, y


def empty_at_first(X, y):
    X = X.copy()
    X.loc[X.index[:400], "a"] = np.nan
    X.loc[X.index[:400], "shop"] = None
    return X, y


def as_they_are(X, y):
    return X, y


FIRST_CALLS = {
    "one row": (as_they_are, [1, *LATER]),
    "two rows": (as_they_are, [2, 5, *LATER]),
    "one class": (negatives_first, LATER),
    "constant columns": (constant_at_first, LATER),
    "empty columns": (empty_at_first, LATER),
}


def in_parts(clf, X, y, cuts):
    edges = [0, *cuts, len(y)]
    for start, stop in pairwise(edges):
        part = X.iloc[start:stop] if hasattr(X, "iloc") else X[start:stop]
        clf.partial_fit(part, y[start:stop], classes=[0, 1])
    return clf


def quality(clf, columns=None):
    X, y = table(3000, seed=1)
    proba = clf.predict_proba(X if columns is None else X[columns])[:, 1]
    return average_precision_score(y, proba), log_loss(y, proba)


@pytest.fixture(scope="module")
def data():
    return table(N_TRAIN)


@pytest.fixture(scope="module")
def expected(data):
    """What a first call of 400 ordinary rows leads to."""
    return {name: quality(in_parts(new(name), *data, LATER)) for name in NETWORKS}


def new(name, **params):
    return BalancedNeuralClassifier(**NETWORKS[name], random_state=1, **params)


@meets_news
@pytest.mark.parametrize("first", FIRST_CALLS)
@pytest.mark.parametrize("name", NETWORKS)
def test_first_call_may_hold_anything(name, first, data, expected):
    change, cuts = FIRST_CALLS[first]
    precision, loss = quality(in_parts(new(name), *change(*data), cuts))
    assert precision > expected[name][0] - 0.01
    assert loss < expected[name][1] + 0.02


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("build", [pd.DataFrame, np.asarray, sparse.csr_matrix])
def test_cuts_of_the_first_rows_make_no_difference(name, build, rare):
    """To the bit, for tables of numbers in float64, which float32 has to round."""
    X, y = rare
    X = build(X)
    whole = new(name, batch_size=64).partial_fit(X, y, classes=[0, 1])
    parts = in_parts(new(name, batch_size=64), X, y, [1, 7, 200])
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))
    np.testing.assert_array_equal(parts.class_prior_, whole.class_prior_)


def test_cuts_make_no_difference_to_categories_and_far_columns(data):
    X, y = data
    X = X.assign(time=1.7e9 + 60 * X["a"], rank=pd.Categorical(X["shop"], ordered=True))
    X, y = X[:600], y[:600]
    whole = new("default", batch_size=64).partial_fit(X, y, classes=[0, 1])
    parts = in_parts(new("default", batch_size=64), X, y, [1, 3, 100])
    expected, found = (clf.predict_proba(X) for clf in (whole, parts))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("n_first", [5000, 600])
def test_column_comes_in_after_many_rows_without(n_first):
    """Also after the rows were let go."""
    X, y = table(n_first + 1500)
    X = X[list("abcd")]
    cuts = range(n_first, len(y), 250)
    late = X.assign(a=X["a"].where(np.arange(len(y)) >= n_first, 0.5))
    expected, found, without = (
        quality(in_parts(new("default"), some, y, cuts), columns=list("abcd"))[0]
        for some in (X, late, X.assign(a=0.5))
    )
    assert found > expected - 0.03
    assert found > without + 0.1


@pytest.mark.parametrize("name", ["default", "linear"])
def test_class_comes_in_after_many_rows_without(name):
    """The rows before say nothing but how rare the class is."""
    X, y = table(5000)
    X_none, y_none = table(6000, seed=2)
    none = X_none[y_none == 0][:5000]
    clf = new(name).partial_fit(none, np.zeros(len(none)), classes=[0, 1])
    later = new(name)
    for start in range(0, 5000, 250):
        rows = slice(start, start + 250)
        for each in (clf, later):
            each.partial_fit(X[rows], y[rows], classes=[0, 1])
    assert clf._fitted.gathered is None
    later.set_params(target_prior=clf.class_prior_)
    expected, found = quality(later), quality(clf)
    assert found[0] > expected[0] - 0.04
    assert found[1] < expected[1] + 0.04


def test_few_values_of_a_dead_column_are_a_warning():
    X, y = table(4096)
    X = X[["a", "b"]].assign(a=0.5)
    clf = new("default").partial_fit(X, y, classes=[0, 1])
    with pytest.warns(UserWarning, match=r"columns \[0\] \(counted from 0\) held one"):
        clf.partial_fit(X[:8].assign(a=[1.0, 2.0] + [0.5] * 6), y[:8])


def test_rows_are_kept_as_long_as_they_are_needed(rare):
    X, y = rare
    X = X.copy()
    clf = new("mlp").partial_fit(X[:100], y[:100], classes=[0, 1])
    kept = clf._fitted.gathered.rows
    assert len(kept) == 100
    assert not np.shares_memory(kept.X, X)
    clf.partial_fit(X[100:400], y[100:400])
    assert len(clf._fitted.gathered.rows) == 400
    clf.partial_fit(X[400:], y[400:])
    assert clf._fitted.gathered is None
    assert new("mlp").partial_fit(X, y, classes=[0, 1])._fitted.gathered is None
    clf = new("mlp").partial_fit(X[:100], y[:100], classes=[0, 1])
    assert clf.fit(X, y)._fitted.gathered is None


def test_absent_classes_keep_no_more_than_4096_rows(rng):
    X = rng.normal(size=(5000, 3))
    clf = new("mlp", batch_size=512)
    for start in range(0, 5000, 1000):
        part = slice(start, start + 1000)
        clf.partial_fit(X[part], np.zeros(1000, int), classes=[0, 1])
        gathered = clf._fitted.gathered
        assert (gathered is None) == (start >= 4000)
    assert clf.class_prior_[1] == 0


@pytest.mark.parametrize(
    "twin_of", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_copies_go_on_alike(twin_of, data):
    X, y = data
    clf = in_parts(new("default"), X[:150], y[:150], [1])
    twin = twin_of(clf)
    for each in (clf, twin):
        in_parts(each, X[150:700], y[150:700], [100])
    np.testing.assert_array_equal(clf.predict_proba(X), twin.predict_proba(X))


def test_table_that_was_passed_may_change(data):
    X, y = data[0][list("ab")].to_numpy(np.float32), data[1]
    clf = new("mlp", batch_size=64)
    buffer = np.empty((300, 2), np.float32)
    for start in (0, 300):
        buffer[:] = X[start : start + 300]
        clf.partial_fit(buffer, y[start : start + 300], classes=[0, 1])
    whole = new("mlp", batch_size=64).partial_fit(X[:600], y[:600], classes=[0, 1])
    np.testing.assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))


class Fail(Callback):
    def __init__(self):
        self.is_armed = False

    def __deepcopy__(self, memo):
        return self

    def on_batch_end(self, net, **kwargs):
        if self.is_armed:
            raise self.is_armed


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("no")])
@pytest.mark.parametrize("n_before", [50, 600])
@pytest.mark.parametrize("name", ["default", "mlp"])
def test_interrupted_call_leaves_the_estimator_as_it_was(name, n_before, error, data):
    """While rows are gathered, and afterwards."""
    X, y = data
    fail = Fail()
    clf = new(name, callbacks=[fail], batch_size=32)
    in_parts(clf, X[:n_before], y[:n_before], [20])
    before, twin = clf.predict_proba(X), copy.deepcopy(clf)
    fail.is_armed = error
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        clf.partial_fit(X[600:900], y[600:900])
    fail.is_armed = False
    assert clf.n_iter_ == twin.n_iter_ == len(clf.history_)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    for each in (clf, twin):
        each.partial_fit(X[600:900], y[600:900])
    np.testing.assert_array_equal(clf.predict_proba(X), twin.predict_proba(X))


class CountEpochs(Callback):
    n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1


def test_calls_are_counted_and_callbacks_kept(data):
    X, y = data
    clf = in_parts(new("mlp", callbacks=[CountEpochs()]), X, y, [1, 10, 50, 300, 800])
    counter = next(cb for _, cb in clf.net_.callbacks_ if isinstance(cb, CountEpochs))
    assert clf.n_iter_ == len(clf.history_) == counter.n_epochs == 6
    assert clf.history_[:, "epoch"] == [1, 2, 3, 4, 5, 6]


def test_columns_that_were_empty_may_turn_out_as_categories(data):
    X, y = data
    for gap in (None, np.nan):
        first = X[:50].assign(shop=gap)
        clf = new("mlp").partial_fit(first, y[:50], classes=[0, 1])
        clf.partial_fit(X[50:700], y[50:700])
        one, other = (clf.predict_proba(X.assign(shop=shop)) for shop in "pz")
        assert not np.allclose(one, other)
    # and a column of numbers does not
    clf = new("mlp").partial_fit(X[:50], y[:50], classes=[0, 1])
    with pytest.raises(ValueError, match="not numeric: \\['a'\\]"):
        clf.partial_fit(X[50:99].assign(a="word"), y[50:99])


def test_samplers_see_the_gathered_rows_by_name(data):
    imblearn = pytest.importorskip("imblearn.over_sampling")
    X, y = data
    clf = new("mlp", sampler=imblearn.RandomOverSampler())
    in_parts(clf, X[:700], y[:700], [100, 300])
    np.testing.assert_allclose(clf.effective_prior_, 0.5, atol=0.01)
    np.testing.assert_allclose(clf.class_prior_[1], y[:700].mean())


def test_weights_of_gathered_rows_count(rare):
    X, y = rare
    weight = np.arange(600) % 3
    parts = new("mlp", batch_size=64)
    for part in (slice(0, 50), slice(50, 600)):
        parts.partial_fit(X[part], y[part], [0, 1], sample_weight=weight[part])
    whole = new("mlp", batch_size=64).partial_fit(X, y, [0, 1], sample_weight=weight)
    np.testing.assert_allclose(
        parts.predict_proba(X), whole.predict_proba(X), atol=1e-6
    )
    np.testing.assert_allclose(parts.class_prior_, whole.class_prior_)

"""What a fitted model keeps of its training data, and how it lets go of it."""

from __future__ import annotations

import copy
import io
import pickle
import struct

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from imbalnet import BalancedNeuralClassifier
from imbalnet.networks import MLP
from imbalnet.plots import HistoryDisplay


def small(**params):
    fixed = {"max_epochs": 2, "random_state": 0, "n_members": 1, "module": "mlp"}
    return BalancedNeuralClassifier(**{**fixed, **params})


def names(clf):
    return [item.name for item in clf.retained_data()]


# -- secrets ---------------------------------------------------------------------------

WORDS = [f"DE{i:02d}SECRET{i * 7919:012d}" for i in range(300)]
NUMBERS = 77.123456789 + np.arange(4) / 3


def secret_table():
    """A column of account numbers, rare places, and a few odd numbers in rare rows."""
    rng = np.random.default_rng(0)
    number = rng.normal(60, 30, size=300)
    number[[10, 60, 110, 160]] = NUMBERS  # neither the least nor the greatest
    places = rng.choice(["Ulm", "Bonn"], 300).astype(object)
    places[:4] = ["Geheimdorf", "Stillweiler", "geheimdorf", "Ulm"]
    X = pd.DataFrame({"number": number, "account": WORDS, "place": places})
    return X, (number + 20 * (places == "Ulm") > 95).astype(int)


def files_of(clf):
    yield pickle.dumps(clf)
    file = io.BytesIO()
    joblib.dump(clf, file)
    yield file.getvalue()
    skops = pytest.importorskip("skops.io")
    yield skops.dumps(clf)


def secrets_in(data):
    words = [w for w in (*WORDS, "Geheimdorf", "Stillweiler") if w.encode() in data]
    encoded = [struct.pack(kind, x) for x in NUMBERS for kind in ("<d", "<f")]
    texts = [repr(float(x)).encode() for x in NUMBERS]
    return words + [value for value in encoded + texts if value in data]


@pytest.mark.parametrize(
    "params",
    [
        {"module": "auto", "n_members": 2, "n_neighbors": 0},
        {"module": "auto", "n_members": 2, "n_neighbors": 3},
        {"module": "mlp"},
        {"module": "mlp", "n_members": 2},
        {"module": "linear", "n_members": 1},
        {"module": "resnet", "sampler": "oversample"},
    ],
    ids=str,
)
def test_files_hold_no_rare_levels_and_no_numbers_of_rows(params):
    X, y = secret_table()
    with pytest.warns(UserWarning, match="account"):  # most rows have their own level
        clf = small(**params).fit(X, y)
    for data in files_of(clf):
        assert b"Bonn" in data  # which predictions need
        assert secrets_in(data) == []


def test_search_for_secrets_finds_them():
    """The same search finds the secrets where they are kept."""
    X, y = secret_table()
    clf = small().partial_fit(X, y, classes=[0, 1])
    data = pickle.dumps(clf)  # with the first rows
    assert len(secrets_in(data)) > 300
    assert secrets_in(pickle.dumps(clf.discard("first_rows"))) == []


def test_values_of_the_users_own_network_stay():
    class Embeds(MLP):  # it may tell all levels apart
        pass

    X, y = secret_table()
    with pytest.warns(UserWarning, match="account"):
        clf = small(module=Embeds).fit(X, y)
    assert len(clf._columns.levels[1].values) == 300


# -- report ------------------------------------------------------------------------


def test_retained_data_lists_what_predictions_need(rare):
    X, y = rare
    clf = small(module="auto", n_members=2, n_neighbors=3, n_threads=1).fit(X, y)
    kept = clf.retained_data()
    needed = [item.name for item in kept if not item.can_be_discarded]
    assert needed[:2] == ["classes", "network"]
    assert ("neighbors" in kept) == (clf.neighbor_weight_ > 0)
    assert kept["out_of_fold"].n_rows == len(y)
    assert kept.n_bytes == sum(item.n_bytes for item in kept)
    assert str(kept).count("\n") == len(kept)
    with pytest.raises(KeyError, match="is not kept"):
        kept["first_rows"]


def test_retained_neighbors_are_rows(rng):
    X = rng.uniform(-1, 1, size=(600, 2))
    y = (np.sin(9 * X[:, 0]) * np.sin(9 * X[:, 1]) > 0.6).astype(int)
    clf = small(module="auto", n_members=2, n_neighbors=4).fit(X, y)
    assert clf.neighbor_weight_ > 0
    item = clf.retained_data()["neighbors"]
    assert item.n_rows == 600
    assert item.n_bytes >= 600 * 2 * 4
    assert not item.can_be_discarded


def test_retained_levels_are_counted():
    X, y = secret_table()
    with pytest.warns(UserWarning, match="account"):
        clf = small().fit(X, y)
    assert clf.retained_data()["columns"].what == "2 levels of 2 columns"


@pytest.mark.parametrize("as_table", [np.asarray, sparse.csr_matrix])
def test_retained_first_rows_are_whole(rare, as_table):
    X, y = rare[0][:50], rare[1][:50]
    clf = small().partial_fit(as_table(X), y, classes=[0, 1])
    item = clf.retained_data()["first_rows"]
    assert item.n_rows == 50
    assert item.n_bytes > X.size * 4


def test_retained_optimizer_is_that_of_partial_fit(rare):
    X, y = rare
    clf = small().fit(X, y)
    assert "optimizer" not in clf.retained_data()
    clf.partial_fit(X, y)
    n_bytes = clf.retained_data()["optimizer"].n_bytes
    assert n_bytes >= 2 * 4 * clf.net_.n_parameters
    restored = pickle.loads(pickle.dumps(clf))
    assert restored.retained_data()["optimizer"].n_bytes == n_bytes
    assert "optimizer" not in restored.discard("optimizer").retained_data()
    restored.partial_fit(X, y)


def test_not_fitted():
    for method in (small().retained_data, small().discard):
        with pytest.raises(NotFittedError):
            method()


# -- discard -----------------------------------------------------------------------


@pytest.fixture
def judged(rare):
    X, y = rare
    return small(n_members=2, threshold="f1", warm_start=True).fit(X, y)


def test_discard_changes_no_prediction(rare, judged):
    X, _ = rare
    before = judged.predict_proba(X), judged.predict(X), judged.threshold_
    n_bytes = len(pickle.dumps(judged))
    assert judged.discard() is judged
    assert not any(item.can_be_discarded for item in judged.retained_data())
    restored = pickle.loads(pickle.dumps(judged))
    assert len(pickle.dumps(restored)) < n_bytes
    for clf in (judged, restored):
        assert np.array_equal(clf.predict_proba(X), before[0])
        assert np.array_equal(clf.predict(X), before[1])
        assert clf.threshold_ == before[2]


@pytest.mark.parametrize(
    "name", ["oof_proba_", "folds_", "oof_labels_", "oof_weight_", "report_"]
)
def test_discarded_rows_are_an_error_with_a_cure(judged, name):
    judged.discard("out_of_fold")
    with pytest.raises(AttributeError, match=f"{name} needs .* fit again"):
        getattr(judged, name)


def test_another_threshold_needs_the_rows(rare, judged):
    judged.discard("out_of_fold").set_params(threshold="f2")
    with pytest.raises(AttributeError, match=r"threshold=.* fit again"):
        judged.predict(rare[0])


def test_discarded_history_is_an_error_with_a_cure(rare, judged):
    n_epochs, best = judged.n_iter_, judged.best_iteration_
    judged.discard("history")
    assert (judged.n_iter_, judged.best_iteration_) == (n_epochs, best)
    with pytest.raises(AttributeError, match="fit again"):
        _ = judged.history_
    with pytest.raises(ValueError, match="no history_"):
        HistoryDisplay.from_estimator(judged)


def test_training_goes_on_without_what_was_discarded(rare, judged):
    X, y = rare
    judged.discard("history")
    twin = pickle.loads(pickle.dumps(judged))
    n_epochs = judged.n_iter_
    for clf in (judged, twin):
        clf.fit(X, y)
        assert clf.n_iter_ > n_epochs
        assert len(clf.history_) == clf.n_iter_
    assert np.array_equal(judged.oof_proba_, twin.oof_proba_)
    judged.discard()
    with pytest.warns(UserWarning, match="may have trained on rows"):
        judged.set_params(threshold=None).fit(X, y)


def test_discard_leaves_shallow_copies_their_rows(judged):
    twin = copy.copy(judged)
    judged.discard("out_of_fold")
    assert len(twin.oof_proba_) == 600


@pytest.mark.parametrize("name", ["neighbors", "network", "oof_proba_"])
def test_unknown_name_is_an_error(judged, name):
    with pytest.raises(ValueError, match="is not possible: there is"):
        judged.discard("history", name)
    assert judged.history_

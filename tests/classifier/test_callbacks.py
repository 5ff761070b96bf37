"""Callbacks of skorch that cannot be copied, and those of scikit-learn."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, TensorBoard, WandbLogger

from imbalnet import BalancedNeuralClassifier
from imbalnet.decisions import PrecisionAtLeast

SMALL = {"module": "mlp", "module__hidden_sizes": (4,), "max_epochs": 2}


class LogToFile(Callback):
    """Holds an open file."""

    def __init__(self, file):
        self.file = file

    def on_epoch_end(self, net, **kwargs):
        self.file.write(f"{net.history[-1, 'train_loss']:.3f}\n")


class Counter(Callback):
    """Holds a lock, and attributes that its constructor does not take."""

    def __init__(self):
        self.lock = threading.Lock()
        self.n_trainings = self.n_epochs = 0

    def on_train_begin(self, net, **kwargs):
        self.n_trainings += 1

    def on_epoch_end(self, net, **kwargs):
        with self.lock:
            self.n_epochs += 1


class Writer:
    """As much of a SummaryWriter, or of a run of wandb, as its callback uses."""

    def __init__(self):
        self.lock, self.tags, self.logged = threading.Lock(), set(), []

    def add_scalar(self, tag, scalar_value, global_step):
        self.tags.add(tag)

    def close(self):
        self.lock.acquire()

    def watch(self, module):
        pass

    def log(self, values):
        self.logged.append(values)


def small(**params):
    return BalancedNeuralClassifier(**SMALL, random_state=0, **params)


@pytest.fixture
def counter():
    return Counter()


def test_open_file_is_written_to(rare, tmp_path):
    with (tmp_path / "log").open("w") as file:
        clf = small(callbacks=[("log", LogToFile(file))]).fit(*rare)
    losses = (tmp_path / "log").read_text().split()
    assert losses == [f"{loss:.3f}" for loss in clf.history_[:, "train_loss"]]


def test_loggers_of_skorch_are_used_as_they_are(rare):
    board, run = Writer(), Writer()
    loggers = [TensorBoard(board), WandbLogger(run, save_model=False)]
    small(callbacks=loggers).fit(*rare)
    assert "Loss/train_loss" in board.tags
    assert board.lock.locked()  # closed behind training
    assert [sorted(values) for values in run.logged] == [["dur", "train_loss"]] * 2


def test_other_callbacks_are_still_copied(rare, counter):
    class Plain(Callback):
        n_epochs = 0

        def on_epoch_end(self, net, **kwargs):
            self.n_epochs += 1

    plain = Plain()
    clf = small(callbacks=[plain, counter]).fit(*rare)
    assert (plain.n_epochs, counter.n_epochs) == (0, 2)
    assert clf.callbacks == [plain, counter]


def test_clone_keeps_the_callbacks(counter):
    clf = small(callbacks=[counter], loss="focal", loss__gamma=1.5)
    twin = clone(clf)
    assert twin.get_params() == clf.get_params()
    assert twin.callbacks is not clf.callbacks
    assert clone(small()).callbacks is None
    assert clf.callbacks == [counter]


def test_grid_search_takes_callbacks_that_cannot_be_copied(rare, counter):
    grid = {"learning_rate": [0.001, 0.01]}
    search = GridSearchCV(small(callbacks=[counter]), grid, cv=2).fit(*rare)
    assert counter.n_trainings == 2 * 2 + 1
    assert search.best_estimator_.callbacks == [counter]


def test_fit_in_another_process_goes_without_them(rare, counter):
    with pytest.warns(UserWarning, match="Counter.* worker processes, are without it"):
        sent = pickle.loads(pickle.dumps(small(callbacks=[counter])))
    assert sent.fit(*rare).callbacks == []
    assert counter.n_trainings == 0


@pytest.mark.parametrize(
    "twin_of", [lambda clf: pickle.loads(pickle.dumps(clf)), copy.deepcopy]
)
def test_pickle_goes_without_them(rare, counter, twin_of):
    X, y = rare
    clf = small(callbacks=(counter,), warm_start=True).fit(X, y)
    with pytest.warns(UserWarning, match="callbacks has Counter, which cannot be"):
        twin = twin_of(clf)
    assert twin.callbacks == ()
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
    assert twin.fit(X, y).partial_fit(X, y).n_iter_ == 2 + 2 + 1
    assert counter.n_epochs == 2
    assert clf.callbacks == (counter,)


def test_shallow_copy_shares_callbacks_and_fit(rare, counter):
    clf = small(callbacks=[counter]).fit(*rare)
    twin = copy.copy(clf)
    assert twin.net_ is clf.net_
    twin.set_params(callbacks=None)
    assert clf.callbacks == [counter]


def test_pickle_of_the_net_goes_without_them(rare, counter):
    clf = small(callbacks=[counter]).fit(*rare)
    with pytest.warns(UserWarning, match="callbacks has Counter"):
        net = pickle.loads(pickle.dumps(clf.net_))
    assert not any(isinstance(cb, Counter) for _, cb in net.callbacks_)
    assert clf.net_.callbacks[-1] is counter


def test_lock_that_training_takes_goes_with_the_net(rare):
    """What a callback opens in training is in its copy, not in the parameter."""

    clf = small(callbacks=[LockInTraining()]).fit(*rare)
    with pytest.warns(UserWarning, match="callbacks has LockInTraining"):
        twin = pickle.loads(pickle.dumps(clf))
    assert len(twin.callbacks) == 1
    assert not any(isinstance(cb, LockInTraining) for _, cb in twin.net_.callbacks_)


class LockInTraining(Callback):
    def on_train_begin(self, net, **kwargs):
        self.lock_ = threading.Lock()


def test_warm_start_and_partial_fit_use_them_again(rare, counter):
    clf = small(callbacks=[counter], warm_start=True).fit(*rare).fit(*rare)
    clf.partial_fit(*rare)
    assert (counter.n_trainings, counter.n_epochs) == (3, 2 + 2 + 1)


def test_failing_fit_leaves_the_estimator_as_it_was(rare, counter):
    X, y = rare
    clf = small(callbacks=[counter], warm_start=True).fit(X, y)
    before, n_epochs = clf.predict_proba(X), clf.n_iter_
    with pytest.raises(FloatingPointError, match="became"):
        clf.set_params(learning_rate=1e30).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert (clf.n_iter_, len(clf.history_)) == (n_epochs, n_epochs)
    assert clf.net_.callbacks[-1] is counter
    assert clf.set_params(learning_rate="auto").fit(X, y).n_iter_ == 2 * n_epochs


# -- scikit-learn's callbacks --------------------------------------------------------


class Events:
    """A callback of scikit-learn that writes down what it is told."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.events, self.fitted, self.data = [], [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"{context.task_name} of {context.max_subtasks}")

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.events.append(f"{context.task_name} ends")
        self.fitted.append(fitted_estimator)
        self.data.append((X, y, metadata))
        n_epochs = self.events.count("epoch ends")
        return self.stop_after is not None and n_epochs >= self.stop_after


EPOCH = ["epoch of 0", "epoch ends"]


@pytest.fixture
def events():
    pytest.importorskip("sklearn.callback", reason="needs scikit-learn 1.9")
    return Events


def test_fit_tells_of_itself_and_its_epochs(rare, events):
    X, y = rare
    weight = np.ones(len(y))
    watch = events()
    clf = small().set_callbacks(watch).fit(X, y, sample_weight=weight)
    expected = ["setup", "fit of 2", *EPOCH, *EPOCH, "fit ends", "teardown"]
    assert watch.events == expected
    assert all(data[0] is X and data[1] is y for data in watch.data)
    assert all(data[2]["sample_weight"] is weight for data in watch.data)
    np.testing.assert_array_equal(
        watch.fitted[-1].predict_proba(X), clf.predict_proba(X)
    )


def test_callbacks_get_an_estimator_of_each_epoch(rare, events):
    """It stays what it was when training goes on."""
    X, y = rare
    watch = events()
    clf = small(early_stopping=False).set_callbacks(watch).fit(X, y)
    first, second, last = (fitted.predict_proba(X) for fitted in watch.fitted)
    assert np.abs(first - second).max() > 1e-4
    np.testing.assert_array_equal(second, last)
    assert [fitted.n_iter_ for fitted in watch.fitted] == [1, 2, 2]
    assert clf.n_iter_ == 2


def test_callbacks_do_not_change_training(rare, events):
    X, y = rare
    plain = small(n_members=3).fit(X, y)
    watched = small(n_members=3, callbacks=[Counter()]).set_callbacks(events())
    watched.fit(X, y)
    np.testing.assert_array_equal(watched.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("threshold", ["f1", PrecisionAtLeast(0.5), 0.3, None])
def test_estimator_of_an_epoch_predicts(rare, events, threshold):
    """Before the end no out-of-fold rows can choose a threshold."""
    X, y = rare
    watch = events()
    small(n_members=3, threshold=threshold).set_callbacks(watch).fit(X, y)
    early, last = watch.fitted[0], watch.fitted[-1]
    assert set(early.predict(X)) <= {0, 1}
    assert early.threshold == (0.3 if threshold == 0.3 else None)
    assert last.threshold == threshold


def test_callback_may_end_training(rare, events):
    watch = events(stop_after=1)
    clf = small().set_callbacks(watch).fit(*rare)
    assert clf.n_iter_ == 1
    assert watch.events == ["setup", "fit of 2", *EPOCH, "fit ends", "teardown"]


@pytest.mark.parametrize("params", [{"learning_rate": 1e30}, {"n_neighbors": 3}])
def test_failing_fit_lets_callbacks_go(rare, events, params):
    watch = events()
    clf = small(**params).set_callbacks(watch)
    before = dict(vars(clf))
    with pytest.raises((ValueError, FloatingPointError)):
        clf.fit(*rare)
    assert watch.events[0] == "setup"
    assert watch.events[-1] == "teardown"
    assert vars(clf) == before


def test_partial_fit_tells_nothing(rare, events):
    watch = events()
    small().set_callbacks(watch).partial_fit(*rare, classes=[0, 1])
    assert watch.events == []


def test_progress_bar_shows_the_fits_of_a_search(rare, capsys):
    """scikit-learn wants it on the search, which passes it on to the fits."""
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9")
    pytest.importorskip("rich")
    bar = callback.ProgressBar(max_propagation_depth=None)
    search = GridSearchCV(small(), {"learning_rate": [0.001, 0.01]}, cv=2)
    search.set_callbacks(bar).fit(*rare)
    shown = capsys.readouterr().out
    assert shown.count("| BalancedNeuralClassifier") == 2 * 2 + 1


def test_scoring_monitor_scores_epochs_and_folds(rare):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9")
    monitor = callback.ScoringMonitor(scoring="average_precision")
    clf = small().set_callbacks(monitor)
    GridSearchCV(clf, {"learning_rate": [0.001, 0.01]}, cv=2).fit(*rare)
    logs = monitor.get_logs().data
    scores = [log["average_precision"] for log in logs if log["task_name"] == "epoch"]
    assert len(scores) == (2 * 2 + 1) * 2
    assert all(0 < score <= 1 for score in scores)

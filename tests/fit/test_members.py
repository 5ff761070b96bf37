"""Ensembles whose members hold out folds, and what is known out of fold."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from skorch.callbacks import Callback, EpochScoring
from torch import nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from imbalnet import BalancedNeuralClassifier
from imbalnet._calibration import Calibration, OutOfFold
from imbalnet._fit.feeds.feed import MemberFeed
from imbalnet._fit.feeds.fold_feed import FoldFeed
from imbalnet._fit.plan import plan_members
from imbalnet._fit.specs import Levers, Seeds
from imbalnet._fit.split import HeldOut, stratified_folds
from imbalnet._runtime import spawn_seeds
from imbalnet._tables import Rows
from imbalnet.losses import LOSSES
from imbalnet.networks import MLP, LinearModel, Members
from imbalnet.posterior import fit_member_offsets
from imbalnet.posterior.prior import log_ratio
from imbalnet.samplers import SAMPLERS, batch_sizes

SMALL = {
    "module": "mlp",
    "n_members": 3,
    "module__hidden_sizes": (8,),
    "max_epochs": 3,
    "learning_rate": 0.01,
    "random_state": 0,
}


def ensemble(**params):
    params = {**SMALL, **params}
    if params["module"] != "mlp":
        params.pop("module__hidden_sizes")
    return BalancedNeuralClassifier(**params)


class Batched(nn.Module):
    """An MLP of several members in one: parameters of shape (members, in, out)."""

    calls = 0

    def __init__(self, in_features, out_features, n_members=1, width=8):
        super().__init__()
        self.first = nn.Parameter(torch.randn(n_members, in_features, width) / 3)
        self.bias = nn.Parameter(torch.zeros(n_members, 1, width))
        self.last = nn.Parameter(torch.randn(n_members, width, out_features) / 3)

    def forward(self, x):
        type(self).calls += 1
        z = x if x.ndim == 2 else x.transpose(0, 1)
        z = torch.relu(z @ self.first + self.bias)
        return (z @ self.last).transpose(0, 1)


class ClassBatches(BatchSampler):
    """A torch batch sampler, whose batches stand class by class."""

    def __init__(self, labels, batch_size):
        super().__init__(RandomSampler(labels), batch_size, drop_last=False)
        self.labels = labels

    def __iter__(self):
        for batch in super().__iter__():
            yield sorted(batch, key=lambda row: int(self.labels[row]))


class KeepStart(Callback):
    """Remember the weights that training starts from."""

    state = None  # set on the class: callbacks are copied

    def on_train_begin(self, net, **kwargs):
        type(self).state = {
            name: value.clone() for name, value in net.module_.state_dict().items()
        }


class Spy(RandomOverSampler):
    """Remember the rows of each call."""

    seen = None

    def fit_resample(self, X, y):
        type(self).seen.append(np.asarray(X))
        return super().fit_resample(X, y)


# -- training ------------------------------------------------------------------------


def train_by_hand(start, plan, X, member, lr):
    """One epoch of one member, as anybody would write it."""
    net = MLP(X.shape[1], 2, hidden_sizes=(8,)).double()
    net.load_state_dict(start)
    matrices = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others}],
        lr=lr,
        weight_decay=0.0,
    )
    rows = plan.rows.weighted_by_class(plan.factor)
    X, y, weight = (torch.as_tensor(rows.of(v)) for v in (X, rows.codes, rows.weight))
    order = torch.from_numpy(plan.order.epoch(plan.batch_size))
    for rows in order.split(batch_sizes(len(order), plan.batch_size)):
        optimizer.zero_grad()
        losses = F.cross_entropy(
            net(X[rows]).squeeze(1), y[rows].long(), reduction="none"
        )
        (weight[rows] * losses).mean().backward()
        optimizer.step()
    return net.state_dict()


@pytest.mark.parametrize("watched", [False, True])
def test_members_train_as_they_would_alone(rare, watched, recorder):
    X, y = rare
    X = np.concatenate([X[y == 0][:150], X[y == 1][:30]])
    y = np.repeat([0, 1], [150, 30])
    callbacks = [KeepStart(), *([recorder] if watched else [])]
    clf = ensemble(
        class_weight="balanced",
        dtype="float64",
        max_epochs=1,
        batch_size=16,
        schedule="constant",
        callbacks=callbacks,
    ).fit(X, y)
    seeds = Seeds(*spawn_seeds(0, len(Seeds._fields)))
    folds = stratified_folds(y, 3, np.random.default_rng(seeds.split))
    np.testing.assert_array_equal(folds, clf.folds_)
    levers = Levers(
        np.array([0, 1]),
        new_sampler=lambda: None,
        class_weight="balanced",
        batch_size=16,
    )
    plans = plan_members(Rows(X, y), folds, levers, 3, seeds.plan)
    for j, plan in enumerate(plans):
        prefix = f"members.{j}."
        start = {
            name.removeprefix(prefix): value
            for name, value in KeepStart.state.items()
            if name.startswith(prefix)
        }
        np.testing.assert_allclose(start["input.mean"], X[folds != j].mean(0))
        expected = train_by_hand(start, plan, X, j, 0.01)
        for name, value in clf.module_.members[j].state_dict().items():
            torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"module": Batched},
        {"class_weight": "balanced", "class_weight__start_epoch": 1},
        {"sampler": "balanced_batch", "loss": "focal"},
        {"batch_size": "auto", "early_stopping": False},
        {"loss": "average_precision"},
        {"module__dropout": 0.3},
    ],
    ids=str,
)
def test_bare_loop_trains_as_skorch_does(params, rare, recorder):
    X, y = rare
    params = {"batch_size": 37, "dtype": "float64", **params}
    bare, watched = (
        ensemble(callbacks=callbacks, **params).fit(X, y)
        for callbacks in (None, [recorder])
    )
    heard = {(True, 3, 2), (False, 2, 1)}
    if params.get("early_stopping") is False:
        heard.remove((False, 2, 1))
    assert {(b.training, b.X.ndim, b.y.ndim) for b in recorder.batches} == heard
    for name, value in bare.module_.state_dict().items():
        other = watched.module_.state_dict()[name]
        torch.testing.assert_close(value, other, rtol=0, atol=1e-8)
    for key in bare.history_[-1]:
        if key.startswith(("train_", "valid_")):
            assert bare.history_[:, key] == pytest.approx(watched.history_[:, key])


def test_native_members_are_one_call_a_batch(rare):
    X, y = rare
    clf = ensemble(module=Batched, n_members=4, batch_size=50, max_epochs=2)
    Batched.calls = 0
    clf.fit(X, y)
    n_batches = len(batch_sizes(450, 50))
    checks = 3  # of the output and of two shapes
    validation = 2 * 1
    final = 1  # out-of-fold rows of the kept epoch
    assert Batched.calls == checks + 2 * n_batches + validation + final
    assert isinstance(clf.module_, Batched)
    assert clf.module_.first.shape == (4, 10, 8)
    assert clf.predict_proba(X).shape == (600, 2)


def test_weights_of_members_decay_and_biases_do_not(rare):
    X, y = rare

    class WithBias(Batched):
        def __init__(self, in_features, out_features, n_members):
            super().__init__(in_features, out_features, n_members)
            self.bias = nn.Parameter(torch.zeros(n_members, 8))

        def forward(self, x):
            z = x if x.ndim == 2 else x.transpose(0, 1)
            z = torch.relu(z @ self.first + self.bias[:, None])
            return (z @ self.last).transpose(0, 1)

    clf = ensemble(module=WithBias, max_epochs=1).fit(X, y)
    decayed, free = clf.net_.optimizer_.param_groups
    assert [p.shape for p in free["params"]] == [(3, 8)]
    assert len(decayed["params"]) == 2


@pytest.mark.parametrize("batch_size", ["auto", 16])
def test_full_batches_and_small_ones_take_every_members_rows(batch_size):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [37, 9])
    X = rng.normal(size=(46, 4)) + y[:, None]
    clf = ensemble(batch_size=batch_size, max_epochs=20).fit(X, y)
    assert clf.net_.batch_size == (30 if batch_size == "auto" else 16)
    assert average_precision_score(y, clf.oof_proba_[:, 1]) > 0.4


def test_full_batch_weighs_filling_rows_with_nothing(place):
    codes = np.array([0, 1, 0, 1, 0], dtype=np.uint8)
    rows = Rows(np.arange(10.0).reshape(5, 2), codes, np.ones(5))
    factors = [np.array([[1.0, 2.0], [3.0, 4.0]])]
    positions = [np.array([0, 1, 2, 3]), np.array([0, 1, 4])]
    feed = MemberFeed(rows, place, factors, positions, orders=None)
    assert feed.epoch(99) == (None, [4])
    X, y, weight = feed.take(slice(0, 4))
    np.testing.assert_array_equal(X[:, 1, 0], [0, 2, 8, 0])
    np.testing.assert_array_equal(y[:, 0], [0, 1, 0, 1])
    np.testing.assert_allclose(weight[:, 0], [1, 2, 1, 2])
    np.testing.assert_allclose(weight[:, 1], np.array([3, 4, 3, 0]) * 4 / 3, rtol=1e-6)


@pytest.fixture
def epoch_of(place, scripted):
    """Draw an epoch of two members from the epochs that each of them draws."""

    def draw(*members):
        rows = Rows(np.zeros((100, 1)), np.zeros(100, dtype=np.uint8))
        orders = [scripted(*epochs) for epochs in members]
        feed = MemberFeed(rows, place, [np.ones((2, 1))], [None, None], orders)
        return feed.epoch

    return draw


def test_epochs_that_differ_little_are_cut(epoch_of):
    matrix, sizes = epoch_of([np.arange(41)], [np.arange(40)])(20)
    assert matrix.shape == (40, 2)
    assert sizes == [20, 20]


def test_epochs_that_differ_more_go_on_with_another_one(epoch_of):
    short, back = np.arange(15), np.arange(15)[::-1]
    matrix, sizes = epoch_of([np.arange(40)], [short, back, short])(20)
    assert sizes == [20, 20]
    np.testing.assert_array_equal(matrix[:, 0], np.arange(40))
    np.testing.assert_array_equal(matrix[13:17, 1], [13, 14, 14, 13])


def test_batches_of_a_batch_sampler_stay_batches(epoch_of):
    one = [np.arange(4), np.arange(10, 16)]
    two = [np.arange(4), np.arange(20, 24)]
    matrix, sizes = epoch_of([one], [two])(4)
    assert sizes == [4, 4]
    np.testing.assert_array_equal(matrix[4:, 0], [10, 11, 13, 14])
    np.testing.assert_array_equal(matrix[4:, 1], np.arange(20, 24))


# -- what is known out of fold -------------------------------------------------------


def own_logits(clf, X, folds):
    """Each row's logits of the member of its fold."""
    with torch.no_grad():
        logits = clf.module_.eval()(torch.as_tensor(X, dtype=torch.float32))
    return logits.double().numpy()[np.arange(len(X)), folds]


@pytest.mark.parametrize("target", [None, "train", "uniform", {0: 0.5, 1: 0.5}])
@pytest.mark.parametrize("module", ["mlp", Batched])
def test_oof_proba_is_each_rows_own_members(rare, rng, target, module):
    X, y = rare
    weight = rng.integers(0, 3, len(y)).astype(float)
    clf = ensemble(class_weight="balanced", target_prior=target, module=module)
    clf.fit(X, y, sample_weight=weight)
    used = weight > 0
    assert (clf.folds_[~used] == -1).all()
    folds, calibration = clf.folds_[used], clf.calibration_
    logits = own_logits(clf, X[used], folds)
    to_data = log_ratio(calibration.member_priors, clf.class_prior_)[folds]
    levels = calibration.member_offsets[folds]
    assert levels.any()
    own = (logits + to_data + levels) / clf.temperature_ + clf.offset_
    goal = {None: clf.effective_prior_, "train": clf.class_prior_}.get(
        None if target is None else str(target), np.array([0.5, 0.5])
    )
    own = np.exp(own + log_ratio(clf.class_prior_, goal))
    oof = clf.oof_proba_
    np.testing.assert_allclose(oof[used], own / own.sum(1, keepdims=True), rtol=1e-4)
    others = clf.predict_proba(X[~used])
    np.testing.assert_allclose(oof[~used], others, rtol=1e-4)
    assert oof.shape == (600, 2)
    assert oof.dtype == np.float64
    np.testing.assert_array_equal(clf.oof_labels_, y)  # also those of weight 0


def test_oof_proba_does_not_know_rows_noise(rng):
    """Noise that in-sample predictions know by heart scores at prevalence."""
    X, y = rng.normal(size=(400, 20)), (rng.random(400) < 0.2).astype(int)
    clf = ensemble(
        module__hidden_sizes=(64,), n_members=4, max_epochs=30, patience=30
    ).fit(X, y)
    deep = ensemble(
        module__hidden_sizes=(64,), n_members=4, max_epochs=30, early_stopping=False
    ).fit(X, y)
    assert average_precision_score(y, deep.predict_proba(X)[:, 1]) > 0.9
    assert average_precision_score(y, clf.oof_proba_[:, 1]) < y.mean() + 0.1


def test_labels_of_held_out_rows_do_not_reach_their_member(rare, monkeypatch):
    X, y = rare
    folds = np.arange(600, dtype=np.int16) % 3
    monkeypatch.setattr("imbalnet._fit.split.stratified_folds", lambda *args: folds)
    swapped = y.copy()
    swapped[folds == 1] = np.roll(swapped[folds == 1], 7)
    one, two = (
        ensemble(max_epochs=1, batch_size=32).fit(X, labels) for labels in (y, swapped)
    )
    for j, same in enumerate([False, True, False]):
        weights = [clf.module_.members[j].hidden[0].weight for clf in (one, two)]
        assert torch.equal(*weights) is same


def test_features_of_held_out_rows_do_not_reach_their_member(rare, monkeypatch):
    X, y = rare
    folds = np.arange(600, dtype=np.int16) % 3
    monkeypatch.setattr("imbalnet._fit.split.stratified_folds", lambda *args: folds)
    moved = X.copy()
    moved[folds == 1] += 100
    one, two = (
        ensemble(max_epochs=1, batch_size=32).fit(rows, y) for rows in (X, moved)
    )
    for j, same in enumerate([False, True, False]):
        states = [clf.module_.members[j].state_dict() for clf in (one, two)]
        assert torch.equal(states[0]["input.mean"], states[1]["input.mean"]) is same
        assert (
            torch.equal(states[0]["output.weight"], states[1]["output.weight"]) is same
        )


def test_resamplers_see_each_members_own_rows(rare):
    X, y = rare
    Spy.seen = []
    clf = ensemble(sampler=Spy(), class_weight="balanced").fit(X, y)
    assert len(Spy.seen) == 3
    for j, seen in enumerate(Spy.seen):
        np.testing.assert_allclose(seen, X[clf.folds_ != j], rtol=1e-6)
    np.testing.assert_allclose(clf.effective_prior_, [0.5, 0.5])
    np.testing.assert_allclose(clf.class_prior_, np.bincount(y) / 600)


@pytest.mark.parametrize("sampler", [None, "undersample", SMOTE(), ClassBatches])
def test_no_member_trains_on_its_fold(sampler, rng, recorder):
    """Rows that carry their number; batches tell which member trained on which."""
    X = np.column_stack([np.arange(300.0), rng.normal(size=300)])
    y = (np.arange(300) % 10 == 0).astype(int)
    clf = ensemble(sampler=sampler, batch_size=20, callbacks=[recorder]).fit(X, y)
    trained = torch.cat([batch.X[..., 0] for batch in recorder.of(training=True)])
    for j, rows in enumerate(trained.unbind(1)):
        seen, is_held_out = set(rows.tolist()), clf.folds_ == j
        assert not seen & set(np.flatnonzero(is_held_out).astype(float))
        assert seen >= set(np.flatnonzero((y == 1) & ~is_held_out).astype(float))


def test_validation_scores_are_those_of_oof_rows(rare):
    X, y = rare
    clf = ensemble(max_epochs=1, calibrate=False, target_prior="train").fit(X, y)
    record = clf.history_[0]
    folds, calibration = clf.folds_, clf.calibration_
    own = torch.from_numpy(own_logits(clf, X, folds))
    loss = F.cross_entropy(own, torch.from_numpy(y)).item()
    assert record["valid_loss"] == pytest.approx(loss, rel=1e-5)
    p = y.mean()
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    to_data = log_ratio(calibration.member_priors, clf.class_prior_)
    own += torch.from_numpy(to_data[folds])
    own = own.log_softmax(1)
    levels = fit_member_offsets(own.numpy(), folds, 3, clf.class_prior_, np.ones(600))
    own = (own + torch.from_numpy(levels[folds])).log_softmax(1)
    precision = average_precision_score(y, own[:, 1])
    assert record["valid_average_precision"] == pytest.approx(precision, abs=1e-6)
    least = min(
        F.cross_entropy(own / temperature, torch.from_numpy(y)).item()
        for temperature in np.geomspace(0.1, 10, 1000)
    )
    assert record["valid_score"] == pytest.approx(precision - least / entropy, rel=1e-4)
    assert not clf.offset_.any()
    assert not calibration.member_offsets.any()


@pytest.mark.parametrize("module", ["mlp", "tabular"])
def test_target_prior_does_not_change_the_ranking(module, rare):
    X, y = rare
    clf = ensemble(module=module, class_weight="balanced").fit(X[:400], y[:400])
    before = average_precision_score(y, clf.decision_function(X))
    for target in ("train", "uniform", {0: 0.999, 1: 0.001}):
        scores = clf.set_params(target_prior=target).decision_function(X)
        assert average_precision_score(y, scores) == pytest.approx(before, abs=1e-9)


def test_best_epoch_has_the_best_combined_score(rare):
    clf = ensemble(max_epochs=12, learning_rate=0.05, patience=12).fit(*rare)
    scores = clf.history_[:, "valid_score"]
    assert clf.best_iteration_ == np.argmax(scores) + 1


def test_offset_is_fitted_to_oof_rows(rare):
    X, y = rare
    clf = ensemble(target_prior="train", class_weight="balanced").fit(X, y)
    assert clf.offset_.any()
    assert clf.oof_proba_[:, 1].mean() == pytest.approx(y.mean(), abs=0.02)


def test_scoring_callbacks_score_out_of_fold(rare):
    scoring = EpochScoring("average_precision", lower_is_better=False, name="ap")
    clf = ensemble(callbacks=[scoring], max_epochs=2).fit(*rare)
    ours = clf.history_[:, "valid_average_precision"]
    assert clf.history_[:, "ap"] == pytest.approx(ours, abs=1e-9)


# -- every lever ---------------------------------------------------------------------

LEVERS = [
    *({"loss": loss} for loss in LOSSES),
    *({"sampler": sampler} for sampler in SAMPLERS),
    {"sampler": SMOTE(k_neighbors=2), "class_weight": "balanced"},
    {"sampler": RandomUnderSampler()},
    {"sampler": RandomSampler},
    {"sampler": ClassBatches},
    {"class_weight": "effective", "class_weight__start_epoch": 0.5},
    {"module": "linear"},
    {"module": "linear", "optimizer": "lbfgs", "early_stopping": True},
    {"optimizer": "sgd"},
    {"dtype": "float64", "batch_size": 8},
    {"module": Batched, "loss": "focal", "sampler": "weighted"},
]


@pytest.mark.parametrize("params", LEVERS, ids=str)
def test_lever_works_with_members(params, three_classes):
    X, y = three_classes
    has_inverse = params.get("loss") not in ("average_precision", "ldam")
    target = "train" if has_inverse else None
    clf = ensemble(max_epochs=10, target_prior=target, **params).fit(X, y)
    for probabilities in (clf.oof_proba_, clf.predict_proba(X)):
        np.testing.assert_allclose(probabilities.sum(1), 1)
        assert average_precision_score(y == 2, probabilities[:, 2]) > 0.1
    assert clf.calibration_.member_priors.shape == (3, 3)
    np.testing.assert_allclose(clf.effective_prior_.sum(), 1)
    assert 0 < clf.history_[-1, "train_loss"] < 50


def test_sparse_rows_train_as_dense_ones(rare):
    X, y = rare
    dense, thin = (ensemble().fit(rows, y) for rows in (X, sparse.csr_matrix(X)))
    np.testing.assert_allclose(dense.oof_proba_, thin.oof_proba_, atol=1e-4)
    resampled = ensemble(sampler=RandomOverSampler()).fit(sparse.csr_matrix(X), y)
    assert resampled.oof_proba_.shape == (600, 2)


@pytest.mark.parametrize("n_members", [2, 5, 40])
def test_tiny_classes_and_few_rows(n_members, rng):
    y = np.repeat([0, 1, 2, 3], [25, 5, 2, 1])
    X = rng.normal(size=(33, 3)) + y[:, None]
    clf = ensemble(n_members=n_members, class_weight="balanced", target_prior="train")
    clf.fit(X, y)
    np.testing.assert_allclose(clf.oof_proba_.sum(1), 1)
    np.testing.assert_allclose(clf.predict_proba(X).sum(1), 1)


@pytest.mark.filterwarnings("ignore:.*too few to choose the best epoch")
def test_two_rows_are_enough():
    clf = ensemble().fit([[0.0], [1.0]], [0, 1])
    assert clf.oof_proba_.shape == (2, 2)


# -- without folds -------------------------------------------------------------------


def without_folds(rare, kind):
    X, y = rare
    if kind == "partial_fit":
        clf = ensemble().partial_fit(X[:300], y[:300], classes=[0, 1])
        return clf.partial_fit(X[300:], y[300:])
    if kind == "X_val":
        return ensemble().fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:])
    if kind == "fit, partial_fit":
        return ensemble().fit(X, y).partial_fit(X, y)
    return ensemble(early_stopping=False).fit(X, y)


@pytest.mark.parametrize(
    "kind", ["partial_fit", "X_val", "early_stopping", "fit, partial_fit"]
)
def test_without_folds_all_train_on_all_rows(rare, kind):
    clf = without_folds(rare, kind)
    with pytest.raises(AttributeError, match="n_members"):
        _ = clf.oof_proba_
    assert not hasattr(clf, "oof_proba_")
    assert clf.predict_proba(rare[0]).shape == (600, 2)
    means = [member.input.mean for member in clf.module_.members]
    if kind != "fit, partial_fit":
        torch.testing.assert_close(means[0], means[1])
    first, second = (member.hidden[0].weight for member in clf.module_.members[:2])
    assert not torch.equal(first, second)
    assert ("valid_loss" in clf.history_[-1]) is (kind == "X_val")


def test_unfitted_and_single_networks_have_no_oof_proba(rare):
    assert not hasattr(ensemble(), "oof_proba_")
    assert not hasattr(ensemble(n_members=1).fit(*rare), "oof_proba_")


def test_one_member_is_the_plain_network(rare):
    X, y = rare
    plain = ensemble(n_members="auto", early_stopping=True).fit(X, y)
    one = ensemble(n_members=1, early_stopping=True).fit(X, y)
    assert isinstance(one.module_, MLP)
    np.testing.assert_array_equal(one.predict_proba(X), plain.predict_proba(X))


# -- life of the estimator -----------------------------------------------------------


def test_same_seed_same_bits(rare):
    X, y = rare
    fits = [ensemble(module__dropout=0.2).fit(X, y) for _ in range(2)]
    fits += Parallel(n_jobs=2, prefer="threads")(
        delayed(clone(fits[0]).fit)(X, y) for _ in range(2)
    )
    other = clone(fits[0]).set_params(random_state=1).fit(X, y)
    for clf in fits:
        np.testing.assert_array_equal(clf.oof_proba_, fits[0].oof_proba_)
        np.testing.assert_array_equal(clf.predict_proba(X), fits[0].predict_proba(X))
    assert not np.array_equal(other.oof_proba_, fits[0].oof_proba_)


def test_pickle_keeps_everything(rare):
    X, y = rare
    clf = ensemble().fit(X, y)
    back = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(back.oof_proba_, clf.oof_proba_)
    np.testing.assert_array_equal(back.predict_proba(X), clf.predict_proba(X))
    back.set_params(target_prior="uniform")
    assert back.oof_proba_[:, 1].mean() > clf.oof_proba_[:, 1].mean()


def test_warm_start_keeps_the_folds(rare):
    X, y = rare
    clf = ensemble(warm_start=True).fit(X, y)
    folds, first = clf.folds_, clf.oof_proba_
    clf.fit(X, y)
    np.testing.assert_array_equal(clf.folds_, folds)
    assert not np.array_equal(clf.oof_proba_, first)
    assert len(clf.history_) == 6


def test_warm_start_with_other_members_is_an_error(rare):
    clf = ensemble(warm_start=True, max_epochs=1).fit(*rare).set_params(n_members=4)
    with pytest.raises(ValueError, match="n_members"):
        clf.fit(*rare)


def test_failure_leaves_the_ensemble_as_it_was(rare):
    X, y = rare
    clf = ensemble(warm_start=True).fit(X, y)
    before, oof = clf.predict_proba(X), clf.oof_proba_
    clf.set_params(learning_rate=1e30)
    with pytest.raises(FloatingPointError):
        clf.fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    np.testing.assert_array_equal(clf.oof_proba_, oof)


@pytest.mark.parametrize("where", ["batch", "epoch"])
def test_interrupt_keeps_the_best_so_far(where, rare, interrupt):
    clf = ensemble(max_epochs=20, callbacks=[interrupt[where](2)])
    with pytest.raises(KeyboardInterrupt, match="ended in epoch 2"):
        clf.fit(*rare)
    assert clf.oof_proba_.shape == (600, 2)


def test_coefficients_need_a_single_network(rare):
    clf = ensemble(module="linear").fit(*rare)
    assert isinstance(clf.module_.members[0], LinearModel)
    with pytest.raises(AttributeError, match="n_members=1 only"):
        _ = clf.coef_


class IgnoresMembers(nn.Linear):
    def __init__(self, in_features, out_features, n_members):
        super().__init__(in_features, out_features)


def test_wrong_native_modules_are_named(rare):
    with pytest.raises(ValueError, match=r"IgnoresMembers must give logits .* 3, 2\)"):
        ensemble(module=IgnoresMembers).fit(*rare)
    with pytest.raises(ValueError, match="net__iterator_train"):
        ensemble(net__iterator_train=DataLoader).fit(*rare)
    with pytest.raises(ValueError, match="module__n_members is no parameter"):
        ensemble(module=Batched, module__n_members=4).fit(*rare)


class FoldReader(nn.Module):
    """Takes the folds in its first look."""

    folds = None

    def __init__(self, in_features, out_features, n_members):
        super().__init__()
        self.inner = Batched(in_features, out_features, n_members)

    def forward(self, x):
        return self.inner(x)

    def initialize_from(self, X, y, sample_weight, folds=None):
        type(self).folds = folds
        assert len(X) == len(y) == len(sample_weight)


def test_native_module_is_told_the_folds(rare):
    X, y = rare
    weight = np.arange(600) % 3
    clf = ensemble(module=FoldReader).fit(X, y, sample_weight=weight)
    assert len(FoldReader.folds) == 400
    np.testing.assert_array_equal(FoldReader.folds, clf.folds_[weight > 0])
    ensemble(module=FoldReader, early_stopping=False).fit(X, y)
    assert FoldReader.folds is None


# -- parts ---------------------------------------------------------------------------


def test_members_module_takes_shared_rows_and_own_ones():
    members = Members(4, 3, module=MLP, n_members=2, hidden_sizes=(5,))
    x = torch.randn(7, 2, 4)
    own = members(x)
    assert own.shape == (7, 2, 3)
    for j in range(2):
        alone = members.members[j](x[:, j])  # logits of one member
        torch.testing.assert_close(own[:, j, None], alone)
        torch.testing.assert_close(members(x[:, j])[:, j], own[:, j])
    torch.testing.assert_close(members.body(members.prepare(x)), own)


def test_members_of_modules_without_parts():
    members = Members(4, 3, module=nn.Linear, n_members=2)
    x = torch.randn(7, 4)
    assert members.prepare(x) is x
    torch.testing.assert_close(members.body(x), members(x))


def test_fold_rows_come_in_order(rng, place):
    folds = rng.permutation(np.arange(11) % 4)
    X = np.arange(22.0).reshape(11, 2)
    held_out = HeldOut(Rows(X, np.zeros(11, int)), folds)
    feed = FoldFeed(held_out, place, np.ones((4, 1)), phase_shifts=None)
    parts = torch.cat(list(feed.parts(5)))
    assert parts.shape == (3, 4, 2)
    torch.testing.assert_close(feed.in_order(parts), torch.from_numpy(X).float())


def test_out_of_fold_rows_are_shifted_by_member():
    log_posterior = np.log(np.full((3, 2), 0.5))
    others = np.log(np.array([[[0.5, 0.5], [0.2, 0.8]]]))
    oof = OutOfFold(log_posterior, np.array([0, 1, 0]), np.array([0, 2, 3]), others)
    even, few = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    calibration = Calibration.unfitted(even, np.stack([even, few]))
    p = np.exp(oof.log_proba(calibration, even))[:, 1]
    np.testing.assert_allclose(p, [0.5, (0.5 + 2.4 / 2.6) / 2, 0.75, 0.5])
    assert oof.member_of_rows.tolist() == [0, -1, 1, 0]


def test_compiled_members_predict_the_same(rare):
    X, y = rare
    params = {"max_epochs": 2, "net__compile__backend": "eager"}
    plain = ensemble(max_epochs=2).fit(X, y)
    compiled = ensemble(compile=True, **params).fit(X, y)
    np.testing.assert_allclose(compiled.oof_proba_, plain.oof_proba_, atol=1e-5)

"""Neighbours of rows: their evidence, what it is worth, and what it must not know."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import log_softmax
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits

from imbalnet import BalancedNeuralClassifier, neighbors
from imbalnet._fit import calibrate as calibration
from imbalnet.neighbors import Neighbors, fit_weight

SMALL = {
    "n_members": 3,
    "module__hidden_sizes": (8,),
    "max_epochs": 3,
    "random_state": 0,
}


@pytest.fixture
def table(rng):
    return rng.normal(size=(80, 3)), (np.arange(80) % 5 == 0).astype(np.int8)


@pytest.fixture(scope="module")
def spots():
    """Rare rows in tight spots all over the square, some of them more than once."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(-1, 1, size=(60, 2))
    rare = centres[rng.integers(0, 60, 300)] + rng.normal(size=(300, 2)) * 0.002
    X = np.concatenate([rng.uniform(-1, 1, size=(1500, 2)), rare])
    y = np.repeat([0, 1], [1500, 300])
    order = rng.permutation(1800)
    return X[order], y[order]


def classifier(**params):
    return BalancedNeuralClassifier(**{**SMALL, **params})


def built(X, y, weight=None, *, n_neighbors=4, folds=None):
    weight = np.ones(len(y)) if weight is None else weight
    prior = np.bincount(y, weight) / weight.sum()
    return Neighbors(X, y, weight, prior, n_neighbors, rng=0, folds=folds)


def brute_force(X, y, weight, points, own=None, folds=None):
    """Of rows with a quartile distance of 1 and a median of 0, in plain NumPy."""
    repeated = X.repeat(weight, axis=0)
    low, middle, high = np.quantile(
        repeated, [0.25, 0.5, 0.75], axis=0, method="inverted_cdf"
    )

    def place(rows):
        z = (rows - middle) / (high - low)
        far = np.maximum(np.abs(z), 3) / 3
        return np.clip(z, -3, 3) + np.sign(z) * 3 * np.log(far)

    deviation = np.maximum(place(X).std(axis=0), 0.5)

    def coordinates(rows):
        return (place(rows) / deviation).astype(np.float32).astype(float)

    def between(points, own):
        apart = coordinates(X) - coordinates(points)[:, None]
        distance = np.linalg.norm(apart, axis=-1)
        if own is not None:
            distance[np.arange(len(points)), own] = np.inf
            if folds is not None:
                distance[folds[own][:, None] == folds] = np.inf
        return distance

    usual = np.median(np.sort(between(X, np.arange(len(X))), axis=1)[:, 3])
    prior = np.bincount(y, weight) / weight.sum()
    evidence = []
    for row in between(points, own):
        near = np.argsort(row)[:4]
        kernel = weight[near] / weight.mean() * (usual / row[near]) ** 2
        votes = np.bincount(y[near], kernel, 2) + 4 * prior
        evidence.append(np.log(votes / votes.sum() / prior))
    return np.array(evidence)


# -- evidence ------------------------------------------------------------------------


def test_evidence_is_the_share_of_votes_against_the_prior(table, rng):
    X, y = table
    weight, points = rng.integers(1, 4, 80), 4 * rng.normal(size=(30, 3))
    found = built(X, y, weight)
    np.testing.assert_allclose(
        found.evidence(points), brute_force(X, y, weight, points), rtol=1e-5
    )
    np.testing.assert_allclose(
        found.evidence_within(X[10:30], np.arange(10, 30)),
        brute_force(X, y, weight, X[10:30], np.arange(10, 30)),
        rtol=1e-5,
    )


def test_rows_of_a_fold_do_not_vote_for_each_other(table, rng):
    X, y = table
    weight, folds = rng.integers(1, 4, 80), rng.integers(0, 4, 80)
    X[folds == 2] += 5.0  # whose nearest rows are of their own fold
    found = built(X, y, weight, folds=folds)
    own = rng.permutation(80)[:30]
    np.testing.assert_allclose(
        found.evidence_within(X[own], own, folds),
        brute_force(X, y, weight, X[own], own, folds),
        rtol=1e-5,
    )


def test_rows_of_no_fold_lack_their_own_vote_alone(table):
    X, y = table
    found, folds = built(X, y), np.full(80, -1)
    np.testing.assert_array_equal(
        found.evidence_within(X, folds=folds), found.evidence_within(X)
    )


def test_a_fold_of_nearly_all_rows_has_few_neighbours(table):
    """Two rows outside vote for it; where there are none, nothing speaks."""
    X, y = table
    found, folds = built(X, y), np.zeros(80, dtype=int)
    np.testing.assert_array_equal(found.evidence_within(X, folds=folds), 0.0)
    folds[:2] = 1
    assert np.isfinite(found.evidence_within(X, folds=folds)).all()
    built(X, y, folds=folds)


@pytest.mark.parametrize("most_kept", [40, 1000])
def test_a_rows_own_label_does_not_reach_its_evidence(most_kept, table, monkeypatch):
    """Nor that of a row that stands there many times."""
    monkeypatch.setattr(neighbors, "_MOST_KEPT", most_kept)
    X, y = table
    X[60:72] = X[60]
    prior = np.array([0.8, 0.2])

    def evidence(labels):
        found = Neighbors(X, labels, np.ones(80), prior, 4, rng=0)
        return found.evidence_within(X)

    before = evidence(y)
    for i in range(0, 80, 3):
        changed = y.copy()
        changed[i] = 1 - y[i]
        np.testing.assert_array_equal(evidence(changed)[i], before[i])


def test_the_nearest_of_equal_rows_decide(table):
    """Rows that stand there already, under one label."""
    X, y = table
    X[:3], y[:3] = X[0], 1
    found = built(X, y)
    assert np.diff(found.evidence(X[:1]))[0] > 9
    assert np.isfinite(found.evidence(X)).all()
    X[:] = X[0]
    assert np.isfinite(built(X, y).evidence(X)).all()


def test_a_rows_evidence_does_not_depend_on_its_company(rng):
    X, y = rng.normal(size=(300, 40)), rng.integers(0, 2, 300)
    found, points = built(X, y), rng.normal(size=(70, 40))
    together = found.evidence(points)
    alone = np.concatenate([found.evidence(point[None]) for point in points])
    np.testing.assert_array_equal(together, alone)


def test_gaps_outliers_and_categories_have_a_place(rng):
    codes = rng.integers(0, 3, 200).astype(float)
    y = (codes == 1).astype(np.int8)
    X = np.column_stack([rng.normal(size=200), codes])
    X[::7, 0], X[3, 0] = np.nan, 1e30
    prior = np.bincount(y) / 200
    found = Neighbors(X, y, np.ones(200), prior, 4, n_categories=[0, 5])
    evidence = found.evidence(X)
    assert np.isfinite(evidence).all()
    assert (evidence.argmax(axis=1) == y).mean() > 0.95


def test_a_class_without_rows_has_no_evidence(table):
    X, y = table
    found = Neighbors(X, y, np.ones(80), np.array([0.8, 0.2, 0.0]), 4)
    assert (found.evidence(X)[:, 2] == 0).all()


def test_rows_of_weight_zero_take_no_place_among_neighbours(table, rng):
    X, y = table
    weight = rng.integers(0, 3, 80)
    used = weight > 0
    found, other = built(X, y, weight), built(X[used], y[used], weight[used])
    np.testing.assert_array_equal(found.evidence(X), other.evidence(X))
    np.testing.assert_array_equal(
        found.evidence_within(X)[used], other.evidence_within(X[used])
    )
    with pytest.raises(ValueError, match="1 rows of a weight above 0"):
        Neighbors(X, y, np.arange(80) == 3, np.array([0.8, 0.2]), 4)


def test_samples_are_those_of_their_seed(table, monkeypatch):
    monkeypatch.setattr(neighbors, "_MOST_KEPT", 40)
    X, y = table
    one, two, other = (
        Neighbors(X, y, np.ones(80), np.array([0.8, 0.2]), 4, rng=seed).kept
        for seed in (0, np.random.default_rng(0), 1)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    assert len(one) == 40


# -- the weight ----------------------------------------------------------------------


def drawn(rng, n_rows=3000):
    """Rows whose log odds are the sum of what two sources say."""
    one, two = rng.normal(size=(2, n_rows, 1))
    odds = np.concatenate([np.zeros((n_rows, 1)), one + two], axis=1)
    y = (rng.random(n_rows) < 1 / (1 + np.exp(-odds[:, 1]))).astype(int)
    zeros = np.zeros((n_rows, 1))
    return log_softmax(np.hstack([zeros, one]), axis=1), np.hstack([zeros, two]), y


def test_weight_of_the_evidence_that_is_missing_is_one(rng):
    log_posterior, evidence, y = drawn(rng)
    assert fit_weight(log_posterior, evidence, y, np.ones(3000)) == pytest.approx(
        1, abs=0.1
    )
    half = fit_weight(log_posterior, 2 * evidence, y, np.ones(3000))
    assert half == pytest.approx(0.5, abs=0.05)


def test_evidence_that_gains_little_has_no_weight(rng):
    log_posterior, evidence, y = drawn(rng)
    noise = rng.permutation(evidence)
    assert fit_weight(log_posterior, noise, y, np.ones(3000)) == 0
    few = slice(0, 10)
    assert fit_weight(log_posterior[few], evidence[few], y[few], np.ones(10)) == 0
    weight = np.where(np.arange(3000) < 10, 1.0, 1e-9)  # as few in effect
    assert fit_weight(log_posterior, evidence, y, weight) == 0


# -- the estimator -------------------------------------------------------------------


def test_neighbours_find_what_the_network_is_too_smooth_for(spots):
    X, y = spots
    train, test = slice(0, 1200), slice(1200, None)
    clf = classifier().fit(X[train], y[train])
    alone = classifier(n_neighbors=0).fit(X[train], y[train])
    assert clf.neighbor_weight_ > 0.1
    assert alone.neighbor_weight_ == 0
    for name in ("predict_proba", "oof"):
        with_them, without = (
            average_precision_score(y[train], each.oof_proba_[:, 1])
            if name == "oof"
            else average_precision_score(y[test], each.predict_proba(X[test])[:, 1])
            for each in (clf, alone)
        )
        assert with_them > without + 0.2


@pytest.mark.parametrize("target", ["train", "uniform"])
def test_probabilities_are_the_networks_and_the_evidence(target, spots):
    X, y = spots
    clf = classifier(target_prior=target, class_weight="balanced").fit(X, y)
    evidence = clf.neighbor_weight_ * clf.calibration_.neighbors.evidence(
        X[:50].astype(np.float32)
    )
    p = clf.predict_proba(X[:50])
    clf.calibration_.neighbors.weight[:] = 0  # neighbours without a say
    alone = np.log(clf.predict_proba(X[:50]))
    expected = log_softmax(alone + evidence, axis=1)
    np.testing.assert_allclose(p, np.exp(expected), rtol=1e-6)


def test_rows_of_weight_zero_are_predicted_like_new_ones(spots):
    X, y = spots
    weight = (np.arange(len(y)) % 3 > 0).astype(float)
    clf = classifier().fit(X, y, sample_weight=weight)
    assert clf.neighbor_weight_ > 0
    others = clf.predict_proba(X[weight == 0])
    np.testing.assert_allclose(clf.oof_proba_[weight == 0], others, rtol=1e-4)


def test_neighbours_are_the_rows_behind_no_sampler(spots):
    """Counted as they came, under the data's own class distribution."""
    X, y = spots
    clf = classifier(sampler="undersample", target_prior="train").fit(X, y)
    assert len(clf.calibration_.neighbors.kept) == len(y)
    assert clf.oof_proba_[:, 1].mean() == pytest.approx(y.mean(), abs=0.02)


def test_noise_has_no_neighbours(rng):
    X, y = rng.normal(size=(500, 4)), np.arange(500) % 8 == 0
    clf = classifier().fit(X, y)
    assert clf.neighbor_weight_ == 0
    assert clf.calibration_.neighbors is None  # which would be kept in a pickle


def test_frames_with_categories_and_gaps_have_neighbours(spots):
    X, y = spots
    frame = pd.DataFrame(X, columns=["a", "b"])
    frame["kind"] = pd.Categorical(np.where(np.arange(len(y)) % 2, "x", "y"))
    frame.loc[::50, "a"] = np.nan
    clf = classifier().fit(frame, y)
    assert clf.neighbor_weight_ > 0
    assert np.isfinite(clf.predict_proba(frame[:10])).all()


def test_fits_and_pickles_agree(spots):
    X, y = spots
    clf, other = classifier().fit(X, y), classifier().fit(X, y)
    back = pickle.loads(pickle.dumps(clf))
    for same in (other, back):
        np.testing.assert_array_equal(clf.predict_proba(X), same.predict_proba(X))
        np.testing.assert_array_equal(clf.oof_proba_, same.oof_proba_)


def test_partial_fit_keeps_the_neighbours(spots):
    X, y = spots
    clf = classifier().fit(X, y)
    before = clf.neighbor_weight_
    assert clf.partial_fit(X[:100], y[:100]).neighbor_weight_ == before
    assert np.isfinite(clf.predict_proba(X[:10])).all()


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"n_members": 1}, "no row is held out"),
        ({"early_stopping": False}, "no row is held out"),
        ({"loss": "average_precision"}, "no calibrated posterior"),
    ],
)
def test_neighbours_that_nothing_can_weigh_are_an_error(params, reason, table):
    clf = classifier(n_neighbors=3, **params)
    with pytest.raises(ValueError, match=f"n_neighbors=3 has its weight.*{reason}"):
        clf.fit(*table)


def test_sparse_tables_have_the_same_neighbours(table, monkeypatch):
    monkeypatch.setattr(neighbors, "_BLOCK_VALUES", 100)
    X, y = table
    X[X < 0.5] = 0
    csr = sparse.csr_array(X)
    one, two = built(X, y), built(csr, y)
    np.testing.assert_array_equal(one.evidence(X), two.evidence(csr))
    np.testing.assert_array_equal(one.evidence_within(X), two.evidence_within(csr))


def test_large_tables_have_neighbours_on_demand_alone(spots, monkeypatch):
    monkeypatch.setattr("imbalnet._fit.options.held_out._NEIGHBOR_ROWS", 1000)
    assert classifier().fit(*spots).neighbor_weight_ == 0
    assert classifier(n_neighbors=4).fit(*spots).neighbor_weight_ > 0


def test_ties_do_not_depend_on_threads_or_company():
    """Of flags, many rows are equally far."""
    rng = np.random.default_rng(1)
    X = (rng.random((6000, 20)) < 0.15).astype(np.float32)
    odds = X[:, :3].sum(axis=1) + rng.normal(0, 0.7, 6000) > 1
    y = (odds ^ (X[:, 3:9].sum(axis=1) % 2 == 1)).astype(int)
    found = built(X, y)
    with threadpool_limits(2):
        together = found.evidence(X)
        for n_rows in (10, 300, 2000):
            some = found.evidence(X[:n_rows])
            np.testing.assert_array_equal(some, together[:n_rows])


def test_many_classes_and_rows_are_looked_up_in_blocks(rng, monkeypatch):
    X, y = rng.normal(size=(300, 2)), rng.integers(0, 50, 300)
    found, points = built(X, y), rng.normal(size=(500, 2))
    at_once = found.evidence(points)
    monkeypatch.setattr(neighbors, "_BLOCK_VALUES", 4 * 50 * 7)
    sizes, find = [], found.search.find
    monkeypatch.setattr(
        found.search,
        "find",
        lambda points, *args: sizes.append(len(points)) or find(points, *args),
    )
    np.testing.assert_array_equal(found.evidence(points), at_once)
    assert sizes == [7] * 71 + [3]


def test_partial_fit_takes_a_number_of_neighbours(spots):
    X, y = spots
    clf = classifier(n_neighbors=4).fit(X, y)
    before = clf.neighbor_weight_
    assert clf.partial_fit(X, y).neighbor_weight_ == before > 0
    fresh = classifier(n_neighbors=4).partial_fit(X, y, classes=[0, 1])
    assert fresh.neighbor_weight_ == 0


def test_levels_count_as_columns(rng, monkeypatch):
    monkeypatch.setattr("imbalnet._fit.options.held_out._NEIGHBOR_COLUMNS", 10)
    spot = rng.integers(0, 12, size=600)
    frame = pd.DataFrame({"spot": pd.Categorical(spot), "x": rng.normal(size=600)})
    y = (spot % 2 == 1).astype(int)
    asked = []

    def recorded(*args, **kwargs):
        asked.append(args)
        return Neighbors(*args, **kwargs)

    monkeypatch.setattr(calibration, "Neighbors", recorded)
    classifier(max_epochs=1).fit(frame, y)
    assert not asked
    classifier(max_epochs=1, n_neighbors=4).fit(frame, y)
    assert asked

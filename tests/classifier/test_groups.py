"""Rows that belong together, from ``fit`` to out-of-fold probabilities."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier

SMALL = {"module__hidden_sizes": (8,), "max_epochs": 3, "random_state": 0}

small = partial(BalancedNeuralClassifier, n_members=4, **SMALL)
single = partial(BalancedNeuralClassifier, "mlp", early_stopping=True, **SMALL)


@pytest.fixture(scope="module")
def patients():
    """120 patients of 5 rows, one in five positive, whatever the columns say."""
    rng = np.random.default_rng(0)
    patient = rng.permutation(np.repeat(np.arange(120), 5))
    y = (rng.permutation(120) < 24).astype(int)[patient]
    return rng.normal(size=(600, 4)), y, patient


@pytest.fixture
def hears(monkeypatch):
    """Groups and labels of the rows of every fit."""
    heard = []
    fit = BalancedNeuralClassifier.fit

    def recording(self, X, y, *args, groups=None, **kwargs):
        heard.append((np.asarray(groups), len(y)))
        return fit(self, X, y, *args, groups=groups, **kwargs)

    monkeypatch.setattr(BalancedNeuralClassifier, "fit", recording)
    return heard


# -- what groups are for ---------------------------------------------------------------


@pytest.mark.parametrize("as_category", [False, True])
def test_a_column_of_the_group_scores_at_prevalence(as_category):
    """Also with neighbours, for which the group is as good as the class."""
    rng = np.random.default_rng(0)
    group = rng.permutation(np.repeat(np.arange(200), 6))
    y = (rng.permutation(200) < 40).astype(int)[group]
    X = pd.DataFrame({"group": group, "noise": rng.normal(size=1200)})
    if as_category:
        X["group"] = X["group"].astype("category")
    plain = BalancedNeuralClassifier(max_epochs=10, random_state=0).fit(X, y)
    grouped = clone(plain).fit(X, y, groups=group)
    assert average_precision_score(y, plain.oof_proba_[:, 1]) > 0.3
    found = average_precision_score(y, grouped.oof_proba_[:, 1])
    assert found == pytest.approx(0.2, abs=0.05)
    assert grouped.neighbor_weight_ == 0


def test_near_copies_with_random_labels_score_at_chance():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(150), 8)
    X = rng.normal(size=(150, 5))[group] + 0.01 * rng.normal(size=(1200, 5))
    y = (rng.permutation(150) < 20).astype(int)[group]
    plain = BalancedNeuralClassifier(max_epochs=8, random_state=0).fit(X, y)
    grouped = clone(plain).fit(X, y, groups=group)
    assert average_precision_score(y, plain.oof_proba_[:, 1]) > 0.9
    assert average_precision_score(y, grouped.oof_proba_[:, 1]) < 0.2  # of 0.13
    assert grouped.neighbor_weight_ == 0


def test_neighbours_of_other_groups_are_still_found():
    """Positives of 40 groups in one tight spot."""
    rng = np.random.default_rng(0)
    X, group = rng.uniform(-1, 1, size=(1600, 2)), np.repeat(np.arange(400), 4)
    y = np.zeros(1600, dtype=int)
    y[:160], X[:160] = 1, 0.3 + 0.01 * rng.normal(size=(160, 2))
    clf = small(n_neighbors=4).fit(X, y, groups=group)
    assert clf.neighbor_weight_ > 0
    assert average_precision_score(y, clf.oof_proba_[:, 1]) > 0.9


def test_folds_and_splits_keep_groups_together(patients):
    X, y, patient = patients
    named = np.array([f"patient {i}" for i in patient], dtype=object)
    clf = small().fit(X, y, groups=named)
    assert len(np.unique(np.column_stack([patient, clf.folds_]), axis=0)) == 120
    assert np.bincount(clf.folds_).tolist() == [150] * 4
    assert np.bincount(clf.folds_, y).tolist() == [30.0] * 4


def test_single_networks_validate_by_groups_of_their_own(patients, recorder):
    X, y, patient = patients
    X = np.column_stack([X, patient])
    single(callbacks=[recorder]).fit(X, y, groups=patient)
    train, valid = (
        {float(i) for batch in recorder.of(training=t) for i in batch.X[:, -1]}
        for t in (True, False)
    )
    assert (len(train), len(valid)) == (109, 11)
    assert not train & valid


def test_groups_of_one_row_change_nothing_that_matters(patients):
    X, y, _ = patients
    clf = small().fit(X, y, groups=np.arange(600))
    assert np.bincount(clf.folds_).tolist() == [150] * 4
    assert np.bincount(clf.folds_, y).tolist() == [30.0] * 4


def test_rows_without_weight_bring_no_groups(patients):
    X, y, patient = patients
    weight = (patient < 100).astype(float)
    clf = small().fit(X, y, weight, groups=patient)
    assert (clf.folds_[weight == 0] == -1).all()
    used = weight > 0
    alone = small().fit(X[used], y[used], groups=patient[used])
    np.testing.assert_array_equal(clf.folds_[used], alone.folds_)
    np.testing.assert_array_equal(clf.oof_proba_[used], alone.oof_proba_)


def test_folds_of_other_class_shares_keep_their_level():
    """Few groups: a member is not moved to a prior that its fold does not have."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(4), 100)
    X = rng.normal(size=(400, 2))
    y = (rng.random(400) < np.array([0.05, 0.1, 0.3, 0.5])[group]).astype(int)
    clf = small().fit(X, y, groups=group)
    assert not clf.calibration_.member_offsets.any()
    assert small().fit(X, y).calibration_.member_offsets.any()


# -- errors and warnings ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(599), r"groups must have a group for each row.*599 values for 600"),
        (np.where(np.arange(600) == 5, np.nan, 1.0), r"1 missing.*first in row 5"),
        ([None, *"ab" * 299, "a"], r"groups has 1 missing values \(the first in row 0"),
        (pd.array([pd.NA, *range(599)], dtype="Int64"), r"groups has 1 missing values"),
        (np.arange(600) % 3, r"3 groups, fewer than the n_members=4.*n_members=3"),
        (np.zeros(600), r"1 groups.*; set early_stopping=False"),
        (np.zeros((600, 2)), r"1d array"),
    ],
)
def test_groups_that_cannot_be_used_are_an_error(groups, message, patients):
    X, y, _ = patients
    clf = small()
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y, groups=groups)
    assert not hasattr(clf, "classes_")


def test_one_group_leaves_nothing_to_validate_by(patients):
    X, y, _ = patients
    with pytest.raises(ValueError, match=r"no class has two groups to split"):
        single().fit(X, y, groups=np.zeros(600))


def test_groups_of_any_hashable_labels(patients):
    X, y, patient = patients
    mixed = [int(i) if i % 2 else str(i) for i in patient]
    clf = small().fit(X, y, groups=mixed)
    assert len(np.unique(np.column_stack([patient, clf.folds_]), axis=0)) == 120


@pytest.mark.parametrize("make", [small, partial(single, monitor="loss")])
def test_a_class_of_one_group_is_named(make, patients):
    X, y, patient = patients
    y = np.where(patient == 7, "rare", np.where(y, "yes", "no"))
    with pytest.warns(UserWarning, match=r"\['rare'\].*a single group each"):
        make().fit(X, y, groups=patient)


@pytest.mark.parametrize(
    ("params", "given", "reason"),
    [
        ({"early_stopping": False}, False, "none are here"),
        ({"n_members": 1}, False, "none are here"),
        ({}, True, "X_val brings its own"),
    ],
)
def test_groups_without_a_split_are_of_no_use(params, given, reason, patients):
    X, y, patient = patients
    validation = {"X_val": X[:50], "y_val": y[:50]} if given else {}
    with pytest.warns(UserWarning, match=reason):
        with_groups = small(**params).fit(X, y, groups=patient, **validation)
    plain = small(**params).fit(X, y, **validation)
    np.testing.assert_array_equal(with_groups.predict_proba(X), plain.predict_proba(X))


# -- metadata routing ------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_routing_takes_groups_to_the_splitter_and_to_fit(patients, hears):
    X, y, patient = patients
    with config_context(enable_metadata_routing=True):
        clf = make_pipeline(StandardScaler(), small().set_fit_request(groups=True))
        result = cross_validate(
            clf, X, y, params={"groups": patient}, cv=GroupKFold(3), return_indices=True
        )
    folds = zip(result["indices"]["train"], hears, strict=True)
    for train, (groups, n_rows) in folds:
        np.testing.assert_array_equal(groups, patient[train])
        assert n_rows == 400


def test_routing_takes_groups_through_a_search(patients, hears):
    X, y, patient = patients
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            small(max_epochs=1).set_fit_request(groups=True),
            {"learning_rate": [1e-3, 1e-2]},
            cv=GroupKFold(2),
            scoring="average_precision",
        ).fit(X, y, groups=patient)
    assert [n_rows for _, n_rows in hears] == [300] * 4 + [600]
    folds = search.best_estimator_.folds_
    assert len(np.unique(np.column_stack([patient, folds]), axis=0)) == 120


def test_searches_without_routing_pass_groups_as_parameters_of_a_step(patients, hears):
    X, y, patient = patients
    clf = make_pipeline(StandardScaler(), small(max_epochs=1))
    search = GridSearchCV(clf, {}, cv=GroupKFold(2), refit=False)
    step = "balancedneuralclassifier__groups"
    search.fit(X, y, groups=patient, **{step: patient})
    for groups, n_rows in hears:
        assert len(groups) == n_rows == 300

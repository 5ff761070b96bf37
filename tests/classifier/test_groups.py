"""Rows that belong together, from ``fit`` to out-of-fold probabilities."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_oversampling
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    TimeSeriesSplit,
    cross_validate,
)
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


# -- copies ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def overlapping():
    """1,500 rows to train on and 10,000 to test by, one in twelve positive."""
    X, y = make_classification(
        11_500, 6, n_informative=4, weights=[0.92], class_sep=0.8, random_state=0
    )
    return X[:1500], y[:1500], X[1500:], y[1500:]


def test_oversampling_in_front_does_not_leak(overlapping):
    """Out-of-fold log loss is that of new rows under the resampled distribution."""
    X, y, X_test, y_test = overlapping
    clf = BalancedNeuralClassifier(max_epochs=10, random_state=0)
    pipeline = make_oversampling(RandomOverSampler(random_state=0), clf).fit(X, y)
    labels = RandomOverSampler(random_state=0).fit_resample(X, y)[1]
    copies = np.unique(
        np.column_stack([pipeline[0].sample_indices_, clf.folds_])[labels == 1], axis=0
    )
    assert len(copies) == y.sum()
    weight = np.where(y_test == 1, 0.5 / y_test.mean(), 0.5 / (1 - y_test.mean()))
    test = log_loss(y_test, pipeline.predict_proba(X_test), sample_weight=weight)
    assert log_loss(labels, clf.oof_proba_) == pytest.approx(test, rel=0.1)


def test_oversampling_in_front_of_a_single_network(overlapping, recorder):
    X, y, _, _ = overlapping
    X, y = RandomOverSampler(random_state=0).fit_resample(X, y)
    single(callbacks=[recorder]).fit(X, y)
    train, valid = (
        {tuple(row) for b in recorder.of(training=t) for row in b.X[b.y == 1].tolist()}
        for t in (True, False)
    )
    assert valid
    assert not train & valid


# -- ready folds and splits ------------------------------------------------------------


def test_ready_folds_are_those_of_the_members(patients):
    X, y, patient = patients
    numbers = patient % 5
    clf = BalancedNeuralClassifier(cv=PredefinedSplit(numbers), **SMALL).fit(X, y)
    np.testing.assert_array_equal(clf.folds_, numbers)
    assert clf.net_.n_members == 5
    given = [(numbers != j, numbers == j) for j in range(5)]
    again = BalancedNeuralClassifier(cv=given, **SMALL).fit(X, y)
    np.testing.assert_array_equal(again.oof_proba_, clf.oof_proba_)


def test_a_number_of_folds_is_that_of_the_members(patients):
    X, y, patient = patients
    by_number = BalancedNeuralClassifier(cv=3, **SMALL).fit(X, y, groups=patient)
    by_members = BalancedNeuralClassifier(n_members=3, **SMALL)
    by_members.fit(X, y, groups=patient)
    np.testing.assert_array_equal(by_number.oof_proba_, by_members.oof_proba_)
    single = BalancedNeuralClassifier("mlp", cv=2, **SMALL).fit(X, y)
    assert np.bincount(single.folds_).tolist() == [300, 300]


def test_networks_of_one_member_have_one_for_each_fold(patients):
    X, y, patient = patients
    clf = BalancedNeuralClassifier("mlp", cv=GroupKFold(3), **SMALL)
    clf.fit(X, y, groups=patient)
    assert clf.net_.n_members == 3
    assert len(np.unique(np.column_stack([patient, clf.folds_]), axis=0)) == 120


@pytest.mark.parametrize("module", ["auto", "linear"])
def test_rows_that_are_never_held_out_train_all_members(module, patients):
    """Their labels reach the members, and they have no out-of-fold prediction."""
    X, y, _ = patients
    numbers = np.where(np.arange(600) < 200, -1, np.arange(600) % 3)
    params = {"module": module, "cv": PredefinedSplit(numbers), "random_state": 0}
    params |= {"max_epochs": 2, "n_neighbors": 2 if module == "auto" else 0}
    clf = BalancedNeuralClassifier(**params).fit(X, y)
    np.testing.assert_array_equal(clf.folds_, numbers)
    held = numbers >= 0
    assert np.isnan(clf.oof_proba_[~held]).all()
    np.testing.assert_allclose(clf.oof_proba_[held].sum(axis=1), 1.0)
    changed = y.copy()
    changed[0] = 1 - y[0]
    other = clone(clf).fit(X, changed)
    for j in range(3):
        rows = numbers == j
        assert (other.oof_proba_[rows] != clf.oof_proba_[rows]).any()


def test_never_held_out_rows_beside_rows_without_weight(patients):
    X, y, _ = patients
    numbers = np.where(np.arange(600) < 200, -1, np.arange(600) % 3)
    weight = (np.arange(600) % 10 > 0).astype(float)
    clf = BalancedNeuralClassifier(cv=PredefinedSplit(numbers), **SMALL)
    clf.fit(X, y, weight)
    expected = np.where(weight > 0, numbers, -1)
    np.testing.assert_array_equal(clf.folds_, expected)
    is_nan = np.isnan(clf.oof_proba_).all(axis=1)
    np.testing.assert_array_equal(is_nan, (numbers < 0) & (weight > 0))
    unused = weight == 0
    np.testing.assert_allclose(
        clf.oof_proba_[unused], clf.predict_proba(X[unused]), rtol=1e-5
    )


def test_labels_of_a_ready_fold_do_not_reach_its_member(patients):
    """Its training rows, statistics and neighbours are those of other folds."""
    X, y, patient = patients
    is_held = patient % 3 == 1
    changed = y.copy()
    changed[is_held] = y[is_held][::-1]
    assert (changed != y).sum() > 30
    cv, of_member = PredefinedSplit(patient % 3), []
    for labels in (y, changed):
        clf = BalancedNeuralClassifier(cv=cv, calibrate=False, **SMALL)
        clf.set_params(max_epochs=1, monitor="loss").fit(X, labels)
        logits = clf.net_.predict_log_posterior(np.float32(X))
        of_member.append(logits[:, 1])
    np.testing.assert_array_equal(*of_member)


def test_time_ordered_splits_validate_by_the_last_rows(patients, recorder):
    """All members train on the first 450 rows."""
    X, y, _ = patients
    X = np.column_stack([X, np.arange(600)])
    clf = small(cv=TimeSeriesSplit(3), n_members=2, callbacks=[recorder]).fit(X, y)
    train, valid = (
        np.concatenate([b.X[..., -1].flatten() for b in recorder.of(training=t)])
        for t in (True, False)
    )
    assert train.max() == 449
    assert set(valid) == set(range(450, 600))
    np.testing.assert_allclose(clf.effective_prior_, np.bincount(y[:450]) / 450)
    np.testing.assert_allclose(clf.class_prior_, np.bincount(y) / 600)
    assert clf.neighbor_weight_ == 0
    with pytest.raises(AttributeError, match="oof_proba_ needs members"):
        clf.oof_proba_  # noqa: B018


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_members": 8}, r"cv=KFold.*has 3 folds.*n_members=8; set n_members=3"),
        ({"early_stopping": False}, r"cv=KFold.*early_stopping=False holds out none"),
        ({"module": "tabm"}, r"cv=KFold.*a single split.*by module__k"),
        ({"cv": 4, "n_members": 2}, r"cv=4 has 4 folds.*n_members=2; set n_members=4"),
    ],
)
def test_splits_that_others_contradict_are_an_error(params, message, patients):
    X, y, _ = patients
    clf = BalancedNeuralClassifier(**{"cv": KFold(3), **params})
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y)


def test_splits_and_validation_rows_are_an_error(patients):
    X, y, _ = patients
    with pytest.raises(ValueError, match="X_val brings validation rows"):
        BalancedNeuralClassifier(cv=KFold(3)).fit(X, y, X_val=X, y_val=y)


def test_partial_fit_holds_out_nothing(patients):
    X, y, _ = patients
    ready = BalancedNeuralClassifier("mlp", cv=[(range(500), range(500, 600))], **SMALL)
    plain = BalancedNeuralClassifier("mlp", **SMALL)
    for clf in (ready, plain):
        clf.partial_fit(X, y, classes=[0, 1])
    np.testing.assert_array_equal(ready.predict_proba(X), plain.predict_proba(X))


def test_splits_repeat_and_survive_clones_and_warm_starts(patients):
    X, y, patient = patients
    clf = BalancedNeuralClassifier(cv=GroupKFold(3), warm_start=True, **SMALL)
    clf.fit(X, y, groups=patient)
    again = clone(clf).fit(X, y, groups=patient)
    np.testing.assert_array_equal(clf.oof_proba_, again.oof_proba_)
    clf.fit(X, y, groups=patient)
    assert clf.n_iter_ == 6
    assert clf.oof_proba_.shape == (600, 2)


# -- errors and warnings ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            np.arange(599),
            r"groups must be 1d.*599 values for 600",
        ),
        (np.where(np.arange(600) == 5, np.nan, 1.0), r"1 missing.*first in row 5"),
        ([None, *"ab" * 299, "a"], r"groups has 1 missing values \(the first in row 0"),
        (pd.array([pd.NA, *range(599)], dtype="Int64"), r"groups has 1 missing values"),
        (np.arange(600) % 3, r"3 groups, fewer than the n_members=4.*n_members=3"),
        (np.zeros(600), r"1 groups.*; set early_stopping=False"),
        (np.zeros((600, 2)), r"groups must be 1d.*shape \(600, 2\)"),
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

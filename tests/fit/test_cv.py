"""From scikit-learn's splitters to folds, or to one split."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from imbalnet._fit.cv import read_splits
from imbalnet._tables import Rows

CLASSES = np.array(["no", "yes"])


@pytest.fixture
def rows(rng):
    """60 of 70 rows have weight; ten groups of six."""
    codes = rng.permutation(np.repeat([0, 1], [50, 20])).astype(np.uint8)
    groups = np.arange(70) // 7
    index = np.sort(rng.permutation(70)[:60])
    return Rows(rng.normal(size=(70, 2)), codes, None, index, groups=groups)


@pytest.fixture
def ungrouped(rows):
    return Rows(rows.X, rows.codes, None, rows.index)


@pytest.mark.parametrize("cv", [KFold(4), StratifiedKFold(4, shuffle=True)])
def test_partitions_are_folds_of_the_used_rows(cv, ungrouped):
    splits = read_splits(cv, ungrouped, CLASSES)
    assert splits.last is None
    assert splits.n_members == 4
    assert np.bincount(splits.folds).tolist() == [15, 15, 15, 15]


@pytest.mark.parametrize(
    ("cv", "n_members"),
    [(GroupKFold(3), 3), (StratifiedGroupKFold(4), 4), (LeaveOneGroupOut(), 10)],
)
def test_splitters_by_groups_receive_them(cv, n_members, rows):
    splits = read_splits(cv, rows, CLASSES)
    assert splits.n_members == n_members
    pairs = np.column_stack([rows.of(rows.groups), splits.folds])
    assert len(np.unique(pairs, axis=0)) == 10


def test_fold_numbers_are_those_of_the_given_rows(ungrouped, rng):
    """Also of those that are never held out."""
    numbers = rng.integers(-1, 3, 70)
    folds = read_splits(PredefinedSplit(numbers), ungrouped, CLASSES).folds
    np.testing.assert_array_equal(folds, numbers[ungrouped.index])


def test_pairs_of_positions_and_masks(ungrouped):
    test = np.arange(70) < 30
    for pairs in ([(~test, test)], [(np.arange(30, 70).tolist(), range(30))]):
        train, valid = read_splits(pairs, ungrouped, CLASSES).last
        np.testing.assert_array_equal(train, np.flatnonzero(ungrouped.index >= 30))
        np.testing.assert_array_equal(valid, np.flatnonzero(ungrouped.index < 30))
    halves = [(np.flatnonzero(~test), np.flatnonzero(test))]
    halves.append(halves[0][::-1])
    folds = read_splits(iter(halves), ungrouped, CLASSES).folds
    np.testing.assert_array_equal(folds, ungrouped.index >= 30)


def test_single_splits_are_for_all_members(ungrouped, rows):
    train, valid = read_splits(ShuffleSplit(1, test_size=12), ungrouped, CLASSES).last
    assert sorted([*train, *valid]) == list(range(60))
    assert len(valid) == 12
    splits = read_splits(GroupShuffleSplit(1, test_size=3), rows, CLASSES)
    train, valid = (set(rows.of(rows.groups)[part]) for part in splits.last)
    assert (len(train), len(valid)) == (7, 3)


@pytest.mark.parametrize("gap", [0, 4])
def test_the_last_split_of_a_time_series_counts(gap, ungrouped):
    cv = TimeSeriesSplit(5, gap=gap)
    train, valid = read_splits(cv, ungrouped, CLASSES).last
    np.testing.assert_array_equal(train, np.arange(50 - gap))
    np.testing.assert_array_equal(valid, np.arange(50, 60))


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (GroupKFold(2), r"cv=GroupKFold.*'groups'.*needs fit\(groups=\)"),
        (KFold(80), r"cv=KFold.*cannot split the 60 rows.*80"),
        (ShuffleSplit(3, random_state=0), r"row \d+ out in the splits \d and \d"),
        (RepeatedStratifiedKFold(), r"holds row \d+ out in the splits \d and 5"),
        (PredefinedSplit([0, 1]), "has 2 rows, but X has 70"),
        (PredefinedSplit([-1] * 70), r"there are none"),
        (np.arange(70) % 3, r"cv \(a ndarray\) must be.*PredefinedSplit"),
        ([], r"cv \(a list\) must be a splitter.*there are none"),
        ([([0.5], [1])], "dtype float64"),
        ([(range(69), [70])], "there is no row 70"),
        ([(range(5), range(5, 5))], "no test rows in split 0"),
        ([(range(50), range(49, 70))], "row 49 in both parts of split 0"),
        (
            [(range(30), range(31, 70)), (range(31, 70), range(30))],
            "row 30 in neither part of split 0",
        ),
    ],
)
def test_splits_that_cannot_be_used_are_an_error(cv, message, ungrouped):
    full = Rows(ungrouped.X, ungrouped.codes)
    rows = ungrouped if hasattr(cv, "split") else full
    with pytest.raises(ValueError, match=message):
        read_splits(cv, rows, CLASSES)


def test_a_training_part_without_a_class_is_an_error(ungrouped):
    rows = Rows(ungrouped.X, np.sort(ungrouped.codes))
    with pytest.raises(ValueError, match=r"no training row of the classes \['yes'\]"):
        read_splits(TimeSeriesSplit(2), rows, CLASSES)


def test_ready_splits_say_that_groups_have_no_effect(rows):
    with pytest.warns(UserWarning, match="groups has no effect on the folds"):
        read_splits(PredefinedSplit(np.arange(70) % 3), rows, CLASSES)

"""The validation split."""

from __future__ import annotations

import numpy as np
import pytest

from imbalnet._fit.specs import Validation
from imbalnet._fit.split import split_off, stratified_folds, stratified_split
from imbalnet._tables import Rows


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_split_is_a_partition_in_the_datas_shares(fraction, rng):
    codes = rng.permutation(np.repeat([0, 1, 2], [900, 80, 20]))
    train, valid, unsplit = stratified_split(codes, fraction, rng)
    assert sorted([*train, *valid]) == list(range(1000))
    assert np.bincount(codes[valid]).tolist() == [
        round(n * fraction) for n in (900, 80, 20)
    ]
    assert len(unsplit) == 0


def test_split_leaves_a_row_of_each_class_on_either_side(rng):
    codes = np.repeat([0, 1, 2, 3], [1000, 3, 2, 1])
    train, valid, unsplit = stratified_split(codes, 0.1, rng)
    assert set(codes[train]) == {0, 1, 2, 3}
    assert set(codes[valid]) == {0, 1, 2}
    assert unsplit.tolist() == [3]


def test_split_repeats_with_its_seed_only():
    codes = np.repeat([0, 1], [100, 20])
    one, two, other = (
        stratified_split(codes, 0.2, np.random.default_rng(seed))[1]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("n_folds", [2, 3, 8])
def test_folds_are_alike_in_size_and_classes(n_folds, rng):
    codes = rng.permutation(np.repeat([0, 1, 2, 3], [100, 21, 5, 1]))
    folds = stratified_folds(codes, n_folds, rng)
    for rows in (folds, *(folds[codes == c] for c in range(4))):
        sizes = np.bincount(rows, minlength=n_folds)
        assert sizes.max() - sizes.min() <= 1
    again = stratified_folds(codes, n_folds, np.random.default_rng(1))
    assert not np.array_equal(folds, again)


def test_more_folds_than_rows_leave_some_empty(rng):
    folds = stratified_folds(np.array([0, 1, 0]), 8, rng)
    assert sorted(folds) == [0, 1, 2]


# -- what leaves before training -----------------------------------------------------

CLASSES = np.array(["a", "b"])
ALL = np.ones((4, 2), dtype=bool)  # members that have seen both classes


@pytest.fixture
def rows(rng):
    """90 rows of a table of 100, one in ten of class 1."""
    index = rng.permutation(100)[:90]
    return Rows(rng.normal(size=(100, 2)), np.arange(100) % 10 == 3, None, index)


def held_out_of(rows, kind, *, given=None, n_members=1, seed=0):
    validation = Validation(
        kind, 0.2, monitor=None, patience=1, calibrate=False, n_neighbors=0
    )
    return split_off(rows, given, validation, n_members, CLASSES, seed)


def test_split_parts_share_the_table_and_no_row(rows):
    train, held_out = held_out_of(rows, "split")
    assert held_out.folds is None
    assert train.X is held_out.rows.X is rows.X
    together = [*train.index, *held_out.rows.index]
    np.testing.assert_array_equal(np.sort(together), np.sort(rows.index))
    n_rows = np.bincount(rows.of(rows.codes))
    assert held_out.counts(ALL).tolist() == [round(n * 0.2) for n in n_rows]


def test_folds_hold_out_every_row_once(rows):
    train, held_out = held_out_of(rows, "folds", n_members=4)
    assert train is held_out.rows is rows
    assert sorted(np.bincount(held_out.folds)) == [22, 22, 23, 23]
    assert held_out.counts(ALL).tolist() == np.bincount(rows.of(rows.codes)).tolist()


def test_rows_judge_only_members_that_know_their_class(rows):
    _, held_out = held_out_of(rows, "folds", n_members=4)
    codes = rows.of(rows.codes)
    seen = np.array([[True, True], [True, False], [True, True], [True, True]])
    is_known = held_out.known(seen)
    np.testing.assert_array_equal(is_known, (held_out.folds != 1) | ~codes)
    expected = np.bincount(codes[is_known])
    np.testing.assert_array_equal(held_out.counts(seen), expected)


def test_given_rows_are_held_out_and_all_others_trained_on(rows):
    given = Rows(rows.X, rows.codes)
    train, held_out = held_out_of(rows, "given", given=given, n_members=4)
    assert train is rows
    assert held_out.rows is given
    assert held_out.folds is None


def test_nothing_is_held_out_unless_asked_for(rows):
    assert held_out_of(rows, "none", n_members=4) == (rows, None)


@pytest.mark.parametrize("kind", ["split", "folds"])
def test_what_leaves_repeats_with_its_seed_only(kind, rows):
    one, two, other = (
        held_out_of(rows, kind, n_members=4, seed=seed)[1] for seed in (0, 0, 1)
    )
    for a, b, is_same in [(one, two, True), (one, other, False)]:
        assert np.array_equal(a.rows.index, b.rows.index) == (
            is_same or kind != "split"
        )
        assert np.array_equal(a.folds, b.folds) == (is_same or kind != "folds")


def test_classes_of_one_row_stay_in_training(rows):
    alone = Rows(rows.X, np.arange(100) == 7)
    train, held_out = held_out_of(alone, "split")
    assert 7 in train.index
    assert held_out.counts(ALL).tolist() == [20, 0]


def test_split_of_single_rows_is_an_error(rows):
    two = Rows(rows.X[:2], np.array([0, 1]))
    with pytest.raises(
        ValueError, match=r"no class has two rows.*early_stopping=False"
    ):
        held_out_of(two, "split")

"""The validation split."""

from __future__ import annotations

import numpy as np
import pytest

from imbalnet._fit.split import stratified_folds, stratified_split


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

"""Folds and splits of whole groups."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from imbalnet._fit.groups import classes_of_one_group, grouped_folds, grouped_split


def grouped(rng, kind):
    """Class codes and groups: of even sizes, of very different ones, of one row."""
    n_groups = 200
    sizes = {
        "even": np.full(n_groups, 8),
        "uneven": np.minimum(1 + rng.pareto(1.5, n_groups).astype(int), 60),
        "single": np.ones(n_groups, dtype=int),
    }[kind]
    groups = rng.permutation(np.repeat(np.arange(n_groups) * 3, sizes))
    share = rng.beta(0.5, 4, size=3 * n_groups)
    return (rng.random(len(groups)) < share[groups]).astype(np.uint8), groups


def fold_counts(codes, folds, n_folds):
    place = folds.astype(int) * 2 + codes
    return np.bincount(place, minlength=2 * n_folds).reshape(n_folds, 2)


def unevenness(codes, folds, n_folds):
    return fold_counts(codes, folds, n_folds).std(axis=0)


@pytest.mark.parametrize("kind", ["even", "uneven", "single"])
def test_folds_keep_groups_whole_and_are_stratified(kind, rng):
    """At least as well as scikit-learn's, which compares all classes."""
    codes, groups = grouped(rng, kind)
    folds = grouped_folds(codes, groups, 5, rng)
    pairs = np.unique(np.column_stack([groups, folds]), axis=0)
    assert len(pairs) == len(np.unique(groups))
    theirs = np.empty(len(codes), dtype=int)
    splits = StratifiedGroupKFold(5).split(codes, codes, groups)
    for j, (_, test) in enumerate(splits):
        theirs[test] = j
    allowed = np.maximum(unevenness(codes, theirs, 5), 1.0)
    assert (unevenness(codes, folds, 5) <= allowed).all()


def test_every_fold_has_each_class_where_groups_allow_it(rng):
    """Four groups hold a positive each, one of them most of the rows."""
    groups = np.repeat(np.arange(12), [60, 5, 5, 5, 3, 3, 3, 3, 2, 2, 2, 2])
    codes = np.zeros(len(groups), dtype=int)
    codes[[0, 60, 65, 70]] = 1
    for _ in range(5):
        folds = grouped_folds(codes, groups, 4, rng)
        assert fold_counts(codes, folds, 4)[:, 1].tolist() == [1, 1, 1, 1]


def test_more_folds_than_groups_leave_some_empty(rng):
    folds = grouped_folds(np.array([0, 1, 0, 0]), np.array([5, 5, 7, 7]), 8, rng)
    assert len(np.unique(folds)) == 2


def test_folds_differ_by_seed(rng):
    codes, groups = grouped(rng, "even")
    one, two, other = (
        grouped_folds(codes, groups, 5, np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("fraction", [0.1, 0.4])
@pytest.mark.parametrize("kind", ["even", "uneven", "single"])
def test_split_keeps_groups_whole_and_is_stratified(kind, fraction, rng):
    codes, groups = grouped(rng, kind)
    train, valid, unseen = grouped_split(codes, groups, fraction, rng)
    assert sorted([*train, *valid]) == list(range(len(codes)))
    assert not np.isin(groups[train], groups[valid]).any()
    assert len(unseen) == 0
    wanted, found = fraction * np.bincount(codes), np.bincount(codes[valid])
    np.testing.assert_allclose(found, wanted, atol=np.bincount(groups).max())


def test_split_leaves_classes_of_one_group_in_training(rng):
    codes = np.array([0] * 20 + [1] * 4 + [2] * 4)
    groups = np.array([*np.arange(20) // 4, 9, 9, 9, 9, 7, 7, 8, 8])
    for _ in range(5):
        train, valid, unseen = grouped_split(codes, groups, 0.1, rng)
        assert unseen.tolist() == [1]
        assert set(codes[train]) == {0, 1, 2}
        assert np.bincount(codes[valid]).tolist() == [4, 0, 2]


def test_split_leaves_every_class_in_training(rng):
    """All negatives are in the two groups that also have a positive."""
    codes = np.array([1, 0, 0, 1, 0, 1, 1])
    groups = np.array([0, 0, 0, 1, 1, 2, 3])
    for _ in range(10):
        train, valid, _ = grouped_split(codes, groups, 0.9, rng)
        assert set(codes[train]) == {0, 1}
        assert len(valid)


def test_classes_of_one_group():
    codes = np.array([0, 0, 1, 1, 3])
    assert classes_of_one_group(codes, np.array([0, 1, 2, 2, 2])).tolist() == [1, 3]

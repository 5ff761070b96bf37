"""Rows that oversampling copied, and rows that repeat by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from scipy import sparse
from sklearn.datasets import make_classification

from imbalnet._fit import copies
from imbalnet._fit.copies import find_copies, row_hashes
from imbalnet._fit.specs import Validation
from imbalnet._fit.split import split_off, stratified_folds
from imbalnet._tables import Rows


@pytest.fixture(scope="module")
def table():
    X, y = make_classification(400, 5, weights=[0.9], random_state=0)
    return X.astype(np.float32), y.astype(np.uint8)


def oversampled(table, **params):
    X, y = RandomOverSampler(random_state=0, **params).fit_resample(*table)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


def assert_groups_are_copies(groups, X, y):
    """Of positives, whose rows are equal in a group alone; other rows are apart."""
    numbers = np.unique(np.column_stack([X, y]), axis=0, return_inverse=True)[1]
    pairs = np.unique(np.column_stack([groups, numbers])[y == 1], axis=0)
    n_distinct = len(np.unique(numbers[y == 1]))
    assert len(pairs) == len(np.unique(groups[y == 1])) == n_distinct
    assert len(np.unique(groups)) == len(pairs) + np.count_nonzero(y == 0)


# -- what is copied ------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["auto", 0.25])
@pytest.mark.parametrize("kind", [np.float32, np.float64, sparse.csr_matrix])
def test_rows_drawn_again_are_groups(kind, strategy, table):
    X, y = oversampled(table, sampling_strategy=strategy)
    values = kind(X) if kind is sparse.csr_matrix else X.astype(kind)
    assert_groups_are_copies(find_copies(Rows(values, y), 2), X, y)


def test_rows_repeated_and_resampled_by_hand(table, rng):
    X, y = table
    drawn = rng.choice(np.flatnonzero(y), 350)
    for more in (np.repeat(np.flatnonzero(y), 3), drawn):
        at = np.concatenate([np.flatnonzero(y == 0), more])
        assert_groups_are_copies(find_copies(Rows(X[at], y[at]), 2), X[at], y[at])


def test_copies_among_some_rows_of_a_table_and_with_gaps(table, rng):
    X, y = table
    X, y = oversampled((np.where(rng.random(X.shape) < 0.1, np.nan, X), y))
    index = np.sort(rng.permutation(len(y))[:500])
    groups = find_copies(Rows(X, y, None, index), 2)
    assert_groups_are_copies(groups, np.nan_to_num(X[index], nan=7.0), y[index])


def test_several_oversampled_classes(rng):
    y = np.repeat([0, 1, 2], [300, 40, 20])
    X, y = oversampled((rng.normal(size=(360, 3)), y))
    groups = find_copies(Rows(X, y), 3)
    assert [len(np.unique(groups[y == c])) for c in range(3)] == [300, 40, 20]


# -- what repeats by itself ----------------------------------------------------------


def test_tables_without_repeats_have_no_copies(table):
    X, y = table
    assert find_copies(Rows(X, y), 2) is None
    X, y = SMOTE(random_state=0).fit_resample(X, y)  # near, but not equal
    assert find_copies(Rows(X, y), 2) is None


def few_values(rng, y):
    """Columns of two values: rows repeat, and share them with the other class."""
    return rng.integers(0, 2, size=(len(y), 6))


def common_rows(rng, y):
    """A spot where nearly all positives lie; few distinct rows are elsewhere."""
    X = rng.normal(size=(len(y), 3))
    spot = (y == 1) & (rng.random(len(y)) < 0.8)
    X[spot] = 5.0 + rng.geometric(0.7, size=(spot.sum(), 3))
    return X


def both_classes_drawn(rng, y):
    """A bootstrap sample of each class."""
    X = rng.normal(size=(len(y), 3))
    for code in (0, 1):
        at = np.flatnonzero(y == code)
        X[at] = X[rng.choice(at, len(at))]
    return X


def shared_rows(rng, y):
    """Positives repeat negatives, not only each other."""
    X = rng.normal(size=(len(y), 3))
    X[y == 1] = X[rng.choice(np.flatnonzero(y == 0)[:20], (y == 1).sum())]
    return X


@pytest.mark.parametrize(
    "make", [few_values, common_rows, both_classes_drawn, shared_rows]
)
def test_tables_that_repeat_by_themselves_keep_their_folds(make, rng):
    y = (np.arange(1000) % 8 == 0).astype(np.uint8)
    X = make(rng, y).astype(np.float32)
    assert len(np.unique(X[y == 1], axis=0)) < 125  # of 125 rows
    rows = Rows(X, y)
    assert find_copies(rows, 2) is None
    validation = Validation("folds", 0.1, None, 1, calibrate=False, n_neighbors=0)
    held_out = split_off(rows, None, validation, 4, np.array([0, 1]), seed=3)[1]
    expected = stratified_folds(y, 4, np.random.default_rng(3))
    np.testing.assert_array_equal(held_out.folds, expected)
    assert not held_out.are_apart


def test_repeats_that_may_be_chance_are_none(rng):
    """Two of four positives are equal, and some negatives are."""
    X, y = rng.normal(size=(40, 2)), (np.arange(40) < 4).astype(np.uint8)
    X[1], X[21], X[31] = X[0], X[20], X[30]
    assert find_copies(Rows(X, y), 2) is None


# -- hash values ---------------------------------------------------------------------


def test_equal_rows_have_equal_hashes(rng):
    X = np.float32(rng.integers(-2, 3, size=(500, 4)))
    X[rng.random(X.shape) < 0.1] = -0.0
    X[rng.random(X.shape) < 0.1] = np.nan
    numbers = np.unique(np.nan_to_num(X, nan=9.0) + 0.0, axis=0, return_inverse=True)[1]
    for values in (X, X.astype(np.float64), np.asfortranarray(X)):
        hashes = np.unique(row_hashes(values), return_inverse=True)[1]
        pairs = np.unique(np.column_stack([numbers, hashes]), axis=0)
        assert len(pairs) == len(np.unique(numbers)) == len(np.unique(hashes))


def test_sparse_rows_have_the_hashes_of_dense_ones(rng):
    X = np.float32(rng.integers(0, 2, size=(50, 6)))
    stored = sparse.csr_matrix(X)
    stored.data[3] = 0.0  # an explicit zero
    np.testing.assert_array_equal(row_hashes(stored), row_hashes(stored.toarray()))


def test_rows_that_share_a_hash_are_compared(rng, monkeypatch):
    """Pairs of rows that differ in the last column alone, which has no part in it."""
    monkeypatch.setattr(copies, "row_hashes", lambda X: row_hashes(X[:, :-1]))
    pairs = np.repeat(rng.normal(size=(200, 3)), 2, axis=0)
    X = np.column_stack([pairs, np.arange(400) % 2])
    y = (np.arange(400) < 40).astype(np.uint8)
    assert find_copies(Rows(X, y), 2) is None
    at = np.concatenate([np.repeat(np.arange(40), 5), np.arange(40, 400)])
    assert_groups_are_copies(find_copies(Rows(X[at], y[at]), 2), X[at], y[at])

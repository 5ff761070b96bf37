"""Rows of a table, their weights, and the way to a resampler and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from imbalnet._tables import (
    ColumnRules,
    Reading,
    Rows,
    as_table,
    read_rows,
    resampled_matrix,
)


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "real": [0.1, 1 / 3, 2.0, -5.0],
            "whole": [3, 2**24 + 1, 0, -1],
            "place": pd.Series([10, 20, 10, 30], dtype="category"),
            "grade": pd.Series([0.5, 1.5, 0.5, 0.1], dtype="category"),
            "is_new": [True, False, False, True],
            "maybe": pd.array([1, 2, 3, 4], dtype="Int64"),
        }
    )


def rows_of(X, dtype=np.float32):
    y, weight = [0, 1, 0, 1], [1, 0, 2, 1]
    reading = Reading(ColumnRules(), dtype, "Net")
    return read_rows(as_table(X, reading), y, weight, reading, None)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_keep_the_frame_and_agree_with_it(frame, dtype):
    rows = rows_of(frame, dtype)
    assert rows.frame is frame
    features = rows.features()
    assert features.dtypes.astype(str).tolist() == [
        "category" if name in ("place", "grade") else np.dtype(dtype).name
        for name in frame.columns
    ]
    kept = frame.iloc[[0, 2, 3]].astype(float).astype(dtype)
    np.testing.assert_array_equal(features.astype(dtype), kept)
    matrix = resampled_matrix(features, rows, "sampler")
    assert matrix.dtype == dtype
    np.testing.assert_array_equal(matrix, rows.X[[0, 2, 3]])


@pytest.mark.parametrize(
    "X",
    [
        np.eye(4),
        sparse.csr_array(np.eye(4)),
        pd.DataFrame(np.eye(4)).astype(pd.SparseDtype(float, 0)),
    ],
    ids=["array", "CSR", "sparse frame"],
)
def test_rows_of_other_tables_have_no_frame(X):
    rows = rows_of(X)
    assert rows.frame is None
    assert rows.columns.n_categories == ()
    features = rows.features()
    features = features.toarray() if sparse.issparse(features) else features
    np.testing.assert_array_equal(features, np.eye(4)[[0, 2, 3]])


@pytest.mark.parametrize("names", [["a", "b", "a"], [0, 1, 0]])
def test_a_frame_with_a_name_twice_counts_as_one_without_names(names, rng):
    frame = pd.DataFrame(rng.integers(0, 2, size=(4, 3)))
    frame[2] = frame[2].astype("category")
    values = frame.to_numpy()
    frame.columns = names
    rows = rows_of(frame)
    assert frame.columns.tolist() == names
    assert rows.frame.columns.tolist() == [0, 1, 2]
    assert rows.features().dtypes.astype(str).tolist() == ["float32"] * 2 + ["category"]
    np.testing.assert_array_equal(rows.X[:, :2], values[:, :2])


def test_weights_by_class_are_factors(frame):
    rows = rows_of(frame)
    weighted = rows.weighted_by_class(np.array([10.0, 100.0]))
    assert weighted.weight.tolist() == [10, 0, 20, 100]
    assert weighted.weight.dtype == np.float32
    assert weighted.frame is frame


@pytest.mark.parametrize("index", [None, np.array([0, 3, 1])])
def test_weights_that_nobody_gave_are_ones_without_memory(index):
    rows = Rows(np.zeros((4, 1)), np.array([0, 1, 0, 1]), index=index)
    ones = Rows(rows.X, rows.codes, np.ones(4), index)
    assert rows.weights.tolist() == [1] * 4
    assert rows.weights.strides == (0,)
    assert rows.weight_sum == ones.weight_sum == len(rows)
    assert rows.counts(2).tolist() == ones.counts(2).tolist()
    for factor in ([2.0, 2.0], [2.0, 3.0]):
        weight = rows.weighted_by_class(np.array(factor)).weight
        expected = ones.weighted_by_class(np.array(factor)).weight
        assert weight.tolist() == expected.tolist()
        assert weight.dtype == expected.dtype
        assert (weight.strides == (0,)) == (factor[0] == factor[1])


def test_subsets_of_rows_are_rows():
    rows = Rows(np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1]), np.arange(4.0))
    some = rows.subset(np.array([3, 1, 2])).subset(np.array([2, 0]))
    assert some.X is rows.X
    assert some.index.tolist() == [2, 3]
    assert some.of(some.weights).tolist() == [2, 3]
    assert (len(some), some.weight_sum) == (2, 5)

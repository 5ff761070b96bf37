"""Epochs as row numbers: the shuffle, and what users' own samplers draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbalnet.samplers._epochs import Shuffle, checked_epoch, index_dtype


def test_shuffle_is_every_row_once_in_another_order_each_epoch():
    shuffle = Shuffle(50, np.random.default_rng(0))
    one, two = shuffle.epoch(7), shuffle.epoch(7)
    for epoch in (one, two):
        assert epoch.dtype == np.int32
        np.testing.assert_array_equal(np.sort(epoch), np.arange(50))
        assert not np.array_equal(epoch, np.arange(50))
    assert not np.array_equal(one, two)
    again = Shuffle(50, np.random.default_rng(0))
    np.testing.assert_array_equal(again.epoch(7), one)


def test_shuffle_changes_no_share():
    shuffle, counts = Shuffle(50, np.random.default_rng(0)), np.array([45, 0, 5])
    assert shuffle.rates(counts, 7).tolist() == [1.0, 1.0, 1.0]
    assert shuffle.epoch_rows(counts) == 50


@pytest.mark.parametrize(
    ("n_rows", "dtype"), [(1, np.int32), (2**31 - 1, np.int32), (2**31 + 1, np.int64)]
)
def test_index_dtype_is_the_smallest_that_holds_every_row_number(n_rows, dtype):
    assert index_dtype(n_rows) is dtype


def checked(drawn, n_rows=12):
    return checked_epoch(drawn, n_rows, "Mine")


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_row_numbers_of_torchs_dtypes_are_taken_as_they_are(dtype):
    drawn = np.array([3, 1, 0], dtype)
    assert np.shares_memory(checked(drawn), drawn)
    assert checked(drawn).dtype == dtype


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint32, np.uint64])
def test_row_numbers_of_other_dtypes_become_int64(dtype):
    rows = checked(np.array([3, 1, 0], dtype))
    assert rows.dtype == np.int64
    assert rows.tolist() == [3, 1, 0]


@pytest.mark.parametrize(
    "drawn",
    [
        np.arange(6)[::-1],
        np.arange(12)[::2],
        np.broadcast_to(np.int64(5), 4),  # which cannot be written to
    ],
    ids=["backwards", "every other", "read-only"],
)
def test_row_numbers_are_an_array_that_torch_takes(drawn):
    """Without an error of negative strides, or a warning of a read-only array."""
    assert torch.from_numpy(checked(drawn)).tolist() == drawn.tolist()


@pytest.mark.parametrize(
    "drawn", [range(3), iter([0, 1, 2]), {0: "a", 1: "b", 2: "c"}, torch.arange(3)]
)
def test_row_numbers_come_in_any_iterable(drawn):
    assert checked(drawn).tolist() == [0, 1, 2]

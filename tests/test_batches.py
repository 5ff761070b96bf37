"""Batches sliced from tensors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.utils.data import DataLoader

from imbalnet.batches import Shuffle, TableRows, TensorBatches

CONTAINERS = {"dense": np.asarray, "csr": sparse.csr_array}


@pytest.fixture
def table(rng):
    X = rng.normal(size=(103, 4)).astype(np.float32)
    return X, rng.integers(0, 2, 103), rng.random(103)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_batches_hold_each_row_once_with_its_label_and_weight(table, container, rng):
    X, y, weight = table
    rows = TableRows(container(X), y, weight, order=Shuffle(103, rng))
    for _ in range(2):
        batches = list(TensorBatches(rows, 10))
        features, codes, weights = (
            torch.cat(column) for column in zip(*batches, strict=True)
        )
        order = np.lexsort(features.numpy().T)
        expected = np.lexsort(X.T)
        np.testing.assert_array_equal(features[order].numpy(), X[expected])
        np.testing.assert_array_equal(codes[order].numpy(), y[expected])
        np.testing.assert_allclose(weights[order].numpy(), weight[expected], rtol=1e-6)


def test_batches_come_in_another_order_each_epoch(table, rng):
    rows = TableRows(*table, order=Shuffle(103, rng))
    first, second = (torch.cat([b[0] for b in TensorBatches(rows, 10)]) for _ in "ab")
    assert not torch.equal(first, second)


def test_a_single_row_left_over_joins_the_batch_before(table):
    sizes = [len(y) for _, y, _ in TensorBatches(TableRows(*table), 34)]
    assert sizes == [34, 34, 35]


def test_rows_take_an_index_only(table):
    X, y, weight = table
    index = np.array([5, 3, 99])
    rows = TableRows(X, y, weight, index)
    np.testing.assert_array_equal(rows.X.numpy(), X[index])
    np.testing.assert_array_equal(rows.y.numpy(), y[index])
    assert len(rows) == 3


def test_rows_do_not_copy_a_fitting_table(table):
    X, y, weight = table
    assert TableRows(X, y, weight).table.data_ptr() == X.ctypes.data


def test_rows_take_a_read_only_table_without_a_warning(table):
    X, y, weight = table
    X.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert TableRows(X, y, weight).table.data_ptr() == X.ctypes.data


def test_a_sparse_table_becomes_dense_batch_by_batch(table, monkeypatch):
    X, y, weight = table
    dense = []
    original = sparse.csr_array.toarray
    monkeypatch.setattr(
        sparse.csr_array,
        "toarray",
        lambda self, *args: dense.append(self.shape[0]) or original(self, *args),
    )
    list(TensorBatches(TableRows(sparse.csr_array(X), y, weight), 25))
    assert dense == [25, 25, 25, 25, 3]


def test_rows_feed_a_torch_data_loader(table):
    X, y, weight = table
    loader = DataLoader(TableRows(X, y, weight), batch_size=103)
    features, codes, weights = next(iter(loader))
    np.testing.assert_array_equal(features.numpy(), X)
    np.testing.assert_array_equal(codes.numpy(), y)
    assert weights.shape == (103,)

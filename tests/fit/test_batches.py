"""Batches sliced from tensors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.utils.data import DataLoader

from imbalnet._fit.feeds.batches import TensorBatches
from imbalnet.samplers import Shuffle, batch_sizes
from imbalnet.samplers._epochs import checked_epoch

CONTAINERS = {"dense": np.asarray, "csr": sparse.csr_array}


@pytest.fixture
def table(rng):
    X = rng.normal(size=(103, 4)).astype(np.float32)
    return X, rng.integers(0, 2, 103), rng.random(103)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_batches_hold_each_row_once_with_its_label_and_weight(
    table, container, rng, make_table
):
    X, y, weight = table
    rows = make_table(container(X), y, weight, order=Shuffle(103, rng))
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


def test_batches_come_in_another_order_each_epoch(table, rng, make_table):
    rows = make_table(*table, order=Shuffle(103, rng))
    first, second = (torch.cat([b[0] for b in TensorBatches(rows, 10)]) for _ in "ab")
    assert not torch.equal(first, second)


def test_a_single_row_left_over_joins_the_batch_before(table, make_table):
    sizes = [len(y) for _, y, _ in TensorBatches(make_table(*table), 34)]
    assert sizes == [34, 34, 35]


def test_rows_take_an_index_only(table, make_table):
    X, y, weight = table
    index = np.array([5, 3, 99])
    rows = make_table(X, y, weight, index)
    np.testing.assert_array_equal(rows.X.numpy(), X[index])
    np.testing.assert_array_equal(rows.y.numpy(), y[index])
    assert len(rows) == 3


def test_rows_do_not_copy_a_fitting_table(table, make_table):
    X, y, weight = table
    assert make_table(X, y, weight).table.data_ptr() == X.ctypes.data


def test_rows_take_a_read_only_table_without_a_warning(table, make_table):
    X, y, weight = table
    X.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make_table(X, y, weight).table.data_ptr() == X.ctypes.data


def test_a_sparse_table_becomes_dense_block_by_block(table, monkeypatch, make_table):
    """A block holds as many batches of 25 x 4 values as 250 values hold: two."""
    X, y, weight = table
    monkeypatch.setattr("imbalnet._fit.feeds.batches._CPU_BLOCK_VALUES", 250)
    dense = []
    original = sparse.csr_array.toarray
    monkeypatch.setattr(
        sparse.csr_array,
        "toarray",
        lambda self, *args: dense.append(self.shape[0]) or original(self, *args),
    )
    list(TensorBatches(make_table(sparse.csr_array(X), y, weight), 25))
    assert dense == [50, 50, 3]


def test_rows_feed_a_torch_data_loader(table, make_table):
    X, y, weight = table
    loader = DataLoader(make_table(X, y, weight), batch_size=103)
    features, codes, weights = next(iter(loader))
    np.testing.assert_array_equal(features.numpy(), X)
    np.testing.assert_array_equal(codes.numpy(), y)
    assert weights.shape == (103,)


READ_ONLY = np.array([2, 1, 0])
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "drawn",
    [
        np.array([2, 1, 0]),
        np.arange(3, dtype=np.uint8)[::-1],
        READ_ONLY,
        torch.tensor([2, 1, 0], dtype=torch.int32),
        [2, 1, 0],
        (2, np.int64(1), 0),
        range(2, -1, -1),
        list(torch.tensor([2, 1, 0])),
    ],
    ids=["array", "view", "read-only", "tensor", "list", "tuple", "range", "tensors"],
)
def test_an_epoch_may_be_row_numbers_of_any_kind(table, drawn, make_table, scripted):
    X, y, weight = table
    rows = make_table(X, y, weight, index=np.array([7, 8, 9]), order=scripted(drawn))
    features = [X.tolist() for X, _, _ in TensorBatches(rows, batch_size=2)]
    assert features == [X[[9, 8, 7]].tolist()]  # one row alone joins the others


@pytest.mark.parametrize(
    "drawn",
    [
        [np.array([2, 1]), np.array([0, 1, 2])],
        [[2, 1], [], [0, 1, 2]],
        ((2, 1), (0, 1, 2)),
        [torch.tensor([2, 1]), torch.tensor([0, 1, 2])],
        [list(torch.tensor([2, 1])), [0, 1, 2]],
    ],
    ids=["arrays", "lists", "tuples", "tensors", "lists of tensors"],
)
def test_an_epoch_may_be_batches_of_any_kind(table, drawn, make_table, scripted):
    X, y, weight = table
    rows = make_table(X, y, weight, index=np.array([7, 8, 9]), order=scripted(drawn))
    features = [X.tolist() for X, _, _ in TensorBatches(rows, batch_size=99)]
    assert features == [X[[9, 8]].tolist(), X[[7, 8, 9]].tolist()]


def test_an_epoch_of_one_matrix_is_its_rows():
    epoch = checked_epoch(torch.tensor([[2, 1], [0, 2]]), 3, "Mine")
    assert [batch.tolist() for batch in epoch] == [[2, 1], [0, 2]]


def test_an_epoch_of_right_row_numbers_is_not_copied():
    drawn = np.array([2, 1, 0])
    assert checked_epoch(drawn, 3, "Mine") is drawn


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        ([0, 103], "sampler=Scripted drew row 103, but .* numbers 0 to 102: they"),
        (np.array([0, -1]), "drew row -1, but .* the codes of bind"),
        ([[0], [5, -7]], "drew row -7"),
        (np.array([2**64 - 1], dtype=np.uint64), "drew row -1"),
        ([], "drew no rows in an epoch of 103"),
        ([[], []], "drew no rows in an epoch of 103"),
        ([0.0, 1.0], r"integers from 0 to 102, .* dtype float64 and shape \(2,\)"),
        (torch.tensor([0.5]), "dtype float32"),
        ([torch.tensor(0.5)], "dtype float32"),
        (np.ones(103, dtype=bool), "dtype bool"),
        (["0"], "dtype <U1"),
        ([[0, 1], [0.5]], "dtype float64"),
        ([[0, 1], 2], "or as a list of batches of them: .* has no len"),
        ([0, [1, 2]], "or as a list of batches of them"),
        ([[[0]]], r"shape \(1, 1\)"),
        (None, "'NoneType' object is not iterable"),
        (3, "'int' object is not iterable"),
    ],
)
def test_an_epoch_of_anything_else_is_named(
    table, drawn, message, make_table, scripted
):
    rows = make_table(*table, order=scripted(drawn))
    with pytest.raises(ValueError, match=message):
        next(iter(TensorBatches(rows, 10)))


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of two batches of ten rows of four columns."""
    monkeypatch.setattr("imbalnet._fit.feeds.batches._CPU_BLOCK_VALUES", 90)


@pytest.fixture(params=["in order", "shuffled", "unequal"])
def new_order(request, scripted):
    """Return the same order of 103 rows at each call."""

    def new():
        rng = np.random.default_rng(3)
        if request.param == "unequal":  # batches of 1 to 13 rows, some rows twice
            sizes = (13, 1, 7, 7, 2, 11)
            return scripted([rng.integers(0, 103, size) for size in sizes])
        return Shuffle(103, rng) if request.param == "shuffled" else None

    return new


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("batch_size", [10, 34, 200])
@pytest.mark.parametrize("block_values", [90, 250, 10**6])
def test_prepared_batches_are_the_batches_and_their_shares(
    table, monkeypatch, new_order, container, batch_size, block_values, make_table
):
    monkeypatch.setattr("imbalnet._fit.feeds.batches._CPU_BLOCK_VALUES", block_values)
    X, y, weight = table
    plain, prepared = (
        TensorBatches(
            make_table(container(X), y, weight, order=new_order()), batch_size
        )
        for _ in "ab"
    )
    prepared.prepare = torch.square
    for _ in range(2):
        pairs = zip(plain, prepared.prepared(), strict=True)
        for (features, codes, weights), (squares, *others, share) in pairs:
            torch.testing.assert_close(squares, features**2, rtol=0, atol=0)
            assert torch.equal(codes, others[0])
            assert torch.equal(weights, others[1])
            expected = weights.numpy() / len(codes)
            np.testing.assert_allclose(share.numpy(), expected, rtol=1e-6)


def test_batches_do_not_depend_on_the_blocks(table, monkeypatch, new_order, make_table):
    epochs = []
    for n_values in (1, 90, 10**6):
        monkeypatch.setattr("imbalnet._fit.feeds.batches._CPU_BLOCK_VALUES", n_values)
        batches = TensorBatches(make_table(*table, order=new_order()), 10)
        epochs.append([X.tolist() for X, *_ in batches.prepared()])
    assert epochs[0] == epochs[1] == epochs[2]


def test_prepare_is_called_once_a_block(table, small_blocks, make_table):
    """A pass over 20 rows costs hardly more than one over 10."""
    sizes = []

    def prepare(X):
        sizes.append(len(X))
        return X

    batches = TensorBatches(make_table(*table), 10)
    batches.prepare = prepare
    assert [len(y) for _, y, *_ in batches.prepared()] == [10] * 10 + [3]
    assert sizes == [20] * 5 + [3]


@pytest.mark.parametrize("n_rows", [1, 2, 9, 10, 11, 12, 20, 21, 103])
@pytest.mark.parametrize("batch_size", [1, 2, 10, 500])
def test_an_epoch_is_cut_into_full_batches_and_a_rest(
    table, n_rows, batch_size, make_table
):
    X, y, weight = (column[:n_rows] for column in table)
    sizes = batch_sizes(n_rows, batch_size)
    batches = TensorBatches(make_table(X, y, weight), batch_size)
    assert [len(y) for _, y, _ in batches] == sizes
    assert sum(sizes) == n_rows
    assert set(sizes[:-1]) <= {batch_size}
    assert sizes[-1] > 1 or n_rows == 1


@pytest.mark.parametrize("method", [iter, TensorBatches.prepared])
def test_rows_as_they_stand_are_no_copies(table, small_blocks, method, make_table):
    X, y, weight = table
    weight = weight.astype(np.float32)
    start = 0
    for features, codes, weights, *_ in method(
        TensorBatches(make_table(X, y, weight), 10)
    ):
        assert features.data_ptr() == X[start:].ctypes.data
        assert codes.data_ptr() == y[start:].ctypes.data
        assert weights.data_ptr() == weight[start:].ctypes.data
        start += len(codes)
    assert start == 103


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_indices_of_four_bytes_name_the_same_rows(
    table, container, dtype, make_table, scripted
):
    X, y, weight = table
    index = np.array([50, 3, 102, 7], dtype=dtype)
    drawn = np.array([3, 0, 2], dtype=dtype)
    rows = make_table(container(X), y, weight, index, order=scripted(drawn))
    assert rows.index.numpy().dtype == dtype
    ((features, codes, weights),) = TensorBatches(rows, 10)
    np.testing.assert_array_equal(features.numpy(), X[[7, 50, 102]])
    np.testing.assert_array_equal(codes.numpy(), y[[7, 50, 102]])
    np.testing.assert_allclose(weights.numpy(), weight[[7, 50, 102]], rtol=1e-6)


@pytest.mark.parametrize("index", [[2, 1, 0], [0, 0, 2], [0, 1, 2, 0, 1]])
def test_an_index_may_be_as_long_as_the_table(index, make_table):
    rows = make_table(np.eye(3), np.arange(3), np.ones(3), np.array(index))
    assert rows.y.tolist() == index


def test_codes_of_one_byte_come_out_as_indices(table, new_order, make_table):
    """The table of a million rows keeps a byte a row, the loss wants int64."""
    X, y, weight = table
    small, large = (
        make_table(X, y.astype(dtype), weight, order=new_order())
        for dtype in (np.uint8, np.int64)
    )
    assert small.codes.dtype is torch.uint8
    for (_, few_bytes, _), (_, codes, _) in zip(
        TensorBatches(small, 10), TensorBatches(large, 10), strict=True
    ):
        assert few_bytes.dtype is torch.int64
        assert torch.equal(few_bytes, codes)
    assert small.y.dtype is torch.int64


def test_rows_without_weights_weigh_one(table, make_table):
    X, y, _ = table
    for _, codes, weights in TensorBatches(make_table(X, y), 10):
        assert weights.dtype is torch.float32
        assert weights.tolist() == [1.0] * len(codes)


def test_one_weight_for_all_rows_takes_no_memory(table, new_order, make_table):
    X, y, _ = table
    weight = np.broadcast_to(np.float32(3.0), 103)
    rows = make_table(X, y, weight, order=new_order())
    assert rows.weight.data_ptr() == weight.ctypes.data
    assert rows.weight.stride() == (0,)
    for _, codes, weights, share in TensorBatches(rows, 10).prepared():
        assert weights.tolist() == [3.0] * len(codes)
        assert share.tolist() == pytest.approx([3.0 / len(codes)] * len(codes))

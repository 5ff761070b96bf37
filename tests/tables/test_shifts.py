"""Columns far from 0, or of extreme scale, before the cast to float32."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from imbalnet._tables import (
    ColumnRules,
    Columns,
    Reading,
    Rows,
    as_table,
    matrix_blocks,
    read_rows,
    resampled_matrix,
)
from imbalnet._tables.features import read_matrix
from imbalnet._tables.shifts import Shift, find_shifts

N_ROWS = 500


def read(X, dtype=np.float32, columns=None):
    reading = Reading(columns or ColumnRules(missing=True), dtype, "Net")
    return read_matrix(as_table(X, reading), reading)


@pytest.fixture
def z():
    return np.random.default_rng(0).normal(size=N_ROWS)


# Columns that a cast to float32 would harm, as functions of a normal variable.
FAR = {
    "amounts with a base": lambda z: 1e9 + 10 * z,
    "epoch seconds": lambda z: 1.7e9 + 100 * z,
    "epoch milliseconds": lambda z: (1.7e12 + 1e5 * z).astype(np.int64),
    "epoch nanoseconds": lambda z: (1.7e18 + 1e11 * z).astype(np.int64),
    "identifiers": lambda z: (2**26 + 1 + 100 * z).astype(np.int64),
    "unsigned identifiers": lambda z: (2**26 + 1 + 100 * z).astype(np.uint32),
    "long identifiers": lambda z: 2**60 + (100 * z).astype(np.int64),
    "unsigned hashes": lambda z: 2**63 + 2**62 + (100 * z).astype(np.int64).view("u8"),
    "amounts": lambda z: 1e6 + 0.05 * z,
    "close to 1": lambda z: 1 + 1e-9 * z,
    "negative": lambda z: -1e9 + z,
    "tiny": lambda z: 1e-42 * z,
    "subnormal": lambda z: 1e-310 * z,
    "huge": lambda z: 1e200 * z,
    "largest": lambda z: 1e307 * z,
    "huge with a base": lambda z: 1e200 + 1e190 * z,
    "mostly one value": lambda z: np.where(z < 1.5, 1e9 + 7.0, 1e9 + 7 + z),
}


def scaled(values):
    """Bring a column to median 0 and interquartile range 1, exactly."""
    values = np.asarray(values)
    if values.dtype.kind in "iu":
        values = np.array([int(v) - int(values[0]) for v in values], dtype=float)
    values = values / np.abs(values).max()
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return (values - middle) / ((high - low) or np.ptp(values))


@pytest.mark.parametrize("name", FAR)
def test_a_column_far_away_keeps_its_digits(name, z):
    x = FAR[name](z)
    matrix, columns = read(x[:, None])
    assert list(columns.shifts) == [0]
    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(scaled(matrix[:, 0]), scaled(x), atol=3e-6)


ORDINARY = {
    "normal": lambda z: z,
    "years": lambda z: (2000 + 3 * z).round(),
    "small integers": lambda z: (10 * z).astype(np.int8),
    "exact in float32": lambda z: 2.0**30 + 128 * z.round(2).round(),
    "temperatures": lambda z: 273.15 + 10 * z,
    "amounts": lambda z: np.exp(3 * z + 8),
    "outliers": lambda z: np.where(np.abs(z) > 2, 1e9, z),
    "zeros": lambda z: np.where(z > 1, 1e9 + z, 0),
    "bool": lambda z: z > 0,
    "single precision": lambda z: (1e9 + 1e3 * z).astype(np.float32),
    "gaps": lambda z: np.where(z > 0, np.nan, z),
    "empty": lambda z: np.full(len(z), np.nan),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_columns_keep_their_bits(name, dtype, z):
    x = ORDINARY[name](z)
    for X in (x[:, None], pd.DataFrame({"x": x}), pl.DataFrame({"x": x})):
        matrix, columns = read(X, dtype)
        assert columns == Columns(missing=True)
        np.testing.assert_array_equal(matrix[:, 0], x.astype(dtype))


@pytest.mark.parametrize("name", FAR)
def test_double_precision_needs_no_shift_but_for_extremes(name, z):
    x = FAR[name](z)
    matrix, columns = read(x[:, None], np.float64)
    expects_shift = ("long", "unsigned h", "subn", "huge", "largest")
    assert bool(columns.shifts) == name.startswith(expects_shift)
    np.testing.assert_allclose(scaled(matrix[:, 0]), scaled(x), atol=1e-6)


TABLES = {
    "array": np.asarray,
    "columns first": np.asfortranarray,
    "objects": lambda X: X.astype(object),
    "masked": np.ma.masked_invalid,
    "pandas": pd.DataFrame,
    "nullable": lambda X: pd.DataFrame(X).astype("Float64"),
    "polars": lambda X: pl.DataFrame(X, nan_to_null=True),
    "Arrow": lambda X: pa.table({str(i): pa.array(x) for i, x in enumerate(X.T)}),
    "list": np.ndarray.tolist,
}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_shifted_alike(name, z, monkeypatch):
    X = np.column_stack([z, 1e9 + 10 * z, np.where(z > 1, np.nan, 1e6 + 0.05 * z)])
    expected, known = read(X)
    matrix, columns = read(TABLES[name](X))
    assert columns.shifts.keys() == {1, 2}
    assert columns.shifts == known.shifts
    np.testing.assert_array_equal(matrix, expected)
    monkeypatch.setattr("imbalnet._tables.features._BLOCK_ROWS", 128)
    reading = Reading(known, np.float32, "Net")
    blocks = matrix_blocks(as_table(TABLES[name](X), reading), reading)
    np.testing.assert_array_equal(np.concatenate(list(blocks)), expected)


def test_columns_of_categories_are_left_alone(z):
    frame = pd.DataFrame({"w": np.where(z > 0, "a", "b"), "x": 1e9 + z})
    matrix, columns = read(frame)
    assert columns.shifts.keys() == {1}
    assert set(matrix[:, 0]) == {0, 1}
    codes = np.column_stack([10**9 + (z > 0), 1e9 + z])
    matrix, columns = read(codes, columns=ColumnRules([0], missing=True))
    assert columns.shifts.keys() == {1}
    assert columns.levels[0].values == (1e9, 1e9 + 1)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_columns_are_shifted_with_their_zeros(container, z, monkeypatch):
    monkeypatch.setattr("imbalnet._tables.shifts._BLOCK_ROWS", 128)
    rare = np.where(z > 1, z, 0)
    far = np.where(np.abs(z) < 1.5, 1e9 + 10 * z, 0)  # some zeros are not stored
    X = np.column_stack([rare, far, np.full(N_ROWS, 0.0), 1e-42 * rare])
    matrix, columns = read(container(X))
    assert columns.shifts.keys() == {1, 3}
    assert matrix.dtype == np.float32
    assert matrix.format == "csr"
    dense, known = read(X)
    assert known.shifts == columns.shifts
    np.testing.assert_array_equal(matrix.toarray(), dense)
    assert sparse.issparse(columns.restored(matrix))
    restored = columns.restored(matrix).toarray()
    np.testing.assert_allclose(restored, X, rtol=1e-6, atol=1e-7 * 1e9)
    again, _ = read(container(X), columns=columns)
    np.testing.assert_array_equal(again.toarray(), dense)


def test_sparse_frames_are_shifted(z):
    frame = pd.DataFrame({"a": z, "b": 1e9 + z}).astype(pd.SparseDtype(float, 0))
    matrix, columns = read(frame)
    assert sparse.issparse(matrix)
    assert columns.shifts.keys() == {1}


def test_gaps_and_infinite_values_stay(z):
    x = 1e9 + 10 * z
    x[:3] = np.nan, np.inf, -np.inf
    rules = ColumnRules(missing=True, infinite=True)
    matrix, columns = read(x[:, None], columns=rules)
    assert columns.shifts
    np.testing.assert_array_equal(matrix[:3, 0], x[:3])


def test_values_too_far_for_float32_are_bounded_not_infinite(z):
    z[:4] = 1e200, -1e200, 1e35, 5.0
    matrix, columns = read(z[:, None])
    assert columns.shifts == {0: Shift(0.0, 1.0)}
    assert matrix[:4, 0].tolist() == np.float32([1e30, -1e30, 1e30, 5]).tolist()


@pytest.mark.parametrize("value", [1.7e9, 2.0**26, 1e6 + 0.03, 0.1, 1e-42, 1e200])
def test_one_row_tells_where_a_column_lies(value, z):
    """A first call of partial_fit may have no more."""
    first, columns = read(np.array([[value]]))
    x = value * (1 + 1e-7 * z) if 1e-40 < value < 1e100 else value * z
    matrix, _ = read(x[:, None], columns=columns)
    assert first.shape == (1, 1)
    np.testing.assert_allclose(scaled(matrix[:, 0]), scaled(x), atol=1e-6)


def test_rows_that_do_not_count_do_not_tell(z):
    X = np.r_[1e9 + 10 * z, z][:, None]
    y, weight = np.arange(2 * N_ROWS) % 2, np.r_[np.ones(N_ROWS), np.zeros(N_ROWS)]
    reading = Reading(ColumnRules(), np.float32, "Net")
    rows, _ = read_rows(X, y, weight, reading, None)
    assert rows.columns.shifts == read(X[:N_ROWS])[1].shifts


def test_a_sample_of_many_rows_decides(monkeypatch, z):
    monkeypatch.setattr("imbalnet._tables.shifts._SAMPLE_ROWS", 64)
    X = np.column_stack([z, 1e9 + 10 * z])
    found = [find_shifts(X, np.float32, None) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].keys() == {1}
    assert found[0][1].center == pytest.approx(1e9, abs=5)


# -- copies --------------------------------------------------------------------------


def peak_of(X):
    """Memory that reading takes at most, in float32 tables."""
    tracemalloc.start()
    read(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (4 * X.shape[0] * X.shape[1])


@pytest.fixture(scope="module")
def large():
    return np.random.default_rng(0).normal(size=(20_000, 100))


def test_single_precision_is_used_without_a_copy(large):
    X = large.astype(np.float32)
    assert read(X)[0] is X
    assert peak_of(X) < 0.05


@pytest.mark.parametrize("n_far", [0, 1, 100])
def test_double_precision_is_copied_once(n_far, large, monkeypatch):
    monkeypatch.setattr("imbalnet._tables.shifts._BLOCK_ROWS", 1024)
    X = large.copy()
    X[:, :n_far] += 1e9
    assert peak_of(X) < 1.1


# -- resamplers ----------------------------------------------------------------------


@pytest.mark.parametrize("build", [np.asarray, pd.DataFrame, sparse.csr_array])
def test_resamplers_see_what_came_and_give_it_back(build, z):
    X = np.column_stack([z, 1e9 + 10 * z, 1e-42 * z])
    y = np.arange(N_ROWS) % 2
    reading = Reading(ColumnRules(), np.float32, "Net")
    rows = read_rows(build(X), y, None, reading, None)[0].subset(np.arange(9))
    seen = rows.features()
    as_array = seen.toarray() if sparse.issparse(seen) else np.asarray(seen)
    assert as_array.dtype == np.float64
    np.testing.assert_allclose(as_array, X[:9], rtol=1e-6)
    back = resampled_matrix(seen, rows, "sampler")
    assert back.dtype == np.float32
    back, X32 = (
        np.asarray(m.toarray() if sparse.issparse(m) else m)
        for m in (back, rows.of(rows.X))
    )
    np.testing.assert_allclose(back, X32, atol=1e-6)


def test_resamplers_see_single_precision_where_nothing_was_shifted(z):
    rows = Rows(z[:, None].astype(np.float32), np.zeros(N_ROWS, dtype=int))
    assert rows.features() is rows.X
    assert resampled_matrix(rows.X, rows, "sampler") is rows.X

"""From what users hand over to matrix and codes."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator

from imbalnet._tables import Columns
from imbalnet._tables.read import (
    Rows,
    as_codes,
    as_labels,
    as_matrix,
    as_weights,
    matrix_blocks,
    read_rows,
    resampled_matrix,
)


@pytest.fixture
def estimator():
    return BaseEstimator()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrix_of_fitting_dtype_is_not_copied(estimator, dtype, rng):
    X = np.ascontiguousarray(rng.normal(size=(10, 3)), dtype=dtype)
    assert as_matrix(estimator, X, dtype, reset=True) is X


@pytest.mark.parametrize("container", [sparse.csc_array, sparse.coo_matrix])
def test_sparse_matrix_becomes_csr(estimator, container, rng):
    X = as_matrix(estimator, container(rng.normal(size=(9, 3))), np.float32, reset=True)
    assert X.format == "csr"
    assert X.dtype == np.float32


def test_matrix_of_another_width_is_named(estimator, rng):
    as_matrix(estimator, rng.normal(size=(10, 3)), np.float32, reset=True)
    with pytest.raises(ValueError, match=r"X has 2 features, but .* expecting 3"):
        as_matrix(estimator, rng.normal(size=(10, 2)), np.float32, reset=False)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            pd.Series(["a", "b"], dtype="category"),
            "not numeric: .*'odd'.*OneHotEncoder",
        ),
        (pd.to_datetime(pd.Series(["2026-01-01", "2026-01-02"])), "dates or times"),
        (pd.Series([1.0, None]), "missing values: .*'odd'.*SimpleImputer"),
        (pd.Series([1, None], dtype="Int64"), "have missing values"),
    ],
    ids=["category", "date", "gap", "nullable gap"],
)
def test_frame_that_is_not_numeric_names_column_and_cure(estimator, column, message):
    frame = pd.DataFrame({"fine": [1.0, 2.0], "odd": column})
    with pytest.raises(ValueError, match=message):
        as_matrix(estimator, frame, np.float32, reset=True)


TAKES_GAPS = Columns(missing=True)


def test_gaps_pass_where_they_are_taken(estimator):
    frame = pd.DataFrame({"a": [1.0, None], "b": pd.array([None, 3], dtype="Int64")})
    expected = [[1, np.nan], [np.nan, 3]]
    for X in (frame, pl.from_pandas(frame), np.array(expected), expected):
        matrix = as_matrix(
            BaseEstimator(), X, np.float32, reset=True, columns=TAKES_GAPS
        )
        np.testing.assert_array_equal(matrix, expected)


@pytest.mark.parametrize("columns", [Columns(), TAKES_GAPS])
@pytest.mark.parametrize("build", [np.asarray, pd.DataFrame, lambda X: X.tolist()])
def test_infinite_values_are_named(estimator, build, columns):
    X = build(np.array([[1.0, np.inf], [2.0, -np.inf]]))
    with pytest.raises(ValueError, match=r"infinite values.*: \[1\].*clip=True"):
        as_matrix(estimator, X, np.float64, reset=True, columns=columns)


def test_infinite_values_pass_where_they_are_taken(estimator):
    X = np.array([[1.0, np.inf], [2.0, -np.inf]])
    columns = Columns(infinite=True)
    assert as_matrix(estimator, X, np.float64, reset=True, columns=columns) is X
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"missing values: \[0\]"):
        as_matrix(estimator, X, np.float64, reset=True, columns=columns)


def test_bool_and_integer_columns_are_numbers(estimator):
    frame = pd.DataFrame({"a": [True, False], "b": [3, 4]})
    X = as_matrix(estimator, frame, np.float32, reset=True)
    np.testing.assert_array_equal(X, [[1, 3], [0, 4]])


def test_other_errors_of_validation_pass_through(estimator):
    with pytest.raises(ValueError, match="Expected 2D array"):
        as_matrix(estimator, np.arange(3.0), np.float32, reset=True)


def test_labels_with_gaps_are_named():
    with pytest.raises(ValueError, match="y contains NaN"):
        as_labels(np.array([0.0, np.nan, 1.0]))


def test_codes_are_positions_in_the_classes():
    classes = np.array(["a", "b", "c"])
    assert as_codes(np.array(["c", "a"]), classes).tolist() == [2, 0]
    with pytest.raises(ValueError, match=r"not in classes_: \['d'\]"):
        as_codes(np.array(["d"]), classes)


def test_weights_default_to_one(rng):
    assert as_weights(None, rng.normal(size=(4, 1))).tolist() == [1, 1, 1, 1]


def test_rows_of_weight_zero_leave(estimator, rng):
    X, y = rng.normal(size=(6, 2)), np.array([0, 1, 2, 0, 1, 2])
    weight = np.array([1, 1, 0, 2, 1, 0])
    rows, classes = read_rows(
        estimator, X, y, weight, classes=None, dtype=np.float64, reset=True
    )
    assert classes.tolist() == [0, 1]
    assert rows.index.tolist() == [0, 1, 3, 4]
    assert rows.counts(2).tolist() == [3, 2]
    assert rows.X is X


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


def rows_of(estimator, X, dtype=np.float32):
    y, weight = [0, 1, 0, 1], [1, 0, 2, 1]
    return read_rows(estimator, X, y, weight, classes=None, dtype=dtype, reset=True)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_keep_the_frame_and_agree_with_it(estimator, frame, dtype):
    rows = rows_of(estimator, frame, dtype)
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
def test_rows_of_other_tables_have_no_frame(estimator, X):
    rows = rows_of(estimator, X)
    assert rows.frame is None
    assert rows.columns.n_categories == ()
    features = rows.features()
    features = features.toarray() if sparse.issparse(features) else features
    np.testing.assert_array_equal(features, np.eye(4)[[0, 2, 3]])


@pytest.mark.parametrize("names", [["a", "b", "a"], [0, 1, 0]])
def test_a_frame_with_a_name_twice_counts_as_one_without_names(estimator, names, rng):
    frame = pd.DataFrame(rng.integers(0, 2, size=(4, 3)))
    frame[2] = frame[2].astype("category")
    values = frame.to_numpy()
    frame.columns = names
    rows = rows_of(estimator, frame)
    assert not hasattr(estimator, "feature_names_in_")
    assert frame.columns.tolist() == names
    assert rows.frame.columns.tolist() == [0, 1, 2]
    assert rows.features().dtypes.astype(str).tolist() == ["float32"] * 2 + ["category"]
    np.testing.assert_array_equal(rows.X[:, :2], values[:, :2])
    X = as_matrix(estimator, frame, np.float32, reset=False)
    np.testing.assert_array_equal(X, values)


def test_weights_by_class_are_factors(estimator, frame):
    rows = rows_of(estimator, frame)
    weighted = rows.weighted_by_class(np.array([10.0, 100.0]))
    assert weighted.weight.tolist() == [10, 0, 20, 100]
    assert weighted.weight.dtype == np.float32
    assert weighted.frame is frame


def test_weights_that_nobody_gave_take_no_memory():
    X = np.zeros((4, 1))
    rows = Rows(X, np.array([0, 1, 0, 1]), as_weights(None, X))
    assert rows.weight_sum == 4
    assert rows.weighted_by_class(np.array([2.0, 2.0])).weight.strides == (0,)
    weight = rows.weighted_by_class(np.array([2.0, 3.0])).weight
    assert weight.tolist() == [2, 3, 2, 3]


@pytest.mark.parametrize(
    "X",
    [
        pd.DataFrame({"when": pd.to_datetime(["2026-01-01", "2026-01-02"])}),
        pd.DataFrame({"when": pd.to_datetime(["2026-01-01"] * 2, utc=True)}),
        pd.DataFrame({"a": [1, 2], "when": pd.to_timedelta([1, 2], unit="s")}),
        np.array([["2026-01-01"], ["2026-01-02"]], dtype="datetime64[D]"),
        pl.DataFrame({"when": [date(2026, 1, 1), date(2026, 1, 2)]}),
    ],
    ids=["frame", "time zone", "durations", "array", "polars"],
)
def test_dates_are_not_taken_for_numbers(estimator, X):
    with pytest.raises(ValueError, match=r"dates or times.*days since"):
        as_matrix(estimator, X, np.float64, reset=True)


def test_labels_of_mixed_kinds_are_named(estimator):
    y = np.array([1, "a", 1, "a"], dtype=object)
    with pytest.raises(ValueError, match=r"labels of one kind|Unknown label type"):
        read_rows(
            estimator, np.eye(4), y, None, classes=None, dtype=np.float64, reset=True
        )


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("imbalnet._tables.read._BLOCK_ROWS", 4)


@pytest.fixture
def fitted(estimator):
    """An estimator that has seen 3 columns."""
    as_matrix(estimator, np.zeros((1, 3)), np.float64, reset=True)
    return estimator


TABLES = {
    "float32": lambda X: X.astype(np.float32),
    "float64": lambda X: X,
    "columns first": np.asfortranarray,
    "integers": lambda X: X.astype(int),
    "objects": lambda X: X.astype(object),
    "pandas": pd.DataFrame,
    "name twice": lambda X: pd.DataFrame(X, columns=list("aba")),
    "category": lambda X: pd.DataFrame(X.round()).astype({0: "category"}),
    "sparse frame": lambda X: pd.DataFrame(X).astype(pd.SparseDtype(float, 0)),
    "polars": pl.DataFrame,
    "CSR array": sparse.csr_array,
    "CSR matrix": sparse.csr_matrix,
    "CSC": sparse.csc_array,
    "list": lambda X: X.tolist(),
}


def dense(X):
    return X.toarray() if sparse.issparse(X) else X


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_rows", [1, 4, 5, 8, 11])
@pytest.mark.parametrize("build", TABLES.values(), ids=TABLES)
def test_blocks_are_the_matrix_in_parts(
    estimator, small_blocks, rng, build, n_rows, dtype
):
    X = build(10 * rng.normal(size=(n_rows, 3)) * rng.integers(0, 2, size=(n_rows, 3)))
    matrix = as_matrix(estimator, X, dtype, reset=True)
    blocks = list(matrix_blocks(estimator, X, dtype))
    assert {block.dtype for block in blocks} == {np.dtype(dtype)}
    assert {type(block) for block in blocks} == {type(matrix)}
    np.testing.assert_array_equal(
        np.concatenate([dense(block) for block in blocks]), dense(matrix)
    )


CUT = [name for name in TABLES if name not in ("CSC", "list")]


@pytest.mark.parametrize("name", TABLES)
def test_blocks_have_so_many_rows_where_cutting_is_cheap(
    estimator, small_blocks, rng, name
):
    X = TABLES[name](rng.normal(size=(10, 3)))
    as_matrix(estimator, X, np.float32, reset=True)
    blocks = matrix_blocks(estimator, X, np.float32)
    assert [len(dense(block)) for block in blocks] == (
        [4, 4, 2] if name in CUT else [10]
    )


@pytest.mark.parametrize("n_rows", [3, 4, 11])
@pytest.mark.parametrize("kind", ["array", "memory map", "read-only"])
def test_blocks_of_fitting_rows_are_no_copies(
    fitted, small_blocks, rng, tmp_path, kind, n_rows
):
    X = rng.normal(size=(n_rows, 3)).astype(np.float32)
    if kind == "memory map":
        X.tofile(tmp_path / "X")
        X = np.memmap(tmp_path / "X", np.float32, mode="r", shape=X.shape)
    X.flags.writeable = kind == "array"
    blocks = list(matrix_blocks(fitted, X, np.float32))
    assert all(np.shares_memory(block, X) for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), X)


def test_a_memory_map_of_another_dtype_is_copied_block_by_block(
    fitted, small_blocks, rng, tmp_path
):
    X = rng.normal(size=(11, 3))
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", np.float64, mode="r", shape=X.shape)
    blocks = list(matrix_blocks(fitted, mapped, np.float32))
    assert [block.base is None or len(block.base) <= 4 for block in blocks] == [
        True
    ] * 3
    np.testing.assert_array_equal(np.concatenate(blocks), X.astype(np.float32))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (np.asarray, r"missing values: \[1\].*SimpleImputer.*Input X contains NaN"),
        (sparse.csr_array, "Input X contains NaN"),
        (
            lambda X: pd.DataFrame(X, columns=["a", "odd", "c"]),
            r"columns that have missing values: \['odd'\].*SimpleImputer",
        ),
        (
            lambda X: pl.DataFrame(X, schema=["a", "odd", "c"]),
            r"columns that have missing values: \['odd'\].*SimpleImputer",
        ),
    ],
    ids=["array", "CSR", "pandas", "polars"],
)
def test_a_gap_in_a_late_block_is_named(estimator, small_blocks, rng, build, message):
    X = rng.normal(size=(11, 3))
    as_matrix(estimator, build(X), np.float64, reset=True)
    X[9, 1] = np.nan
    blocks = matrix_blocks(estimator, build(X), np.float64)
    assert [len(dense(next(blocks))) for _ in "ab"] == [4, 4]
    with pytest.raises(ValueError, match=message):
        next(blocks)


def test_a_word_in_a_late_block_is_named(estimator, small_blocks, rng):
    frame = pd.DataFrame(rng.normal(size=(11, 3)), columns=["a", "odd", "c"])
    frame = frame.astype({"odd": object})
    frame.loc[9, "odd"] = "nine"
    as_matrix(estimator, frame[:4], np.float64, reset=True)
    with pytest.raises(ValueError, match=r"not numeric: \['odd'\].*OneHotEncoder"):
        list(matrix_blocks(estimator, frame, np.float64))


@pytest.mark.parametrize("build", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    ("names", "message"),
    [("acb", "must be in the same order"), ("abz", "unseen at fit time")],
)
@pytest.mark.parametrize("n_rows", [3, 11])
def test_blocks_compare_the_names(
    estimator, small_blocks, rng, build, names, message, n_rows
):
    columns = dict(zip("abc", rng.normal(size=(3, n_rows)), strict=True))
    as_matrix(estimator, build(columns), np.float64, reset=True)
    for block in matrix_blocks(estimator, build(columns), np.float64):
        assert block.shape[1] == 3
    other = build(dict(zip(names, columns.values(), strict=True)))
    with pytest.raises(ValueError, match=message):
        next(matrix_blocks(estimator, other, np.float64))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((11, 2)), "X has 2 features, but .* expecting 3"),
        (np.zeros(11), "Expected 2D array"),
        (np.zeros((0, 3)), "Found array with 0 sample"),
        (pd.DataFrame(np.zeros((0, 3))), "Found array with 0 sample"),
        (
            np.full((11, 3), "2026-01-01", dtype="datetime64[D]"),
            r"dates or times.*days since",
        ),
    ],
    ids=["width", "1d", "empty", "empty frame", "dates"],
)
def test_blocks_raise_for_what_no_matrix_is(fitted, small_blocks, X, message):
    with pytest.raises(ValueError, match=message):
        next(matrix_blocks(fitted, X, np.float32))

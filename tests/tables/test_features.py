"""From tables to matrices."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from imbalnet._tables import ColumnRules, Columns, Reading, as_table, matrix_blocks
from imbalnet._tables.features import read_matrix

NEW = Reading(ColumnRules("from_dtype"), np.float32, "Net")


def matrix_of(X, dtype, **takes):
    reading = Reading(Columns(**takes), dtype, "Net")
    return read_matrix(as_table(X, reading), reading)[0]


def blocks_of(X, dtype):
    reading = Reading(Columns(), dtype, "Net")
    return matrix_blocks(as_table(X, reading), reading)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrix_of_fitting_dtype_is_not_copied(dtype, rng):
    X = np.ascontiguousarray(rng.normal(size=(10, 3)), dtype=dtype)
    assert matrix_of(X, dtype) is X


@pytest.mark.parametrize("container", [sparse.csc_array, sparse.coo_matrix])
def test_sparse_matrix_becomes_csr(container, rng):
    X = matrix_of(container(rng.normal(size=(9, 3))), np.float32)
    assert X.format == "csr"
    assert X.dtype == np.float32


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            pd.Series(["a", "b"], dtype="category"),
            "not numeric: .*'odd'.*, such as 'a'.* held numbers in fit: give numbers",
        ),
        (pd.to_datetime(pd.Series(["2026-01-01", "2026-01-02"])), "dates or times"),
        (pd.Series([1.0, None]), "missing values: .*'odd'.*SimpleImputer"),
        (pd.Series([1, None], dtype="Int64"), "have missing values"),
        (pa.array([1, None]), "missing values: .*'odd'"),
    ],
    ids=["category", "date", "gap", "nullable gap", "Arrow gap"],
)
def test_frame_that_is_not_numeric_names_column_and_cure(column, message):
    build = pa.table if isinstance(column, pa.Array) else pd.DataFrame
    frame = build({"fine": [1, 2], "odd": column})
    with pytest.raises(ValueError, match=message):
        matrix_of(frame, np.float32)


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], {1}, np.arange(2)], ids=repr)
def test_objects_that_are_no_values_name_their_column(value):
    """Nothing tells how often such a value occurs, so that it is no category."""
    column = np.empty(2, dtype=object)
    column[:] = [value, value]
    frame = pd.DataFrame({"n": [1.0, 2.0], "it": column})
    for X, name in ((frame, "'it'"), (frame.to_numpy(dtype=object), "1")):
        with pytest.raises(TypeError, match=rf"not numeric: \[{name}\].*derive"):
            read_matrix(X, NEW)


def test_bytes_are_categories_as_words_are():
    column = np.array([b"x", b"y", b"x"], dtype=object)
    frame = pd.DataFrame({"n": [1.0, 2.0, 3.0], "c": column})
    of_array, _ = read_matrix(frame.to_numpy(dtype=object), NEW)
    np.testing.assert_array_equal(of_array, read_matrix(frame, NEW)[0])


def test_gaps_pass_where_they_are_taken():
    frame = pd.DataFrame({"a": [1.0, None], "b": pd.array([None, 3], dtype="Int64")})
    expected = [[1, np.nan], [np.nan, 3]]
    objects = frame.to_numpy(dtype=object)  # with pandas.NA
    arrays = np.array(expected), expected, objects, objects.tolist()
    for X in (frame, pl.from_pandas(frame), *arrays):
        matrix = matrix_of(X, np.float32, missing=True)
        np.testing.assert_array_equal(matrix, expected)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("build", [np.asarray, pd.DataFrame, lambda X: X.tolist()])
def test_infinite_values_are_named(build, missing):
    X = build(np.array([[1.0, np.inf], [2.0, -np.inf]]))
    with pytest.raises(ValueError, match=r"infinite values.*: \[1\].*clip=True"):
        matrix_of(X, np.float64, missing=missing)


def test_infinite_values_pass_where_they_are_taken():
    X = np.array([[1.0, np.inf], [2.0, -np.inf]])
    assert matrix_of(X, np.float64, infinite=True) is X
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"missing values: \[0\]"):
        matrix_of(X, np.float64, infinite=True)


def test_bool_and_integer_columns_are_numbers():
    frame = pd.DataFrame({"a": [True, False], "b": [3, 4]})
    X = matrix_of(frame, np.float32)
    np.testing.assert_array_equal(X, [[1, 3], [0, 4]])


@pytest.mark.parametrize(
    "build", [np.asarray, pd.DataFrame, pl.DataFrame, sparse.csc_array]
)
def test_a_table_of_two_dimensions_stays_as_it_is(build):
    X = build(np.eye(3))
    assert as_table(X, Reading(Columns(), np.float32, "Net")) is X


def test_lists_with_categories_keep_their_values():
    reading = Reading(ColumnRules(categorical_features=[1]), np.float32, "Net")
    X = as_table([[1, "a"], [2.5, None]], reading)
    assert X.tolist() == [[1, "a"], [2.5, None]]
    matrix, columns = read_matrix(X, reading)
    assert matrix.tolist() == [[1, 0], [2.5, 1]]
    assert columns.n_categories == (0, 3)


@pytest.mark.parametrize("build", [np.asarray, np.ndarray.tolist, pd.DataFrame])
def test_words_of_an_array_are_categories_as_those_of_a_frame(build):
    X = np.array([["Ulm", 1, "7"], ["Bonn", 2.5, "8"], [None, 3, "7"]], dtype=object)
    reading = Reading(ColumnRules(), np.float32, "Net")
    matrix, columns = read_matrix(as_table(build(X), reading), reading)
    is_frame = build is pd.DataFrame
    assert columns.n_categories == (4, 0, 4 if is_frame else 0)
    assert matrix[:, :2].tolist() == [[1, 1], [0, 2.5], [2, 3]]
    # NumPy takes words that are all numbers for numbers, and so does scikit-learn
    assert matrix[:, 2].tolist() == ([0, 1, 0] if is_frame else [7, 8, 7])
    later = Reading(columns, np.float32, "Net")
    again, _ = read_matrix(as_table(build(X[::-1]), later), later)
    np.testing.assert_array_equal(again, matrix[::-1])


@pytest.mark.parametrize("build", [np.asarray, np.ndarray.tolist])
def test_words_that_are_not_to_be_categories_are_named(build):
    X = build(np.array([["Ulm", 1], ["Bonn", 2]], dtype=object))
    for columns, cure in (
        (ColumnRules(None), "OneHotEncoder"),
        (ColumnRules([1]), "OneHotEncoder"),
        (Columns(), "held numbers in fit: give numbers"),
    ):
        reading = Reading(columns, np.float32, "Net")
        message = rf"not numeric: \[0\], such as 'Ulm'.*{cure}"
        with pytest.raises(ValueError, match=message):
            read_matrix(as_table(X, reading), reading)


def test_list_of_dicts_is_named():
    with pytest.raises(ValueError, match=r"list of dicts; pandas.DataFrame\(X\) makes"):
        as_table([{"amount": 1.0}], Reading(ColumnRules(), np.float32, "Net"))


@pytest.mark.parametrize(
    ("words", "cure", "numbers"),
    [
        (["12.50", "1,234.50"], "column.str.replace(',', '')", [12.5, 1234.5]),
        (["a lot", "€ 2.50"], "column.str.replace('[ €]', '', regex=True)", [0, 2.5]),
        (["12 EUR", "7"], "column", [0, 7]),
    ],
)
def test_cure_of_words_keeps_what_is_a_number(words, cure, numbers):
    reading = Reading(Columns(), np.float32, "Net")
    with pytest.raises(ValueError, match="held numbers in fit") as caught:
        read_matrix(as_table(pd.DataFrame({"amount": words}), reading), reading)
    cure = f"pd.to_numeric({cure}, errors='coerce')"
    assert f"such as by {cure})" in str(caught.value)
    found = eval(cure, {"pd": pd, "column": pd.Series(words)})
    assert found.fillna(0).tolist() == numbers


@pytest.mark.parametrize("dtype", [np.float32, np.float64, int, object, "<U3"])
def test_masked_values_are_gaps(dtype):
    hidden = np.array([[1, 9], [2, 9], [3, 4]]).astype(dtype)
    X = np.ma.array(hidden, mask=[[0, 1], [0, 1], [0, 0]])
    reading = Reading(ColumnRules(missing=True), np.float32, "Net")
    expected = [[1, np.nan], [2, np.nan], [3, 4]]
    matrix, columns = read_matrix(as_table(X, reading), reading)
    np.testing.assert_array_equal(matrix, expected)
    (block,) = matrix_blocks(X, Reading(columns, np.float32, "Net"))
    np.testing.assert_array_equal(block, expected)
    assert X.mask.sum() == 2
    with pytest.raises(ValueError, match=r"missing values: \[1\]"):
        matrix_of(X, np.float32)


def test_masked_words_are_missing():
    X = np.ma.array([["a", "b"], ["c", "b"]], mask=[[1, 0], [0, 0]])
    reading = Reading(ColumnRules(), np.float32, "Net")
    matrix, columns = read_matrix(as_table(X, reading), reading)
    assert columns.levels[0].values == ("c",)
    assert matrix[:, 0].tolist() == [1, 0]


def test_a_mask_of_nothing_costs_no_copy():
    X = np.ma.array(np.eye(3, dtype=np.float32))
    assert np.shares_memory(matrix_of(X, np.float32), X)


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
def test_dates_are_not_taken_for_numbers(X):
    with pytest.raises(ValueError, match=r"dates or times.*days since"):
        matrix_of(X, np.float64)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("imbalnet._tables.features._BLOCK_ROWS", 4)


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
    "sparse frame without NaN": lambda X: pd.DataFrame(X).astype("Sparse[float]"),
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
def test_blocks_are_the_matrix_in_parts(small_blocks, rng, build, n_rows, dtype):
    X = build(10 * rng.normal(size=(n_rows, 3)) * rng.integers(0, 2, size=(n_rows, 3)))
    matrix = matrix_of(X, dtype)
    blocks = list(blocks_of(X, dtype))
    assert {block.dtype for block in blocks} == {np.dtype(dtype)}
    assert {type(block) for block in blocks} == {type(matrix)}
    np.testing.assert_array_equal(
        np.concatenate([dense(block) for block in blocks]), dense(matrix)
    )


@pytest.mark.parametrize("name", TABLES)
def test_blocks_have_so_many_rows_where_cutting_is_cheap(small_blocks, rng, name):
    blocks = blocks_of(TABLES[name](rng.normal(size=(10, 3))), np.float32)
    sizes = [10] if name == "CSC" else [4, 4, 2]
    assert [len(dense(block)) for block in blocks] == sizes


@pytest.mark.parametrize("n_rows", [3, 4, 11])
@pytest.mark.parametrize("kind", ["array", "memory map", "read-only"])
def test_blocks_of_fitting_rows_are_no_copies(
    small_blocks, rng, tmp_path, kind, n_rows
):
    X = rng.normal(size=(n_rows, 3)).astype(np.float32)
    if kind == "memory map":
        X.tofile(tmp_path / "X")
        X = np.memmap(tmp_path / "X", np.float32, mode="r", shape=X.shape)
    X.flags.writeable = kind == "array"
    blocks = list(blocks_of(X, np.float32))
    assert all(np.shares_memory(block, X) for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), X)


def test_a_memory_map_of_another_dtype_is_copied_block_by_block(
    small_blocks, rng, tmp_path
):
    X = rng.normal(size=(11, 3))
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", np.float64, mode="r", shape=X.shape)
    blocks = list(blocks_of(mapped, np.float32))
    assert all(block.base is None or len(block.base) <= 4 for block in blocks)
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
def test_a_gap_in_a_late_block_is_named(small_blocks, rng, build, message):
    X = rng.normal(size=(11, 3))
    X[9, 1] = np.nan
    blocks = blocks_of(build(X), np.float64)
    assert [len(dense(next(blocks))) for _ in "ab"] == [4, 4]
    with pytest.raises(ValueError, match=message):
        next(blocks)


def test_a_word_in_a_late_block_is_named(small_blocks, rng):
    frame = pd.DataFrame(rng.normal(size=(11, 3)), columns=["a", "odd", "c"])
    frame = frame.astype({"odd": object})
    frame.loc[9, "odd"] = "nine"
    with pytest.raises(ValueError, match=r"not numeric: \['odd'\], such as 'nine'"):
        list(blocks_of(frame, np.float64))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(11), "Reshape your data"),
        (list(range(11)), "Reshape your data"),
        (3.0, "must be a table"),
        (np.zeros((2, 3, 4)), "Found array with dim 3"),
        (np.zeros((0, 3)), "Found array with 0 sample"),
        (pd.DataFrame(np.zeros((0, 3))), "Found array with 0 sample"),
        (
            np.full((11, 3), "2026-01-01", dtype="datetime64[D]"),
            r"dates or times.*days since",
        ),
    ],
    ids=["1d", "list", "scalar", "3d", "empty", "empty frame", "dates"],
)
def test_what_is_no_matrix_is_rejected(small_blocks, X, message):
    with pytest.raises(ValueError, match=message):
        next(blocks_of(X, np.float32))

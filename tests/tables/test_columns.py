"""Columns of tables as numbers and codes."""

from __future__ import annotations

import datetime
import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from imbalnet._tables import ColumnRules, Columns
from imbalnet._tables.levels import Levels, is_missing
from imbalnet._tables.readers import ArrayReader, dictionary_of, reader_of

N_ROWS = 12


@pytest.fixture
def words():
    """Ten rows of three words, one missing, one that stands alone."""
    return ["b", "a", None, "b", "c", "a", "a", "b", "b", "a", "a", "b"]


def as_pandas(columns):
    return pd.DataFrame(columns)


FRAMES = {
    "pandas": as_pandas,
    "pandas, Arrow": lambda columns: pa.table(columns).to_pandas(
        types_mapper=pd.ArrowDtype
    ),
    "polars": lambda columns: pl.DataFrame(columns),
    "Arrow": pa.table,
    "Arrow in chunks": lambda columns: pa.concat_tables(
        [pa.table(columns)[:5], pa.table(columns)[5:5], pa.table(columns)[5:]]
    ),
}
all_frames = pytest.mark.parametrize("build", FRAMES.values(), ids=FRAMES)


def fitted(X, features="from_dtype", dtype=np.float64, **takes):
    reader = reader_of(X) or ArrayReader(X)
    return ColumnRules(features, **takes).read(reader, dtype)


def encoded(columns, X, dtype=np.float64):
    return columns.read(reader_of(X) or ArrayReader(X), dtype)[0]


# -- levels --------------------------------------------------------------------------


def test_levels_are_sorted_numbers_before_words():
    levels = Levels.of(["b", 10, None, "a", 2.5, float("nan"), True, pd.NA, pd.NaT])
    assert levels.values == (True, 2.5, 10, "a", "b")
    assert levels.n_codes == 7


def test_levels_compare_as_python_does():
    levels = Levels.of([1, "1"])
    positions = np.array([0, 1, 2, 3, 4, -1])
    codes = levels.codes(positions, levels.places([1.0, "1", True, np.nan, 7]))
    assert codes.tolist() == [0, 1, 0, 2, 3, 2]


def test_levels_pickle():
    levels = Levels.of(["a", 1, Decimal("2.5")])
    levels.places(["a"])
    assert pickle.loads(pickle.dumps(levels)) == levels


@pytest.mark.parametrize(
    "value", [None, np.nan, float("nan"), np.float32("nan"), pd.NA, Decimal("nan")]
)
def test_missing_values_are_known(value):
    assert is_missing(value)


FORMS = {
    "int as words": ([1, 2, 30], ["1", " 2 ", "30.0", "3", "one"], [0, 1, 2, 4, 4]),
    "words as int": (["1", "2", "30"], [1, 2.0, np.int8(30), True, 3], [0, 1, 2, 0, 4]),
    "floats as words": ([0.5, 1.0], ["0.50", "1", "5e-1", ".5"], [0, 1, 0, 0]),
    "words as floats": (["0.5", "1.0"], [0.5, Decimal("1.0"), 1, 0.25], [0, 1, 1, 3]),
    "leading zeros": (["01", "02", "10"], [1, "2", 10.0, "010"], [0, 1, 2, 2]),
    "long numbers": ([2**60, 2**60 + 1], [str(2**60 + 1), "7"], [1, 3]),
    "bool as words": (
        [False, True],
        ["True", "false", "TRUE ", "1", "yes"],
        [1, 0, 1, 1, 3],
    ),
    "words as bool": (
        ["False", "True"],
        [True, False, np.bool_(True), 1],
        [1, 0, 1, 3],
    ),
    "codes as bool": (["0", "1"], [True, False], [1, 0]),
    "padding and case": ([" A ", "b"], ["A", "a", "B", " b", "ab"], [0, 0, 1, 1, 3]),
    "blanks": ([" ", "a"], ["", "  ", "A"], [0, 0, 1]),
    "intervals": (list(pd.interval_range(0, 2)), ["(0, 1]", "(1, 2]"], [0, 1]),
    "exact first": (["a", "A", 1, "1"], ["a", "A", 1, "1"], [3, 2, 0, 1]),
    "in doubt unseen": (["a", "A", 1, "1"], [" a", "A ", "1.0", True], [5, 5, 5, 0]),
}


@pytest.mark.parametrize("name", FORMS)
def test_values_are_levels_that_are_written_alike(name):
    fitted_to, values, expected = FORMS[name]
    levels = Levels.of(fitted_to)
    sorted_to = [levels.values[code] for code in range(len(fitted_to))]
    if name not in ("exact first", "in doubt unseen"):
        assert sorted_to == fitted_to
    assert levels.places(values).tolist() == expected


def test_forms_are_compared_value_by_value_not_row_by_row(monkeypatch):
    levels, asked = Levels.of(["1", "2"]), []
    monkeypatch.setattr(
        "imbalnet._tables.levels.normal_forms",
        lambda value: asked.append(value) or [str(value)],
    )
    X = np.repeat([["1"], ["2"], ["3"], ["4"]], 1000, axis=0).astype(object)
    _, values = dictionary_of(X[:, 0])
    assert levels.places(values).tolist() == [0, 1, 3, 3]
    assert len(asked) <= 4


@pytest.mark.parametrize("fit_on", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("build", FRAMES.values(), ids=FRAMES)
def test_codes_in_another_dtype_are_the_same_levels(fit_on, build):
    whole = [1, 2, 2, 1] * 3
    words, floats = [str(v) for v in whole], [float(v) for v in whole]
    _, columns = fitted(fit_on({"w": words}))
    for later in (whole, floats):
        X = build({"w": later})
        assert encoded(columns, X).ravel().tolist() == [v - 1 for v in whole]
    _, columns = fitted(fit_on({"w": ["True", "False"] * 6}))
    assert (
        encoded(columns, build({"w": [True, False] * 6})).ravel().tolist() == [1, 0] * 6
    )


def test_mixed_kinds_have_an_order():
    interval = pd.Interval(0, 1)
    levels = Levels.of([("x", 1), interval, "a", b"a", 3])
    assert levels.values[:2] == (3, "a")
    assert set(levels.values[2:]) == {("x", 1), interval, b"a"}


@pytest.mark.parametrize(
    "column",
    [
        np.array([3, 1, 3, 2]),
        np.array([3.0, np.nan, 3.0, -1.0]),
        np.array([0.5, np.nan, np.inf, 0.5]),
        np.array([1e300, 1, 2, 1]),
        np.array([2**62, 2**62 + 1, 0, 2**62]),
        np.array([True, False, True, True]),
        np.array(["a", "b", "a", "c"]),
        np.array(["a", 1, None, "a"], dtype=object),
        np.array([250, 0, 3, 3], dtype=np.uint8),
        np.array([-128, 127, 0, 1], dtype=np.int8),
        np.array([]),
    ],
    ids=lambda column: f"{column.dtype}",
)
def test_dictionary_gives_the_column_back(column):
    positions, values = dictionary_of(column)
    values = [*values, None]
    for got, wanted in zip(
        [values[i] for i in positions], column.tolist(), strict=True
    ):
        assert got == wanted or (is_missing(got) and is_missing(wanted))


# -- dtypes of frames ----------------------------------------------------------------


@all_frames
def test_words_are_codes_of_their_order(build, words):
    X = build({"n": np.arange(12.0), "w": words})
    matrix, columns = fitted(X)
    assert columns.n_categories == (0, 5)
    assert columns.levels[1].values == ("a", "b", "c")
    codes = {"a": 0, "b": 1, "c": 2, None: 3}
    assert matrix[:, 1].tolist() == [codes[word] for word in words]
    np.testing.assert_array_equal(matrix[:, 0], np.arange(12))
    np.testing.assert_array_equal(encoded(columns, X), matrix)


@all_frames
@pytest.mark.parametrize("fit_on", FRAMES.values(), ids=FRAMES)
def test_what_was_not_seen_has_a_code_of_its_own(fit_on, build):
    _, columns = fitted(fit_on({"w": ["b", "a"]}))
    later = build({"w": ["c", None, "a", "b"]})
    assert encoded(columns, later).ravel().tolist() == [3, 2, 0, 1]


WORDS = {
    "category": lambda words: pd.DataFrame({"w": pd.Categorical(words)}),
    "object": lambda words: pd.DataFrame({"w": words}, dtype=object),
    "str": lambda words: pd.DataFrame({"w": pd.Series(words, dtype="str")}),
    "string": lambda words: pd.DataFrame({"w": pd.array(words, dtype="string")}),
    "Arrow string": lambda words: pd.DataFrame(
        {"w": pd.array(words, dtype=pd.ArrowDtype(pa.string()))}
    ),
    "Arrow dictionary": lambda words: pa.table(
        {"w": pa.array(words).dictionary_encode()}
    ).to_pandas(types_mapper=pd.ArrowDtype),
    "polars String": lambda words: pl.DataFrame({"w": words}),
    "polars Categorical": lambda words: pl.DataFrame(
        {"w": pl.Series(words, dtype=pl.Categorical)}
    ),
    "polars Object": lambda words: pl.DataFrame(
        {"w": pl.Series(words, dtype=pl.Object)}
    ),
    "table of strings": lambda words: pa.table({"w": pa.array(words)}),
    "large strings": lambda words: pa.table({"w": pa.array(words, pa.large_string())}),
    "dictionary": lambda words: pa.table({"w": pa.array(words).dictionary_encode()}),
    "dictionaries in chunks": lambda words: pa.concat_tables(
        [
            pa.table({"w": pa.array(words[:4]).dictionary_encode()}),
            pa.table({"w": pa.array(words[4:]).dictionary_encode()}),
        ]
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", WORDS)
def test_every_dtype_of_words_gives_the_same_bits(name, words, dtype):
    plain, known = fitted(WORDS["object"](words), dtype=dtype)
    X = WORDS[name](words)
    matrix, columns = fitted(X, dtype=dtype)
    assert columns == known
    assert matrix.dtype == dtype
    np.testing.assert_array_equal(matrix, plain)
    np.testing.assert_array_equal(encoded(known, X, dtype), plain)


LONG = [2**60, None, 2**60 + 1, 2**60]  # the same as floats
EXACT = {
    "nullable": lambda: pd.DataFrame({"id": pd.array(LONG, dtype="Int64")}),
    "Arrow": lambda: pa.table({"id": LONG}),
    "polars": lambda: pl.DataFrame({"id": LONG}),
    "polars, 128 bits": lambda: pl.DataFrame({"id": LONG}, schema={"id": pl.Int128}),
    "polars decimal": lambda: pl.DataFrame(
        {"id": LONG}, schema={"id": pl.Decimal(30, 0)}
    ),
}


@pytest.mark.parametrize("build", EXACT.values(), ids=EXACT)
def test_long_numbers_with_gaps_remain_distinct_categories(build):
    codes, columns = fitted(build(), ["id"])
    assert columns.n_categories == (4,)  # with those for missing and unknown values
    np.testing.assert_array_equal(codes[:, 0], [0, 2, 1, 0])


NUMBERS = {
    "bool": ([True, False], [1, 0]),
    "nullable bool": (pd.array([True, None], dtype="boolean"), [1, np.nan]),
    "nullable integer": (pd.array([3, None], dtype="Int64"), [3, np.nan]),
    "nullable float": (pd.array([0.5, None], dtype="Float64"), [0.5, np.nan]),
    "Arrow bool": (
        pd.array([True, None], dtype=pd.ArrowDtype(pa.bool_())),
        [1, np.nan],
    ),
    "Arrow integer": (
        pd.array([3, None], dtype=pd.ArrowDtype(pa.int64())),
        [3, np.nan],
    ),
    "object": (np.array([1.5, None], dtype=object), [1.5, np.nan]),
    "object, NA": (np.array([2, pd.NA], dtype=object), [2, np.nan]),
    "object, bool": (np.array([True, None], dtype=object), [1, np.nan]),
    "decimal": (np.array([Decimal("2.5"), None], dtype=object), [2.5, np.nan]),
    "polars bool": (pl.Series([True, None]), [1, np.nan]),
    "polars integer": (pl.Series([3, None]), [3, np.nan]),
    "polars decimal": (pl.Series([Decimal("2.5"), None]), [2.5, np.nan]),
    "polars object": (pl.Series([1, None], dtype=pl.Object), [1, np.nan]),
    "decimal and float": (np.array([Decimal("2.5"), 1.5], dtype=object), [2.5, 1.5]),
    "Arrow decimal": (
        pd.array([Decimal("2.5"), None], dtype=pd.ArrowDtype(pa.decimal128(4, 1))),
        [2.5, np.nan],
    ),
    "polars object, decimal": (
        pl.Series([Decimal("2.5"), None], dtype=pl.Object),
        [2.5, np.nan],
    ),
    "polars, 128 bits": (pl.Series([3, 2], dtype=pl.Int128), [3, 2]),
    "sparse, without NaN": (pd.arrays.SparseArray([2.5, np.nan]), [2.5, np.nan]),
    "sparse, without 1": (pd.arrays.SparseArray([1, 3], fill_value=1), [1, 3]),
    "table, bool": (pa.array([True, None]), [1, np.nan]),
    "table, bool without gaps": (pa.array([True, False]), [1, 0]),
    "table, integer": (pa.array([3, None]), [3, np.nan]),
    "table, decimal": (pa.array([Decimal("2.5"), None]), [2.5, np.nan]),
    "table, float": (pa.array([0.5, 2.5]), [0.5, 2.5]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_with_gaps_are_numbers(name):
    values, expected = NUMBERS[name]
    build = {"polars": pl.DataFrame, "pyarrow": pa.table}
    library = type(values).__module__.split(".")[0]
    matrix, columns = fitted(build.get(library, pd.DataFrame)({"x": values}))
    assert not columns.names_categories
    np.testing.assert_array_equal(matrix[:, 0], expected)


EMPTY = {
    "object": pd.DataFrame({"x": [None, None]}, dtype=object),
    "category": pd.DataFrame({"x": pd.Categorical([None, None])}),
    "polars": pl.DataFrame({"x": [None, None]}),
    "Arrow": pa.table({"x": [None, None]}),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_column_of_nothing_may_hold_anything_later(name):
    matrix, columns = fitted(EMPTY[name])
    assert columns.n_categories == (2,)
    assert matrix.ravel().tolist() == [0, 0]
    assert encoded(columns, pl.DataFrame({"x": ["a", None]})).ravel().tolist() == [1, 0]
    assert encoded(columns, pd.DataFrame({"x": [0.5]})).ravel().tolist() == [1]


@pytest.mark.parametrize("name", EMPTY)
def test_a_column_of_numbers_may_have_no_value_later(name):
    _, columns = fitted(pd.DataFrame({"x": [1.0], "w": ["a"]}))
    if name == "polars":
        later = EMPTY[name].with_columns(w=pl.lit("a"))
    elif name == "Arrow":
        later = EMPTY[name].append_column("w", pa.array(["a", "a"]))
    else:
        later = EMPTY[name].assign(w="a")
    assert np.isnan(encoded(columns, later)[:, 0]).all()


WIDE_DTYPES = {
    "pandas category": lambda words, all_words: pd.DataFrame(
        {"w": pd.Categorical(words, categories=all_words)}
    ),
    "pandas ordered": lambda words, all_words: pd.DataFrame(
        {"w": pd.Categorical(words, categories=all_words, ordered=True)}
    ),
    "polars enum": lambda words, all_words: pl.DataFrame(
        {"w": pl.Series(words, dtype=pl.Enum(all_words))}
    ),
    "arrow dictionary": lambda words, all_words: pa.table(
        {
            "w": pa.DictionaryArray.from_arrays(
                pa.array(
                    [None if word is None else all_words.index(word) for word in words],
                    pa.int32(),
                ),
                all_words,
            )
        }
    ),
}


@pytest.mark.parametrize("words", [["w7", None, "w9", "w7"], [None], ["w0"], []])
@pytest.mark.parametrize("name", WIDE_DTYPES)
def test_values_that_no_row_has_are_not_read(name, words):
    frame = WIDE_DTYPES[name](words, [f"w{i}" for i in range(50)])
    reader = reader_of(frame)
    positions, values = reader.occurring(0)
    found = [None if place < 0 else values[place] for place in positions.tolist()]
    assert found == words
    assert sorted(values) == sorted({word for word in words if word is not None})


def test_categories_that_no_row_has_are_no_levels():
    X = pd.DataFrame({"w": pd.Categorical(["b", "a"], categories=["z", "b", "a"])})
    _, columns = fitted(X)
    assert columns.levels[0].values == ("a", "b")


def test_numbers_as_categories_are_compared_by_value():
    X = pd.DataFrame({"k": pd.Categorical([10, 30, 20, 10])})
    matrix, columns = fitted(X)
    assert matrix.ravel().tolist() == [0, 2, 1, 0]
    for later in (
        pd.DataFrame({"k": [20.0, np.nan, 11.0]}),
        pd.DataFrame({"k": pd.array([20, None, 11], dtype="Int64")}),
        pl.DataFrame({"k": [20, None, 11]}),
        pa.table({"k": [20, None, 11]}),
        np.array([[20], [None], [11]], dtype=object),
    ):
        assert encoded(columns, later).ravel().tolist() == [1, 3, 4]
    assert encoded(columns, pd.DataFrame({"k": ["20", "2"]})).ravel().tolist() == [1, 4]


def test_mixed_columns_are_categories():
    X = pd.DataFrame({"m": [1, "a", 2.5, "1", None]}, dtype=object)
    matrix, columns = fitted(X)
    assert columns.levels[0].values == (1, 2.5, "1", "a")
    assert matrix.ravel().tolist() == [0, 3, 1, 2, 4]


# -- ordered categories ----------------------------------------------------------------

SIZES = ["tiny", "small", "large", "huge"]  # in another order than the alphabet
SEEN = ["small", None, "huge", "tiny", "small"]


def ordered_frame(words=SEEN):
    return pd.DataFrame({"w": pd.Categorical(words, SIZES, ordered=True)})


ORDERED = {
    "pandas": lambda words: ordered_frame(words),
    "pandas, Arrow": lambda words: pa.Table.from_pandas(ordered_frame(words)).to_pandas(
        types_mapper=pd.ArrowDtype
    ),
    "Arrow": lambda words: pa.Table.from_pandas(ordered_frame(words)),
    "Arrow in chunks": lambda words: pa.concat_tables(
        [
            pa.Table.from_pandas(ordered_frame(words[:2])),
            pa.Table.from_pandas(ordered_frame(words[2:])),
        ]
    ),
    "polars Enum": lambda words: pl.DataFrame(
        {"w": pl.Series(words, dtype=pl.Enum(SIZES))}
    ),
}
PLAIN = {
    name: WORDS[name] for name in ("category", "object", "string", "polars String")
}


@pytest.mark.parametrize("build", ORDERED.values(), ids=ORDERED)
def test_ordered_categories_are_their_place_in_the_order(build):
    """Levels that no row has count too: the dtype declares them."""
    matrix, columns = fitted(build(SEEN))
    assert columns.n_categories == ()
    assert columns.levels[0].values == tuple(SIZES)
    np.testing.assert_array_equal(matrix.ravel(), [1, np.nan, 3, 0, 1])


@pytest.mark.parametrize("later", (ORDERED | PLAIN).values(), ids=ORDERED | PLAIN)
@pytest.mark.parametrize("build", ORDERED.values(), ids=ORDERED)
def test_an_order_is_kept_by_label_whatever_comes(build, later):
    _, columns = fitted(build(SEEN))
    words = ["huge", "large", None, "tiny"]
    np.testing.assert_array_equal(
        encoded(columns, later(words)).ravel(), [3, 2, np.nan, 0]
    )


def test_an_order_of_its_own_does_not_matter_later():
    _, columns = fitted(ordered_frame())
    other = pd.Categorical(["huge", "vast", " Tiny"], ["vast", "huge", " Tiny"])
    for X in (other, other.as_ordered()):
        found = encoded(columns, pd.DataFrame({"w": X})).ravel()
        np.testing.assert_array_equal(found, [3, np.nan, 0])


@pytest.mark.parametrize("build", ORDERED.values(), ids=ORDERED)
def test_what_is_named_a_category_has_no_order(build):
    matrix, columns = fitted(build(SEEN), ["w"])
    assert columns.n_categories == (5,)
    assert columns.levels[0].values == ("huge", "small", "tiny")
    assert matrix.ravel().tolist() == [1, 3, 0, 2, 1]


def test_an_order_holds_beside_named_categories_and_where_there_are_none():
    X = ordered_frame().assign(city=list("ababa"), n=range(5))
    _, columns = fitted(X, ["city"])
    assert columns.n_categories == (0, 4, 0)
    for features in (None, []):
        matrix, columns = fitted(X[["w", "n"]], features)
        assert columns.n_categories == ()
        np.testing.assert_array_equal(matrix[:, 0], [1, np.nan, 3, 0, 1])
        numbers = pd.Categorical([10, 30, 20], [30, 20, 10], ordered=True)
        matrix, columns = fitted(pd.DataFrame({"k": numbers}), features)
        assert columns == Columns()
        assert matrix.ravel().tolist() == [10, 30, 20]
    matrix, _ = fitted(pd.DataFrame({"k": numbers}))
    assert matrix.ravel().tolist() == [2, 0, 1]


def test_a_network_of_numbers_takes_an_order():
    X = ordered_frame(["small", "huge"])
    matrix, _ = fitted(X, categories=False, module="Net")
    assert matrix.ravel().tolist() == [1, 3]


def test_intervals_are_ordered():
    bins = pd.cut([1.0, 50.0, 9.0, 1.5], [0, 2, 10, 100])
    for values in (bins, pd.arrays.IntervalArray(bins)):
        X = pd.DataFrame({"bin": values})
        matrix, columns = fitted(X)
        assert columns.n_categories == ()
        assert matrix.ravel().tolist() == [0, 2, 1, 0]
        for later in (X, X.astype(str)):
            assert encoded(columns, later[::-1]).ravel().tolist() == [0, 1, 2, 0]
    assert fitted(X, [0])[1].n_categories == (5,)


def test_rows_that_do_not_count_are_no_intervals():
    X = pd.DataFrame({"bin": pd.arrays.IntervalArray.from_breaks([0, 2, 5, 9])})
    matrix, _ = ColumnRules().read(reader_of(X), np.float64, np.array([0, 2]))
    assert matrix[[0, 2], 0].tolist() == [0, 1]


def test_ordered_categories_go_into_a_frame_and_back():
    X = ordered_frame().assign(n=range(5))
    matrix, columns = fitted(X)
    frame = columns.to_frame(matrix, ["w", "n"], X.index)
    pd.testing.assert_series_equal(frame["w"], X["w"])
    np.testing.assert_array_equal(encoded(columns, frame), matrix)


NO_VALUES = {
    "lists": pd.DataFrame({"odd": [[1], [2]]}),
    "polars lists": pl.DataFrame({"odd": [[1], [2]]}),
    "structs": pa.table({"odd": [{"a": 1}, {"a": 2}]}),
}
UNUSABLE = {
    "complex": pd.DataFrame({"odd": [1j, 2j]}),
    "bytes": pa.table({"odd": pa.array([b"a", b"b"])}),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_neither_number_nor_category_is_named(name):
    with pytest.raises(ValueError, match=r"not numeric: \['odd'\].*OneHotEncoder"):
        fitted(UNUSABLE[name])


@pytest.mark.parametrize("name", NO_VALUES)
def test_what_is_no_single_value_is_named(name):
    with pytest.raises(TypeError, match=r"not numeric: \['odd'\].*derive"):
        fitted(NO_VALUES[name])


DATES = [datetime.date(2026, 1, 1), None]


@pytest.mark.parametrize(
    "X",
    [
        pd.DataFrame({"when": DATES}, dtype=object),
        pd.DataFrame({"when": pd.Categorical(pd.to_datetime(DATES))}),
        pd.DataFrame({"when": [datetime.time(3), datetime.time(4)]}),
        pd.DataFrame({"when": [datetime.timedelta(3)] * 2}, dtype=object),
        pl.DataFrame({"when": pl.Series(DATES, dtype=pl.Object)}),
        pa.table({"when": pa.array(DATES).dictionary_encode()}),
    ],
    ids=["object", "category", "times", "durations", "polars", "Arrow"],
)
def test_dates_as_categories_are_rejected(X):
    with pytest.raises(ValueError, match=r"dates or times: \['when'\].*days since"):
        fitted(X)


def test_high_cardinality_keeps_every_level_apart():
    words = [f"id {i}" for i in range(700)]
    with pytest.warns(UserWarning, match="most rows have a value of their own"):
        matrix, columns = fitted(pd.DataFrame({"id": words}))
    assert columns.n_categories == (702,)
    assert len(np.unique(matrix)) == 700


def test_rows_that_do_not_count_have_no_levels():
    X = pd.DataFrame({"n": [0, 1, 2, 3], "w": ["c", "a", None, "b"]})
    used = np.array([0, 2, 3])
    matrix, columns = ColumnRules().read(reader_of(X), np.float64, used)
    assert columns.levels[1].values == ("b", "c")
    assert matrix[:, 1].tolist() == [1, 3, 2, 0]
    expected, alone = fitted(X.iloc[used])
    assert alone == columns
    np.testing.assert_array_equal(matrix[used], expected)


def test_columns_go_into_a_frame_and_back():
    X = pd.DataFrame({"n": [0.5, 1.5, np.nan], "w": ["b", None, "a"], "k": [3, 1, 3]})
    matrix, columns = fitted(X, ["w", "k"])
    frame = columns.to_frame(matrix, ["n", "w", "k"], X.index)
    assert frame.dtypes.astype(str).tolist() == ["float64", "category", "category"]
    assert frame["w"].isna().tolist() == [False, True, False]
    np.testing.assert_array_equal(encoded(columns, frame), matrix)


# -- categorical_features ------------------------------------------------------------


@pytest.fixture
def numbers():
    return np.array([[1.0, 20, 0.5], [2.0, 10, 0.5], [1.0, np.nan, 1.5]])


@pytest.mark.parametrize(
    "features",
    [
        [1, 2],
        (2, 1),
        np.array([1, 2], dtype=np.uint8),
        [False, True, True],
        np.array([False, True, True]),
        ["b", "c"],
        np.array(["c", "b"]),
        np.array(["c", "b"], dtype=object),
        pd.Index(["b", "c"]),
    ],
    ids=str,
)
def test_categories_are_told_by_name_position_or_mask(features, numbers):
    frame = pd.DataFrame(numbers, columns=list("abc"))
    by_name = isinstance(np.asarray(features).tolist()[0], str)
    for X in (frame, pl.from_pandas(frame), *(() if by_name else (numbers,))):
        matrix, columns = fitted(X, features)
        assert columns.n_categories == (0, 4, 4)
        assert matrix.tolist() == [[1, 1, 0], [2, 0, 0], [1, 2, 1]]


@pytest.mark.parametrize("features", ["from_dtype", None, [], [False] * 3])
def test_no_categories_leave_numbers(features, numbers):
    for X in (numbers, pd.DataFrame(numbers)):
        matrix, columns = fitted(X, features)
        assert columns == Columns()
        np.testing.assert_array_equal(matrix, numbers)


def test_none_takes_categories_for_numbers():
    X = pd.DataFrame({"k": pd.Categorical([10, 30, 10])})
    matrix, columns = fitted(X, None)
    assert matrix.ravel().tolist() == [10, 30, 10]
    assert not columns.names_categories
    with pytest.raises(ValueError, match=r"not numeric: \['w'\]"):
        fitted(pd.DataFrame({"w": ["a", "b"]}), None)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([3], r"categorical_features=\[3\] .*from 0 to 2"),
        ([-1], r"from 0 to 2"),
        ([True, False], "mask of 2 columns, but X has 3"),
        (["a", "z"], r"does not have: \['z'\]; known are \['a', 'b', 'c'\]"),
        ([0.5], "list of column names or of positions, or a mask"),
        ([[0, 1]], "list of column names"),
        (["a", 1.5], r"does not have|list of column names"),
    ],
)
def test_categories_that_are_not_there_are_named(features, message, numbers):
    with pytest.raises(ValueError, match=message):
        fitted(pd.DataFrame(numbers, columns=list("abc")), features)


def test_names_need_names(numbers):
    for X in (numbers, pd.DataFrame(numbers)):
        with pytest.raises(ValueError, match=r"\['a'\] names columns, .* no names"):
            fitted(X, ["a"])


def test_words_that_nobody_called_categories_are_named():
    X = pd.DataFrame({"a": ["x", "y"], "b": ["x", "y"]})
    with pytest.raises(ValueError, match=r"numeric: \['b'\].*categorical_features"):
        fitted(X, ["a"])


def test_a_network_of_numbers_takes_no_categories():
    with pytest.raises(ValueError, match=r"categories: \['w'\], but module=Net takes"):
        fitted(pd.DataFrame({"w": ["x"]}), categories=False, module="Net")


def test_many_names_are_cut():
    X = pd.DataFrame({f"c{i}": ["a"] for i in range(30)})
    with pytest.raises(ValueError, match=r"'c9', ...\] \(20 more\)"):
        fitted(X, None)

"""Warnings about columns that are not what they seem, in fit and in prediction."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from imbalnet import BalancedNeuralClassifier
from imbalnet._tables import (
    ColumnRules,
    Reading,
    as_table,
    matrix_blocks,
    read_rows,
)

N_ROWS = 200


@pytest.fixture
def fine(rng):
    """A frame about which there is nothing to say."""
    frame = {
        "x": rng.normal(size=N_ROWS),
        "city": rng.choice(["Bonn", "Ulm", "Kiel"], N_ROWS),
        "month": rng.integers(1, 13, N_ROWS).astype(str),
        "is_new": rng.choice(["yes", "no"], N_ROWS),
        "gaps": np.where(rng.random(N_ROWS) < 0.5, np.nan, 1.0),
        "size": rng.choice(["1.5", "2.0", "3.0"], N_ROWS),
        "zip": pd.Categorical(rng.integers(10_000, 10_050, N_ROWS).astype(str)),
        "plate": [f"0{i}" for i in rng.integers(10, 60, N_ROWS)],
    }
    return pd.DataFrame(frame)


def reading(columns=None):
    return Reading(columns or ColumnRules(missing=True), np.float32, "Net")


def rows_of(X, columns=None, weight=None):
    y = np.arange(len(X)) % 2
    how = reading(columns)
    return read_rows(as_table(X, how), y, weight, how, None)[0]


def warnings_of(X, columns=None, weight=None):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows_of(X, columns, weight)
    return [str(warning.message) for warning in caught]


BUILD = {
    "pandas": lambda X: X,
    "polars": pl.from_pandas,
    "Arrow": pa.Table.from_pandas,
    "objects": lambda X: X.to_numpy(dtype=object),
}
all_tables = pytest.mark.parametrize("build", BUILD.values(), ids=BUILD)


@all_tables
def test_there_is_nothing_to_say_about_ordinary_columns(build, fine):
    assert warnings_of(build(fine)) == []


def amounts(n, form="{:,.2f}"):
    return [form.format(1.5 * i + 900) for i in range(n)]


NUMBERS = {
    "thousands": (amounts(N_ROWS), "str.replace(',', '')"),
    "padded": (amounts(N_ROWS, "{:.2f} "), "to_numeric(X['odd'], errors="),
    "percent": (amounts(N_ROWS, "{:.1f}%"), "str.replace('%', '')"),
    "currency": (amounts(N_ROWS, "${:.2f}"), "str.replace('$', '')"),
    "decimal comma": (
        [word.replace(".", ",") for word in amounts(N_ROWS, "{:.2f}")],
        "str.replace(',', '.')",
    ),
    "whole": ([str(i) for i in range(100)] * 2, "to_numeric(X['odd'], errors="),
}


@all_tables
@pytest.mark.parametrize("gaps", [[], [" ", "?"]], ids=["full", "gaps"])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_in_words_are_named(name, gaps, build, fine):
    words, cure = NUMBERS[name]
    X = build(fine.assign(odd=gaps + words[len(gaps) :]))
    column = "'odd'"
    if build is BUILD["objects"]:
        if name in ("padded", "whole") and not gaps:  # numbers for NumPy
            assert warnings_of(X) == []
            return
        column, cure = "8", cure.replace("'odd'", "8")
    (message,) = warnings_of(X)
    count = f"({len(set(words[len(gaps) :])) + len(gaps)} levels"
    expected = f"numbers in words, which count as categories: {column} {count}, such as"
    assert f"{expected} {min(words[len(gaps) :])!r})" in message
    assert cure in message
    assert "name them in categorical_features if they are codes" in message


def test_numbers_among_which_a_word_is(fine):
    """As pandas reads a sheet in which someone wrote "?"."""
    values = pd.Series([1.5 * i for i in range(N_ROWS - 1)] + ["?"], dtype=object)
    (message,) = warnings_of(fine.assign(odd=values))
    assert "numbers in words" in message
    assert "X['odd'].astype(str)" in message


def test_total_charges_as_they_come_from_the_file(fine, tmp_path):
    charges = fine.assign(TotalCharges=np.arange(N_ROWS) * 18.25)
    charges = charges.astype({"TotalCharges": str})
    charges.loc[[3, 7, 20], "TotalCharges"] = " "
    charges.to_csv(tmp_path / "telco.csv", index=False)
    X = pd.read_csv(tmp_path / "telco.csv", dtype={"month": str, "zip": "category"})
    (message,) = warnings_of(X.assign(size=fine["size"], plate=fine["plate"]))
    assert "'TotalCharges' (198 levels, such as '0.0')" in message
    cured = pd.to_numeric(X["TotalCharges"], errors="coerce")
    assert cured.isna().sum() == 3


DATES = {
    "ISO": pd.date_range("2026-01-01", periods=50).strftime("%Y-%m-%d"),
    "German": pd.date_range("2026-01-01", periods=50).strftime("%d.%m.%Y"),
    "with times": pd.date_range("2026-01-01", periods=50, freq="h").astype(str),
}


@all_tables
@pytest.mark.parametrize("name", DATES)
def test_dates_in_words_are_named(name, build, fine):
    X = build(fine.assign(when=list(DATES[name]) * 4))
    (message,) = warnings_of(X)
    assert "columns of dates in words, which count as categories" in message
    assert f"(50 levels, such as {min(DATES[name])!r})" in message
    assert "pd.to_datetime(X[" in message


@all_tables
def test_words_that_hardly_repeat_are_named(build, fine):
    X = build(fine.assign(id=[f"row {i}" for i in range(N_ROWS)]))
    (message,) = warnings_of(X)
    assert "most rows have a value of their own: " in message
    assert "(200 levels, such as 'row 0')" in message


@pytest.mark.parametrize(
    "build",
    [*list(BUILD.values())[:3], lambda X: X[["x", "a", "b"]].to_numpy(dtype=float)],
    ids=[*list(BUILD)[:3], "array"],
)
def test_constant_and_empty_columns_are_named(build, fine):
    X = build(fine.assign(a=7.5, b=np.nan))
    one, none = warnings_of(X)
    a, b = (1, 2) if isinstance(X, np.ndarray) else ("'a'", "'b'")
    assert f"columns of one value, without effect: {a} (such as 7.5)" in one
    assert f"columns of no values, without effect: {b}." in none


def test_constant_words_and_shifted_constants_show_their_value(fine):
    (message,) = warnings_of(fine.assign(a="x", b=10**9 + 7))
    assert "'a' (such as 'x'), 'b' (such as 1000000007.0)" in message


def test_many_columns_are_one_warning(fine):
    X = fine.assign(**{f"c{i}": i for i in range(30)})
    (message,) = warnings_of(X)
    assert "'c4' (such as 4.0) and 25 more" in message


def test_what_is_named_as_a_category_is_meant_so(fine):
    X = fine.assign(odd=amounts(N_ROWS), id=[f"row {i}" for i in range(N_ROWS)])
    words = [name for name in X if name not in ("x", "gaps")]
    assert warnings_of(X, ColumnRules(words, missing=True)) == []


def test_few_rows_are_alike_by_chance(fine):
    X = fine[:15].assign(a=1.0, id=[f"row {i}" for i in range(15)])
    assert warnings_of(X) == []


def test_the_first_part_of_a_table_tells_less(fine):
    X = fine.assign(a=1.0, id=[f"row {i}" for i in range(N_ROWS)], odd=amounts(N_ROWS))
    (message,) = warnings_of(X, ColumnRules(missing=True, is_whole=False))
    assert "numbers in words" in message


def test_rows_of_weight_zero_do_not_count(fine):
    odd = np.where(np.arange(N_ROWS) < 100, "a", amounts(N_ROWS))
    weight = (np.arange(N_ROWS) < 100).astype(float)
    (message,) = warnings_of(fine.assign(odd=odd), weight=weight)
    assert "one value" in message
    assert "'odd' (such as 'a')" in message


def test_the_estimator_warns_where_fit_was_called(fine):
    y = np.arange(N_ROWS) % 2
    clf = BalancedNeuralClassifier("mlp", max_epochs=1)
    with pytest.warns(UserWarning, match="numbers in words") as caught:
        clf.fit(fine.assign(odd=amounts(N_ROWS)), y)
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(fine, y)
        clf.partial_fit(fine.assign(x=1.0), y)


# -- unseen values -------------------------------------------------------------------


def unseen_in(X, columns):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        blocks = list(matrix_blocks(as_table(X, reading(columns)), reading(columns)))
    assert sum(map(len, blocks)) == len(X)
    return [str(warning.message) for warning in caught]


@all_tables
@pytest.mark.parametrize("block_rows", [16, 2**16])
def test_a_column_that_is_mostly_unseen_is_named(build, block_rows, fine, monkeypatch):
    monkeypatch.setattr("imbalnet._tables.features._BLOCK_ROWS", block_rows)
    columns = rows_of(build(fine)).columns
    assert unseen_in(build(fine), columns) == []
    city = np.where(np.arange(N_ROWS) < 99, "Rom", fine["city"])
    assert unseen_in(build(fine.assign(city=city)), columns) == []
    city[:150] = "Rom"
    (message,) = unseen_in(build(fine.assign(city=city)), columns)
    column = "1" if build is BUILD["objects"] else "'city'"
    assert (
        f"{column} (150 of 200 values, such as 'Rom'; fit saw 'Bonn', 'Kiel', 'Ulm')"
        in message
    )


def test_gaps_are_neither_seen_nor_unseen(fine):
    columns = rows_of(fine).columns
    assert unseen_in(fine.assign(city=None), columns) == []
    city = np.where(np.arange(N_ROWS) < 170, None, "Rom")
    (message,) = unseen_in(fine.assign(city=city), columns)
    assert "(30 of 30 values, such as 'Rom'" in message


@pytest.mark.parametrize(
    ("n_rows", "n_new", "warns"),
    [(1, 1, False), (2, 2, False), (3, 3, True), (10, 9, False), (20, 11, True)],
)
def test_a_few_new_values_are_nothing_to_warn_about(n_rows, n_new, warns, fine):
    columns = rows_of(fine).columns
    later = fine[:n_rows].copy()
    later.loc[: n_new - 1, "city"] = "Rom"
    assert bool(unseen_in(later, columns)) == warns


@pytest.mark.filterwarnings("ignore:X has columns of words in which")
def test_identifiers_are_always_new(fine):
    columns = rows_of(fine.assign(id=[f"row {i}" for i in range(N_ROWS)])).columns
    assert unseen_in(fine.assign(id=[f"new {i}" for i in range(N_ROWS)]), columns) == []


def test_the_estimator_warns_in_every_method(fine):
    y = np.arange(N_ROWS) % 2
    clf = BalancedNeuralClassifier("mlp", max_epochs=1, warm_start=True).fit(fine, y)
    later = fine.assign(city="Rom")
    match = "X has columns of categories most of whose values fit did not see: 'city'"
    for method in (clf.predict, clf.predict_proba, clf.decision_function):
        with pytest.warns(UserWarning, match=match) as caught:
            method(later)
        assert [warning.filename for warning in caught] == [__file__]
    for method in (clf.fit, clf.partial_fit):
        with pytest.warns(UserWarning, match=match):
            method(later, y)
    with pytest.warns(UserWarning, match="X_val has columns of categories most"):
        clf.fit(fine, y, X_val=later, y_val=y)

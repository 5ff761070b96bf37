"""The report of a table's columns."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

import imbalnet
from imbalnet import BalancedNeuralClassifier
from imbalnet.tables import TableReport, check_table

N_ROWS = 120


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    z = rng.normal(size=N_ROWS)
    return pd.DataFrame(
        {
            "x": np.where(z > 1, np.nan, z),
            "flag": (z > 0).astype(int),
            "is_new": z > 0,
            "city": rng.choice(["Bonn", "Ulm"], N_ROWS, p=[0.7, 0.3]),
            "size": pd.Categorical(rng.choice(list("abc"), N_ROWS), ordered=True),
            "seconds": 1.7e9 + 100 * z,
            "tiny": 1e-42 * z,
            "one": 7,
            "word": "w",
            "none": np.nan,
            "charges": [f"{i:,.2f}" for i in range(1000, 1000 + N_ROWS)],
            "when": pd.date_range("2026-01-01", periods=N_ROWS).astype(str),
            "id": [f"row {i}" for i in range(N_ROWS)],
        }
    )


KINDS = {
    "x": "number",
    "flag": "two values",
    "is_new": "two values",
    "city": "category",
    "size": "ordered",
    "seconds": "number",
    "tiny": "number",
    "one": "constant",
    "word": "constant",
    "none": "empty",
    "charges": "category",
    "when": "category",
    "id": "category",
}
WHY = {
    "x": "dtype float64",
    "size": "dtype category, which has an order",
    "seconds": "centred at 1.7e\\+09",
    "tiny": "scaled by",
}
NOTES = {
    "one": r"one value, without effect \(such as 7.0\)",
    "word": r"one value, without effect \(such as 'w'\)",
    "none": "no values, without effect",
    "charges": r"numbers in words.*120 levels, such as '1,000.00'.*pd.to_numeric",
    "when": "dates in words.*pd.to_datetime",
    "id": "most rows have a value of their own.*120 levels",
}


@pytest.fixture(scope="module")
def report(frame):
    return check_table(frame)


def column(report, name):
    return next(column for column in report.columns if column.name == name)


@pytest.mark.parametrize("name", KINDS)
def test_every_column_is_told_what_it_is_taken_for(name, report):
    assert column(report, name).kind == KINDS[name]


@pytest.mark.parametrize("name", WHY)
def test_every_column_is_told_why(name, report):
    assert re.search(WHY[name], column(report, name).why)


@pytest.mark.parametrize("name", KINDS)
def test_notes_are_about_the_columns_that_need_them(name, report):
    notes = column(report, name).notes
    assert len(notes) == (name in NOTES)
    if notes:
        assert re.search(NOTES[name], notes[0])


def test_gaps_levels_and_examples(frame, report):
    assert column(report, "x").n_missing == frame["x"].isna().sum()
    assert column(report, "x").n_values is None
    low, middle, high = column(report, "x").examples
    assert (low, high) == (frame["x"].min(), frame["x"].max())
    assert middle == pytest.approx(frame["x"].median(), abs=0.1)
    assert column(report, "city").examples == ("Bonn", "Ulm")
    assert column(report, "city").n_values == 2
    assert column(report, "flag").examples == (0, 1)
    assert column(report, "none").n_missing == N_ROWS
    low, _, high = column(report, "seconds").examples
    assert low == pytest.approx(frame["seconds"].min(), abs=1e-3)


@pytest.mark.parametrize(
    "build",
    [pl.from_pandas, lambda X: pa.Table.from_pandas(X, preserve_index=False)],
    ids=["polars", "Arrow"],
)
def test_other_frames_have_the_same_report(build, frame, report):
    kept = frame.drop(columns="size")
    other = check_table(build(kept))
    same = [c for c in report.columns if c.name != "size"]
    for one, two in zip(other.columns, same, strict=True):
        assert (one.name, one.kind, one.n_values) == (two.name, two.kind, two.n_values)
        assert (one.n_missing, one.notes) == (two.n_missing, two.notes)


def test_fit_warns_with_the_same_notes(frame, report):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf = BalancedNeuralClassifier("mlp", max_epochs=1)
        clf.fit(frame, np.arange(N_ROWS) % 2)
    text = " ".join(str(warning.message) for warning in caught)
    for name in KINDS:
        assert (f"{name!r}" in text) == bool(column(report, name).notes)
    assert "pd.to_numeric(X['charges'].str.replace(',', ''), errors='coerce')" in text


def test_nothing_is_warned_of_or_changed(frame):
    before = frame.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_table(frame, np.arange(N_ROWS) % 2)
    pd.testing.assert_frame_equal(frame, before)


def test_what_would_be_an_error_is_a_note():
    X = pd.DataFrame(
        {
            "when": pd.date_range("2026-01-01", periods=3),
            "day": [pd.Timestamp("2026-01-01").date()] * 3,
            "list": [[1], [2], [3]],
            "far": [1.0, np.inf, 2.0],
            "fine": [1, 2, 3],
        }
    )
    report = check_table(X)
    kinds = ["unusable"] * 3 + ["number"] * 2
    assert [column.kind for column in report.columns] == kinds
    for name, note in {
        "when": "dates or times: an error. Turn them into numbers",
        "day": "dates or times",
        "list": "neither numbers nor categories: an error",
        "far": "infinite values: an error, unless module__clip=True",
    }.items():
        assert note in column(report, name).notes[0]
    assert not column(report, "fine").notes


@pytest.mark.parametrize(
    "X",
    [
        np.eye(3)[:, :2],
        sparse.csr_array(np.eye(3)[:, :2]),
        sparse.coo_matrix(np.eye(3)[:, :2]),
        np.eye(3)[:, :2].tolist(),
        np.array([["a", 0], ["b", 1], ["a", 1]], dtype=object),
    ],
    ids=["array", "CSR", "COO", "list", "objects"],
)
def test_tables_without_names_are_reported_by_position(X):
    report = check_table(X)
    assert [column.name for column in report.columns] == [0, 1]
    is_word = isinstance(X, np.ndarray) and X.dtype == object
    assert report.columns[0].kind == ("category" if is_word else "two values")
    assert report.columns[1].kind == "two values"


def test_sparse_columns_without_entries_are_nothing_special():
    report = check_table(sparse.csr_array((30, 2)))
    assert [column.kind for column in report.columns] == ["constant"] * 2
    assert report.notes == []


def test_repeated_names_are_shown():
    report = check_table(pd.DataFrame(np.eye(3), columns=list("aba")))
    assert [column.name for column in report.columns] == list("aba")


def test_the_parameter_says_what_is_a_category(frame):
    report = check_table(frame[["x", "flag", "city", "size"]], None, ["flag", "size"])
    assert column(report, "flag").kind == "category"
    assert column(report, "flag").why == "named in categorical_features"
    assert column(report, "size").kind == "category"
    assert column(report, "city").kind == "unusable"
    with pytest.raises(ValueError, match="does not have"):
        check_table(frame, categorical_features=["nobody"])


# -- identifiers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda rng, n: np.arange(n),
        lambda rng, n: rng.permutation(n) + 15_000_000,
        lambda rng, n: rng.choice(n**2 // 40, n, replace=False),
        lambda rng, n: np.where(rng.random(n) < 0.2, np.nan, np.arange(n)),
    ],
    ids=["row numbers", "shuffled", "with gaps between", "missing"],
)
def test_whole_numbers_that_never_repeat_are_noted(build, rng):
    X = pd.DataFrame({"customer": build(rng, 1_000)})
    assert "an identifier" in column(check_table(X), "customer").notes[-1]


@pytest.mark.parametrize(
    "build",
    [
        lambda rng, n: np.r_[np.arange(n - 1), 0],
        lambda rng, n: 1_700_000_000 + 15_000 * np.arange(n),
        lambda rng, n: np.arange(n) / 2,
    ],
    ids=["one repeats", "seconds", "halves"],
)
def test_other_numbers_are_no_identifiers(build, rng):
    X = pd.DataFrame({"value": build(rng, 1_000)})
    assert not column(check_table(X), "value").notes


# -- labels --------------------------------------------------------------------------


def test_labels_are_counted(frame):
    y = np.array(["no"] * 90 + ["yes"] * 30)
    report = check_table(frame[["x"]], y)
    assert report.classes == {"no": 90, "yes": 30}
    assert "classes: 'no' in 90 rows (75.00%), 'yes' in 30 rows (25.00%)" in str(report)


@pytest.mark.parametrize("build", [lambda y: y * 3.5, lambda y: np.where(y, "a", "b")])
def test_a_column_that_is_the_label_is_noted(build, frame):
    y = (frame["city"] == "Ulm").to_numpy()
    X = frame[["x", "flag", "city", "size"]].assign(copy=build(y))
    report = check_table(X, y)
    for name in ("city", "copy"):
        assert "the label itself?" in column(report, name).notes[-1]
    for name in ("x", "flag", "size"):
        assert not column(report, name).notes


@pytest.mark.parametrize(
    ("y", "message"),
    [([0, 1], "X has 120 rows, but y has 2"), ([np.nan] * 120, "y contains NaN")],
)
def test_labels_that_do_not_fit_are_an_error(y, message, frame):
    with pytest.raises(ValueError, match=message):
        check_table(frame, y)


# -- output --------------------------------------------------------------------------


def test_a_report_can_be_printed(report):
    lines = str(report).splitlines()
    assert lines[0] == "120 rows, 13 columns"
    assert lines[2].split() == ["column", "taken", "for", "why", "missing", "values"]
    assert lines[6].startswith("city     category, 2 levels  ")
    assert [line for line in lines if line.startswith("- 'charges': numbers in words")]
    assert max(map(len, lines[2:16])) < 160


def test_long_values_are_cut():
    text = str(check_table(pd.DataFrame({"a" * 99: ["b" * 99, "c", "b" * 99]})))
    assert "b" * 36 + "..." in text
    assert "b" * 40 not in text


def test_a_report_is_a_table_in_a_notebook(report):
    html = TableReport._repr_html_(check_table(pd.DataFrame({"<x>": ["<b>", "&"]})))
    assert "<td>&lt;x&gt;</td>" in html
    assert "&#x27;&lt;b&gt;&#x27;" in html
    assert report._repr_html_().count("<tr>") == 14


def test_a_report_is_a_frame(report):
    found = report.to_frame()
    assert found.index.tolist() == list(KINDS)
    assert found["kind"].tolist() == list(KINDS.values())
    assert found.loc["charges", "n_values"] == N_ROWS
    assert "pd.to_numeric" in found.loc["charges", "notes"]
    assert found.loc["x", "n_missing"] > 0


def test_it_is_at_hand():
    assert imbalnet.check_table is check_table


def test_note_on_a_positive_class_that_is_the_frequent_one(frame):
    y = np.repeat(["fraud", "ok"], [N_ROWS // 10, N_ROWS - N_ROWS // 10])
    report = check_table(frame, y)
    assert report.notes[0].endswith("give y == 'fraud' as the labels.")
    assert report.notes[0] in str(report)
    assert report.notes[1:] == check_table(frame, y == "fraud").notes

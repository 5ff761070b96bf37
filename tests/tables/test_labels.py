"""From labels to classes, codes and weights."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from imbalnet._tables.labels import (
    as_codes,
    as_labels,
    as_weights,
    numbered,
    sorted_classes,
)


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, np.ndarray.tolist])
def test_one_hot_labels_are_named_with_the_cure(kind):
    with pytest.raises(ValueError, match=r"one-hot.*numpy.asarray\(y\).argmax\(axis=1"):
        as_labels(kind(np.eye(2)[[0, 1, 1]]))


@pytest.mark.parametrize("labels", [[0, 1], [date(2026, 1, 1), date(2026, 1, 2)]])
def test_objects_are_no_labels(labels):
    with pytest.raises(ValueError, match=r"^y: Unknown label type.*astype\(str\)\.$"):
        as_labels(np.array(labels, dtype=object))


def test_labels_with_gaps_are_named():
    with pytest.raises(ValueError, match="y contains NaN"):
        as_labels(np.array([0.0, np.nan, 1.0]))


@pytest.mark.parametrize("words", [["no", None, "yes"], [5, None, 7]])
def test_gaps_in_arrow_dictionaries_are_no_label(words):
    """NumPy reads the last word in their place."""
    column = pa.table({"y": pa.array(words).dictionary_encode()}).column("y")
    with pytest.raises(ValueError, match=r"y has 1 missing .* in row 1: leave out"):
        as_labels(column)
    with pytest.raises(ValueError, match="groups has 1 missing"):
        numbered(column, 3)
    assert as_labels(column[::2]).tolist() == [words[0], words[2]]


@pytest.mark.parametrize(
    "y",
    [
        np.array(["no", "yes"], dtype=np.dtypes.StringDType()),
        np.array(["no", "yes"], dtype=object),
        ["no", "yes"],
        pd.Series(["no", "yes"], dtype="string"),
        pd.Series(["no", "yes"], dtype="category"),
        pl.Series(["no", "yes"]),
        np.ma.masked_array(["no", "yes"], [False, False]),
    ],
    ids=lambda y: f"{type(y).__name__} {getattr(y, 'dtype', '')}",
)
def test_strings_are_labels_in_every_container(y):
    labels = as_labels(y)
    assert labels.tolist() == ["no", "yes"]
    assert as_codes(labels, sorted_classes(labels)).tolist() == [0, 1]


def test_kinds_of_numbers_may_be_mixed():
    labels = as_labels(np.array([True, 0, np.int64(1), 0.0], dtype=object).tolist())
    assert as_codes(labels, np.array([0, 1])).tolist() == [1, 0, 1, 0]


def test_strings_that_look_like_numbers_are_no_numbers():
    """NumPy would compare them as strings."""
    with pytest.raises(ValueError, match=r"not in classes_: \['0', '1'\]"):
        as_codes(np.array(["0", "1"]), np.array([0, 1]))


def test_codes_are_positions_in_the_classes():
    classes = np.array(["a", "b", "c"])
    assert as_codes(np.array(["c", "a"]), classes).tolist() == [2, 0]
    with pytest.raises(ValueError, match=r"not in classes_: \['d'\]"):
        as_codes(np.array(["d"]), classes)


def test_weights_that_nobody_gave_are_none(rng):
    assert as_weights(None, rng.normal(size=(4, 1))) is None

"""From features, labels and weights to rows."""

from __future__ import annotations

import numpy as np
import pytest

from imbalnet._tables import ColumnRules, Columns, Reading, read_rows
from imbalnet._tables.read import read_validation_rows

READING = Reading(ColumnRules(), np.float64, "Net")


def test_rows_of_weight_zero_leave(rng):
    X, y = rng.normal(size=(6, 2)), np.array([0, 1, 2, 0, 1, 2])
    rows, classes = read_rows(X, y, np.array([1, 1, 0, 2, 1, 0]), READING, None)
    assert classes.tolist() == [0, 1]
    assert rows.index.tolist() == [0, 1, 3, 4]
    assert rows.counts(2).tolist() == [3, 2]
    assert rows.X is X


def test_rows_of_weight_zero_have_the_code_of_their_label():
    y, weight = ["b", "a", "b", "a", "c"], [1, 1, 0, 0, 0]
    rows, classes = read_rows(np.eye(5), y, weight, READING, None)
    assert classes.tolist() == ["a", "b"]
    assert rows.codes.tolist() == [1, 0, 1, 0, 0]  # "c" is no class


def test_labels_of_mixed_kinds_are_named():
    y = np.array([1, "a", 1, "a"], dtype=object)
    with pytest.raises(ValueError, match=r"labels of one kind|Unknown label type"):
        read_rows(np.eye(4), y, None, READING, None)


def test_one_class_is_not_enough():
    with pytest.raises(ValueError, match=r"Net needs rows of at least two classes"):
        read_rows(np.eye(4), [0, 0, 0, 1], [1, 1, 1, 0], READING, None)


def test_validation_rows_have_the_classes_and_weigh_one():
    reading = Reading(Columns(), np.float64, "Net")
    classes = np.array(["a", "b"])
    rows = read_validation_rows(np.eye(2), ["b", "a"], reading, classes)
    assert rows.codes.tolist() == [1, 0]
    assert rows.weight is None
    assert read_validation_rows(None, None, reading, classes) is None
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        read_validation_rows(np.eye(2), None, reading, classes)
    with pytest.raises(ValueError, match=r"y_val has labels .* \['c'\]"):
        read_validation_rows(np.eye(2), ["a", "c"], reading, classes)

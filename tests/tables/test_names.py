"""Column names that scikit-learn does not compare."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from imbalnet import BalancedNeuralClassifier
from imbalnet._tables import check_names, column_names


@pytest.mark.parametrize(
    ("known", "names"),
    [
        (None, [2, 1]),
        ([2, 1], None),
        ([2, 1], [2, 1]),
        ([("a", 1), ("a", 2)], [("a", 1), ("a", 2)]),
        (["a", "b", "a"], ["a", "b", "a"]),
        (["a", "b"], ["b", "a"]),  # scikit-learn's task
        ([0, 1, 2], ["a", "b", "c"]),
        (["a", "b"], [0, 1]),
        ([0, 1, 2], [0, 1]),
    ],
)
def test_names_that_agree_or_are_for_scikit_learn_pass(known, names):
    check_names(names, known)


@pytest.mark.parametrize(
    ("known", "names", "fault"),
    [
        ([0, 1, 2], [0, 2, 1], "in the same order.*Column 1 was 1 in fit, and is 2"),
        ([10, 20], [20, 10], "in the same order"),
        ([10, 20], [10, 30], "unseen at fit time:\n- 30\n.*now missing:\n- 20"),
        ([10, 20], ["a", "b"], "unseen at fit time:\n- a\n- b\n"),
        ([("x", 1), ("x", 2)], [("x", 2), ("x", 1)], "in the same order"),
        (["a", "b", "a"], ["a", "a", "b"], "in the same order"),
        (["a", "b", "a"], ["a", "b", "b"], "unseen at fit time:\n- b\n.*missing:\n- a"),
        (["a", "b", "a"], ["a", "b", "c"], "unseen at fit time:\n- c\n.*missing:\n- a"),
        (["a", "a"], list("abcdefghi"), "- e\n- f\n- \\.\\.\\.\n.*missing:\n- a\n"),
        ([1, 2], [1, 2, 3], "unseen at fit time:\n- 3\n"),
    ],
)
def test_names_that_differ_are_named(known, names, fault):
    with pytest.raises(ValueError, match=re.compile(f"should match.*{fault}", re.S)):
        check_names(names, known)


def test_every_frame_has_names():
    frame = pd.DataFrame({"a": [1], "b": [2]})
    for X in (frame, pl.from_pandas(frame), pa.table(frame)):
        assert column_names(X) == ["a", "b"]
    assert column_names(frame.set_axis([5, 5], axis=1)) == [5, 5]
    assert column_names(frame.to_numpy()) is None


# -- the estimator -------------------------------------------------------------------

NAMES = {
    "integers": [30, 10, 20],
    "positions": [0, 1, 2],
    "MultiIndex": pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]),
    "repeated": ["a", "b", "a"],
    "repeated integers": [1, 2, 1],
}


def small(**params):
    return BalancedNeuralClassifier("mlp", max_epochs=1, random_state=0, **params)


@pytest.fixture
def data(rng):
    return rng.normal(size=(40, 3)), np.arange(40) % 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["fit", "partial_fit"])
def test_columns_in_another_order_are_an_error(name, way, data):
    X, y = data
    frame = pd.DataFrame(X, columns=NAMES[name])
    more = {"classes": [0, 1]} if way == "partial_fit" else {}
    clf = getattr(small(), way)(frame, y, **more)
    clf.predict(frame)
    clf.predict(X)
    for other in (frame.iloc[:, [1, 0, 2]], frame.iloc[:, :2]):
        is_narrow = other.shape[1] == 2 and name == "positions"
        message = "is expecting 3" if is_narrow else "feature names should match"
        with pytest.raises(ValueError, match=message):
            clf.predict(other)
        with pytest.raises(ValueError, match=message):
            clf.partial_fit(other, y)
    clf.fit(frame.iloc[:, [1, 0, 2]], y).predict(frame.iloc[:, [1, 0, 2]])


def test_a_refit_forgets_the_names(data):
    X, y = data
    clf = small().fit(pd.DataFrame(X, columns=[3, 2, 1]), y)
    clf.fit(X, y).predict(pd.DataFrame(X, columns=[1, 2, 3]))


def test_names_of_arrays_and_frames_are_scikit_learns_affair(data):
    X, y = data
    named = pd.DataFrame(X, columns=list("abc"))
    clf = small().fit(pd.DataFrame(X), y)
    with pytest.warns(UserWarning, match="fitted without feature names"):
        clf.predict(named)
    clf.fit(named, y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        clf.predict(pd.DataFrame(X))


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.iloc[:, :2], "X_val does not fit X: .*names|X_val .*expecting 3"),
        (lambda X: X.iloc[:, ::-1], "X_val does not fit X: The feature names should"),
        (lambda X: X.to_numpy()[:, :2], "X_val does not fit X: X has 2 features"),
        (lambda X: X.iloc[:, 0].to_numpy(), "Reshape your data"),
        (lambda X: X.assign(a="word"), r"X_val has columns that are not numeric"),
        (lambda X: X.assign(a=pd.Timestamp(0)), "X_val has columns that hold dates"),
        (lambda X: X.assign(a=np.inf), "X_val has columns that have infinite"),
    ],
    ids=["width", "order", "array", "1d", "word", "date", "infinite"],
)
@pytest.mark.parametrize("names", [list("abc"), [7, 8, 9]], ids=["str", "int"])
def test_faults_of_validation_rows_are_named_so(names, change, message, data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abc"))
    other = change(frame)
    if names != list("abc"):
        new = dict(zip("abc", names, strict=True))
        frame = frame.rename(columns=new)
        other = other.rename(columns=new) if hasattr(other, "columns") else other
    with pytest.raises(ValueError, match=re.compile(message, re.S)):
        small().fit(frame, y, X_val=other, y_val=y)


def test_labels_of_validation_rows_are_named_so(data):
    X, y = data
    with pytest.raises(ValueError, match="y_val contains NaN"):
        small().fit(X, y, X_val=X, y_val=np.where(y, np.nan, 0.0))

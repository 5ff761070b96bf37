"""Whatever is given: a clear error, or an estimator that keeps what it promises."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from imbalnet import BalancedNeuralClassifier, check_table
from imbalnet.losses import LOSSES

# -- tables, labels and parameters ----------------------------------------------------

NUMBERS = [
    *(0.0, -0.0, 1.0, -1.5, 3.0, 1e-30, 1e-42, 1e9, 1.7e9, -1e30, 1e38),
    *(float("nan"), 2.5, 7.0),
]
WORDS = ["a", "b", "A ", "1", "1.0", "true", "", "é", None]
LABELS = [
    *([0, 1, 2, 3], ["no", "yes", "so", "oh"], [False, True], [-1, 1], [1.0, 2.0]),
]
DTYPES = ["float64", "float32", "float16", "int64", "int8", "uint8", "bool"]


def several(values, size):
    return st.lists(values, min_size=size, max_size=size)


@st.composite
def columns(draw, n_rows):
    """A column of a frame: numbers, words, categories, gaps."""
    kind = draw(st.sampled_from(["numbers", "dtype", "words", "category", "nullable"]))
    if kind == "words":
        values = draw(several(st.sampled_from(WORDS), n_rows))
        return pd.Series(values, dtype=draw(st.sampled_from([object, "string"])))
    if kind == "category":
        codes = draw(several(st.integers(-1, 3), n_rows))
        labels = draw(st.sampled_from([["x", "y", "z", "w"], [4, 3, 2, 1]]))
        ordered = draw(st.booleans())
        return pd.Series(pd.Categorical.from_codes(codes, labels, ordered=ordered))
    if kind == "dtype":
        values = draw(several(st.integers(0, 5), n_rows))
        return pd.Series(np.array(values).astype(draw(st.sampled_from(DTYPES))))
    if kind == "nullable":
        values = st.one_of(st.integers(-3, 3), st.none())
        values = draw(several(values, n_rows))
        return pd.Series(values, dtype="Int64")
    values = draw(several(st.sampled_from(NUMBERS), n_rows))
    return pd.Series(values, dtype=float)


@st.composite
def tables(draw, n_rows):
    """A frame, an array of any order and dtype, or a sparse matrix."""
    kind = draw(st.sampled_from(["frame", "array", "sparse"]))
    n_columns = draw(st.integers(1, 4))
    if kind == "frame":
        parts = [draw(columns(n_rows)) for _ in range(n_columns)]
        frame = pd.concat(parts, axis=1)
        names = draw(st.sampled_from(["words", "numbers", "repeated"]))
        frame.columns = {
            "words": [f"c{i}" for i in range(n_columns)],
            "numbers": range(n_columns),
            "repeated": ["c"] * n_columns,
        }[names]
        return frame
    size = n_rows * n_columns
    values = draw(several(st.sampled_from(NUMBERS), size))
    array = np.array(values).reshape(n_rows, n_columns)
    if kind == "sparse":
        array = np.nan_to_num(array, nan=0.0)
        return draw(st.sampled_from([sparse.csr_array, sparse.csc_matrix]))(array)
    with np.errstate(over="ignore", invalid="ignore"):
        array = array.astype(draw(st.sampled_from(["float64", "float32"])))
    shape = draw(st.sampled_from(["C", "F", "strided", "read-only"]))
    if shape == "strided":
        return np.repeat(array, 2, axis=0)[::2]
    array = np.asarray(array, order="F" if shape == "F" else "C")
    array.flags.writeable = shape != "read-only"
    return array


@st.composite
def labels(draw, n_rows):
    """Labels of one to four classes, some of them rare."""
    names = draw(st.sampled_from(LABELS))
    n_classes = min(draw(st.sampled_from([2, 2, 2, 3, 4, 1])), len(names), n_rows)
    codes = several(st.integers(0, n_classes - 1), n_rows)
    drawn = draw(codes)
    drawn[:n_classes] = range(n_classes)  # each occurs
    return np.array(names)[drawn]


DECISIONS = [
    *({}, {"threshold": 0.3}, {"threshold": "f1"}, {"cost_matrix": [[0, 1], [5, 0]]}),
    *({"target_prior": [0.5, 0.5]}, {"class_weight": [1, 5]}),
]


def maybe(**values):
    """Parameters, each of which may be left out."""
    return {name: st.sampled_from(options) for name, options in values.items()}


PARAMETERS = st.fixed_dictionaries(
    {"random_state": st.just(0), "max_epochs": st.sampled_from([1, 2])},
    optional=maybe(
        module=["mlp", "linear", "tabular", "resnet"],
        loss=[*LOSSES],
        class_weight=["balanced", "effective"],
        sampler=["weighted", "oversample", "undersample", "balanced_batch"],
        target_prior=["train", "uniform"],
        n_members=[1, 2, 3],
        n_neighbors=[0, 1, 5],
        batch_size=[1, 7, 1000],
        early_stopping=[True, False],
        validation_fraction=[0.1, 0.5],
        calibrate=[True, False],
        dtype=["float32", "float64"],
        learning_rate=[1e-4, 0.1, 10.0],
        weight_decay=[0.0, 0.1],
        optimizer=["adamw", "sgd"],
    ),
)


# -- properties ------------------------------------------------------------------------

DOCUMENTED = (ValueError, TypeError, FloatingPointError)
# An error that says nothing of the input is none for its user.
UNHELPFUL = ("index", "out of bounds", "shape mismatch", "broadcast", "NoneType")


def raises_clearly(error):
    text = str(error)
    return len(text) > 20 and not any(text.startswith(word) for word in UNHELPFUL)


def attempt(call):
    """Return what a call gives, or the documented error that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return call(), None
        except DOCUMENTED as error:
            raised = error
    assert raises_clearly(raised), raised
    return None, raised


def same(one, other):
    if sparse.issparse(one):
        return (one != other).nnz == 0
    if isinstance(one, pd.DataFrame):
        return one.equals(other)
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def rows(X, chosen):
    return X.iloc[chosen] if isinstance(X, pd.DataFrame) else X[chosen]


@st.composite
def fits(draw):
    n_rows = draw(st.integers(1, 40))
    X, y = draw(tables(n_rows)), draw(labels(n_rows))
    weight = draw(st.none() | several(st.sampled_from([0, 1, 2.5]), n_rows))
    params = draw(PARAMETERS)
    if len(np.unique(y)) == 2:
        params |= draw(st.sampled_from(DECISIONS))
    return X, y, weight, params


def check_predictions(clf, X, y):
    probabilities = clf.predict_proba(X)
    assert probabilities.shape == (X.shape[0], len(clf.classes_))
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert set(clf.predict(X)) <= set(clf.classes_)
    order = np.arange(X.shape[0])[::-1]
    backwards = clf.predict_proba(rows(X, order))
    np.testing.assert_allclose(backwards[::-1], probabilities, atol=1e-6)
    alone = clf.predict_proba(rows(X, slice(0, 1)))
    np.testing.assert_allclose(alone, probabilities[:1], atol=1e-6)
    again = pickle.loads(pickle.dumps(clf)).predict_proba(X)
    np.testing.assert_array_equal(again, probabilities)
    return probabilities


@given(fits())
def test_fit_is_valid_or_says_why_not(drawn):
    X, y, weight, params = drawn
    before = copy.deepcopy((X, y, weight))
    clf = BalancedNeuralClassifier(**params)
    _, error = attempt(lambda: clf.fit(X, y, weight))
    assert same(X, before[0])
    np.testing.assert_array_equal(y, before[1])
    if error is not None:
        assert vars(clf) == vars(BalancedNeuralClassifier(**params))
        return
    counted = y if weight is None else y[np.array(weight) > 0]
    np.testing.assert_array_equal(clf.classes_, np.unique(counted))
    assert clf.class_prior_.sum() == 1 or abs(clf.class_prior_.sum() - 1) < 1e-9
    assert abs(clf.effective_prior_.sum() - 1) < 1e-6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        probabilities = check_predictions(clf, X, y)
        twin = BalancedNeuralClassifier(**params).fit(X, y, weight)
    np.testing.assert_array_equal(twin.predict_proba(X), probabilities)
    if hasattr(clf, "oof_proba_"):
        held = ~np.isnan(clf.oof_proba_).any(axis=1)
        np.testing.assert_allclose(clf.oof_proba_[held].sum(axis=1), 1, atol=1e-6)


@given(fits(), st.integers(1, 4))
def test_partial_fit_is_valid_or_says_why_not(drawn, n_parts):
    X, y, weight, params = drawn
    if not hasattr(X, "__getitem__"):
        return
    clf = BalancedNeuralClassifier(**params)
    if sparse.issparse(X):
        X = X.tocsr()
    for part in np.array_split(np.arange(len(y)), n_parts):
        if not len(part):
            continue
        of_rows = None if weight is None else np.array(weight)[part]
        state = dict(vars(clf))
        known = np.unique(y)
        _, error = attempt(
            lambda part=part, of_rows=of_rows, known=known: clf.partial_fit(
                rows(X, part), y[part], known, of_rows
            )
        )
        if error is not None:
            assert vars(clf).keys() == state.keys()
            return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check_predictions(clf, X, y)


@given(fits())
def test_check_table_reads_what_fit_reads(drawn):
    X, y, *_ = drawn
    clf = BalancedNeuralClassifier("mlp", max_epochs=1, random_state=0)
    _, error = attempt(lambda: clf.fit(X, y))
    if error is None:
        report, _ = attempt(lambda: check_table(X, y))
        assert len(report.columns) == X.shape[1]

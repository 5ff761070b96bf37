"""Any table, labels and parameters: a valid estimator, or an error that says why."""

from __future__ import annotations

import copy
import pickle
import traceback
import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from scipy import sparse

from imbalnet import BalancedNeuralClassifier
from imbalnet.samplers import SAMPLERS
from imbalnet.tables import check_table

pytestmark = pytest.mark.usefixtures("other_warnings_are_faults")
# What fit's docstring says that it raises; FloatingPointError is a loss that is NaN.
DOCUMENTED = ValueError, TypeError, FloatingPointError, UserWarning
# Errors must come from checks, not from the depths of NumPy or torch.
CHECKING = "imbalnet", "sklearn"


# -- tables ----------------------------------------------------------------------------


def sprinkled(rng, values, other):
    """Replace about a fifth of the values."""
    return np.where(rng.random(len(values)) < 0.2, other, values)


NUMBERS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "few values": lambda rng, n: rng.choice([-1.5, 0.0, 2.0], n),
    "constant": lambda rng, n: np.full(n, 3.25),
    "zeros of both signs": lambda rng, n: rng.choice([0.0, -0.0], n),
    "gaps": lambda rng, n: sprinkled(rng, rng.normal(size=n), np.nan),
    "empty": lambda rng, n: np.full(n, np.nan),
    "huge": lambda rng, n: 1e37 * rng.normal(size=n),
    "largest": lambda rng, n: sprinkled(rng, rng.normal(size=n), 3e38),
    "too large": lambda rng, n: sprinkled(rng, rng.normal(size=n), 1e300),
    "tiny": lambda rng, n: 1e-30 * rng.normal(size=n),
    "subnormal": lambda rng, n: 1e-310 * rng.normal(size=n),
    "subnormal float32": lambda rng, n: 1e-42 * rng.normal(size=n),
    "far from 0": lambda rng, n: 1.7e9 + rng.normal(size=n),
    "far and constant": lambda rng, n: np.full(n, 1e17),
    "infinite": lambda rng, n: sprinkled(rng, rng.normal(size=n), -np.inf),
    "one row": lambda rng, n: (np.arange(n) == 0).astype(float),
    "heavy tail": lambda rng, n: rng.standard_cauchy(n) ** 5,
    "count": lambda rng, n: rng.integers(0, 5, n),
    "large int": lambda rng, n: rng.integers(-(2**62), 2**62, n),
    "byte": lambda rng, n: rng.integers(0, 256, n).astype(np.uint8),
    "flag": lambda rng, n: rng.random(n) < 0.3,
}
RARE = {"infinite", "too large"}  # mostly errors
MIXED = np.array(["a", " A", "1", 1, 2.5, True, None, np.nan, ""], dtype=object)
WORDS = np.array(["red", "green", "blue", None], dtype=object)


def categories(values, *, ordered=False):
    return pd.Categorical(values, ["blue", "red", "green", "unused"], ordered=ordered)


OTHERS = {
    "mixed": lambda rng, n: rng.choice(MIXED, n),
    "words": lambda rng, n: rng.choice(WORDS[:3], n),
    "none": lambda rng, n: np.full(n, None),
    "ids": lambda rng, n: np.array([f"id{i}" for i in range(n)], dtype=object),
    "category": lambda rng, n: categories(rng.choice(WORDS, n)),
    "ordered": lambda rng, n: categories(rng.choice(WORDS, n), ordered=True),
    "empty category": lambda rng, n: pd.Categorical([None] * n),
    "category of ints": lambda rng, n: pd.Categorical(rng.integers(0, 3, n)),
    "string": lambda rng, n: pd.array(rng.choice(WORDS, n), dtype="string"),
    "Int64": lambda rng, n: pd.array(rng.choice([1, 2, None], n), dtype="Int64"),
    "boolean": lambda rng, n: pd.array(rng.choice([True, None], n), dtype="boolean"),
    "Float32": lambda rng, n: pd.array(rng.choice([0.5, None], n), dtype="Float32"),
    "digits": lambda rng, n: rng.choice(np.array(["1", "2.5"], dtype=object), n),
}
DTYPES = [bool, np.int8, np.int64, np.uint64, np.float16, np.float32, np.float64]
LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2],
    "backwards": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "list": lambda X: X.tolist(),
    "csr": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "coo": sparse.coo_array,
    "frame": pd.DataFrame,
}
NAMES = {
    "none": lambda k: range(k),
    "words": lambda k: [f"c{i}" for i in range(k)],
    "tuples": lambda k: [("c", i) for i in range(k)],
    "repeated": lambda k: ["c"] * k,
    "floats": lambda k: [i / 2 for i in range(k)],
}


@st.composite
def arrays(draw, rng, n_rows, n_columns=None):
    """Arrays of numbers, lists, sparse matrices, and frames of one dtype."""
    usual = sorted(NUMBERS.keys() - RARE)
    kind = st.sampled_from([*usual, *usual, *sorted(RARE)])
    sizes = {"min_size": n_columns or 1, "max_size": n_columns or 8}
    kinds = draw(st.lists(kind, **sizes))
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # casts may overflow
        X = np.column_stack([NUMBERS[kind](rng, n_rows) for kind in kinds])
        if draw(st.booleans()):
            X = X.astype(draw(st.sampled_from(DTYPES)))
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    if layout in ("csr", "csc", "coo") and X.dtype == np.float16:
        X = X.astype(np.float32)  # SciPy has no sparse float16
    X = LAYOUTS[layout](X)
    if isinstance(X, np.ndarray):
        X.flags.writeable = draw(st.booleans())
    return X


@st.composite
def frames(draw, rng, n_rows, n_columns=None):
    """Data frames of several dtypes, and arrays of objects."""
    of_kind = {name: NUMBERS[name] for name in sorted(NUMBERS.keys() - RARE)} | OTHERS
    kind = st.one_of(st.sampled_from(sorted(OTHERS)), st.sampled_from(sorted(of_kind)))
    sizes = {"min_size": n_columns or 1, "max_size": n_columns or 8}
    kinds = draw(st.lists(kind, **sizes))
    columns = [pd.Series(of_kind[kind](rng, n_rows)) for kind in kinds]
    X = pd.concat(columns, axis=1)
    X.columns = NAMES[draw(st.sampled_from(sorted(NAMES)))](len(kinds))
    if draw(st.integers(0, 4)) == 0:
        return X.to_numpy(dtype=object)
    if draw(st.booleans()):
        X.index = rng.permutation(n_rows) // 2  # of no meaning
    return X


LABELS = {
    "ints": np.array([0, 1, 2, 3, 4]),
    "negative ints": np.array([-3, -1, 0, 7, 100]),
    "words": np.array(["no", "yes", "maybe", "?", "z"], dtype=object),
    "strings": np.array(["b", "a", "long name", "", "z"]),
    "whole floats": np.array([1.0, 0.0, -2.0, 3.0, 1e6]),
    "bytes": np.array([0, 255, 7, 3, 4], dtype=np.uint8),
    "bools": np.array([True, False]),
}


@st.composite
def labels(draw, rng, n_rows):
    """Labels of one to five classes, some with a single row."""
    known = LABELS[draw(st.sampled_from(sorted(LABELS)))]
    n_classes = draw(st.sampled_from([2, 2, 2, 2, 3, 3, 4, 5, 1]))
    known = known[:n_classes]
    shares = rng.dirichlet(np.full(len(known), 0.7))
    codes = rng.choice(len(known), n_rows, p=shares)
    codes[: len(known)] = np.arange(len(known))[:n_rows]
    y = known[rng.permutation(codes)]
    container = draw(st.sampled_from(["array", "list", "series", "category", "column"]))
    if container == "category":
        return pd.Series(pd.Categorical(y.tolist()))
    if container == "series":
        return pd.Series(y, index=rng.permutation(n_rows))
    return y.tolist() if container == "list" else y


@st.composite
def weights(draw, rng, n_rows):
    """Weights of rows: none, ones with zeros, whole or of any size."""
    kind = draw(st.sampled_from(["none", "none", "zeros", "whole", "any", "tiny"]))
    if kind == "none":
        return None
    return {
        "zeros": (rng.random(n_rows) < 0.8).astype(float),
        "whole": rng.integers(0, 4, n_rows),
        "any": rng.exponential(size=n_rows).astype(np.float32),
        "tiny": 1e-12 * rng.random(n_rows),
    }[kind]


# -- parameters ------------------------------------------------------------------------

EXPONENT = st.sampled_from([0, 0.5, 2.0, 10])
LOSS_PARAMETERS = {
    "cross_entropy": {"label_smoothing": st.sampled_from([0, 0.1, 0.9])},
    "focal": {"gamma": EXPONENT, "alpha": st.sampled_from([None, 0.25])},
    "poly1": {"epsilon": st.sampled_from([-0.9, 0, 1.0, 10])},
    "poly_focal": {"gamma": EXPONENT, "epsilon": st.sampled_from([0, 1.0])},
    "asymmetric": {
        "gamma_positive": EXPONENT,
        "gamma_negative": EXPONENT,
        "margin": st.sampled_from([0, 0.05]),
    },
    "logit_adjusted": {"tau": st.sampled_from([0, 0.5, 3])},
    "balanced_softmax": {},
    "vector_scaling": {"gamma": EXPONENT, "tau": EXPONENT},
    "ldam": {"max_margin": EXPONENT, "scale": st.sampled_from([1, 30.0])},
    "average_precision": {"warmup": st.sampled_from([0, 0.5, 1])},
}
MODULES = {
    "linear": {},
    "mlp": {"module__hidden_sizes": st.just((8,))},
    "resnet": {"module__d_block": st.just(8), "module__d_hidden": st.just(8)},
    "tabular": {"module__hidden_sizes": st.just((8, 8))},
}


@st.composite
def losses(draw):
    """A loss and some of its parameters."""
    name = draw(st.sampled_from(sorted(LOSS_PARAMETERS)))
    params = st.fixed_dictionaries({}, optional=LOSS_PARAMETERS[name])
    nested = {f"loss__{key}": value for key, value in draw(params).items()}
    return {"loss": name, **nested}


@st.composite
def modules(draw):
    """A small network."""
    name = draw(st.sampled_from(sorted(MODULES)))
    more = {} if name == "linear" else {"module__clip": st.just(True)}
    nested = draw(st.fixed_dictionaries(MODULES[name], optional=more))
    return {"module": name, **nested}


def parameters(n_classes):
    """Parameters of the estimator for labels of so many classes."""
    costs = 1.0 - np.eye(n_classes)
    costs[0] *= 7
    prior = np.arange(1, n_classes + 1) / np.arange(1, n_classes + 1).sum()
    optional = {
        "class_weight": st.sampled_from(["balanced", "effective"]),
        "class_weight__power": st.sampled_from([0, 0.5, 1]),
        "sampler": st.sampled_from(sorted(SAMPLERS)),
        "target_prior": st.sampled_from(["train", "uniform", prior]),
        "cost_matrix": st.just(costs),
        "n_neighbors": st.sampled_from([0, 1, 4]),
        "optimizer": st.sampled_from(["adamw", "adam", "sgd", "lbfgs"]),
        "learning_rate": st.sampled_from([1e-5, 0.01, 1]),
        "schedule": st.sampled_from(["cosine", "constant"]),
        "weight_decay": st.sampled_from([0, 0.1]),
        "batch_size": st.sampled_from([1, 2, 7, 64, 10_000]),
        "early_stopping": st.booleans(),
        "validation_fraction": st.sampled_from([0.01, 0.3, 0.9]),
        "patience": st.just(1),
        "monitor": st.sampled_from(["average_precision", "loss"]),
        "calibrate": st.booleans(),
        "dtype": st.sampled_from(["float32", "float64", "bfloat16"]),
        "categorical_features": st.sampled_from([None, [0], [-1]]),
    }
    if n_classes == 2:
        numbers = [0.0, 0.2, 1.0, "f1", "mcc", "g_mean", "balanced_accuracy"]
        optional["threshold"] = st.sampled_from(numbers)
    required = {
        "n_members": st.integers(1, 3),
        "max_epochs": st.integers(1, 2),
        "random_state": st.integers(0, 9),
    }
    further = st.fixed_dictionaries(required, optional=optional)
    kept = st.sets(st.sampled_from(sorted(optional)), max_size=5)
    return st.builds(
        lambda module, loss, params, keys: {
            **module,
            **loss,
            **{k: v for k, v in params.items() if k in required or k in keys},
        },
        modules(),
        losses(),
        further,
        kept,
    )


class Problem(NamedTuple):
    """What is given to ``fit``, and the parameters."""

    X: Any
    y: Any
    sample_weight: Any
    params: dict[str, Any]


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_rows = draw(
        st.one_of(st.integers(20, 120), st.integers(4, 20), st.integers(1, 3))
    )
    X = draw(st.one_of(arrays(rng, n_rows), frames(rng, n_rows)))
    y = draw(labels(rng, n_rows))
    params = draw(parameters(len(np.unique(np.asarray(y)))))
    return Problem(X, y, draw(weights(rng, n_rows)), params)


# -- properties ------------------------------------------------------------------------


def take(X, rows):
    """Return some rows of any table."""
    if isinstance(X, pd.DataFrame):
        return X.iloc[rows]
    if isinstance(X, list):
        return [X[row] for row in rows]
    return (X.tocsr() if sparse.issparse(X) else X)[rows]


def fitted(problem, *, strict=False):
    """Fit; return the estimator, or None behind a documented error."""
    clf = BalancedNeuralClassifier(**problem.params)
    before = copy.copy(vars(clf))
    try:
        with warnings.catch_warnings():
            if not strict:
                warnings.simplefilter("ignore", UserWarning)
            clf.fit(problem.X, problem.y, problem.sample_weight)
    except DOCUMENTED as error:
        check_error(error)
        assert vars(clf) == before
        assert not clf.__sklearn_is_fitted__()
        event(f"{type(error).__name__}: {str(error)[:60]}")
        return None
    event("fitted")
    return clf


def content(problem):
    """Describe all that the caller gave, to see whether it is changed."""
    X, y, sample_weight, params = problem
    if sparse.issparse(X):
        X = X.format, X.shape, X.data.tolist(), X.toarray().tolist()
    elif isinstance(X, pd.DataFrame):
        X = X.to_dict("split"), X.dtypes.tolist()
    elif isinstance(X, np.ndarray):
        X = X.dtype, X.flags.writeable, X.tolist()
    return repr((X, list(y), sample_weight, params))


def check_error(error):
    """An error has a message, and comes from a check."""
    assert len(str(error)) > 20
    where = traceback.extract_tb(error.__traceback__)[-1].filename
    assert any(f"/{name}/" in where for name in CHECKING), where


def check_probabilities(P, n_rows, n_classes):
    assert P.shape == (n_rows, n_classes)
    assert P.dtype == np.float64
    assert np.isfinite(P).all()
    assert P.min() >= 0
    assert P.max() <= 1 + 1e-12
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-6)


@given(problems())
def test_fit_is_valid_or_refused(problem):
    """A fit gives distributions of known labels, or a documented error."""
    before = content(problem)
    clf = fitted(problem)
    assert content(problem) == before
    if clf is None:
        return
    y, weight = np.asarray(problem.y), problem.sample_weight
    used = np.ones(len(y), bool) if weight is None else np.asarray(weight) > 0
    P = clf.predict_proba(problem.X)
    check_probabilities(P, len(y), len(clf.classes_))
    np.testing.assert_array_equal(clf.classes_, np.unique(y[used].tolist()))
    assert np.isin(clf.predict(problem.X), clf.classes_).all()
    for prior in (clf.class_prior_, clf.effective_prior_):
        np.testing.assert_allclose(prior.sum(), 1, atol=1e-9)
    if hasattr(clf, "oof_proba_"):
        held_out = clf.oof_proba_[~np.isnan(clf.oof_proba_).any(axis=1)]
        check_probabilities(held_out, len(held_out), len(clf.classes_))


@given(problems(), st.integers(0, 9))
def test_predictions_are_of_rows_and_seeds(problem, seed):
    """Rows do not depend on their company; seeds and copies give the same bits."""
    clf = fitted(problem)
    if clf is None:
        return
    P = clf.predict_proba(problem.X)
    again = fitted(problem)
    np.testing.assert_array_equal(again.predict_proba(problem.X), P)
    copied = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copied.predict_proba(problem.X), P)
    order = np.random.default_rng(seed).permutation(len(P))
    shuffled = clf.predict_proba(take(problem.X, order))
    tolerance = 0.03 if problem.params.get("dtype") == "bfloat16" else 1e-5
    np.testing.assert_allclose(shuffled, P[order], atol=tolerance)
    one = clf.predict_proba(take(problem.X, order[:1]))
    np.testing.assert_allclose(one, P[order[:1]], atol=tolerance)


@given(problems())
def test_warnings_as_errors_leave_the_estimator_unfitted(problem):
    """With warnings as errors, a fit raises them and changes nothing, or is valid."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(problem, strict=True)


@st.composite
def problems_and_other_rows(draw):
    """A problem, and rows of as many columns which may hold anything else."""
    problem = draw(problems())
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    n_rows = draw(st.integers(1, 30))
    n_columns = np.shape(problem.X)[1]
    of_kind = arrays if draw(st.booleans()) else frames
    other = draw(of_kind(rng, n_rows, n_columns))
    if isinstance(problem.X, pd.DataFrame) and isinstance(other, pd.DataFrame):
        other.columns = problem.X.columns
    return problem, other


@given(problems_and_other_rows())
def test_other_rows_are_predicted_or_refused(drawn):
    """Rows that are quite unlike those of fit have probabilities, or an error."""
    problem, other = drawn
    clf = fitted(problem)
    if clf is None:
        return
    before = clf.predict_proba(problem.X)
    n_rows = np.shape(other)[0]
    try:
        P = clf.predict_proba(other)
    except (ValueError, TypeError) as error:
        check_error(error)
        event(f"refused: {str(error)[:60]}")
    else:
        check_probabilities(P, n_rows, len(clf.classes_))
        assert not np.isnan(clf.decision_function(other)).any()
        assert np.isin(clf.predict(other), clf.classes_).all()
    np.testing.assert_array_equal(clf.predict_proba(problem.X), before)


@given(problems(), st.integers(1, 4))
def test_partial_fit_in_chunks_is_valid_or_refused(problem, n_chunks):
    """Each call gives distributions of all classes, or changes nothing."""
    X, y, sample_weight, params = problem
    clf = BalancedNeuralClassifier(**params)
    classes = np.unique(np.asarray(y))
    y = np.asarray(y)
    for chunk in np.array_split(np.arange(len(y)), n_chunks):
        weight = None if sample_weight is None else sample_weight[chunk]
        before = copy.copy(vars(clf))
        try:
            clf.partial_fit(take(X, chunk), y[chunk], classes, weight)
        except DOCUMENTED as error:
            check_error(error)
            assert vars(clf).keys() == before.keys()
            event(f"partial: {str(error)[:60]}")
    if clf.__sklearn_is_fitted__():
        event("partially fitted")
        try:
            P = clf.predict_proba(X)
        except (ValueError, TypeError) as error:
            check_error(error)
        else:
            check_probabilities(P, len(y), len(classes))
            assert np.isin(clf.predict(X), classes).all()


@given(problems())
def test_what_a_fit_leaves_can_be_used(problem):
    """Reports, pictures in notebooks, other priors, and a fit that goes on."""
    clf = fitted(problem)
    if clf is None:
        return
    assert clf._repr_html_()
    assert 0 <= clf.score(problem.X, problem.y) <= 1
    for name in ("report_", "threshold_", "coef_", "oof_weight_"):
        try:
            assert str(getattr(clf, name, "none"))
        except DOCUMENTED as error:
            check_error(error)
            event(f"{name}: {str(error)[:60]}")
    clf.set_params(target_prior="uniform")
    P = clf.predict_proba(problem.X)
    check_probabilities(P, len(P), len(clf.classes_))
    clf.set_params(warm_start=True)
    try:
        clf.fit(problem.X, problem.y, problem.sample_weight)
    except DOCUMENTED as error:
        check_error(error)
        event(f"warm: {str(error)[:60]}")
        np.testing.assert_array_equal(clf.predict_proba(problem.X), P)
    else:
        P = clf.predict_proba(problem.X)
        check_probabilities(P, len(P), len(clf.classes_))


@given(problems())
def test_check_table_takes_what_fit_takes(problem):
    """Whatever table can be fitted can be reported on."""
    clf = fitted(problem)
    columns = problem.params.get("categorical_features", "from_dtype")
    if clf is not None:
        report = check_table(problem.X, problem.y, categorical_features=columns)
        assert len(report.columns) == clf.n_features_in_
        assert str(report)

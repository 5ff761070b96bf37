"""Bad input of what is around the estimator: searches, comparison, tables, export.

Each function is called with input that is good but for one argument. It must raise an
error that names this argument and the cure, before anything is fitted, drawn, written
or forgotten. The arrays are read-only, so that none can be changed.
"""

from __future__ import annotations

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from bad_cases import Case, changed, fails_as_told, short
from scipy import sparse
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.svm import LinearSVC

from imbalnet import BalancedNeuralClassifier, check_table, compare
from imbalnet.comparison import Comparison
from imbalnet.retention import RetainedData, RetainedItem
from imbalnet.strategies import (
    StrategyComparisonDisplay,
    paired_differences,
    strategy_distributions,
    strategy_grid,
    strategy_name,
)

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(N, 3))
Y = (np.arange(N) % 5 < 2).astype(int)
for array in (X, Y):
    array.setflags(write=False)
WORDS = np.where(Y, "fraud", "fine").astype(object)
FRAME = pd.DataFrame(X, columns=["age", "sum", "days"])
NAN, INF = float("nan"), float("inf")


def cases(function, good, argument, values, match, error=ValueError, named=None):
    """Cases of one argument and several values."""
    return [
        Case(
            f"{function.__qualname__}: {argument}={short(value)} {i}, {match}",
            partial(function, **{**good, argument: value}),
            argument if named is None else named,
            match,
            error,
        )
        for i, value in enumerate(values)
    ]


# -- strategies ----------------------------------------------------------------------

NO_LABELS = [None, 3, "abc", [], Y[:1], np.eye(2)[Y], changed(Y * 1.0, 3, NAN)]
NO_LABELS += [changed(WORDS, 3, None), changed(WORDS, 3, 7), X[:, 0], Y * 1j, Y * 0]
NO_FOLDS = [0, 1, -5, 2.5, "5", None, True, NAN, [5]]
OF_Y, SEVERAL = {"y": Y}, r"(label|class|1d|one-hot|missing|Complex|rows)"
OF_GRIDS = [
    case
    for function in (strategy_grid, strategy_distributions)
    for case in [
        *cases(function, OF_Y, "y", NO_LABELS, SEVERAL),
        *cases(function, OF_Y, "X", [X[:-1], FRAME[:-1]], "59 rows.*60"),
        *cases(function, OF_Y, "X", [3, "abc", {}, X[0], X[:0]], ""),
        *cases(function, OF_Y, "cv", NO_FOLDS, "at least 2"),
        *cases(function, OF_Y, "prefix", [None, 3, ["clf__"], True], "str"),
    ]
]
OF_GRIDS += cases(strategy_grid, OF_Y, "size", ["long", None, 3, [], True], "full")
OF_GRIDS += cases(
    strategy_name, {}, "params", [None, 3, "loss", ["loss"], {3: 1}, {None: 2}], "dict"
)

SCORES = {"plain": [0.5, 0.6, 0.4], "focal": [0.6, 0.7, 0.4]}
DIFFERED = {"scores": SCORES, "reference": "plain", "test_share": 0.2}
SHARE = "(between 0 and 1|more than 0 and below 1)"
NO_SHARE = [0, 1, 1.5, -0.2, 20, NAN, INF, "0.2", True, [0.2]]
OF_DIFFERENCES = [
    case
    for function in (paired_differences, StrategyComparisonDisplay.from_scores)
    for case in [
        *cases(function, DIFFERED, "scores", [None, 3, [[0.5, 0.6]], {}], "dict"),
        *cases(function, DIFFERED, "scores", [{"plain": [1, 2], "b": [1]}], "shape"),
        *cases(function, DIFFERED, "scores", [{"plain": 1.0}, {"plain": []}], "split"),
        *cases(
            function,
            DIFFERED,
            "scores",
            [{"plain": ["a", "b"]}, {"plain": ["0.5", "0.6"]}, {"plain": [1j, 2]}],
            "numbers",
        ),
        *cases(function, DIFFERED, "scores", [{"plain": [0.5, INF]}], "inf"),
        *cases(function, DIFFERED, "reference", ["best", 3, ["plain"], {}], "plain"),
        *cases(function, DIFFERED, "test_share", [*NO_SHARE, None], SHARE),
        *cases(function, DIFFERED, "level", [95, *NO_SHARE, None], SHARE),
    ]
]
OF_DIFFERENCES += [
    *cases(paired_differences, DIFFERED, "reference", [None], "plain"),
    *cases(
        StrategyComparisonDisplay.from_scores,
        {"scores": {"a": [NAN, 0.5]}, "test_share": 0.2},
        "reference",
        [None],
        "every split",
    ),
    *cases(
        StrategyComparisonDisplay.from_scores, DIFFERED, "metric", [None, 3, []], "str"
    ),
]

GRID = {"C": [0.1, 1.0]}
SEARCH = GridSearchCV(LogisticRegression(), GRID, cv=3).fit(X, Y)
SEVERAL_SCORES = GridSearchCV(
    LogisticRegression(), GRID, cv=3, scoring=["f1", "recall"], refit=False
).fit(X, Y)
from_search = StrategyComparisonDisplay.from_cv_results
FOUND = {"search": SEARCH}
OF_SEARCHES = [
    *cases(
        from_search,
        {},
        "search",
        [None, 3, "search", X, LogisticRegression().fit(X, Y), {"params": []}],
        "cv_results_",
    ),
    *cases(from_search, {}, "search", [GridSearchCV, LogisticRegression], "instance"),
    *cases(
        from_search,
        {},
        "search",
        [clone(SEARCH)],
        "not fitted",
        NotFittedError,
        "GridSearchCV",
    ),
    *cases(from_search, {}, "search", [SEVERAL_SCORES], "recall", named="metric="),
    *cases(from_search, FOUND, "metric", ["f1", 3, [], True], "score"),
    *cases(from_search, FOUND, "reference", ["plain", 3, []], "C=0.1"),
    *cases(from_search, FOUND, "iteration", [0, 1, "a"], "halving"),
    *cases(from_search, FOUND, "test_share", NO_SHARE, SHARE),
    *cases(from_search, FOUND, "level", [95, *NO_SHARE, None], SHARE),
]
DIFFERENCES = paired_differences(SCORES, "plain", test_share=0.2)


def plotted(differences=DIFFERENCES, reference="plain", ax=None, **options):
    display = StrategyComparisonDisplay(differences, reference=reference, **options)
    before = dict(vars(display))
    try:
        display.plot(ax)
    finally:
        assert vars(display) == before


OF_DISPLAYS = [
    *cases(plotted, {}, "ax", [3, "ax", plt, [1, 2]], "matplotlib"),
    *cases(plotted, {}, "differences", [None, {}, 3, [1], {"a": 3}, SCORES], "Differ"),
    *cases(plotted, {}, "reference", ["best", None, 3, []], "plain"),
    *cases(plotted, {}, "level", [95, 0, NAN, "a", None], "between 0 and 1"),
    *cases(plotted, {}, "metric", [None, 3], "str"),
]

# -- comparison ----------------------------------------------------------------------


class Untrained(BalancedNeuralClassifier):
    """A network that must not be reached."""

    def fit(self, X, y):
        raise AssertionError("bad input must be found before the network is fitted")


class Wrong(DummyClassifier):
    def predict_proba(self, X):
        return np.full((len(X), 2), NAN)


COMPARED = {"X": X, "y": Y, "network": Untrained(), "cv": 2, "random_state": 0}
TWO_FOLDS = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
OF_COMPARE = [
    *cases(compare, COMPARED, "y", NO_LABELS, SEVERAL),
    *cases(compare, COMPARED, "y", [Y[:-1]], "60 rows.*59"),
    *cases(compare, COMPARED, "X", [None, 3, "abc", X[0], X[:0], X[:, :0]], ""),
    *cases(compare, COMPARED, "X", [X[:-1], FRAME[:-1]], "59 rows.*60"),
    *cases(
        compare, COMPARED, "models", ["some", None, 3, [DummyClassifier()]], "quick"
    ),
    *cases(
        compare,
        COMPARED,
        "models",
        [{"own": 3}, {"own": None}, {"own": DummyClassifier}, {"own": "dummy"}],
        "'own'.*(instance|estimator)",
    ),
    *cases(compare, COMPARED, "models", [{"own": LinearSVC()}], "'own'.*predict_proba"),
    *cases(compare, COMPARED, "models", [{3: DummyClassifier()}], "3.*str"),
    *cases(compare, COMPARED, "models", [{"imbalnet": DummyClassifier()}], "taken"),
    *cases(compare, COMPARED, "models", [{"own": Wrong()}], "nan", named="own"),
    *cases(
        compare,
        COMPARED,
        "network",
        [3, "mlp", LogisticRegression(), BalancedNeuralClassifier, {}],
        "BalancedNeuralClassifier",
    ),
    *cases(compare, COMPARED, "cv", [0, 1, -1, 2.5, "5", True, NAN, object()], ""),
    *cases(compare, COMPARED, "cv", [[]], "no splits"),
    *cases(compare, COMPARED, "cv", [50], "(splits|members)", named="n_splits"),
    *cases(
        compare, COMPARED, "cv", [[(np.arange(N), [])]], "no test rows", named="split 0"
    ),
    *cases(compare, COMPARED, "cv", [[(np.arange(30), [N])]], "no row 60"),
    *cases(compare, COMPARED, "cv", [[3], [([0, 1],)], [(["a"], ["b"])]], "pairs"),
    *cases(compare, COMPARED, "random_state", ["a", -1, 1.5, [1.5]], "RandomState"),
    *cases(compare, COMPARED, "n_jobs", [0, 2.5, "a", True, NAN], "integer"),
]
COMPARISON = Comparison(
    {
        name: {
            figure: np.array([0.5, 0.6])
            for figure in (
                *("average_precision", "f1", "mcc", "balanced_accuracy"),
                *("log_loss", "fit_seconds"),
            )
        }
        for name in ("imbalnet", "own")
    },
    {0: 0.6, 1: 0.4},
    N,
    0.5,
)
OF_COMPARISONS = [
    *cases(COMPARISON.differences, {}, "figure", ["auc", None, 3, []], "log_loss"),
    *cases(COMPARISON.differences, {}, "level", [95, *NO_SHARE], "between 0 and 1"),
    *cases(COMPARISON.to_frame, {}, "level", [95, 0, None, "a"], "between 0 and 1"),
    *cases(COMPARISON.plot, {}, "figure", ["auc", None, 3, []], "log_loss"),
    *cases(COMPARISON.plot, {}, "ax", [3, "ax", [1, 2]], "matplotlib"),
]

# -- tables --------------------------------------------------------------------------

TABLE = {"X": FRAME, "y": Y}
OF_TABLES = [
    *cases(check_table, TABLE, "X", [None, 3, "abc", {}, {"a": 1}], ""),
    *cases(check_table, TABLE, "X", [object()], "must be a table"),
    *cases(check_table, TABLE, "X", [X[0], X[:, None]], "", named=""),
    *cases(check_table, TABLE, "X", [[[1, 2], [3]]], ""),
    *cases(check_table, TABLE, "X", [X * 1j], "(omplex)"),
    *cases(
        check_table,
        TABLE,
        "X",
        [X[:0], FRAME[:0], [[]]],
        "(0 feature|0 sample|no rows)",
    ),
    *cases(
        check_table,
        TABLE,
        "X",
        [X[:, :0], FRAME[[]], pl.DataFrame(), sparse.csr_array((N, 0))],
        "(0 feature|no columns|0 sample)",
    ),
    *cases(check_table, TABLE, "X", [X[:-1], FRAME[:-1]], "59 rows.*60"),
    *cases(check_table, TABLE, "y", NO_LABELS[1:4] + NO_LABELS[5:-1], ""),
    *cases(check_table, TABLE, "y", [Y[:-1]], "60 rows.*59"),
    *cases(
        check_table,
        TABLE,
        "categorical_features",
        [
            "auto",
            3,
            True,
            [3],
            [-1],
            [0.5],
            ["size"],
            [True],
            [None],
            [[0]],
            {"age": 1},
        ],
        "",
    ),
]

# -- retained data and export --------------------------------------------------------

ITEM = RetainedItem("history", "5 epochs", 0, 800, "history_", True)
KEPT = RetainedData((ITEM,))


@pytest.fixture(scope="module")
def fitted():
    """A small network, fitted to words and numbers."""
    table = FRAME.assign(kind=np.where(np.arange(N) % 3, "card", "cash"))
    clf = BalancedNeuralClassifier("linear", n_members=2, max_epochs=1, random_state=0)
    return clf.fit(table, Y)


def of_fitted(method, *arguments, **options):
    """Call a method of the fitted network."""

    def call(clf):
        getattr(clf, method)(*arguments, **options)

    return call


def module_of(clf, x):
    return clf.to_torch()(x)


NETWORK = BalancedNeuralClassifier()
OF_NETWORKS = [
    *(
        Case(
            f"discard({short(name)})", of_fitted("discard", name), "discard", "history"
        )
        for name in ["network", "", None, 3, ["history"], ("history",), {"a": 1}]
    ),
    Case("discard: one of two", of_fitted("discard", "history", "x"), "'x'", "history"),
    *(
        Case(f"to_onnx: path={short(path)}", of_fitted("to_onnx", path), "path", match)
        for path, match in [
            ("/no/such/folder/model.onnx", "folder.*/no/such/folder"),
            ("", "file"),
            (".", "file"),
            (3, "str"),
            (True, "str"),
            (["model.onnx"], "str"),
            (b"model.onnx", "str"),
        ]
    ),
    *(
        Case(
            f"to_onnx: categories={short(value)}",
            of_fitted("to_onnx", categories=value),
            "categories",
            "codes",
        )
        for value in ["words", None, 3, [], True]
    ),
    *(
        Case(
            f"module of {short(value)}",
            partial(lambda clf, x: module_of(clf, x), x=value),
            "input",
            match,
        )
        for value, match in [
            (X, "tensor"),
            (None, "tensor"),
            ([[1.0, 2.0]], "tensor"),
            (torch.zeros(4), r"\(batch, 4\).*\(4,\)"),
            (torch.zeros(5, 3), r"\(batch, 4\).*\(5, 3\)"),
            (torch.zeros(2, 3, 4), r"\(batch, 4\).*\(2, 3, 4\)"),
            (torch.zeros(5, 4, dtype=torch.complex64), "complex"),
        ]
    ),
]
OF_UNFITTED = [
    Case(f"{method}, not fitted", getattr(NETWORK, method), "", "not fitted", error)
    for method in ("retained_data", "discard", "to_torch", "to_onnx")
    for error in [NotFittedError]
]
OF_RETAINED = [
    *(
        Case(f"kept[{short(key)}]", partial(KEPT.__getitem__, key), "", match, error)
        for key, match, error in [
            ("optimizer", "'optimizer' is not kept.*history", KeyError),
            (None, "None.*(name|position)", TypeError),
            (1.5, "1.5.*(name|position)", TypeError),
        ]
    ),
    *cases(
        RetainedData, {}, "items", [None, 3, "ab", [3], ("history",)], "RetainedItem"
    ),
]

CASES = [
    *(OF_GRIDS + OF_DIFFERENCES + OF_SEARCHES + OF_DISPLAYS + OF_COMPARE),
    *(OF_COMPARISONS + OF_TABLES + OF_UNFITTED + OF_RETAINED),
]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_bad_input_is_named_and_leaves_no_figure(case):
    fails_as_told(case)
    assert not plt.get_fignums()


@pytest.mark.parametrize("case", OF_NETWORKS, ids=[case.id for case in OF_NETWORKS])
def test_bad_input_leaves_a_fitted_network_and_its_folder(
    case, fitted, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before, kept = dict(vars(fitted)), str(fitted.retained_data())
    fails_as_told(case, fitted)
    assert vars(fitted) == before
    assert str(fitted.retained_data()) == kept
    assert not list(tmp_path.iterdir())


def test_cases_are_many_and_distinct():
    found = [case.id for case in CASES + OF_NETWORKS]
    assert len(set(found)) == len(found) >= 350


def test_an_onnx_file_is_written_as_a_whole(fitted, tmp_path, monkeypatch):
    """One that was there before stays if the new one cannot be written."""
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")

    def fail(proto, name):
        with open(name, "wb") as file:
            file.write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(onnx, "save", fail)
    monkeypatch.setattr("imbalnet.export.mixin.columns_to_onnx", lambda model: None)
    with pytest.raises(OSError, match="disk is full"):
        fitted.to_onnx(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert path.read_bytes() == b"before"


# -- good input ----------------------------------------------------------------------

LABELS = {
    "list": Y.tolist(),
    "bools": Y == 1,
    "words": WORDS,
    "Series": pd.Series(WORDS, index=np.arange(N)[::-1]),
    "polars": pl.Series(WORDS.tolist()),
    "floats": Y.astype(np.float32),
    "column": pd.Series(Y, dtype="category"),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_of_any_kind_are_taken(labels):
    grid = [strategy_name(params) for params in ParameterGrid(strategy_grid(labels, X))]
    assert grid == [strategy_name(p) for p in ParameterGrid(strategy_grid(Y, X))]
    assert list(check_table(X, labels).classes.values()) == [36, 24]


@pytest.mark.parametrize(
    "table", [X.tolist(), FRAME, pl.DataFrame(X), sparse.csr_array(X), X.astype("f4")]
)
def test_tables_of_any_kind_are_taken(table):
    assert len(check_table(table, Y).columns) == 3
    assert len(strategy_grid(Y, table)) == len(strategy_grid(Y, X))


def test_scores_of_any_kind_are_taken():
    frame = pd.DataFrame(SCORES)
    expected = paired_differences(SCORES, "plain", test_share=0.2)
    assert paired_differences(frame, "plain", test_share=np.float32(0.2)).keys() == {
        *expected
    }
    whole = {name: [1, 2, 4] for name in SCORES}
    assert paired_differences(whole, "plain", test_share=0.5)["focal"].difference == 0


@pytest.mark.filterwarnings("ignore:The threshold is chosen by 12 positive rows")
def test_splits_of_any_kind_are_taken():
    small = BalancedNeuralClassifier("linear", n_members=2, max_epochs=1)
    masks = [(np.arange(N) < 30, np.arange(N) >= 30)]
    stack = StackingClassifier([("chance", DummyClassifier())], cv=2)
    assert not hasattr(stack, "predict_proba")  # before fit
    found = compare(
        *(X.tolist(), WORDS),
        models={"stack": stack},
        network=small,
        cv=masks,
        random_state=0,
    )
    assert found.test_share == 0.5
    assert "stack" in found.scores

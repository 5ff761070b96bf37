"""Bad input of the estimator, by kind: what is done, and what the error must say.

Each case is tried on a new estimator and on a fitted one. It must raise an error that
names the parameter, table or column and the cure, and leave the fitted estimator as it
was: the same attributes, the same predictions. Warnings are errors here.
"""

from __future__ import annotations

import copy
import datetime
import re
from functools import partial
from itertools import chain, product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from bad_cases import short
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EarlyStopping
from torch import nn
from torch.utils.data import Sampler, WeightedRandomSampler

from imbalnet import BalancedNeuralClassifier
from imbalnet.networks import MLP
from imbalnet.samplers import IndexSampler, WeightedSampler

RNG = np.random.default_rng(0)
N = 120
X = RNG.normal(size=(N, 4))
Y = (X[:, 0] > 0.6).astype(int)
WORDS = np.where(Y, "fraud", "fine").astype(object)
FRAME = pd.DataFrame(X, columns=["age", "sum", "days", "rate"])
FRAME["kind"] = RNG.choice(["card", "cash"], N)
NUMBERS = FRAME.drop(columns="kind")
NAN, INF = float("nan"), float("inf")
BASE = {"module": "mlp", "max_epochs": 2, "random_state": 0}


class Case(NamedTuple):
    """What is done, to which estimator, and what the message must say."""

    id: str
    call: Any  # of the estimator
    match: str  # a pattern in which .* passes over lines
    params: dict[str, Any] = {}  # set before the call
    of: str = "array"  # what the fitted estimator was fitted to
    error: type[Exception] = ValueError


def changed(values, row, value):
    """Return a copy in which one row, or one cell, has another value."""
    values = copy.copy(values)
    values[row] = value
    return values


def fit(clf, **changes):
    clf.fit(**{"X": X, "y": Y, **changes})


def partial_fit(clf, **changes):
    clf.partial_fit(**{"X": X, "y": Y, "classes": [0, 1], **changes})


def first_partial_fit(clf, **changes):
    """The first call, which is not compared with a fit."""
    partial_fit(clone(clf), **changes)


# -- parameters ----------------------------------------------------------------------


def parameter(name, values, match="", error=ValueError, **more):
    """Cases of one parameter and several values; the message names the parameter."""
    return [
        Case(
            f"{name}={short(v)}",
            fit,
            f"{name}.*{match}",
            {**more, name: v},
            error=error,
        )
        for v in values
    ]


COUNT = r"(int in the range|integer)"
NO_COUNT = [True, False, np.True_, NAN, INF, -1, 2.5, "3", None, [3], 1 + 2j]
NO_NUMBER = [True, np.False_, NAN, INF, -INF, -0.1, "0.1", None, [0.1], 1j]
NO_FLAG = ["yes", 2, None, 0.5, NAN, [True]]
RANGE = r"range"

OF_NUMBERS = [
    *parameter("max_epochs", [0, *NO_COUNT], COUNT),
    *parameter("batch_size", [0, *NO_COUNT], COUNT),
    *parameter("patience", [0, *NO_COUNT], COUNT),
    *parameter("n_members", [0, *NO_COUNT], COUNT),
    *parameter("n_neighbors", NO_COUNT, COUNT),
    *parameter("learning_rate", [0, *NO_NUMBER], RANGE),
    *parameter("weight_decay", NO_NUMBER, RANGE),
    *parameter("validation_fraction", [0, 1, 1.5, *NO_NUMBER], RANGE),
    *parameter("n_threads", [0, True, -1, 2.5, "2", NAN, [1]], COUNT),
    *parameter("n_threads", [100_000, 2**70], r"\[1, \d+\]"),
    *parameter("threshold", [True, NAN, INF, -0.1, 1.5], "between 0 and 1"),
    *parameter("threshold", ["f3", [0.5], {}, float], "(str|f1|function)"),
    *parameter("random_state", ["a", -1, 1.5, NAN, True, [1]], "range"),
    *parameter("verbose", [-1, "a", NAN, None], "range"),
]

OF_NAMES = [
    *parameter("early_stopping", NO_FLAG, "(bool|auto)"),
    *parameter("calibrate", NO_FLAG, "bool"),
    *parameter("compile", NO_FLAG, "bool"),
    *parameter("warm_start", NO_FLAG, "bool"),
    *parameter("schedule", ["linear", None, 3, True], "cosine"),
    *parameter("monitor", ["f1", None, 3, True], "average_precision"),
    *parameter("dtype", ["float16", np.float32, torch.float32, None], "float32"),
    *parameter("preset", ["fast", True, 3], "quick"),
    *parameter("module", ["mpl", None, 3, [MLP], True], "mlp"),
    *parameter("module", [nn.Linear(4, 2)], "class.*module__"),
    *parameter("module", [int, dict, len], "(in_features|keyword)"),
    *parameter("loss", ["ce", None, 3, True, ["focal"]], "cross_entropy"),
    *parameter("loss", [nn.MSELoss()], "regression.*use loss='cross_entropy'"),
    *parameter("loss", [nn.NLLLoss], "log probabilities.*cross_entropy"),
    *parameter("optimizer", ["rmsprop", None, 3, ["adam"]], "adamw"),
    *parameter("optimizer", [torch.optim.SGD([torch.zeros(1)], lr=1)], "callable"),
    *parameter("sampler", ["smote", 3, ["weighted"], True], "oversample"),
    *parameter("sampler", [SMOTE], r"give an instance: sampler=SMOTE\(\)"),
    *parameter("sampler", [WeightedSampler()], "the class"),
    *parameter("sampler", [WeightedRandomSampler([1.0], 1)], "sampler='weighted'"),
    *parameter("sampler", [StandardScaler(), LogisticRegression()], "fit_resample"),
    *parameter("sampler", [Pipeline([("s", StandardScaler())])], "fit_resample"),
    *parameter("device", ["gpu", "", "cuda 1", "cpu:x"], "'cpu'"),
    *parameter("device", [3, None, ["cpu"], torch.float32], "torch.device"),
    *parameter("device", ["meta", torch.device("meta")], "meta.*'cpu'"),
    *parameter("device", ["xpu", "hpu", "vulkan"], "'cpu'"),
    *parameter("device", ["cuda:99", "mps:7", "cpu:3"], "'cpu'"),
]


def one_weight(counts):
    return [1]


def a_name(counts):
    return "balanced"


def no_number(counts):
    return counts * NAN


def without_counts():
    return [1, 2]


OF_CLASSES = [
    *parameter("class_weight", ["balance", 3, True], "balanced"),
    *parameter("class_weight", [[1], [1, 2, 3], [[1, 2]], []], "2 classes"),
    *parameter("class_weight", [[1, NAN], [1, INF], [-1, 1], [0, 0]], "at least 0"),
    *parameter(
        "class_weight", [["1", "2"], [True, False], [None, 1]], "(finite|number)"
    ),
    *parameter("class_weight", [{0: 1, 2: 5}, {"0": 1, "1": 5}], "labels.*0, 1"),
    *parameter(
        "class_weight", [{0: 1, 1: 5, 7: 9}], r"7.*labels.*0, 1", error=UserWarning
    ),
    *parameter(
        "class_weight", [pd.Series([1, 5, 9])], r"2.*labels.*0, 1", error=UserWarning
    ),
    *parameter("class_weight", [pd.Series([1, 2], [1, 1])], "label once"),
    *parameter(
        "class_weight",
        [{0: NAN}, {1: -1}, {1: INF}, {0: "a"}, {1: None}, {1: True}, {0: [1]}],
        "(finite|number)",
    ),
    *parameter("class_weight", [one_weight], "2 classes"),
    *parameter("class_weight", [a_name], "must return one weight"),
    *parameter("class_weight", [no_number], "finite"),
    *parameter("class_weight", [without_counts], "counts", error=TypeError),
    *parameter("cost_matrix", [3, "a", True], "array-like"),
    *parameter(
        "cost_matrix",
        [[1, 2], [[0, 1]], [], np.zeros((3, 3)), np.zeros((N, 2, 2))],
        r"\(2, 2\)",
    ),
    *parameter("cost_matrix", [[[0, NAN], [1, 0]], [[0, 1], [INF, 0]]], "finite"),
    *parameter(
        "cost_matrix", [[["0", "a"], [1, 0]], [[0, None], [1, 0]]], "(numbers|finite)"
    ),
    *parameter("cost_matrix", [[["0", "1"], ["1", "0"]]], "numbers"),
    *parameter("cost_matrix", [[[False, True], [True, False]]], "numbers"),
    *parameter("cost_matrix", [{(0, 1): 1}], r"\(1, 0\)"),
    *parameter("cost_matrix", [{(0, 1): 1, (1, 0): NAN}], "finite"),
    *parameter("cost_matrix", [{(0, 1): 1, (1, 0): "5"}], r"\(1, 0\).*number"),
    *parameter("cost_matrix", [{(0, 1): 1, (1, 0): True}], r"\(1, 0\).*number"),
    *parameter("cost_matrix", [{(0, 1): 1, (1, 0): 2, (0, 7): 1}], r"\(0, 7\)"),
    *parameter("cost_matrix", [{0: 1, 1: 2}, {"fine": 1}], r"\(true label"),
    *parameter("cost_matrix", [pd.DataFrame([[0, 1], [1, 0]], [0, 2])], "index"),
    *parameter("cost_matrix", [pl.DataFrame({"0": [0, 1], "1": [1, 0]})], "to_numpy"),
    *parameter("target_prior", ["balanced", 0.5, True, [0.5]], "'uniform'"),
    *parameter("target_prior", [[0.5, 0.6], [1.5, -0.5], [NAN, 1]], "sum to 1"),
    *parameter("target_prior", [{0: 0.5}, {0: 0.5, 2: 0.5}], "each of the classes"),
    *parameter("target_prior", [{0: "a", 1: 0.5}, [None, 1]], "(number|sum)"),
    *parameter("target_prior", [[True, False], {0: True, 1: False}], "number"),
]

OF_COLUMNS_AND_FOLDS = [
    *parameter("categorical_features", ["auto", 3, True], "from_dtype"),
    *parameter("categorical_features", [[4], [-1], [0, 99]], "0 to 3"),
    *parameter("categorical_features", [["age"]], "positions"),
    *parameter("categorical_features", [[True, False]], "mask"),
    *parameter("categorical_features", [[0.5], [[0, 1]], [None], [NAN]], "positions"),
    *parameter("cv", [1, 0, -1], r"\[2, inf\)"),
    *parameter("cv", [2.5, "5", True, NAN, object()], "split"),
    *parameter("cv", [500], "500.*rows of X"),
    *parameter("cv", [[]], "pairs"),
    *parameter("cv", [[([0, 1], [N])]], "row"),
    *parameter("cv", [[([0, 1], [1, 2])]], "row 1"),
    *parameter("cv", [[(np.arange(N), [])]], "no test rows"),
    *parameter("cv", [[(["a"], ["b"])], [([0.5], [1.5])]], "positions"),
    *parameter("cv", [KFold(3)], "n_members=3", n_members=4),
    *parameter("n_members", [10**6], "rows"),
]

# -- nested parameters ---------------------------------------------------------------


def of_component(name, values, match, **more):
    """Cases of a nested parameter, named in the message with its value."""
    pattern = f"{name}.*{match}"
    return [
        Case(f"{name}={short(value)}", fit, pattern, {**more, name: value})
        for value in values
    ]


OF_COMPONENTS = [
    *of_component("module__hidden_sizes", [(0,), (-3,)], "positive integers"),
    *of_component("module__hidden_sizes", [8, None], "positive integers"),
    *of_component(
        "module__hidden_sizes",
        ["ab", (2.5,), (True,), ([8],), ("8",)],
        "(integer|module__)",
    ),
    *of_component("module__dropout", ["a", None, [0.1]], "(must|type)"),
    *of_component("module__dropout", [-0.5, 1.5, NAN], "dropout"),
    *of_component("module__activation", ["rlu", None, 3], "relu"),
    *of_component("module__clip", ["a"], "(must|type)"),
    *of_component("module__nothing", [1], "hidden_sizes"),
    *of_component("module__in_features", [3], "hidden_sizes"),
    *of_component(
        "module__d_block", [2.5, "8", None], "MLP|ResNet|module", module="resnet"
    ),
    *of_component("module__n_bins", ["a", 2.5], "", module="tabular"),
    *of_component("optimizer__betas", [3, (0.9,), "ab", (2, 3), None], "(Error|must)"),
    *of_component("optimizer__eps", ["a", -1, None], "(Error|must)"),
    *of_component("optimizer__momentum", ["a", -1], "(Error|must)", optimizer="sgd"),
    *of_component("optimizer__momentum", [0.9], "optimizer__betas"),
    *of_component("optimizer__lr", ["a", -1], "Error"),
    *of_component("optimizer__weight_decay", [0.1], "known"),
    *of_component("optimizer__param_groups", [3, [("a",)]], "(Error|must)"),
    *of_component(
        "loss__gamma", ["a", -1, NAN, None, [2]], "(number|value)", loss="focal"
    ),
    *of_component("loss__gamma", [2], "known.*label_smoothing"),
    *of_component("loss__label_smoothing", [1.5, "a", NAN, None], "number"),
    *of_component("loss__p", ["a"], "p", loss=nn.MultiMarginLoss),
    *of_component("loss__weight", [[1, 2]], "tensor", loss=nn.CrossEntropyLoss),
    *of_component("loss__reduction", ["sum"], "loss", loss=nn.CrossEntropyLoss),
    *of_component(
        "class_weight__power",
        [-1, 1.5, NAN, "a", None, True],
        "between 0 and 1",
        class_weight="balanced",
    ),
    *of_component("class_weight__beta", [0.9], "power", class_weight="balanced"),
    *of_component(
        "class_weight__max_ratio", [0.5, NAN, "a", True], "1", class_weight="balanced"
    ),
    *of_component(
        "class_weight__start_epoch",
        [-1, 2, 1.5, NAN, "a", True],
        "epochs",
        class_weight="balanced",
    ),
    *of_component(
        "sampler__power", [-1, 2, NAN, "a", True], "0 and 1", sampler="weighted"
    ),
    *of_component("sampler__power", [1], "none", sampler=None),
    *of_component("sampler__k", [1], "power", sampler="weighted"),
    *of_component("net__max_epochs", [3], "iterator_train"),
    *of_component("net__iterator_train", [3, "a", None], "class or function"),
    *of_component("net__iterator_valid__batch_size", ["a", 0, -5], "integer"),
    *of_component("net__iterator_valid__nothing", [1], "known"),
]

# -- names of parameters -------------------------------------------------------------


def constructed(_, **params):
    BalancedNeuralClassifier(**params).fit(X, Y)


def set_first(clf, **params):
    clf.set_params(**params)
    fit(clf)


MISSPELT = [
    *("max_epochs_", "_max_epochs", "maxepochs", "loss_", "_loss", "__loss"),
    *("n_members__", "epochs", "Module", "modul__dropout", "callback"),
    *("_fitted", "classes_", "net_", "coef_", "_columns", "loss_gamma", "loss___gamma"),
    *("module__", "optimizer__", "_nested_prefixes", "fit", "predict_proba"),
]
OF_SPELLING = [
    Case(f"{how.__name__}({name})", partial(how, **{name: 3}), f"{name}.*known|Valid")
    for name, how in product(MISSPELT, (constructed, set_first))
]

# -- callbacks -----------------------------------------------------------------------


class RaisingSetup(EarlyStopping):
    def initialize(self):
        raise RuntimeError("no connection")


OF_CALLBACKS = [
    *parameter("callbacks", ["early", 3, EarlyStopping(), {"a": 1}], "list"),
    *parameter(
        "callbacks",
        [["early"], [3], [None], [{"a": 1}], [object()], [print], [int], [[]]],
        "skorch.*callback",
    ),
    *parameter(
        "callbacks", [[("stop",)], [("stop", 3)], [(3, EarlyStopping())]], "pair"
    ),
    *parameter("callbacks", [[("a", "b")], [(EarlyStopping(), "stop")]], "pair"),
    *parameter("callbacks", [[("a", EarlyStopping(), 3)], [()]], "pair"),
    *parameter("callbacks", [[nn.Module], [nn.Linear(1, 1)]], "skorch.*callback"),
    *parameter(
        "callbacks", [[("a", EarlyStopping()), ("a", EarlyStopping())]], "'a'.*name"
    ),
]

# -- samplers ------------------------------------------------------------------------


class Resampler(BaseEstimator):
    """Gives back what a function makes of the rows."""

    def __init__(self, change=None):
        self.change = change

    def fit_resample(self, X, y):
        return self.change(np.array(X, dtype=float), np.array(y))


def resampled(name, change, match):
    params = {"sampler": Resampler(change)}
    return Case(f"resampler: {name}", fit, f"sampler=Resampler.*{match}", params)


def fails(error):
    def fail(X, y):
        raise error

    return fail


OF_RESAMPLERS = [
    resampled("drops a class", lambda X, y: (X[y == 0], y[y == 0]), "no row.*1"),
    resampled("NaN", lambda X, y: (changed(X, (3, 2), NAN), y), r"missing.*\[2\]"),
    resampled("inf", lambda X, y: (changed(X, (3, 2), INF), y), r"infinite.*\[2\]"),
    resampled("huge", lambda X, y: (changed(X, (3, 2), 1e300), y), r"infinite.*\[2\]"),
    resampled("longer y", lambda X, y: (X[:-5], y), "rows.*labels"),
    resampled("longer X", lambda X, y: (X, y[:-5]), "rows.*labels"),
    resampled("unknown label", lambda X, y: (X, changed(y, 0, 7)), "label.*7"),
    resampled("label between", lambda X, y: (X, y * 0.5), "label.*continuous"),
    resampled("negative label", lambda X, y: (X, -y), "label.*-1"),
    resampled("words", lambda X, y: (X, np.where(y, "a", "b")), "label.*a"),
    resampled(
        "NaN label", lambda X, y: (X, changed(y * 1.0, 0, NAN)), "label.*missing"
    ),
    resampled("no label", lambda X, y: (X, [None] * len(y)), "label.*None"),
    resampled("one-hot", lambda X, y: (X, np.eye(2)[y]), "one label"),
    resampled("wider", lambda X, y: (np.c_[X, X], y), "4 columns.*8"),
    resampled("narrower", lambda X, y: (X[:, :2], y), "4 columns.*2"),
    resampled("no columns", lambda X, y: (X[:, :0], y), "4 columns.*0"),
    resampled("one axis", lambda X, y: (X[:, 0], y), "4 columns"),
    resampled("three axes", lambda X, y: (X[:, None], y), "4 columns"),
    resampled("words in X", lambda X, y: (X.astype(str) + "a", y), "numbers"),
    resampled("objects in X", lambda X, y: (np.full(X.shape, object()), y), "numbers"),
    resampled("complex", lambda X, y: (X * 1j, y), "numbers"),
    resampled("no rows", lambda X, y: (X[:0], y[:0]), "no row"),
    resampled("None", lambda X, y: None, r"\(X, y\)"),
    resampled("X alone", lambda X, y: X, r"\(X, y\)"),
    resampled("three things", lambda X, y: (X, y, y), r"\(X, y\)"),
    resampled("a number", lambda X, y: 3, r"\(X, y\)"),
    resampled("None for X", lambda X, y: (None, y), "4 columns"),
    resampled("None for y", lambda X, y: (X, None), "one label"),
    *(
        resampled(type(error).__name__, fails(error), "failed.*too bad")
        for error in (
            ValueError("too bad"),
            KeyError("too bad"),
            AttributeError("too bad"),
            ZeroDivisionError("too bad"),
            RuntimeError("too bad"),
            AssertionError("too bad"),
        )
    ),
]


class Indices(IndexSampler):
    """Draws what a function makes of the number of rows."""

    def __init__(self, epoch=None, rates=None, rows=None):
        super().__init__()
        self._epoch, self._rates, self._rows = epoch, rates, rows

    def epoch(self, batch_size):
        n = self.counts.sum()
        return np.arange(n) if self._epoch is None else self._epoch(n)

    def rates(self, counts, batch_size):
        return np.ones(len(counts)) if self._rates is None else self._rates

    def epoch_rows(self, counts):
        return round(counts.sum()) if self._rows is None else self._rows


def indices(name, match, **given):
    params = {f"sampler__{key}": value for key, value in given.items()}
    return Case(
        f"index sampler: {name}",
        fit,
        f"sampler=Indices.*{match}",
        {**params, "sampler": Indices},
    )


OF_EPOCHS = [
    indices("row beyond", "drew row", epoch=lambda n: np.arange(n) + 1),
    indices("negative row", "drew row", epoch=lambda n: [-1]),
    indices("other dtype", "integers", epoch=lambda n: np.arange(n) * 1.0),
    indices("NaN", "integers", epoch=lambda n: [0, NAN]),
    indices("words", "integers", epoch=lambda n: ["0"]),
    indices("mask", "integers", epoch=lambda n: np.ones(n, dtype=bool)),
    indices("None", "row numbers", epoch=lambda n: None),
    indices("a number", "row numbers", epoch=lambda n: 3),
    indices("nothing", "no rows", epoch=lambda n: []),
    indices("empty batches", "no rows", epoch=lambda n: [[], []]),
    indices("objects", "integers", epoch=lambda n: [None, 1]),
    indices("a dict", "row numbers", epoch=lambda n: {"a": 1}),
    indices("three axes", "integers", epoch=lambda n: np.zeros((2, 2, 2), int)),
    indices("rates of 0", "rates", rates=[0, 1]),
    indices("negative rates", "rates", rates=[-1, 1]),
    indices("NaN rates", "rates", rates=[NAN, 1]),
    indices("rates of one class", "rates", rates=[1]),
    indices("rates None", "rates", rates="a"),
    indices("no epoch rows", "epoch_rows", rows=0),
    indices("half epoch rows", "epoch_rows", rows=2.5),
    indices("epoch rows of words", "epoch_rows", rows="a"),
    indices("epoch rows True", "epoch_rows", rows=True),
]


class BindsNothing(Indices):
    def bind(self, codes, rng):
        super().bind(codes, rng)


class NeedsMore(Indices):
    def __init__(self, n_draws):
        super().__init__()


class Yields(Sampler):
    rows = None

    def __init__(self, labels):
        self.labels = labels

    def __iter__(self):
        return self.rows


def yielding(rows):
    return type("Yields", (Yields,), {"rows": property(lambda self: rows)})


OF_SAMPLER_CLASSES = [
    *parameter("sampler", [BindsNothing], "bind"),
    *parameter("sampler", [NeedsMore], "n_draws"),
    *parameter("sampler", [IndexSampler], "subclass"),
    *parameter("sampler", [Sampler], "subclass"),
    *parameter("sampler", [int, dict], "instance"),
    *(
        Case(f"torch sampler: {name}", fit, "sampler=Yields.*row", {"sampler": cls})
        for name, cls in {
            "None": yielding(None),
            "a list": yielding([1, 2]),
            "nothing": yielding(iter([])),
            "words": yielding(iter("ab")),
            "row beyond": yielding(iter([N])),
            "negative row": yielding(iter([-1])),
            "halves": yielding(iter([0.5])),
        }.items()
    ),
]

# -- modules -------------------------------------------------------------------------


class Module(nn.Module):
    """A linear module whose output a function changes."""

    def __init__(self, in_features, out_features, change=None, n_columns=None):
        super().__init__()
        self.output = nn.Linear(in_features, n_columns or out_features)
        self.change = change

    def forward(self, x):
        return self.change(self.output(x))


class NoParameters(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()

    def forward(self, x):
        return x[:, :2] * 1.0


class Frozen(Module):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features, lambda z: z)
        self.requires_grad_(False)


class FailsToBuild(nn.Module):
    def __init__(self, in_features, out_features, size=3):
        super().__init__()
        raise KeyError("size")


def detached(z):
    return z.detach()


def raises(z):
    raise KeyError("too bad")


def module(name, change, match, error=ValueError, **more):
    params = {"module": Module, "module__change": change, **more}
    return Case(f"module: {name}", fit, f"module=Module.*{match}", params, error=error)


def made(name, cls, match, error=ValueError):
    return Case(
        f"module: {name}", fit, f"module=.*{match}", {"module": cls}, error=error
    )


TENSOR = "must (give|return).*tensor"
OF_MODULES = [
    module("a tuple", lambda z: (z, z), f"{TENSOR}.*tuple"),
    module("a list", lambda z: [z], f"{TENSOR}.*list"),
    module("a dict", lambda z: {"logits": z}, f"{TENSOR}.*dict"),
    module("None", lambda z: None, f"{TENSOR}.*None"),
    module("a number", lambda z: 3.0, f"{TENSOR}.*float"),
    module("an array", lambda z: z.detach().numpy(), f"{TENSOR}.*ndarray"),
    module("integers", lambda z: z.long(), "int64"),
    module("bool", lambda z: z > 0, "bool"),
    module("complex", lambda z: z * 1j, "complex"),
    module("half the rows", lambda z: z[: len(z) // 2], "shape"),
    module("twice the rows", lambda z: torch.cat([z, z]), "shape"),
    module("wrong width", lambda z: z, "shape", module__n_columns=5),
    module("no columns", lambda z: z[:, :0], "shape"),
    module("one axis", lambda z: z[:, 0], "shape"),
    module("a scalar", lambda z: z.sum(), "shape"),
    module("four axes", lambda z: z[:, None, None], "shape"),
    module("transposed", lambda z: z.T, "shape", module__n_columns=2),
    module("softmax", lambda z: z.softmax(-1), "softmax.*logits", UserWarning),
    module("log_softmax", lambda z: z.log_softmax(-1), "log_softmax", UserWarning),
    module("sigmoid", lambda z: z.sigmoid(), "sigmoid.*logits", UserWarning),
    module(
        "sigmoid of one column",
        torch.sigmoid,
        "sigmoid.*logits",
        UserWarning,
        module__n_columns=1,
    ),
    module(
        "softmax of members",
        lambda z: z.softmax(-1),
        "softmax.*logits",
        UserWarning,
        n_members=2,
    ),
    module("NaN", lambda z: z * NAN, "NaN"),
    module("inf", lambda z: z + INF, "infinite"),
    module("NaN in a column", lambda z: z * torch.tensor([1.0, NAN]), "NaN"),
    module("no gradient", detached, "gradient"),
    module("a tuple of members", lambda z: (z, z), f"{TENSOR}.*tuple", n_members=2),
    module("None of members", lambda z: None, f"{TENSOR}.*None", n_members=2),
    module("half the rows of members", lambda z: z[:1], "shape", n_members=2),
    module("no gradient of members", detached, "gradient", n_members=2),
    module("NaN of members", lambda z: z * NAN, "NaN", n_members=2),
    module("raises", raises, "KeyError.*too bad"),
    made("no parameters", NoParameters, "no parameters"),
    made("frozen parameters", Frozen, "gradient"),
    made("fails to build", FailsToBuild, "KeyError.*size"),
    made("factory of None", lambda in_features, out_features: None, "torch.nn.Module"),
    made("factory of words", lambda in_features, out_features: "a", "torch.nn.Module"),
    made(
        "factory of a class", lambda in_features, out_features: MLP, "torch.nn.Module"
    ),
    made(
        "factory of a function",
        lambda in_features, out_features: torch.relu,
        "torch.nn.Module",
    ),
    made("no in_features", nn.ReLU, "in_features"),
    made("positional", lambda a, b: nn.Linear(a, b), "in_features"),
]

# -- labels --------------------------------------------------------------------------


def holding(label, kind):
    """Return WORDS, of which the fourth is another label, in a container."""
    y = changed(WORDS, 3, label)
    return {
        "list": y.tolist,
        "array": lambda: y,
        "Series": lambda: pd.Series(y, dtype=object),
        "string": lambda: pd.Series(y, dtype="string"),
        "category": lambda: pd.Series(y).astype("category"),
        "polars": lambda: pl.Series(y.tolist()),
        "column": lambda: y[:, None],
    }[kind]()


GAP = "y has.*missing.*row 3.*(leave|drop)"
OBJECTS = "list", "array", "Series"
CONTAINERS = *OBJECTS, "string", "category", "polars"
MISSING = {"None": None, "NaN": NAN, "NA": pd.NA, "NaT": pd.NaT}


def labels(name, y, match, call=fit, **more):
    title = f"{call.__name__}: y {name}"
    return Case(title, partial(call, y=y, **more), match)


ALL_WORDS = {"classes": ["fine", "fraud"]}
OF_LABELS = [
    *(labels(f"None, {c}", holding(None, c), GAP) for c in CONTAINERS),
    *(
        labels(f"{k}, {c}", holding(v, c), GAP)
        for k, v in MISSING.items()
        if k != "None"
        for c in OBJECTS
    ),
    *(
        labels(f"None, {c}", holding(None, c), GAP, first_partial_fit, **ALL_WORDS)
        for c in CONTAINERS
    ),
    *(
        labels(f"7, {c}", holding(7, c), "y has.*(words|strings).*numbers.*one kind")
        for c in ("list", "array", "Series", "category")
    ),
    labels("7 first", changed(WORDS, 0, 7).tolist(), "y has.*numbers.*one kind"),
    labels(
        "7",
        changed(WORDS, 3, 7),
        "y has.*numbers.*one kind",
        first_partial_fit,
        **ALL_WORDS,
    ),
    labels("True", changed(WORDS, 3, True), "y has.*one kind"),
    labels("a tuple", changed(WORDS, 3, ("a",)), "y has.*one kind"),
    labels("bytes", changed(WORDS, 3, b"a"), "y has.*one kind"),
    labels("a date", changed(WORDS, 3, datetime.date(2020, 1, 1)), "y has.*one kind"),
    labels("NaN of floats", changed(Y * 1.0, 3, NAN), GAP),
    labels("NaN of a list", changed(Y * 1.0, 3, NAN).tolist(), GAP),
    labels("NA of Int64", pd.Series(Y).astype("Int64").where(np.arange(N) != 3), GAP),
    labels(
        "null of polars",
        pl.Series([None if i == 3 else int(v) for i, v in enumerate(Y)]),
        GAP,
    ),
    labels("masked", np.ma.masked_array(Y, np.arange(N) == 3), GAP),
    labels("inf", changed(Y * 1.0, 3, INF), "y contains infinity"),
    labels("continuous", X[:, 0], "(continuous|Unknown label type).*regress"),
    labels("halves", Y * 0.5, "(continuous|Unknown label type).*regress"),
    labels("one-hot", np.eye(2, dtype=int)[Y], r"one-hot.*argmax"),
    labels("one-hot of floats", np.eye(2)[Y], r"one-hot.*argmax"),
    labels("one-hot of bools", np.eye(2)[Y] > 0, r"one-hot.*argmax"),
    labels(
        "one-hot frame", pd.get_dummies(pd.Series(WORDS)), r"one-hot.*(argmax|idxmax)"
    ),
    labels("one-hot list", np.eye(2, dtype=int)[Y].tolist(), r"one-hot.*argmax"),
    labels("one-hot of three", np.eye(3)[Y], r"one-hot.*argmax"),
    labels("one-hot, sparse", sparse.csr_array(np.eye(2)[Y]), r"one-hot.*argmax"),
    labels("one-hot, partial", np.eye(2)[Y], r"one-hot.*argmax", partial_fit),
    labels("multilabel", np.c_[Y, Y], "y must be 1d.*MultiOutputClassifier"),
    labels("multi-output", np.c_[Y, Y + 3], "y must be 1d.*MultiOutputClassifier"),
    labels("of probabilities", np.c_[1 - Y, Y] * 0.8 + 0.1, "y must be 1d"),
    labels("three axes", Y[:, None, None], "y must be 1d"),
    labels("a scalar", 1, "y must be"),
    labels("a word", "fraud", "y must be"),
    labels("a dict", {"a": 1}, "y must be"),
    labels("a set", {0, 1}, "y must be"),
    labels("a function", len, "y must be"),
    labels("lists of lists", [[1], [0, 1]] * (N // 2), "y must be"),
    labels("None", None, "y.*None.*labels"),
    labels("shorter", Y[:-1], "y.*119.*X.*120|X.*120.*y.*119"),
    labels("longer", np.r_[Y, 0], "y.*121.*X.*120|X.*120.*y.*121"),
    labels("empty", [], "y"),
    labels("one class", np.zeros(N, int), "y.*one class"),
    labels("one class of words", ["fine"] * N, "y.*one class"),
    labels("one class by weight", Y, "sample_weight.*one class", sample_weight=1.0 - Y),
    labels("complex", Y * 1j, "y.*(complex|Complex)"),
    labels("dates", np.full(N, "2020-01-01", "M8[D]"), "y"),
    labels("unknown in partial_fit", changed(Y, 3, 7), "y has.*7", partial_fit),
    labels("words for numbers", WORDS, "y has.*fine", partial_fit),
    labels("numbers for words", Y, "y has.*0", first_partial_fit, **ALL_WORDS),
]

CLASSES = [
    Case(f"classes={short(given)}", partial(first_partial_fit, classes=given), match)
    for given, match in [
        ([0], "classes.*two"),
        ([], "classes.*two"),
        ([0, 0], "classes.*two"),
        ([0, "fraud"], "classes.*one kind"),
        ([0, None], "classes.*missing"),
        ([0, NAN], "classes.*missing"),
        ([[0, 1]], "classes.*1d"),
        (3, "classes"),
        ("ab", "classes"),
        ([0, 2], "(y has|classes).*[12]"),
    ]
]

# -- tables of fit -------------------------------------------------------------------


def table(name, X, match, call=fit, of="array", error=ValueError, **params):
    title = f"{call.__name__}: X {name}"
    return Case(title, partial(call, X=X), match, params, of, error)


DATES = pd.date_range("2020-01-01", periods=N)
OF_TABLES = [
    table("None", None, "X"),
    table("empty", X[:0], "X.*0 sample|0 sample.*X"),
    table("without columns", X[:, :0], "0 feature.*X|X.*0 feature"),
    table("empty list", [], "X"),
    table("of one axis", X[:, 0], "X.*reshape|reshape.*X"),
    table("of three axes", X[:, None], "X.*dim 3|dim 3.*X|X.*3 dim"),
    table("a number", 3.0, "X"),
    table("a word", "abc", "X"),
    table("a dict", {"a": X[:, 0]}, "X.*(frame|array)"),
    table("a set", {1, 2}, "X"),
    table("a function", len, "X.*function"),
    table("ragged", [[1, 2], [3]] * (N // 2), "X"),
    table("complex", X + 1j, "(X|Complex)"),
    table("complex frame", NUMBERS.astype(complex), "X has.*(age|[Cc]omplex)"),
    table("dates", np.full((N, 2), "2020-01-01", "M8[D]"), "X holds dates"),
    table("column of dates", NUMBERS.assign(on=DATES), "X has.*dates.*on.*days since"),
    table(
        "column of lists",
        NUMBERS.assign(a=[[1]] * N),
        "X has.*'a'.*derive",
        error=TypeError,
    ),
    table(
        "column of dicts",
        NUMBERS.assign(a=[{}] * N),
        "X has.*'a'.*derive",
        error=TypeError,
    ),
    table("column of complex", NUMBERS.assign(a=1j), "X has.*'a'"),
    table("inf", changed(X, (3, 2), INF), r"X has.*infinite.*\[2\].*clip"),
    table("inf of a frame", changed(X, (3, 2), INF).tolist(), r"X has.*\[2\]"),
    table("sparse inf", sparse.csr_array(changed(X, (3, 2), INF)), "X"),
    table(
        "sparse NaN", sparse.csr_array(changed(X, (3, 2), NAN)), "X contains NaN.*imput"
    ),
    table("sparse complex", sparse.csr_array(X * 1j), "(X|Complex)"),
    table("shorter", X[:-1], "119.*120|120.*119"),
    table(
        "structured",
        np.zeros(N, [("a", float), ("b", float)]),
        "X.*structured.*DataFrame",
    ),
    table("objects", np.full((N, 2), object()), "X.*number", error=TypeError),
    table(
        "words, no categories",
        FRAME,
        "kind.*module",
        module=Module,
        module__change=torch.abs,
    ),
    table("words, none wanted", FRAME, "kind.*card", categorical_features=None),
    table(
        "gaps, own module",
        changed(X, (3, 2), NAN),
        r"X has.*\[2\].*Fill",
        module=Module,
        module__change=torch.abs,
    ),
    table("None", None, "X", partial_fit),
    table("empty", X[:0], "X.*0 sample|0 sample.*X", partial_fit),
    table("of one axis", X[:, 0], "X.*reshape|reshape.*X", partial_fit),
    table("wider", np.c_[X, X], "X has 8 features.*4", partial_fit),
    table("inf", changed(X, (3, 2), INF), r"X has.*infinite.*\[2\]", partial_fit),
    table(
        "words",
        changed(X.astype(object), (3, 2), "low"),
        r"X has.*\[2\].*'low'.*numbers",
        partial_fit,
    ),
    table(
        "dates", NUMBERS.assign(rate=DATES), "X has.*dates.*rate", partial_fit, "frame"
    ),
]

# -- rows that come with X -----------------------------------------------------------

WEIGHTS = np.ones(N)


def beside(name, match, **given):
    return Case(f"fit: {name}", partial(fit, **given), match)


def validated(name, match, X_val=X, y_val=Y, of="array", **given):
    call = partial(fit, X_val=X_val, y_val=y_val, **given)
    return Case(f"fit: {name}", call, match, of=of)


OF_SIDE_ROWS = [
    beside("weights, shorter", "sample_weight.*119", sample_weight=WEIGHTS[:-1]),
    beside("weights, a word", "sample_weight", sample_weight="a"),
    beside("weights, words", "sample_weight.*number", sample_weight=["a"] * N),
    beside("weights, two axes", "sample_weight", sample_weight=np.ones((N, 2))),
    beside(
        "weights, NaN", "sample_weight.*NaN", sample_weight=changed(WEIGHTS, 3, NAN)
    ),
    beside(
        "weights, inf", "sample_weight.*infin", sample_weight=changed(WEIGHTS, 3, INF)
    ),
    beside(
        "weights, negative",
        "sample_weight.*(-1|[Nn]egative)",
        sample_weight=changed(WEIGHTS, 3, -1),
    ),
    beside("weights, zeros", "sample_weight.*0", sample_weight=0 * WEIGHTS),
    beside("weights, None inside", "sample_weight", sample_weight=[None] * N),
    beside("weights, complex", "sample_weight", sample_weight=WEIGHTS * 1j),
    beside("weights, a dict", "sample_weight", sample_weight={0: 1.0, 1: 2.0}),
    beside("groups, shorter", "groups.*119", groups=Y[:-1]),
    beside("groups, a word", "groups", groups="a"),
    beside("groups, two axes", "groups", groups=np.ones((N, 2))),
    beside("groups, NaN", "groups.*missing.*row 3", groups=changed(WEIGHTS, 3, NAN)),
    beside("groups, None", "groups.*missing.*row 3", groups=changed(WORDS, 3, None)),
    beside("groups, a number", "groups", groups=3),
    beside("groups, lists", "groups", groups=[[1], [2, 3]] * (N // 2)),
    beside("X_val alone", "X_val and y_val", X_val=X),
    beside("y_val alone", "X_val and y_val", y_val=Y),
    validated("X_val, wider", "X_val.*8.*4", X_val=np.c_[X, X]),
    validated("X_val, narrower", "X_val.*2.*4", X_val=X[:, :2]),
    validated("X_val, one axis", "X_val.*reshape", X_val=X[:, 0]),
    validated("X_val, three axes", "X_val.*(dim 3|3 dim)", X_val=X[:, None]),
    validated("X_val, empty", "X_val.*0 sample|0 sample.*X_val", X_val=X[:0], y_val=[]),
    validated("X_val, a word", "X_val", X_val="abc"),
    validated("X_val, inf", r"X_val has.*\[2\]", X_val=changed(X, (3, 2), INF)),
    validated("X_val, complex", "X_val|[Cc]omplex", X_val=X * 1j),
    validated("X_val, dates", "X_val", X_val=np.full((N, 4), "2020", "M8[Y]")),
    validated(
        "X_val, words",
        r"X_val has.*\[2\].*'low'.*numbers",
        X_val=changed(X.astype(object), (3, 2), "low"),
    ),
    validated(
        "X_val, shorter", "X_val.*119.*y_val.*120|y_val.*120.*X_val.*119", X_val=X[:-1]
    ),
    validated(
        "y_val, shorter", "X_val.*120.*y_val.*119|y_val.*119.*X_val.*120", y_val=Y[:-1]
    ),
    validated("y_val, unknown", "y_val has.*7", y_val=changed(Y, 3, 7)),
    validated("y_val, words", "y_val has.*fine", y_val=WORDS),
    validated(
        "y_val, None",
        "y_val has.*missing.*row 3",
        y_val=changed(Y.astype(object), 3, None),
    ),
    validated(
        "y_val, NaN", "y_val has.*missing.*row 3", y_val=changed(Y * 1.0, 3, NAN)
    ),
    validated(
        "y_val, mixed", "y_val has.*one kind", y_val=changed(WORDS, 3, 7).tolist()
    ),
    validated("y_val, one-hot", "y_val.*one-hot.*argmax", y_val=np.eye(2)[Y]),
    validated("y_val, a number", "y_val", y_val=3),
    validated("y_val, continuous", "y_val.*regress", y_val=X[:, 0]),
    validated(
        "X_val, other names",
        "X_val.*size",
        X=NUMBERS,
        X_val=NUMBERS.rename(columns={"sum": "size"}),
    ),
    validated(
        "X_val, other order", "X_val.*order", X=NUMBERS, X_val=NUMBERS.iloc[:, ::-1]
    ),
    validated(
        "X_val, words of a frame",
        "X_val has.*sum.*'low'.*held numbers",
        X=NUMBERS,
        X_val=NUMBERS.assign(sum="low"),
    ),
    validated(
        "X_val, dates of a frame",
        "X_val has.*dates.*sum",
        X=NUMBERS,
        X_val=NUMBERS.assign(sum=DATES),
    ),
]

# -- tables of prediction ------------------------------------------------------------

METHODS = "predict", "predict_proba", "decision_function"


def predict(clf, method, X, **more):
    getattr(clf, method)(X, **more)


def predicted(name, X, match, of="array", methods=METHODS[:2], error=ValueError):
    return [
        Case(
            f"{method}: {of}, {name}",
            partial(predict, method=method, X=X),
            match,
            of=of,
            error=error,
        )
        for method in methods
    ]


BY_NUMBER = FRAME.set_axis(range(5), axis=1)
BY_LEVELS = FRAME.set_axis(
    pd.MultiIndex.from_tuples([("a", i) for i in range(5)]), axis=1
)
REPEATED = FRAME.set_axis(["a", "b", "a", "c", "kind"], axis=1)
OBJECTS_LOW = changed(X.astype(object), (3, 2), "low")
LOW = r"\[2\].*'low'.*held numbers"
CHANGED_ORDER = "order.*fit"

OF_PREDICTION = list(
    chain(
        predicted("None", None, "X", methods=METHODS),
        predicted("empty", X[:0], "X.*0 sample|0 sample.*X", methods=METHODS),
        predicted("wider", np.c_[X, X], "X has 8 features.*4", methods=METHODS),
        predicted("narrower", X[:, :3], "X has 3 features.*4", methods=METHODS),
        predicted("one axis", X[0], "X.*reshape|reshape.*X", methods=METHODS),
        predicted("three axes", X[:, None], "X.*dim 3|dim 3.*X|X.*3 dim"),
        predicted("a number", 3.0, "X"),
        predicted("a word", "abc", "X"),
        predicted("a dict", {"a": 1}, "X"),
        predicted("ragged", [[1, 2], [3]], "X"),
        predicted("complex", X * 1j, "(X|[Cc]omplex)"),
        predicted("inf", changed(X, (3, 2), INF), r"X has.*infinite.*\[2\]"),
        predicted("too large", changed(X, (3, 2), 1e300), r"X has.*\[2\]"),
        predicted("sparse NaN", sparse.csr_array(changed(X, (3, 2), NAN)), "X.*NaN"),
        predicted("dates", np.full((N, 4), "2020", "M8[Y]"), "X holds dates"),
        predicted("words", OBJECTS_LOW, LOW, methods=METHODS),
        predicted("words of a list", OBJECTS_LOW.tolist(), LOW),
        predicted(
            "words of NumPy",
            np.where(X > 9, "low", X.astype("U9")).astype("U9")[:, ::-1] + "x",
            "held numbers",
        ),
        predicted("objects", np.full((N, 4), object()), "X.*number", error=TypeError),
        predicted(
            "words in a frame",
            FRAME.assign(sum="low"),
            "'sum'.*'low'.*held numbers",
            "frame",
            METHODS,
        ),
        predicted(
            "categories",
            FRAME.assign(sum=FRAME.kind.astype("category")),
            "'sum'.*'card'.*held numbers",
            "frame",
        ),
        predicted(
            "words of polars",
            pl.from_pandas(FRAME.assign(sum="low")),
            "'sum'.*'low'.*held numbers",
            "frame",
        ),
        predicted("lists", FRAME.assign(sum=[[1]] * N), "'sum'.*held numbers", "frame"),
        predicted(
            "lists as categories",
            FRAME.assign(kind=[["card"]] * N),
            "'kind'.*held categories in fit: give a string",
            "frame",
        ),
        predicted("dates", FRAME.assign(sum=DATES), "X has.*dates.*sum", "frame"),
        predicted("other order", FRAME.iloc[:, ::-1], CHANGED_ORDER, "frame"),
        predicted("one missing", FRAME.iloc[:, 1:], "missing.*age", "frame"),
        predicted("one more", FRAME.assign(more=1), "unseen.*more", "frame"),
        predicted(
            "another name",
            FRAME.rename(columns={"sum": "size"}),
            "unseen.*size",
            "frame",
        ),
        predicted(
            "without names",
            FRAME.to_numpy(),
            "feature names",
            "frame",
            error=UserWarning,
        ),
        predicted(
            "sparse", sparse.csr_array(X), "feature names", "frame", error=UserWarning
        ),
        predicted("other order", BY_NUMBER[[1, 0, 2, 3, 4]], CHANGED_ORDER, "numbered"),
        predicted("one missing", BY_NUMBER[[0, 1, 2, 4]], "missing.*3", "numbered"),
        predicted(
            "another number", BY_NUMBER.rename(columns={2: 7}), "unseen.*7", "numbered"
        ),
        predicted(
            "other order", BY_LEVELS.iloc[:, [1, 0, 2, 3, 4]], CHANGED_ORDER, "levels"
        ),
        predicted(
            "one missing", BY_LEVELS.iloc[:, [0, 1, 2, 4]], "missing.*3", "levels"
        ),
        predicted("another", BY_LEVELS.rename(columns={2: 7}), "unseen.*7", "levels"),
        predicted(
            "other order", REPEATED.iloc[:, [1, 0, 2, 3, 4]], CHANGED_ORDER, "repeated"
        ),
        predicted(
            "one missing", REPEATED.iloc[:, [0, 1, 3, 4]], "missing.*a", "repeated"
        ),
        predicted(
            "another", REPEATED.rename(columns={"b": "d"}), "unseen.*d", "repeated"
        ),
    )
)

COSTS_OF_ROWS = np.ones((N, 2, 2))
OF_PREDICTED_COSTS = [
    Case(
        f"predict: cost_matrix {name}",
        partial(predict, method="predict", X=X, cost_matrix=costs),
        f"cost_matrix.*{match}",
    )
    for name, costs, match in [
        ("of other rows", COSTS_OF_ROWS[:-1], r"\(120, 2, 2\)"),
        ("of three classes", np.ones((3, 3)), r"\(2, 2\)"),
        ("NaN", COSTS_OF_ROWS * NAN, "finite"),
        ("a word", "a", "numbers"),
        ("of one error", {(0, 1): 1}, r"\(1, 0\)"),
        ("of an unknown label", {(0, 1): 1, (1, 0): 1, (7, 0): 1}, r"\(7, 0\)"),
        ("of other rows, dict", {(0, 1): [1, 2], (1, 0): 1}, "120 rows"),
    ]
]

# parameters that are read at prediction
OF_PREDICTION_TIME = [
    Case(
        f"{method}: {name}={short(value)}",
        partial(predict, method=method, X=X),
        match,
        {name: value},
    )
    for name, value, match, methods in [
        ("n_threads", 0, "n_threads.*at least 1", METHODS),
        ("n_threads", -1, "n_threads.*at least 1", METHODS),
        ("n_threads", 100_000, r"n_threads.*at most \d+", METHODS),
        ("n_threads", True, "n_threads.*integer", METHODS[:2]),
        ("n_threads", 2.5, "n_threads.*integer", METHODS[:2]),
        ("n_threads", "2", "n_threads.*integer", METHODS[:2]),
        ("n_threads", NAN, "n_threads.*integer", METHODS[:2]),
        ("target_prior", "balanced", "target_prior.*'uniform'", METHODS),
        ("target_prior", [0.5, 0.6], "target_prior.*sum to 1", METHODS),
        ("target_prior", [NAN, 1.0], "target_prior.*sum to 1", METHODS[:2]),
        ("target_prior", {0: 0.5, 7: 0.5}, "target_prior.*7", METHODS[:2]),
        ("cost_matrix", [[0, NAN], [1, 0]], "cost_matrix.*finite", METHODS[:1]),
        ("cost_matrix", {(0, 1): 1}, r"cost_matrix.*\(1, 0\)", METHODS[:1]),
        ("cost_matrix", {(0, 1): 1, (1, 0): 2, (0, 7): 1}, r"cost.*7", METHODS[:1]),
        ("threshold", 1.5, "threshold.*between 0 and 1", METHODS[:1]),
        ("threshold", True, "threshold.*between 0 and 1", METHODS[:1]),
        ("threshold", "f3", "threshold.*f1", METHODS[:1]),
    ]
    for method in methods
]

CASES = [
    *(OF_NUMBERS + OF_NAMES + OF_CLASSES + OF_COLUMNS_AND_FOLDS),
    *(OF_COMPONENTS + OF_SPELLING + OF_CALLBACKS),
    *(OF_RESAMPLERS + OF_EPOCHS + OF_SAMPLER_CLASSES + OF_MODULES),
    *(OF_LABELS + CLASSES + OF_TABLES + OF_SIDE_ROWS),
    *(OF_PREDICTION + OF_PREDICTED_COSTS + OF_PREDICTION_TIME),
]

OF_PARAMETERS = [case for case in CASES if case.params and case.call is fit]

TABLES = {
    "array": X,
    "frame": FRAME,
    "numbered": BY_NUMBER,
    "levels": BY_LEVELS,
    "repeated": REPEATED,
}


@pytest.fixture(scope="module")
def fitted():
    """Estimators fitted to each of the tables, and what they predict."""
    new = partial(BalancedNeuralClassifier, **BASE)
    known = {name: new().fit(table, Y) for name, table in TABLES.items()}
    return {name: (clf, clf.predict_proba(TABLES[name])) for name, clf in known.items()}


def parts_of(clf):
    """Return what fitting has left, parameters aside."""
    names = clf.get_params(deep=False)
    return {name: value for name, value in vars(clf).items() if name not in names}


def fails_as_told(case, clf):
    pattern = re.compile(case.match, re.DOTALL)
    with pytest.raises(case.error) as caught:
        case.call(clf.set_params(**case.params))
    assert pattern.search(str(caught.value)), str(caught.value)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_bad_input_is_named_and_changes_nothing(case, fitted):
    known, expected = fitted[case.of]
    clf = copy.deepcopy(known)
    parts, params = parts_of(clf), clf.get_params(deep=False)
    n_epochs = len(clf.history_)
    fails_as_told(case, clf)
    left = parts_of(clf)
    assert left.keys() - case.params.keys() == parts.keys()
    assert all(left[name] is value for name, value in parts.items())
    for name in case.params.keys() - params.keys():
        delattr(clf, name)
    clf.set_params(**params)
    assert len(clf.history_) == n_epochs
    np.testing.assert_array_equal(clf.predict_proba(TABLES[case.of]), expected)


@pytest.mark.parametrize("case", OF_PARAMETERS, ids=[case.id for case in OF_PARAMETERS])
def test_bad_parameters_leave_a_new_estimator_unfitted(case):
    clf = BalancedNeuralClassifier(**{**BASE, **case.params})
    before = dict(vars(clf))
    fails_as_told(case, clf)
    assert vars(clf) == before


def test_cases_are_many_and_distinct():
    assert len({case.id for case in CASES}) == len(CASES) >= 350

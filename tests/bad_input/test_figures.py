"""Bad input of what judges, decides and draws: figures, thresholds, reports, pictures.

Each function is called with input that is good but for one argument. It must raise an
error that names this argument and the cure, and leave no figure behind. The arrays are
read-only, so that none can be changed. Warnings are errors here.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from bad_cases import Case, changed, fails_as_told, short
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from imbalnet import BalancedNeuralClassifier
from imbalnet.decisions import (
    AlertShare,
    FBeta,
    LeastCost,
    PrecisionAtLeast,
    RecallAtLeast,
    choose_threshold,
    conformal_thresholds,
    threshold_counts,
)
from imbalnet.metrics import (
    SCORERS,
    average_precision_lift,
    bootstrap_interval,
    bootstrap_weights,
    brier_skill_score,
    calibration_error,
    calibration_noise,
    get_scorer,
    lift_at_k,
    macro_average_precision,
    mean_cost,
    paired_interval,
    precision_at_k,
    recall_at_fpr,
    recall_at_k,
    recall_at_precision,
)
from imbalnet.plots import (
    ClassCountsDisplay,
    ColumnImportanceDisplay,
    HistoryDisplay,
    PrecisionRecallDisplay,
    ReliabilityDisplay,
    ReportDisplay,
    ScoreDistributionDisplay,
    ThresholdDisplay,
)
from imbalnet.report import ImbalanceReport, ScoredRows, imbalance_report


def frozen(array):
    array.setflags(write=False)
    return array


RNG = np.random.default_rng(0)
N = 60
Y = frozen((np.arange(N) % 5 < 2).astype(int))  # 24 positive rows
P = frozen(np.clip(0.3 + 0.3 * Y + 0.1 * RNG.normal(size=N), 0.01, 0.99))
SCORES = frozen(np.log(P / (1 - P)))
BOTH = frozen(np.column_stack([1 - P, P]))
CODES3 = frozen(np.arange(N) % 3)
P3 = frozen(RNG.dirichlet([2, 2, 2], size=N))
CALLED = frozen((P > 0.5).astype(int))
WORDS = frozen(np.where(Y, "fraud", "fine"))
OBJECTS = frozen(WORDS.astype(object))
WEIGHT = frozen(RNG.random(N))
COSTS = frozen(np.array([[0.0, 1.0], [5.0, 0.0]]))
X = frozen(np.column_stack([SCORES, RNG.normal(size=(N, 2))]))
NAN, INF = float("nan"), float("inf")


class Subject(NamedTuple):
    """A function with good arguments; `bad` are the kinds of those to change."""

    call: Any
    good: dict[str, Any]
    bad: tuple[str, ...]

    @property
    def name(self):
        return self.call.__qualname__.removesuffix(".from_predictions")


# -- kinds of arguments --------------------------------------------------------------

# name of the argument, id, value, pattern; of labels and rows
LABELS = [
    ("None", None, "None"),
    ("a number", 3, "1d"),
    ("a word", "abc", "1d"),
    ("a dict", {"a": 1}, "1d"),
    ("empty", Y[:0], "(no rows|at least)"),
    ("shorter", Y[:-1], "(60.*59|59.*60)"),
    ("longer", np.r_[Y, Y], "(60.*120|120.*60)"),
    ("NaN", changed(Y * 1.0, 3, NAN), "missing.*row 3"),
    ("a gap", changed(OBJECTS, 3, None), "missing.*row 3"),
    ("mixed", changed(OBJECTS, 3, 7), "one kind"),
    ("complex", Y * 1j, "Complex"),
    ("two columns", np.column_stack([CODES3, Y]), r"1d.*\(60, 2\)"),
    ("one-hot", np.eye(2)[Y], "one-hot.*argmax"),
    ("continuous", P, "Unknown label type"),
]
GROUPS = [
    ("a number", 3, "1d"),
    ("shorter", Y[:-1], "(60.*59|59.*60)"),
    ("a gap", changed(OBJECTS, 3, None), "missing.*row 3"),
    ("NaN", changed(Y * 1.0, 3, NAN), "missing.*row 3"),
    ("two columns", BOTH, "1d"),
]
NUMBERS = [
    ("None", None, "None"),
    ("a number", 0.5, r"(60|\(\))"),
    ("a word", "high", "numbers"),
    ("words", WORDS, "numbers.*fraud|numbers.*fine"),
    ("words of digits", Y.astype(str), "numbers.*'1'|numbers.*'0'"),
    ("objects", np.full(N, object()), "numbers"),
    ("ragged", [[0.1], [0.2, 0.3]], "numbers"),
    ("complex", P * 1j, "(numbers|Complex)"),
    ("dates", np.full(N, "2020", "M8[Y]"), "numbers"),
    ("a dict", {"a": 1}, "numbers"),
    ("sparse", sparse.csr_array(BOTH), "toarray"),
    ("empty", P[:0], "(60.*0|0.*60)"),
    ("shorter", P[:-1], "(60.*59|59.*60)"),
    ("longer", np.r_[P, P], "(60.*120|120.*60)"),
    ("NaN", changed(P, 3, NAN), "(finite|between).*nan"),
    ("missing", [None, *P[1:]], "(finite|between).*nan"),
    ("inf", changed(P, 3, INF), "(finite|between).*inf"),
    ("three axes", np.ones((N, 2, 2)) / 2, r"\(60, 2, 2\)"),
]
KINDS = {
    "y_true": LABELS,
    "y_pred": LABELS,
    "strata": [
        *(case for case in LABELS[:4] + LABELS[7:9]),
        ("two columns", BOTH, "1d"),
        ("empty", [], "no rows"),
    ],
    "y_score": [*NUMBERS, ("two columns", BOTH, r"\(60, 2\).*\[:, 1\]")],
    "other_score": [("shorter", P[:-1], "60.*59|59.*60"), ("None", None, "None")],
    "any_score": [("shorter", P[:-1], "60.*59|59.*60"), ("None", None, "None")],
    "probabilities": [
        *NUMBERS,
        ("negative", changed(P, 3, -0.1), "between 0 and 1.*-0.1"),
        ("above 1", changed(P, 3, 1.5), "between 0 and 1.*1.5"),
        ("scores", SCORES, "between 0 and 1"),
        ("log probabilities", np.log(BOTH), "between 0 and 1.*exp"),
        ("no sum of 1", BOTH * 0.9, "sum to 1.*0.9"),
        ("one column", P[:, None], r"\(60, 1\)"),
    ],
    "sample_weight": [
        ("a number", 2.0, r"\(60,\)"),
        ("words", WORDS, "numbers"),
        ("words of digits", Y.astype(str), "numbers"),
        ("shorter", WEIGHT[:-1], r"\(60,\).*\(59,\)"),
        ("two columns", BOTH, r"\(60,\).*\(60, 2\)"),
        ("empty", [], r"\(60,\).*\(0,\)"),
        ("NaN", changed(WEIGHT, 3, NAN), "finite.*nan.*row 3"),
        ("inf", changed(WEIGHT, 3, INF), "finite.*inf.*row 3"),
        ("negative", changed(WEIGHT, 3, -1.0), "at least 0.*-1.*row 3"),
        ("all 0", np.zeros(N), "(not all 0|all 0)"),
    ],
    "pos_label": [
        ("7", 7, "7.*0, 1"),
        ("a word", "fraud", "fraud.*0, 1"),
        ("NaN", NAN, "nan.*0, 1"),
        ("a list", [0, 1], r"\[0, 1\].*label"),
        ("an array", np.array([0, 1]), "label"),
        ("a dict", {}, "0, 1"),
    ],
    "k": [
        (short(value), value, match)
        for match, values in {
            "": [0, -1, -0.5, NAN, INF, "3", None, True, [3], np.array([1, 2]), 1j],
            "2.5.*whole": [2.5],
        }.items()
        for value in values
    ],
    "share": [
        (short(value), value, "between 0 and 1")
        for value in [1.5, -0.1, 90, NAN, INF, "0.9", None, True, [0.9], 1j]
    ],
    "level": [
        (short(value), value, "between 0 and 1.*0.95")
        for value in [95, 0, 1, -0.5, NAN, INF, "0.95", None, True, [0.9]]
    ],
    "count": [
        (short(value), value, "(whole number|integer)")
        for value in [0, -1, 2.5, NAN, INF, "3", None, True, [3], 1j]
    ],
    "random_state": [
        (short(value), value, "(integer|RandomState)")
        for value in ["a", -1, 1.5, NAN, [1.5], np.random.default_rng(0)]
    ],
    "cost_matrix": [
        ("a number", 3, r"\(2, 2\)|numbers"),
        ("a word", "high", "numbers"),
        ("of three classes", np.ones((3, 3)), r"\(2, 2\).*\(3, 3\)"),
        ("a vector", [1, 2], r"\(2, 2\).*\(2,\)"),
        ("NaN", COSTS * NAN, "finite"),
        ("inf", COSTS + INF, "finite"),
        ("one error", {(0, 1): 1}, r"\(1, 0\)"),
        ("unknown label", {(0, 1): 1, (1, 0): 1, (7, 0): 1}, r"\(7, 0\)"),
        ("of other rows", np.ones((N - 1, 2, 2)), r"\(60, 2, 2\).*\(59, 2, 2\)"),
        ("dict of other rows", {(0, 1): [1, 2], (1, 0): 1}, "60 rows"),
        ("frame of other labels", pd.DataFrame(COSTS, ["a", "b"]), "index"),
        ("frame of polars", pl.DataFrame(COSTS), "to_numpy"),
    ],
    "classes": [
        ("a number", 3, "1d"),
        ("empty", [], "empty.*all labels"),
        ("one", [0], r"0"),
        ("three", [0, 1, 2], r"3"),
        ("without a label", [0, 7], r"y_true has labels.*\[1\].*0, 7"),
        ("words", ["fine", "fraud"], "y_true has labels.*fine"),
        ("repeated", [1, 1], "once"),
        ("NaN", [0.0, NAN], "missing"),
        ("two axes", [[0, 1], [0, 1]], "1d"),
    ],
}
KINDS |= {
    "periods": GROUPS,
    "groups": GROUPS,
    "labels": KINDS["classes"],
    "all_labels": [case for case in KINDS["classes"] if case[0] != "three"],
    "two_classes": [
        ("one class", np.zeros(N, int), "two classes.*1"),
        ("three classes", CODES3, "two classes.*3"),
    ],
    "precision": KINDS["share"],
    "fpr": KINDS["share"],
    "n_bins": KINDS["count"],
    "n_draws": KINDS["count"],
    "alerts": [case for case in KINDS["k"] if case[0] != "None"],
    "threshold": [case for case in KINDS["share"] if case[0] != "None"],
    "n_classes": [case for case in KINDS["count"] if case[0] != "None"],
}
# where the name of the argument is not that of the kind
ARGUMENT = {"all_labels": "labels", "two_classes": "y_true", "any_score": "y_score"}

TWO = ("y_true", "y_score", "two_classes", "pos_label", "sample_weight")
PROBABLE = ("y_true", "probabilities", "sample_weight")
OF_SCORES = {"y_true": Y, "y_score": SCORES}
OF_PROBABILITIES = {"y_true": Y, "probabilities": P}
DRAWN = (*PROBABLE, "classes", "pos_label")
AT_K = ("k", "periods")
INTERVAL = {
    "figure": partial(precision_at_k, k=5),
    "n_resamples": 20,
    "random_state": 0,
}
OF_INTERVAL = ("y_true", "sample_weight", "level", "groups", "random_state")

SUBJECTS = [
    Subject(average_precision_lift, OF_SCORES, TWO),
    Subject(precision_at_k, {**OF_SCORES, "k": 5}, (*TWO, *AT_K)),
    Subject(recall_at_k, {**OF_SCORES, "k": 5}, AT_K),
    Subject(lift_at_k, {**OF_SCORES, "k": 5}, AT_K),
    Subject(recall_at_precision, {**OF_SCORES, "precision": 0.5}, (*TWO, "precision")),
    Subject(recall_at_fpr, {**OF_SCORES, "fpr": 0.5}, (*TWO, "fpr")),
    Subject(
        mean_cost,
        {"y_true": Y, "y_pred": CALLED, "cost_matrix": COSTS},
        ("y_true", "y_pred", "sample_weight", "cost_matrix", "all_labels"),
    ),
    Subject(brier_skill_score, OF_PROBABILITIES, (*PROBABLE, "labels")),
    Subject(
        calibration_error,
        OF_PROBABILITIES,
        (*PROBABLE, "two_classes", "pos_label", "n_bins"),
    ),
    Subject(
        calibration_noise,
        {"probabilities": P},
        ("level", "n_bins", "n_draws", "random_state", "sample_weight"),
    ),
    Subject(bootstrap_interval, {**OF_SCORES, **INTERVAL}, (*OF_INTERVAL, "any_score")),
    Subject(
        paired_interval,
        {**OF_SCORES, **INTERVAL, "other_score": P},
        (*OF_INTERVAL, "other_score"),
    ),
    Subject(bootstrap_weights, {"strata": Y}, ("strata", "groups", "random_state")),
    Subject(
        choose_threshold, OF_PROBABILITIES, (*PROBABLE, "two_classes", "pos_label")
    ),
    Subject(
        conformal_thresholds, OF_PROBABILITIES, ("y_true", "probabilities", "classes")
    ),
    Subject(
        ImbalanceReport.from_predictions,
        OF_PROBABILITIES,
        (*PROBABLE, "classes", "cost_matrix", "alerts", "level"),
    ),
    Subject(ScoredRows.read, OF_PROBABILITIES, (*PROBABLE, "classes", "cost_matrix")),
    Subject(
        PrecisionRecallDisplay.from_predictions,
        OF_PROBABILITIES,
        (*DRAWN, "threshold", "groups", "random_state", "n_classes"),
    ),
    Subject(
        ReliabilityDisplay.from_predictions,
        OF_PROBABILITIES,
        (*DRAWN, "n_bins", "n_classes"),
    ),
    Subject(
        ScoreDistributionDisplay.from_predictions,
        OF_PROBABILITIES,
        (*DRAWN, "threshold", "n_bins", "n_classes"),
    ),
    Subject(ThresholdDisplay.from_predictions, OF_PROBABILITIES, (*DRAWN, "threshold")),
    Subject(ReportDisplay.from_predictions, OF_PROBABILITIES, (*DRAWN, "threshold")),
    Subject(
        ClassCountsDisplay.from_predictions,
        {"y_true": Y, "y_pred": CALLED},
        ("y_true", "y_pred", "sample_weight", "n_classes"),
    ),
]


def called(subject, **changes):
    given = {**subject.good, **changes}
    found = subject.call(**given)
    return list(found) if subject.call is bootstrap_weights else found


def cases_of(subject):
    for kind in subject.bad:
        argument = ARGUMENT.get(kind, kind)
        for name, value, match in KINDS[kind]:
            yield Case(
                f"{subject.name}: {argument}, {name}",
                partial(called, subject, **{argument: value}),
                argument,
                match,
            )


OF_ROWS = [case for subject in SUBJECTS for case in cases_of(subject)]

# -- figures and criteria, argument by argument --------------------------------------


def call_of(function, good, argument, values, match, error=ValueError, named=None):
    """Cases of one argument and several values."""
    name = function.__qualname__
    return [
        Case(
            f"{name}: {argument}={short(value)} {i}",
            partial(function, **{**good, argument: value}),
            argument if named is None else named,
            match,
            error,
        )
        for i, value in enumerate(values)
    ]


AVERAGED = {"codes": CODES3, "scores": P3}
COUNTED = {"scores": P, "positive": Y * 1.0, "negative": 1.0 - Y}
AT_INTERVAL = {**OF_SCORES, "figure": average_precision_score, "random_state": 0}
OF_FIGURES = [
    *call_of(macro_average_precision, AVERAGED, "codes", [None, 3, []], "(None|1d|no)"),
    *call_of(macro_average_precision, AVERAGED, "codes", [Y[:-1]], "60 rows.*59"),
    *call_of(
        macro_average_precision,
        AVERAGED,
        "codes",
        [changed(CODES3, 0, 3), -CODES3, CODES3.astype(str)],
        "from 0 to 2",
    ),
    *call_of(macro_average_precision, AVERAGED, "scores", [None, WORDS], "numbers"),
    *call_of(
        macro_average_precision, AVERAGED, "scores", [P, P[:, None]], "predict_proba"
    ),
    *call_of(
        macro_average_precision,
        AVERAGED,
        "scores",
        [changed(P3, 3, NAN), changed(P3, 3, INF)],
        "finite.*row 3",
    ),
    *call_of(
        macro_average_precision, AVERAGED, "sample_weight", [-WEIGHT], "at least 0"
    ),
    *call_of(
        bootstrap_interval,
        AT_INTERVAL,
        "figure",
        ["average_precision", None, 3, dict],
        "function of labels",
    ),
    *call_of(
        bootstrap_interval,
        AT_INTERVAL,
        "figure",
        [lambda y, s: NAN, lambda y, s: s, lambda y, s: "0.5", lambda y, s: None],
        "finite number",
    ),
    *call_of(bootstrap_interval, AT_INTERVAL, "scale", ["log", None, 3, []], "logit"),
    *call_of(
        bootstrap_interval,
        AT_INTERVAL,
        "n_resamples",
        [0, 1, -1, 2.5, NAN, "9", True, None],
        "whole number of at least 2",
    ),
    *call_of(bootstrap_interval, AT_INTERVAL, "groups", [np.zeros(N)], "one group"),
    *call_of(bootstrap_interval, AT_INTERVAL, "n_boot", [9], "unexpected", TypeError),
    *call_of(
        bootstrap_interval,
        AT_INTERVAL,
        "y_score",
        [changed(P, 3, NAN)],
        "finite.*row 3",
    ),
    *call_of(
        bootstrap_weights,
        {"strata": Y},
        "n_resamples",
        [-1, 2.5, NAN, "9", True, None],
        "whole number",
    ),
    *call_of(mean_cost, {"y_true": Y, "y_pred": Y}, "y_pred", [WORDS], "one kind"),
    *call_of(
        conformal_thresholds,
        OF_PROBABILITIES,
        "alpha",
        [0, 1, 90, NAN, None, True, "a"],
        "below 1",
    ),
    *call_of(
        calibration_error, OF_PROBABILITIES, "probabilities", [P3], r"\(n_rows, 2\)"
    ),
    *call_of(threshold_counts, COUNTED, "scores", [None, WORDS, [[0.5]]], ""),
    *call_of(
        threshold_counts, COUNTED, "scores", [changed(P, 3, NAN)], "finite.*row 3"
    ),
    *call_of(threshold_counts, COUNTED, "positive", [Y[:-1], 1.0], "each row"),
    *call_of(
        threshold_counts, COUNTED, "negative", [P * INF, Y.astype(str)], "numbers"
    ),
    *call_of(
        choose_threshold,
        OF_PROBABILITIES,
        "criterion",
        ["f3", "F1", None, 0.5, True, [0.5], {}, P, FBeta, np.array("f1")],
        "f1",
    ),
    *call_of(
        choose_threshold,
        OF_PROBABILITIES,
        "criterion",
        [lambda y, p: NAN, lambda y, p: "a", lambda y, p: None, lambda y, p: y],
        "finite number",
        named="criterion",
    ),
    *call_of(
        choose_threshold,
        OF_PROBABILITIES,
        "criterion",
        [LeastCost(1.0, np.ones(N - 1))],
        "59 rows.*60",
        named="false_negative",
    ),
    *call_of(
        choose_threshold, OF_PROBABILITIES, "probabilities", [P3], r"\(n_rows, 2\)"
    ),
]

BAD_NUMBERS = [NAN, INF, "0.5", None, True, [0.5, 0.5], 1j]
OF_CRITERIA = [
    *call_of(FBeta, {}, "beta", [0, -1, *BAD_NUMBERS], "more than 0"),
    *call_of(PrecisionAtLeast, {}, "precision", [-0.1, 90, *BAD_NUMBERS], "0 and 1"),
    *call_of(RecallAtLeast, {}, "recall", [-0.1, 90, *BAD_NUMBERS], "0 and 1"),
    *call_of(AlertShare, {}, "share", [-0.1, 20, *BAD_NUMBERS], "0 and 1"),
    *call_of(
        LeastCost,
        {"false_positive": 1.0, "false_negative": 1.0},
        "false_negative",
        [NAN, INF, "5", None, True, 1j, ["5", "6"], [1.0, NAN], WORDS, {}],
        "finite cost",
    ),
    *call_of(
        LeastCost,
        {"false_positive": 1, "false_negative": 1},
        "true_positive",
        [BOTH],
        "one for each row",
    ),
]

SCORER = SCORERS["average_precision"]
OF_SCORERS = [
    *call_of(get_scorer, {}, "name", ["ap", None, 3, [], {}, ""], "average_precision"),
    *(
        Case(
            f"get_scorer({name!r}, {param}={short(value)})",
            partial(get_scorer, name, **{param: value}),
            param,
            match,
        )
        for name, param, values, match in [
            ("precision_at_k", "n", [3], "'k'"),
            ("precision_at_k", "y_true", [Y], "'k'"),
            (
                "precision_at_k",
                "k",
                [0, -1, NAN, "3", True, None, 2.5],
                "(number|rows)",
            ),
            (
                "recall_at_precision",
                "precision",
                [90, -0.1, NAN, "a"],
                "between 0 and 1",
            ),
            ("recall_at_fpr", "fpr", [90, -0.1, NAN, None], "between 0 and 1"),
            ("neg_calibration_error", "n_bins", [0, 2.5, True], "whole number"),
            ("average_precision", "average", ["micro", None, 3], "macro"),
        ]
        for value in values
    ),
]
FITTED = LogisticRegression().fit(X, Y)
NARROW = LogisticRegression().fit(X[:, :2], Y)
WITHOUT = LinearSVC().fit(X, Y)
REGRESSOR = LinearRegression().fit(X, Y)


class NoProbabilities(BaseEstimator):
    """A classifier that gives scores for probabilities."""

    classes_ = np.array([0, 1])

    def fit(self, X, y):
        return self

    def predict(self, X):
        return CALLED

    def predict_proba(self, X):
        return np.column_stack([-SCORES, SCORES])


PIPELINE = make_pipeline(StandardScaler(), LogisticRegression())
NOT_FITTED = [LogisticRegression(), PIPELINE, BalancedNeuralClassifier()]
NOT_USABLE = [
    ("a class", LogisticRegression, "give a fitted instance", ValueError),
    ("a regressor", REGRESSOR, "no classifier", ValueError),
    ("an array", P, "fit", ValueError),
    ("None", None, "fit", ValueError),
    ("a word", "clf", "fit", ValueError),
    *((short(new)[:30], new, "not fitted", NotFittedError) for new in NOT_FITTED),
]
FROM_ESTIMATOR = {
    "imbalance_report": imbalance_report,
    **{
        display.__name__: display.from_estimator
        for display in (
            *(PrecisionRecallDisplay, ReliabilityDisplay, ScoreDistributionDisplay),
            *(ThresholdDisplay, ReportDisplay, ClassCountsDisplay),
            ColumnImportanceDisplay,
        )
    },
}
OF_ROWS_OF_ESTIMATORS = [
    ("y, None", {"y": None}, "y", "None|y must be passed"),
    ("y, shorter", {"y": Y[:-1]}, "y", "(60.*59|59.*60)"),
    ("y, empty", {"y": Y[:0]}, "y", "(no rows|y has 0)"),
    ("y, unknown labels", {"y": Y + 1}, "y", "[2]"),
    ("y, words", {"y": WORDS}, "y", "fine"),
    ("y, continuous", {"y": P}, "y", "Unknown label type"),
    ("X, None", {"X": None}, "", "(array|None)"),
    ("X, one axis", {"X": P}, "", "2D"),
    ("X, empty", {"X": X[:0]}, "", "0 sample"),
    ("X, shorter", {"X": X[:-1]}, "", "(60.*59|59.*60)"),
    ("X, NaN", {"X": X * NAN}, "X", "NaN"),
    ("other columns", {"estimator": NARROW}, "X", "3 features.*2"),
    ("weights, shorter", {"sample_weight": WEIGHT[:-1]}, "sample_weight", r"\(60,\)"),
    ("weights, negative", {"sample_weight": -WEIGHT}, "sample_weight", "at least 0"),
]


def from_estimator(name, **changes):
    given = {"estimator": FITTED, "X": X, "y": Y, **changes}
    first = given.pop("estimator")
    return FROM_ESTIMATOR[name](first, **given)


def scored(**changes):
    given = {"estimator": FITTED, "X": X, "y": Y, **changes}
    return SCORER(given.pop("estimator"), given.pop("X"), given.pop("y"), **given)


OF_ESTIMATORS = [
    *(
        Case(
            f"{name}: {id}", partial(from_estimator, name, estimator=bad), "", match, e
        )
        for name in FROM_ESTIMATOR
        for id, bad, match, e in NOT_USABLE
        if not (name == "imbalance_report" and id in ("an array",))
    ),
    *(
        Case(f"{name}: {id}", partial(from_estimator, name, **changes), named, match)
        for name in FROM_ESTIMATOR
        for id, changes, named, match in OF_ROWS_OF_ESTIMATORS
        if not (
            name == "ColumnImportanceDisplay"
            and id in ("y, words", "y, unknown labels")
        )
    ),
    *(
        Case(f"{name}: {id}", partial(from_estimator, name, estimator=bad), "", match)
        for name in FROM_ESTIMATOR
        if name not in ("ClassCountsDisplay", "ColumnImportanceDisplay")
        for id, bad, match in [
            ("no predict_proba", WITHOUT, "predict_proba.*CalibratedClassifierCV"),
            ("no probabilities", NoProbabilities(), "probabilities.*between 0 and 1"),
        ]
    ),
    *(
        Case(f"scorer: {id}", partial(scored, estimator=bad), "", match, error)
        for id, bad, match, error in NOT_USABLE
    ),
    *(
        Case(f"scorer: {id}", partial(scored, **changes), named, match)
        for id, changes, named, match in OF_ROWS_OF_ESTIMATORS
        if id not in ("y, words", "y, unknown labels")
    ),
    Case(
        "scorer of probabilities: none",
        partial(SCORERS["neg_log_loss"], WITHOUT, X, Y),
        "predict_proba",
        "Calibrated",
    ),
    Case(
        "imbalance_report: no y",
        partial(imbalance_report, FITTED, X),
        "y",
        "classifier",
    ),
    Case(
        "imbalance_report: arrays and y",
        partial(imbalance_report, Y, P, Y),
        "estimator",
        "fit",
    ),
    *(
        Case(
            f"imbalance_report: {name}={short(value)}",
            partial(from_estimator, "imbalance_report", **{name: value}),
            name,
            match,
        )
        for name, value, match in [
            ("alerts", 0, "number"),
            ("alerts", 2.5, "whole number"),
            ("level", 95, "0.95"),
            ("cost_matrix", [1, 2], r"\(2, 2\)"),
        ]
    ),
    *call_of(ScoredRows.read, OF_PROBABILITIES, "called", [Y[:-1]], "60 rows.*59"),
    *call_of(ScoredRows.read, OF_PROBABILITIES, "called", [Y + 1], r"\[2\].*0, 1"),
    *call_of(ScoredRows.read, OF_PROBABILITIES, "called", [3, WORDS], "(1d|fine)"),
    *call_of(
        imbalance_report(Y, P).to_frame, {}, "part", ["all", None, 3, []], "figures"
    ),
    *(
        Case(
            f"importance: {name}={short(value)}",
            partial(from_estimator, "ColumnImportanceDisplay", **{name: value}),
            name,
            match,
        )
        for name, values, match in [
            ("scoring", ["ap", ""], "average_precision"),
            ("scoring", [None, 3, [], LogisticRegression], "average_precision"),
            ("n_repeats", [0, -1, 2.5, True, "3", None], "whole number"),
            ("random_state", ["a", -1], "RandomState"),
            ("n_columns", [0, -1, 2.5, True, "3"], "whole number"),
            ("ax", [3], "Axes"),
        ]
        for value in values
    ),
    *(
        Case(
            f"HistoryDisplay: {id}",
            partial(HistoryDisplay.from_estimator, bad),
            "",
            match,
            error,
        )
        for id, bad, match, error in NOT_USABLE
        if id != "a regressor"
    ),
    Case(
        "HistoryDisplay: no history",
        partial(HistoryDisplay.from_estimator, FITTED),
        "history_",
        "BalancedNeuralClassifier",
    ),
    *(
        Case(
            f"{display.__name__}.from_out_of_fold: {id}",
            partial(display.from_out_of_fold, bad),
            "",
            match,
            error,
        )
        for display in (PrecisionRecallDisplay, ClassCountsDisplay)
        for id, bad, match, error in [
            *NOT_USABLE,
            ("no rows held out", FITTED, "cross_val_predict", ValueError),
        ]
    ),
]

# -- pictures ------------------------------------------------------------------------

OF_PREDICTIONS = {
    display.__name__: partial(display.from_predictions, Y, P)
    for display in (
        *(PrecisionRecallDisplay, ReliabilityDisplay, ScoreDistributionDisplay),
        *(ThresholdDisplay, ReportDisplay),
    )
}
OF_PREDICTIONS["PrecisionRecallDisplay"] = partial(
    PrecisionRecallDisplay.from_predictions, Y, P, n_resamples=0
)
OF_PREDICTIONS["ClassCountsDisplay"] = partial(
    ClassCountsDisplay.from_predictions, Y, CALLED
)


def drawn(name, **options):
    return OF_PREDICTIONS[name](**options)


def picture(name, argument, values, match, error=ValueError):
    return [
        Case(
            f"{name}: {argument}={short(value)}",
            partial(drawn, name, **{argument: value}),
            argument,
            match,
            error,
        )
        for value in values
    ]


def redrawn(name, *arguments, ax=None, **options):
    """Draw again, on axes that must stay as they are."""
    display = OF_PREDICTIONS[name]()
    plt.close("all")
    before = dict(vars(display))
    try:
        display.plot(*arguments, **options)
    finally:
        assert vars(display) == before


NO_AXES = [3, "ax", plt, np.zeros(2), pd.Series([1.0])]
OF_PICTURES = [
    *(
        case
        for name in OF_PREDICTIONS
        if name != "ReportDisplay"
        for case in picture(name, "ax", NO_AXES, "matplotlib")
    ),
    *picture("ReportDisplay", "axes", [3, "axes", [1, 2], [1, 2, 3, 4]], "matplotlib"),
    *(
        Case(
            f"{name}.plot: ax={short(ax)}",
            partial(redrawn, name, ax),
            "axes" if name == "ReportDisplay" else "ax",
            "matplotlib",
        )
        for name in OF_PREDICTIONS
        for ax in (3, [1, 2])
    ),
    *picture(
        "PrecisionRecallDisplay", "n_resamples", [-1, 1, 2.5, "9", True, None], "whole"
    ),
    *picture(
        "PrecisionRecallDisplay",
        "iso_f1",
        ["a", None, 0.5, [0], [2.0], [NAN], ["a"]],
        "",
    ),
    *picture("PrecisionRecallDisplay", "colour", ["red"], "matplotlib"),
    *picture("PrecisionRecallDisplay", "color", ["nocolour"], "matplotlib"),
    *picture("PrecisionRecallDisplay", "linewidth", ["a"], "matplotlib"),
    *picture("ReliabilityDisplay", "colour", ["red"], "matplotlib"),
    *picture("ReliabilityDisplay", "color", ["nocolour"], "matplotlib"),
    *picture("ReliabilityDisplay", "scale", ["logit", None, 3, []], "linear"),
    *picture("ReliabilityDisplay", "strategy", ["quantile", None, 3, []], "positives"),
    *picture("ThresholdDisplay", "colour", ["red"], "matplotlib"),
    *picture("ThresholdDisplay", "color", ["nocolour"], "matplotlib"),
    *picture(
        "ThresholdDisplay", "criteria", ["f3", ["f1", "f3"], {"a": "f3"}], "f3.*f1"
    ),
    *picture(
        "ThresholdDisplay",
        "criteria",
        [[], {}, None, 3, [3], [None], FBeta, [[]], P],
        "f1",
    ),
    *picture("ScoreDistributionDisplay", "colour", ["red"], "unexpected", TypeError),
    *picture("ClassCountsDisplay", "colour", ["red"], "unexpected", TypeError),
    *picture("ReportDisplay", "ax", [None], "unexpected", TypeError),
    Case(
        "three classes, a threshold",
        partial(PrecisionRecallDisplay.from_predictions, CODES3, P3, threshold=0.5),
        "threshold",
        "two classes",
    ),
    Case(
        "three classes of ThresholdDisplay",
        partial(ThresholdDisplay.from_predictions, CODES3, P3),
        "pos_label",
        "two classes",
    ),
    Case(
        "no row of the class",
        partial(PrecisionRecallDisplay.from_predictions, Y * 0, P, classes=[0, 1]),
        "class 1",
        "both classes",
    ),
]


CURVES = PrecisionRecallDisplay.from_predictions(Y, P, n_resamples=0).curves
BARS = {"classes": ["a", "b"], "true": [2, 1], "predicted": [2, 1], "right": [1, 1]}
IMPORTANCES = {"importances": np.ones((2, 3)), "columns": ["a", "b"]}
LOSSES = {"epochs": [1, 2], "train_loss": [0.7, 0.5]}


def constructed(display, good, **changes):
    display(**{**good, **changes}).plot()


OF_CONSTRUCTORS = [
    Case(
        f"{display.__name__}({argument}={short(value)})",
        partial(constructed, display, good, **{argument: value}),
        argument,
        match,
    )
    for display, good, argument, values, match in [
        (display, good, argument, [None, [], 3, [3], "ab", CURVES[0]], "from_predict")
        for display, good, argument in [
            (PrecisionRecallDisplay, {}, "curves"),
            (ReliabilityDisplay, {}, "curves"),
            (ThresholdDisplay, {"shares": (P, P)}, "curves"),
            (ScoreDistributionDisplay, {"edges": P}, "distributions"),
        ]
    ]
    + [
        (ReliabilityDisplay, {}, "curves", [CURVES], "ReliabilityCurve"),
        (ClassCountsDisplay, BARS, "true", [[1], [], None, 3], "as many values"),
        (ClassCountsDisplay, BARS, "right", [[1], [[1, 2]]], "as many values"),
        (HistoryDisplay, LOSSES, "train_loss", [[1], None, 3], "as many values"),
        (HistoryDisplay, LOSSES, "valid_loss", [[1], []], "as many values"),
        (ColumnImportanceDisplay, IMPORTANCES, "columns", [["a"], []], r"\(2, 3\)"),
        (ColumnImportanceDisplay, IMPORTANCES, "importances", [[], [1, 2]], "shape"),
        (ReportDisplay, {}, "displays", [{}, None, [], {"scores": 3}], "from_predict"),
    ]
    for value in values
]
plt.close("all")

CASES = [
    *(OF_ROWS + OF_FIGURES + OF_CRITERIA + OF_SCORERS + OF_ESTIMATORS),
    *(OF_PICTURES + OF_CONSTRUCTORS),
]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_bad_input_is_named_and_leaves_no_figure(case):
    fails_as_told(case)
    assert not plt.get_fignums()


def test_cases_are_many_and_distinct():
    assert len({case.id for case in CASES}) == len(CASES) >= 1500


# -- good input ----------------------------------------------------------------------

GOOD_LABELS = {
    "list": Y.tolist(),
    "bools": Y == 1,
    "floats": Y.astype(np.float32),
    "words": WORDS,
    "objects": OBJECTS,
    "column": pd.Series(WORDS, index=np.arange(N)[::-1]),
    "category": pd.Series(WORDS, dtype="category"),
    "polars": pl.Series(WORDS.tolist()),
}
GOOD_SCORES = {
    "list": P.tolist(),
    "column": pd.Series(P),
    "nullable": pd.Series(P, dtype="Float64"),
    "polars": pl.Series(P),
    "objects": P.astype(object),
    "decimals": [Decimal(str(p)) for p in P],
    "frame of one": pd.DataFrame({"p": P}),
    "float32": frozen(P.astype(np.float32)),
}
OF_TWO = [s for s in SUBJECTS if "y_score" in s.good and s.call is not paired_interval]
# all pictures read their rows as this one does, which is drawn quickly
DRAWN_QUICKLY = "ReliabilityDisplay"
OF_PROBABLE = [
    s
    for s in SUBJECTS
    if {"y_true", "probabilities"} == set(s.good)
    and (s.name == DRAWN_QUICKLY or "Display" not in s.name)
]
NAMES = [s.name for s in OF_TWO + OF_PROBABLE]


def numbers_of(found):
    """What a function gives, without the labels."""
    if isinstance(found, ImbalanceReport):
        return found.to_frame().to_numpy()
    if isinstance(found, ScoredRows):
        return found.probabilities
    if isinstance(found, float | tuple | np.ndarray):
        return np.array(found)
    return np.array(len(vars(found)))


@pytest.mark.parametrize("labels", GOOD_LABELS.values(), ids=GOOD_LABELS)
@pytest.mark.parametrize("subject", OF_TWO + OF_PROBABLE, ids=NAMES)
def test_labels_of_any_kind_are_taken(subject, labels):
    expected = numbers_of(called(subject))
    found = numbers_of(called(subject, y_true=labels))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("scores", GOOD_SCORES.values(), ids=GOOD_SCORES)
@pytest.mark.parametrize("subject", OF_TWO + OF_PROBABLE, ids=NAMES)
def test_scores_of_any_kind_are_taken(subject, scores):
    argument = "y_score" if "y_score" in subject.good else "probabilities"
    if argument == "probabilities" and np.ndim(scores) == 2:
        scores = scores.assign(q=1 - P)[["q", "p"]]
    if subject.call is bootstrap_interval and np.asarray(scores).dtype == object:
        scores = np.asarray(scores, dtype=float)  # the figure has them as they come
    expected = numbers_of(called(subject, **{argument: P}))
    found = numbers_of(called(subject, **{argument: scores}))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("subject", OF_TWO, ids=[s.name for s in OF_TWO])
def test_constant_and_whole_scores_are_taken(subject):
    for scores in (np.zeros(N), np.ones(N, int), P.round(1), np.arange(N), P > 0.5):
        assert np.isfinite(numbers_of(called(subject, y_score=scores))).all()


@pytest.mark.parametrize("subject", OF_PROBABLE, ids=[s.name for s in OF_PROBABLE])
def test_constant_and_sure_probabilities_are_taken(subject):
    for p in (np.full(N, 0.4), P.round(), P > 0.5, BOTH.astype(np.float16)):
        called(subject, probabilities=p)


def test_weights_and_budgets_of_any_kind_are_taken():
    expected = precision_at_k(Y, P, 10, sample_weight=CALLED + 1)
    for k in (10.0, np.int8(10), np.float32(10)):
        for weight in ((CALLED + 1).tolist(), pd.Series(CALLED + 1.0)):
            assert precision_at_k(Y, P, k, sample_weight=weight) == expected
    assert recall_at_k(Y, P, 10 * N) == recall_at_k(Y, P, N) == 1.0
    periods = pd.Series(["Mon", "Tue"] * 30)
    days = precision_at_k(Y, P, 5, periods=periods)
    assert days == precision_at_k(Y, P, 5, periods=np.arange(N) % 2)


def test_groups_of_words_are_drawn_as_those_of_numbers():
    """Whatever holds them."""
    numbers = np.arange(N) % 7
    words = np.array(list("abcdefg"))[numbers]
    options = {"random_state": 0, "n_resamples": 20}
    expected = bootstrap_interval(f1_score, Y, CALLED, groups=numbers, **options)
    for groups in (words, words.astype(object), pd.Series(words), words.tolist()):
        found = bootstrap_interval(f1_score, Y, CALLED, groups=groups, **options)
        assert found == expected


def test_labels_of_probabilities_may_be_in_any_order():
    turned = brier_skill_score(Y, BOTH[:, ::-1], labels=[1, 0])
    assert turned == pytest.approx(brier_skill_score(Y, P))
    found = conformal_thresholds(Y, BOTH[:, ::-1], classes=[1, 0])
    np.testing.assert_array_equal(found, conformal_thresholds(Y, P)[::-1])


def test_many_labels_are_no_regression():
    """Labels of columns are all different, of which scikit-learn would warn."""
    y = np.arange(200) % 40
    p = np.full((200, 40), 1 / 40)
    assert brier_skill_score(y, p, labels=np.arange(40)) == pytest.approx(0)
    assert mean_cost(y, y, labels=np.arange(40)) == 0


def test_options_of_lines_may_have_short_names():
    display = PrecisionRecallDisplay.from_predictions(CODES3, P3, n_resamples=0, lw=3)
    assert {line.get_linewidth() for line in display.line_} == {3}


def test_axes_stay_as_they_were_if_drawing_fails(monkeypatch):
    """What was drawn before the failure is removed again, and its figure closed."""
    display = ThresholdDisplay.from_predictions(Y, P)
    plt.close("all")
    before, (figure, ax) = dict(vars(display)), plt.subplots()
    children = ax.get_children()

    def fail(*_):
        raise RuntimeError("no room")

    monkeypatch.setattr(display, "_add_alerts", fail)
    before["_add_alerts"] = fail
    for given in (ax, None):
        with pytest.raises(RuntimeError, match="no room"):
            display.plot(given)
        assert vars(display) == before
        assert plt.get_fignums() == [figure.number]
    assert figure.axes == [ax]
    assert ax.get_children() == children

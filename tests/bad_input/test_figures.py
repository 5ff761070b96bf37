"""Bad input of what judges, decides and draws: figures, thresholds, reports, pictures.

Each function is called with input that is good but for one argument. It must raise an
error that names this argument and the cure, and leave no figure behind. The arrays are
read-only, so that none can be changed. Warnings are errors here.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
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
    ClassifierScorer,
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


class Case(NamedTuple):
    """What is called, and what the message must say."""

    id: str
    call: Any
    named: str  # the argument
    match: str  # a pattern in which .* passes over lines
    error: type[Exception] = ValueError


def changed(values, row, value):
    """Return a copy in which one row has another value."""
    values = np.array(values)
    values[row] = value
    return values


def short(value):
    text = re.sub(r" at 0x\w+|tests\.bad_input\.\w+\.", "", repr(value))
    return " ".join(text.split())[:50]


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
INTERVAL = {"figure": average_precision_score, "n_resamples": 20, "random_state": 0}
OF_INTERVAL = ("y_true", "sample_weight", "level", "groups", "random_state")

SUBJECTS = [
    Subject(average_precision_lift, OF_SCORES, TWO),
    Subject(precision_at_k, {**OF_SCORES, "k": 5}, (*TWO, *AT_K)),
    Subject(recall_at_k, {**OF_SCORES, "k": 5}, AT_K),
    Subject(lift_at_k, {**OF_SCORES, "k": 5}, AT_K),
    Subject(recall_at_precision, {**OF_SCORES, "precision": 0.5}, (*TWO, "precision")),
    Subject(recall_at_fpr, {**OF_SCORES, "fpr": 0.5}, (*TWO, "fpr")),
    Subject(mean_cost, {"y_true": Y, "y_pred": CALLED, "cost_matrix": COSTS}, ("y_true", "y_pred", "sample_weight", "cost_matrix", "all_labels")),
    Subject(brier_skill_score, OF_PROBABILITIES, (*PROBABLE, "labels")),
    Subject(calibration_error, OF_PROBABILITIES, (*PROBABLE, "two_classes", "pos_label", "n_bins")),
    Subject(calibration_noise, {"probabilities": P}, ("level", "n_bins", "n_draws", "random_state", "sample_weight")),
    Subject(bootstrap_interval, {**OF_SCORES, **INTERVAL}, (*OF_INTERVAL, "any_score")),
    Subject(paired_interval, {**OF_SCORES, **INTERVAL, "other_score": P}, (*OF_INTERVAL, "other_score")),
    Subject(bootstrap_weights, {"strata": Y}, ("strata", "groups", "random_state")),
    Subject(choose_threshold, OF_PROBABILITIES, (*PROBABLE, "two_classes", "pos_label")),
    Subject(conformal_thresholds, OF_PROBABILITIES, ("y_true", "probabilities", "classes")),
    Subject(ImbalanceReport.from_predictions, OF_PROBABILITIES, (*PROBABLE, "classes", "cost_matrix", "alerts", "level")),
    Subject(ScoredRows.read, OF_PROBABILITIES, (*PROBABLE, "classes", "cost_matrix")),
    Subject(PrecisionRecallDisplay.from_predictions, OF_PROBABILITIES, (*DRAWN, "threshold", "groups", "random_state", "n_classes")),
    Subject(ReliabilityDisplay.from_predictions, OF_PROBABILITIES, (*DRAWN, "n_bins", "n_classes")),
    Subject(ScoreDistributionDisplay.from_predictions, OF_PROBABILITIES, (*DRAWN, "threshold", "n_bins", "n_classes")),
    Subject(ThresholdDisplay.from_predictions, OF_PROBABILITIES, (*DRAWN, "threshold")),
    Subject(ReportDisplay.from_predictions, OF_PROBABILITIES, (*DRAWN, "threshold")),
    Subject(ClassCountsDisplay.from_predictions, {"y_true": Y, "y_pred": CALLED}, ("y_true", "y_pred", "sample_weight", "n_classes")),
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
CASES = OF_ROWS


def classify(case):
    try:
        case.call()
    except Warning as e:
        return "warning", repr(e)
    except case.error as e:
        if case.named in str(e) and re.search(case.match, str(e), re.DOTALL):
            return "ok", str(e)
        return "unnamed", repr(e)
    except Exception as e:
        return "other type", repr(e)
    return "silent", ""


if __name__ == "__main__":
    import collections
    import sys
    import time
    import warnings

    warnings.simplefilter("error")
    t = time.perf_counter()
    counts = collections.Counter()
    for case in CASES:
        kind, text = classify(case)
        counts[kind] += 1
        if plt.get_fignums():
            counts["figure left"] += 1
            plt.close("all")
            text += " FIGURE"
        if kind != "ok" or "-v" in sys.argv:
            print(f"{kind:10} {case.id:70} {text[:230]}")
    print(counts, len(CASES), time.perf_counter() - t)

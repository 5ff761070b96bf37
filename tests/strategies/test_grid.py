"""Candidates: which ones for which labels, and that each of them can be fitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC
from scipy import sparse
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    ParameterSampler,
    RandomizedSearchCV,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier
from imbalnet.strategies import strategy_distributions, strategy_grid, strategy_name

LABELS = {
    "balanced": [50, 50],
    "moderate": [1000, 100],
    "severe": [20_000, 100],
    "few": [1000, 12],
    "abundant": [20_000, 600],
    "three classes": [500, 100, 60],
    "many classes": [100, *range(50, 70)],
    "a class of one row": [100, 40, 1],
}


def labels(counts):
    return np.repeat(np.arange(len(counts)), counts)


def names(grid):
    return [strategy_name(candidate) for candidate in ParameterGrid(grid)]


def samplers(grid):
    return [entry["sampler"][0] for entry in grid if "sampler" in entry]


@pytest.fixture
def table(rng):
    return rng.normal(size=(160, 3))


@pytest.fixture
def tiny():
    return BalancedNeuralClassifier(
        "mlp", module__hidden_sizes=(4,), max_epochs=1, n_members=2, random_state=0
    )


@pytest.mark.parametrize("counts", LABELS.values(), ids=LABELS)
def test_grid_begins_with_the_default(counts):
    grid = strategy_grid(labels(counts))
    assert names(grid)[0] == "plain"
    assert len(set(names(grid))) == len(names(grid))


@pytest.mark.parametrize("counts", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("space", [strategy_grid, strategy_distributions])
def test_every_candidate_keeps_the_data_prior(space, counts):
    assert all(c["target_prior"] == ["train"] for c in space(labels(counts)))


@pytest.mark.parametrize("counts", LABELS.values(), ids=LABELS)
def test_short_grid_is_part_of_the_full_one(counts):
    y = labels(counts)
    short, full = names(strategy_grid(y, size="short")), names(strategy_grid(y))
    assert set(short) <= set(full)
    assert 2 <= len(short) <= 4


@pytest.mark.parametrize(
    ("counts", "inside", "outside"),
    [
        ("balanced", "focal, gamma=1", "balanced, power=0.5"),
        ("moderate", "balanced", "balanced, max_ratio=10"),
        ("moderate", "balanced_batch", "undersample, power=0.5"),
        ("severe", "balanced, max_ratio=10", "balanced"),
        ("severe", "stratified_batch, power=0.5", "balanced_batch"),
        ("few", "balanced, power=0.5", "focal, gamma=2"),
        ("abundant", "undersample, power=1", "logit_adjusted, tau=1"),
        ("three classes", "logit_adjusted, tau=1", "balanced, max_ratio=10"),
        ("many classes", "balanced, power=0.5", "balanced_batch"),
    ],
)
def test_grid_depends_on_the_labels(counts, inside, outside):
    found = names(strategy_grid(labels(LABELS[counts])))
    assert inside in found
    assert outside not in found


def test_labels_of_any_kind_give_the_same_grid():
    codes = labels(LABELS["three classes"])
    words = np.array(["no", "perhaps", "yes"])[codes]
    assert strategy_grid(words) == strategy_grid(codes)
    assert strategy_grid(pd.Series(words, dtype="category")) == strategy_grid(codes)


@pytest.mark.parametrize("counts", [[120, 40], [100, 35, 25]], ids=["two", "three"])
def test_every_candidate_can_be_fitted(counts, table, tiny):
    """Labels are words; the grids are those of other labels, which have more levers."""
    words = np.array(["a", "b", "c"])
    y = words[labels(counts)]
    candidates = [
        candidate
        for other in LABELS.values()
        for candidate in ParameterGrid(strategy_grid(labels(other)))
    ]
    candidates += ParameterGrid(strategy_grid(y, table))
    by_name = {strategy_name(candidate): candidate for candidate in candidates}
    assert "SMOTE()" in by_name
    for candidate in by_name.values():
        model = tiny.set_params(**candidate).fit(table, y)
        assert np.isfinite(model.predict_proba(table)).all()
        tiny = BalancedNeuralClassifier(
            "mlp", module__hidden_sizes=(4,), max_epochs=1, n_members=2, random_state=0
        )


def test_prefix_makes_a_grid_for_a_pipeline(table, tiny):
    y = labels([140, 20])
    model = Pipeline([("scale", StandardScaler()), ("clf", tiny)])
    grid = strategy_grid(y, size="short", prefix="clf__", cv=2)
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(table, y)
    found = [strategy_name(params) for params in search.cv_results_["params"]]
    assert found == names(strategy_grid(y, size="short", cv=2))


# -- SMOTE -----------------------------------------------------------------------------


def frame(n_rows, **columns):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"amount": rng.normal(size=n_rows), **columns})


def test_smote_is_left_out_without_the_table():
    assert not [s for s in samplers(strategy_grid(labels([500, 100]))) if "SMOTE" in s]


@pytest.mark.parametrize("kind", ["array", "sparse", "frame"])
def test_smote_of_numbers(kind, table):
    make = {"array": np.asarray, "sparse": sparse.csr_array, "frame": pd.DataFrame}
    found = samplers(strategy_grid(labels([120, 40]), make[kind](table)))[-1]
    assert type(found) is SMOTE
    assert found.k_neighbors == 5


def test_smote_of_numbers_and_categories_fits_a_frame(tiny):
    y = labels([120, 40])
    X = frame(160, colour=np.resize(["red", "blue"], 160))
    found = samplers(strategy_grid(y, X))[-1]
    assert type(found) is SMOTENC
    assert tiny.set_params(sampler=found).fit(X, y).effective_prior_.tolist() == [
        0.5,
        0.5,
    ]


def test_smote_of_categories():
    X = pd.DataFrame({"colour": np.resize(["red", "blue", "green"], 160)})
    assert type(samplers(strategy_grid(labels([120, 40]), X))[-1]) is SMOTEN


def test_smote_is_left_out_for_a_table_with_gaps():
    X = frame(160, age=np.resize([1.0, 2.0, np.nan], 160))
    assert not samplers(strategy_grid(labels([155, 5]), X))


@pytest.mark.parametrize(
    ("n_rarest", "cv", "expected"),
    [(5, 5, 0), (7, 5, 3), (7, 2, 0), (9, 5, 4), (11, 2, 3), (40, 5, 5)],
)
def test_smote_has_as_many_neighbors_as_the_folds_leave(n_rarest, cv, expected):
    y = labels([100, n_rarest])
    found = samplers(strategy_grid(y, np.zeros((len(y), 1)), cv=cv))
    k = [s.k_neighbors for s in found if isinstance(s, SMOTE)]
    assert k == ([expected] if expected else [])


@pytest.mark.parametrize("n_rarest", [7, 9, 12])
def test_smote_can_be_fitted_in_a_search_with_few_rows(n_rarest, rng):
    y = labels([60, n_rarest])
    X = rng.normal(size=(len(y), 2))
    smote = samplers(strategy_grid(y, X, cv=3) or [{}])[-1:]
    model = BalancedNeuralClassifier(
        "mlp", module__hidden_sizes=(4,), max_epochs=1, n_members=4, random_state=0
    )
    found = [s for s in smote if isinstance(s, SMOTE)]
    search = GridSearchCV(model, {"sampler": [None, *found]}, cv=3, error_score="raise")
    assert hasattr(search.fit(X, y), "best_params_")


# -- random search ---------------------------------------------------------------------


@pytest.mark.parametrize("counts", LABELS.values(), ids=LABELS)
def test_distributions_have_the_strategies_of_the_grid(counts):
    y = labels(counts)
    grid, space = strategy_grid(y), strategy_distributions(y)
    assert [set(entry) for entry in space] == [set(entry) for entry in grid]


@pytest.mark.parametrize("counts", LABELS.values(), ids=LABELS)
def test_distributions_suit_other_tuners(counts):
    """As in the guide's recipe: one value, or a distribution with bounds."""
    for entry in strategy_distributions(labels(counts)):
        for values in entry.values():
            if isinstance(values, list):
                assert len(values) == 1
            else:
                low, high = values.support()
                assert 0 <= low < high < np.inf


def test_random_search_takes_the_distributions(table, tiny):
    y = labels([140, 20])
    search = RandomizedSearchCV(
        tiny, strategy_distributions(y), n_iter=3, cv=2, random_state=0
    ).fit(table, y)
    again = list(ParameterSampler(strategy_distributions(y), 3, random_state=0))
    assert search.cv_results_["params"] == again


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "params", "message"),
    [
        ([1, 1], {}, "at least two classes"),
        ([0, 1], {"size": "long"}, "size='long' must be one of"),
        ([0, 1], {"cv": 1}, "cv=1 must be a number of folds"),
        ([0, 1], {"cv": "five"}, "cv='five' must be a number of folds"),
    ],
)
def test_wrong_parameters_are_named(y, params, message):
    with pytest.raises(ValueError, match=message):
        strategy_grid(y, **params)


# -- names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({}, "plain"),
        ({"loss": "cross_entropy", "sampler": None, "class_weight": None}, "plain"),
        ({"loss": "cross_entropy", "loss__label_smoothing": None}, "plain"),
        (
            {"loss__label_smoothing": 0.05},
            "cross_entropy, label_smoothing=0.05",
        ),
        ({"sampler": SMOTE(), "sampler__k_neighbors": 3}, "SMOTE(), k_neighbors=3"),
        ({"class_weight": {0: 1.0, 1: 3.0}}, "{0: 1.0, 1: 3.0}"),
        ({"target_prior": "uniform"}, "target_prior=uniform"),
        ({"learning_rate": 0.01, "class_weight": "balanced"}, None),
        ({"search__clf__class_weight": "balanced"}, "balanced"),
        ({"svc__C": 1.0}, "svc__C=1"),
        ({"class_weight": np.array([1.0, 3.0])}, "[1.0, 3.0]"),
        ({"class_weight": pd.Series({"a": 1.0, "b": 3.0})}, "{'a': 1.0, 'b': 3.0}"),
        ({"target_prior": np.array([0.9, 0.1])}, "target_prior=[0.9, 0.1]"),
    ],
)
def test_name_of_a_strategy(params, name):
    assert strategy_name(params) == (name or "balanced + learning_rate=0.01")

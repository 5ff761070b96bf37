"""What "auto" stands for, and presets of one word."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV
from torch import nn

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.options.recipes import PRESETS, Recipe, find_recipe
from imbalnet.networks import NETWORKS

MODULES = [*NETWORKS, nn.Linear]
RECIPES = {
    **{f"preset {name}": find_recipe("auto", name) for name in PRESETS},
    **{f"module {module}": find_recipe(module, None) for module in MODULES},
}
all_recipes = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


@all_recipes
def test_recipe_names_a_network_and_arguments_that_it_has(recipe):
    if recipe.module is None:
        assert not recipe.params
        return
    known = inspect.signature(NETWORKS[recipe.module]).parameters
    assert set(recipe.params) <= set(known)


@all_recipes
def test_epochs_fall_with_the_rows_to_a_least_number(recipe):
    sizes = [0, 1, 100, 10_000, 100_000, 1_000_000, 10**9]
    epochs = [recipe.epochs(n_rows) for n_rows in sizes]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] == recipe.max_epochs
    least = recipe.max_epochs if recipe.row_visits is None else recipe.least_epochs
    assert epochs[-1] == min(least, recipe.max_epochs)


def test_epochs_visit_no_more_rows_than_they_may():
    recipe = Recipe("mlp", max_epochs=40, row_visits=1_000, least_epochs=5)
    assert [recipe.epochs(n_rows) for n_rows in (25, 26, 100, 300)] == [40, 38, 10, 5]
    assert Recipe("mlp", max_epochs=3, row_visits=1, least_epochs=5).epochs(10) == 3


def epochs(options):
    return options.phases.planned


def members(options):
    return options.network.n_members


def test_default_is_the_tabular_network(options_of):
    assert find_recipe("auto", None) is find_recipe("tabular", None)
    default, tabular = BalancedNeuralClassifier(), BalancedNeuralClassifier("tabular")
    for n_rows in (100, 10**6):
        one, other = (options_of(clf, n_rows) for clf in (default, tabular))
        assert epochs(one) == epochs(other)
        assert members(one) == members(other) > 1


@pytest.mark.parametrize("module", ["mlp", "linear", nn.Linear])
def test_other_networks_are_single(module, options_of):
    few, many = (
        options_of(BalancedNeuralClassifier(module), n_rows) for n_rows in (100, 10**6)
    )
    assert members(few) == members(many) == 1
    assert epochs(few) == epochs(many)


def test_quick_costs_less_than_the_default(options_of):
    for n_rows in (100, 10**5, 10**7):
        quick, default = (
            options_of(BalancedNeuralClassifier(preset=preset), n_rows)
            for preset in ("quick", None)
        )
        costs = [members(each) * epochs(each) for each in (quick, default)]
        assert 2 * costs[0] < costs[1]


def test_parameters_have_the_last_word(options_of):
    params = {"n_members": 3, "max_epochs": 7, "learning_rate": 0.5}
    clf = BalancedNeuralClassifier(preset="quick", **params)
    options = options_of(clf, 10**7)
    assert members(options) == 3
    assert epochs(options) == 7
    assert options.optimizer.learning_rate == 0.5
    assert options.optimizer.full_batch_learning_rate == 0.5


@pytest.mark.parametrize("preset", ["quick", "best"])
@pytest.mark.parametrize("module", ["tabular", "mlp", nn.Linear])
def test_preset_and_module_exclude_each_other(rare, preset, module):
    clf = BalancedNeuralClassifier(module, preset=preset)
    with pytest.raises(ValueError, match=f"preset='{preset}' .* leave one of them out"):
        clf.fit(*rare)
    assert set(vars(clf)) == set(clf.get_params(deep=False))


@pytest.mark.parametrize("preset", ["fast", "auto", "", 1])
def test_unknown_preset_is_an_error(rare, preset):
    with pytest.raises(ValueError, match=r"'preset' parameter .* must be a str among"):
        BalancedNeuralClassifier(preset=preset).fit(*rare)


def test_quick_learns(rare, options_of):
    X, y = rare
    clf = BalancedNeuralClassifier(preset="quick", random_state=0).fit(X[:400], y[:400])
    scores = clf.predict_proba(X[400:])[:, 1]
    assert average_precision_score(y[400:], scores) > 0.8
    options = options_of(clf, 400)
    assert clf.net_.n_members == members(options)
    assert clf.n_iter_ <= epochs(options)


def test_preset_is_a_parameter_like_others(options_of):
    clf = BalancedNeuralClassifier(preset="quick", module__n_bins=4)
    assert clf.get_params()["preset"] == "quick"
    assert clone(clf).get_params() == clf.get_params()
    assert "preset='quick'" in repr(clf)
    default = options_of(BalancedNeuralClassifier())
    assert members(options_of(clf)) < members(default)
    assert members(options_of(clf.set_params(preset=None))) == members(default)


def test_grid_search_reaches_members_and_the_networks_arguments(rare):
    X, y = rare
    clf = BalancedNeuralClassifier(
        max_epochs=3, module__hidden_sizes=(8,), random_state=0
    )
    grid = {"module__n_bins": [2, 8], "n_members": [1, 2]}
    search = GridSearchCV(clf, grid, scoring="average_precision", cv=2).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(np.unique(scores)) == 4
    best = search.best_estimator_
    assert best.net_.n_members == search.best_params_["n_members"]
    n_bins = search.best_params_["module__n_bins"]
    assert best.module_.input.encoding.start.shape == (10, n_bins)


def test_warm_start_under_another_preset_is_an_error(rare):
    clf = BalancedNeuralClassifier(max_epochs=1, warm_start=True).fit(*rare)
    with pytest.raises(ValueError, match="training cannot go on"):
        clf.set_params(preset="quick").fit(*rare)

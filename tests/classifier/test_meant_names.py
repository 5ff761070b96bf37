"""Names that are unknown: errors say which one was meant."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from imblearn import over_sampling, under_sampling
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from skorch import NeuralNetClassifier

from imbalnet import BalancedNeuralClassifier
from imbalnet._other_names import OTHER_NAMES
from imbalnet._parameters import NESTED_NAMES
from imbalnet.samplers.resamplers import import_of

MEANT = {
    # scikit-learn
    "max_iter": "max_epochs",
    "hidden_layer_sizes": "module__hidden_sizes",
    "n_iter_no_change": "patience",
    "C": "weight_decay",
    # skorch
    "lr": "learning_rate",
    "criterion": "loss",
    "criterion__weight": "loss__weight",
    "iterator_train__num_workers": "net__iterator_train__num_workers",
    # CatBoost, LightGBM
    "early_stopping_rounds": "patience",
    "auto_class_weights": "class_weight='balanced'",
    "cat_features": "categorical_features",
    "random_seed": "random_state",
    # torch
    "epochs": "max_epochs",
    # costs and decisions
    "costs": "cost_matrix",
    "pos_label": "fit(X, y == pos_label)",
    # written otherwise
    "classweight": "class_weight",
    "classWeights": "class_weight",
    "lr_": "learning_rate",
    "_max_epochs": "max_epochs",
    "batchsize": "batch_size",
    "callback": "callbacks",
    # nested ones without their prefix, with one underscore, or misspelt
    "gamma": "loss__gamma",
    "dropout": "module__dropout",
    "power": "class_weight__power or sampler__power",
    "loss_gamma": "loss__gamma",
    "module_width": "module__width",
    "loss_gama": "loss__gamma",
    "los__gamma": "loss__gamma",
}


@pytest.mark.parametrize(("name", "meant"), MEANT.items())
def test_unknown_name_is_an_error_at_once(name, meant):
    message = (
        f"{name} is no parameter of .* known are .* Did you mean (?P<meant>.*)[?]$"
    )
    for give in (BalancedNeuralClassifier, BalancedNeuralClassifier().set_params):
        with pytest.raises(ValueError, match=message) as caught:
            give(**{name: 1})
        assert str(caught.value).endswith(f"Did you mean {meant}?")


def test_names_that_resemble_none_are_errors_too():
    with pytest.raises(ValueError, match=r"xyz is no parameter of .*net__\*\.$"):
        BalancedNeuralClassifier(xyz=1)


def test_name_of_the_nested_ones_is_an_error_at_fit():
    clf = BalancedNeuralClassifier(nested={"loss__gamma": 1})
    with pytest.raises(ValueError, match="nested is no parameter of"):
        clf.fit(np.eye(4), [0, 0, 1, 1])


def test_each_unknown_name_is_answered():
    with pytest.raises(ValueError, match="epochs, seed is no parameter of") as caught:
        BalancedNeuralClassifier(seed=0, epochs=3, loss="focal")
    assert str(caught.value).endswith("Did you mean max_epochs and random_state?")


def test_set_params_of_a_step_says_the_same_and_changes_nothing():
    steps = make_pipeline(BalancedNeuralClassifier(max_epochs=3))
    with pytest.raises(ValueError, match="Did you mean max_epochs"):
        steps.set_params(
            balancedneuralclassifier__patience=2, balancedneuralclassifier__epochs=5
        )
    assert steps[0].get_params() == BalancedNeuralClassifier(max_epochs=3).get_params()


def test_names_of_components_of_ones_own_pass():
    clf = BalancedNeuralClassifier(module__width=3, loss__own=1)
    assert clone(clf).get_params() == clf.get_params()


OTHERS = [MLPClassifier, LogisticRegression, NeuralNetClassifier]
# What has no counterpart, and what is a parameter of ours as it is.
WITHOUT = {"activation", "shuffle", "momentum", "epsilon", "power_t", "dual", "dataset"}
WITHOUT |= {"fit_intercept", "intercept_scaling", "l1_ratio", "predict_nonlinearity"}
WITHOUT |= {"classes", "multi_class"}


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.__name__)
def test_parameters_of_other_libraries_are_known(other):
    own = set(BalancedNeuralClassifier().get_params())
    theirs = {*inspect.signature(other).parameters} - {"kwargs", "args"}
    lost = {name for name in theirs - own - WITHOUT if name.lower() not in OTHER_NAMES}
    assert not lost


def test_every_answer_is_a_parameter():
    known = {*BalancedNeuralClassifier().get_params(), *NESTED_NAMES}
    known |= {"class_weight='balanced'", "loss__pos_weight"}
    known |= {f"fit(X, y == {name})" for name in ("pos_label", "positive_class")}
    answers = {part for text in OTHER_NAMES.values() for part in text.split(" or ")}
    assert answers <= known
    assert not set(OTHER_NAMES) & known


VALUES = [
    ({"loss": "focl"}, "Did you mean 'focal'?"),
    ({"loss": "CrossEntropyLoss"}, "Did you mean 'cross_entropy'?"),
    ({"module": "tablar"}, "Did you mean 'tabular'?"),
    ({"optimizer": "AdamW"}, "Did you mean 'adamw'?"),
    ({"schedule": "cosin"}, "Did you mean 'cosine'?"),
    ({"monitor": "avg_precision"}, "Did you mean 'average_precision'?"),
    ({"class_weight": "balance"}, "Did you mean 'balanced'?"),
    ({"target_prior": "training"}, "Did you mean 'train'?"),
    ({"threshold": "gmean"}, "Did you mean 'g_mean'?"),
    ({"threshold": "Precision"}, "Did you mean PrecisionAtLeast(0.9)?"),
    ({"threshold": 20}, "20 % are 0.2."),
    ({"sampler": "weigted"}, "Did you mean 'weighted'?"),
    ({"sampler": "smote"}, "from imblearn.over_sampling import SMOTE."),
    ({"preset": "fast"}, "Got 'fast' instead."),
]


@pytest.mark.parametrize(("params", "end"), VALUES)
def test_unknown_value_is_answered(params, end):
    with pytest.raises(ValueError, match=f"{next(iter(params))}") as caught:
        BalancedNeuralClassifier(**params).fit(np.eye(4), [0, 0, 1, 1])
    assert str(caught.value).endswith(end)


def test_values_are_listed_in_order():
    with pytest.raises(ValueError, match=r"among {'best', 'quick'} or None"):
        BalancedNeuralClassifier(preset="").fit(np.eye(4), [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("adasyn", "over_sampling import ADASYN"),
        ("SMOTE-Tomek", "combine import SMOTETomek"),
        ("tomek", "under_sampling import TomekLinks"),
        ("enn", "under_sampling import EditedNearestNeighbours"),
        ("RandomUnderSampler", "under_sampling import RandomUnderSampler"),
        ("ros", "over_sampling import RandomOverSampler"),
    ],
)
def test_samplers_of_imbalanced_learn_are_found(word, title):
    assert import_of(word).endswith(f"from imblearn.{title}.")


def test_every_sampler_of_imbalanced_learn_is_found_by_its_name():
    for module in (over_sampling, under_sampling):
        for title in module.__all__:
            assert import_of(title.lower()).endswith(f" import {title}.")


NESTED = [
    ({"loss": "focal", "loss__gama": 1}, "Did you mean loss__gamma?"),
    (
        {"loss__gamma": 1},
        "loss__gamma belongs to loss='focal' or 'poly_focal' or 'vector_scaling'.",
    ),
    ({"module__hiden": (4,)}, "Did you mean module__hidden_sizes?"),
    ({"module": "linear", "module__k": 4}, "module__k belongs to module='tabm'."),
    (
        {"class_weight": "balanced", "class_weight__beta": 0.9},
        "class_weight__beta belongs to class_weight='effective'.",
    ),
    ({"sampler__power": 0.5}, "or 'stratified_batch'."),
    ({"optimizer__momentum": 0.5}, "optimizer__momentum belongs to optimizer='sgd'."),
    ({"net__iterator_training": 1}, "Did you mean net__iterator_train?"),
    ({"sampler": over_sampling.SMOTE(), "sampler__k_neigbors": 3}, "k_neighbors?"),
]


@pytest.mark.parametrize(("params", "end"), NESTED)
def test_unknown_nested_name_is_answered_in_fit(params, end):
    with pytest.raises(ValueError, match="is no parameter of") as caught:
        BalancedNeuralClassifier(**params).fit(np.eye(4), [0, 0, 1, 1])
    assert str(caught.value).endswith(end)

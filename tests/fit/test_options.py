"""Parameters resolved once: no "auto" is left, and what is wrong is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields, is_dataclass
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from scipy import sparse
from skorch.callbacks import EarlyStopping
from torch import nn
from torch.utils.data import DataLoader

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.options.choices import column_rules, feature_dtype
from imbalnet._fit.options.recipes import PRESETS
from imbalnet._fit.options.resolve import epochs_before_weights, resolve_options
from imbalnet._optimizers import OPTIMIZERS
from imbalnet._tables import Rows
from imbalnet.losses import LOSSES
from imbalnet.networks import MLP, NETWORKS, Members
from imbalnet.samplers import SAMPLERS

SETTINGS = [
    *({"preset": preset} for preset in PRESETS),
    *({"module": module} for module in [*NETWORKS, nn.Linear]),
    *({"loss": loss} for loss in LOSSES),
    *({"loss": loss, "module": "linear"} for loss in LOSSES),
    *({"sampler": sampler} for sampler in [*SAMPLERS, SMOTE()]),
    *({"optimizer": optimizer} for optimizer in [*OPTIMIZERS, torch.optim.RMSprop]),
    {"module": "mlp", "n_members": 3},
    {"module": "mlp", "early_stopping": True},
    {"early_stopping": False},
    {"n_members": 1, "n_neighbors": 0},
    {"class_weight": "balanced", "class_weight__start_epoch": 0.5},
    {"class_weight": "effective", "class_weight__beta": 0.9, "batch_size": 32},
    {"target_prior": "uniform", "cost_matrix": [[0, 1], [9, 0]]},
    {"learning_rate": 0.1, "weight_decay": 0.0, "schedule": "constant"},
    {"max_epochs": 3, "patience": 2, "monitor": "loss", "calibrate": False},
    {"dtype": "float64", "device": "cpu", "n_threads": 2, "verbose": 1},
    {"net__iterator_valid__batch_size": 64, "callbacks": [EarlyStopping("dur")]},
]
# without addresses, by which the workers of a parallel run would differ
IDS = [re.sub(" object at 0x[0-9a-f]+", "", str(params)) for params in SETTINGS]
all_settings = pytest.mark.parametrize("params", SETTINGS, ids=IDS)
CALLS = {
    "few rows": {"n_rows": 50},
    "many rows": {"n_rows": 10**6},
    "partial_fit": {"is_partial": True},
    "X_val": {"has_validation_rows": True},
}


def parts_of(value):
    """All that a value holds: the fields of dataclasses, items, arguments."""
    yield value
    if is_dataclass(value):
        inner = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, partial):
        inner = [*value.args, *value.keywords.values()]
    elif isinstance(value, list | tuple):
        inner = value
    else:
        return
    for each in inner:
        yield from parts_of(each)


def classifier(params):
    return BalancedNeuralClassifier(**{"random_state": 0, **params})


# -- every setting -------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@all_settings
def test_options_leave_no_auto(params, call, options_of):
    clf = classifier(params)
    before = clf.get_params(deep=False)
    options = options_of(clf, **call)
    values = list(parts_of(options))
    assert len(values) > 40
    assert not [value for value in values if isinstance(value, str) and value == "auto"]
    assert clf.get_params(deep=False) == before


@all_settings
def test_options_are_frozen(params, options_of):
    dataclasses = [
        part for part in parts_of(options_of(classifier(params))) if is_dataclass(part)
    ]
    assert len(dataclasses) == 7  # Options, and one for each step
    for part in dataclasses:
        for field in fields(part):
            with pytest.raises(FrozenInstanceError):
                setattr(part, field.name, None)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@all_settings
def test_options_are_in_range(params, call, options_of):
    options = options_of(classifier(params), **call)
    optimizer, validation, phases = (
        options.optimizer,
        options.validation,
        options.phases,
    )
    assert min(optimizer.learning_rate, optimizer.full_batch_learning_rate) > 0
    assert optimizer.weight_decay is None or optimizer.weight_decay >= 0
    assert phases.planned >= 1
    assert 0 <= phases.unweighted < phases.planned
    assert 0 <= phases.warmup <= phases.planned
    assert options.network.n_members >= 1
    assert isinstance(options.machine.device, torch.device)
    assert options.machine.dtype in (torch.float32, torch.float64)
    assert options.levers.batch_size is None or options.levers.batch_size >= 1
    assert validation.kind in ("folds", "split", "given", "none")
    if validation.kind == "folds":
        assert options.network.n_members > 1
    else:
        assert validation.n_neighbors == 0
        assert validation.monitor != "combined"
    if validation.kind == "none":
        assert validation.monitor is None


@all_settings
def test_networks_are_built_from_the_options(params, options_of):
    network = options_of(classifier({**params, "n_threads": None})).network
    module = network.factory(in_features=3, out_features=2, **network.params)
    logits = module(torch.randn(5, 3))
    assert logits.shape[0] == 5
    assert logits.shape[-1] == 2
    if network.n_members > 1:
        assert logits.shape == (5, network.n_members, 2)


# -- what "auto" stands for ----------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "call", "kind", "monitor"),
    [
        ({}, {}, "folds", "combined"),
        ({}, {"has_validation_rows": True}, "given", "average_precision"),
        ({}, {"is_partial": True}, "none", None),
        ({"early_stopping": False}, {}, "none", None),
        ({"early_stopping": False}, {"has_validation_rows": True}, "given", None),
        ({"monitor": "loss"}, {}, "folds", "loss"),
        ({"module": "mlp"}, {"n_rows": 10_000}, "none", None),
        ({"module": "mlp"}, {"n_rows": 10_001}, "split", "average_precision"),
        ({"module": "mlp", "early_stopping": True}, {}, "split", "average_precision"),
        ({"module": "linear"}, {"n_rows": 10_001, "dtype": np.float64}, "none", None),
        ({"module": "linear", "n_members": 3}, {}, "folds", None),  # it is solved
        (
            {"module": "linear", "n_members": 3, "early_stopping": True},
            {},
            "folds",
            "combined",
        ),
    ],
)
def test_validation_follows_rows_and_members(params, call, kind, monitor, options_of):
    validation = options_of(classifier(params), **call).validation
    assert (validation.kind, validation.monitor) == (kind, monitor)


@pytest.mark.parametrize(
    ("params", "rates", "decay"),
    [
        ({"module": "mlp"}, (7e-4, 2e-3), 0.1),
        ({"module": "linear", "optimizer": "adamw"}, (0.05, 0.05), 0.1),
        ({"module": "linear"}, (1.0, 1.0), None),  # that of LogisticRegression(C=1)
        ({"module": "linear", "weight_decay": 0.2}, (1.0, 1.0), 0.2),
        ({"module": "mlp", "optimizer": "sgd"}, (0.05, 0.05), 1e-4),
        ({"module": "mlp", "optimizer": torch.optim.RMSprop}, (7e-4, 2e-3), 1e-4),
        ({"module": "mlp", "optimizer": torch.optim.AdamW}, (7e-4, 2e-3), 0.1),
        ({"module": "mlp", "learning_rate": 0.3}, (0.3, 0.3), 0.1),
    ],
    ids=str,
)
def test_optimizer_follows_module_and_name(params, rates, decay, options_of):
    spec = options_of(classifier(params)).optimizer
    assert (spec.learning_rate, spec.full_batch_learning_rate) == rates
    assert spec.weight_decay == decay
    assert spec.is_lbfgs is (params["module"] == "linear" and "optimizer" not in params)
    assert spec.has_schedule is not spec.is_lbfgs


def test_linear_models_are_solved_but_not_in_parts(options_of):
    """L-BFGS needs all rows in one batch, dense or sparse."""
    clf = classifier({"module": "linear"})
    assert not options_of(clf, is_partial=True).optimizer.is_lbfgs
    rows = Rows(sparse.csr_array((50, 3), dtype=np.float32), np.zeros(50, int))
    options = resolve_options(clf.get_params(deep=False), rows, np.arange(2))
    assert options.optimizer.is_lbfgs
    assert options.levers.full_batch


def test_ranking_losses_draw_every_class_unless_told_otherwise(options_of):
    clf = classifier({"module": "mlp", "loss": "average_precision"})
    drawn = options_of(clf).levers.new_sampler()
    assert isinstance(drawn, SAMPLERS["stratified_batch"])
    clf.set_params(sampler="weighted")
    assert isinstance(options_of(clf).levers.new_sampler(), SAMPLERS["weighted"])


@pytest.mark.parametrize(
    ("module", "n_members", "factory", "has_member_axis"),
    [
        (MLP, 1, MLP, False),
        (MLP, 3, Members, False),
        ("tabular", 1, NETWORKS["tabular"], True),
        ("tabular", 3, NETWORKS["tabular"], True),
        ("tabm", "auto", NETWORKS["tabm"], False),
    ],
)
def test_members_are_built_by_the_module_if_it_can(
    module, n_members, factory, has_member_axis, options_of
):
    network = options_of(classifier({"module": module, "n_members": n_members})).network
    assert network.factory is factory
    assert network.has_member_axis is has_member_axis
    given = "n_members" in network.params
    assert given is (has_member_axis or network.n_members > 1)


@pytest.mark.parametrize("asked", ["auto", 4])
@pytest.mark.parametrize(
    ("n_rows", "n_columns", "is_small"),
    [(2**16, 3, True), (2**16 + 1, 3, False), (100, 512, True), (100, 513, False)],
)
def test_neighbours_of_large_tables_are_for_those_who_ask(
    asked, n_rows, n_columns, is_small, options_of
):
    clf = classifier({"n_neighbors": asked})
    n_neighbors = options_of(clf, n_rows, n_columns=n_columns).validation.n_neighbors
    assert (n_neighbors > 0) is (is_small or asked == 4)


@pytest.mark.parametrize(
    ("start", "expected"),
    [(0, 0), (3, 3), (np.int64(3), 3), (0.0, 0), (0.8, 24), (0.01, 1)],
)
def test_epochs_before_weights(start, expected):
    assert epochs_before_weights(start, max_epochs=30) == expected


@pytest.mark.parametrize("start", [3, 0.3])
def test_deferral_without_weights_is_none(start, options_of):
    params = {"class_weight__start_epoch": start, "max_epochs": 10}
    options = options_of(classifier(params))
    assert options.phases.unweighted == 0
    assert not options.levers.defers_weights
    options = options_of(classifier({**params, "class_weight": "balanced"}))
    assert options.phases.unweighted == 3
    assert options.levers.defers_weights
    assert "start_epoch" not in options.levers.weight_params


# -- going on ------------------------------------------------------------------------


def fitted_by(options, n_epochs):
    """As much as options need to know of an earlier run."""
    return SimpleNamespace(
        network=options.network,
        machine=options.machine,
        n_epochs=n_epochs,
        split_seed=options.seeds.split,
    )


def test_seeds_follow_random_state_and_the_epochs_behind(options_of):
    clf = classifier({})
    first, again = options_of(clf), options_of(clf)
    assert first.seeds == again.seeds
    assert len(set(first.seeds)) == len(first.seeds)
    later = options_of(clf, before=fitted_by(first, n_epochs=3))
    assert later.seeds.split == first.seeds.split  # the same validation rows
    assert not set(later.seeds[1:]) & set(first.seeds)
    other = options_of(clf.set_params(random_state=1))
    assert not set(other.seeds) & set(first.seeds)


def test_further_training_stays_on_its_machine(options_of):
    clf = classifier({"dtype": "float64"})
    first = options_of(clf, dtype=np.float64)
    clf.set_params(dtype="float32")
    later = options_of(clf, before=fitted_by(first, n_epochs=3))
    assert later.machine is first.machine


@pytest.mark.parametrize(
    "params", [{"module": "mlp"}, {"n_members": 3}, {"module__n_bins": 3}], ids=str
)
def test_further_training_needs_the_same_network(params, options_of):
    before = fitted_by(options_of(classifier({})), n_epochs=3)
    options_of(classifier({}), before=before)
    with pytest.raises(ValueError, match=r"module__\* changed .*; set them back"):
        options_of(classifier(params), before=before)


# -- errors name the parameter, its value and the cure -------------------------------


class NoFeatures(nn.Module):
    def __init__(self, width):
        super().__init__()


ERRORS = [
    ({"module": nn.Linear(3, 2)}, "module", "instance of Linear", "give the class"),
    ({"module": NoFeatures}, "module=NoFeatures", "['width']", "must accept in_feat"),
    ({"module__depth": 3}, "module__depth", "TabularMLP", "known are module__"),
    ({"module": "tabm", "n_members": 3}, "n_members=3", "TabM", "module__k"),
    ({"preset": "quick", "module": "mlp"}, "preset='quick'", "'mlp'", "leave one of"),
    ({"loss": nn.NLLLoss}, "loss=", "NLLLoss", "use loss='cross_entropy'"),
    ({"loss__gamma": 2}, "loss__gamma", "loss='cross_entropy'", "known are loss__"),
    (
        {"loss": "focal", "loss__gamma": -1},
        "loss__gamma",
        "=-1",
        "a finite number of at least 0",
    ),
    (
        {"loss": "average_precision", "optimizer": "lbfgs"},
        "loss='average_precision'",
        "optimizer='lbfgs'",
        "use optimizer='auto'",
    ),
    (
        {"loss": "average_precision", "class_weight": "balanced"},
        "loss='average_precision'",
        "class_weight='balanced'",
        "set class_weight=None",
    ),
    ({"target_prior": {0: 0.5, 2: 0.5}}, "target_prior", "2", "classes"),
    ({"cost_matrix": [[0, 1]]}, "cost_matrix", "(1, 2)", "(2, 2)"),
    ({"optimizer__momentum": 1}, "optimizer__momentum", "'adamw'", "known are"),
    (
        {"class_weight": "balanced", "class_weight__beta": 0.9},
        "class_weight__beta",
        "class_weight='balanced'",
        "known are class_weight__max_ratio",
    ),
    (
        {"class_weight": "balanced", "class_weight__start_epoch": -1},
        "class_weight__start_epoch",
        "=-1",
        "an integer of at least 0",
    ),
    (
        {"class_weight": "balanced", "class_weight__start_epoch": 5, "max_epochs": 5},
        "class_weight__start_epoch=5",
        "max_epochs=5",
        "Raise max_epochs",
    ),
    (
        {"n_neighbors": 3, "n_members": 1},
        "n_neighbors=3",
        "n_members",
        "set n_neighbors='auto' or 0",
    ),
    ({"n_neighbors": 3, "loss": "ldam"}, "n_neighbors=3", "'ldam'", "'auto' or 0"),
    ({"net__lr": 0.1}, "net__lr", "skorch net", "known are net__"),
    (
        {"n_members": 2, "net__iterator_train": DataLoader},
        "n_members=2",
        "net__iterator_train",
        "set n_members=1",
    ),
    (
        {"module": "mlp", "sampler": "weighted", "net__iterator_train": DataLoader},
        "sampler='weighted'",
        "net__iterator_train",
        "use that iterator's own sampler",
    ),
    (
        {"callbacks": [EarlyStopping(load_best=True)]},
        "callbacks",
        "EarlyStopping(load_best=True)",
        "set load_best=False",
    ),
    ({"device": "cuda:99"}, "device", "='cuda:99'", "is not available"),
    ({"device": "gpu"}, "device", "='gpu'", "is not a device"),
]


@pytest.mark.parametrize(
    ("params", "parameter", "value", "cure"),
    ERRORS,
    ids=[", ".join(params) for params, *_ in ERRORS],
)
def test_errors_name_parameter_value_and_cure(
    params, parameter, value, cure, options_of
):
    with pytest.raises(ValueError, match=parameter.replace("*", r"\*")) as caught:
        options_of(classifier(params))
    message = str(caught.value)
    for part in (parameter, value, cure):
        assert part in message


# -- what is asked before the rows are read ------------------------------------------


@pytest.mark.parametrize(
    ("params", "dtype"),
    [
        ({}, np.float32),
        ({"dtype": "bfloat16"}, np.float32),
        ({"dtype": "float64"}, np.float64),
        ({"module": "linear"}, np.float64),
        ({"module": "linear", "optimizer": "adamw"}, np.float32),
        ({"module": "linear", "loss": "average_precision"}, np.float32),
        ({"module": "mlp", "optimizer": "lbfgs"}, np.float64),
    ],
    ids=str,
)
def test_solvers_take_features_in_float64(params, dtype):
    assert feature_dtype(classifier(params).get_params(deep=False)) is dtype


@pytest.mark.parametrize("module", ["auto", *NETWORKS])
@pytest.mark.parametrize("clip", [None, True, 2.0])
def test_columns_may_hold_what_the_network_takes(module, clip):
    params = {} if clip is None else {"module__clip": clip}
    rules = column_rules(classifier({"module": module, **params}).get_params())
    assert rules.missing
    assert rules.categories
    assert rules.infinite is (clip is True)


def test_columns_of_a_plain_module_are_finite_numbers():
    params = classifier({"module": nn.Linear, "categorical_features": [1]})
    rules = column_rules(params.get_params(deep=False))
    assert {rules.missing, rules.infinite, rules.categories} == {False}
    assert rules.categorical_features == [1]
    assert rules.module == "Linear"

"""Types of parameters, which editors complete, against what the package knows."""

from __future__ import annotations

import importlib
import inspect
from typing import get_args

import pytest
from sklearn.base import clone

import imbalnet
from imbalnet import BalancedNeuralClassifier, _parameters
from imbalnet._fit.options.recipes import PRESETS
from imbalnet._nested import accepted_names
from imbalnet._optimizers import OPTIMIZERS
from imbalnet._parameters import NESTED_NAMES
from imbalnet.comparison import FIGURES, FigureName
from imbalnet.decisions.criteria import CRITERIA
from imbalnet.losses import LOSSES
from imbalnet.networks import NETWORKS
from imbalnet.networks.mlp import ACTIVATIONS
from imbalnet.retention import _DISCARD, DiscardName
from imbalnet.samplers import SAMPLERS


@pytest.mark.parametrize(
    ("literal", "registry"),
    [
        ("ModuleName", ["auto", *NETWORKS]),
        ("PresetName", [name for name in PRESETS if name]),
        ("LossName", LOSSES),
        ("SamplerName", SAMPLERS),
        ("OptimizerName", ["auto", *OPTIMIZERS]),
        ("ThresholdName", CRITERIA),
        ("ActivationName", ACTIVATIONS),
    ],
)
def test_literal_names_what_the_registry_has(literal, registry):
    assert set(get_args(getattr(_parameters, literal))) == set(registry)


def test_literals_of_functions_name_what_these_take():
    assert list(get_args(FigureName)) == list(FIGURES)
    assert list(get_args(DiscardName)) == list(_DISCARD)


# What training gives to components, or takes from parameters without a prefix.
NOT_NESTED = {"in_features", "out_features", "n_categories", "n_members"}


@pytest.mark.parametrize(
    ("prefix", "registry"),
    [("module", NETWORKS), ("loss", LOSSES), ("sampler", SAMPLERS)],
)
def test_nested_names_are_those_that_components_accept(prefix, registry):
    accepted = {name for one in registry.values() for name in accepted_names(one)}
    listed = {n.split("__")[1] for n in NESTED_NAMES if n.startswith(f"{prefix}__")}
    assert listed == accepted - NOT_NESTED


def test_nested_names_of_optimizers_exist():
    accepted = {n for one in OPTIMIZERS.values() for n in accepted_names(one)}
    listed = {n.split("__")[1] for n in NESTED_NAMES if n.startswith("optimizer__")}
    assert listed <= accepted | {"param_groups"}


def test_typed_nested_names_leave_the_signature_as_it_is():
    *_, last = inspect.signature(BalancedNeuralClassifier).parameters.values()
    assert (last.name, last.kind) == ("nested", last.VAR_KEYWORD)
    assert not any("__" in name for name in BalancedNeuralClassifier().get_params())
    clf = BalancedNeuralClassifier(loss="focal", loss__gamma=1.5)
    assert clone(clf).get_params()["loss__gamma"] == 1.5


# -- completion ------------------------------------------------------------------------

MODULES = sorted(imbalnet._MODULES)


def test_the_package_completes_to_what_is_public():
    assert dir(imbalnet) == sorted([*imbalnet.__all__, *MODULES])
    assert all(hasattr(imbalnet, name) for name in dir(imbalnet))
    with pytest.raises(AttributeError, match="module 'imbalnet' has no attribute 'x'"):
        _ = imbalnet.x


@pytest.mark.parametrize("name", MODULES)
def test_modules_complete_to_what_is_public(name):
    module = importlib.import_module(f"imbalnet.{name}")
    assert module is getattr(imbalnet, name)
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)

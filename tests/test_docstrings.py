"""The documentation of public names: complete, with examples, and in the reference."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from dataclasses import is_dataclass
from pathlib import Path
from typing import is_typeddict

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate
from torch import nn

import imbalnet
from imbalnet import BalancedNeuralClassifier

API = Path(__file__).parents[1] / "docs" / "api"
# Dictionaries, of whose entries the guide has tables.
REGISTRIES = {"CRITERIA", "SCORERS", "LOSSES", "NETWORKS", "SAMPLERS", "DETERMINISTIC"}

# What numpydoc's validation may find and we leave: no summary of one line alone, no
# sections that a small class does not need, and its taste in types and full stops.
ACCEPTED = {"GL01", "GL02", "GL03", "GL08", "SS05", "SS06", "ES01", "SA01", "SA04"}
ACCEPTED |= {"PR06", "PR08", "PR09", "RT01", "RT02", "RT03", "RT04", "RT05", "YD01"}


def public_modules():
    """Every module that users import from, with the package itself."""
    yield imbalnet
    for info in pkgutil.iter_modules(imbalnet.__path__, "imbalnet."):
        if not info.name.startswith("imbalnet._"):
            module = importlib.import_module(info.name)
            if hasattr(module, "__all__"):
                yield module


def exported(module):
    return [n for n in module.__all__ if n not in {*REGISTRIES, "__version__"}]


MODULES = list(public_modules())
OBJECTS = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in MODULES
    for name in exported(module)
}


def is_method(value):
    return inspect.isfunction(value) or isinstance(value, classmethod | staticmethod)


METHODS = {
    f"{path}.{name}": cls
    for path, cls in OBJECTS.items()
    if inspect.isclass(cls)
    for name, value in vars(cls).items()
    if is_method(value) and not name.startswith("_")
}
# Those that set and get parameters are as scikit-learn's.
OF_THE_ESTIMATOR = [
    f"imbalnet.BalancedNeuralClassifier.{name}"
    for name, method in inspect.getmembers(BalancedNeuralClassifier, inspect.isfunction)
    if not name.startswith(("_", "set_", "get_"))
    and inspect.unwrap(method).__module__.startswith("imbalnet")
]


def public_objects():
    """Every class and function with a docstring, with the module that defines it."""
    for info in pkgutil.walk_packages(imbalnet.__path__, "imbalnet."):
        module = importlib.import_module(info.name)
        for name, item in vars(module).items():
            is_defined_here = getattr(item, "__module__", None) == info.name
            is_public = not name.startswith("_") and callable(item)
            is_public = is_public and not is_typeddict(item)  # has no signature
            if is_defined_here and is_public and inspect.getdoc(item):
                yield pytest.param(item, id=f"{info.name}.{name}")


def documented_names():
    """Names of the API reference, by the module that they are imported from."""
    names = {}
    for page in sorted(API.glob("*.rst")):
        module = None
        for line in page.read_text().splitlines():
            if line.startswith(".. module::"):
                module = line.split()[-1]
            elif module and line.startswith("   ") and line.strip().isidentifier():
                names.setdefault(module, []).append(line.strip())
    return names


def is_record(item):
    """Whether a class is its fields, which are documented as attributes."""
    return is_dataclass(item) or hasattr(item, "_fields")


def has_parameters(item):
    """Whether the Parameters section must name what the signature has."""
    is_bare_module = getattr(item, "__init__", None) is nn.Module.__init__
    return not is_record(item) and not is_bare_module


def faults(path, accepted=()):
    """What numpydoc finds wrong with a docstring."""
    found = validate(path)["errors"]
    return [error for error in found if error[0] not in ACCEPTED.union(accepted)]


@pytest.mark.parametrize("name", imbalnet.__all__)
def test_public_name_exists(name):
    assert hasattr(imbalnet, name)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_public_names_are_in_the_api_reference(module):
    """At the package itself only the estimator is; other names have a module."""
    names = ["BalancedNeuralClassifier"] if module is imbalnet else exported(module)
    assert set(names) == set(documented_names()[module.__name__])


def test_api_reference_lists_all_of_its_pages():
    index = (API / "index.rst").read_text()
    for page in API.glob("*.rst"):
        if page.name != "index.rst":
            assert f"\n   {page.stem}\n" in index
            assert f".. include:: {page.name}\n" in index


@pytest.mark.parametrize("path", OBJECTS)
def test_public_name_is_documented_with_an_example(path):
    assert faults(path, () if has_parameters(OBJECTS[path]) else {"PR01"}) == []


@pytest.mark.parametrize("path", [p for p in OBJECTS if is_record(OBJECTS[p])])
def test_fields_of_records_are_documented(path):
    doc = ClassDoc(OBJECTS[path])
    documented = [
        name.strip()
        for section in ("Parameters", "Attributes")
        for entry in doc[section]
        if any(entry.desc)
        for name in entry.name.split(",")
    ]
    assert set(inspect.signature(OBJECTS[path]).parameters) <= set(documented)


@pytest.mark.parametrize("path", METHODS)
def test_parameters_of_public_methods_are_documented(path):
    """In the class that a method comes from; others may leave them to that."""
    cls, name = METHODS[path], path.rsplit(".")[-1]
    is_override = any(name in vars(base) for base in cls.__mro__[1:])
    assert faults(path, {"EX01", "PR01"} if is_override else {"EX01"}) == []


@pytest.mark.parametrize("path", OF_THE_ESTIMATOR)
def test_methods_of_the_estimator_have_an_example(path):
    assert faults(path) == []


def test_estimator_docstring_begins_with_its_parameters_by_subject():
    text = "\n".join(ClassDoc(BalancedNeuralClassifier)["Extended Summary"])
    listed = re.findall(r"`(\w+)`(?=[,;.])", text[text.index("They are about") :])
    parameters = inspect.signature(BalancedNeuralClassifier).parameters
    assert sorted(listed) == sorted(set(parameters) - {"nested"})


@pytest.mark.parametrize("item", list(public_objects()))
def test_documented_parameters_are_those_of_the_signature(item):
    """Where there is a Parameters section, it names them all, in order."""
    parser = ClassDoc if inspect.isclass(item) else FunctionDoc
    entries = parser(item)["Parameters"]
    if not entries:
        return
    documented = [
        name.strip().lstrip("*") for entry in entries for name in entry.name.split(",")
    ]
    parameters = inspect.signature(item).parameters.values()
    assert documented == [p.name for p in parameters if p.name != "args"]


@pytest.mark.parametrize("item", list(public_objects()))
def test_documented_defaults_are_those_of_the_signature(item):
    parser = ClassDoc if inspect.isclass(item) else FunctionDoc
    signature = inspect.signature(item).parameters
    for entry in parser(item)["Parameters"]:
        if "default=" in entry.type:
            documented = entry.type.split("default=")[1]
            default = signature[entry.name].default
            assert documented in (repr(default), repr(default).replace("'", '"'))

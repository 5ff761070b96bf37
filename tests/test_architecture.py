"""The rooms, who may import whom, and what the docstrings promise."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate

import imbalnet

PACKAGE = Path(imbalnet.__file__).parent
LAYERS = {
    0: {
        "batches",
        "columns",
        "metrics",
        "networks",
        "optimizers",
        "parameters",
        "posterior",
        "presets",
        "reduction",
        "runtime",
        "splitting",
        "table",
        "weighting",
    },
    1: {"datasets", "fitted", "losses", "monitoring", "sampling"},
    2: {"constraints", "inference", "neighbors", "preparation"},
    3: {"first_look", "net"},
    4: {"assembly", "calibration", "classifier", "settings", "training"},
}
# The order of the top layer's rooms, from below.
TOP = ["settings", "assembly", "calibration", "training", "classifier"]
LAYER_OF = {room: layer for layer, rooms in LAYERS.items() for room in rooms}
ROOMS = sorted(LAYER_OF)


def parsed_files(room):
    path = PACKAGE / room
    files = path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    return [ast.parse(file.read_text()) for file in files]


def imported_modules(room):
    """Dotted names that a room imports when it runs, not for types alone."""
    for tree in parsed_files(room):
        for node in _runtime_nodes(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module


def _runtime_nodes(node):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _runtime_nodes(child)


def public_objects():
    """Every public class and function with the module that defines it."""
    for info in pkgutil.walk_packages(imbalnet.__path__, "imbalnet."):
        module = importlib.import_module(info.name)
        for name, item in vars(module).items():
            is_defined_here = getattr(item, "__module__", None) == info.name
            is_public = not name.startswith("_") and callable(item)
            if is_defined_here and is_public and inspect.getdoc(item):
                yield pytest.param(item, id=f"{info.name}.{name}")


def test_every_room_has_a_layer():
    found = {path.stem for path in PACKAGE.iterdir() if not path.stem.startswith("_")}
    assert found - {"py"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_downwards_only(room):
    """Layer 0 shares `parameters`, `table` knows `columns`; the top has one order."""
    used = {
        name.split(".")[1]
        for name in imported_modules(room)
        if name.startswith("imbalnet.")
    } - {room}
    allowed = {other for other in ROOMS if LAYER_OF[other] < LAYER_OF[room]}
    if LAYER_OF[room] == 0:
        allowed = {"parameters"}
    if room == "table":
        allowed |= {"columns"}
    if room in TOP:
        allowed |= set(TOP[: TOP.index(room)])
    assert used <= allowed


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("skorch", {"assembly", "datasets", "monitoring", "net"}),
        ("sklearn.utils", {"classifier", "constraints", "table"}),
        ("imblearn", set()),
        ("matplotlib", set()),
        ("pandas", {"columns"}),
        ("polars", {"columns"}),
        ("pyarrow", {"columns"}),
    ],
)
def test_package_is_known_to_few_rooms(package, rooms):
    users = {
        room
        for room in ROOMS
        if any(name.startswith(package) for name in imported_modules(room))
    }
    assert users <= rooms


@pytest.mark.parametrize(
    "room", ["columns", "posterior", "presets", "splitting", "weighting"]
)
def test_numpy_rooms_know_no_torch(room):
    assert not any(name.startswith("torch") for name in imported_modules(room))


@pytest.mark.parametrize("name", imbalnet.__all__)
def test_public_name_exists(name):
    assert hasattr(imbalnet, name)


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


# What numpydoc's validation may find and we leave: no summary of one line alone, no
# sections that a small class does not need.
ACCEPTED = {"GL08", "ES01", "EX01", "SA01", "SA04", "GL02", "GL03", "SS06", "RT03"}
ACCEPTED |= {"PR06", "PR07", "PR08", "PR09", "RT02", "RT04", "RT05", "YD01", "GL01"}


def test_estimator_docstring_is_valid_numpydoc():
    found = validate("imbalnet.BalancedNeuralClassifier")["errors"]
    assert [error for error in found if error[0] not in ACCEPTED] == []

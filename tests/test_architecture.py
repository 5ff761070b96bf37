"""The house: which room may import which, and how long its functions may be."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import imbalnet

PACKAGE = Path(imbalnet.__file__).parent

# From below: a room may import those of the layers before its own.
LAYERS = [
    {
        "_warn",
        "_blocks",
        "_packages",
        "_checks",
        "_constraints",
        "_nested",
        "_other_names",
        "_parameters",
        "_optimizers",
        "_ranks",
        "_runtime",
        "_callbacks",
        "_tasks",
        "_html",
        "_text",
        "_nearest",
        "_state",
        "_persistence",
    },
    {"_tables", "posterior", "class_weights", "metrics"},
    {"samplers", "losses", "networks", "decisions", "strategies"}
    | {"tables", "large_tables", "_learned_prior", "prior_shift"},
    {"neighbors", "_peers", "_predict", "report"},
    {"_calibration"},
    {"_fit", "export"},
    {"retention", "_fitted_attributes"},
    {"classifier", "plots"},
    {"comparison"},
]
# Rooms of one layer that another one of it builds on.
WITHIN = {
    "_callbacks": {"_warn"},
    "_constraints": {"_checks"},
    "_nearest": {"_blocks"},
    "_nested": {"_checks"},
    "_persistence": {"_state", "_warn"},
    "_runtime": {"_checks", "_ranks"},
    "_state": {"_runtime"},
    "class_weights": {"_tables"},
    "metrics": {"_tables", "posterior"},
    "prior_shift": {"_learned_prior"},
    "strategies": {"tables"},
}
LAYER_OF = {room: i for i, rooms in enumerate(LAYERS) for room in rooms}
ROOMS = sorted(LAYER_OF)

MOST_LINES, MOST_ARGUMENTS = 40, 7


def files_of(room):
    path = PACKAGE / room
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def module_of(file):
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source):
    """Dotted names that a file imports, for types alone (TYPE_CHECKING) too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_by(room):
    for file in files_of(room):
        yield from imports_of(file.read_text())


def names_of_the_estimator(source):
    """What a file calls the estimator, or calls as the estimator is called."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node) is not None
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.alias):
            name = node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = "" if id(node) in docstrings else node.value
        else:
            continue
        if name in ("clf", "estimator") or "BalancedNeuralClassifier" in name:
            yield name


def functions():
    """Every function of the package: where it is, its syntax tree, its class."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for parent in ast.walk(ast.parse(file.read_text())):
            for node in ast.iter_child_nodes(parent):
                if isinstance(node, ast.FunctionDef):
                    place = f"{file.relative_to(PACKAGE)}:{node.lineno} {node.name}"
                    yield place, node, parent


def is_public_constructor(node, parent):
    """Whether a function makes an object; displays of scikit-learn's kind have more."""
    if not isinstance(parent, ast.ClassDef) or parent.name.startswith("_"):
        return False
    decorators = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
    is_other = node.name.startswith("from_") and "classmethod" in decorators
    return node.name == "__init__" or is_other


def n_lines(node):
    """Lines of a function, without its docstring."""
    n_all = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is None:
        return n_all
    docstring = node.body[0]
    return n_all - (docstring.end_lineno - docstring.lineno + 1)


def n_arguments(node, parent):
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    collected = [a for a in (arguments.vararg, arguments.kwarg) if a]
    is_method = isinstance(parent, ast.ClassDef) and named
    has_self = is_method and named[0].arg in ("self", "cls")
    return len(named) + len(collected) - has_self


def test_every_room_has_a_layer():
    found = {path.stem for path in PACKAGE.iterdir() if not path.stem.startswith("__")}
    assert found - {"py"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_downwards_only(room):
    used = {
        name.split(".")[1] for name in imported_by(room) if name.startswith("imbalnet.")
    }
    below = {other for other in ROOMS if LAYER_OF[other] < LAYER_OF[room]}
    assert used - {room} <= below | WITHIN.get(room, set())


def test_plots_rest_on_arrays_only():
    """The room on top knows no network."""
    used = {
        name.split(".")[1]
        for name in imported_by("plots")
        if name.startswith("imbalnet.")
    }
    below = {
        "_checks",
        "_packages",
        "_tables",
        "_text",
        "decisions",
        "metrics",
        "posterior",
        "report",
    }
    assert used - {"plots"} <= below


def test_modules_import_in_no_circle():
    """Types too: a circle of annotations is a circle for its readers."""
    files = sorted(PACKAGE.rglob("*.py"))
    modules = {module_of(file): file for file in files}
    graph = {
        module: {name for name in imports_of(file.read_text()) if name in modules}
        - {module}
        for module, file in modules.items()
        if file.name != "__init__.py"  # which only gathers names
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


# Rooms that look at any classifier, which scikit-learn calls the estimator.
OF_ANY_CLASSIFIER = {"metrics", "plots", "report", "_learned_prior", "prior_shift"}
# Rooms that may know the estimator of this package.
OF_THE_ESTIMATOR = {"classifier", "comparison"}


@pytest.mark.parametrize(
    "room", [r for r in ROOMS if r not in OF_THE_ESTIMATOR | OF_ANY_CLASSIFIER]
)
def test_no_room_below_names_the_estimator(room):
    named = {
        file.name: found
        for file in files_of(room)
        if (found := list(names_of_the_estimator(file.read_text())))
    }
    assert not named


@pytest.mark.parametrize(
    "source",
    [
        "from imbalnet.classifier import BalancedNeuralClassifier",
        "if TYPE_CHECKING:\n    from imbalnet import BalancedNeuralClassifier",
        "def train(clf): ...",
        "def train(model: 'BalancedNeuralClassifier'): ...",
    ],
)
def test_a_name_of_the_estimator_is_found(source):
    assert list(names_of_the_estimator(source))


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("skorch", {"_fit"}),
        ("skl2onnx", {"export"}),
        (
            "sklearn.utils.validation",
            {"classifier", "_tables", "export", "metrics", "prior_shift", "retention"},
        ),
        (
            "sklearn.utils._param_validation",
            {"classifier", "_constraints", "prior_shift"},
        ),
        ("sklearn.callback", {"_tasks"}),
        ("tqdm", {"_fit"}),
        ("imblearn", {"metrics", "samplers", "strategies"}),
        ("matplotlib", {"plots", "strategies"}),
        ("onnx", {"export"}),
        (
            "pandas",
            {"_tables", "class_weights", "comparison", "report", "strategies"}
            | {"tables"},
        ),
        ("polars", {"_tables"}),
        ("pyarrow", {"_tables"}),
    ],
)
def test_package_is_known_to_few_rooms(package, rooms):
    users = {
        room
        for room in ROOMS
        if any(name.startswith(package) for name in imported_by(room))
    }
    assert users <= rooms


@pytest.mark.parametrize(
    "package", ["imblearn", "matplotlib", "onnx", "pandas", "polars", "skl2onnx"]
)
def test_package_that_may_be_missing_is_imported_where_it_is_used(package):
    for file in sorted(PACKAGE.rglob("*.py")):
        top = [
            name
            for node in ast.parse(file.read_text()).body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in imports_of(ast.unparse(node))
        ]
        assert not any(name.split(".")[0] == package for name in top), file


NUMPY_ROOMS = ["_checks", "_tables", "class_weights", "metrics", "posterior"]
NUMPY_ROOMS += ["large_tables", "plots", "strategies", "tables"]
NUMPY_ROOMS += ["_learned_prior", "prior_shift"]


@pytest.mark.parametrize("room", NUMPY_ROOMS)
def test_numpy_rooms_know_no_torch(room):
    assert not any(name.startswith("torch") for name in imported_by(room))


def test_functions_are_short():
    long = [
        place
        for place, node, parent in functions()
        if n_lines(node) > MOST_LINES and not is_public_constructor(node, parent)
    ]
    assert not long


def test_argument_lists_are_short():
    long = [
        place
        for place, node, parent in functions()
        if n_arguments(node, parent) > MOST_ARGUMENTS
        and not is_public_constructor(node, parent)
    ]
    assert not long

"""What pyproject.toml promises: dependencies, their oldest versions, their licences."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import imbalnet
from imbalnet._html import DOCUMENTATION

PACKAGE = Path(imbalnet.__file__).parent
ROOT = PACKAGE.parent
# Names of imports that differ from the names of packages.
PACKAGES = {"imblearn": "imbalanced-learn", "sklearn": "scikit-learn"}
# skl2onnx is imported where its user asks for it by register_skl2onnx; scikit-learn's
# callbacks draw with rich or tqdm where those are. Type checkers bring
# typing_extensions.
USERS_OWN = {"skl2onnx", "polars", "tqdm", "typing_extensions"}


@pytest.fixture(scope="module")
def project():
    path = ROOT / "pyproject.toml"
    if not path.exists():
        pytest.skip("an installed package has no pyproject.toml")
    return tomllib.loads(path.read_text())["project"]


def requirements(project, *extras):
    named = [project["optional-dependencies"][extra] for extra in extras]
    texts = [text for group in named for text in group]
    found = [Requirement(text) for text in [*project["dependencies"], *texts]]
    return [one for one in found if one.name != "imbalnet"]


def imports():
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "require",
                "import_module",
            ):
                given = [
                    arg.value for arg in node.args if isinstance(arg, ast.Constant)
                ]
                names = [name for name in given if isinstance(name, str)]
            for name in names:
                yield name.split(".")[0], file.relative_to(PACKAGE).as_posix()


def test_what_is_imported_is_declared(project):
    extras = ["best", "onnx", "plots", "tables"]
    declared = {one.name for one in requirements(project, *extras)} | USERS_OWN
    known = {"imbalnet", *sys.stdlib_module_names}
    found = {(PACKAGES.get(name, name), file) for name, file in imports()}
    missing = {(name, file) for name, file in found if name not in declared | known}
    assert not missing
    used = {name for name, _ in found}
    assert {one.name for one in requirements(project)} <= used  # nothing for nothing


def test_oldest_versions_are_those_that_are_promised(project):
    lines = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    oldest = dict(line.split("==") for line in lines if "==" in line)
    promised = {}
    for one in requirements(project, "best", "plots", "tables", "test"):
        (bound,) = [spec for spec in one.specifier if spec.operator == ">="]
        promised[one.name] = bound.version
    for name, version in promised.items():
        pinned = oldest.get(name)
        assert pinned is not None, f"constraints-oldest.txt lacks {name}"
        assert re.sub(r"(\.0)+$", "", pinned) == re.sub(r"(\.0)+$", "", version), name


def test_documentation_is_where_representations_say(project):
    """Where the project has addresses."""
    addresses = project.get("urls", {"Documentation": DOCUMENTATION})
    assert addresses["Documentation"] == DOCUMENTATION


def test_every_dependency_has_its_licence_listed(project):
    table = (ROOT / "THIRD_PARTY.md").read_text()
    rows = dict(
        re.findall(r"^\| ([\w-]+) \| [^|]+ \| ([^|]+) \|$", table, re.MULTILINE)
    )
    extras = ["best", "onnx", "plots", "tables"]
    names = {one.name for one in requirements(project, *extras)}
    assert rows.pop("package") == "licence"
    assert names == rows.keys()
    free = re.compile(r"MIT|BSD|Apache|Python Software Foundation|PSF|CC0|Zlib")
    assert all(free.search(licence) for licence in rows.values())
    assert not re.search(r"\bA?GPL|\bLGPL", table)

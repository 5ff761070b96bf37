"""What pyproject.toml promises: dependencies, their oldest versions, their licences."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import imbalnet
from imbalnet._html import DOCUMENTATION

PACKAGE = Path(imbalnet.__file__).parent
ROOT = PACKAGE.parent
HOME = "https://github.com/imbalnet/imbalnet"
# Names of imports that differ from the names of packages.
PACKAGES = {"imblearn": "imbalanced-learn", "sklearn": "scikit-learn"}
# skl2onnx is imported where its user asks for it by register_skl2onnx; scikit-learn's
# callbacks draw with rich or tqdm where those are. Type checkers bring
# typing_extensions.
USERS_OWN = {"skl2onnx", "polars", "tqdm", "typing_extensions"}


@pytest.fixture(scope="module")
def pyproject():
    path = ROOT / "pyproject.toml"
    if not path.exists():
        pytest.skip("an installed package has no pyproject.toml")
    return tomllib.loads(path.read_text())


@pytest.fixture(scope="module")
def project(pyproject):
    return pyproject["project"]


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


def test_python_versions_are_those_that_are_tested(project):
    minors = [
        int(found.group(1))
        for line in project["classifiers"]
        if (found := re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", line))
    ]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert project["requires-python"] == f">=3.{minors[0]}"
    workflow = ROOT / ".github" / "workflows" / "ci.yml"
    if not workflow.exists():
        pytest.skip("a source distribution has no workflow")
    tested = re.findall(r'"3\.(\d+)"', workflow.read_text())
    assert {minors[0], minors[-1]} == {min(map(int, tested)), max(map(int, tested))}


# What conda-forge calls packages, and parts of them.
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def conda_names(requirements):
    return {f"{CONDA.get(one.name, one.name)} {one.specifier}" for one in requirements}


def test_conda_recipe_has_the_dependencies(project, pyproject):
    recipe = yaml.safe_load((ROOT / ".ci" / "conda" / "recipe.yaml").read_text())
    needs, context = recipe["requirements"], recipe["context"]
    assert context["version"] == imbalnet.__version__
    assert f">={context['python_min']}" == project["requires-python"]
    python = "python >=${{ python_min }}"
    assert set(needs["run"]) - {python} == conda_names(requirements(project))
    # skl2onnx and torch of the extras are of their own, and the same, respectively
    extras = conda_names(requirements(project, "best", "onnx", "plots", "tables"))
    others = {name for name in extras if not name.startswith("pytorch")}
    assert set(needs["run_constraints"]) == others - set(needs["run"])
    build = conda_names(map(Requirement, pyproject["build-system"]["requires"]))
    assert build < set(needs["host"])
    about = recipe["about"]
    assert about["license"] == project["license"]
    assert about["homepage"] == project["urls"]["Homepage"]
    assert about["repository"] == project["urls"]["Source"]


def test_citation_is_of_this_version(project):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == imbalnet.__version__
    assert citation["license"] == project["license"]
    assert citation["url"] == project["urls"]["Documentation"]
    assert citation["repository-code"] == project["urls"]["Source"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in project["authors"]
    ]


def on_pypi(text, pyproject):
    """The README as PyPI gets it, by the substitutions of the build."""
    hook = pyproject["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for one in hook["substitutions"]:
        replacement = one["replacement"].replace("$HFPR_VERSION", imbalnet.__version__)
        text = re.sub(one["pattern"], replacement, text)
    return text


LINK = re.compile(r'\]\(([^)\s]+)|(?:src|href)="([^"]+)')


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            "[a](docs/guide/levers.rst)",
            "[a](https://imbalnet.readthedocs.io/en/stable/guide/levers.html)",
        ),
        (
            "[a](docs/guide/speed.rst#gpus)",
            "[a](https://imbalnet.readthedocs.io/en/stable/guide/speed.html#gpus)",
        ),
        ("[a](CHANGELOG.md)", f"[a]({HOME}/blob/v{imbalnet.__version__}/CHANGELOG.md)"),
        (
            '<a href="LICENSE">',
            f'<a href="{HOME}/blob/v{imbalnet.__version__}/LICENSE">',
        ),
        ("[a](#speed)", f"[a]({HOME}#speed)"),
        *(
            (
                f"{before}docs/a.png{after}",
                f"{before}https://raw.githubusercontent.com/imbalnet/imbalnet/"
                f"v{imbalnet.__version__}/docs/a.png{after}",
            )
            for before, after in (("![a b](", ")"), ('<img alt="a" src="', '">'))
        ),
        ("[a](https://scikit-learn.org)", "[a](https://scikit-learn.org)"),
        ("![a](https://img.shields.io/b.svg)", "![a](https://img.shields.io/b.svg)"),
    ],
)
def test_links_are_absolute_on_pypi(given, expected, pyproject):
    assert on_pypi(given, pyproject) == expected


def test_readme_has_no_relative_links_on_pypi(pyproject):
    text = on_pypi((ROOT / "README.md").read_text(), pyproject)
    links = [first or second for first, second in LINK.findall(text)]
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


def test_readme_is_rendered_by_pypi(pyproject):
    markdown = pytest.importorskip("readme_renderer.markdown")
    if not markdown.variants:
        pytest.skip("readme_renderer without what it renders Markdown by")
    page = markdown.render(on_pypi((ROOT / "README.md").read_text(), pyproject))
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert links
    starts = ("https://", "#user-content-")  # anchors of its own headings
    assert [link for link in links if not link.startswith(starts)] == []

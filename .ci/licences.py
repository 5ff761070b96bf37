"""Print a table of imbalnet's dependencies and their licences, from their metadata."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

EXTRAS = ["best", "onnx", "plots", "tables"]
HEAD = """# Licences of dependencies

imbalnet contains no code of other projects. These are the packages that it imports, and
what their metadata say of their licences; `make licences` writes this table.

| package | needed for | licence |
|---|---|---|"""


def name_of(requirement: str) -> str:
    """Return the name of the package that a requirement specifies."""
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return found.group()


def licence_of(name: str) -> str:
    """Return the licence in the metadata: an expression, a classifier or a name."""
    try:
        found = metadata(name)
    except PackageNotFoundError:
        sys.exit(f"{name} is not installed: make licences needs all extras")
    classifiers = [
        line.split(" :: ")[-1]
        for line in found.get_all("Classifier", [])
        if line.startswith("License :: OSI Approved :: ")
    ]
    text = found.get("License-Expression") or ", ".join(classifiers)
    return text or (found.get("License") or "unknown").splitlines()[0]


def main() -> None:
    """Print the table."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    parts = {"": project["dependencies"]}
    parts |= {extra: project["optional-dependencies"][extra] for extra in EXTRAS}
    use: dict[str, str] = {}  # the first use of a package: core before extras
    for extra, requirements in parts.items():
        for requirement in requirements:
            use.setdefault(name_of(requirement), f"imbalnet[{extra}]" if extra else "")
    print(HEAD)
    for name, extra in use.items():
        print(f"| {name} | {extra or 'imbalnet'} | {licence_of(name)} |")


if __name__ == "__main__":
    main()

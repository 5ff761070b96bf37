"""Both sides of the diffs of the migration pages run, and say what they need."""

from __future__ import annotations

import doctest
import importlib.util
import re
import textwrap
import warnings
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[1] / "docs/guide/migration").glob("*.rst"))
DIFF = re.compile(r"\.\. code-block:: diff\n\n((?:   .*\n|\n)+)")


def sides(diff):
    """Return the lines before and after the change."""
    lines = textwrap.dedent(diff).splitlines()
    return tuple(
        "\n".join(line[1:] for line in lines if line[:1] in (" ", "", kept))
        for kept in "-+"
    )


def can_be_imported(code):
    modules = re.findall(r"^(?:from|import) (\w+)", code, flags=re.MULTILINE)
    return all(importlib.util.find_spec(module) for module in modules)


def table_of(page):
    """Run the examples of a page that come before its first diff."""
    before, _, _ = page.partition(".. code-block:: diff")
    names = {}
    for example in doctest.DocTestParser().get_examples(before):
        exec(example.source, names)
    return names


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page_has_diffs_that_compile(path):
    diffs = DIFF.findall(path.read_text())
    assert diffs
    for code in (side for diff in diffs for side in sides(diff)):
        compile(code, path.name, "exec")


@pytest.mark.long
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_both_sides_of_the_diffs_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where CatBoost leaves its files
    page = path.read_text()
    names = table_of(page)
    for before, after in map(sides, DIFF.findall(page)):
        if can_be_imported(before):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of models that are to be left
                exec(compile(before, path.name, "exec"), names)
        exec(compile(after, path.name, "exec"), names)

"""What the README and the front page show runs as it stands."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FRONT_PAGE = (ROOT / "docs" / "index.rst").read_text()
# each with the output that the README shows below it, or ""
BLOCKS = re.findall(
    r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", README, flags=re.DOTALL
)
NUMBER = r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?"


def assert_alike(found, shown):
    """Assert that the words are the same and the numbers close, on any processor."""
    assert re.sub(NUMBER, "#", found).split() == re.sub(NUMBER, "#", shown).split()
    found, shown = (
        [float(number.replace(",", "")) for number in re.findall(NUMBER, text)]
        for text in (found, shown)
    )
    assert found == pytest.approx(shown, rel=0.2, abs=0.05)


@pytest.mark.parametrize(("block", "shown"), BLOCKS, ids=range(len(BLOCKS)))
def test_python_block_runs_and_prints_what_is_shown(block, shown, capsys):
    exec(compile(block, "README.md", "exec"), {})
    found = capsys.readouterr().out
    assert found
    if shown:
        assert_alike(found, shown)


def test_first_screen_shows_the_commands_and_the_picture():
    first_screen = "\n".join(README.splitlines()[:30])
    for piece in ("make demo", "make test", "pip install", ".png)", "± 0.006"):
        assert piece in first_screen


def test_first_example_swaps_a_line_and_decides_by_costs():
    first, _ = BLOCKS[0]
    for piece in ("was: LogisticRegression", "cost_matrix"):
        assert piece in first
    assert "class_weight" not in first


@pytest.mark.parametrize("part", [0, 1], ids=["code", "output"])
def test_front_page_shows_the_first_example(part):
    assert textwrap.indent(BLOCKS[0][part], "   ") in FRONT_PAGE


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_link_leads_to_a_file(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make (\w+)`?", README))))
def test_make_target_exists(target):
    assert re.search(
        rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE
    )

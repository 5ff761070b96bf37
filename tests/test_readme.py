"""What the README shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_block_runs(block, capsys):
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_first_screen_shows_the_two_commands_and_the_swap():
    first_screen = "\n".join(README.splitlines()[:40])
    for piece in ("make demo", "make test", "was: LogisticRegression"):
        assert piece in first_screen


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_link_leads_to_a_file(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make (\w+)`?", README))))
def test_make_target_exists(target):
    assert re.search(
        rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE
    )

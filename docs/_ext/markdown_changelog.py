"""A directive that includes a Markdown changelog, without a Markdown parser.

It converts the elements of a changelog in the format of Keep a Changelog: headings,
lists, paragraphs, code and links. Everything else is included unchanged.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

_UNDERLINES = {2: "-", 3: "~"}
_INLINE = re.compile(r"`([^`]+)`|\[([^\]]+)\]\((\S+?)\)")


def as_restructured_text(markdown: str) -> list[str]:
    """Convert a Markdown changelog, without its title, to lines of reST."""
    lines: list[str] = []
    for line in markdown.splitlines():
        heading = re.match(r"(#+)\s+(.*)", line)
        if heading is None:
            lines.append(_INLINE.sub(_inline, line))
        elif len(heading[1]) in _UNDERLINES:
            title = _INLINE.sub(
                _inline, re.sub(r"\[([^\]]+)\](?!\()", r"\1", heading[2])
            )
            lines += [title, _UNDERLINES[len(heading[1])] * len(title), ""]
    return lines


def _inline(match: re.Match[str]) -> str:
    code, text, address = match.groups()
    return f"``{code}``" if code else f"`{text} <{address}>`__"


class MarkdownChangelog(SphinxDirective):
    """Include a changelog; the argument is its path relative to the page."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, object]] = {}

    def run(self) -> list[nodes.Node]:
        """Parse the converted file at the position of the directive."""
        _, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(path)
        lines = as_restructured_text(Path(path).read_text(encoding="utf-8"))
        section = nodes.section()
        section.document = self.state.document
        nested_parse_with_titles(self.state, StringList(lines, source=path), section)
        return section.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("markdown-changelog", MarkdownChangelog)
    return {"parallel_read_safe": True}

"""Formulas as MathML, which browsers draw themselves, without a script or a network.

Docutils converts them; Sphinx alone has renderers that fetch a script or need LaTeX.
"""

from __future__ import annotations

import re

from docutils import nodes
from docutils.writers.html5_polyglot import HTMLTranslator
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

# Functions have a thin space before their argument, but not before a parenthesis.
_APPLIED = re.compile(r"<mo>&ApplyFunction;</mo>(?!\s*<mo[^>]*>\()")
_WITH_SPACE = '<mspace width="0.167em"></mspace>'


def visit(translator: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Write a formula; one that cannot be converted is a warning."""
    translator.math_output, translator.math_options = "mathml", ""
    start = len(translator.body)
    try:
        HTMLTranslator.visit_math(translator, node)  # which raises SkipChildren
    finally:
        code = "".join(translator.body[start:])
        translator.body[start:] = [_APPLIED.sub(_WITH_SPACE, code)]


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula into a box of its own, in which a wide one can be scrolled."""
    translator.body.append('<div class="math-block">\n')
    visit(translator, node)


def depart_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Close the box."""
    translator.body.append("</div>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, which Sphinx prefers to its own."""
    app.add_html_math_renderer("mathml", (visit, None), (visit_block, depart_block))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

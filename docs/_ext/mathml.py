"""Formulas as MathML, which browsers draw themselves, without a script or a network.

Docutils converts them; Sphinx alone has none but renderers that fetch a script.
"""

from __future__ import annotations

from docutils import nodes
from docutils.writers.html5_polyglot import HTMLTranslator
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def visit(translator: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Write a formula; one that cannot be converted is a warning."""
    translator.math_output, translator.math_options = "mathml", ""
    HTMLTranslator.visit_math(translator, node)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, which Sphinx prefers to its own."""
    app.add_html_math_renderer("mathml", (visit, None), (visit, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

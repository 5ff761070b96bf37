"""Addresses for the parameters and attributes of API pages, and links to them.

An entry ``sampler`` in the Parameters section of a class or function gets the address
``#module.Class.sampler``; where its docstring mentions ``sampler``, that is a link.
Attributes can be referred to from anywhere, as if they had a page entry of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

SECTIONS = "Parameters", "Attributes"


def add_links(app: Sphinx, doctree: nodes.document) -> None:
    """Give addresses to the entries of a page and link mentions of them."""
    for described in doctree.findall(addnodes.desc):
        if not isinstance(described.parent, addnodes.desc_content):
            link_object(described, {}, app.env)


def link_object(
    described: addnodes.desc, outer: dict[str, str], env: BuildEnvironment
) -> None:
    """Link the mentions in one object, then in its methods, which know `outer` too."""
    signature, content = described[0], described[-1]
    known, domain = dict(outer), env.get_domain("py")
    for address in signature["ids"]:
        for section, entry, name in entries(content):
            known[name] = place = f"{address}.{name}"
            if place in domain.objects:
                continue  # it is a member that has an entry of its own
            entry["ids"].append(place)
            if section == "Attributes":
                domain.note_object(place, "attribute", place)
    for child in content.children:
        if isinstance(child, addnodes.desc):
            link_object(child, known, env)
            continue
        for literal in list(child.findall(nodes.literal)):
            place = known.get(literal.astext())
            if place and isinstance(literal.parent, nodes.paragraph):
                link = nodes.reference("", "", refid=place, classes=["parameter"])
                literal.replace_self(link)
                link += literal


def entries(content: nodes.Element) -> Iterator[tuple[str, nodes.Element, str]]:
    """Generate section, entry and name; one entry may have several names."""
    for fields in content.children:
        if not isinstance(fields, nodes.field_list):
            continue
        for field in fields:
            section, listed = field[0].astext(), field[1][0]
            if section in SECTIONS and isinstance(listed, nodes.definition_list):
                for item in listed:
                    for name in item[0].astext().split(", "):
                        yield section, item[0], name.lstrip("*")


def setup(app: Sphinx) -> dict[str, bool]:
    """Change pages when they have been read."""
    app.connect("doctree-read", add_links)
    return {"parallel_read_safe": True}

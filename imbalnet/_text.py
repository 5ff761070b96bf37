"""Tables and lists as text and as HTML, for printed reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

Cells = Sequence[Sequence[str]]


def text_table(rows: Cells, *, numbers: slice | None = None) -> str:
    """Return aligned lines; the columns of the slice `numbers` align to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = range(len(widths))[numbers] if numbers else ()

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.rjust(width) if j in right else cell.ljust(width)
            for j, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join(map(line, rows))


def html_table(rows: Cells) -> str:
    """Return a table whose first row is the header."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for row in rows[1:]
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_list(items: Iterable[str]) -> str:
    """Return a bullet list, or an empty string without items."""
    points = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<ul>{points}</ul>" if points else ""


def numbered_repeats(names: Iterable[str]) -> list[str]:
    """Return names, of which those that occurred before are numbered: a, b, a #2."""
    n_seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        n_seen[name] += 1
        numbered.append(name if n_seen[name] == 1 else f"{name} #{n_seen[name]}")
    return numbered

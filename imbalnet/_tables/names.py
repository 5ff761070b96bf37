"""Comparison of column names that are no strings, or that repeat.

scikit-learn compares names only if all are strings (``feature_names_in_``). It ignores
other ones: positions, tuples of a MultiIndex, and names that two columns share.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from imbalnet._tables.readers import reader_of

_MOST_NAMES = 5


def column_names(X: Any) -> list[Any] | None:
    """Return the column names of a frame; None for other tables."""
    reader = reader_of(X)
    return None if reader is None else list(reader.names)


def check_names(names: list[Any] | None, known: list[Any] | None) -> None:
    """Raise scikit-learn's error if the names of a frame are not those of ``fit``.

    Names that are unique strings, or positions from 0 on, are left to scikit-learn,
    which compares strings, warns if only one of two tables has them, and compares the
    number of columns.
    """
    if names is None or known is None or names == known:
        return
    if all(_are_strings(each) or _are_positions(each) for each in (names, known)):
        return
    more, fewer = Counter(names) - Counter(known), Counter(known) - Counter(names)
    message = "The feature names should match those that were passed during fit.\n"
    if more:
        message += f"Feature names unseen at fit time:\n{_lines(more)}"
    if fewer:
        message += f"Feature names seen at fit time, yet now missing:\n{_lines(fewer)}"
    if not more and not fewer:
        message += "Feature names must be in the same order as they were in fit.\n"
        pairs = enumerate(zip(known, names, strict=True))
        i, (old, new) = next(pair for pair in pairs if pair[1][0] != pair[1][1])
        message += f"Column {i} was {old!r} in fit, and is {new!r} now.\n"
    raise ValueError(message)


def _are_strings(names: list[Any]) -> bool:
    return len(set(names)) == len(names) and all(isinstance(n, str) for n in names)


def _are_positions(names: list[Any]) -> bool:
    return names == list(range(len(names)))


def _lines(names: Counter[Any]) -> str:
    listed = list(names.elements())
    lines = [f"- {name}\n" for name in listed[:_MOST_NAMES]]
    return "".join(lines) + ("- ...\n" if len(listed) > _MOST_NAMES else "")

"""What the catalogues of bad input share."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pytest


class Case(NamedTuple):
    """What is called, and what the message must say."""

    id: str
    call: Any
    named: str  # the argument
    match: str = ""  # a pattern in which .* passes over lines
    error: type[Exception] | tuple[type[Exception], ...] = ValueError


def changed(values, row, value):
    """Return a copy in which one row, or one cell, has another value."""
    values = np.array(values)
    values[row] = value
    return values


def short(value):
    """Return a representation for the id of a test, the same in each process."""
    text = re.sub(r" at 0x\w+|tests\.bad_input\.\w+\.|__main__\.", "", repr(value))
    return " ".join(text.split())[:60]


def fails_as_told(case, *arguments):
    """Call what must fail, and return the error."""
    with pytest.raises(case.error) as caught:
        case.call(*arguments)
    message = str(caught.value)
    word = rf"(?<![^\W_]){re.escape(case.named)}(?![^\W_])"  # or that of loss__word
    assert re.search(word, message), message
    assert re.search(case.match, message, re.DOTALL), message
    return caught.value

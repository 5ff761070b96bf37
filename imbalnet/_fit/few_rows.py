"""One warning for classes of so few rows that what is chosen by them is chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbalnet._checks import and_more
from imbalnet._warn import warn

# The folds of the default network: with fewer rows, some hold out none of the class.
_MOST_FEW = 8
_MOST_NAMED = 4

_BY_HELD_OUT = (
    "The best epoch and the calibration are chosen by them, and scores, those of "
    "cross-validation included, are mostly chance: they change with random_state."
)
_CONSEQUENCES = {
    "folds": _BY_HELD_OUT,
    "split": _BY_HELD_OUT,
    "given": "What is learned of the class changes with each of them.",
    "none": (
        "What is learned of the class changes with each of them, and scores, those of "
        "cross-validation included, are mostly chance."
    ),
}


def warn_of_few_rows(
    counts: NDArray[np.integer], classes: NDArray, kind: str, note: str = ""
) -> None:
    """Warn of classes with few rows, and of what that leads to.

    `counts` are the rows of each class that ``fit`` was given, `kind` is that of the
    validation. `note` tells what else there is to say of the rows that judge epochs: a
    user hears of both at once.
    """
    few = np.flatnonzero((counts > 0) & (counts <= _MOST_FEW))
    if len(few):
        labels = classes.tolist()
        named = [f"{labels[code]!r} has {_rows(counts[code])}" for code in few]
        cure = "" if note else f" {_CURES[kind]}"
        note = (
            f"Class {and_more(named, _MOST_NAMED)}. {_CONSEQUENCES[kind]}{cure} {note}"
        )
    if note:
        warn(note.rstrip())


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n} rows"

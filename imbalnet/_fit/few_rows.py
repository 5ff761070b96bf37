"""The warning about classes with so few rows that results are mostly chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbalnet._checks import and_more
from imbalnet._warn import warn

# The folds of the default network: with fewer rows, some hold out none of the class.
_MOST_FEW = 8
_MOST_NAMED = 4

_SCORES = "scores, those of cross-validation too"
_BY_HELD_OUT = (
    "What held-out rows choose, such as the best epoch and the calibration, is mostly "
    f"chance, and so are {_SCORES}: all of it changes with random_state."
)
_LEARNED = "What is learned of the class changes with each of them"
_CONSEQUENCES = {
    "folds": _BY_HELD_OUT,
    "split": _BY_HELD_OUT,
    "given": f"{_LEARNED}.",
    "none": f"{_LEARNED}, and {_SCORES}, are mostly chance.",
}
_CURE = (
    "More rows of the class help more than any parameter. Compare the default with "
    "module='linear' on repeated splits (RepeatedStratifiedKFold)."
)
_CURE_OF_HELD_OUT = "early_stopping=False chooses nothing by held-out rows."


def warn_of_few_rows(
    counts: NDArray[np.integer], classes: NDArray, kind: str, note: str = ""
) -> None:
    """Warn of classes with few rows, and of the consequences.

    `counts` are the numbers of rows of the classes passed to ``fit``, `kind` is that of
    the validation. `note` is a further warning about held-out rows, or "": both become
    one warning.
    """
    few = np.flatnonzero((counts > 0) & (counts <= _MOST_FEW))
    texts = [note] if note else []
    if len(few):
        labels = classes.tolist()
        named = [f"{labels[code]!r} has {_rows(counts[code])}" for code in few]
        head = f"Class {and_more(named, _MOST_NAMED)}. {_CONSEQUENCES[kind]}"
        cure = f"{_CURE} {_CURE_OF_HELD_OUT}" if kind in ("folds", "split") else _CURE
        texts = [head, note or cure]
    if texts:
        warn(" ".join(texts))


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n} rows"

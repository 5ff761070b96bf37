"""Notes on columns that the user may want to change, and the warnings of ``fit``.

A `Note` has the fault, an example and the cure. ``fit`` warns with the notes that
`check_table` shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import gen_batches

from imbalnet._checks import and_more
from imbalnet._tables.levels import Levels
from imbalnet._tables.words import is_amount, is_date, is_number, some_words, to_numbers
from imbalnet._warn import warn

# Shares of the distinct words that must be numbers or dates, and of those that must
# have decimals, separators or units, since whole numbers may be codes.
_NUMBERS, _DATES, _AMOUNTS = 0.9, 0.9, 0.5
# Fewer words may well be categories, and fewer rows may be equal by chance.
_FEWEST_AMOUNTS, _FEWEST_INTEGERS, _FEWEST_DATES, _FEWEST_ROWS = 10, 21, 3, 20

_MOST_COLUMNS = 5
_BLOCK_ROWS = 2**12

# Faults of columns, in the order of the warnings.
FAULTS = {
    "numbers": "numbers in words, which count as categories",
    "dates": "dates in words, which count as categories",
    "unique": "words in which most rows have a value of their own",
    "constant": "one value, without effect",
    "empty": "no values, without effect",
}


class Note(NamedTuple):
    """A fault of a column that the user may want to change.

    `kind` is a key of `FAULTS`, `example` a value of the column.
    """

    kind: str
    name: Any
    example: Any
    n_levels: int | None
    cure: str

    @property
    def values(self) -> str:
        """The number of levels, and an example."""
        levels = "" if self.n_levels is None else f"{self.n_levels:,} levels, "
        return "" if self.kind == "empty" else f" ({levels}such as {self.example!r})"

    def __str__(self) -> str:
        return f"{FAULTS[self.kind]}{self.values}. {_advice([self])}"


def notes_of_words(name: Any, levels: Levels, is_declared: bool) -> list[Note]:
    """Return the note on a column of categories, as a list of one, or an empty list.

    With `is_declared`, the dtype is one for categories only, so that whole numbers may
    well be codes.
    """
    values, column = levels.values, f"X[{name!r}]"
    words = some_words(values)
    if _are_dates(words):
        days = f"pd.to_datetime({column}, errors='coerce')"
        cure = f"({days} - pd.Timestamp('2000-01-01')).dt.days, month or weekday"
        return [Note("dates", name, words[0], len(values), cure)]
    if _are_numbers(words, may_be_codes=is_declared):
        example = next((v for v in values if is_number(str(v).strip())), words[0])
        if not all(isinstance(value, str) for value in values):
            column += ".astype(str)"
        return [Note("numbers", name, example, len(values), to_numbers(column, words))]
    if levels.are_own:
        cure = f"X.drop(columns=[{name!r}])"
        return [Note("unique", name, values[0], len(values), cure)]
    return []


def _are_dates(words: Sequence[str]) -> bool:
    return len(words) >= _FEWEST_DATES and _share(map(is_date, words)) >= _DATES


def _are_numbers(words: Sequence[str], *, may_be_codes: bool) -> bool:
    """Whether words are numbers, and not codes, as few whole numbers may be."""
    are_whole = _share(map(is_amount, words)) < _AMOUNTS
    fewest = _FEWEST_INTEGERS if are_whole else _FEWEST_AMOUNTS
    if len(words) < fewest or (are_whole and may_be_codes):
        return False
    return _share(map(is_number, words)) >= _NUMBERS


def find_constant(X: Any, used: NDArray | None) -> Iterator[tuple[int, float]]:
    """Yield the positions and values of constant columns; NaN for empty ones.

    `used` are the rows to look at (None: all). Nothing is found in sparse matrices,
    which may well have columns without entries, or in few rows, where a column may be
    constant by chance.
    """
    n_rows = X.shape[0] if used is None else len(used)
    if sparse.issparse(X) or n_rows < _FEWEST_ROWS:
        return
    first = X[0 if used is None else used[0]]
    columns = np.arange(X.shape[1])
    for rows in gen_batches(n_rows, _BLOCK_ROWS):
        block = X[rows if used is None else used[rows]]
        block = block if len(columns) == X.shape[1] else block[:, columns]
        same = (block == first[columns]) | (np.isnan(block) & np.isnan(first[columns]))
        columns = columns[same.all(axis=0)]
        if not len(columns):
            return
    yield from zip(columns.tolist(), first[columns].tolist(), strict=True)


def note_of_constant(name: Any, value: Any) -> Note:
    """Return the note on a constant column; the value None means that it is empty."""
    kind = "empty" if value is None else "constant"
    return Note(kind, name, value, None, f"X.drop(columns=[{name!r}])")


def warn_of(notes: Iterable[Note]) -> None:
    """Warn, once for each kind of note."""
    found = list(notes)
    for kind, fault in FAULTS.items():
        some = [note for note in found if note.kind == kind]
        if some:
            warn(f"X has columns of {fault}: {_listed(some)}. {_advice(some)}")


def _advice(notes: Sequence[Note]) -> str:
    first = notes[0]
    if first.kind == "numbers":
        return (
            f"Make them numbers before the classifier, as in X[{first.name!r}] = "
            f"{first.cure}; name them in categorical_features if they are codes."
        )
    if first.kind == "dates":
        return f"Make numbers of them before the classifier, such as {first.cure}."
    if first.kind == "unique":
        return (
            "Little can be learned from them. Drop them, or derive what rows share, "
            "such as a prefix or a length; name them in categorical_features to keep "
            "them as they are."
        )
    return "Drop such columns, or look for what was lost on the way."


def _listed(notes: Sequence[Note]) -> str:
    return and_more([f"{note.name!r}{note.values}" for note in notes], _MOST_COLUMNS)


def _share(found: Iterable[bool]) -> float:
    values = list(found)
    return sum(values) / max(1, len(values))

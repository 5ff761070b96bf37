"""Rules for words that are numbers or dates, and for equal spellings.

They are applied to distinct values, not to rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

# Words for a missing value.
_GAPS = {"", "-", "--", "?", ".", "na", "n/a", "#n/a", "nan", "null", "none"}
_GAPS |= {"nil", "missing", "unknown"}

_CURRENCY = "$€£¥"
_SEPARATORS = ",'_ \u00a0\u202f"
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_THOUSANDS = re.compile(rf"[+-]?\d{{1,3}}([{_SEPARATORS}]\d{{3}})+(\.\d*)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+|[+-]?\d+,\d+")
_THOUSANDS_COMMA = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_INTEGER = re.compile(r"[+-]?\d+")
_LEADING_ZERO = re.compile(r"0\d")

_MONTH = (
    r"(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|"
    r"sept?(ember)?|oct(ober)?|nov(ember)?|dec(ember)?)\.?"
)
_TIME = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*(am|pm|z|utc|[+-]\d{2}:?\d{2})?"
_DAY = (
    r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?",  # 2026-01-31, 2026/01
    r"\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})",  # 31.01.2026, 1/31/26
    rf"\d{{1,2}}[-\s/]{_MONTH}([-\s/,]+(\d{{4}}|\d{{2}}))?",  # 31 Jan 2026
    rf"{_MONTH}[-\s]\d{{1,2}}(,?\s\d{{4}})?",  # Jan 31, 2026
    rf"{_MONTH}[-\s]\d{{4}}",  # Jan 2026
)
_DATE = re.compile(rf"(({'|'.join(_DAY)})([T\s]+{_TIME})?|{_TIME})", re.IGNORECASE)

# Largest number of distinct values that are looked at, and their types.
_MOST_WORDS = 2000
_WORDS = str | Real | Decimal


def some_words(values: Sequence[Any]) -> list[str]:
    """Return distinct values as words, or a sample of them if there are many.

    Words for missing values are left out. Numbers among the words become words. If
    there are other objects, or no words, the list is empty.
    """
    step = -(-len(values) // _MOST_WORDS) or 1
    some = values[::step]
    kinds = {type(value) for value in some}
    are_words = all(issubclass(kind, _WORDS) for kind in kinds) and bool not in kinds
    if not are_words or not any(issubclass(kind, str) for kind in kinds):
        return []
    words = (str(value).strip() for value in some)
    return [word for word in words if word.casefold() not in _GAPS]


def is_number(word: str) -> bool:
    """Whether a word is a number, with separators, a currency or a percent sign.

    Codes with leading zeros are no numbers.
    """
    bare = _without_unit(word)
    if _INTEGER.fullmatch(bare) and _LEADING_ZERO.match(bare.lstrip("+-")):
        return False
    return any(p.fullmatch(bare) for p in (_PLAIN, _THOUSANDS, _DECIMAL_COMMA))


def is_amount(word: str) -> bool:
    """Whether a word is a number with a decimal, a separator or a unit, so no code."""
    return is_number(word) and not _INTEGER.fullmatch(word)


def is_date(word: str) -> bool:
    """Whether a word is a date or a time."""
    return _DATE.fullmatch(word) is not None


def normal_forms(value: Any) -> list[Hashable]:
    """Return the normal forms of a value; equal ones mean the same value.

    The form of numbers, and of words that are numbers (1, 1.0, "1", " 1.00 ", "01"), is
    the number. Booleans have two forms, first "true" or "false", then 1 or 0. The form
    of other words is in lower case without padding, and that of other objects is their
    text.
    """
    if isinstance(value, bool | np.bool_):
        return [str(value).casefold(), int(value)]
    if isinstance(value, Real | Decimal):
        return [_canonical(value)]
    word = str(value).strip().casefold()
    if _INTEGER.fullmatch(word):
        return [int(word)]
    return [_canonical(float(word)) if _PLAIN.fullmatch(word) else word]


def _canonical(number: Any) -> Hashable:
    """Return a whole number as int, which is exact, and others as float."""
    return (
        int(number)
        if math.isfinite(number) and number == int(number)
        else float(number)
    )


def to_numbers(column: str, words: Sequence[str]) -> str:
    """Return a pandas expression that converts words to numbers."""
    bare = [_without_unit(word) for word in words]
    is_decimal = any(
        _DECIMAL_COMMA.fullmatch(word) and not _THOUSANDS_COMMA.fullmatch(word)
        for word in bare
    )
    drop = _CURRENCY + "%" + _SEPARATORS.replace(",", "." if is_decimal else ",")
    marks = sorted(set(drop) & set("".join(words)))
    if len(marks) == 1:
        column += f".str.replace({marks[0]!r}, '')"
    elif marks:
        pattern = f"[{''.join(marks)}]"
        column += f".str.replace({pattern!r}, '', regex=True)"
    if is_decimal:
        column += ".str.replace(',', '.')"
    return f"pd.to_numeric({column}, errors='coerce')"


def _without_unit(word: str) -> str:
    return word.removesuffix("%").strip().strip(_CURRENCY).strip()

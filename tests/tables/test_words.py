"""Words that are numbers, dates or gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from imbalnet._tables.words import (
    is_amount,
    is_date,
    is_number,
    some_words,
    to_numbers,
)


@pytest.mark.parametrize(
    "word",
    [
        "1,234",
        "12.5",
        "$1,200.50",
        "12%",
        "1e5",
        "0.5",
        ".5",
        "1.234,56",
        "12,5",
        "1 234",
        "1'234.5",
        "€ 12",
        "-3.25",
        "+1,234,567",
        "1_000",
    ],
)
def test_amounts_are_numbers(word):
    assert is_number(word)
    assert is_amount(word)


@pytest.mark.parametrize("word", ["0", "7", "-3", "531110"])
def test_whole_numbers_are_numbers_that_may_be_codes(word):
    assert is_number(word)
    assert not is_amount(word)


@pytest.mark.parametrize(
    "word",
    ["", "abc", "1,23,4", "01234", "1.2.3", "12 kg", "A1", "1-2", "inf", "V27", "0x1f"],
)
def test_other_words_are_no_numbers(word):
    assert not is_number(word)
    assert not is_amount(word)


@pytest.mark.parametrize(
    "word",
    [
        "2026-01-31",
        "2026/1/3",
        "31.01.2026",
        "1/31/26",
        "31 Jan 2026",
        "31-Jan-15",
        "Jan 31, 2026",
        "January 2026",
        "2026-01-31T12:30:00Z",
        "2026-01",
        "12:30",
        "2026-01-31 12:30:00+01:00",
        "3:05 pm",
        "7 March",
    ],
)
def test_dates_are_known(word):
    assert is_date(word)
    assert not is_number(word)


@pytest.mark.parametrize(
    "word", ["may", "Mayor 12", "1.5", "10-20", "12", "2026", "1:2", "march on", "5-9-"]
)
def test_other_words_are_no_dates(word):
    assert not is_date(word)


def test_gaps_are_left_out_and_objects_are_no_words():
    assert some_words([" a ", "?", "", " ", "N/A", "null", "b"]) == ["a", "b"]
    assert some_words([1, 2.5, "x"]) == ["1", "2.5", "x"]
    for values in ([1, 2], [("a",), "b"], [True, "b"], []):
        assert some_words(values) == []
    many = some_words([f"w{i}" for i in range(100_000)])
    assert 1000 <= len(many) <= 2000


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["1,234", "5"], [1234, 5]),
        (["$1,200.50", "3"], [1200.5, 3]),
        (["12%", "3.5%"], [12, 3.5]),
        (["12,5", "1.234,6", "1,234"], [12.5, 1234.6, 1.234]),
        (["12.5", "1"], [12.5, 1]),
        (["1 234", "5"], [1234, 5]),
        (["1'234", "€5"], [1234, 5]),
    ],
)
def test_the_cure_cures(words, numbers):
    X = pd.DataFrame({"a": [*words, " ", "?"]})
    found = eval(to_numbers("X['a']", words), {"X": X, "pd": pd})
    np.testing.assert_allclose(found, [*numbers, np.nan, np.nan])

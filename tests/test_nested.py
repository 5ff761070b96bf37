"""Nested parameters."""

from __future__ import annotations

import pytest
from sklearn.base import BaseEstimator, clone

from imbalnet._nested import (
    NestedParametersMixin,
    accepted_names,
    nested,
    reject_unknown,
)


class Part(BaseEstimator):
    def __init__(self, size=1):
        self.size = size


class Whole(NestedParametersMixin, BaseEstimator):
    _nested_prefixes = ("part", "other")

    def __init__(self, part=None, other=None, **nested):
        self.part = part
        self.other = other
        self.__dict__.update(nested)


def test_nested_parameters_survive_clone_and_show():
    whole = Whole(part__size=3, other__a__b=4)
    assert clone(whole).get_params() == {
        "part": None,
        "other": None,
        "part__size": 3,
        "other__a__b": 4,
    }
    params = whole.get_params(deep=False)
    assert nested(params, "part") == {"size": 3}
    assert nested(params, "other") == {"a__b": 4}


def test_set_params_takes_nested_names_in_any_order():
    whole = Whole().set_params(part__size=3, part="name")
    assert whole.get_params() == {"part": "name", "other": None, "part__size": 3}


def test_set_params_passes_nested_names_to_a_component():
    whole = Whole(part=Part())
    whole.set_params(part__size=5)
    assert whole.part.size == 5
    assert "part__size" not in vars(whole)
    assert whole.get_params()["part__size"] == 5


def test_nested_name_given_first_stays_ahead_of_the_components():
    whole = Whole(part=Part(), part__size=7).set_params(part__size=8)
    assert whole.part.size == 1
    assert whole.get_params()["part__size"] == 8


def test_set_params_rejects_what_is_not_nested():
    whole = Whole()
    with pytest.raises(ValueError, match="size is no parameter of Whole; known are"):
        whole.set_params(part=1, size=3)
    assert whole.part is None


def test_fitted_and_private_attributes_are_no_parameters():
    whole = Whole()
    whole.fitted_, whole._private = 1, 2
    assert set(whole.get_params()) == {"part", "other"}


def test_unknown_keywords_are_named_later():
    whole = Whole(size=3, part__x=1)
    with pytest.raises(ValueError, match="size is no parameter of Whole; known are"):
        whole._reject_unknown_parameters()


def test_accepted_names_lists_what_a_callable_takes():
    assert accepted_names(lambda a, *, b=1: None, without=["a"]) == {"b"}
    assert accepted_names(lambda a, **kwargs: None) is None
    assert accepted_names(Part) == {"size"}


def test_reject_unknown_lists_the_known_ones():
    reject_unknown("part", "Part", ["size"], ["size"])
    reject_unknown("part", "anything", ["whatever"], None)
    with pytest.raises(ValueError, match="part__x is no parameter of Part; known are"):
        reject_unknown("part", "Part", ["x"], ["size"])
    with pytest.raises(ValueError, match="it takes none"):
        reject_unknown("part", "Part", ["x"], [])


def test_reject_unknown_says_which_name_was_meant():
    others = {"one": lambda width, depth: None, "two": lambda depth, shape: None}
    for unknown, end in [
        ("siz", r"Did you mean part__size\?$"),
        ("depth", r"part__depth belongs to part='one' or 'two'\.$"),
        ("deph", r"part__depth belongs to part='one' or 'two'\.$"),
        ("shape", r"known are part__size\.$"),
    ]:
        with pytest.raises(ValueError, match=end):
            reject_unknown("part", "Part", [unknown], ["size"], others, ["shape"])

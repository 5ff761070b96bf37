"""Callbacks that cannot be copied."""

from __future__ import annotations

import threading

import pytest
from skorch.callbacks import Callback

from imbalnet._callbacks import copy_callbacks, uncopyable, without_uncopyable


class Locked(Callback):
    """As loggers do that write from another thread."""

    def __init__(self):
        self.lock = threading.Lock()


class Plain(Callback):
    def __init__(self, seen):
        self.seen = seen


def test_what_can_be_copied_is():
    seen = []
    callbacks = [Plain(seen), ("named", Plain(seen)), Locked(), ("lock", Locked())]
    one, (name, two), *locked = copy_callbacks(callbacks)
    assert one is not callbacks[0]
    assert (name, two is not callbacks[1][1]) == ("named", True)
    assert one.seen is two.seen  # what they share, their copies share
    assert one.seen is not seen
    assert locked == callbacks[2:]


def test_copies_without_a_lock_share_objects_too():
    seen = []
    one, two = copy_callbacks((Plain(seen), Plain(seen)))
    assert one.seen is two.seen is not seen


def test_uncopyable_finds_named_callbacks(tmp_path):
    with (tmp_path / "log").open("w") as file:
        callbacks = [Plain(1), ("file", Plain(file)), Locked]  # a class can be copied
        assert uncopyable(callbacks) == [callbacks[1][1]]


def test_without_uncopyable_names_each_class_once():
    callbacks = [Plain(1), Locked(), ("again", Locked())]
    with pytest.warns(UserWarning, match="callbacks has Locked, which cannot be"):
        assert without_uncopyable(callbacks) == callbacks[:1]


def test_without_uncopyable_keeps_all_that_can_be_copied():
    callbacks = [Plain(1), ("two", Plain(2))]
    assert without_uncopyable(callbacks) == callbacks

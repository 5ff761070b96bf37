"""Restoring the attributes of an object if a method fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def restorer(instance: Any) -> Callable[[], None]:
    """Return a function that restores the present attributes of an object."""
    before = dict(vars(instance))

    def restore() -> None:
        attributes = vars(instance)
        attributes.update(before)
        for name in attributes.keys() - before.keys():
            del attributes[name]

    return restore


@contextmanager
def restored_on_failure(
    instance: Any, inner: Callable[[], None] | None = None
) -> Iterator[None]:
    """Restore the attributes of an object if the block fails, or is interrupted.

    `inner` is called afterwards, to restore objects that the attributes refer to.
    """
    outer = restorer(instance)

    def restore() -> None:
        outer()
        if inner is not None:
            inner()

    try:
        yield
    except BaseException:
        try:
            restore()
        except KeyboardInterrupt:  # Ctrl-C a second time
            restore()
        raise

"""Forked processes, in which the other threads of their parent do not run.

What those threads hold would stay taken in the child. Each module that has a lock
renews it there, with :func:`in_forked_child`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

_PROCESS = SimpleNamespace(is_forked=False)

# Held while torch's default generator draws. A fork waits for that: the lock inside of
# the generator, which nobody can renew, would stay taken in the child.
_DRAWS = SimpleNamespace(lock=threading.RLock(), n_forks=0, forks=threading.local())
_LONGEST_DRAW = 10.0  # seconds that a fork waits


def is_forked() -> bool:
    """Return whether the process was forked off another one.

    OpenMP's threads do not survive that, and torch would wait for them for ever: such a
    process computes with one.
    """
    return _PROCESS.is_forked


def in_forked_child(renew: Callable[[], None]) -> Callable[[], None]:
    """Let a function run first thing in each process that is forked off this one."""
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=renew)
    return renew


@contextmanager
def without_forks() -> Iterator[None]:
    """Run a block, such as a training step, during which no other thread forks."""
    while _DRAWS.n_forks:
        time.sleep(1e-4)
    with _DRAWS.lock:
        yield


def _await_draws() -> None:
    _DRAWS.n_forks += 1
    _DRAWS.forks.has_lock = _DRAWS.lock.acquire(timeout=_LONGEST_DRAW)


def _go_on_drawing() -> None:
    _DRAWS.n_forks -= 1
    if _DRAWS.forks.has_lock:
        _DRAWS.lock.release()


@in_forked_child
def _forget_parent() -> None:
    _PROCESS.is_forked = True
    _DRAWS.lock, _DRAWS.n_forks = threading.RLock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_await_draws, after_in_parent=_go_on_drawing)

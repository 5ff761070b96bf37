"""Handling of forks: a forked process has only the thread that forked it.

A lock that another thread holds at that time is never released in the child. So each
module with a lock replaces it in the child, by :func:`in_forked_child`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

_PROCESS = SimpleNamespace(is_forked=False)

# The lock is held while torch's default generator may be used, and a fork waits for it.
# The generator has a lock itself, which cannot be replaced in the child.
_DRAWS = SimpleNamespace(lock=threading.RLock(), n_forks=0, forks=threading.local())
_LONGEST_WAIT = 10.0  # seconds that a fork waits


def is_forked() -> bool:
    """Return whether this process was forked.

    It does not have the OpenMP threads of its parent, for which torch would wait
    forever. So it must compute with one thread.
    """
    return _PROCESS.is_forked


def in_forked_child(renew: Callable[[], None]) -> Callable[[], None]:
    """Register a function that is called in each process forked from this one."""
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=renew)
    return renew


@contextmanager
def without_forks() -> Iterator[None]:
    """Prevent other threads from forking during a block, such as a training step."""
    while _DRAWS.n_forks:
        time.sleep(1e-4)
    with _DRAWS.lock:
        yield


def _lock_before_fork() -> None:
    _DRAWS.n_forks += 1
    _DRAWS.forks.has_lock = _DRAWS.lock.acquire(timeout=_LONGEST_WAIT)


def _unlock_after_fork() -> None:
    _DRAWS.n_forks -= 1
    if _DRAWS.forks.has_lock:
        _DRAWS.lock.release()


@in_forked_child
def _reset_in_child() -> None:
    _PROCESS.is_forked = True
    _DRAWS.lock, _DRAWS.n_forks = threading.RLock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock_before_fork, after_in_parent=_unlock_after_fork)

"""The processes of a run under ``torchrun``, its ranks, and how they keep in step.

:mod:`imbalnet.classifier` runs ``fit`` and ``partial_fit`` with :func:`on_every_rank`.
The rooms below ask :func:`ranks_now` whether there are other ranks; all that these tell
each other goes through :meth:`Ranks.exchange`. With one process nothing happens here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import ContextVar
from functools import wraps
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

_P = ParamSpec("_P")
_R = TypeVar("_R")

_END = "the end of fit"


class Ranks:
    """The processes that fit one estimator together.

    Attributes
    ----------
    rank : int
        The number of this one, from 0.
    size : int
        How many there are.
    local_rank : int
        The number of this one among those of its machine.
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.local_rank = int(os.environ.get("LOCAL_RANK", self.rank))
        self.is_over = False

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def exchange(self, step: str, value: Any = None) -> list[Any]:
        """Return what all ranks give at a step, in their order.

        Raise a RuntimeError if one of them has failed, or is at another step. Apart
        from sums of gradients it is the only kind of message, so that a rank that fails
        need not know which one the others wait for.
        """
        return self._exchange(step, value, error=None)

    def tell_of_failure(self, error: BaseException) -> None:
        """Let the others, who wait in `exchange`, know why this rank ends."""
        if not self.is_over:
            with suppress(RuntimeError):  # of torch or this class: all ends anyway
                self._exchange(_END, None, f"{type(error).__name__}: {error}")

    def _exchange(self, step: str, value: Any, error: str | None) -> list[Any]:
        found: list[Any] = [None] * self.size
        self.is_over = True  # if it fails, nobody listens any more
        with self._device():
            dist.all_gather_object(found, (step, error, value))
        for rank, (_, failure, _) in enumerate(found):
            if failure is not None:
                raise RuntimeError(
                    f"fit failed in process {rank} of {self.size}, and so ends in all "
                    f"of them. The error there is {failure}"
                )
        steps = [name for name, _, _ in found]
        if len(set(steps)) > 1:
            raise RuntimeError(
                f"the {self.size} processes do not do the same: they are at {steps}. "
                "Call fit with the same arguments in all of them, in the same order, "
                "and let callbacks do the same in all."
            )
        self.is_over = False
        return [value for _, _, value in found]

    def add_up(self, values: Tensor) -> None:
        """Replace values by the sum over all ranks, which must be at the same batch."""
        with self._device():
            dist.all_reduce(values)

    def _device(self) -> AbstractContextManager[Any]:
        """Return a context in which NCCL uses the GPU of this rank."""
        if "nccl" in dist.get_backend():
            return torch.cuda.device(self.local_rank)
        return nullcontext()


# The ranks of the fit that runs in this context.
_NOW: ContextVar[Ranks | None] = ContextVar("ranks", default=None)
# The process group of the parent, which a forked process has but cannot use.
_PARENT = SimpleNamespace(group=None)


def _forget_parent() -> None:
    _PARENT.group = dist.group.WORLD if _is_initialized() else None


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_parent)


def _is_initialized() -> bool:
    return dist.is_available() and dist.is_initialized()


def ranks_now() -> Ranks | None:
    """Return the ranks of the fit that runs, or None if one process fits alone."""
    return _NOW.get()


def _found() -> Ranks | None:
    """Return the ranks of this process; None if it is alone.

    Threads and forked processes, as of joblib, are alone: they would mix up their
    messages.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not _is_initialized() or dist.get_world_size() == 1:
        return None
    return None if dist.group.WORLD is _PARENT.group else Ranks()


def on_every_rank(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function that all ranks call fail on all of them if it fails on one."""

    @wraps(function)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        ranks = _found()
        if ranks is None:
            return function(*args, **kwargs)
        token = _NOW.set(ranks)
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            ranks.tell_of_failure(error)
            raise
        finally:
            _NOW.reset(token)

    return inside


def await_others() -> None:
    """Wait until no rank can fail any more."""
    ranks = ranks_now()
    if ranks is not None:
        ranks.exchange(_END)

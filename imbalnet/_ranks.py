"""Communication between the processes of a run under ``torchrun``, its ranks.

:mod:`imbalnet.classifier` decorates ``fit`` and ``partial_fit`` with
:func:`on_every_rank`. The modules below it get the ranks from :func:`ranks_now`, and
communicate with :meth:`Ranks.exchange`. A single process has no ranks.
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
        Index of this process, from 0.
    size : int
        Number of processes.
    local_rank : int
        Index of this process among those of its machine.
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
        """Return the values that all ranks pass at a step, by rank.

        Raise a RuntimeError if a rank has failed, or is at another step. Apart from
        sums of gradients, this is the only kind of message: a rank that fails need not
        know which message the others wait for.
        """
        return self._exchange(step, value, error=None)

    def report_failure(self, error: BaseException) -> None:
        """Send the error to the other ranks, which wait in `exchange`."""
        if not self.is_over:
            with suppress(RuntimeError):  # by torch or this class: the fit fails anyway
                self._exchange(_END, None, f"{type(error).__name__}: {error}")

    def _exchange(self, step: str, value: Any, error: str | None) -> list[Any]:
        found: list[Any] = [None] * self.size
        self.is_over = True  # the last message, if it fails
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
        """Sum values over all ranks, in place; all must be at the same batch."""
        with self._device():
            dist.all_reduce(values)

    def _device(self) -> AbstractContextManager[Any]:
        """Return a context in which NCCL uses the GPU of this rank."""
        if "nccl" in dist.get_backend():
            return torch.cuda.device(self.local_rank)
        return nullcontext()


# The ranks of the running fit.
_NOW: ContextVar[Ranks | None] = ContextVar("ranks", default=None)
# The parent's process group, which a forked process inherits but cannot use.
_PARENT = SimpleNamespace(group=None)


def _forget_parent() -> None:
    _PARENT.group = dist.group.WORLD if _is_initialized() else None


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_parent)


def _is_initialized() -> bool:
    return dist.is_available() and dist.is_initialized()


def ranks_now() -> Ranks | None:
    """Return the ranks of the running fit, or None if there is one process."""
    return _NOW.get()


def _found() -> Ranks | None:
    """Return the ranks of this process, or None if it fits alone.

    Threads and forked processes, such as joblib's, fit alone: their messages would be
    mixed up.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not _is_initialized() or dist.get_world_size() == 1:
        return None
    return None if dist.group.WORLD is _PARENT.group else Ranks()


def on_every_rank(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a function that all ranks call: if one fails, raise on all of them."""

    @wraps(function)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        ranks = _found()
        if ranks is None:
            return function(*args, **kwargs)
        token = _NOW.set(ranks)
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            ranks.report_failure(error)
            raise
        finally:
            _NOW.reset(token)

    return inside


def await_others() -> None:
    """Wait until all ranks have come to the end of the fit."""
    ranks = ranks_now()
    if ranks is not None:
        ranks.exchange(_END)

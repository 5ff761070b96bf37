"""Default settings of torch and NumPy, so that results do not depend on others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch

from imbalnet._runtime.forks import in_forked_child

_P = ParamSpec("_P")
_R = TypeVar("_R")

# All threads share torch's default dtype: the number of blocks that have set it to
# float32, and the dtype before.
_DTYPE = SimpleNamespace(n_inside=0, before=torch.float32, lock=threading.Lock())


@in_forked_child
def _renew_lock() -> None:
    _DTYPE.lock = threading.Lock()


@contextmanager
def _float32_by_default() -> Iterator[None]:
    """Run a block with float32 as torch's default dtype.

    If blocks overlap, the last one that ends restores the dtype.
    """
    with _DTYPE.lock:
        if torch.get_default_dtype() != torch.float32:
            _DTYPE.before = torch.get_default_dtype()
            torch.set_default_dtype(torch.float32)
        _DTYPE.n_inside += 1
    try:
        yield
    finally:
        with _DTYPE.lock:
            _DTYPE.n_inside -= 1
            if not _DTYPE.n_inside:
                torch.set_default_dtype(_DTYPE.before)


@contextmanager
def _denormals_kept() -> Iterator[None]:
    """Run a block without rounding denormal numbers to 0."""
    torch.set_flush_denormal(False)
    try:
        yield
    finally:
        torch.set_flush_denormal(True)


_AUTOCASTS = "cpu", "cuda", "mps"
_NUMPY_ERRORS: Any = {
    "divide": "warn",
    "over": "warn",
    "under": "ignore",
    "invalid": "warn",
}
_SMALLEST = float(np.finfo(np.float64).smallest_subnormal)


def _unusual() -> list[AbstractContextManager[Any]]:
    """Return contexts that replace settings of the caller that change results.

    Each prediction calls this, and checking a setting is faster than entering a
    context.
    """
    found: list[AbstractContextManager[Any]] = []
    if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
        found.append(torch.inference_mode(False))  # also enables gradients
    # a cache would keep the weights of the first step until the caller's autocast ends
    found += [
        torch.autocast(device, enabled=False, cache_enabled=False)
        for device in _AUTOCASTS
        if torch.is_autocast_enabled(device)
    ]
    new = torch.empty(0)  # has the default dtype and the default device
    if new.dtype != torch.float32 or _DTYPE.n_inside:
        found.append(_float32_by_default())
    if not new.is_cpu:
        found.append(torch.device("cpu"))
    if _SMALLEST * 1.0 == 0.0:  # torch has no getter of set_flush_denormal
        found.append(_denormals_kept())
    if np.geterr() != _NUMPY_ERRORS:
        found.append(np.errstate(**_NUMPY_ERRORS))
    return found


def in_usual_state(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a function compute with the settings of a new process.

    Gradients are enabled and autocast is disabled, torch's default device is the CPU
    and its default dtype float32, denormal numbers are kept, and NumPy handles division
    by zero and overflow as by default. Afterwards, the caller's settings are restored.
    Settings that only add checks (anomaly detection, deterministic algorithms, warnings
    as errors) are not changed. Neither is the precision of float32 products, which
    users may reduce for speed.
    """

    @wraps(function)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        unusual = _unusual()
        if not unusual:
            return function(*args, **kwargs)
        with ExitStack() as stack:
            for context in unusual:
                stack.enter_context(context)
            return function(*args, **kwargs)

    return inside

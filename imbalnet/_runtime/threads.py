"""Threads: how many compute, and how their number comes back afterwards."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from joblib import cpu_count
from threadpoolctl import ThreadpoolController

from imbalnet._checks import is_integer
from imbalnet._runtime.forks import in_forked_child, is_forked

# Products (rows times parameters) from which several threads are faster than one, and
# the largest number of threads in training.
_LARGE_STEP = 2**27
_LARGE_PREDICTION = 2**26
_MOST_THREADS = 4

# What users may ask for: as many threads as there are cores, or what nearly any machine
# can start. OpenMP ends the process if it cannot start a thread.
MOST_THREADS = max(256, os.cpu_count() or 1)

_LONGEST_END = 1.0  # seconds that a pool waits for its threads


def available_threads() -> int:
    """Return how many threads may compute at once.

    In the threads and processes of a pool it is one, because the other workers are
    busy. Elsewhere torch (by ``OMP_NUM_THREADS``, which joblib sets for its processes),
    the processor affinity and the limits of a container bound it.
    """
    is_thread = threading.current_thread() is not threading.main_thread()
    is_process = multiprocessing.parent_process() is not None
    is_alone = is_process and "OMP_NUM_THREADS" not in os.environ
    if is_thread or is_alone or is_forked():
        return 1
    n_outside = _OUTSIDE.n_threads if _NESTING.is_inside else torch.get_num_threads()
    return min(n_outside, cpu_count())


def checked_threads(n_threads: Any) -> int:
    """Return the parameter ``n_threads``, or raise if it is no sensible number."""
    if is_integer(n_threads) and 1 <= n_threads <= MOST_THREADS:
        return int(n_threads)
    raise ValueError(
        f"n_threads={n_threads!r} must be an integer of at least 1 and at most "
        f"{MOST_THREADS}, or None for the default."
    )


def training_threads(n_threads: int | None, products: int) -> int:
    """Return the number of threads for training steps of so many products.

    None chooses. The threads of a step wait for each other many times, so that small
    steps are slower with several threads, and much slower if other processes use the
    cores: they get one. Large steps leave one core free.
    """
    if n_threads is not None:
        return checked_threads(n_threads)
    if products < _LARGE_STEP:
        return 1
    return max(1, min(available_threads() - 1, _MOST_THREADS))


def prediction_threads(n_threads: int | None, products: int) -> int:
    """Return the number of threads for a prediction of so many products.

    None chooses one for each core, because these threads do not wait for each other,
    and one thread for small predictions.
    """
    if n_threads is not None:
        return checked_threads(n_threads)
    return 1 if products < _LARGE_PREDICTION else available_threads()


class _Nesting(threading.local):
    """Whether the current thread is inside a block of `torch_threads`."""

    is_inside = False


_NESTING = _Nesting()
# The threads that are inside such blocks, and torch's number before the first of them.
_OUTSIDE = SimpleNamespace(n_inside=0, n_threads=1, lock=threading.Lock())


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Run a block with `n_threads` of torch's intra-operation threads.

    Torch keeps a number for each thread, and one that new threads start with; setting
    the first sets the second. A thread that starts while others are inside a block
    starts with their number. Its outermost block goes back to the number from before.
    In a forked process `n_threads` is 1.
    """
    n_threads = 1 if is_forked() else n_threads
    is_outermost = not _NESTING.is_inside
    with _OUTSIDE.lock:
        if is_outermost and not _OUTSIDE.n_inside:
            _OUTSIDE.n_threads = _threads_outside()
        before = _OUTSIDE.n_threads if is_outermost else torch.get_num_threads()
        _OUTSIDE.n_inside += is_outermost
        _NESTING.is_inside = True
        torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        with _OUTSIDE.lock:
            torch.set_num_threads(before)
            _OUTSIDE.n_inside -= is_outermost
            _NESTING.is_inside = not is_outermost


def _threads_outside() -> int:
    """Return the number of threads of a thread that starts outside of all blocks."""
    if threading.current_thread() is threading.main_thread():
        return torch.get_num_threads()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


# Held by the thread that limits BLAS, whose number of threads is the process'.
_BLAS = SimpleNamespace(lock=threading.Lock())


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run a block with one thread for NumPy's and SciPy's matrix products.

    Training has many small ones, whose threads wait for each other: with a busy core
    they take many times as long. Of blocks that overlap only the first one sets the
    number, and sets it back: each of several would take the other's for the original.
    """
    lock = _BLAS.lock
    if not lock.acquire(blocking=False):
        yield
        return
    try:
        with _libraries().limit(limits=1, user_api="blas"):
            yield
    finally:
        lock.release()


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # searches for libraries: 8 ms


@in_forked_child
def _forget_other_threads() -> None:
    """Renew the locks, and count only the thread that forked."""
    _BLAS.lock, _OUTSIDE.lock = threading.Lock(), threading.Lock()
    _OUTSIDE.n_inside = int(_NESTING.is_inside)


@contextmanager
def pool_of_threads(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """Run a block with a pool of threads, in each of which torch takes one.

    Behind the block the system has ended them, too. A thread that ends gives back
    memory to MKL: a process that is forked meanwhile has half a list of threads, in
    which its first matrix product searches for ever.
    """
    threads: list[int] = []

    def begin() -> None:
        torch.set_num_threads(1)
        threads.append(threading.get_native_id())

    try:
        with ThreadPoolExecutor(n_threads, initializer=begin) as pool:
            yield pool
    finally:
        _await_ends(threads)


def _await_ends(threads: list[int]) -> None:
    """Wait until the system has no such threads, where it tells (Linux)."""
    last = time.monotonic() + _LONGEST_END
    for thread in threads:
        while os.path.exists(f"/proc/self/task/{thread}") and time.monotonic() < last:
            time.sleep(1e-5)

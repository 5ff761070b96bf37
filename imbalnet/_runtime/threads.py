"""Numbers of threads for training and prediction, and contexts that set them."""

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

# The largest value of ``n_threads``. OpenMP aborts the process if it cannot start a
# thread; nearly any machine can start 256.
MOST_THREADS = max(256, os.cpu_count() or 1)

_LONGEST_WAIT = 1.0  # seconds that a pool waits for the end of its threads


def available_threads() -> int:
    """Return how many threads may compute at the same time.

    In the worker threads and processes of a pool it is 1, because the other workers use
    the other cores. Otherwise it is limited by torch (by ``OMP_NUM_THREADS``, which
    joblib sets for its processes), the processor affinity, and a container.
    """
    is_thread = threading.current_thread() is not threading.main_thread()
    is_process = multiprocessing.parent_process() is not None
    is_worker = is_process and "OMP_NUM_THREADS" not in os.environ
    if is_thread or is_worker or is_forked():
        return 1
    n_outside = _OUTSIDE.n_threads if _NESTING.is_inside else torch.get_num_threads()
    return min(n_outside, cpu_count())


def checked_threads(n_threads: Any) -> int:
    """Return the parameter ``n_threads``, or raise if it is out of range."""
    if is_integer(n_threads) and 1 <= n_threads <= MOST_THREADS:
        return int(n_threads)
    raise ValueError(
        f"n_threads={n_threads!r} must be an integer of at least 1 and at most "
        f"{MOST_THREADS}, or None for the default."
    )


def training_threads(n_threads: int | None, products: int) -> int:
    """Return the number of threads for training steps with this number of products.

    With None, a small step uses one thread: threads wait for each other many times in a
    step, so that several take longer, and much longer if other processes use the cores.
    Large steps leave one core free.
    """
    if n_threads is not None:
        return checked_threads(n_threads)
    if products < _LARGE_STEP:
        return 1
    return max(1, min(available_threads() - 1, _MOST_THREADS))


def prediction_threads(n_threads: int | None, products: int) -> int:
    """Return the number of threads for a prediction with this number of products.

    With None, it is one for each core, because these threads do not wait for each
    other, and one for small predictions.
    """
    if n_threads is not None:
        return checked_threads(n_threads)
    return 1 if products < _LARGE_PREDICTION else available_threads()


class _Nesting(threading.local):
    """Whether the current thread is inside a block of `torch_threads`."""

    is_inside = False


_NESTING = _Nesting()
# How many threads are inside such blocks, and torch's number of threads outside.
_OUTSIDE = SimpleNamespace(n_inside=0, n_threads=1, lock=threading.Lock())


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Run a block with `n_threads` of torch's intra-operation threads.

    Torch has a number for each thread, and a default for new threads. Setting the
    number of a thread also changes the default, so that a thread started while others
    are inside a block has their number. So the outermost block of each thread restores
    the number that torch had outside of all blocks. In a forked process, one thread is
    used.
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
    """Return the number of threads that torch has outside of all blocks."""
    if threading.current_thread() is threading.main_thread():
        return torch.get_num_threads()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


# Held by the thread that limits BLAS, which has one number for the whole process.
_BLAS = SimpleNamespace(lock=threading.Lock())


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run a block with one thread for NumPy's and SciPy's matrix products.

    Training has many small products, whose threads wait for each other. If another
    process uses a core, they take many times as long. If blocks overlap, only the first
    one sets and restores the number: another would restore the limit of the first.
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
    return ThreadpoolController()  # searching for the libraries takes 8 ms


@in_forked_child
def _reset_in_child() -> None:
    """Replace the locks, and count only the thread that forked."""
    _BLAS.lock, _OUTSIDE.lock = threading.Lock(), threading.Lock()
    _OUTSIDE.n_inside = int(_NESTING.is_inside)


@contextmanager
def pool_of_threads(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """Run a block with a pool of threads, in each of which torch uses one thread.

    After the block, the operating system has also ended the threads. An ending thread
    frees memory of MKL. In a process that is forked at this time, MKL's list of threads
    is inconsistent, and the first matrix product never ends.
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
    """Wait until the operating system has ended the threads (on Linux only)."""
    last = time.monotonic() + _LONGEST_WAIT
    for thread in threads:
        while os.path.exists(f"/proc/self/task/{thread}") and time.monotonic() < last:
            time.sleep(1e-5)

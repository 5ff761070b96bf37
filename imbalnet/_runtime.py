"""Where and how the computation runs: device, threads, seeds, and undo on failure.

The estimator, :mod:`imbalnet._fit` and :mod:`imbalnet._predict` use these functions,
so that they leave the threads and the generators of the process as they were.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from numbers import Integral
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from joblib import cpu_count
from threadpoolctl import ThreadpoolController

# Torch's default generators belong to the process, so only one fit at a time may
# seed them; fits in other threads (joblib's threading backend) wait for it.
_GENERATOR_LOCK = threading.RLock()

# Products (rows times parameters) from which several threads are faster than one, and
# the largest number of threads in training.
_LARGE_STEP = 2**27
_LARGE_PREDICTION = 2**26
_MOST_THREADS = 4

# What users may ask for: as many threads as there are cores, or what nearly any machine
# can start. OpenMP ends the process if it cannot start a thread.
MOST_THREADS = max(256, os.cpu_count() or 1)

_MAX_SEED = 2**31 - 1


def resolve_device(
    device: str | torch.device, dtype: torch.dtype = torch.float32
) -> torch.device:
    """Convert the parameter ``device`` to a device that this machine has, or raise.

    "auto" passes over Apple's GPUs if `dtype` is float64, which they lack.
    """
    has_mps = torch.backends.mps.is_available()
    if device == "auto" and torch.cuda.is_available():
        return torch.device("cuda")
    if device == "auto":
        return torch.device("mps" if has_mps and dtype != torch.float64 else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a device that torch knows; use 'auto', 'cpu', "
            "'cuda', 'cuda:0' or 'mps'."
        ) from error
    n_gpus = torch.cuda.device_count() if resolved.type == "cuda" else int(has_mps)
    is_missing = resolved.type in ("cuda", "mps") and (resolved.index or 0) >= n_gpus
    if is_missing or not _computes(resolved):
        raise ValueError(
            f"device={str(device)!r} is not available on this machine; use "
            "device='auto' to take what there is, or device='cpu'."
        )
    return resolved


def available_device(device: str | torch.device) -> torch.device:
    """Return a device that this machine has: the one named, its like, or the CPU."""
    kind = torch.device(device).type
    for candidate in (device, kind):
        with suppress(ValueError):
            return resolve_device(candidate)
    return torch.device("cpu")


def _computes(device: torch.device) -> bool:
    """Return whether a value can be put on a device and read there.

    torch takes the names of devices that it was built without, "meta", which holds no
    values, and any number of a processor.
    """
    if device.type == "cpu":
        return not device.index
    try:
        return torch.ones(1, device=device).item() == 1.0
    except Exception:  # each kind of device fails with errors of its own
        return False


def free_memory(device: torch.device) -> int | None:
    """Return the free bytes of a GPU, and None for other devices."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def check_bfloat16(device: torch.device) -> None:
    """Raise a ValueError if the device does not compute in bfloat16."""
    if device.type == "cuda":
        is_supported = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        is_supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    else:
        is_supported = True  # or torch raises
    if not is_supported:
        raise ValueError(
            f"dtype='bfloat16' is not supported by this machine's device {device}; use "
            "dtype='float32'."
        )


@contextmanager
def restored_on_failure(instance: Any) -> Iterator[None]:
    """Restore the attributes of an object if the block fails."""
    before = dict(vars(instance))
    try:
        yield
    except BaseException:
        instance.__dict__.clear()
        instance.__dict__.update(before)
        raise


def available_threads() -> int:
    """Return how many threads may compute at once.

    In the threads and processes of a pool it is one, because the other workers are
    busy. Elsewhere torch (by ``OMP_NUM_THREADS``, which joblib sets for its processes),
    the processor affinity and the limits of a container bound it.
    """
    is_thread = threading.current_thread() is not threading.main_thread()
    is_process = multiprocessing.parent_process() is not None
    if is_thread or (is_process and "OMP_NUM_THREADS" not in os.environ):
        return 1
    return min(torch.get_num_threads(), cpu_count())


def checked_threads(n_threads: Any) -> int:
    """Return the parameter ``n_threads``, or raise if it is no sensible number."""
    is_count = isinstance(n_threads, Integral) and not isinstance(n_threads, bool)
    if is_count and 1 <= n_threads <= MOST_THREADS:
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
    """
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


@contextmanager
def one_openmp_thread() -> Iterator[None]:
    """Run scikit-learn code with one OpenMP thread, so that ties are reproducible.

    The number belongs to the Python thread that sets it.
    """
    with _libraries().limit(limits=1, user_api="openmp"):
        yield


# Held by the thread that limits BLAS, whose number of threads is the process'.
_LIMITS_BLAS = threading.Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run a block with one thread for NumPy's and SciPy's matrix products.

    Training has many small ones, whose threads wait for each other: with a busy core
    they take many times as long. Of blocks that overlap only the first one sets the
    number, and sets it back: each of several would take the other's for the original.
    """
    if not _LIMITS_BLAS.acquire(blocking=False):
        yield
        return
    try:
        with _libraries().limit(limits=1, user_api="blas"):
            yield
    finally:
        _LIMITS_BLAS.release()


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # searches for libraries: 8 ms


def use_one_thread() -> None:
    """Set torch's number of threads to one in the calling thread."""
    torch.set_num_threads(1)


@contextmanager
def seeded_torch(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's default generators in a block, and restore them afterwards.

    Weight initialisation and ``torch.nn.Dropout`` use no other generators.
    """
    devices = [device] if device.type in ("cuda", "mps") else []
    device_type = device.type if devices else "cuda"
    with (
        _GENERATOR_LOCK,
        torch.random.fork_rng(devices, device_type=device_type),
    ):
        # torch.manual_seed would seed the generators of all other devices too
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
        yield


def spawn_seeds(
    random_state: int | np.random.RandomState | None, n_seeds: int, step: int = 0
) -> list[int]:
    """Draw independent seeds from ``random_state``, different ones at each `step`.

    None uses fresh entropy from the operating system. NumPy's global generator is not
    used.
    """
    if isinstance(random_state, np.random.RandomState):
        return [int(s) for s in random_state.randint(_MAX_SEED, size=n_seeds)]
    entropy = None if random_state is None else (int(random_state), step)
    sequence = np.random.SeedSequence(entropy)
    return [int(s) for s in sequence.generate_state(n_seeds) % _MAX_SEED]

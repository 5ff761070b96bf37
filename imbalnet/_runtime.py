"""Where and how the computation runs: device, threads, seeds, and back on failure."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from joblib import cpu_count
from threadpoolctl import ThreadpoolController

# Torch's default generators belong to the process, so only one fit at a time may
# seed them; fits in other threads (joblib's threading backend) wait for it.
_GENERATOR_LOCK = threading.RLock()

# Rows times parameters, from which several threads pay, and how many pay in training.
_LARGE_STEP = 2**27
_LARGE_PREDICTION = 2**26
_MOST_THREADS = 4

_MAX_SEED = 2**31 - 1


def resolve_device(
    device: str | torch.device, dtype: torch.dtype = torch.float32
) -> torch.device:
    """Turn the parameter ``device`` into a device that this machine has.

    "auto" passes over Apple's GPUs where `dtype` is float64, which they lack.

    Raises
    ------
    ValueError
        If the device is unknown to torch or not available here.
    """
    if device == "auto":
        return torch.device(_first_available(dtype))
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a device that torch knows; use 'auto', 'cpu', "
            "'cuda', 'cuda:0' or 'mps'."
        ) from error
    if not _is_available(resolved):
        raise ValueError(
            f"device={str(device)!r} is not available on this machine; use "
            "device='auto' to take what there is, or device='cpu'."
        )
    return resolved


def _first_available(dtype: torch.dtype) -> str:
    if torch.cuda.is_available():
        return "cuda"
    has_mps = dtype != torch.float64 and torch.backends.mps.is_available()
    return "mps" if has_mps else "cpu"


def _is_available(device: torch.device) -> bool:
    if device.type == "cuda":
        return (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return True


def free_memory(device: torch.device) -> int | None:
    """Give the bytes that are free on a GPU; None where main memory is all there is."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def check_bfloat16(device: torch.device) -> None:
    """Raise if the device does not compute in bfloat16.

    Raises
    ------
    ValueError
    """
    if device.type == "cuda":
        is_supported = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        is_supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    else:
        is_supported = True  # or torch says so
    if not is_supported:
        raise ValueError(
            f"dtype='bfloat16' is not supported by this machine's device {device}; use "
            "dtype='float32'."
        )


@contextmanager
def restored_on_failure(estimator: Any) -> Iterator[None]:
    """Leave an estimator's attributes as they were if the block fails."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def available_threads() -> int:
    """Give how many threads may compute at once.

    One in the threads and processes of a pool, whose other workers are busy too;
    otherwise as many as torch (``OMP_NUM_THREADS``, which joblib sets for its
    processes), the processor affinity and a container's limits allow.
    """
    is_thread = threading.current_thread() is not threading.main_thread()
    is_process = multiprocessing.parent_process() is not None
    if is_thread or (is_process and "OMP_NUM_THREADS" not in os.environ):
        return 1
    return min(torch.get_num_threads(), cpu_count())


def training_threads(n_threads: int | None, products: int) -> int:
    """Give the threads that a training step is computed with.

    They wait for each other many times a step. Where a step is small that is slower
    than one thread, and by far slower where other processes want the cores: so None is
    one thread, and for large steps leaves one core free.

    Parameters
    ----------
    n_threads : int or None
        What the user wants.
    products : int
        Rows of a batch times parameters of the network.
    """
    if n_threads is not None:
        return n_threads
    if products < _LARGE_STEP:
        return 1
    return max(1, min(available_threads() - 1, _MOST_THREADS))


def prediction_threads(n_threads: int | None, products: int) -> int:
    """Give the threads that share the rows of a prediction.

    They do not wait for each other, so that None is one for each core, unless there is
    little to do.

    Parameters
    ----------
    n_threads : int or None
        What the user wants.
    products : int
        Rows times parameters of the network.
    """
    if n_threads is not None:
        return n_threads
    return 1 if products < _LARGE_PREDICTION else available_threads()


def _process_threads() -> int:
    """Give torch's number of threads where nobody has lent another one.

    A thread that began beside a block has the block's number.
    """
    if threading.current_thread() is threading.main_thread():
        return torch.get_num_threads()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


class _LentThreads(threading.local):
    """Torch's numbers of threads before the blocks that this thread is in."""

    def __init__(self) -> None:
        self.before: list[int] = []


class _ThreadLender:
    """Sets torch's number of threads, and puts it back.

    Torch keeps one number a thread, and one that new threads begin with; setting the
    first sets the second. A thread that begins while others run a block takes their
    number for its own, so what it goes back to is theirs from before.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lent = _LentThreads()
        self.n_outermost = 0
        self.process_before = 0

    def lend(self, n_threads: int) -> None:
        with self.lock:
            if self.lent.before:
                before = torch.get_num_threads()
            else:
                if self.n_outermost == 0:
                    self.process_before = _process_threads()
                before = self.process_before
                self.n_outermost += 1
            self.lent.before.append(before)
            torch.set_num_threads(n_threads)

    def take_back(self) -> None:
        with self.lock:
            torch.set_num_threads(self.lent.before.pop())
            self.n_outermost -= not self.lent.before


_LENDER = _ThreadLender()


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Run a block with ``n_threads`` of torch's intra-operation threads."""
    _LENDER.lend(n_threads)
    try:
        yield
    finally:
        _LENDER.take_back()


@contextmanager
def one_openmp_thread() -> Iterator[None]:
    """Run a block of scikit-learn's with one thread, whose ties are always the same.

    The number belongs to the Python thread that sets it.
    """
    with _libraries().limit(limits=1, user_api="openmp"):
        yield


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # looks for them, which takes its time


def use_one_thread() -> None:
    """Let the thread that calls this compute on its own."""
    torch.set_num_threads(1)


@contextmanager
def seeded_torch(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's default generators in a block, and put them back behind it.

    Weight initialisation and ``torch.nn.Dropout`` know no other generators.
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
    """Draw independent seeds from ``random_state``, others at each `step`.

    ``None`` takes fresh entropy from the operating system, not NumPy's global
    generator, which is left as it was.
    """
    if isinstance(random_state, np.random.RandomState):
        return [int(s) for s in random_state.randint(_MAX_SEED, size=n_seeds)]
    entropy = None if random_state is None else (int(random_state), step)
    sequence = np.random.SeedSequence(entropy)
    return [int(s) for s in sequence.generate_state(n_seeds) % _MAX_SEED]

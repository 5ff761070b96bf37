"""Where and how the computation runs: device, threads, seeds, and undo on failure.

The estimator, :mod:`imbalnet._fit` and :mod:`imbalnet._predict` use these functions,
so that they leave the threads and the generators of the process as they were, and do
not depend on what the caller has set around them.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import cache, wraps
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from joblib import cpu_count
from threadpoolctl import ThreadpoolController

from imbalnet._checks import is_integer
from imbalnet._ranks import ranks_now

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Torch's default generators belong to the process, so only one fit at a time may
# seed them; fits in other threads (joblib's threading backend) wait for it.
_GENERATORS = SimpleNamespace(lock=threading.RLock())

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

    "auto" passes over Apple's GPUs if `dtype` is float64, which they lack. Of several
    processes that fit together, each has the GPU of its number on the machine.
    """
    if ranks_now() is not None and torch.cuda.is_available():
        device = _gpu_of_rank(device)
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


def _gpu_of_rank(device: str | torch.device) -> str | torch.device:
    """Return the GPU of this process where the user names none."""
    ranks, n_gpus = ranks_now(), torch.cuda.device_count()
    if ranks is None or str(device) not in ("auto", "cuda"):
        return device
    if ranks.local_rank >= n_gpus:
        raise ValueError(
            f"device={str(device)!r} gives each process a GPU of its own, but this is "
            f"process {ranks.local_rank} (from 0) of a machine with {n_gpus}; start "
            f"{n_gpus} there, or set device='cpu'."
        )
    return f"cuda:{ranks.local_rank}"


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


def restorer(instance: Any) -> Callable[[], None]:
    """Return a function that sets the attributes of an object to what they are now."""
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

    `inner` is called as well, to restore what the attributes refer to.
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


def available_threads() -> int:
    """Return how many threads may compute at once.

    In the threads and processes of a pool it is one, because the other workers are
    busy. Elsewhere torch (by ``OMP_NUM_THREADS``, which joblib sets for its processes),
    the processor affinity and the limits of a container bound it.
    """
    is_thread = threading.current_thread() is not threading.main_thread()
    is_process = multiprocessing.parent_process() is not None
    is_alone = is_process and "OMP_NUM_THREADS" not in os.environ
    if is_thread or is_alone or _PROCESS.is_forked:
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


# Whether the process was forked off another one. OpenMP's threads do not survive that,
# and torch would wait for them for ever: such a process computes with one.
_PROCESS = SimpleNamespace(is_forked=False)


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
    n_threads = 1 if _PROCESS.is_forked else n_threads
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


def _forget_other_threads() -> None:
    """Renew the locks in a forked process, where those who hold them do not run."""
    _PROCESS.is_forked = True
    _GENERATORS.lock = threading.RLock()
    _BLAS.lock, _OUTSIDE.lock, _DTYPE.lock = (threading.Lock() for _ in range(3))
    _OUTSIDE.n_inside = int(_NESTING.is_inside)
    _DRAWS.lock, _DRAWS.n_forks = threading.RLock(), 0


# Held while torch's default generator draws. A fork waits for that: the lock inside of
# the generator, which nobody can renew, would stay taken in the child.
_DRAWS = SimpleNamespace(lock=threading.RLock(), n_forks=0, forks=threading.local())
_LONGEST_DRAW = 10.0  # seconds that a fork waits
_LONGEST_END = 1.0  # and that a pool waits for its threads


@contextmanager
def apart_from_forks() -> Iterator[None]:
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


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_await_draws,
        after_in_parent=_go_on_drawing,
        after_in_child=_forget_other_threads,
    )


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


# Torch's default dtype belongs to the process: the number of blocks that have set it to
# float32, and what it was before.
_DTYPE = SimpleNamespace(n_inside=0, before=torch.float32, lock=threading.Lock())


@contextmanager
def _float32_by_default() -> Iterator[None]:
    """Run a block with torch's usual default dtype.

    The last of blocks that overlap sets it back.
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
    """Run a block in which numbers near 0 are not taken for 0."""
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
    """Return contexts that undo what the caller has set and results would depend on.

    Each prediction comes here: looking costs less than entering a context.
    """
    found: list[AbstractContextManager[Any]] = []
    if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
        found.append(torch.inference_mode(False))  # lets gradients be computed too
    # a cache would hold the weights of the first step until the caller's autocast ends
    found += [
        torch.autocast(device, enabled=False, cache_enabled=False)
        for device in _AUTOCASTS
        if torch.is_autocast_enabled(device)
    ]
    new = torch.empty(0)  # tells the default dtype and the default device
    if new.dtype != torch.float32 or _DTYPE.n_inside:
        found.append(_float32_by_default())
    if not new.is_cpu:
        found.append(torch.device("cpu"))
    if _SMALLEST * 1.0 == 0.0:  # torch does not tell whether it flushes denormals
        found.append(_denormals_kept())
    if np.geterr() != _NUMPY_ERRORS:
        found.append(np.errstate(**_NUMPY_ERRORS))
    return found


def in_usual_state(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function compute as in a new process, whatever is set around its call.

    That is, torch computes gradients, on no device but those that are named, and
    without autocast; its default dtype is float32, denormal numbers are kept, and NumPy
    has its own rules for division by zero, overflow and the like. What was set is set
    again afterwards. Modes that only look (anomaly detection) or forbid (deterministic
    algorithms, warnings as errors) stay, and so does the precision of float32 products,
    with which users choose speed.
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


@contextmanager
def seeded_torch(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's default generators in a block, and restore them afterwards.

    Weight initialisation and ``torch.nn.Dropout`` use no other generators.
    """
    devices = [device] if device.type in ("cuda", "mps") else []
    device_type = device.type if devices else "cuda"
    with (
        _GENERATORS.lock,
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

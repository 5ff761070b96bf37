"""Where and how the computation runs: device, threads, seeds, and back on failure."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

# Torch's default generators belong to the process, so only one fit at a time may
# seed them; fits in other threads (joblib's threading backend) wait for it.
_GENERATOR_LOCK = threading.RLock()

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


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Run a block with ``n_threads`` of torch's intra-operation threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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

"""Seeds from ``random_state``, and seeding of torch within a block."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import torch

from imbalnet._runtime.forks import in_forked_child

# All threads share torch's default generators, so only one fit at a time may seed them.
# Fits in other threads (joblib's threading backend) wait for it.
_GENERATORS = SimpleNamespace(lock=threading.RLock())

_MAX_SEED = 2**31 - 1


@in_forked_child
def _renew_lock() -> None:
    _GENERATORS.lock = threading.RLock()


@contextmanager
def seeded_torch(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's default generators in a block, and restore them afterwards.

    Weight initialisation and ``torch.nn.Dropout`` use only these generators.
    """
    devices = [device] if device.type in ("cuda", "mps") else []
    device_type = device.type if devices else "cuda"
    with (
        _GENERATORS.lock,
        torch.random.fork_rng(devices, device_type=device_type),
    ):
        # torch.manual_seed would also seed the generators of all other devices
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
    """Draw independent seeds from ``random_state``, which differ between steps.

    None uses entropy from the operating system, and never NumPy's global generator.
    """
    if isinstance(random_state, np.random.RandomState):
        return [int(s) for s in random_state.randint(_MAX_SEED, size=n_seeds)]
    entropy = None if random_state is None else (int(random_state), step)
    sequence = np.random.SeedSequence(entropy)
    return [int(s) for s in sequence.generate_state(n_seeds) % _MAX_SEED]

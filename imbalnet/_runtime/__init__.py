"""State of the process and of torch: device, threads, forks, seeds, settings.

The estimator, :mod:`imbalnet._fit` and :mod:`imbalnet._predict` use these functions, so
that results do not depend on the caller's settings, and the settings are restored
afterwards. If a method fails, ``restore`` resets the attributes of the estimator.
"""

from imbalnet._runtime.devices import (
    available_device,
    check_bfloat16,
    free_memory,
    resolve_device,
)
from imbalnet._runtime.forks import without_forks
from imbalnet._runtime.restore import restored_on_failure, restorer
from imbalnet._runtime.seeds import seeded_torch, spawn_seeds
from imbalnet._runtime.threads import (
    MOST_THREADS,
    one_blas_thread,
    pool_of_threads,
    prediction_threads,
    torch_threads,
    training_threads,
)
from imbalnet._runtime.usual_state import in_usual_state

__all__ = [
    "MOST_THREADS",
    "available_device",
    "check_bfloat16",
    "free_memory",
    "in_usual_state",
    "one_blas_thread",
    "pool_of_threads",
    "prediction_threads",
    "resolve_device",
    "restored_on_failure",
    "restorer",
    "seeded_torch",
    "spawn_seeds",
    "torch_threads",
    "training_threads",
    "without_forks",
]

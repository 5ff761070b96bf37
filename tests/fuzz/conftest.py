"""How long properties are tried: shortly and always alike, or at length by chance.

``make fuzz`` sets ``IMBALNET_FUZZ`` to the number of examples of each property.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

COMMON = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("quick", derandomize=True, max_examples=40, **COMMON)
n_examples = int(os.environ.get("IMBALNET_FUZZ", "0"))
settings.register_profile("long", max_examples=n_examples or 1, **COMMON)
settings.load_profile("long" if n_examples else "quick")

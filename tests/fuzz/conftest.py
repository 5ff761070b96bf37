"""How many examples are tried: a few of fixed seeds, or with FUZZ=long many new ones."""

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
settings.register_profile("long", max_examples=1500, **COMMON)
settings.load_profile(os.environ.get("FUZZ", "quick"))

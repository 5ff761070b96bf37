"""The table that tests of several networks share."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def mixed(rng):
    """80 rows of two numbers, one with gaps, and two categories; three classes."""
    columns = [
        rng.normal(3, 2, 80),
        rng.integers(0, 4, 80),
        rng.normal(size=80),
        rng.integers(0, 3, 80),
    ]
    X = np.column_stack(columns).astype(np.float32)
    X[::7, 2] = np.nan
    return X, rng.integers(0, 3, 80)

"""What all tests share."""

from __future__ import annotations

import os

# Workers of pytest-xdist and joblib share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# Without it, one of scikit-learn's estimator checks skips itself.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU where there is none."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def rare():
    """600 rows, two classes, 8 % positives."""
    return make_classification(
        600, 10, n_informative=6, weights=[0.92], class_sep=1.5, random_state=0
    )


@pytest.fixture(scope="session")
def three_classes():
    """600 rows, three classes of 80, 15 and 5 %."""
    return make_classification(
        600,
        10,
        n_informative=6,
        n_classes=3,
        weights=[0.8, 0.15],
        class_sep=1.5,
        random_state=0,
    )


@pytest.fixture
def rng():
    return np.random.default_rng(0)

"""Rows of scores, and small fitted estimators."""

from __future__ import annotations

import numpy as np
import pytest

from imbalnet import BalancedNeuralClassifier


@pytest.fixture(scope="session")
def scored():
    """800 rows of honest probabilities, two classes; words and weights."""
    rng = np.random.default_rng(0)
    p = rng.beta(0.4, 4.0, size=800)
    y = np.where(rng.random(800) < p, "fraud", "fine")
    return y, p, rng.integers(1, 4, size=800).astype(float)


@pytest.fixture(scope="session")
def scored_many():
    """400 rows of honest probabilities of eight classes; words and weights."""
    rng = np.random.default_rng(1)
    alpha = np.array([8, 4, 3, 2, 1, 1, 0.5, 0.3])
    p = rng.dirichlet(alpha, size=400)
    codes = (rng.random((400, 1)) > p.cumsum(axis=1)).sum(axis=1)
    return np.array(list("abcdefgh"))[codes], p, rng.integers(1, 4, 400).astype(float)


@pytest.fixture(scope="session")
def fitted(rare):
    """An estimator with out-of-fold rows and a threshold; labels are words."""
    X, y = rare
    labels = np.where(y == 1, "rare", "common")
    classifier = BalancedNeuralClassifier(
        n_members=4, max_epochs=3, threshold="f1", random_state=0
    )
    return classifier.fit(X, labels)


@pytest.fixture(scope="session")
def fitted_many(three_classes):
    X, y = three_classes
    classifier = BalancedNeuralClassifier(n_members=4, max_epochs=3, random_state=0)
    return classifier.fit(X, y)

"""Tables and fitted classifiers that tests of exports share."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from imbalnet import BalancedNeuralClassifier
from imbalnet.neighbors import Neighbors

SMALL = {
    "linear": {},
    "mlp": {"module__hidden_sizes": (8,), "n_members": 2},
    "resnet": {"module__d_block": 8, "module__d_hidden": 8},
    "tabular": {"module__hidden_sizes": (8,), "n_members": 2},
    "tabm": {"module__k": 2, "module__d_block": 8, "module__d_embedding": 2},
}


def fitted(X, y, module, **params):
    params = {"max_epochs": 2, "n_neighbors": 0, **SMALL[module], **params}
    return BalancedNeuralClassifier(module, random_state=0, **params).fit(X, y)


@pytest.fixture(scope="session")
def numbers():
    """200 rows of float32 with gaps, and three classes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    y = (X[:, 0] + rng.normal(size=200) > 1) + (X[:, 1] > 1.2).astype(int)
    X[:, 2] = rng.standard_cauchy(200) ** 3
    X[rng.random(X.shape) < 0.1] = np.nan
    return X.astype(np.float32), y


@pytest.fixture(scope="session")
def frame(numbers):
    """The same rows with categories of four kinds, and a column far from 0."""
    pd = pytest.importorskip("pandas")
    X, y = numbers
    rng = np.random.default_rng(1)
    n = len(X)
    frame = pd.DataFrame(X.astype(np.float64), columns=list("abcd"))
    frame["word"] = np.array(["red", "green", "blue"])[rng.integers(0, 3, n)]
    sizes = np.array(["s", "m", "l"])[rng.integers(0, 3, n)]
    frame["size"] = pd.Categorical(sizes, ["s", "m", "l"], ordered=True)
    frame["code"] = pd.Categorical(rng.integers(10, 14, n))
    frame["many"] = pd.Categorical(rng.integers(0, 45, n) * 0.5)
    frame["time"] = 1.7e9 + rng.integers(0, 10_000, n)
    frame.loc[::7, "code"] = frame.loc[::9, "word"] = frame.loc[::11, "size"] = None
    return frame, np.array(["no", "perhaps", "yes"])[y]


@pytest.fixture(scope="session")
def full(frame):
    """A classifier whose probabilities need all of the formula."""
    X, y = frame
    clf = fitted(
        X,
        y,
        "tabular",
        target_prior="uniform",
        class_weight="balanced",
        loss="focal",
        loss__gamma=1.0,
    )
    assert clf.temperature_ != 1
    return with_neighbors(clf, X, np.searchsorted(clf.classes_, y))


def with_neighbors(clf, X, codes):
    """Let neighbours have a weight, whatever they are worth."""
    matrix, columns = clf._read_matrix(X), clf._columns
    weight, n_categories = np.ones(len(codes)), columns.n_categories or None
    prior = clf.class_prior_
    neighbors = Neighbors(matrix, codes, weight, prior, 4, n_categories, rng=0)
    clf._keep(
        replace(
            clf._fitted,
            calibration=replace(
                clf.calibration_, neighbors=neighbors, neighbor_weight=0.7
            ),
        )
    )
    return clf

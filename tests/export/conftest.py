"""Tables and fitted classifiers that tests of exports share."""

from __future__ import annotations

import numpy as np
import pytest

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit import calibrate

SMALL = {
    "linear": {"max_epochs": 100},
    "mlp": {"module__hidden_sizes": (8,), "n_members": 2},
    "resnet": {"module__d_block": 8, "module__d_hidden": 8},
    "tabular": {"module__hidden_sizes": (8,), "n_members": 2},
    "tabm": {"module__k": 2, "module__d_block": 8, "module__d_embedding": 2},
}


def fitted(X, y, module, **params):
    params = {"max_epochs": 2, "n_neighbors": 0} | SMALL[module] | params
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
    params = {"n_neighbors": 4, "target_prior": "uniform", "loss": "focal"}
    with pytest.MonkeyPatch.context() as patch:  # whatever neighbours are worth
        patch.setattr(calibrate, "fit_weight", lambda *args: 0.7)
        clf = fitted(*frame, "tabular", class_weight="balanced", **params)
    assert clf.temperature_ != 1
    assert clf.neighbor_weight_
    return clf


def coded(frame, module):
    """The matrix that a torch module takes: codes in the place of categories."""
    import pandas as pd

    X = frame.copy()
    for i, levels in module.categories.items():
        values = X.iloc[:, i].astype(object)
        codes = pd.Index(levels).get_indexer(values).astype(float)
        codes[codes < 0] = len(levels) + 1
        codes[values.isna()] = len(levels)
        if list(levels) == ["s", "m", "l"]:  # ordered
            codes[codes >= len(levels)] = np.nan
        X[X.columns[i]] = codes
    return X.to_numpy(np.float64)

"""How far ONNX graphs are from ``predict_proba``, and how large they are.

Each built-in network with each built-in loss is fitted to a table with gaps, words and
a column far from 0, exported, and run by onnxruntime. The table shows the largest
difference of a probability, and the size of the graph with the loss that has the
largest one::

    pip install imbalnet[onnx,best] onnxruntime pandas
    python examples/benchmarks/onnx_differences.py
"""

from __future__ import annotations

import os
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnxruntime
import pandas as pd

from imbalnet import BalancedNeuralClassifier
from imbalnet.losses import LOSSES
from imbalnet.networks import NETWORKS

N_ROWS = 2000


def table():
    """Rows of three classes, of which two are rare."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(N_ROWS, 4)), columns=list("abcd"))
    X["word"] = np.array(["red", "green", "blue"])[rng.integers(0, 3, N_ROWS)]
    X["time"] = 1.7e9 + rng.integers(0, 10_000, N_ROWS)
    score = X["a"] + (X["word"] == "red") + rng.normal(size=N_ROWS)
    y = np.digitize(score, [1.8, 2.6])
    X = X.mask(rng.random(X.shape) < 0.05)
    return X, y


def difference(clf, X):
    """Return the largest difference of a probability, and the bytes of the graph."""
    graph = clf.to_onnx().SerializeToString()
    feeds = {name: X[[name]].to_numpy(np.float64) for name in X if name != "word"}
    feeds["word"] = X[["word"]].astype(object).fillna("").to_numpy(object)
    session = onnxruntime.InferenceSession(graph)
    (found,) = session.run(["probabilities"], feeds)
    return np.abs(found - clf.predict_proba(X)).max(), len(graph)


def main():
    """Print the table."""
    X, y = table()
    print(f"{'loss':18s}" + "".join(f"{network:>10s}" for network in NETWORKS))
    sizes = {}
    for loss in LOSSES:
        row = []
        for network in NETWORKS:
            if (network, loss) == ("linear", "ldam"):  # which needs cosines
                row.append(np.nan)
                continue
            clf = BalancedNeuralClassifier(
                network, loss=loss, max_epochs=3, random_state=0
            )
            found, size = difference(clf.fit(X, y), X)
            row.append(found)
            sizes[network] = max(size, sizes.get(network, 0))
        print(f"{loss:18s}" + "".join(f"{value:10.1e}" for value in row), flush=True)
    print(f"{'kB':18s}" + "".join(f"{size / 1000:10.0f}" for size in sizes.values()))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()

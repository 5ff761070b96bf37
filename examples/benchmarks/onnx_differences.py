"""How far ONNX graphs are from ``predict_proba``, and how large they are.

Each built-in network with each built-in loss is fitted to a table with gaps, words and
a column far from 0, exported, and run by onnxruntime. The table has the largest
difference of a probability, and for each network the size of its largest graph::

    pip install imbalnet[onnx,best] onnxruntime pandas
    python examples/benchmarks/onnx_differences.py --csv onnx_differences.csv
"""

from __future__ import annotations

import argparse
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


def differences(X, y):
    """Return a table of differences, with sizes of graphs in the last row."""
    table: dict = {}
    sizes = dict.fromkeys(NETWORKS, 0)
    for loss in LOSSES:
        row = table[loss] = {}
        for network in NETWORKS:
            if (network, loss) == ("linear", "ldam"):  # which needs cosines
                continue
            clf = BalancedNeuralClassifier(
                network, loss=loss, max_epochs=3, random_state=0
            )
            found, size = difference(clf.fit(X, y), X)
            row[network] = f"{found:.0e}"
            sizes[network] = max(size, sizes[network])
        print(loss, row, flush=True)
    table["size, kB"] = {name: f"{size / 1000:.0f}" for name, size in sizes.items()}
    return pd.DataFrame(table).T.rename_axis("loss").fillna("")


def main():
    """Print the table, and write it to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", help="file for the table")
    args = parser.parse_args()
    found = differences(*table())
    print(found)
    if args.csv:
        found.to_csv(args.csv, lineterminator="\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()

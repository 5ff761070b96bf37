"""Search over a Dask cluster: the same scores as in one process.

Needs ``pip install "dask[distributed]"``. Workers are started on this machine. For a
cluster that exists, give its address::

    python examples/dask_search.py
    python examples/dask_search.py tcp://scheduler:8786
"""

import sys
import time

from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV

from imbalnet import BalancedNeuralClassifier


def main() -> None:
    X, y = make_classification(2_000, 20, weights=[0.95], random_state=0)
    classifier = BalancedNeuralClassifier(
        "mlp", loss="focal", max_epochs=10, random_state=0
    )
    grid = {"loss__gamma": [0.5, 1.0, 2.0], "class_weight": [None, "balanced"]}
    search = GridSearchCV(classifier, grid, scoring="average_precision", cv=4)

    start = time.perf_counter()
    expected = search.fit(X, y).cv_results_["mean_test_score"]
    print(f"one process: {time.perf_counter() - start:.1f} s")

    address = sys.argv[1] if len(sys.argv) > 1 else LocalCluster(threads_per_worker=1)
    client = Client(address)
    client.amm.stop()  # each worker keeps its copy of X and y, should another one die
    # verbose tells how many fits are done
    with client, parallel_config("dask", scatter=[X, y], verbose=5):
        start = time.perf_counter()
        found = search.fit(X, y).cv_results_["mean_test_score"]
    print(f"cluster: {time.perf_counter() - start:.1f} s")
    print(f"best: {search.best_params_}, AP {search.best_score_:.3f}")
    print(f"same scores: {(found == expected).all()}")


if __name__ == "__main__":  # workers import this file
    main()

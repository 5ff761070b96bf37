"""Search over a Dask cluster: the same scores as in one process.

Needs ``pip install "dask[distributed]"``. Workers are started on this machine. For a
cluster that exists, give its address::

    python examples/dask_search.py
    python examples/dask_search.py tcp://scheduler:8786
"""

import sys
import time

import dask
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from imbalnet import BalancedNeuralClassifier

# Dask lets workers give memory back so often that training takes 1.5 times as long.
SPAWN = "distributed.nanny.pre-spawn-environ"
dask.config.set({f"{SPAWN}.MALLOC_TRIM_THRESHOLD_": 2**28})
dask.config.set({f"{SPAWN}.MALLOC_MMAP_THRESHOLD_": 2**25})


def main() -> None:
    X, y = make_classification(2_000, 20, weights=[0.95], random_state=0)
    classifier = BalancedNeuralClassifier(
        "mlp", loss="focal", max_epochs=10, random_state=0
    )
    grid = {"loss__gamma": [0.5, 1.0, 2.0], "class_weight": [None, "balanced"]}
    splits = list(StratifiedKFold(4).split(X, y))
    search = GridSearchCV(classifier, grid, scoring="average_precision", cv=splits)

    start = time.perf_counter()
    expected = search.fit(X, y).cv_results_["mean_test_score"]
    print(f"one process: {time.perf_counter() - start:.1f} s")

    address = sys.argv[1] if len(sys.argv) > 1 else LocalCluster(threads_per_worker=1)
    client = Client(address)
    client.amm.stop()  # each worker keeps its copies, should another one die
    scatter = [X, y, *(rows for split in splits for rows in split)]
    # verbose tells how many fits are done
    with client, parallel_config("dask", scatter=scatter, verbose=5):
        start = time.perf_counter()
        found = search.fit(X, y).cv_results_["mean_test_score"]
    print(f"cluster: {time.perf_counter() - start:.1f} s")
    print(f"best: {search.best_params_}, AP {search.best_score_:.3f}")
    print(f"same scores: {(found == expected).all()}")


if __name__ == "__main__":  # workers import this file
    main()

"""Compare the default network with scikit-learn's models on raw tables.

Three stratified 70/30 splits. The encoder of the quickstart prepares each table:
medians replace missing values, and each category becomes a column. scikit-learn's
models also get a StandardScaler::

    OMP_NUM_THREADS=1 python examples/benchmarks/against_mlp.py --data FOLDER

FOLDER contains ``mammography.parquet``, ``oil_spill.parquet`` and ``adult.parquet``.
Their column ``target`` contains the labels. ``--sets`` selects other tables.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier

sys.path.insert(0, str(Path(__file__).parents[1]))
from quickstart import own_table


def make_models(seed: int) -> dict[str, Any]:
    early = MLPClassifier(early_stopping=True, random_state=seed)
    logistic = LogisticRegression(max_iter=2_000)
    return {
        "imbalnet, defaults": BalancedNeuralClassifier(random_state=seed),
        "imbalnet, plain MLP": BalancedNeuralClassifier("mlp", random_state=seed),
        "MLPClassifier, early stopping": make_pipeline(StandardScaler(), early),
        "MLPClassifier": make_pipeline(
            StandardScaler(), clone(early).set_params(early_stopping=False)
        ),
        "LogisticRegression": make_pipeline(StandardScaler(), logistic),
    }


def score(model: Any, task: Any, train: np.ndarray, test: np.ndarray) -> list[float]:
    """Return average precision, log loss and fit seconds on one split."""
    (X, y), (X_test, y_test) = task.rows(train), task.rows(test)
    pipeline = make_pipeline(clone(task.encoder), model)
    start = time.perf_counter()
    pipeline.fit(X, y)
    seconds = time.perf_counter() - start
    probabilities = pipeline.predict_proba(X_test)
    ap = average_precision_score(y_test, probabilities[:, 1])
    return [ap, log_loss(y_test, probabilities), seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument(
        "--sets", nargs="+", default=["mammography", "oil_spill", "adult"]
    )
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    print(f"{'':32}{'AP':>8}{'worst':>8}{'log-loss':>10}{'fit [s]':>9}")
    for name in args.sets:
        task = own_table(args.data / f"{name}.parquet", "target", None, seed=0)
        splitter = StratifiedShuffleSplit(args.splits, test_size=0.3, random_state=0)
        splits = list(splitter.split(task.y, task.y))
        print(f"{name}: {len(task.y):,} rows, {task.y.mean():.2%} positive")
        for model_name in make_models(0):
            results = np.array(
                [
                    score(make_models(seed)[model_name], task, train, test)
                    for seed, (train, test) in enumerate(splits)
                ]
            )
            ap, loss, seconds = results.mean(axis=0)
            worst = results[:, 0].min()
            print(
                f"  {model_name:30}{ap:8.3f}{worst:8.3f}{loss:10.4f}{seconds:9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

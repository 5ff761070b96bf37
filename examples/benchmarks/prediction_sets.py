"""Measure how often prediction sets hold the true class, by class.

``conformal_thresholds`` is given out-of-fold probabilities, each of one member, and is
used on the mean of all members. This script measures the coverage of the classes on
generated rows (2,000 for training, 20,000 for the test) and on four tables (five
stratified 70/30 splits each)::

    OMP_NUM_THREADS=1 python examples/benchmarks/prediction_sets.py --data FOLDER

FOLDER contains the tables of ``--sets``, as for ``quality.py``. The folder ``--output``
receives ``prediction_sets.csv``, a line for each table.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from sklearn.datasets import make_classification
from sklearn.model_selection import StratifiedShuffleSplit

from imbalnet import BalancedNeuralClassifier
from imbalnet.decisions import conformal_thresholds

SETS = ["german_credit", "us_crime", "wine_quality_le4", "compas_violent"]
GENERATED = {
    "generated, 2 classes": {"n_informative": 5, "weights": [0.95]},
    "generated, 3 classes": {
        "n_informative": 6,
        "n_classes": 3,
        "weights": [0.8, 0.15],
    },
}
ALPHA = 0.1


def tasks(args: argparse.Namespace) -> Iterator[tuple[str, int, Any, Any, Any, Any]]:
    """Yield names, seeds, training rows with labels, and test rows with labels."""
    for seed in range(args.splits):
        for name, params in GENERATED.items():
            X, y = make_classification(
                22_000, 12, class_sep=0.8, random_state=seed, **params
            )
            yield name, seed, X[:2_000], y[:2_000], X[2_000:], y[2_000:]
    for name in args.sets:
        table = pd.read_parquet(args.data / f"{name}.parquet")
        y = table.pop("target").to_numpy()
        splitter = StratifiedShuffleSplit(args.splits, test_size=0.3, random_state=0)
        for seed, (train, test) in enumerate(splitter.split(y, y)):
            X, X_test = (table.iloc[of].reset_index(drop=True) for of in (train, test))
            yield name, seed, X, y[train], X_test, y[test]


def measure(seed: int, X: Any, y: Any, X_test: Any, y_test: Any) -> dict[str, float]:
    """Return the coverage of each class, and the size of the sets."""
    clf = BalancedNeuralClassifier(random_state=seed).fit(X, y)
    lowest = conformal_thresholds(y, clf.oof_proba_, ALPHA)
    sets = clf.predict_proba(X_test) >= lowest
    of_classes = {
        f"class {k}": sets[y_test == label, k].mean()
        for k, label in enumerate(clf.classes_)
    }
    return {**of_classes, "mean size": sets.sum(axis=1).mean()}


def as_table(raw: pd.DataFrame) -> pd.DataFrame:
    """Return means ± standard errors over the splits."""
    groups = raw.drop(columns="split").groupby("table", sort=False)
    means, errors = groups.mean(), groups.sem()
    shown = means.map("{:.3f}".format) + " ± " + errors.map("{:.3f}".format)
    shown["mean size"] = means["mean size"].map("{:.2f}".format)
    return shown.mask(means.isna(), "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("docs/guide/results"))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    records = []
    for name, seed, *rows in tasks(args):
        records.append({"table": name, "split": seed, **measure(seed, *rows)})
        print(records[-1], flush=True)
    raw = pd.DataFrame(records)
    raw = raw[["table", "split", *sorted(set(raw) - {"table", "split"})]]
    table = as_table(raw)
    table.to_csv(args.output / "prediction_sets.csv")
    print(table.to_string())


if __name__ == "__main__":
    main()

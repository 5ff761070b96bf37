"""Compare the validation score with SMOTE before and after the validation split.

In an imbalanced-learn pipeline SMOTE runs first. The validation rows that the network
splits off then include synthetic neighbours of training rows, at an artificial
prevalence. ``sampler=SMOTE()`` runs after the split. Means over three stratified 70/30
splits::

    OMP_NUM_THREADS=1 python examples/benchmarks/smote_leak.py --data FOLDER
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedShuffleSplit

from imbalnet import BalancedNeuralClassifier

sys.path.insert(0, str(Path(__file__).parents[1]))
from quickstart import own_table


def network(seed: int, **params) -> BalancedNeuralClassifier:
    return BalancedNeuralClassifier(
        module="mlp",
        early_stopping=True,
        validation_fraction=0.2,
        random_state=seed,
        **params,
    )


def seen_and_true(clf, X, y, X_test, y_test) -> tuple[float, float]:
    """Return average precision of early stopping and on the test rows."""
    model = clf.fit(X, y)
    net = model[-1] if hasattr(model, "steps") else model
    seen = net.history_[net.best_iteration_ - 1]["valid_average_precision"]
    return seen, average_precision_score(y_test, model.predict_proba(X_test)[:, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument(
        "--sets", nargs="+", default=["mammography", "wine_quality_le4", "ozone_8hr"]
    )
    args = parser.parse_args()
    print(f"{'':20}{'SMOTE before':>18}{'SMOTE after':>18}")
    print(f"{'':20}" + f"{'validation':>11}{'test':>7}" * 2)
    for name in args.sets:
        task = own_table(args.data / f"{name}.parquet", "target", None, seed=0)
        splitter = StratifiedShuffleSplit(3, test_size=0.3, random_state=0)
        rows = []
        for seed, (train, test) in enumerate(splitter.split(task.y, task.y)):
            (X, y), (X_test, y_test) = task.rows(train), task.rows(test)
            X = task.encoder.fit_transform(X)
            data = (X, y, task.encoder.transform(X_test), y_test)
            front = make_pipeline(SMOTE(random_state=seed), network(seed))
            inside = network(seed, sampler=SMOTE())
            rows.append([*seen_and_true(front, *data), *seen_and_true(inside, *data)])
        means = np.mean(rows, axis=0)
        cells = (f"{v:{w}.3f}" for v, w in zip(means, (11, 7, 11, 7), strict=True))
        print(f"{name:20}" + "".join(cells))


if __name__ == "__main__":
    main()

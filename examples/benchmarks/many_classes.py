"""Count how often each of 500 classes is predicted, ten of them rare.

With balanced weights of 19.62 against 0.981, a network predicts rare classes several
times too often. Tempered weights (``class_weight__power=0.5``) or probabilities for the
class distribution of the data (``target_prior="train"``) correct this::

    OMP_NUM_THREADS=1 python examples/benchmarks/many_classes.py

The classes are overlapping normal distributions in 16 dimensions. A common class has
``--rows`` training rows, a rare one a twentieth of that.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import balanced_accuracy_score

from imbalnet import BalancedNeuralClassifier

N_CLASSES, N_RARE, N_FEATURES = 500, 10, 16


def make_classes(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = 1.1 * np.random.default_rng(7).normal(size=(N_CLASSES, N_FEATURES))
    sizes = np.full(N_CLASSES, n_rows)
    sizes[:N_RARE] = n_rows // 20
    y = np.repeat(np.arange(N_CLASSES), sizes)
    noise = rng.normal(size=(len(y), N_FEATURES))
    return (centres[y] + noise).astype(np.float32), y


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    X, y = make_classes(args.rows, seed=0)
    X_test, y_test = make_classes(200, seed=1)
    true = np.bincount(y_test)
    print(f"{len(y):,} training rows, {true[:N_RARE].sum()} of {len(y_test):,} rare")
    print(f"{'':36}{'rare:true':>10}{'rank r':>8}{'r':>8}{'acc.':>8}{'bal. acc.':>10}")
    levers = {
        "plain": {},
        "balanced": {"class_weight": "balanced"},
        "balanced, power 0.5": {
            "class_weight": "balanced",
            "class_weight__power": 0.5,
        },
    }
    for name, params in levers.items():
        clf = BalancedNeuralClassifier(
            module="mlp",
            random_state=0,
            max_epochs=args.epochs,
            early_stopping=False,
            **params,
        ).fit(X, y)
        for target in (None, "train"):
            predicted = clf.set_params(target_prior=target).predict(X_test)
            counts = np.bincount(predicted, minlength=N_CLASSES)
            print(
                f"{name + f', target_prior={target!r}':36}"
                f"{counts[:N_RARE].sum() / true[:N_RARE].sum():10.2f}"
                f"{spearmanr(counts, true)[0]:8.3f}"
                f"{np.corrcoef(counts, true)[0, 1]:8.3f}"
                f"{(predicted == y_test).mean():8.3f}"
                f"{balanced_accuracy_score(y_test, predicted):10.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

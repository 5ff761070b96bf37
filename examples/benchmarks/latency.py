"""Time predictions of one row and of many, and measure files, beside other models.

Two generated tables of 6,000 rows: ``numbers`` is an array of 20 columns, ``frame`` a
pandas frame of 17 numbers and 3 columns of words. Scikit-learn's models have a scaler
in front, and an encoder for the words. LightGBM and CatBoost take words as categories;
they are left out if they are not installed. Every model predicts with one thread. The
time of one row is the least of many calls, of all models in turn, and their median::

    OMP_NUM_THREADS=1 python examples/benchmarks/latency.py --csv latency.csv
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import pickle
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from imbalnet import BalancedNeuralClassifier

N_ROWS, N_COLUMNS, N_WORDS = 6000, 20, 3
N_MANY = 8000
LEVELS = 12


class Model(NamedTuple):
    name: str
    table: str
    predict: Callable[[Any], Any]
    row: Any
    rows: Any
    size: int  # bytes of the pickle


class Result(NamedTuple):
    model: str
    table: str
    one_row_least_us: float
    one_row_median_us: float
    rows_per_second: int
    pickle_kb: float


HEADER = ["model", "table", "one row, least", "one row, median", "rows/s", "kB"]


# -- tables --------------------------------------------------------------------------


def tables() -> dict[str, tuple[Any, np.ndarray]]:
    """Make the tables. Rows lie around many centres, so that neighbours help."""
    rng = np.random.default_rng(0)
    centers, own = rng.normal(size=(300, N_COLUMNS)), rng.integers(0, 300, N_ROWS)
    X = centers[own] + 0.3 * rng.normal(size=(N_ROWS, N_COLUMNS))
    words = rng.integers(0, LEVELS, size=(N_ROWS, N_WORDS))
    is_positive = (rng.random(300) < 0.15)[own]
    y = np.where(rng.random(N_ROWS) < 0.05, ~is_positive, is_positive).astype(int)
    names = [f"number {i}" for i in range(N_COLUMNS - N_WORDS)]
    frame = pd.DataFrame(X[:, N_WORDS:], columns=names)
    for i in range(N_WORDS):
        frame[f"word {i}"] = np.array([f"level {j}" for j in range(LEVELS)])[
            words[:, i]
        ]
    return {"numbers": (X, y), "frame": (frame, y)}


def encoded() -> Any:
    """Scale numbers and encode words, as scikit-learn's models need it."""
    words = make_column_selector(dtype_exclude="number")
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer((encoder, words), remainder=StandardScaler())


# -- models --------------------------------------------------------------------------


def imbalnet_models() -> Iterator[tuple[str, Any]]:
    params = {"random_state": 0, "max_epochs": 5}
    yield "imbalnet, module='mlp'", BalancedNeuralClassifier("mlp", **params)
    without = BalancedNeuralClassifier(n_neighbors=0, **params)
    yield "imbalnet, default without neighbours", without
    yield "imbalnet, default", BalancedNeuralClassifier(**params)


def scikit_learn_models(table: str) -> Iterator[tuple[str, Any]]:
    for model in (LogisticRegression(), MLPClassifier(max_iter=20, random_state=0)):
        scale = StandardScaler() if table == "numbers" else encoded()
        yield type(model).__name__, make_pipeline(scale, model)


def boosting_models(table: str) -> Iterator[tuple[str, Any]]:
    words = [f"word {i}" for i in range(N_WORDS)] if table == "frame" else []
    if importlib.util.find_spec("lightgbm"):
        from lightgbm import LGBMClassifier

        yield "LightGBM", LGBMClassifier(n_jobs=1, verbose=-1)
    if importlib.util.find_spec("catboost"):
        from catboost import CatBoostClassifier

        model = CatBoostClassifier(
            cat_features=words, thread_count=1, verbose=0, allow_writing_files=False
        )
        yield "CatBoost", model


def fitted(table: str, X: Any, y: np.ndarray) -> Iterator[Model]:
    """Fit all models to a table."""
    for name, model in (
        *scikit_learn_models(table),
        *boosting_models(table),
        *imbalnet_models(),
    ):
        own = X
        if name == "LightGBM" and table == "frame":  # takes no strings
            words = X.select_dtypes(exclude="number").columns
            own = X.astype(dict.fromkeys(words, "category"))
        at = np.arange(N_MANY) % len(own)
        rows = own[at] if table == "numbers" else own.iloc[at].reset_index(drop=True)
        model.fit(own, y)
        size = len(pickle.dumps(model))
        yield Model(name, table, model.predict_proba, rows[:1], rows, size)


# -- times ---------------------------------------------------------------------------


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measured(models: list[Model], n_rounds: int) -> Iterator[Result]:
    """Time all models in turn, so that a busy moment meets each of them."""
    one: dict[str, list[float]] = {model.name: [] for model in models}
    many: dict[str, list[float]] = {model.name: [] for model in models}
    for i in range(n_rounds):
        for model in models:
            own = [seconds(lambda m=model: m.predict(m.row)) for _ in range(20)]
            one[model.name] += own[5:]  # the first ones fill the caches
            if i % 10 == 0:
                spent = seconds(lambda m=model: m.predict(m.rows))
                many[model.name].append(spent)
    for model in models:
        times = 1e6 * np.array(one[model.name])
        speed = N_MANY / min(many[model.name])
        yield Result(
            model.name,
            model.table,
            round(times.min()),
            round(float(np.median(times))),
            int(round(speed, -2)),
            round(model.size / 1000, 1),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60, help="of 20 calls each")
    parser.add_argument("--csv", help="file for the results")
    args = parser.parse_args()
    results = []
    for name, (X, y) in tables().items():
        for result in measured(list(fitted(name, X, y)), args.rounds):
            print(*result, sep=", ", flush=True)
            results.append(result)
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([HEADER, *results])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()

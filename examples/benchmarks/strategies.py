"""Search over ``strategy_grid`` on five real tables, against the default.

Five stratified splits into 70 % training and 30 % test rows. On the training rows,
``HalvingGridSearchCV`` chooses a strategy by average precision on three folds: all
candidates train for 3 epochs, the better third for 9, of these the better third for 27.
The chosen strategy and the default are then fitted to all training rows, with their own
number of epochs, and compared by the average precision of the test rows (of several
classes, the mean of one-vs-rest)::

    OMP_NUM_THREADS=1 python examples/benchmarks/strategies.py --data FOLDER

FOLDER contains the tables of ``SETS`` (``yeast.parquet`` and so on). Their column
``target`` contains the labels. The folder ``--output`` receives

- ``strategies_raw.csv``: every split. An interrupted run continues there; delete the
  file to start again.
- ``strategies.csv``: a row for each table.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    HalvingGridSearchCV,
    ParameterGrid,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from imbalnet import BalancedNeuralClassifier
from imbalnet.metrics import macro_average_precision
from imbalnet.strategies import strategy_grid, strategy_name

SETS = ["compas_violent", "thyroid_sick", "wine_quality_le4", "travel_insurance"]
SETS += ["yeast"]
N_SPLITS, TEST_SIZE, FOLDS = 5, 0.3, 3
FACTOR, FEWEST_EPOCHS = 3, 3
RAW = "strategies_raw.csv"


def score(model: Any, X: Any, y: np.ndarray) -> float:
    return macro_average_precision(y, model.predict_proba(X))


def search_strategy(X: Any, y: np.ndarray, seed: int) -> dict[str, Any]:
    """Return the parameters of the best strategy, without the number of epochs."""
    search = HalvingGridSearchCV(
        BalancedNeuralClassifier(random_state=seed),
        strategy_grid(y, X, cv=FOLDS),
        resource="max_epochs",
        min_resources=FEWEST_EPOCHS,
        max_resources=FEWEST_EPOCHS * FACTOR**2,
        factor=FACTOR,
        scoring=score,
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
        refit=False,
        random_state=seed,
        error_score="raise",
    ).fit(X, y)
    is_left_out = {"max_epochs"}
    return {n: v for n, v in search.best_params_.items() if n not in is_left_out}


def run_split(X: Any, y: np.ndarray, split: int) -> dict[str, Any]:
    splitter = StratifiedShuffleSplit(N_SPLITS, test_size=TEST_SIZE, random_state=0)
    train, test = list(splitter.split(y, y))[split]
    X_train, X_test = X.iloc[train], X.iloc[test]
    start = time.perf_counter()
    best = search_strategy(X_train, y[train], split)
    seconds = time.perf_counter() - start
    default = {"target_prior": "train"}
    scores = {
        name: score(fitted(params, X_train, y[train], split), X_test, y[test])
        for name, params in {"default": default, "chosen": best}.items()
    }
    n_candidates = len(ParameterGrid(strategy_grid(y[train], X_train, cv=FOLDS)))
    return {
        "candidates": n_candidates,
        "strategy": strategy_name(best),
        "seconds": round(seconds, 1),
        **scores,
    }


def fitted(params: dict[str, Any], X: Any, y: np.ndarray, seed: int) -> Any:
    return BalancedNeuralClassifier(random_state=seed, **params).fit(X, y)


def summarise(raw: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each table: means over the splits, and their standard error."""
    raw = raw.assign(gain=raw["chosen"] - raw["default"])
    tables = raw.groupby("table", sort=False)
    error = tables["gain"].std(ddof=1) / np.sqrt(tables.size())
    gain = tables["gain"].mean()
    columns = {
        "rows": tables["rows"].first(),
        "rarest class": tables["rarest"].first(),
        "ratio": tables["ratio"].first().map("{:.0f} : 1".format),
        "candidates": tables["candidates"].first(),
        "search [s]": tables["seconds"].mean().map("{:.0f}".format),
        "chosen": tables["strategy"].agg("; ".join),
        "AP of the default": tables["default"].mean().map("{:.3f}".format),
        "Δ AP": [f"{g:+.3f} ± {e:.3f}" for g, e in zip(gain, error, strict=True)],
    }
    return pd.DataFrame(columns).reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("strategies_output"))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    raw_path = args.output / RAW
    records = pd.read_csv(raw_path).to_dict("records") if raw_path.exists() else []
    done = {(record["table"], record["split"]) for record in records}
    for split in range(N_SPLITS):
        for name in SETS:
            if (name, split) in done:
                continue
            frame = pd.read_parquet(args.data / f"{name}.parquet")
            y = frame.pop("target").to_numpy().astype(int)
            counts = np.bincount(y)
            about = {"table": name, "split": split, "rows": len(y)}
            about |= {"rarest": counts.min(), "ratio": counts.max() / counts.min()}
            records.append({**about, **run_split(frame, y, split)})
            pd.DataFrame(records).to_csv(raw_path, index=False)
            print({k: v for k, v in records[-1].items() if k != "rows"}, flush=True)
    table = summarise(pd.DataFrame(records))
    table.to_csv(args.output / "strategies.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    # columns of one value in some training rows
    warnings.filterwarnings("ignore", "X has columns of one value")
    main()

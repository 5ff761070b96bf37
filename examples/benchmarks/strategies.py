"""Search over ``strategy_grid`` on five real tables, against the default.

Three stratified splits into 70 % training and 30 % test rows. On the training rows,
``GridSearchCV`` scores the candidates by average precision on three folds. The default,
the candidate with the best mean, and the ``choice`` of ``StrategyComparisonDisplay``
(the default, unless an interval lies above it) are then fitted to all training rows,
and compared by the average precision of the test rows (of several classes, the mean of
one-vs-rest)::

    OMP_NUM_THREADS=1 python examples/benchmarks/strategies.py --data FOLDER

FOLDER contains the tables of ``SETS`` (``yeast.parquet`` and so on). Their column
``target`` contains the labels. The folder ``--output`` receives

- ``strategies_raw.csv``: every split. An interrupted run continues there; delete the
  file to start again.
- ``strategies.csv``: a row for each table.
- ``strategies_table.csv``: the columns of it that the documentation shows.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from imbalnet import BalancedNeuralClassifier
from imbalnet.metrics import macro_average_precision
from imbalnet.strategies import (
    StrategyComparisonDisplay,
    strategy_grid,
    strategy_name,
)

SETS = ["compas_violent", "thyroid_sick", "wine_quality_le4", "travel_insurance"]
SETS += ["yeast"]
N_SPLITS, TEST_SIZE, FOLDS = 3, 0.3, 3
RAW = "strategies_raw.csv"


def score(model: Any, X: Any, y: np.ndarray) -> float:
    return macro_average_precision(y, model.predict_proba(X))


def search_strategies(X: Any, y: np.ndarray, seed: int) -> dict[str, dict[str, Any]]:
    """Return the parameters of the best mean, and of the choice by intervals."""
    search = GridSearchCV(
        BalancedNeuralClassifier(random_state=seed),
        strategy_grid(y, X, cv=FOLDS),
        scoring=score,
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
        refit=False,
        error_score="raise",
    ).fit(X, y)
    display = StrategyComparisonDisplay.from_cv_results(search)
    place = list(display.differences).index(display.choice)
    choice = search.cv_results_["params"][place]
    return {"best mean": search.best_params_, "choice": choice}


def run_split(X: Any, y: np.ndarray, split: int) -> dict[str, Any]:
    splitter = StratifiedShuffleSplit(N_SPLITS, test_size=TEST_SIZE, random_state=0)
    train, test = list(splitter.split(y, y))[split]
    X_train, X_test = X.iloc[train], X.iloc[test]
    start = time.perf_counter()
    found = search_strategies(X_train, y[train], split)
    seconds = time.perf_counter() - start
    scores = {
        name: score(fitted(params, X_train, y[train], split), X_test, y[test])
        for name, params in {"default": {"target_prior": "train"}, **found}.items()
    }
    n_candidates = len(ParameterGrid(strategy_grid(y[train], X_train, cv=FOLDS)))
    return {
        "candidates": n_candidates,
        "strategy": strategy_name(found["best mean"]),
        "choice's": strategy_name(found["choice"]),
        "seconds": round(seconds, 1),
        **scores,
    }


def fitted(params: dict[str, Any], X: Any, y: np.ndarray, seed: int) -> Any:
    return BalancedNeuralClassifier(random_state=seed, **params).fit(X, y)


def summarise(raw: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each table: means over the splits, and their standard error."""
    tables = raw.groupby("table", sort=False)
    columns = {
        "rows": tables["rows"].first(),
        "rarest class": tables["rarest"].first(),
        "ratio": tables["ratio"].first().map("{:.0f} : 1".format),
        "candidates": tables["candidates"].first(),
        "search [s]": tables["seconds"].mean().map("{:.0f}".format),
        "best means": tables["strategy"].agg("; ".join),
        "choices": tables["choice's"].agg("; ".join),
        "AP of the default": tables["default"].mean().map("{:.3f}".format),
        "Δ AP, best mean": gains(raw, "best mean"),
        "Δ AP, choice": gains(raw, "choice"),
    }
    return pd.DataFrame(columns).reset_index()


def gains(raw: pd.DataFrame, name: str) -> pd.Series:
    """Return mean and standard error of the difference to the default, as text."""
    gain = (raw[name] - raw["default"]).groupby(raw["table"], sort=False)
    cells = pd.DataFrame({"mean": gain.mean(), "error": gain.sem()})
    return cells.apply(lambda c: f"{c['mean']:+.3f} ± {c['error']:.3f}", axis=1)


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
    shown = table.drop(columns=["ratio", "search [s]", "choices"])
    shown.to_csv(args.output / "strategies_table.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    # columns of one value in some training rows
    warnings.filterwarnings("ignore", "X has columns of one value")
    main()

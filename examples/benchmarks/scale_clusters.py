"""Measure a search over a Dask cluster, and the scoring of very many rows by engines.

``search`` times 24 fits of a grid search over two single-thread workers of a Dask
cluster on this machine, and in one process; and over the cluster again, while a worker
is killed. Scores and best parameters must be the same. ``score`` scores generated rows
of 30 columns with each engine of ``scale_engines.py``, on one core and on two. Engines
whose packages are not installed are left out::

    export OMP_NUM_THREADS=1
    pip install "dask[distributed,dataframe]" pyspark "ray[data]" psutil
    python examples/benchmarks/scale_clusters.py --results docs/guide/results
    python examples/benchmarks/scale_clusters.py --parts score --rows 5000000

Each engine runs in a fresh process. Rows a second are those between the moment when its
workers are ready and the last row, the drawing of the rows included ("generate" tells
how long that takes alone). Memory is the largest sum over the processes of an engine,
half a second apart, shared pages divided among those who share them (Linux). The folder
``--results`` receives ``scale_search.csv`` and ``scale_scoring.csv``.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bare_loops import make_table
from joblib import parallel_config
from scale_engines import ENGINES, N_COLUMNS, dask_workers
from scaling import MB
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from imbalnet import BalancedNeuralClassifier

GRID = {"loss__gamma": [0.5, 1.0, 2.0], "class_weight__power": [0.5, 1.0]}
PACKAGES = {"dask_array": "distributed", "dask_frame": "distributed"}
PACKAGES |= {"spark": "pyspark", "ray": "ray", "onnx": "onnxruntime"}
LIMIT = 0.6


# -- the search ----------------------------------------------------------------------


def new_search(max_epochs: int, splits: Any) -> GridSearchCV:
    """Return a search of six candidates on some splits."""
    clf = BalancedNeuralClassifier(
        "mlp",
        loss="focal",
        class_weight="balanced",
        max_epochs=max_epochs,
        early_stopping=False,
        device="cpu",
        random_state=0,
    )
    return GridSearchCV(clf, GRID, cv=splits, refit=False, scoring="average_precision")


def timed_search(
    X: Any, y: Any, splits: Any, max_epochs: int
) -> tuple[float, GridSearchCV]:
    search = new_search(max_epochs, splits)
    start = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - start, search


def over_cluster(
    X: Any, y: Any, splits: Any, max_epochs: int, kill_after: float | None = None
) -> tuple[float, float, GridSearchCV]:
    """Return the seconds that the start of the workers and the search take."""
    start = time.perf_counter()
    with dask_workers(2) as client:
        client.run(BalancedNeuralClassifier)  # imports torch
        ready = time.perf_counter() - start
        if kill_after is not None:
            victim = client.submit(os.getpid).result()
            killer = threading.Timer(kill_after, os.kill, (victim, signal.SIGKILL))
            killer.start()
        # also what splits the rows, which joblib would send to one worker alone
        scatter = [X, y, *itertools.chain.from_iterable(splits)]
        with parallel_config("dask", scatter=scatter):
            seconds, search = timed_search(X, y, splits, max_epochs)
        if kill_after is not None:
            assert victim not in client.run(os.getpid).values(), "nobody was killed"
    return ready, seconds, search


def measure_search(repeats: int, is_smoke: bool) -> pd.DataFrame:
    """Return a line for each way: medians of seconds, and of ratios to one process."""
    X, y = make_table(2_000 if is_smoke else 20_000)
    splits = list(StratifiedKFold(4).split(X, y))
    max_epochs = 2 if is_smoke else 16
    runs = []
    for _ in range(repeats):
        alone, expected = timed_search(X, y, splits, max_epochs)
        start, over, found = over_cluster(X, y, splits, max_epochs)
        check_same(found, expected)
        _, killed, found = over_cluster(X, y, splits, max_epochs, kill_after=over / 2)
        check_same(found, expected)
        runs.append([alone, over, killed, start])
        print(
            "one process {:.1f} s, cluster {:.1f} s, killed {:.1f} s".format(*runs[-1])
        )
    seconds = np.array(runs)
    ratios = np.median(seconds / seconds[:, :1], axis=0)
    ways = ["one process", "two workers of Dask", "the same, one killed halfway"]
    ways.append("start of the workers, not in the above")
    return pd.DataFrame(
        {"way": ways, "seconds": np.median(seconds, axis=0), "ratio": ratios}
    )


def check_same(found: GridSearchCV, expected: GridSearchCV) -> None:
    """Raise if best parameters or scores differ in a bit."""
    assert found.best_params_ == expected.best_params_
    for name, values in expected.cv_results_.items():
        if name.startswith("split"):
            np.testing.assert_array_equal(found.cv_results_[name], values)


# -- scoring -------------------------------------------------------------------------


def fit_model(module: str, file: Path) -> None:
    """Fit a classifier to rows like those that are scored, and write it to a file."""
    rng = np.random.default_rng(0)
    X = 4 * rng.random((20_000, N_COLUMNS), np.float32) - 2
    y = (X[:, 0] + rng.standard_normal(len(X)) > 2).astype(int)
    clf = BalancedNeuralClassifier(module, max_epochs=1, device="cpu", random_state=0)
    file.write_bytes(pickle.dumps(clf.fit(X, y)))


def run_engine(name: str, cores: int, n_rows: int, file: str) -> None:
    """Score with an engine in this process, and print what was measured."""
    clf = pickle.loads(Path(file).read_bytes())
    engine = ENGINES[name](clf, n_rows, cores)
    start = time.perf_counter()
    next(engine)
    ready = time.perf_counter()
    try:
        next(engine)
    except StopIteration as end:
        mean, difference = end.value
    seconds = time.perf_counter() - ready
    result = {"seconds": seconds, "start_seconds": ready - start}
    print(json.dumps({**result, "mean": mean, "difference": difference}))


def run_apart(name: str, cores: int, n_rows: int, file: Path) -> dict[str, float]:
    """Run an engine in a fresh process; return what it printed, and its memory."""
    command = [sys.executable, __file__, "--engine", name, str(cores), str(n_rows)]
    env = {**os.environ, "PYTHONPATH": path_of_workers()}
    process = subprocess.Popen(
        [*command, str(file)], stdout=subprocess.PIPE, text=True, env=env
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(0.5)
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    if process.returncode:
        sys.exit(f"{name} failed")
    return {**json.loads(lines[-1]), "peak_mb": peak}


def path_of_workers() -> str:
    """Return a PYTHONPATH with this folder, where workers find the engines."""
    parts = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(filter(None, parts))


def memory_of(pid: int) -> float:
    """Return the memory of a process and of all that it started, in MB."""
    import psutil

    total = 0
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.NoSuchProcess:
        pass  # it has just ended
    return total / MB


def measure_scoring(names: list[str], n_rows: int, module: str) -> pd.DataFrame:
    """Return a line for each engine and number of cores."""
    records: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "classifier.pickle"
        fit_model(module, file)
        for name, cores in itertools.product(names, (1, 2)):
            if (name, cores) == ("generate", 2):
                continue
            found = run_apart(name, cores, n_rows, file)
            speed = n_rows / found["seconds"]
            record = {"engine": name, "cores": cores, "rows": n_rows, **found}
            record |= {"rows/s": round(speed), "rows/s and core": round(speed / cores)}
            records.append(record)
            print(record, flush=True)
    check_means({r["engine"]: r["mean"] for r in records})
    names_of = {"start_seconds": "start [s]", "peak_mb": "MB in all"}
    names_of["difference"] = "largest difference"
    columns = ["engine", "cores", "rows", "rows/s", "rows/s and core", *names_of]
    return pd.DataFrame(records)[columns].rename(columns=names_of)


def check_means(means: dict[str, float]) -> None:
    """Raise if engines disagree; Spark draws rows of its own."""
    same = [mean for name, mean in means.items() if name not in ("generate", "spark")]
    np.testing.assert_allclose(same, same[:1] * len(same), rtol=1e-5)


def installed(names: list[str]) -> list[str]:
    """Return the engines whose packages are installed."""
    find = importlib.util.find_spec
    return [name for name in names if find(PACKAGES.get(name, "numpy"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["search", "score"])
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=[*ENGINES])
    parser.add_argument("--module", default="mlp", help="the network that scores")
    parser.add_argument("--repeats", type=int, default=3, help="of the search")
    parser.add_argument("--results", type=Path, help="folder for the tables")
    parser.add_argument("--smoke", action="store_true", help="few rows, once")
    parser.add_argument("--engine", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        name, cores, n_rows, file = args.engine
        run_engine(name, int(cores), int(n_rows), file)
        return
    tables = {}
    if "search" in args.parts:
        tables["search"] = measure_search(1 if args.smoke else args.repeats, args.smoke)
    if "score" in args.parts:
        n_rows = 250_000 if args.smoke else args.rows
        names = installed(args.engines)
        tables["scoring"] = measure_scoring(names, n_rows, args.module)
    for name, table in tables.items():
        print("\n" + table.to_string(index=False))
        if args.results:
            args.results.mkdir(parents=True, exist_ok=True)
            path = args.results / f"scale_{name}.csv"
            table.to_csv(path, index=False, float_format="%.4g")
    if "search" in tables and not args.smoke:
        sys.exit(int(tables["search"]["ratio"][1] > LIMIT))


if __name__ == "__main__":
    main()

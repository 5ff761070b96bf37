"""Measure time and memory of a fit, from ten thousand rows to ten million.

Each fit runs in a fresh process with one thread. It trains one epoch of
``module="mlp"`` with the defaults of all other parameters. So there is no validation
split up to 10,000 rows, and the batch size grows with the rows (256 and 512 here).
Linux only, because of the memory measurement::

    python examples/benchmarks/scaling.py --results docs/guide/results

Seconds are those of the whole ``fit``. Memory is the peak during ``fit``, minus the
memory of the process before it with the table loaded. Both are medians over
``--repeats``. The folder ``--results`` receives ``scaling.csv``.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bare_loops import make_table, timed

from imbalnet import BalancedNeuralClassifier

ROWS = [10_000, 100_000, 1_000_000, 10_000_000]
SMOKE_ROWS = [2_000, 20_000]
MB = 1e6
CLEAR_REFS = Path("/proc/self/clear_refs")
THREAD_VARIABLES = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]


# -- one fit -------------------------------------------------------------------------


def fit_measured(n_rows: int, **params: Any) -> tuple[float, float, float]:
    """Fit a generated table on the CPU, after a small fit that loads all libraries.

    Parameters
    ----------
    n_rows : int
    **params
        Parameters of the classifier.

    Returns
    -------
    seconds, peak, size : float
        Seconds of the fit; its memory in addition to the table, and the size of the
        table, in MB.
    """
    make_classifier = partial(
        BalancedNeuralClassifier, "mlp", device="cpu", random_state=0
    )
    make_classifier(early_stopping=True, max_epochs=1).fit(*make_table(2_000))
    X, y = make_table(n_rows)
    seconds, peak = measured(make_classifier(**params), X, y)
    return seconds, peak, X.nbytes / MB


def measured(clf: BalancedNeuralClassifier, X: Any, y: Any) -> tuple[float, float]:
    """Fit, and return the seconds and the memory in addition to the table, in MB."""
    release_memory()
    CLEAR_REFS.write_text("5")  # reset VmHWM
    X.sum()  # load every page of the table
    before = held("VmRSS")
    seconds = timed(partial(clf.fit, X, y))
    return seconds, held("VmHWM") - before


def release_memory() -> None:
    """Return free memory to the system, so that the fit must allocate it again."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def held(name: str) -> float:
    """Return an entry of the process status in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    values = dict(line.split(":", maxsplit=1) for line in lines)
    return int(values[name].split()[0]) * 1024 / MB


# -- all fits ------------------------------------------------------------------------


def environment(*, one_thread: bool) -> dict[str, str]:
    """Return environment variables for one thread, or for the default threads."""
    env = {k: v for k, v in os.environ.items() if k not in THREAD_VARIABLES}
    return {**env, **dict.fromkeys(THREAD_VARIABLES, "1")} if one_thread else env


def fit_apart(n_rows: int, **params: Any) -> tuple[float, float, float]:
    """Run :func:`fit_measured` in a fresh process with one thread."""
    return run_apart(__file__, {"n_rows": n_rows, **params})


def run_apart(script: str, asked: dict[str, Any]) -> Any:
    """Run ``script --fit`` in a fresh process with one thread; return its output."""
    command = [sys.executable, script, "--fit", json.dumps(asked)]
    env = environment(one_thread=True)
    done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def is_answered(asked: dict[str, Any] | None, fit: Callable[..., Any]) -> bool:
    """Print a fit that another process asks for; exit where memory is not measured."""
    if not CLEAR_REFS.exists():
        sys.exit(f"Memory is measured by {CLEAR_REFS}, which this system lacks.")
    if asked:
        print(json.dumps(fit(**asked)))
    return bool(asked)


def measure_all(rows: list[int], n_repeats: int) -> pd.DataFrame:
    """Return a line for each number of rows, with medians over the repeats."""
    records = []
    for n_rows in rows:
        runs = [fit_apart(n_rows, max_epochs=1) for _ in range(n_repeats)]
        seconds, peak, size = np.median(runs, axis=0)
        records.append(
            {"rows": n_rows, "seconds": seconds, "peak_mb": peak, "table_mb": size}
        )
        print(
            f"{n_rows:12,} rows: {seconds:8.2f} s, {peak:8.1f} MB besides a table of "
            f"{size:8.1f} MB",
            flush=True,
        )
    return pd.DataFrame(records)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, help="folder for scaling.csv")
    parser.add_argument("--smoke", action="store_true", help="two tiny tables, once")
    parser.add_argument("--fit", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if is_answered(args.fit, fit_measured):
        return
    rows, n_repeats = (SMOKE_ROWS, 1) if args.smoke else (args.rows, args.repeats)
    table = measure_all(rows, n_repeats)
    if args.results:
        args.results.mkdir(parents=True, exist_ok=True)
        path = args.results / "scaling.csv"
        table.to_csv(path, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()

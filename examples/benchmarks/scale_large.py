"""Measure training on a Parquet table that is larger than the memory it may take.

A table of 30 columns, of which 2 % of the rows are positive, is written block by block.
Each fit runs in a fresh process with one thread, on the default network with one
member::

    python examples/benchmarks/scale_large.py --results docs/guide/results
    python examples/benchmarks/scale_large.py --rows 2000000   # in some minutes

Four fits are compared by average precision on rows of their own:

- "large": the whole table, as a ``LargeTable``.
- "tenth": its first tenth, in memory, shuffled as a whole in each epoch.
- "sorted, large" and "sorted, memory": a table of a tenth of the rows in the order of
  time, along which columns drift and the positives become ten times as frequent: the
  worst case for reading in blocks.

``max_memory`` is 50 bytes a row, so that a window of training holds a twelfth of the
rows: 1 GB for 20,000,000 rows.

Memory is the peak during ``fit`` beyond that of the process with all libraries loaded,
and the peak in all. Rows per second are those of an epoch, validation included, and
those of the whole ``fit``, reading included. The folder ``--results`` receives
``scale_large.csv``. Linux only, because of the memory measurement.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from bare_loops import timed
from numpy.typing import NDArray
from scaling import CLEAR_REFS, environment, held, release_memory
from sklearn.metrics import average_precision_score

from imbalnet import BalancedNeuralClassifier
from imbalnet.large_tables import LargeTable

ROWS, SMOKE_ROWS = 20_000_000, 200_000
WIDTH = 30
NAMES = [f"x{i}" for i in range(WIDTH)]
BLOCK_ROWS = 250_000
MEMORY_PER_ROW = 50
MB = 1e6

# -- the table -----------------------------------------------------------------------


def make_rows(n_rows: int, seed: int, time: NDArray | None = None) -> Any:
    """Return columns and labels; with a time from 0 to 1 both drift along it."""
    rng = np.random.default_rng([7, seed])
    X = rng.standard_normal((n_rows, WIDTH), dtype=np.float32)
    waves = np.sin(2 * X[:, 2]) + X[:, 3] * X[:, 4]
    log_odds = 1.5 * X[:, 0] - X[:, 1] + 1.5 * waves - 6.6
    if time is not None:
        log_odds += 4 * time - 2
        X[:, 5:8] += 2 * time[:, None].astype(np.float32)
    y = log_odds + rng.logistic(size=n_rows) > 0
    return X, y.astype(np.int8)


def write_table(path: Path, n_rows: int, *, drifts: bool = False) -> None:
    """Write a table, block by block."""
    schema = pa.schema([(name, pa.float32()) for name in NAMES] + [("y", pa.int8())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n_rows, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, n_rows)
            time = np.arange(start, stop) / n_rows if drifts else None
            X, y = make_rows(stop - start, start + drifts, time)
            writer.write_table(pa.table([*X.T, y], schema=schema))


def held_out_rows(n_rows: int, *, drifts: bool) -> Any:
    """Return rows that no fit sees, from all times."""
    time = np.random.default_rng(1).random(n_rows) if drifts else None
    return make_rows(n_rows, 2**40, time)


# -- one fit -------------------------------------------------------------------------


def fit_measured(
    path: str, kind: str, most_rows: int | None, params: dict[str, Any]
) -> dict[str, float]:
    """Fit a file, in memory or not; return time, memory and average precision."""
    make_classifier = partial(
        BalancedNeuralClassifier, n_members=1, device="cpu", random_state=0
    )
    is_large = kind.endswith("large")
    warm_up(make_classifier, is_large)
    clf = make_classifier(**params)
    if is_large:
        n_bytes = MEMORY_PER_ROW * pq.ParquetFile(path).metadata.num_rows
        X, y = LargeTable(path, max_memory=n_bytes), "y"
    else:
        X, y = in_memory(path, most_rows)
    release_memory()
    CLEAR_REFS.write_text("5")  # reset VmHWM
    before = held("VmRSS")
    seconds = timed(partial(clf.fit, X, y))
    peak = held("VmHWM")
    n_rows = X.shape[0]
    X_test, y_test = held_out_rows(200_000, drifts=kind.startswith("sorted"))
    epochs = [record["dur"] for record in clf.history_]
    scores = clf.predict_proba(pd.DataFrame(X_test, columns=NAMES))[:, 1]
    return {
        "fit": kind,
        "rows": n_rows,
        "epochs": len(epochs),
        "seconds": seconds,
        "rows_per_second": n_rows / np.median(epochs),
        "rows_per_second_of_fit": n_rows * len(epochs) / seconds,
        "peak_mb": peak - before,
        "peak_in_all_mb": peak,
        "average_precision": average_precision_score(y_test, scores),
    }


def warm_up(make_classifier: Any, is_large: bool) -> None:
    """Fit a small table, so that all libraries are loaded."""
    X, y = make_rows(20_000, 2**41)
    with tempfile.TemporaryDirectory() as folder:
        frame = pd.DataFrame(X, columns=NAMES).assign(y=y)
        frame.to_parquet(f"{folder}/small.parquet")
        small = (f"{folder}/small.parquet", "y") if is_large else (frame[NAMES], y)
        make_classifier(max_epochs=1).fit(*small)


def in_memory(path: str, most_rows: int | None) -> tuple[pd.DataFrame, NDArray]:
    """Return the first rows of a file (None: all)."""
    reader, parts, n_rows = pq.ParquetFile(path), [], 0
    for batch in reader.iter_batches(BLOCK_ROWS):
        parts.append(batch.to_pandas())
        n_rows += len(batch)
        if most_rows is not None and n_rows >= most_rows:
            break
    frame = pd.concat(parts, ignore_index=True)[:most_rows]
    return frame[NAMES], frame["y"].to_numpy()


# -- all fits ------------------------------------------------------------------------


def fit_apart(**asked: Any) -> dict[str, float]:
    """Run :func:`fit_measured` in a fresh process with one thread."""
    command = [sys.executable, __file__, "--fit", json.dumps(asked)]
    env = environment(one_thread=True)
    done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE)
    record = json.loads(done.stdout)
    print(
        f"{record['fit']:>14}: {record['rows']:11,} rows, {record['epochs']} epochs in "
        f"{record['seconds']:7.1f} s; {record['rows_per_second']:9,.0f} rows/s; peak "
        f"{record['peak_mb']:7.0f} MB, {record['peak_in_all_mb']:7.0f} MB in all; "
        f"average precision {record['average_precision']:.4f}",
        flush=True,
    )
    return record


def measure_all(folder: Path, n_rows: int, params: dict[str, Any]) -> pd.DataFrame:
    """Write the tables, and return a line for each fit."""
    tenth, records = n_rows // 10, []
    for name, drifts, size in (("table", False, n_rows), ("sorted", True, tenth)):
        path = folder / f"{name}.parquet"
        write_table(path, size, drifts=drifts)
        print(f"{name}: {size:,} rows, {path.stat().st_size / MB:,.0f} MB", flush=True)
        kinds = ("sorted, large", "sorted, memory") if drifts else ("large", "tenth")
        for kind in kinds:
            of_kind = {"path": str(path), "kind": kind, "most_rows": tenth}
            records.append(fit_apart(**of_kind, params=params))
        path.unlink()
    return pd.DataFrame(records)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--params", type=json.loads, default={}, help="of the fits")
    parser.add_argument("--folder", help="of the temporary files")
    parser.add_argument("--results", type=Path, help="folder for scale_large.csv")
    parser.add_argument("--smoke", action="store_true", help="a tiny table")
    parser.add_argument("--fit", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not CLEAR_REFS.exists():
        sys.exit(f"Memory is measured by {CLEAR_REFS}, which this system lacks.")
    if args.fit:
        print(json.dumps(fit_measured(**args.fit)))
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        n_rows = SMOKE_ROWS if args.smoke else args.rows
        table = measure_all(Path(folder), n_rows, args.params)
    if args.results:
        args.results.mkdir(parents=True, exist_ok=True)
        path = args.results / "scale_large.csv"
        table.to_csv(path, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()

"""Compare ``fit`` in two processes of torchrun with ``fit`` in one.

Two tables, each with eight members (which the processes share) and with one network
(whose batches they share). The script reports the seconds of ``fit`` and their ratio,
and how far the results are apart: for members the largest difference of out-of-fold
probabilities, which is to be 0, and for one network that of the average precision on
30 % test rows::

    python examples/benchmarks/scale_ranks.py --data FOLDER

FOLDER contains ``adult.parquet`` and ``census_kdd.parquet``, see ``quality.py``. Every
process has one thread. The machine needs two idle cores; whatever else it does makes
two processes slower than one, for they wait for each other in each epoch. The folder
``--output`` receives ``scale_ranks.csv``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
from torch import distributed

from imbalnet import BalancedNeuralClassifier

SETS = ["adult", "census_kdd"]
MEMBERS = [8, 1]
N_PROCESSES = 2


def fit(path: Path, n_members: int, max_epochs: int, file: Path) -> None:
    """Fit in this process, or with the others of torchrun; keep what it gives."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group("gloo")
    table = pd.read_parquet(path)
    y = table.pop("target").to_numpy()
    X, X_test, y, y_test = train_test_split(
        table, y, test_size=0.3, stratify=y, random_state=0
    )
    classifier = BalancedNeuralClassifier(
        n_members=n_members, max_epochs=max_epochs, device="cpu", random_state=0
    )
    if distributed.is_initialized():
        distributed.barrier()
    start = time.perf_counter()
    classifier.fit(X, y)
    seconds = time.perf_counter() - start
    if int(os.environ.get("RANK", "0")) == 0:
        p = classifier.predict_proba(X_test)[:, 1]
        oof = classifier.oof_proba_ if n_members > 1 else np.empty(0)
        np.savez(file, oof=oof, p=p, y=y_test, seconds=seconds, n=classifier.n_iter_)
    if distributed.is_initialized():
        distributed.destroy_process_group()


def measured(arguments: list[str], n_processes: int) -> dict[str, np.ndarray]:
    """Run a fit in processes of its own; return what it left."""
    launcher = [sys.executable]
    if n_processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone"]
        launcher += [f"--nproc-per-node={n_processes}"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.npz"
        subprocess.run(
            [*launcher, __file__, "--fit", *arguments, str(file)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=True,
        )
        with np.load(file) as found:
            return dict(found)


def compared(path: Path, n_members: int, max_epochs: int) -> dict[str, object]:
    """Fit in one process and in several, and compare."""
    arguments = [json.dumps([str(path), n_members, max_epochs])]
    one, more = (measured(arguments, n) for n in (1, N_PROCESSES))
    precision = [average_precision_score(of["y"], of["p"]) for of in (one, more)]
    line: dict[str, object] = {
        "table": path.stem,
        "members": n_members,
        "epochs": int(one["n"]),
        "seconds, 1 process": round(float(one["seconds"]), 1),
        "2 processes": round(float(more["seconds"]), 1),
        "ratio": round(float(more["seconds"] / one["seconds"]), 2),
        "average precision": round(float(precision[0]), 4),
        "its difference": round(float(precision[1] - precision[0]), 4),
    }
    if n_members > 1:
        line["largest difference out of fold"] = float(
            np.abs(more["oof"] - one["oof"]).max()
        )
    return line


def main() -> None:
    """Compare all, or fit once where the comparison calls this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--max-epochs", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path())
    parser.add_argument("--fit", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit is not None:
        path, n_members, max_epochs = json.loads(arguments.fit[0])
        fit(Path(path), n_members, max_epochs, Path(arguments.fit[1]))
        return
    lines = []
    for name in arguments.sets:
        for n_members in MEMBERS:
            path = arguments.data / f"{name}.parquet"
            lines.append(compared(path, n_members, arguments.max_epochs))
            print(lines[-1], flush=True)
    table = pd.DataFrame(lines)
    table.to_csv(arguments.output / "scale_ranks.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()

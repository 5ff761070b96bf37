"""Kill fits at random moments, call them again, and compare what they end with.

Each fit runs in a process of its own, with ``checkpoint=``. It gets SIGKILL at a random
time of its training, or in the middle of a write (as soon as the unfinished file is
there), and is called again until it ends. Then predictions, weights, out-of-fold
probabilities and history are compared bit for bit with those of a fit that nobody
killed::

    python examples/benchmarks/kills.py --kills 50 --csv kills.csv

Checkpoints are written after each epoch here, much more often than by default, so that
as many kills as possible meet a write. Processes are forked, which POSIX systems can.
"""

from __future__ import annotations

import argparse
import csv
import os
import signal
import sys
import tempfile
import time
from multiprocessing.context import ForkProcess
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.datasets import make_classification

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.checkpoint import saver

FITS = {
    "default": {"max_epochs": 24, "patience": 24},
    "default, weighted sampler": {"sampler": "weighted", "max_epochs": 24},
    "mlp, dropout, early stopping": {
        "module": "mlp",
        "module__dropout": 0.2,
        "early_stopping": True,
        "patience": 100,
        "max_epochs": 100,
    },
    "resnet, undersampling": {
        "module": "resnet",
        "sampler": "undersample",
        "class_weight": "balanced",
        "max_epochs": 60,
    },
    "deferred weights, SGD": {
        "module": "mlp",
        "n_members": 3,
        "optimizer": "sgd",
        "class_weight": "balanced",
        "class_weight__start_epoch": 0.5,
        "max_epochs": 60,
    },
}
_N_ROWS = 600
_SHARE_IN_WRITES = 0.4


def fit(name: str, folder: Path | None, file: Path) -> None:
    """Fit one of `FITS`, and save what it leaves."""
    saver._FIRST_AFTER, saver._MOST_SHARE = -1.0, 1.0
    X, y = make_classification(
        _N_ROWS, 12, n_informative=6, weights=[0.9], random_state=0
    )
    clf = BalancedNeuralClassifier(
        **FITS[name], random_state=0, n_threads=1, checkpoint=folder
    )
    clf.fit(X, y)
    left = {f"weights {k}": v for k, v in clf.module_.state_dict().items()}
    left["proba"] = clf.predict_proba(X)
    left["calibration"] = np.append(clf.offset_, clf.temperature_)
    left["losses"] = np.array(clf.history_[:, "train_loss"])
    if hasattr(clf, "oof_proba_"):
        left["oof_proba"] = clf.oof_proba_
    np.savez(file, **left)


class KilledFit:
    """A fit in processes that are killed, beside one that is not."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder / "checkpoint"
        self.file, self.whole = folder / "killed.npz", folder / "whole.npz"
        folder.mkdir()
        began = time.perf_counter()
        self._start(None, self.whole).join()
        self.seconds = time.perf_counter() - began
        self.n_kills = self.n_in_writes = self.n_ended = self.n_equal = 0

    def _start(self, checkpoint: Path | None, file: Path) -> ForkProcess:
        process = ForkProcess(target=fit, args=(self.name, checkpoint, file))
        process.start()
        return process

    def kill_or_end(self, share: float, *, in_write: bool = False) -> None:
        """Run for a share of the fit's time, then kill, or to the end, and compare."""
        process = self._start(self.folder, self.file)
        stop = time.perf_counter() + share * self.seconds
        unfinished = self.folder / "unfinished_fit.tmp"
        while process.is_alive():
            is_late = time.perf_counter() > stop
            if is_late and (not in_write or unfinished.exists()):
                process.kill()
                break
            if not is_late:
                time.sleep(0.001)
        process.join()
        if process.exitcode == -signal.SIGKILL:
            self.n_kills += 1
            self.n_in_writes += unfinished.exists()
            return
        self.n_ended += 1
        self.n_equal += process.exitcode == 0 and self._is_equal()
        self.file.unlink(missing_ok=True)

    def _is_equal(self) -> bool:
        one, other = np.load(self.file), np.load(self.whole)
        is_clean = not any(self.folder.iterdir())
        names = set(one.files) == set(other.files)
        bits = all(one[k].tobytes() == other[k].tobytes() for k in other.files)
        return names and bits and is_clean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--csv", help="where a table is written")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        fits = [
            KilledFit(name, Path(temporary) / str(i)) for i, name in enumerate(FITS)
        ]
        while sum(fit.n_kills for fit in fits) < args.kills:
            fit = min(fits, key=lambda fit: fit.n_kills)
            in_write = rng.random() < _SHARE_IN_WRITES
            fit.kill_or_end(rng.uniform(0, 0.7), in_write=in_write)
        for fit in fits:
            if fit.folder.exists() and any(fit.folder.iterdir()):
                fit.kill_or_end(np.inf)  # which lets it end
    lines = [["fit", "kills", "in a write", "fits ended", "bit-equal"]]
    for fit in fits:
        lines.append([fit.name, fit.n_kills, fit.n_in_writes, fit.n_ended, fit.n_equal])
    lines.append(["all", *(sum(col) for col in list(zip(*lines[1:], strict=True))[1:])])
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)
    for line in lines:
        print(*(f"{value:>12}" for value in line[1:]), f" {line[0]}")
    sys.exit(lines[-1][3] != lines[-1][4])


if __name__ == "__main__":
    main()

"""The cases of ``speed.py``: what is measured, compared with what, within which limit.

Each function that yields pairs prepares first, then measures one pair after the other.
Its argument `shrink` divides the number of rows, for a smoke test.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from bare_loops import (
    best_chunk,
    epoch_seconds,
    gathered,
    make_table,
    permuted,
    plain_network,
    probabilities,
    standardised,
    timed,
    whole_fit,
)
from joblib.externals.loky import get_reusable_executor
from scaling import CLEAR_REFS, fit_apart
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import Tensor, nn

from imbalnet import BalancedNeuralClassifier

NARROW, WIDE, WIDEST = (32,), (256, 256), (1024, 1024)

# Measurements of A and B in turn.
Pairs = Iterator[tuple[float, float]]


class Skipped(Exception):  # noqa: N818
    """The case cannot be measured here; the message says why."""


def make_classifier(**params: Any) -> BalancedNeuralClassifier:
    return BalancedNeuralClassifier(
        **{"module": "mlp", "device": "cpu", "random_state": 0, **params}
    )


def make_trainer(
    hidden: Sequence[int], batch_size: int, **params: Any
) -> BalancedNeuralClassifier:
    """Build a classifier that trains two epochs on all rows."""
    defaults = {"max_epochs": 2, "early_stopping": False}
    return make_classifier(
        module__hidden_sizes=hidden, batch_size=batch_size, **{**defaults, **params}
    )


def fastest_epoch(clf: Any, X: np.ndarray, y: np.ndarray, first: int = 0) -> float:
    return min(clf.fit(X, y).history_[first:, "dur"])


def faster(*tasks: Callable[[], Any]) -> float:
    return min(timed(task) for task in tasks)


# -- training ------------------------------------------------------------------------


def epoch(
    shrink: int,
    *,
    hidden: Sequence[int],
    batch_size: int,
    n_rows: int = 100_000,
    device: str = "cpu",
) -> Pairs:
    X, y = make_table(n_rows // shrink)
    clf = make_trainer(hidden, batch_size, device=device)
    tensors = standardised(X).to(device), torch.from_numpy(y).to(device)
    while True:
        ours = fastest_epoch(clf, X, y)
        yield ours, epoch_seconds(*tensors, hidden, batch_size)


def rows_per_second(shrink: int, *, n_rows: int, **params: Any) -> Pairs:
    for ours, other in epoch(shrink, n_rows=n_rows, device="cuda", **params):
        yield n_rows // shrink / ours, n_rows // shrink / other


def small_table(shrink: int, *, hidden: Sequence[int], n_epochs: int = 20) -> Pairs:
    """Time a whole fit of 900 rows with 100 for validation; never shrunk."""
    del shrink
    X, y = make_table(1_000)
    clf = make_trainer(
        hidden,
        batch_size=32,
        max_epochs=n_epochs,
        early_stopping=True,
        patience=n_epochs + 1,
    )
    parts = train_test_split(standardised(X), torch.from_numpy(y), test_size=0.1)
    X_train, X_valid, y_train, y_valid = parts
    by_hand = partial(
        whole_fit, (X_train, y_train), (X_valid, y_valid), hidden, 32, n_epochs
    )
    ours = partial(clf.fit, X, y)
    while True:
        yield (
            faster(ours, ours),
            faster(partial(by_hand, gathered), partial(by_hand, permuted)),
        )


def skorch_epoch(shrink: int, *, hidden: Sequence[int], batch_size: int) -> Pairs:
    X, y = make_table(100_000 // shrink)
    Z = standardised(X).numpy()
    clf = make_trainer(hidden, batch_size)
    net = NeuralNetClassifier(
        partial(plain_network, hidden),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        max_epochs=2,
        batch_size=batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    while True:
        ours = fastest_epoch(clf, X, y)
        yield ours, min(net.fit(Z, y).history[:, "dur"])


def mlp_epoch(shrink: int, *, hidden: Sequence[int], batch_size: int) -> Pairs:
    """Time an epoch of scikit-learn's network as a call of its partial_fit."""
    X, y = make_table(100_000 // shrink)
    clf = make_trainer(hidden, batch_size)
    mlp = MLPClassifier(hidden, batch_size=min(batch_size, len(X)), random_state=0)
    step = partial(mlp.partial_fit, X, y, classes=[0, 1])
    while True:
        ours = fastest_epoch(clf, X, y)
        yield ours, faster(step, step)


def bfloat16_epoch(shrink: int) -> Pairs:
    X, y = make_table(20_000 // shrink)
    half, single = (
        make_trainer(WIDEST, 4096, dtype=dtype) for dtype in ("bfloat16", "float32")
    )
    while True:
        try:
            ours = fastest_epoch(half, X, y)
        except ValueError as error:
            if "bfloat16" not in str(error):
                raise
            raise Skipped(str(error)) from error
        yield ours, fastest_epoch(single, X, y)


def compiled_epoch(shrink: int) -> Pairs:
    """Time epochs after the first one, in which torch compiles."""
    X, y = make_table(100_000 // shrink)
    compiled, plain = (
        make_trainer(NARROW, 512, max_epochs=3, compile=c) for c in (True, False)
    )
    while True:
        ours = fastest_epoch(compiled, X, y, first=1)
        yield ours, fastest_epoch(plain, X, y, first=1)


# -- prediction ----------------------------------------------------------------------


def prediction(shrink: int, *, hidden: Sequence[int], is_same: bool) -> Pairs:
    """Compare with the bare network: that of the classifier, or one of plain layers."""
    X, y = make_table(1_000_000 // shrink)
    clf = make_trainer(hidden, 512).fit(X[:2_000], y[:2_000])
    network: nn.Module = clf.module_ if is_same else plain_network(hidden)
    rows: Tensor = torch.from_numpy(X) if is_same else standardised(X)
    chunk = best_chunk(network.eval(), rows)
    while True:
        ours = timed(partial(clf.predict_proba, X))
        yield ours, timed(partial(probabilities, network, rows, chunk))


def mlp_prediction(shrink: int, *, hidden: Sequence[int]) -> Pairs:
    X, y = make_table(1_000_000 // shrink)
    clf = make_trainer(hidden, 512).fit(X[:2_000], y[:2_000])
    mlp = MLPClassifier(hidden).partial_fit(X[:2_000], y[:2_000], classes=[0, 1])
    while True:
        ours = timed(partial(clf.predict_proba, X))
        yield ours, timed(partial(mlp.predict_proba, X))


# -- the rest ------------------------------------------------------------------------


def memory(shrink: int, **params: Any) -> Pairs:
    if not CLEAR_REFS.exists():
        raise Skipped(f"memory is measured by {CLEAR_REFS}, which this system has not")
    while True:
        _, peak, size = fit_apart(1_000_000 // shrink, max_epochs=2, **params)
        yield peak, size


def busy_fit(shrink: int) -> Pairs:
    X, y = make_table(20_000 // shrink)
    return busy(partial(make_classifier(max_epochs=3).fit, X, y))


def busy_prediction(shrink: int) -> Pairs:
    X, y = make_table(300_000 // shrink)
    clf = make_classifier(max_epochs=1).fit(X[:2_000], y[:2_000])
    return busy(partial(clf.predict_proba, X))


def busy(task: Callable[[], Any]) -> Pairs:
    while True:
        with one_core_busy():
            ours = timed(task)
        yield ours, timed(task)


@contextmanager
def one_core_busy() -> Iterator[None]:
    """Run another process that occupies the first available core."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    try:
        time.sleep(0.5)
        yield
    finally:
        process.kill()
        process.wait()


def grid_search(shrink: int) -> Pairs:
    """Time 24 fits in two newly started processes, and in one process."""
    X, y = make_table(20_000 // shrink)
    clf = make_classifier(
        loss="focal", class_weight="balanced", max_epochs=16, early_stopping=False
    )
    grid = {"loss__gamma": [0.5, 1.0, 2.0], "class_weight__power": [0.5, 1.0]}
    search = partial(
        GridSearchCV, clf, grid, cv=4, refit=False, scoring="average_precision"
    )
    while True:
        ours = timed(partial(search(n_jobs=2).fit, X, y))
        get_reusable_executor().shutdown(wait=True)
        yield ours, timed(partial(search(n_jobs=1).fit, X, y))


def imports(shrink: int) -> Pairs:
    del shrink
    while True:
        yield import_seconds("imbalnet"), import_seconds("torch, skorch, sklearn.base")


def import_seconds(names: str) -> float:
    script = (
        "from time import perf_counter as now; start = now(); "
        f"import {names}; print(now() - start)"
    )
    command = [sys.executable, "-c", script]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)


# -- all cases -----------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A comparison of A and B.

    Attributes
    ----------
    title : str
        In the form "A / B".
    pairs : callable
        Yields measurements of A and B without end; its argument divides the rows.
    limit : float or None
        Largest ratio that is allowed, or the smallest if `more_is_better`.
    n_repeats : int
    unit : {"s", "MB", "rows/s"}
    one_thread : bool
    more_is_better : bool
    device : {"cpu", "cuda"}
    """

    title: str
    pairs: Callable[[int], Pairs]
    limit: float | None = None
    n_repeats: int = 7
    unit: str = "s"
    one_thread: bool = True
    more_is_better: bool = False
    device: str = "cpu"

    def run(self, n_repeats: int, shrink: int) -> dict[str, Any]:
        """Measure pairs; the first one warms up, and counts only if it is alone."""
        try:
            pairs = list(itertools.islice(self.pairs(shrink), 1 + n_repeats))
        except Skipped as reason:
            return {"skipped": str(reason)}
        return {"pairs": pairs[1:] or pairs}

    def keeps(self, ratio: float) -> bool:
        """Return whether a ratio is within the limit."""
        if self.limit is None:
            return True
        return ratio >= self.limit if self.more_is_better else ratio <= self.limit


CASES = {
    "epoch_256_512": Case(
        "epoch / loop by hand; 256-256, batches of 512",
        partial(epoch, hidden=WIDE, batch_size=512),
        limit=1.05,
    ),
    "epoch_256_4096": Case(
        "epoch / loop by hand; 256-256, batches of 4,096",
        partial(epoch, hidden=WIDE, batch_size=4096),
        limit=1.05,
    ),
    "epoch_32_512": Case(
        "epoch / loop by hand; 32, batches of 512",
        partial(epoch, hidden=NARROW, batch_size=512),
        limit=1.25,
    ),
    "small_32": Case(
        "fit of 1,000 rows, 20 epochs / loop by hand; 32, batches of 32",
        partial(small_table, hidden=NARROW),
        limit=1.5,
    ),
    "small_256": Case(
        "fit of 1,000 rows, 20 epochs / loop by hand; 256-256, batches of 32",
        partial(small_table, hidden=WIDE),
        limit=1.5,
    ),
    "epoch_skorch": Case(
        "epoch / skorch's defaults; 32, batches of 512",
        partial(skorch_epoch, hidden=NARROW, batch_size=512),
        limit=0.2,
    ),
    "epoch_mlp": Case(
        "epoch / MLPClassifier; 256-256, batches of 512",
        partial(mlp_epoch, hidden=WIDE, batch_size=512),
        limit=0.65,
    ),
    "predict_256_same": Case(
        "predict_proba / the same network; 256-256",
        partial(prediction, hidden=WIDE, is_same=True),
        limit=1.1,
    ),
    "predict_256_plain": Case(
        "predict_proba / plain layers on standardised columns; 256-256",
        partial(prediction, hidden=WIDE, is_same=False),
    ),
    "predict_32_same": Case(
        "predict_proba / the same network; 32",
        partial(prediction, hidden=NARROW, is_same=True),
    ),
    "predict_32_plain": Case(
        "predict_proba / plain layers on standardised columns; 32",
        partial(prediction, hidden=NARROW, is_same=False),
    ),
    "predict_mlp_1": Case(
        "predict_proba / MLPClassifier; 256-256",
        partial(mlp_prediction, hidden=WIDE),
        limit=0.7,
    ),
    "predict_mlp": Case(
        "predict_proba / MLPClassifier; 256-256, default threads",
        partial(mlp_prediction, hidden=WIDE),
        limit=0.7,
        one_thread=False,
    ),
    "memory": Case(
        "peak memory of fit / X; 1,000,000 rows, defaults",
        memory,
        limit=0.35,
        n_repeats=3,
        unit="MB",
    ),
    "memory_all_rows": Case(
        "peak memory of fit / X; 1,000,000 rows, early_stopping=False",
        partial(memory, early_stopping=False),
        limit=0.35,
        n_repeats=3,
        unit="MB",
    ),
    "busy_fit": Case(
        "fit, one core busy / idle; default threads",
        busy_fit,
        limit=2.0,
        one_thread=False,
    ),
    "busy_predict": Case(
        "predict_proba, one core busy / idle; default threads",
        busy_prediction,
        limit=2.0,
        one_thread=False,
    ),
    "grid": Case(
        "grid search of 24 fits, n_jobs=2 / n_jobs=1; default threads",
        grid_search,
        limit=0.6,
        n_repeats=3,
        one_thread=False,
    ),
    "import": Case("import imbalnet / torch, skorch, sklearn.base", imports, limit=1.1),
    "bfloat16": Case(
        "epoch, bfloat16 / float32; 1024-1024, batches of 4,096", bfloat16_epoch
    ),
    "compile": Case(
        "epoch, compile=True / False; 32, batches of 512", compiled_epoch, n_repeats=3
    ),
    "gpu": Case(
        "rows a second in fit / loop by hand; 256-256, batches of 8,192, GPU",
        partial(rows_per_second, n_rows=10_000_000, hidden=WIDE, batch_size=8192),
        limit=0.9,
        n_repeats=3,
        unit="rows/s",
        one_thread=False,
        more_is_better=True,
        device="cuda",
    ),
}

"""Training and prediction loops written by hand, without a library.

``speed.py`` compares the classifier with these loops. The columns are standardised
beforehand, nothing is checked or recorded, and the optimiser is torch's fastest.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional as F

N_COLUMNS = 30
CHUNKS = [2**k for k in range(9, 17)]  # rows: 512 to 65,536

Batches = Iterator[tuple[Tensor, Tensor]]


def make_table(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw normal float32 columns; the first one predicts the 14 % positives."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, N_COLUMNS), dtype=np.float32)
    noise = rng.standard_normal(n_rows, dtype=np.float32)
    return X, (X[:, 0] + noise > 1.5).astype(int)


def standardised(X: np.ndarray) -> Tensor:
    return torch.from_numpy((X - X.mean(axis=0)) / X.std(axis=0))


def timed(task: Callable[[], Any]) -> float:
    """Return the seconds that a task takes, including pending work on a GPU."""
    start = time.perf_counter()
    task()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - start


# -- training ------------------------------------------------------------------------


def plain_network(hidden: Sequence[int]) -> nn.Sequential:
    """Build linear layers with ReLU between them, and two logits."""
    network = nn.Sequential()
    for width_in, width_out in itertools.pairwise((N_COLUMNS, *hidden)):
        network.extend([nn.Linear(width_in, width_out), nn.ReLU()])
    return network.append(nn.Linear(hidden[-1], 2))


def gathered(X: Tensor, y: Tensor, batch_size: int) -> Batches:
    """Shuffle row numbers, and gather the rows of each batch."""
    order = torch.randperm(len(X), device=X.device)
    for rows in order.split(batch_size):
        yield X.index_select(0, rows), y.index_select(0, rows)


def permuted(X: Tensor, y: Tensor, batch_size: int) -> Batches:
    """Permute the whole table, and split it into batches."""
    order = torch.randperm(len(X), device=X.device)
    columns = (values.index_select(0, order).split(batch_size) for values in (X, y))
    return zip(*columns, strict=True)


class Training:
    """Train and validate a plain network.

    Parameters
    ----------
    hidden : sequence of int
        Width of each hidden layer.
    device : str
    draw : callable
        Called as ``draw(X, y, batch_size)``; yields the batches of an epoch.
    """

    def __init__(self, hidden: Sequence[int], device: str, draw: Any) -> None:
        self.network = plain_network(hidden).to(device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), fused=True)
        self.draw = draw

    def epoch(self, X: Tensor, y: Tensor, batch_size: int) -> None:
        for X_batch, y_batch in self.draw(X, y, batch_size):
            self.optimizer.zero_grad()
            F.cross_entropy(self.network(X_batch), y_batch).backward()
            self.optimizer.step()

    @torch.inference_mode()
    def validate(self, X: Tensor, y: Tensor) -> tuple[float, float]:
        """Return loss and average precision."""
        logits = self.network(X)
        loss = F.cross_entropy(logits, y).item()
        odds = logits[:, 1] - logits[:, 0]
        return loss, average_precision_score(y.numpy(), odds.numpy())


def epoch_seconds(
    X: Tensor, y: Tensor, hidden: Sequence[int], batch_size: int
) -> float:
    """Time two epochs for each way to draw batches; return the fewest seconds."""
    seconds = []
    for draw in (gathered, permuted):
        training = Training(hidden, X.device, draw)
        task = partial(training.epoch, X, y, batch_size)
        seconds += [timed(task), timed(task)]
    return min(seconds)


def whole_fit(
    train: tuple[Tensor, Tensor],
    valid: tuple[Tensor, Tensor],
    hidden: Sequence[int],
    batch_size: int,
    n_epochs: int,
    draw: Any,
) -> list[tuple[float, float]]:
    """Train a new network; return loss and average precision of each epoch."""
    training = Training(hidden, "cpu", draw)
    history = []
    for _ in range(n_epochs):
        training.epoch(*train, batch_size)
        history.append(training.validate(*valid))
    return history


# -- prediction ----------------------------------------------------------------------


@torch.inference_mode()
def probabilities(network: nn.Module, X: Tensor, chunk: int) -> Tensor:
    """Return class probabilities (n_rows, 2), computed in chunks of rows."""
    result = torch.empty(len(X), 2)
    for rows, part in zip(X.split(chunk), result.split(chunk), strict=True):
        logits = network(rows)  # of imbalnet's with an axis of one member
        part.copy_(logits.softmax(-1).view_as(part))
    return result


def best_chunk(network: nn.Module, X: Tensor) -> int:
    """Return the fastest chunk size, by the better of two passes."""
    seconds = {}
    for chunk in CHUNKS:
        task = partial(probabilities, network, X, chunk)
        seconds[chunk] = min(timed(task), timed(task))
    return min(seconds, key=seconds.__getitem__)

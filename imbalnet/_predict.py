"""Prediction: from rows to logits and log posteriors, in blocks that fit the cache.

The net uses it for validation rows during training, and after training.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from imbalnet._blocks import row_blocks
from imbalnet._runtime import pool_of_threads, prediction_threads, torch_threads
from imbalnet.losses import Loss
from imbalnet.networks import as_logits
from imbalnet.networks.base import may_write

# If the number of rows is a multiple of this, a matrix product computes each row with
# the same kernel. Batched products also need this many multiplications: below, torch
# uses another kernel.
_SAME_KERNEL_ROWS, _SAME_KERNEL_PRODUCTS = 16, 400
# The rows of a block are a multiple of this.
_BLOCK_OF_ROWS = 64

# Most values of a layer's output in prediction: 1 MiB and 1 GiB in float32.
_CPU_PREDICT_VALUES = 2**18
_GPU_PREDICT_VALUES = 2**28
_GPU_PREDICT_ROWS = 2**16


@dataclass(frozen=True)
class Predictor:
    """A network in evaluation mode and its loss, ready to predict."""

    module: nn.Module
    loss: Loss
    device: torch.device
    dtype: torch.dtype
    is_mixed: bool  # bfloat16 where torch's autocast allows it
    block_rows: int  # rows that go through the network at once
    in_threads: bool  # whether blocks may be computed side by side

    def logits(self, x: Tensor) -> Tensor:
        """Return logits of shape (batch, members, n_classes)."""
        return logits_of(self.module, x, self.dtype if self.is_mixed else None)

    def steady_logits(self, x: Tensor) -> Tensor:
        """Return logits; those of a row do not depend on the other rows.

        Matrix products use another kernel, with another order of summation, for rows
        beyond full blocks; the batch is filled up to full ones. Without a standardising
        layer, whose output is aligned, the last bit may still depend on where in memory
        a row is.
        """
        missing = -len(x) % self._same_kernel_rows
        if not missing:
            return self.logits(x)
        return self.logits(F.pad(x, (0, 0, 0, missing)))[: len(x)]

    @cached_property
    def _same_kernel_rows(self) -> int:
        return same_kernel_rows(self.module)

    def features(self, X: Any, rows: slice) -> Tensor:
        """Return rows of a matrix as a dense tensor on the device."""
        dense = X[rows].toarray() if sparse.issparse(X) else X[rows]
        return as_tensor(dense, dtype=self.dtype, device=self.device)

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Return the log posteriors of logits, under the effective prior."""
        return loss_at(self.loss, logits).log_posterior(logits)

    def predict(
        self,
        features: Callable[[slice], Tensor],
        n_rows: int,
        *,
        finish: Callable[[Tensor, slice], Tensor] | None = None,
        n_threads: int | None = 1,
    ) -> NDArray[np.float64]:
        """Return log posteriors in float64, or the results of `finish`.

        `features` returns the features of a slice of rows, on the device. `finish` is
        called with log posteriors of shape (rows, members, n_classes), up to a constant
        for each row and member, and with the slice of their rows. On a CPU, threads
        share the rows; the bits do not depend on their number.
        """
        first, *others = row_blocks(n_rows, 1, self.block_rows)
        parameters = self.module.parameters() if others else ()  # one block: no threads
        n_products = n_rows * sum(p.numel() for p in parameters)
        n_threads = prediction_threads(n_threads, n_products)
        with torch_threads(1):
            part = self._block(features, finish, first)
            if not others:
                return part
            result = np.empty((n_rows, *part.shape[1:]))
            result[first] = part

            def fill(rows: slice) -> None:
                result[rows] = self._block(features, finish, rows)

            if n_threads > 1 and self.in_threads:
                with pool_of_threads(n_threads) as pool:
                    list(pool.map(fill, others))  # raises what the tasks raised
            else:
                for rows in others:
                    fill(rows)
        return result

    @torch.inference_mode()
    def _block(
        self,
        features: Callable[[slice], Tensor],
        finish: Callable[[Tensor, slice], Tensor] | None,
        rows: slice,
    ) -> NDArray[np.float64]:
        logits = self.steady_logits(features(rows))
        if logits.device.type == "mps":
            logits = logits.cpu()  # for float64
        logits = logits.double()
        if finish is None:
            return self.log_posterior(logits).cpu().numpy()
        scores = loss_at(self.loss, logits).posterior_scores(logits)
        return finish(scores, rows).cpu().numpy()


def as_tensor(
    values: Any, device: torch.device | str, dtype: torch.dtype | None = None
) -> Tensor:
    """Return `values` as a tensor, without a copy if dtype and device allow."""
    with warnings.catch_warnings():
        # a read-only array (joblib's memory map): nothing here writes to it
        warnings.filterwarnings("ignore", "The given NumPy array is not writ")
        return torch.as_tensor(values, dtype=dtype, device=device)


def logits_of(
    forward: Callable[[Tensor], Tensor], x: Tensor, dtype: torch.dtype | None = None
) -> Tensor:
    """Return a network's logits, of shape (batch, members, n_classes)."""
    return as_logits(output_of(forward, x, dtype))


def output_of(
    forward: Callable[[Tensor], Tensor], x: Tensor, dtype: torch.dtype | None
) -> Tensor:
    """Return the output of a network, in the shape that the network returns.

    `forward` is a module, or a method of one. With a `dtype`, torch's autocast computes
    in bfloat16, and the output is converted to `dtype`.
    """
    is_module = isinstance(forward, nn.Module)
    if may_write(forward if is_module else getattr(forward, "__self__", forward)):
        x = x.clone()  # it may be the caller's table
    if dtype is None:
        return forward(x)
    with torch.autocast(x.device.type, torch.bfloat16):
        return forward(x).to(dtype)


def loss_at(loss: Loss, logits: Tensor) -> Loss:
    """Return the loss on the logits' device: they leave Apple's GPUs for float64."""
    tensors = [*loss.parameters(), *loss.buffers()]
    if all(tensor.device.type == logits.device.type for tensor in tensors):
        return loss
    return copy.deepcopy(loss).to(logits.device)


def same_kernel_rows(module: nn.Module) -> int:
    """Return the multiple of rows for :meth:`Predictor.steady_logits`."""
    fewest = _SAME_KERNEL_PRODUCTS / _SAME_KERNEL_ROWS
    shapes = [p.shape[-2:] for p in module.parameters() if p.ndim > 2]
    smallest = min([prod(shape) for shape in shapes if shape[0] > 1], default=fewest)
    return _SAME_KERNEL_ROWS if smallest >= fewest else _BLOCK_OF_ROWS


def rows_at_once(module: nn.Module, device: torch.device) -> int:
    """Return how many rows go through a network at once in prediction.

    On a CPU, the output of a layer then stays in the processor's cache; on a GPU, it
    takes at most 1 GiB in float32.
    """
    widths = [
        prod(p.shape[:-2]) * max(p.shape[-2:])
        for p in module.parameters()
        if p.ndim > 1
    ]
    on_cpu = device.type == "cpu"
    values = _CPU_PREDICT_VALUES if on_cpu else _GPU_PREDICT_VALUES
    blocks = values // (_BLOCK_OF_ROWS * max(widths, default=1))
    most = 128 if on_cpu else _GPU_PREDICT_ROWS // _BLOCK_OF_ROWS
    return int(np.clip(blocks, 8, most)) * _BLOCK_OF_ROWS


class Concatenation:
    """Concatenate the results of batches, in memory that is allocated once.

    A list of small results would fragment the memory: they lie between the large
    temporaries of each batch, which the allocator could then not reuse.
    """

    def __init__(self, n_rows: int) -> None:
        self.n_rows, self.stop = n_rows, 0
        self.wholes: list[Tensor] = []

    def add(self, *columns: Tensor) -> None:
        """Append rows to each column."""
        if not self.wholes:
            self.wholes = [
                part.new_empty((self.n_rows, *part.shape[1:])) for part in columns
            ]
        start, self.stop = self.stop, self.stop + len(columns[0])
        for whole, part in zip(self.wholes, columns, strict=True):
            whole[start : self.stop] = part

    @property
    def columns(self) -> list[Tensor]:
        """The columns, up to the last row that was added."""
        return [whole[: self.stop] for whole in self.wholes]

"""What a trained net gives for rows: logits, posteriors, out-of-fold ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from imbalnet._fit.batches import Batch, TableRows, as_tensor
from imbalnet._fit.feed import FoldRows
from imbalnet._reduction import RowsInOne, mean_over_members
from imbalnet._runtime import prediction_threads, torch_threads, use_one_thread
from imbalnet.losses import Loss

# In multiples of this many rows, a matrix product treats each of them the same.
_SAME_KERNEL_ROWS = 64

# Values that a layer gives in prediction: 1 MiB in float32, and 1 GiB.
_CPU_PREDICT_VALUES = 2**18
_GPU_PREDICT_VALUES = 2**28
_GPU_PREDICT_ROWS = 2**16
_ALL_AT_ONCE = 2**62


class InferenceMixin:
    """What a skorch net needs to predict."""

    module_: Any
    criterion_: Any
    device: Any
    dtype: torch.dtype
    is_mixed: bool
    compile: bool
    get_params_for: Callable[[str], dict[str, Any]]
    check_is_fitted: Callable[[], None]
    _set_training: Callable[[bool], None]

    @property
    def n_parameters(self) -> int:
        """Number of the network's parameters."""
        return sum(p.numel() for p in self.module_.parameters())

    @property
    def feature_dtype(self) -> type[np.floating]:
        """The precision of features."""
        return np.float64 if self.dtype is torch.float64 else np.float32

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        """Give logits of shape (batch, n_classes) or (batch, members, n_classes)."""
        return self._logits(self.module_, x)

    def _logits(self, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if self.is_mixed:
            with torch.autocast(torch.device(self.device).type, torch.bfloat16):
                output = forward(x).to(self.dtype)
        else:
            output = forward(x)
        # one column z for two classes stands for the logits (0, z)
        return F.pad(output, (1, 0)) if output.shape[-1] == 1 else output

    def evaluation_step(self, batch: Batch, training: bool = False) -> Tensor:
        """Give the logits of a batch for prediction."""
        self.check_is_fitted()
        self._set_training(training)
        X = batch[0].to(self.device)
        with torch.set_grad_enabled(training):
            return self.infer(X) if training else self._infer_alike(X)

    def _infer_alike(self, X: Tensor) -> Tensor:
        """Give a row the same logits whatever rows come with it.

        Matrix products take other kernels for what is left over of full blocks of
        rows, which sum in another order. Without a standardising layer, whose output
        is aligned, the last bit may still depend on where in memory a row lies.
        """
        missing = -len(X) % _SAME_KERNEL_ROWS
        if not missing:
            return self.infer(X)
        return self.infer(F.pad(X, (0, 0, 0, missing)))[: len(X)]

    def out_of_fold_logits(self, rows: FoldRows) -> Tensor:
        """Give each row's logits of the member that did not train on it.

        Returns
        -------
        Tensor of shape (n_rows, n_classes)
        """
        together = RowsInOne(len(rows.matrix))
        for part in rows.parts(self.get_params_for("iterator_valid")["batch_size"]):
            together.add(self.infer(part))
        return rows.in_order(together.columns[0])

    @torch.inference_mode()
    def out_of_fold_log_posterior(self, rows: FoldRows) -> NDArray[np.float64]:
        """Give out-of-fold log posteriors, each under its member's trained prior.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
        """
        self.check_is_fitted()
        self._set_training(False)
        logits = self.out_of_fold_logits(rows)
        return self.log_posterior(logits.cpu().double()).numpy()

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Give the log posteriors that `logits` stand for under the trained prior."""
        return self._criterion_at(logits).log_posterior(logits)

    def _criterion_at(self, logits: Tensor) -> Loss:
        """Give the loss where the logits are: Apple's GPUs leave float64 to the CPU."""
        if logits.device.type == torch.device(self.device).type:
            return self.criterion_
        return copy.deepcopy(self.criterion_).to(logits.device)

    def predict_log_posterior(
        self,
        X: Any,
        finish: Callable[[Tensor], Tensor] | None = None,
        n_threads: int | None = 1,
    ) -> NDArray[np.float64]:
        """Give log posteriors under the trained prior, in float64.

        Parameters
        ----------
        X : {ndarray, CSR matrix, TableRows} of shape (n_rows, n_features)
            Not copied as a whole. Of :class:`~imbalnet._fit.feed.FoldRows` each is
            predicted by its own member.
        finish : callable or None, default=None
            Turns log posteriors of some rows, which lack a constant a row, into what
            is wanted.
        n_threads : int or None, default=1
            Threads that share the rows on a CPU, see
            :func:`~imbalnet._runtime.prediction_threads`; the bits do not depend on it.

        Returns
        -------
        ndarray of shape (n_rows, n_classes) or (n_rows, members, n_classes)
        """
        if isinstance(X, FoldRows):
            return self.out_of_fold_log_posterior(X)
        self.check_is_fitted()
        self._set_training(False)
        step = self.get_params_for("iterator_valid")["batch_size"]
        step = _ALL_AT_ONCE if step == -1 else step  # as skorch has it
        n_rows = len(X) if isinstance(X, TableRows) else X.shape[0]
        n_threads = prediction_threads(n_threads, n_rows * self.n_parameters)
        first, *others = (slice(i, i + step) for i in range(0, n_rows, step))
        with torch_threads(1):
            part = self._log_posterior_of(X, finish, first)
            result = np.empty((n_rows, *part.shape[1:]))
            result[first] = part

            def fill(rows: slice) -> None:
                result[rows] = self._log_posterior_of(X, finish, rows)

            self._for_each(fill, others, n_threads)
        return result

    def _for_each(
        self, task: Callable[[slice], None], slices: list[slice], n_threads: int
    ) -> None:
        on_cpu = torch.device(self.device).type == "cpu"
        if n_threads > 1 and len(slices) > 1 and on_cpu and not self.compile:
            with ThreadPoolExecutor(n_threads, initializer=use_one_thread) as pool:
                list(pool.map(task, slices))  # raises what the tasks raised
        else:
            for rows in slices:
                task(rows)

    @torch.inference_mode()
    def _log_posterior_of(
        self, X: Any, finish: Callable[[Tensor], Tensor] | None, rows: slice
    ) -> NDArray[np.float64]:
        if isinstance(X, TableRows):
            part = X.features(rows)
        else:
            dense = X[rows].toarray() if sparse.issparse(X) else X[rows]
            part = as_tensor(dense, dtype=self.dtype, device=self.device)
        logits = self._infer_alike(part)
        if logits.device.type == "mps":
            logits = logits.cpu()  # for float64
        if finish is None:
            return self.log_posterior(logits.double()).cpu().numpy()
        scores = self._criterion_at(logits).posterior_scores(logits.double())
        return finish(scores).cpu().numpy()

    def predict_proba(self, X: Any) -> NDArray:
        """Give class probabilities under the trained prior, for skorch's callbacks.

        Out-of-fold rows have theirs under the data's, with members on one level.
        """
        if isinstance(X, FoldRows):
            log_posterior = torch.from_numpy(self.out_of_fold_log_posterior(X))
            return X.aligned(log_posterior).exp().numpy()
        return mean_over_members(np.exp(self.predict_log_posterior(X)))


def rows_at_once(module: nn.Module, device: torch.device) -> int:
    """Give how many rows go through a network that does not train.

    On a CPU so many that what a layer gives stays in the processor's cache, on a GPU
    that it has 1 GiB in float32.
    """
    widths = [
        prod(p.shape[:-2]) * max(p.shape[-2:])
        for p in module.parameters()
        if p.ndim > 1
    ]
    on_cpu = device.type == "cpu"
    values = _CPU_PREDICT_VALUES if on_cpu else _GPU_PREDICT_VALUES
    blocks = values // (_SAME_KERNEL_ROWS * max(widths, default=1))
    most = 128 if on_cpu else _GPU_PREDICT_ROWS // _SAME_KERNEL_ROWS
    return int(np.clip(blocks, 8, most)) * _SAME_KERNEL_ROWS

"""The middle layer of the skorch net: from rows to log posteriors and probabilities.

:mod:`imbalnet._predict` does the work block by block. During a training, callbacks ask
for probabilities of training rows and of out-of-fold rows, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbalnet._calibration import Formula
from imbalnet._fit.feeds.batches import Batch, Table
from imbalnet._fit.feeds.fold_feed import FoldFeed
from imbalnet._fit.net.base import BaseNet
from imbalnet._predict import Concatenation, Predictor, logits_of, loss_at

_ALL_AT_ONCE = 2**62


class PredictingNet(BaseNet):
    """A skorch classifier that predicts log posteriors, and owns the softmax.

    Attributes
    ----------
    formulas : pair of Formula or None
        What makes probabilities of log posteriors before deferred class weights, and
        with them, for the callbacks of a training; None outside.
    is_weighted_phase : bool
        Whether the present epoch has the class weights.
    levels_members : bool
        Whether the estimator brings members to one level (``calibrate``).
    """

    formulas: tuple[Formula, Formula] | None = None
    is_weighted_phase = True
    levels_members = True

    @property
    def predictor(self) -> Predictor:
        """The network in evaluation mode, with its loss."""
        self.check_is_fitted()
        if self.module_.training or self.criterion_.training:
            self._set_training(False)
        block_rows = self.iterator_valid__batch_size
        device = torch.device(self.device)
        return Predictor(
            self.module_,
            self.criterion_,
            device,
            self.dtype,
            self.is_mixed,
            _ALL_AT_ONCE if block_rows == -1 else block_rows,  # as skorch has it
            in_threads=device.type == "cpu" and not self.compile,
        )

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        """Return logits of shape (batch, members, n_classes)."""
        return logits_of(self.module_, x, self.mixed_dtype)

    def evaluation_step(self, batch: Batch, training: bool = False) -> Tensor:
        """Return the logits of a batch, for skorch; a single network has no members."""
        predictor, X = self.predictor, batch[0].to(self.device)
        if not training:
            with torch.no_grad():
                return predictor.steady_logits(X).squeeze(1)
        self._set_training(True)
        return self.infer(X).squeeze(1)

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Return the log posteriors that `logits` stand for under the trained prior."""
        return loss_at(self.criterion_, logits).log_posterior(logits)

    def predict_log_posterior(
        self,
        X: Any,
        finish: Callable[[Tensor, slice], Tensor] | None = None,
        n_threads: int | None = 1,
    ) -> NDArray[np.float64]:
        """Return log posteriors under the trained prior, of a matrix or a `Table`.

        See :meth:`~imbalnet._predict.Predictor.predict`.
        """
        predictor = self.predictor
        if isinstance(X, Table):
            features, n_rows = X.features, len(X)
        else:
            features, n_rows = partial(predictor.features, X), X.shape[0]
        return predictor.predict(features, n_rows, finish=finish, n_threads=n_threads)

    # -- out-of-fold rows --------------------------------------------------------

    def out_of_fold_logits(self, feed: FoldFeed) -> Tensor:
        """Return each row's logits of the member that did not train on it."""
        return feed.in_order(self.member_logits(feed, slice(None)))

    def member_logits(self, feed: FoldFeed, members: slice) -> Tensor:
        """Return the logits of some members for the rows of their folds.

        They have the shape (rows of the longest fold, members, n_classes).
        """
        together = Concatenation(len(feed.matrix))
        for part in feed.parts(self.iterator_valid__batch_size, members):
            together.add(self.infer(part))
        return together.columns[0]

    @torch.inference_mode()
    def out_of_fold_log_posterior(self, feed: FoldFeed) -> NDArray[np.float64]:
        """Return out-of-fold log posteriors, each under its member's trained prior."""
        self.check_is_fitted()
        self._set_training(False)
        logits = self.out_of_fold_logits(feed)
        return self.log_posterior(logits.cpu().double()).numpy()

    # -- probabilities, for callbacks --------------------------------------------

    def predict_proba(self, X: Any) -> NDArray:
        """Return class probabilities, for skorch's callbacks.

        In training they are those that the estimator would give, up to what is fitted
        behind it (temperature, neighbours). Out-of-fold rows have theirs from the
        member that did not train on them, with members on one level where the
        estimator brings them there. Outside of training they are under the trained
        prior, and out-of-fold ones under the data's.
        """
        formula = self.formulas and self.formulas[self.is_weighted_phase]
        feed = X if isinstance(X, FoldFeed) else getattr(X, "fold_feed", None)
        if feed is not None:
            return self._out_of_fold_proba(feed, formula)
        of_members = self.predict_log_posterior(X)
        if formula:
            return formula.apply(torch.from_numpy(of_members)).exp().numpy()
        return np.exp(of_members).mean(axis=1)

    def _out_of_fold_proba(self, feed: FoldFeed, formula: Formula | None) -> NDArray:
        """Return each row's probabilities from the member that did not train on it."""
        log_posterior = torch.from_numpy(self.out_of_fold_log_posterior(feed))
        if formula and not self.levels_members:
            own = formula.apply(log_posterior[:, None], members=feed.folds)
            return own.exp().numpy()
        log_proba = feed.aligned(log_posterior)
        if formula:
            to_target = torch.from_numpy(formula.to_target)
            log_proba = (log_proba + to_target).log_softmax(-1)
        return log_proba.exp().numpy()

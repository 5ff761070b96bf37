"""Prediction by the skorch net: log posteriors and probabilities of rows.

:mod:`imbalnet._predict` computes them block by block. During training, callbacks also
predict training rows and out-of-fold rows.
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

# Rows of a block if there is only one, which skorch represents by -1.
_ALL_ROWS = 2**62


class PredictingNet(BaseNet):
    """A skorch classifier whose module returns logits, and which predicts posteriors.

    Attributes
    ----------
    formulas : pair of Formula or None
        Convert log posteriors to probabilities for callbacks during training: in the
        epochs before deferred class weights, and in those with them. None at other
        times.
    is_weighted_phase : bool
        Whether the class weights are used in the present epoch.
    levels_members : bool
        Whether the calibration fits an offset for each member (``calibrate``).
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
            _ALL_ROWS if block_rows == -1 else block_rows,
            in_threads=device.type == "cpu" and not self.compile,
        )

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        """Return logits of shape (batch, members, n_classes)."""
        return logits_of(self.module_, x, self.mixed_dtype)

    def evaluation_step(self, batch: Batch, training: bool = False) -> Tensor:
        """Return the logits of a batch, for skorch; without the axis of one member."""
        predictor, X = self.predictor, batch[0].to(self.device)
        if not training:
            with torch.no_grad():
                return predictor.steady_logits(X).squeeze(1)
        self._set_training(True)
        return self.infer(X).squeeze(1)

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Compute log posteriors under the learned class prior from logits."""
        return loss_at(self.criterion_, logits).log_posterior(logits)

    def predict_log_posterior(
        self,
        X: Any,
        finish: Callable[[Tensor, slice], Tensor] | None = None,
        n_threads: int | None = 1,
    ) -> NDArray[np.float64]:
        """Predict log posteriors under the learned prior, for a matrix or a `Table`.

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
        """Return the logits of each row from the member that was not trained on it."""
        return feed.in_order(self.member_logits(feed, slice(None)))

    def member_logits(self, feed: FoldFeed, members: slice) -> Tensor:
        """Return the logits of some members for the rows of their folds.

        The shape is (rows of the longest fold, members, n_classes).
        """
        logits = Concatenation(len(feed.matrix))
        for part in feed.parts(self.iterator_valid__batch_size, members):
            logits.add(self.infer(part))
        return logits.columns[0]

    @torch.inference_mode()
    def out_of_fold_log_posterior(self, feed: FoldFeed) -> NDArray[np.float64]:
        """Return out-of-fold log posteriors, each under its member's learned prior."""
        self.check_is_fitted()
        self._set_training(False)
        logits = self.out_of_fold_logits(feed)
        return self.log_posterior(logits.cpu().double()).numpy()

    # -- probabilities, for callbacks --------------------------------------------

    def predict_proba(self, X: Any) -> NDArray:
        """Return class probabilities, for skorch's callbacks.

        During training, these are the probabilities that the estimator would return,
        except that temperature and neighbours are not fitted yet. Each out-of-fold row
        is predicted by the member that was not trained on it, with the offsets of
        members if the calibration fits them. At other times, probabilities are under
        the learned prior, and those of out-of-fold rows under that of the data.
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
        """Return probabilities of each row from the member not trained on it."""
        log_posterior = torch.from_numpy(self.out_of_fold_log_posterior(feed))
        if formula and not self.levels_members:
            own = formula.apply(log_posterior[:, None], members=feed.folds)
            return own.exp().numpy()
        log_proba = feed.aligned(log_posterior)
        if formula:
            to_target = torch.from_numpy(formula.to_target)
            log_proba = (log_proba + to_target).log_softmax(-1)
        return log_proba.exp().numpy()

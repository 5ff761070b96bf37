"""Held-out rows of all members, which are the validation rows of an ensemble.

Each row is predicted by the one member that was not trained on it. The net computes the
scores of epochs from these predictions, and the calibration is fitted to them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import xlogy
from torch import Tensor

from imbalnet._blocks import row_blocks
from imbalnet._fit.feeds.batches import Place
from imbalnet._fit.feeds.feed import Feed
from imbalnet._fit.split import HeldOut
from imbalnet._predict import as_tensor
from imbalnet.posterior import fit_member_offsets, rows_by_fold
from imbalnet.samplers._epochs import index_dtype

_ALL = slice(None)


class FoldFeed(Feed):
    """Rows of which each is predicted by the member that was not trained on it.

    `factors`, `phase_shifts` and `seen` have the shape (members, n_classes). `factors`
    are the weights of the classes in the training of each member. `phase_shifts`, added
    to the members' log posteriors, change their prior to that of the data: the first is
    for the epochs before deferred class weights, the second for those with them. If a
    member has not `seen` a class in training, its held-out rows of the class do not
    count in the scores (None: each member has seen all classes).

    Attributes
    ----------
    loss_weight : Tensor of shape (n_rows,)
        Weights of the mean validation loss.
    known : ndarray of shape (n_known_rows,) or slice
        The rows of classes that their member has seen.
    entropy : float
        Log loss if the class shares are predicted for each row.
    """

    score_weight: NDArray

    def __init__(
        self,
        held_out: HeldOut,
        place: Place,
        factors: NDArray[np.float64],
        phase_shifts: tuple[NDArray, NDArray] | None,
        features: Any = None,
        seen: NDArray[np.bool_] | None = None,
    ) -> None:
        seen = np.ones(factors.shape, dtype=bool) if seen is None else seen
        rows, folds = held_out.rows, held_out.folds
        assert folds is not None
        weight = rows.of(rows.weights)
        super().__init__(rows, place, score_weight=weight, features=features)
        self.folds, self.phase_shifts = folds, phase_shifts
        own = rows.of(rows.codes)
        shares = np.bincount(own, weight, factors.shape[1]) / weight.sum()
        self.n_members, self.class_prior = len(factors), shares
        self.is_stratified = held_out.stratified(*factors.shape)
        self.is_stratified &= seen.all(axis=1)
        is_known = held_out.known(seen)
        self.known = _ALL if is_known.all() else np.flatnonzero(is_known)
        self.entropy = float(-xlogy(shares, shares).sum())
        loss_weight = weight / weight.max() * factors[folds, own]
        self.loss_weight = as_tensor(loss_weight, self.device, dtype=self.dtype)
        self.is_weighted_phase = True
        self.matrix, self.slot = _fold_matrix(folds, self.n_members)

    def use_class_weights(self, is_used: bool) -> None:
        """Set the phase of the log posteriors."""
        self.is_weighted_phase = is_used

    @property
    def X(self) -> Any:  # noqa: N802
        """The features, with this dataset as their attribute `fold_feed`.

        A callback may pass only the features to ``predict_proba`` of the net, which
        needs to know the member of each row.
        """
        features = copy.copy(self.table) if sparse.issparse(self.table) else super().X
        features.fold_feed = self
        return features

    def parts(self, n_rows: int, members: slice = _ALL) -> Iterator[Tensor]:
        """Yield features of shape (rows, members, n_features), of about `n_rows` rows.

        Each member predicts the rows of its own fold. Short folds are filled up with
        other rows, whose outputs are dropped.
        """
        longest, n_members = self.matrix.shape
        step = max(1, n_rows // n_members)
        for start in range(0, longest, step):
            part = self.matrix[start : start + step, members]
            yield self.features(part.flatten()).unflatten(0, part.shape)

    def aligned(self, log_posterior: Tensor) -> Tensor:
        """Correct log posteriors for the priors and the offsets of members, in place.

        Then all are under the class prior of the data. Offsets are not fitted to folds
        whose class shares differ from those of all rows. The change is in place because
        the array is large if there are many classes.
        """
        if self.phase_shifts is not None:
            shifts = self.phase_shifts[self.is_weighted_phase]
            add_by_fold(log_posterior, shifts, self.folds)
        offsets = fit_member_offsets(
            log_posterior.numpy(),
            self.folds,
            self.n_members,
            self.class_prior,
            self.score_weight,
        )
        offsets[~self.is_stratified] = 0.0
        add_by_fold(log_posterior, offsets, self.folds)
        return torch.log_softmax(log_posterior, -1, out=log_posterior)

    def in_order(self, outputs: Tensor) -> Tensor:
        """Return the outputs of `parts` in the order of rows: (n_rows, n_classes)."""
        return outputs.flatten(0, 1).index_select(0, self.slot.to(outputs.device))


def add_by_fold(
    log_posterior: Tensor | NDArray, offsets: NDArray, folds: NDArray[np.integer]
) -> None:
    """Add to the log posteriors of each row the offsets of its fold, in place."""
    values = np.asarray(log_posterior)  # not a copy
    for rows in row_blocks(*values.shape):
        values[rows] += offsets[folds[rows]]


def _fold_matrix(folds: NDArray[np.integer], n_folds: int) -> tuple[Tensor, Tensor]:
    """Return a matrix with a column of rows for each fold, and rows' places in it."""
    rows, is_row = rows_by_fold(folds, n_folds)
    matrix = np.ascontiguousarray(rows.T, dtype=index_dtype(len(folds)))
    slot = np.empty(len(folds), dtype=np.int64)
    slot[matrix[is_row.T]] = np.flatnonzero(is_row.T)
    return torch.from_numpy(matrix), torch.from_numpy(slot)

"""Rows that members have held out, by which the epochs of an ensemble are judged.

Each row is predicted by the one member that did not train on it. The net validates by
them; the calibration reads them once more.
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
    """Rows of which each is predicted by the member that did not train on it.

    `factors`, of shape (members, n_classes), are the weights of a row of each class in
    a member's training. Two `phase_shifts` of that shape bring the members' log
    posteriors under the data's class prior: before deferred class weights, and with
    them. Rows of a class that their member has not `seen`, of that shape too (None: all
    have seen all), do not judge it.

    Attributes
    ----------
    loss_weight : Tensor of shape (n_rows,)
        Weights of the mean validation loss.
    known : ndarray of shape (n_known_rows,) or slice
        The rows of classes that their member knows.
    entropy : float
        Log loss of a prediction that knows the class shares alone.
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
        self.is_stratified &= seen.all(axis=1)  # or the member lacks a class
        is_known = held_out.known(seen)
        self.known = slice(None) if is_known.all() else np.flatnonzero(is_known)
        self.entropy = float(-xlogy(shares, shares).sum())
        loss_weight = weight / weight.max() * factors[folds, own]
        self.loss_weight = as_tensor(loss_weight, self.device, dtype=self.dtype)
        self.is_weighted_phase = True
        self.matrix, self.slot = _fold_matrix(folds, self.n_members)

    def use_class_weights(self, is_used: bool) -> None:
        """Choose the phase that log posteriors come from."""
        self.is_weighted_phase = is_used

    @property
    def X(self) -> Any:  # noqa: N802
        """The features, which tell that each row has a member of its own.

        A callback may ask the net to predict them without the dataset.
        """
        shown = copy.copy(self.table) if sparse.issparse(self.table) else super().X
        shown.fold_feed = self
        return shown

    def parts(self, n_rows: int, members: slice = _ALL) -> Iterator[Tensor]:
        """Yield features for about `n_rows` predictions: (rows, members, n_features).

        Every member has the rows of its own fold. Short folds are filled up with other
        rows, whose outputs are dropped.
        """
        longest, n_members = self.matrix.shape
        step = max(1, n_rows // n_members)
        for start in range(0, longest, step):
            part = self.matrix[start : start + step, members]
            yield self.features(part.flatten()).unflatten(0, part.shape)

    def aligned(self, log_posterior: Tensor) -> Tensor:
        """Bring all rows' log posteriors under one prior, and members to one level.

        They are changed in place: with many classes they are most of the memory. Folds
        with other class shares than the rows keep their level.
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
        """Bring outputs of `parts` into the order of the rows: (n_rows, n_classes)."""
        return outputs.flatten(0, 1).index_select(0, self.slot.to(outputs.device))


def add_by_fold(
    log_posterior: Tensor | NDArray, offsets: NDArray, folds: NDArray[np.integer]
) -> None:
    """Add to the log posteriors of each row the offsets of its fold, in place."""
    values = np.asarray(log_posterior)  # not a copy
    for rows in row_blocks(*values.shape):
        values[rows] += offsets[folds[rows]]


def _fold_matrix(folds: NDArray[np.integer], n_folds: int) -> tuple[Tensor, Tensor]:
    """Put each fold's rows into a column, and return each row's place in the matrix."""
    rows, is_row = rows_by_fold(folds, n_folds)
    matrix = np.ascontiguousarray(rows.T, dtype=index_dtype(len(folds)))
    slot = np.empty(len(folds), dtype=np.int64)
    slot[matrix[is_row.T]] = np.flatnonzero(is_row.T)
    return torch.from_numpy(matrix), torch.from_numpy(slot)

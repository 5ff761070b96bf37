"""Rows of a network or of all members, with the weights of their losses.

`build` chooses the class, and `batches` iterates over the batches. For skorch and its
callbacks, a feed is a dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.dataset import Dataset as SkorchDataset
from torch import Tensor

from imbalnet._fit.feeds.batches import Batch, Place, Table
from imbalnet._predict import as_tensor
from imbalnet._tables import Rows
from imbalnet.samplers import IndexSampler, Shuffle, batch_sizes
from imbalnet.samplers._epochs import (
    EpochRows,
    checked_epoch,
    index_dtype,
    without_single_row,
)

# Members' epochs are cut to the shortest one if they lose at most this share of rows.
_MAX_CUT_SHARE = 0.05


class Feed(Table, SkorchDataset):
    """Rows of one network, for training or for validation.

    `weight` are the loss weights of the table's rows, `early_weight` those of the
    epochs before deferred class weights, `score_weight` those of average precision.
    """

    def __init__(
        self,
        rows: Rows,
        place: Place,
        *,
        weight: NDArray | None = None,
        early_weight: NDArray | None = None,
        score_weight: NDArray | None = None,
        **table: Any,
    ) -> None:
        super().__init__(rows, place, weight=weight, **table)
        self.score_weight = score_weight
        self.weights_by_phase = [self.weight]
        if early_weight is not None:
            early = as_tensor(early_weight, self.weight.device, dtype=self.dtype)
            self.weights_by_phase.insert(0, early)

    def use_class_weights(self, is_used: bool) -> None:
        """Set the loss weights, with or without deferred class weights."""
        self.weight = self.weights_by_phase[-1 if is_used else 0]


class _EnsembleFeed(Feed):
    """Training rows whose class weights differ between members.

    `factors`, times the sample weights, are the loss weights. They are arrays of shape
    ``(members, n_classes)``: one for all epochs, or two, of which the first is for the
    epochs before deferred class weights.
    """

    def __init__(
        self,
        rows: Rows,
        place: Place,
        factors: list[NDArray[np.float64]],
        keeps_sparse: bool = False,
    ) -> None:
        self.is_weighted = rows.weight is not None
        weight, scale = rows.weight, 1.0
        if weight is not None:  # weights of any scale, also beyond that of float32
            scale = weight.max()
            weight = weight / scale
        super().__init__(rows, place, weight=weight, keeps_sparse=keeps_sparse)
        storage = self.codes.device
        self.factors_by_phase = [
            as_tensor(phase * scale, storage, dtype=self.dtype) for phase in factors
        ]
        self.n_members, n_classes = factors[-1].shape
        # position of each member in the flattened factors
        self.offsets = torch.arange(self.n_members, device=storage) * n_classes
        self.use_class_weights(True)

    def use_class_weights(self, is_used: bool) -> None:
        """Set the factors, with or without deferred class weights."""
        self.factors = self.factors_by_phase[-1 if is_used else 0]

    def keep_members(self, which: slice) -> None:
        """Remove the other members from batches, but not from the draws of epochs."""
        self.offsets = self.offsets[which]

    def class_weights(self, codes: Tensor) -> Tensor:
        """Return the factors of class codes, whose last axis is that of members."""
        device = codes.device
        return self.factors.to(device).take(codes + self.offsets.to(device))


class MemberFeed(_EnsembleFeed):
    """Training rows of an ensemble in which each member has its own rows in a batch.

    An epoch is a matrix of positions in the table, with a column for each member.

    Member j is trained on the rows at ``positions[j]`` (None: all), in the order drawn
    by ``orders[j]``. Without orders, all rows are one batch, in which the columns of
    members with fewer rows are filled up with rows of weight 0.
    """

    def __init__(
        self,
        rows: Rows,
        place: Place,
        factors: list[NDArray[np.float64]],
        positions: Sequence[NDArray[np.integer] | None],
        orders: Sequence[Shuffle | IndexSampler] | None,
    ) -> None:
        super().__init__(rows, place, factors)
        self.positions, self.orders = positions, orders
        self.kept = slice(None)
        n_rows = len(rows.codes)
        self.lengths = [n_rows if p is None else len(p) for p in positions]
        if orders is None:
            self.matrix, self.fill = self._one_batch()

    @property
    def values_per_row(self) -> int:
        """Number of features in a row of a batch, summed over members."""
        return self.n_members * self.table.shape[1]

    def keep_members(self, which: slice) -> None:
        """Remove the other members from batches, but not from the draws of epochs."""
        super().keep_members(which)
        self.kept = which
        if self.orders is None:
            self.matrix, self.fill = self.matrix[:, which], self.fill[:, which]

    def take(self, positions: Tensor | slice) -> Batch:
        """Gather the rows at a matrix of positions in the table.

        Without orders, `positions` is a slice of the single batch.
        """
        rows = self.matrix[positions] if isinstance(positions, slice) else positions
        flat = rows.flatten()
        codes = self.codes.index_select(0, flat).view(rows.shape).long()
        weight = self.class_weights(codes)
        if self.is_weighted:
            weight *= self.weight.index_select(0, flat).view(rows.shape)
        if isinstance(positions, slice):
            weight *= self.fill[positions]
        return (
            self._features(flat).unflatten(0, rows.shape),
            self._to_device(codes),
            self._to_device(weight),
        )

    def epoch(self, batch_size: int) -> tuple[Tensor | None, list[int]]:
        """Return the positions of an epoch, a column for each member, and batch sizes.

        If the members' epochs differ little in length, the longer ones are cut.
        Otherwise the shorter ones are continued by another epoch of the member.
        """
        if self.orders is None:
            return None, [len(self.matrix)]
        epochs = [self._epoch_of(j, batch_size) for j in range(self.n_members)]
        lengths = [len(epoch) for epoch in epochs]
        length = min(lengths)
        if max(lengths) - length > max(1, _MAX_CUT_SHARE * max(lengths)):
            length = max(lengths)
        for j, epoch in enumerate(epochs):
            while len(epoch) < length:
                epoch = _continued(epoch, self._epoch_of(j, batch_size))
            epochs[j] = epoch[:length]
        columns, sizes = _aligned(epochs, batch_size)
        return self._table_matrix(columns)[:, self.kept], sizes

    def _epoch_of(self, j: int, batch_size: int) -> EpochRows:
        assert self.orders is not None
        order = self.orders[j]
        drawn = order.epoch(batch_size)
        return checked_epoch(drawn, self.lengths[j], type(order).__name__)

    def _table_matrix(self, columns: list[NDArray]) -> Tensor:
        shape = len(columns[0]), self.n_members
        matrix = np.empty(shape, dtype=index_dtype(len(self.codes)))
        for j, (column, own) in enumerate(zip(columns, self.positions, strict=True)):
            matrix[:, j] = column if own is None else own[column]
        return torch.from_numpy(matrix).to(self.codes.device)

    def _one_batch(self) -> tuple[Tensor, Tensor]:
        """Return the positions of all rows, and factors of their weights.

        The factors make each member's loss the mean over its own rows.
        """
        longest = max(self.lengths)
        columns = [np.arange(longest) % length for length in self.lengths]
        lengths = torch.tensor(self.lengths)
        is_row = torch.arange(longest)[:, None] < lengths
        fill = (is_row * (longest / lengths)).to(self.weight)
        return self._table_matrix(columns), fill


def _continued(epoch: EpochRows, more: EpochRows) -> EpochRows:
    if isinstance(epoch, list):
        return [*epoch, *more]
    return np.concatenate([epoch, np.asarray(more)])


def _aligned(
    epochs: Sequence[EpochRows], batch_size: int
) -> tuple[list[NDArray], list[int]]:
    """Divide members' epochs, of equal length, into batches of equal sizes."""
    if not isinstance(epochs[0], list):
        columns = [np.asarray(epoch) for epoch in epochs]
        return columns, batch_sizes(len(columns[0]), batch_size)
    sizes = [min(len(batch) for batch in same) for same in zip(*epochs, strict=True)]
    columns = [
        np.concatenate([_thinned(b, n) for b, n in zip(epoch, sizes, strict=True)])
        for epoch in epochs
    ]
    return columns, without_single_row(sizes)


def _thinned(batch: NDArray, n_rows: int) -> NDArray:
    """Select rows at equal distances, because a batch may be sorted by class."""
    return batch[np.arange(n_rows) * len(batch) // n_rows]


class SharedFeed(_EnsembleFeed):
    """Training rows of an ensemble whose members share batches.

    A row has weight 0 for the member that holds it out. If the network prepares a batch
    once for all members, this is faster than a batch for each member.
    """

    def __init__(
        self,
        rows: Rows,
        place: Place,
        factors: list[NDArray[np.float64]],
        folds: NDArray[np.integer] | None,
        order: Shuffle | IndexSampler | None = None,
        keeps_sparse: bool = False,
    ) -> None:
        if folds is not None:
            is_held = folds >= 0
            held_out = np.bincount(folds[is_held], minlength=len(factors[-1]))[:, None]
            scale = len(folds) / np.maximum(len(folds) - held_out, 1)
            factors = [phase * scale for phase in factors]
        super().__init__(rows, place, factors, keeps_sparse)
        storage = self.codes.device
        self.order = order
        self.members = torch.arange(self.n_members, device=storage)
        self.folds = None if folds is None else as_tensor(folds, storage)

    def keep_members(self, which: slice) -> None:
        """Remove the weights of the other members from the batches."""
        super().keep_members(which)
        self.members = self.members[which]

    def epoch(self, batch_size: int) -> tuple[Tensor | None, list[int]]:
        """Return positions and batch sizes; sparse rows are one batch."""
        return (None, [len(self)]) if self.keeps_sparse else super().epoch(batch_size)

    def take(self, positions: Tensor | slice) -> Batch:
        """Gather rows, with codes and weights of shape (rows, members)."""
        X, codes, row_weight = super().take(positions)
        codes = codes[:, None].expand(-1, len(self.members))
        weight = self.class_weights(codes)
        if self.is_weighted:
            weight *= row_weight[:, None]
        if self.folds is not None:
            held_out = self.folds[positions][:, None] == self.members
            weight = weight.masked_fill_(self._to_device(held_out), 0.0)
        return X, codes, weight

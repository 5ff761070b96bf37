"""Step 3: what the net reads, batch by batch, built from the plans.

`training_feed` and `validation_feed` choose among: one network's rows (`Feed`), members
with batches of their own (`MemberFeed`) or shared ones (`SharedFeed`), and held-out
folds (`FoldFeed`). skorch's callbacks know them as datasets.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import xlogy
from skorch.dataset import Dataset as SkorchDataset
from torch import Tensor

from imbalnet._blocks import row_blocks
from imbalnet._fit.batches import Batch, Place, Table
from imbalnet._fit.plan import TrainingPlan, loss_factors, seen_classes
from imbalnet._fit.specs import Machine
from imbalnet._fit.split import HeldOut
from imbalnet._predict import as_tensor
from imbalnet._tables import Rows
from imbalnet.posterior import fit_member_offsets, rows_by_fold
from imbalnet.samplers import IndexSampler, Shuffle, batch_sizes
from imbalnet.samplers._epochs import (
    EpochRows,
    checked_epoch,
    index_dtype,
    without_single_row,
)

# Members' epochs are cut to the shortest if no more than this share gets lost.
_MOST_CUT = 0.05
_ALL = slice(None)


def training_feed(
    plans: Sequence[TrainingPlan],
    held_out: HeldOut | None,
    machine: Machine,
    *,
    shares_batches: bool,
    keeps_sparse: bool = False,
) -> Feed:
    """Return the training rows of a network, or of all its members.

    `shares_batches` tells whether the network can prepare a batch once for all members,
    `keeps_sparse` whether the one batch of a sparse table stays sparse; members share
    it then.
    """
    first = plans[0]
    is_one_batch = all(plan.order is None for plan in plans)
    keeps_sparse = keeps_sparse and is_one_batch and sparse.issparse(first.rows.X)
    if len(plans) == 1:
        return _feed_of_one(first, machine, keeps_sparse)
    early_factors = [p.early_factor for p in plans if p.early_factor is not None]
    factors = [np.stack([plan.factor for plan in plans])]
    if early_factors:
        factors.insert(0, np.stack(early_factors))
    is_one_table = all(plan.rows.X is first.rows.X for plan in plans)
    if first.rows.is_large:  # windows are read for all members at once
        place = _place(first.rows, machine)
        return SharedFeed(first.rows, place, factors, None, first.order)
    is_shuffled = all(isinstance(plan.order, Shuffle) for plan in plans)
    if is_one_table and (keeps_sparse or (shares_batches and is_shuffled)):
        folds = None if held_out is None else held_out.folds
        rows = first.rows
        if held_out is not None and folds is not None:
            rows = held_out.rows
        order = None
        if isinstance(first.order, Shuffle):
            order = Shuffle(len(rows), first.order.rng)
        place = _place(rows, machine)
        return SharedFeed(rows, place, factors, folds, order, keeps_sparse)
    rows, positions = in_one_table([plan.rows for plan in plans])
    orders = [plan.order for plan in plans if plan.order is not None] or None
    return MemberFeed(rows, _place(rows, machine), factors, positions, orders)


def _feed_of_one(plan: TrainingPlan, machine: Machine, keeps_sparse: bool) -> Feed:
    """Return the training rows of a network without members."""
    weight, early = (
        None if factor is None else plan.rows.weighted_by_class(factor).weight
        for factor in (plan.factor, plan.early_factor)
    )
    return Feed(
        plan.rows,
        _place(plan.rows, machine),
        weight=weight,
        early_weight=early,
        order=plan.order,
        keeps_sparse=keeps_sparse,
    )


def validation_feed(
    held_out: HeldOut,
    plans: Sequence[TrainingPlan],
    train: Feed,
    phase_shifts: tuple[NDArray, NDArray],
) -> Feed:
    """Return the rows that epochs are judged by; see :class:`FoldFeed`.

    They share the features of the training rows on the device, where the table is one.
    """
    held_out = held_out.judged
    rows = held_out.rows
    features = train.table if rows.X is plans[0].rows.X else None
    place = Place(train.dtype, train.device, train.is_resident)
    if held_out.folds is not None:
        return fold_feed(held_out, plans, place, phase_shifts, features)
    weight = rows.weighted_by_class(loss_factors(plans).mean(axis=0)).weight
    return Feed(
        rows,
        place,
        weight=weight,
        score_weight=rows.of(rows.weights),
        features=features,
    )


def fold_feed(
    held_out: HeldOut,
    plans: Sequence[TrainingPlan],
    place: Place,
    phase_shifts: tuple[NDArray, NDArray] | None = None,
    features: Any = None,
) -> FoldFeed:
    """Return the rows of all folds, weighed as each member weighs its training rows."""
    factors, seen = loss_factors(plans), seen_classes(plans)
    return FoldFeed(held_out, place, factors, phase_shifts, features, seen)


def in_one_table(
    parts: Sequence[Rows],
) -> tuple[Rows, list[NDArray[np.integer] | None]]:
    """Bring members' training rows into one table, which most share anyway.

    Returns the rows of the table, and the positions of each member's (None: all).
    """
    first = parts[0]
    if all(part.X is first.X for part in parts):
        return replace(first, index=None), [part.index for part in parts]
    tables = [part.of(part.X) for part in parts]
    is_sparse = sparse.issparse(first.X)
    X = sparse.vstack(tables, "csr") if is_sparse else np.concatenate(tables)
    codes = np.concatenate([part.of(part.codes) for part in parts])
    weight = np.concatenate([part.of(part.weights) for part in parts])
    stops = np.cumsum([len(part) for part in parts])
    ends = zip(parts, stops, strict=True)
    positions: list[Any] = [np.arange(stop - len(part), stop) for part, stop in ends]
    return Rows(X, codes, weight), positions


def _place(rows: Rows, machine: Machine) -> Place:
    return Place.of(rows.X, machine.dtype, machine.device)


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
        """Choose the loss weights before deferred class weights, or with them."""
        self.weight = self.weights_by_phase[-1 if is_used else 0]


class _EnsembleFeed(Feed):
    """Training rows whose classes have a weight of their own for each member.

    `factors` turn sample weights into each member's loss weights, each of shape
    ``(members, n_classes)``: the last for most epochs, the first of two for those
    before deferred class weights.
    """

    def __init__(
        self,
        rows: Rows,
        place: Place,
        factors: list[NDArray[np.float64]],
        keeps_sparse: bool = False,
    ) -> None:
        self.is_weighted = rows.weight is not None
        unit = rows.weight.max() if rows.weight is not None else 1.0
        # float32 does not hold every scale
        weight = rows.weight / unit if rows.weight is not None else None
        super().__init__(rows, place, weight=weight, keeps_sparse=keeps_sparse)
        home = self.codes.device
        self.factors_by_phase = [
            as_tensor(phase * unit, home, dtype=self.dtype) for phase in factors
        ]
        self.n_members, n_classes = factors[-1].shape
        self.first = torch.arange(self.n_members, device=home) * n_classes
        self.use_class_weights(True)

    def use_class_weights(self, is_used: bool) -> None:
        """Choose the factors of the phase."""
        self.factors = self.factors_by_phase[-1 if is_used else 0]

    def keep_members(self, which: slice) -> None:
        """Leave the other members out of the batches; epochs are those of all."""
        self.first = self.first[which]

    def class_weights(self, codes: Tensor) -> Tensor:
        """Return the factor of each row's class; `codes` end in the axis of members."""
        device = codes.device
        return self.factors.to(device).take(codes + self.first.to(device))


class MemberFeed(_EnsembleFeed):
    """Training rows of an ensemble: in a batch each member has rows of its own.

    An epoch is a matrix of row numbers with a column for each member. All members draw
    from one table.

    Member j trains on the rows at ``positions[j]`` (None: all), as ``orders[j]`` draws
    them. Without orders every member has its rows in one batch, where those who have
    fewer are filled up with rows of weight 0.
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
        """Features in a row of a batch, for all members together."""
        return self.n_members * self.table.shape[1]

    def keep_members(self, which: slice) -> None:
        """Leave the other members out of the batches; epochs are those of all."""
        super().keep_members(which)
        self.kept = which
        if self.orders is None:
            self.matrix, self.fill = self.matrix[:, which], self.fill[:, which]

    def take(self, positions: Tensor | slice) -> Batch:
        """Gather the rows of an epoch: a matrix of the table's row numbers.

        A slice cuts the one batch of those that have no order.
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
        """Return an epoch's table rows, a column a member, and its batch sizes.

        Members whose epochs are longer leave out rows at its end, if those are few;
        otherwise the others go on with another epoch of theirs.
        """
        if self.orders is None:
            return None, [len(self.matrix)]
        epochs = [self._epoch_of(j, batch_size) for j in range(self.n_members)]
        lengths = [len(epoch) for epoch in epochs]
        length = min(lengths)
        if max(lengths) - length > max(1, _MOST_CUT * max(lengths)):
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
        """Return the matrix of all rows, and what makes each member's loss a mean."""
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
    """Cut members' epochs, of one length, into batches of the same sizes."""
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
    """Leave rows out all along a batch: it may stand class by class."""
    return batch[np.arange(n_rows) * len(batch) // n_rows]


class SharedFeed(_EnsembleFeed):
    """Training rows of an ensemble whose members see the same batches.

    A row has weight 0 for the member that holds it out. That wastes less of a step than
    rows of their own would cost a network that prepares them once for all its members.

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
        home = self.codes.device
        self.order = order
        self.members = torch.arange(self.n_members, device=home)
        self.folds = None if folds is None else as_tensor(folds, home)

    def keep_members(self, which: slice) -> None:
        """Leave the weights of the other members out of the batches."""
        super().keep_members(which)
        self.members = self.members[which]

    def epoch(self, batch_size: int) -> tuple[Tensor | None, list[int]]:
        """Return an epoch's rows; sparse ones are one batch, of all members' rows."""
        return (None, [len(self)]) if self.keeps_sparse else super().epoch(batch_size)

    def take(self, positions: Tensor | slice) -> Batch:
        """Gather rows, and their class and weight for each member (two axes)."""
        X, codes, row_weight = super().take(positions)
        codes = codes[:, None].expand(-1, len(self.members))
        weight = self.class_weights(codes)
        if self.is_weighted:
            weight *= row_weight[:, None]
        if self.folds is not None:
            held_out = self.folds[positions][:, None] == self.members
            weight = weight.masked_fill_(self._to_device(held_out), 0.0)
        return X, codes, weight


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

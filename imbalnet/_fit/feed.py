"""Table rows as the net trains on them, and as skorch's callbacks know them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import xlogy
from skorch.dataset import Dataset as SkorchDataset
from torch import Tensor

from imbalnet._fit.batches import Batch, TableRows, as_tensor
from imbalnet.posterior import fit_member_offsets, rows_by_fold
from imbalnet.samplers._epochs import (
    EpochOrder,
    EpochRows,
    batch_sizes,
    checked_epoch,
    index_dtype,
    without_single_row,
)

# Members' epochs are cut to the shortest if no more than this share gets lost.
_MOST_CUT = 0.05


class NetRows(TableRows, SkorchDataset):
    """Table rows that skorch's callbacks know for a dataset.

    ``score_weight`` are the sample weights alone, by which validation rows are scored;
    ``phase_weights`` are the loss weights without class weights and with them, where
    some epochs train without.
    """

    score_weight: NDArray | None = None
    phase_weights: tuple[Tensor, Tensor] | None = None

    def use_class_weights(self, is_used: bool) -> None:
        """Choose between the loss weights of the phases, where there are two."""
        if self.phase_weights is not None:
            self.weight = self.phase_weights[is_used]


class EnsembleRows(NetRows):
    """Training rows of an ensemble, whose classes weigh something for each member.

    Parameters
    ----------
    table : {ndarray, CSR matrix, Tensor} of shape (n_table_rows, n_features)
    codes : ndarray of shape (n_table_rows,)
    weight : ndarray of shape (n_table_rows,)
        Sample weights.
    index : ndarray of int or None, default=None
        The table's rows that are meant; None is all.
    factors : ndarray of shape (members, n_classes)
        Turn sample weights into each member's loss weights.
    early_factors : ndarray of shape (members, n_classes) or None, default=None
        The same for the epochs before deferred class weights.
    **place
        ``order``, ``dtype``, ``device``, ``resident``, see :class:`TableRows`.
    """

    def __init__(
        self,
        table: Any,
        codes: NDArray,
        weight: NDArray,
        index: NDArray | None = None,
        *,
        factors: NDArray[np.float64],
        early_factors: NDArray[np.float64] | None = None,
        **place: Any,
    ) -> None:
        self.is_weighted = weight.strides != (0,)  # not one number, repeated
        unit = weight.max()  # float32 does not hold every scale
        weight = weight / unit if self.is_weighted else weight
        super().__init__(table, codes, weight, index, **place)
        phases = [factors] if early_factors is None else [early_factors, factors]
        self.phase_factors = [
            as_tensor(phase * unit, self.codes.device, dtype=self.dtype)
            for phase in phases
        ]
        self.n_members, n_classes = factors.shape
        self.first = torch.arange(self.n_members, device=self.codes.device) * n_classes
        self.use_class_weights(True)

    def use_class_weights(self, is_used: bool) -> None:
        """Choose between the factors of the phases, where there are two."""
        self.factors = self.phase_factors[-1 if is_used else 0]

    def class_weights(self, codes: Tensor) -> Tensor:
        """Give the factor of each row's class; `codes` end in the axis of members."""
        device = codes.device
        return self.factors.to(device).take(codes + self.first.to(device))


class MemberRows(EnsembleRows):
    """Training rows of an ensemble: in a batch each member has its own.

    An epoch is a matrix of row numbers with a column for each member. All members draw
    from one table.

    Parameters
    ----------
    table : {ndarray, CSR matrix, Tensor} of shape (n_table_rows, n_features)
    codes : ndarray of shape (n_table_rows,)
    weight : ndarray of shape (n_table_rows,)
        Sample weights.
    index : ndarray of int or None, default=None
        The table's rows that any member trains on; None is all.
    places : sequence of ndarray of shape (n_rows_of_member,) or None
        The table's rows that each member trains on; None is all.
    orders : sequence of EpochOrder or None
        Draw from each member's rows. None gives every member its rows in one batch,
        where those who have fewer are filled up with rows of weight 0.
    **params
        ``factors``, ``early_factors`` and place, see :class:`EnsembleRows`.
    """

    def __init__(
        self,
        table: Any,
        codes: NDArray,
        weight: NDArray,
        index: NDArray | None = None,
        *,
        places: Sequence[NDArray[np.integer] | None],
        orders: Sequence[EpochOrder] | None,
        **params: Any,
    ) -> None:
        super().__init__(table, codes, weight, index, **params)
        self.places, self.orders = places, orders
        self.lengths = [len(codes) if p is None else len(p) for p in places]
        if orders is None:
            self.matrix, self.fill = self._one_batch()

    @property
    def values_per_row(self) -> int:
        """Features that a row of a batch holds, for all members together."""
        return self.n_members * self.table.shape[1]

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
        """Give an epoch's table rows, a column a member, and the sizes of its batches.

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
        return self._table_matrix(columns), sizes

    def _epoch_of(self, j: int, batch_size: int) -> EpochRows:
        assert self.orders is not None
        order = self.orders[j]
        drawn = order.epoch(batch_size)
        return checked_epoch(drawn, self.lengths[j], type(order).__name__)

    def _table_matrix(self, columns: list[NDArray]) -> Tensor:
        shape = len(columns[0]), self.n_members
        matrix = np.empty(shape, dtype=index_dtype(len(self.codes)))
        for j, (column, place) in enumerate(zip(columns, self.places, strict=True)):
            matrix[:, j] = column if place is None else place[column]
        return torch.from_numpy(matrix).to(self.codes.device)

    def _one_batch(self) -> tuple[Tensor, Tensor]:
        """Give the matrix of all rows, and what makes each member's loss a mean."""
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


class SharedRows(EnsembleRows):
    """Training rows of an ensemble whose members see the same batches.

    A row weighs nothing for the member that holds it out. What that wastes of a step
    is less than what rows of their own cost a network that prepares them once for all
    its members.

    Parameters
    ----------
    table : {ndarray, CSR matrix, Tensor} of shape (n_table_rows, n_features)
    codes : ndarray of shape (n_table_rows,)
    weight : ndarray of shape (n_table_rows,)
        Sample weights.
    index : ndarray of int or None, default=None
        The table's rows that are meant; None is all.
    folds : ndarray of shape (n_rows,) or None
        The member that holds each row out; None holds out nothing.
    factors, early_factors, **place
        See :class:`EnsembleRows`.
    """

    def __init__(
        self,
        table: Any,
        codes: NDArray,
        weight: NDArray,
        index: NDArray | None = None,
        *,
        folds: NDArray[np.integer] | None,
        factors: NDArray[np.float64],
        early_factors: NDArray[np.float64] | None = None,
        **place: Any,
    ) -> None:
        if folds is not None:
            held_out = np.bincount(folds, minlength=len(factors))[:, None]
            scale = len(folds) / np.maximum(len(folds) - held_out, 1)
            factors = factors * scale
            early_factors = None if early_factors is None else early_factors * scale
        params: dict[str, Any] = {"factors": factors, "early_factors": early_factors}
        super().__init__(table, codes, weight, index, **params, **place)
        home = self.codes.device
        self.members = torch.arange(self.n_members, device=home)
        self.folds = None if folds is None else as_tensor(folds, home)

    def take(self, positions: Tensor | slice) -> Batch:
        """Gather rows, and what they are and weigh for each member.

        Returns
        -------
        X : Tensor of shape (n_rows, n_features)
        codes, weight : Tensor of shape (n_rows, members)
        """
        X, codes, row_weight = super().take(positions)
        codes = codes[:, None].expand(-1, self.n_members)
        weight = self.class_weights(codes)
        if self.is_weighted:
            weight *= row_weight[:, None]
        if self.folds is not None:
            held_out = self.folds[positions][:, None] == self.members
            weight = weight.masked_fill_(self._to_device(held_out), 0.0)
        return X, codes, weight


class FoldRows(NetRows):
    """Rows of which each is predicted by the member that did not train on it.

    Parameters
    ----------
    table : {ndarray, CSR matrix, Tensor} of shape (n_table_rows, n_features)
    codes : ndarray of shape (n_table_rows,)
    weight : ndarray of shape (n_table_rows,)
        Sample weights.
    index : ndarray of int or None, default=None
        The table's rows that are meant; None is all.
    folds : ndarray of shape (n_rows,)
        The member of each row.
    factors : ndarray of shape (members, n_classes)
        What a member's row of each class weighs in its training.
    **place
        ``dtype``, ``device``, ``resident``, see :class:`TableRows`.

    Attributes
    ----------
    loss_weight : Tensor of shape (n_rows,)
        By which validation losses are averaged.
    entropy : float
        Log loss of a prediction that knows the class shares alone.
    phase_shifts : tuple of two ndarray of shape (members, n_classes) or None
        What brings members' log posteriors under one prior, in the epochs before
        deferred class weights and with them.
    """

    score_weight: NDArray
    phase_shifts: tuple[NDArray, NDArray] | None = None

    def __init__(
        self,
        table: Any,
        codes: NDArray,
        weight: NDArray,
        index: NDArray | None = None,
        *,
        folds: NDArray[np.integer],
        factors: NDArray[np.float64],
        **place: Any,
    ) -> None:
        super().__init__(table, codes, weight, index, **place)
        self.folds = folds
        self.score_weight = weight if index is None else weight[index]
        own = codes if index is None else codes[index]
        counts = np.bincount(own, self.score_weight, factors.shape[1])
        shares = counts / self.score_weight.sum()
        self.n_members, self.class_prior = len(factors), shares
        self.entropy = float(-xlogy(shares, shares).sum())
        unit = self.score_weight.max()
        loss_weight = self.score_weight / unit * factors[folds, own]
        self.loss_weight = as_tensor(loss_weight, self.device, dtype=self.dtype)
        self.is_weighted_phase = True
        self.matrix, self.slot = _fold_matrix(folds, len(factors))

    def use_class_weights(self, is_used: bool) -> None:
        """Know the phase of training."""
        self.is_weighted_phase = is_used

    def parts(self, n_rows: int) -> Iterator[Tensor]:
        """Gather the features for about `n_rows` predictions at a time.

        Yields
        ------
        Tensor of shape (n_part_rows, members, n_features)
            Every member has rows of its own fold. Short folds end in other rows, for
            the shape.
        """
        longest, n_members = self.matrix.shape
        step = max(1, n_rows // n_members)
        for start in range(0, longest, step):
            part = self.matrix[start : start + step]
            yield self.features(part.flatten()).unflatten(0, part.shape)

    def aligned(self, log_posterior: Tensor) -> Tensor:
        """Bring all rows' log posteriors under one prior, and members to one level."""
        if self.phase_shifts is not None:
            shift = self.phase_shifts[self.is_weighted_phase][self.folds]
            log_posterior = log_posterior + torch.from_numpy(shift)
        offsets = fit_member_offsets(
            log_posterior.numpy(),
            self.folds,
            self.n_members,
            self.class_prior,
            self.score_weight,
        )
        log_posterior = log_posterior + torch.from_numpy(offsets[self.folds])
        return log_posterior.log_softmax(-1)

    def in_order(self, outputs: Tensor) -> Tensor:
        """Bring what the `parts` gave into the order of the rows.

        Parameters
        ----------
        outputs : Tensor of shape (n_longest_fold, members, n_classes)

        Returns
        -------
        Tensor of shape (n_rows, n_classes)
        """
        return outputs.flatten(0, 1).index_select(0, self.slot.to(outputs.device))


def _fold_matrix(folds: NDArray[np.integer], n_folds: int) -> tuple[Tensor, Tensor]:
    """Put each fold's rows into a column, and tell where each row went.

    Returns
    -------
    matrix : Tensor of shape (n_longest_fold, n_folds)
        Short columns end in another row.
    slot : Tensor of shape (n_rows,)
        Positions in the flattened matrix.
    """
    rows, is_row = rows_by_fold(folds, n_folds)
    matrix = np.ascontiguousarray(rows.T, dtype=index_dtype(len(folds)))
    slot = np.empty(len(folds), dtype=np.int64)
    slot[matrix[is_row.T]] = np.flatnonzero(is_row.T)
    return torch.from_numpy(matrix), torch.from_numpy(slot)

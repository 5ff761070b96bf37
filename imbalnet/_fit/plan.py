"""From validated rows to what the net trains on: split, resample, weigh.

The order is the point: the validation rows leave first, so that neither counts, nor
weights, nor samplers, nor synthetic rows know anything of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from imbalnet._fit.split import stratified_folds, stratified_split
from imbalnet._tables.read import Rows, resampled_matrix
from imbalnet._warn import warn
from imbalnet.class_weights import ClassWeight, class_weights
from imbalnet.samplers import IndexSampler, bound, checked_rates, resample
from imbalnet.samplers._epochs import EpochOrder, Shuffle

# Up to this many rows, "auto" trains in one full batch, where a sampler's rates enter
# as weights: the expectation of the draw, without its noise.
FULL_BATCH_ROWS = 64


def hold_out(
    rows: Rows, fraction: float, classes: NDArray, seed: int
) -> tuple[Rows, Rows]:
    """Split the validation rows off, class by class.

    Raises
    ------
    ValueError
        If no class has two rows.

    Warns
    -----
    UserWarning
        If a class is too small to be split and stays in training whole.
    """
    rng = np.random.default_rng(seed)
    train, valid, unsplit = stratified_split(rows.of(rows.codes), fraction, rng)
    if not len(valid):
        raise ValueError(
            "early_stopping needs validation rows, but no class has two rows to split; "
            "set early_stopping=False or give X_val and y_val."
        )
    if len(unsplit):
        warn(
            f"The classes {classes[unsplit].tolist()} have a single row each, which "
            "stays in training: validation does not see them."
        )
    return rows.subset(train), rows.subset(valid)


@dataclass(frozen=True)
class Folds:
    """Rows of which each is held out by one member of an ensemble.

    Attributes
    ----------
    rows : Rows
        With their sample weights.
    folds : ndarray of shape (n_rows,)
        The member of each row.
    """

    rows: Rows
    folds: NDArray[np.integer]

    @classmethod
    def of(cls, rows: Rows, n_members: int, seed: int) -> Folds:
        """Deal rows to the members, class by class."""
        rng = np.random.default_rng(seed)
        return cls(rows, stratified_folds(rows.of(rows.codes), n_members, rng))


@dataclass(frozen=True)
class ClassCounts:
    """Weighted class counts; they add up over the calls of ``partial_fit``.

    Attributes
    ----------
    seen : ndarray of shape (n_classes,)
        In the training rows as they came.
    delivered : ndarray of shape (n_classes,)
        In an epoch, behind the sampler.
    drawn : ndarray of shape (n_classes,)
        Rows that an epoch draws, unweighted.
    """

    seen: NDArray[np.float64]
    delivered: NDArray[np.float64]
    drawn: NDArray[np.float64]

    def plus(self, other: ClassCounts | None) -> ClassCounts:
        """Add the counts of earlier rows."""
        if other is None:
            return self
        return ClassCounts(
            self.seen + other.seen,
            self.delivered + other.delivered,
            self.drawn + other.drawn,
        )


@dataclass(frozen=True)
class TrainingPlan:
    """What one training run learns from.

    Attributes
    ----------
    sampled : Rows
        Training rows after resampling; ``weight`` is the sample weight.
    order : EpochOrder or None
        Draws the epochs; None is one full batch.
    batch_size : int
    class_counts : ClassCounts
    class_weight : ndarray of shape (n_classes,)
        Computed from what the sampler delivers.
    loss_factor : ndarray of shape (n_classes,)
        ``class_weight * sampling rate``, which a validation row of the class weighs.
    factor : ndarray of shape (n_classes,)
        Turns sample weights into loss weights, of mean 1 over what an epoch draws
        (with ``partial_fit``: over all that was drawn so far).
    early_factor : ndarray of shape (n_classes,) or None
        The same without class weights, for the epochs before deferred ones.
    """

    sampled: Rows
    order: EpochOrder | None
    batch_size: int
    class_counts: ClassCounts
    class_weight: NDArray[np.float64]
    loss_factor: NDArray[np.float64]
    factor: NDArray[np.float64]
    early_factor: NDArray[np.float64] | None

    @cached_property
    def rows(self) -> Rows:
        """Training rows with their loss weights."""
        return self.sampled.weighted_by_class(self.factor)

    @property
    def early_weight(self) -> NDArray[np.floating] | None:
        """Loss weights before deferred ones; shape ``(n_table_rows,)``."""
        if self.early_factor is None:
            return None
        return self.sampled.weighted_by_class(self.early_factor).weight


def plan_training(
    rows: Rows,
    classes: NDArray,
    *,
    sampler: Any,
    class_weight: ClassWeight,
    weight_params: dict[str, Any],
    batch_size: int | str,
    full_batch: bool,
    earlier: ClassCounts | None,
    seed: int,
    defers_weights: bool = False,
) -> TrainingPlan:
    """Resample, weigh and order the training rows.

    The batch size comes first (an automatic one from the rows that an epoch draws),
    then the sampling rates, which may depend on it, then the class weights. These are
    computed from what the sampler delivers, so that a balancing sampler with
    ``class_weight="balanced"`` does not balance twice. With the sum n_c of the sample
    weights of class c, the rate r_c at which the sampler draws its rows, and the class
    weight w_c of the counts n_c * r_c, the network learns under a prior ∝ n_c * r_c *
    w_c; "balanced" weights make it uniform behind every sampler.

    Parameters
    ----------
    rows : Rows
        Training rows; ``weight`` is the sample weight.
    classes : ndarray of shape (n_classes,)
        The sorted labels.
    sampler : IndexSampler, imbalanced-learn sampler or None
        An imbalanced-learn sampler is applied here, once.
    class_weight, weight_params
        See :func:`imbalnet.class_weights.class_weights`.
    batch_size : int or "auto"
    full_batch : bool
        Whether ``"auto"`` means one batch of all rows, however many they are.
    earlier : ClassCounts or None
        Of earlier calls of ``partial_fit``.
    seed : int
        Of the resampling and of the draws.
    defers_weights : bool, default=False
        Whether the first epochs train without class weights.
    """
    n_classes = len(classes)
    seen = rows.counts(n_classes)
    if sampler is not None and not isinstance(sampler, IndexSampler):
        rows, sampler = _resampled(rows, sampler, classes, seed), None
    codes = rows.of(rows.codes)
    one_batch = batch_size == "auto" and (full_batch or len(codes) <= FULL_BATCH_ROWS)
    order = _order(sampler, codes, seed)
    counted, n_rows = rows.counts(n_classes), np.bincount(codes, minlength=n_classes)
    size = _batch_size(batch_size, order.epoch_rows(n_rows), one_batch)
    # a draw goes by rows, a weight by weights
    rates = checked_rates(order, counted if one_batch else n_rows, size)
    n_drawn = np.asarray(n_rows * (1.0 if one_batch else rates), dtype=np.float64)
    counts = ClassCounts(seen, counted * rates, n_drawn).plus(earlier)
    weights = class_weights(
        counts.delivered, class_weight, classes=classes, **weight_params
    )
    in_batch = rates if one_batch else 1.0
    early = None
    if defers_weights:
        early = _loss_factor(np.ones(n_classes), counts, in_batch)
    return TrainingPlan(
        sampled=rows,
        order=None if one_batch else order,
        batch_size=len(codes) if one_batch else size,
        class_counts=counts,
        class_weight=weights,
        loss_factor=weights * counted * rates / np.where(seen > 0, seen, 1.0),
        factor=_loss_factor(weights, counts, in_batch),
        early_factor=early,
    )


def plan_members(
    rows: Rows,
    classes: NDArray,
    n_members: int,
    folds: NDArray[np.integer] | None,
    *,
    new_sampler: Callable[[], Any],
    earlier: Sequence[ClassCounts] | None,
    batch_size: int | str,
    full_batch: bool,
    seed: int,
    **params: Any,
) -> tuple[TrainingPlan, ...]:
    """Plan for each member of an ensemble what it learns from.

    The members' steps are taken together, so that the first one's plan settles the
    batch size of all.

    Parameters
    ----------
    rows : Rows
    classes : ndarray of shape (n_classes,)
    n_members : int
    folds : ndarray of shape (n_rows,) or None
        The fold of each row; member j learns from the rows outside fold j. None lets
        all learn from all rows.
    new_sampler : callable
        Gives each member a sampler of its own.
    earlier : sequence of ClassCounts or None
        One of each member.
    batch_size, full_batch, seed, **params
        See :func:`plan_training`.

    Returns
    -------
    tuple of TrainingPlan
    """
    seeds = np.random.SeedSequence(seed).generate_state(n_members)
    plans: list[TrainingPlan] = []
    for j in range(n_members):
        plan = plan_training(
            rows if folds is None else rows.subset(np.flatnonzero(folds != j)),
            classes,
            sampler=new_sampler(),
            earlier=None if earlier is None else earlier[j],
            batch_size=batch_size,
            full_batch=full_batch,
            seed=int(seeds[j]),
            **params,
        )
        plans.append(plan)
        full_batch = plan.order is None
        batch_size = "auto" if full_batch else plan.batch_size
    return tuple(plans)


def in_one_table(
    plans: Sequence[TrainingPlan],
) -> tuple[Rows, list[NDArray[np.integer] | None]]:
    """Bring the members' training rows into one table, which most share anyway.

    Returns
    -------
    rows : Rows
        With sample weights.
    places : list of ndarray of shape (n_rows_of_member,) or None
        Where in the table each member's rows stand; None is the whole table.
    """
    parts = [plan.sampled for plan in plans]
    first = parts[0]
    if all(part.X is first.X for part in parts):
        return replace(first, index=None), [part.index for part in parts]
    tables = [part.of(part.X) for part in parts]
    is_sparse = sparse.issparse(first.X)
    X = sparse.vstack(tables, "csr") if is_sparse else np.concatenate(tables)
    codes = np.concatenate([part.of(part.codes) for part in parts])
    weight = np.concatenate([part.of(part.weight) for part in parts])
    stops = np.cumsum([len(part) for part in parts])
    ends = zip(parts, stops, strict=True)
    places: list[Any] = [np.arange(stop - len(part), stop) for part, stop in ends]
    return Rows(X, codes, weight), places


def _batch_size(batch_size: int | str, epoch_rows: Any, one_batch: bool) -> int:
    if not isinstance(epoch_rows, Integral) or epoch_rows < 1:
        raise ValueError(
            f"sampler: epoch_rows must give the number of rows that an epoch draws, an "
            f"integer of at least 1, but gave {epoch_rows!r}."
        )
    epoch_rows = int(epoch_rows)
    if one_batch:
        return epoch_rows
    return _auto_batch_size(epoch_rows) if batch_size == "auto" else int(batch_size)


def _loss_factor(
    class_weight: NDArray, counts: ClassCounts, in_batch: Any
) -> NDArray[np.float64]:
    """Turn sample weights into loss weights; in one batch the rates are among them."""
    norm = counts.delivered @ class_weight / counts.drawn.sum()
    return class_weight * in_batch / (norm if norm > 0 else 1.0)


def _resampled(rows: Rows, resampler: Any, classes: NDArray, seed: int) -> Rows:
    X, codes, weight = resample(
        resampler,
        rows.features(),
        rows.of(rows.codes).astype(np.intp),
        rows.of(rows.weight),
        classes,
        seed,
    )
    maker = f"sampler={type(resampler).__name__}()"
    X = resampled_matrix(X, rows, maker)
    return Rows(X, codes, weight, columns=rows.columns)


def _order(
    sampler: IndexSampler | None, codes: NDArray[np.integer], seed: int
) -> Shuffle | IndexSampler:
    rng = np.random.default_rng(seed)
    if sampler is None:
        return Shuffle(len(codes), rng)
    return bound(sampler, codes.astype(np.intp), rng)


def _auto_batch_size(epoch_rows: int) -> int:
    """Grow the batch with the epoch: noise for small data, throughput for large."""
    if epoch_rows >= 24_000:
        return 512
    if epoch_rows >= 8_000:
        return 256
    return int(np.clip(epoch_rows // 8, 16, 128))

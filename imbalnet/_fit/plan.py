"""Step 2: resample, weigh and order the training rows of each member.

Validation rows were split off before, so that they influence neither counts, weights,
samplers nor synthetic rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbalnet._checks import is_integer
from imbalnet._fit.specs import Levers
from imbalnet._tables import Rows, resampled_matrix
from imbalnet.class_weights import class_weights
from imbalnet.losses import ClassShares, Loss
from imbalnet.posterior import effective_prior
from imbalnet.samplers import IndexSampler, Shuffle
from imbalnet.samplers._build import bind_sampler, sampler_rates
from imbalnet.samplers._epochs import BlockShuffle
from imbalnet.samplers.resamplers import resample

# Up to this many rows, an epoch is one batch unless the user passes a size. Rows are
# then weighted by the rates of a sampler, the expectation of its draws, not drawn.
FULL_BATCH_ROWS = 64


@dataclass(frozen=True)
class ClassCounts:
    """Weighted class counts; they add up over the calls of ``partial_fit``.

    Attributes
    ----------
    delivered : ndarray of shape (n_classes,)
        Weighted counts of an epoch, after sampling.
    drawn : ndarray of shape (n_classes,)
        Unweighted counts of the rows that an epoch draws.
    """

    delivered: NDArray[np.float64]
    drawn: NDArray[np.float64]

    def plus(self, other: ClassCounts | None) -> ClassCounts:
        """Add the counts of earlier rows."""
        if other is None:
            return self
        return ClassCounts(self.delivered + other.delivered, self.drawn + other.drawn)


@dataclass(frozen=True)
class TrainingPlan:
    """Training rows, order and weights of one network or member.

    Attributes
    ----------
    rows : Rows
        Training rows after resampling, with their sample weights.
    order : {Shuffle, IndexSampler} or None
        Draws the epochs; None is one full batch.
    batch_size : int
    class_counts : ClassCounts
    class_weight : ndarray of shape (n_classes,)
        Class weights, from the counts after sampling.
    loss_factor : ndarray of shape (n_classes,)
        ``class_weight * sampling rate``: the weight of a validation row of the class.
    factor : ndarray of shape (n_classes,)
        Factor from sample weights to loss weights. Times the class weights of a loss of
        torch, loss weights have mean 1 over the rows that an epoch draws (with
        ``partial_fit``: over all rows drawn so far).
    early_factor : ndarray of shape (n_classes,) or None
        The same without class weights, for the epochs before deferred ones.
    """

    rows: Rows
    order: Shuffle | IndexSampler | None
    batch_size: int
    class_counts: ClassCounts
    class_weight: NDArray[np.float64]
    loss_factor: NDArray[np.float64]
    factor: NDArray[np.float64]
    early_factor: NDArray[np.float64] | None = None


def seen_classes(plans: Sequence[TrainingPlan]) -> NDArray[np.bool_]:
    """Return which classes members train on, of shape (members, n_classes)."""
    return np.stack([plan.class_counts.delivered > 0 for plan in plans])


def loss_factors(plans: Sequence[TrainingPlan]) -> NDArray[np.float64]:
    """Return the weights of held-out rows, of shape (members, n_classes)."""
    return np.stack([plan.loss_factor for plan in plans])


@dataclass(frozen=True)
class Priors:
    """Class distributions that the members are trained under.

    Attributes
    ----------
    data : ndarray of shape (n_classes,)
        Of all rows passed to training, including held-out ones.
    sampled, weighted : ndarray of shape (members, n_classes)
        After sampling, without and with class weights.
    """

    data: NDArray[np.float64]
    sampled: NDArray[np.float64]
    weighted: NDArray[np.float64]

    @classmethod
    def of(
        cls, plans: Sequence[TrainingPlan], data_counts: NDArray[np.float64]
    ) -> Priors:
        """Compute the distributions for plans, and for the class counts of all rows."""
        delivered = [plan.class_counts.delivered for plan in plans]
        return cls(
            effective_prior(data_counts),
            np.stack([effective_prior(counts) for counts in delivered]),
            np.stack(
                [
                    effective_prior(counts, plan.class_weight)
                    for counts, plan in zip(delivered, plans, strict=True)
                ]
            ),
        )

    def shares(self, *, is_named: bool) -> ClassShares:
        """Return the class shares that a loss is bound to.

        Named weights ("balanced", "effective") count as balancing; numbers that the
        user passes do not.
        """
        balanced = self.weighted if is_named else self.sampled
        priors = self.data, self.sampled.mean(axis=0), balanced.mean(axis=0)
        return ClassShares(*(torch.from_numpy(prior) for prior in priors))

    def learned(self, loss: Loss, *, is_weighted: bool) -> NDArray[np.float64]:
        """Return the priors that members learn, including the effect of the loss."""
        priors = torch.from_numpy(self.weighted if is_weighted else self.sampled)
        return torch.stack([loss.effective_prior(p).cpu() for p in priors]).numpy()


def plan_members(
    rows: Rows,
    folds: NDArray[np.integer] | None,
    levers: Levers,
    n_members: int,
    seed: int,
    earlier: Sequence[ClassCounts] | None = None,
) -> tuple[TrainingPlan, ...]:
    """Plan the training of each member, on the rows outside its fold, if any.

    The members' steps are taken together, so the plan of the first one determines the
    batch size of all. `earlier` are the counts of each member in earlier calls of
    ``partial_fit``.
    """
    seeds = [seed]
    if n_members > 1:
        seeds = np.random.SeedSequence(seed).generate_state(n_members).tolist()
    before = [None] * n_members if earlier is None else earlier
    plans: list[TrainingPlan] = []
    for j in range(n_members):
        own = rows if folds is None else rows.subset(np.flatnonzero(folds != j))
        plan = plan_training(own, levers, seeds[j], before[j])
        plans.append(plan)
        one_batch = plan.order is None
        size = None if one_batch else plan.batch_size
        levers = replace(levers, full_batch=one_batch, batch_size=size)
    return tuple(plans)


def plan_training(
    rows: Rows, levers: Levers, seed: int, earlier: ClassCounts | None = None
) -> TrainingPlan:
    """Resample, weigh and order the training rows of one network.

    The batch size comes first (an automatic one from the rows that an epoch draws),
    then the sampling rates, which may depend on it, then the class weights. These are
    computed from the counts after sampling, so that a balancing sampler with
    ``class_weight="balanced"`` does not balance twice. With the sum n_c of the sample
    weights of class c, the rate r_c at which the sampler draws its rows, and the class
    weight w_c of the counts n_c * r_c, the network learns under a prior ∝ n_c * r_c *
    w_c; "balanced" weights make it uniform for every sampler.
    """
    classes, sampler = levers.classes, levers.new_sampler()
    n_classes = len(classes)
    seen = rows.counts(n_classes)
    if sampler is not None and not isinstance(sampler, IndexSampler):
        rows, sampler = _resampled(rows, sampler, classes, seed), None
    codes = rows.of(rows.codes)
    is_small = levers.full_batch or len(codes) <= FULL_BATCH_ROWS
    one_batch = levers.batch_size is None and is_small
    order = _order(sampler, rows, codes, seed)
    counted, n_rows = rows.counts(n_classes), np.bincount(codes, minlength=n_classes)
    size = _batch_size(levers, _epoch_rows(order, n_rows), one_batch)
    # draws depend on numbers of rows, weights on sums of weights
    rates = sampler_rates(order, counted if one_batch else n_rows, size)
    n_drawn = np.asarray(n_rows * (1.0 if one_batch else rates), dtype=np.float64)
    counts = ClassCounts(counted * rates, n_drawn).plus(earlier)
    weights = class_weights(
        counts.delivered, levers.class_weight, classes=classes, **levers.weight_params
    )
    in_batch = rates if one_batch else 1.0
    early, in_loss = None, levers.loss_factors
    if levers.defers_weights:
        early = _loss_factor(np.ones(n_classes), counts, in_batch, in_loss)
    return TrainingPlan(
        rows=rows,
        order=None if one_batch else order,
        batch_size=len(codes) if one_batch else size,
        class_counts=counts,
        class_weight=weights,
        loss_factor=weights * counted * rates / np.where(seen > 0, seen, 1.0),
        factor=_loss_factor(weights, counts, in_batch, in_loss),
        early_factor=early,
    )


def _epoch_rows(order: Shuffle | IndexSampler, n_rows: NDArray[np.intp]) -> int:
    """Return how many rows an epoch draws, from the sampler."""
    given = order.epoch_rows(n_rows)
    if not is_integer(given) or given < 1:
        raise ValueError(
            f"sampler={type(order).__name__}: epoch_rows must give the number of rows "
            f"that an epoch draws, an integer of at least 1, but gave {given!r}."
        )
    return int(given)


def _batch_size(levers: Levers, epoch_rows: int, one_batch: bool) -> int:
    if one_batch:
        return epoch_rows
    if levers.batch_size is not None:
        return levers.batch_size
    return levers.batch_factor * auto_batch_size(epoch_rows)


def _loss_factor(
    class_weight: NDArray, counts: ClassCounts, in_batch: Any, in_loss: Any
) -> NDArray[np.float64]:
    """Return the factor from sample weights to loss weights.

    `in_batch` are the rates of the sampler if an epoch is one batch, else 1. The loss
    itself multiplies by `in_loss`, which is part of the mean.
    """
    norm = counts.delivered @ (class_weight * in_loss) / counts.drawn.sum()
    return class_weight * in_batch / (norm if norm > 0 else 1.0)


def _resampled(rows: Rows, resampler: Any, classes: NDArray, seed: int) -> Rows:
    X, codes, weight = resample(
        resampler,
        rows.features(),
        rows.of(rows.codes).astype(np.intp),
        rows.of(rows.weights),
        classes,
        seed,
        _held_out(rows, classes),
    )
    maker = f"sampler={type(resampler).__name__}()"
    X = resampled_matrix(X, rows, maker)
    return Rows(X, codes, weight, columns=rows.columns)


def _held_out(rows: Rows, classes: NDArray) -> str:
    """Return a note on held-out rows of the smallest class, for errors; or ""."""
    own, given = (
        np.bincount(codes, minlength=len(classes))
        for codes in (rows.of(rows.codes), rows.codes[rows.weights > 0])
    )
    smallest = np.where(own > 0, own, len(rows) + 1).argmin()
    n_missing = given[smallest] - own[smallest]
    if not n_missing:
        return ""
    return (
        f" {n_missing} of the {given[smallest]} rows of class "
        f"{classes.tolist()[smallest]!r} are among those held out here: each member "
        "holds out its own fold, and early stopping its validation rows. n_members=1 "
        "with early_stopping=False holds out none."
    )


def _order(
    sampler: IndexSampler | None, rows: Rows, codes: NDArray[np.integer], seed: int
) -> Shuffle | IndexSampler:
    rng = np.random.default_rng(seed)
    if sampler is None and rows.is_large:
        edges = rows.X.edges
        if rows.index is not None:
            edges = np.searchsorted(rows.index, edges)
        return BlockShuffle(edges, rng, rows.X.window_rows)
    if sampler is None:
        return Shuffle(len(codes), rng)
    return bind_sampler(sampler, codes.astype(np.intp), rng)


def auto_batch_size(epoch_rows: int) -> int:
    """Return the batch size, which grows with the number of rows of an epoch."""
    if epoch_rows >= 24_000:
        return 512
    if epoch_rows >= 8_000:
        return 256
    return int(np.clip(epoch_rows // 8, 16, 128))

"""Datasets of training and validation rows, built from the plans.

`training_feed` and `validation_feed` choose the class: `Feed` for one network,
`MemberFeed` for members with their own batches, `SharedFeed` for members that share
batches, and `FoldFeed` for held-out folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from imbalnet._fit.feeds.batches import Place
from imbalnet._fit.feeds.feed import Feed, MemberFeed, SharedFeed
from imbalnet._fit.feeds.fold_feed import FoldFeed
from imbalnet._fit.plan import TrainingPlan, loss_factors, seen_classes
from imbalnet._fit.specs import Machine
from imbalnet._fit.split import HeldOut
from imbalnet._tables import Rows
from imbalnet.samplers import Shuffle


def training_feed(
    plans: Sequence[TrainingPlan],
    held_out: HeldOut | None,
    machine: Machine,
    *,
    shares_batches: bool,
    keeps_sparse: bool = False,
) -> Feed:
    """Return the training rows of a network, or of all its members.

    `shares_batches` is whether the network can prepare a batch once for all members.
    `keeps_sparse` is whether a sparse table stays sparse if it is one batch, which
    members then share.
    """
    first = plans[0]
    is_one_batch = all(plan.order is None for plan in plans)
    keeps_sparse = keeps_sparse and is_one_batch and sparse.issparse(first.rows.X)
    if len(plans) == 1:
        return _feed_of_one(first, machine, keeps_sparse)
    factors = _factors_by_phase(plans)
    if first.rows.is_large:  # windows are read for all members at once
        place = _place(first.rows, machine)
        return SharedFeed(first.rows, place, factors, None, first.order)
    is_one_table = all(plan.rows.X is first.rows.X for plan in plans)
    is_shuffled = all(isinstance(plan.order, Shuffle) for plan in plans)
    if is_one_table and (keeps_sparse or (shares_batches and is_shuffled)):
        return _shared_feed(first, held_out, machine, factors, keeps_sparse)
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


def _factors_by_phase(plans: Sequence[TrainingPlan]) -> list[NDArray[np.float64]]:
    """Return the members' class factors for each phase of training.

    With deferred class weights, there is another phase before that of the weights.
    """
    early = [plan.early_factor for plan in plans if plan.early_factor is not None]
    phases = [early, [plan.factor for plan in plans]]
    return [np.stack(factors) for factors in phases if factors]


def _shared_feed(
    first: TrainingPlan,
    held_out: HeldOut | None,
    machine: Machine,
    factors: list[NDArray[np.float64]],
    keeps_sparse: bool,
) -> SharedFeed:
    """Return the rows of batches that members share, including held-out rows."""
    rows, folds, order = first.rows, None, None
    if held_out is not None and held_out.folds is not None:
        rows, folds = held_out.rows, held_out.folds
    if isinstance(first.order, Shuffle):
        order = Shuffle(len(rows), first.order.rng)
    place = _place(rows, machine)
    return SharedFeed(rows, place, factors, folds, order, keeps_sparse)


def validation_feed(
    held_out: HeldOut,
    plans: Sequence[TrainingPlan],
    train: Feed,
    phase_shifts: tuple[NDArray, NDArray],
) -> Feed:
    """Return the validation rows, with folds as a :class:`FoldFeed`.

    If they are rows of the same table as the training rows, its features are stored on
    the device only once.
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
    """Return the rows of all folds, with the class factors of their members."""
    factors, seen = loss_factors(plans), seen_classes(plans)
    return FoldFeed(held_out, place, factors, phase_shifts, features, seen)


def in_one_table(
    parts: Sequence[Rows],
) -> tuple[Rows, list[NDArray[np.integer] | None]]:
    """Return one table for the training rows of all members.

    Members usually share a table; otherwise, as after resampling, theirs are
    concatenated. Also return the positions of each member's rows (None: all).
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

"""One training run, from validated rows to the result of ``fit``."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbalnet._calibration import Calibration, OutOfFold
from imbalnet._fit.agreement import agree_on_fit, agree_on_plans
from imbalnet._fit.build import build_net, replace_net, resume
from imbalnet._fit.calibrate import (
    calibrate_by_folds,
    fit_validation_offset,
    have_held_out,
    predict_out_of_fold,
)
from imbalnet._fit.callbacks import choose_monitor
from imbalnet._fit.checkpoint.saver import Saver, saved_fit
from imbalnet._fit.feeds.build import training_feed, validation_feed
from imbalnet._fit.few_rows import warn_of_few_rows
from imbalnet._fit.fitted import Fitted
from imbalnet._fit.net import ImbalanceNet
from imbalnet._fit.plan import Priors, TrainingPlan, plan_members, seen_classes
from imbalnet._fit.progress import Tasks, TasksCallback, fit_callbacks
from imbalnet._fit.sharing import shared_by_ranks
from imbalnet._fit.specs import Options
from imbalnet._fit.split import HeldOut, split_off
from imbalnet._ranks import ranks_now
from imbalnet._runtime import (
    one_blas_thread,
    seeded_torch,
    torch_threads,
    training_threads,
)
from imbalnet._tables import Rows
from imbalnet.losses import constant_minimiser
from imbalnet.networks import DETERMINISTIC
from imbalnet.posterior import effective_prior
from imbalnet.posterior.prior import log_ratio, target_distribution


@dataclass(frozen=True)
class _Run:
    """All that a training run needs before a network is built."""

    options: Options
    rows: Rows
    held_out: HeldOut | None
    data_counts: NDArray[np.float64]
    plans: tuple[TrainingPlan, ...]
    priors: Priors
    monitor: str | None
    before: Fitted | None

    def result(
        self,
        net: ImbalanceNet,
        calibration: Calibration,
        out_of_fold: OutOfFold | None = None,
    ) -> Fitted:
        """Return the result of the run."""
        class_weights = [plan.class_weight for plan in self.plans]
        return Fitted(
            net=net,
            network=self.options.network,
            data_counts=self.data_counts,
            class_counts=tuple(plan.class_counts for plan in self.plans),
            class_weight=np.mean(class_weights, axis=0),
            calibration=calibration,
            out_of_fold=out_of_fold,
            split_seed=self.options.seeds.split,
            resolved=self.options.resolved(self.monitor, net),
        )


def train(
    options: Options,
    rows: Rows,
    validation_rows: Rows | None,
    before: Fitted | None = None,
    tasks: Tasks | None = None,
) -> Fitted:
    """Train a new net, or continue with that of `before`.

    If the user passed no `validation_rows`, they are split off from `rows`. The net of
    `before` is changed, and the caller must restore it on failure; it is not changed if
    training starts anew. `tasks` are notified of each epoch. With a checkpoint,
    training continues after the last epoch that was stored.
    """
    start = None if before is None else before.net.module_.state_dict()
    options = agree_on_fit(options, rows, validation_rows, start)
    if options.checkpoint is None:
        return _train(options, rows, validation_rows, before, tasks)
    with saved_fit(options, rows, validation_rows, start) as saver:
        options = replace(options, seeds=saver.seeds)
        fitted = _train(options, rows, validation_rows, before, tasks, saver)
        saver.finish(is_whole=not fitted.net.was_interrupted)
    return fitted


def _train(
    options: Options,
    rows: Rows,
    validation_rows: Rows | None,
    before: Fitted | None,
    tasks: Tasks | None,
    saver: Saver | None = None,
) -> Fitted:
    """Train; `saver` is called after each epoch."""
    earlier, before = before, None if options.starts_anew else before
    run = _prepared(options, rows, validation_rows, before)
    with one_blas_thread():
        net = before.net if before else _new_net(run)
    if earlier and options.starts_anew:
        replace_net(earlier.net, net)
    n_products = run.plans[0].batch_size * net.n_parameters
    n_threads = training_threads(options.n_threads, n_products)
    with torch_threads(n_threads), one_blas_thread():
        if before:
            shift = _shift_of_new_classes(run) if options.is_partial else None
            resume(net, options, run.rows, monitor=run.monitor, shift=shift)
        now = partial(_fitted_now, net, run)
        callback = None if tasks is None else TasksCallback(tasks, now)
        if saver is not None:
            drawing = torch.device(net.device) if _may_draw(net) else None
            saver.begin(net, run.plans, run.rows, drawing)
        ranks = ranks_now()
        is_shown = ranks is None or ranks.is_first
        shown = options if is_shown else replace(options, verbose=0)
        with fit_callbacks(net, shown, run.monitor, callback, saver):
            _run_epochs(net, run)
        calibration, out_of_fold = _calibrate(net, run)
    net.release_gradients()
    if not options.is_partial:  # warm_start does not use the optimiser's state
        net.release_optimizer()
    return run.result(net, calibration, out_of_fold)


def _prepared(
    options: Options, rows: Rows, validation_rows: Rows | None, before: Fitted | None
) -> _Run:
    """Split off validation rows, plan the members' training, and bind the loss."""
    seeds, classes, validation = options.seeds, options.classes, options.validation
    n_members = options.network.n_members
    data_counts, earlier = rows.counts(len(classes)), None
    if before and options.is_partial:
        data_counts += before.data_counts
        earlier = before.class_counts
    row_counts = np.bincount(rows.of(rows.codes), minlength=len(classes))
    rows, held_out = split_off(
        rows, validation_rows, validation, n_members, classes, seeds.split
    )
    folds = None if held_out is None else held_out.folds
    plans = plan_members(rows, folds, options.levers, n_members, seeds.plan, earlier)
    monitor, note = validation.monitor, ""
    if held_out is not None:
        judges = held_out.counts(seen_classes(plans))
        monitor, note = choose_monitor(monitor, judges, classes, validation.kind)
    if not options.is_partial:
        warn_of_few_rows(row_counts, classes, validation.kind, note)
    agree_on_plans(plans, rows)
    priors = Priors.of(plans, data_counts)
    is_named = isinstance(options.levers.class_weight, str)
    options.loss.bind(priors.shares(is_named=is_named))
    return _Run(options, rows, held_out, data_counts, plans, priors, monitor, before)


def _new_net(run: _Run) -> ImbalanceNet:
    """Build a net that initially outputs the best constant logits."""
    return build_net(
        run.options,
        run.rows,
        run.held_out,
        _best_constant(run.options, run.priors),
        monitor=run.monitor,
        one_batch=run.plans[0].order is None,
    )


def _best_constant(options: Options, priors: Priors) -> Tensor:
    """Return the logits, equal for all rows, that minimise the loss."""
    prior = priors.sampled if options.phases.unweighted else priors.weighted
    in_mean = np.broadcast_to(options.levers.loss_factors, prior.shape)
    # class weights of the loss itself also count in the denominator of its mean
    prior = prior / ((prior * in_mean).sum(1) / prior.sum(1))[:, None]
    return constant_minimiser(options.loss, torch.from_numpy(prior.mean(axis=0)))


def _shift_of_new_classes(run: _Run) -> Tensor | None:
    """Return a shift of the logits of classes whose first rows are in this call.

    So far these logits are very low, where the gradient of a row is small. Without the
    shift, training would need thousands of rows to raise them.
    """
    before = run.before
    assert before is not None
    is_new = torch.from_numpy((before.data_counts == 0) & (run.data_counts > 0))
    if not is_new.any() or is_new.all():
        return None
    loss = copy.deepcopy(before.net.criterion_).cpu()
    counts = [count.delivered * before.class_weight for count in before.class_counts]
    prior = np.mean([effective_prior(count) for count in counts], axis=0)
    shift = _best_constant(run.options, run.priors)
    shift -= constant_minimiser(loss, torch.from_numpy(prior))
    shift -= shift[~is_new].mean()
    return torch.where(is_new, shift, 0.0)


def _run_epochs(net: ImbalanceNet, run: _Run) -> None:
    """Train for the epochs of a fit, or for the one of ``partial_fit``."""
    options, priors = run.options, run.priors
    train_feed = training_feed(
        run.plans,
        run.held_out,
        options.machine,
        shares_batches=net.network_.shares_batches,
        keeps_sparse=net.network_.multiplies_sparse and not options.machine.compile,
    )
    phases = [
        _priors_only(run, is_weighted=is_weighted) for is_weighted in (False, True)
    ]
    valid_feed = None
    if run.held_out is not None:
        early, late = (log_ratio(p.member_priors, priors.data) for p in phases)
        valid_feed = validation_feed(run.held_out, run.plans, train_feed, (early, late))
    is_partial = options.is_partial
    net.set_params(
        max_epochs=1 if is_partial else options.phases.planned,
        batch_size=run.plans[0].batch_size,
        phases=options.phases,
        epochs_before=net.epochs_behind_ if is_partial else 0,
        verbose=options.verbose,  # for the user's callbacks, such as PrintLog
    )
    target = target_distribution(options.target_prior, options.classes, priors.data)
    early_formula, late_formula = (of_phase.for_target(target) for of_phase in phases)
    net.formulas = early_formula, late_formula
    net.levels_members = options.validation.calibrate
    try:
        one_batch = run.plans[0].order is None
        with (
            _generator_context(net, options.seeds.draws),
            shared_by_ranks(net, train_feed, options, one_batch=one_batch),
        ):
            net.partial_fit((train_feed, valid_feed))
    finally:
        net.formulas = None
    if is_partial and net.was_interrupted:
        raise KeyboardInterrupt("the estimator is as it was before partial_fit")


def _generator_context(net: ImbalanceNet, seed: int) -> AbstractContextManager[None]:
    """Seed torch for networks that may draw random numbers in training (dropout).

    Threads share torch's default generators, and only one fit at a time may seed them.
    So other networks do not seed them, and can be trained in parallel threads.
    """
    if not _may_draw(net):
        return nullcontext()
    return seeded_torch(seed, torch.device(net.device))


def _may_draw(net: ImbalanceNet) -> bool:
    return any(type(module) not in DETERMINISTIC for module in net.module_.modules())


def _uncalibrated(net: ImbalanceNet, run: _Run) -> Calibration:
    """Return a calibration, for the epoch that is kept, that only corrects priors."""
    late = run.options.phases.unweighted
    # with deferred weights, the prior depends on the phase of the kept epoch
    return _priors_only(run, is_weighted=late == 0 or net.epochs_behind_ > late)


def _priors_only(run: _Run, *, is_weighted: bool) -> Calibration:
    member_priors = run.priors.learned(run.options.loss, is_weighted=is_weighted)
    return Calibration.unfitted(run.priors.data, member_priors)


def _fitted_now(net: ImbalanceNet, run: _Run) -> Fitted:
    """Return the result with the present weights, without a fitted calibration."""
    return run.result(net.snapshot(), _uncalibrated(net, run))


def _calibrate(net: ImbalanceNet, run: _Run) -> tuple[Calibration, OutOfFold | None]:
    """Fit the calibration to held-out rows."""
    options, held_out, before = run.options, run.held_out, run.before
    calibration = _uncalibrated(net, run)
    if before and options.is_partial:
        priors = calibration.class_prior, calibration.member_priors
        return before.calibration.under(*priors), None
    if held_out is None:
        return calibration, None
    if held_out.folds is None:
        if options.validation.calibrate:
            calibration = fit_validation_offset(calibration, net, held_out.rows)
        return calibration, None
    if before and not have_held_out(before.out_of_fold, held_out):
        return calibration, None
    n_classes = len(options.classes)
    return calibrate_by_folds(
        calibration,
        predict_out_of_fold(net, run.plans, held_out, n_classes),
        held_out,
        options.validation,
        options.seeds.neighbors,
    )

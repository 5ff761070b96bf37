"""One training run of the estimator, from validated rows to what ``fit`` leaves."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from imbalnet.assembly import (
    build_net,
    check_parameters,
    check_same_network,
    optimizer_of,
    resume,
    train_net,
)
from imbalnet.losses import Loss, build_loss
from imbalnet.monitoring import choose_monitor
from imbalnet.net import ImbalanceNet, unchanged_on_failure
from imbalnet.posterior import effective_prior, fit_offset, shift_prior
from imbalnet.preparation import ClassCounts, TrainingPlan, hold_out, plan_training
from imbalnet.runtime import spawn_seeds, torch_threads
from imbalnet.sampling import build_sampler
from imbalnet.table import Rows

if TYPE_CHECKING:
    from imbalnet.classifier import BalancedNeuralClassifier

# As HistGradientBoostingClassifier: below, a validation split costs more than it gives.
_EARLY_STOPPING_ROWS = 10_000


@dataclass(frozen=True)
class Trained:
    """What a training run leaves; the estimator's attributes say what each is."""

    net: ImbalanceNet
    class_counts: ClassCounts
    class_weight: NDArray[np.float64]
    class_prior: NDArray[np.float64]
    effective_prior: NDArray[np.float64]
    offset: NDArray[np.float64]
    split_seed: int


def train(
    clf: BalancedNeuralClassifier,
    rows: Rows,
    given: Rows | None,
    *,
    goes_on: bool,
    is_partial: bool,
) -> Trained:
    """Train a new net, or the one that the estimator has.

    Parameters
    ----------
    clf : BalancedNeuralClassifier
        Gives the parameters and the classes. Only a net that `goes_on` is changed,
        and put back on failure.
    rows : Rows
        Training rows, or those to split.
    given : Rows or None
        Validation rows that the user brings.
    goes_on : bool
        Whether the estimator's net is trained on.
    is_partial : bool
        Whether this is a call of ``partial_fit``: one epoch, no validation rows.
    """
    loss = _checked_loss(clf)
    if goes_on:
        check_same_network(clf.net_, clf)
    seeds = spawn_seeds(clf.random_state, 4, step=clf.n_iter_ if goes_on else 0)
    split_seed = clf._split_seed if goes_on else seeds[0]
    valid = given
    if given is None and not is_partial and _stops_early(clf, rows):
        rows, valid = hold_out(rows, clf.validation_fraction, clf.classes_, split_seed)
    in_parts = is_partial or sparse.issparse(rows.X)
    earlier = clf._class_counts if goes_on and is_partial else None
    plan = _plan(clf, rows, seeds[1], earlier, in_parts)
    class_prior, effective = _priors(plan, loss)
    keeps_offset = goes_on and is_partial
    offset = clf.offset_ if keeps_offset else np.zeros(len(clf.classes_))
    monitor = _monitor(clf, valid)
    with torch_threads(clf.n_threads or 1):
        if goes_on:
            net = clf.net_
        else:
            net = build_net(
                clf,
                loss,
                rows,
                effective,
                monitor=monitor,
                one_batch=plan.order is None,
                in_parts=in_parts,
                seed=seeds[2],
            )
        with unchanged_on_failure(net):
            if goes_on:
                resume(
                    net,
                    clf,
                    loss,
                    rows,
                    monitor=monitor,
                    is_partial=is_partial,
                    in_parts=in_parts,
                )
            epochs = 1 if is_partial else clf.max_epochs
            train_net(net, plan, valid, epochs=epochs, seed=seeds[3])
            if valid is not None:
                offset = _offset(net, valid, effective, class_prior)
    return Trained(
        net,
        plan.class_counts,
        plan.class_weight,
        class_prior,
        effective,
        offset,
        split_seed,
    )


def _priors(plan: TrainingPlan, loss: Loss) -> tuple[NDArray, NDArray]:
    """Give class prior and effective prior, the loss' own class weights included."""
    counts = plan.class_counts
    factors = loss.class_factors(len(counts.seen)).cpu().numpy()
    effective = effective_prior(counts.delivered, plan.class_weight, factors)
    return effective_prior(counts.seen), effective


def _checked_loss(clf: BalancedNeuralClassifier) -> Loss:
    """Build the loss, behind every check of parameters that needs no rows."""
    check_parameters(clf)
    loss = build_loss(clf.loss, clf._nested("loss"), len(clf.classes_))
    if clf.target_prior is not None and not loss.is_calibrated:
        warnings.warn(
            f"loss={clf.loss!r} has no known inverse link: its probabilities rank, but "
            f"target_prior={clf.target_prior!r} cannot make them honest. Wrap the "
            "classifier in CalibratedClassifierCV, or give the loss a method "
            "log_posterior(logits).",
            UserWarning,
            stacklevel=5,
        )
    return loss


def _stops_early(clf: BalancedNeuralClassifier, rows: Rows) -> bool:
    if clf.early_stopping == "auto":
        solves = optimizer_of(clf, sparse.issparse(rows.X)) == "lbfgs"
        return len(rows.index) > _EARLY_STOPPING_ROWS and not solves
    return bool(clf.early_stopping)


def _monitor(clf: BalancedNeuralClassifier, valid: Rows | None) -> str | None:
    """Choose what the best epoch is judged by; None keeps the last one."""
    if valid is None or clf.early_stopping is False:
        return None
    counts = np.bincount(valid.of(valid.codes), minlength=len(clf.classes_))
    return choose_monitor(clf.monitor, counts)


def _plan(
    clf: BalancedNeuralClassifier,
    rows: Rows,
    seed: int,
    earlier: ClassCounts | None,
    in_parts: bool,
) -> TrainingPlan:
    return plan_training(
        rows,
        clf.classes_,
        sampler=build_sampler(clf.sampler, clf._nested("sampler")),
        class_weight=clf.class_weight,
        weight_params=clf._nested("class_weight"),
        batch_size=clf.batch_size,
        full_batch=optimizer_of(clf, in_parts) == "lbfgs",
        earlier=earlier,
        seed=seed,
    )


def _offset(
    net: ImbalanceNet, valid: Rows, effective: NDArray, class_prior: NDArray
) -> NDArray[np.float64]:
    """Fit what is left of a bias to validation rows, under the training prior.

    Given validation rows may have other class shares; they are weighted to those of
    the training rows.
    """
    codes = valid.of(valid.codes)
    shares = effective_prior(valid.counts(len(class_prior)))
    to_training = class_prior / np.where(shares > 0, shares, 1.0)
    log_posterior = net.predict_log_posterior(valid.X[valid.index])
    log_posterior = shift_prior(log_posterior, effective, class_prior)
    return fit_offset(log_posterior, codes, valid.of(valid.weight) * to_training[codes])

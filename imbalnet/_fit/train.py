"""One training run of the estimator, from validated rows to what ``fit`` leaves."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from imbalnet._calibration import OutOfFold
from imbalnet._fit.build import build_net, check_same_network, resume, train_net
from imbalnet._fit.calibrate import (
    Calibration,
    calibrate_by_folds,
    fit_validation_offset,
    have_held_out,
    predict_out_of_fold,
)
from imbalnet._fit.callbacks import Phases, choose_monitor, epochs_before_weights
from imbalnet._fit.net import ImbalanceNet, unchanged_on_failure
from imbalnet._fit.options import (
    check_parameters,
    optimizer_of,
    resolve_epochs,
    resolve_members,
    resolve_neighbors,
)
from imbalnet._fit.plan import (
    ClassCounts,
    Folds,
    TrainingPlan,
    hold_out,
    plan_members,
    plan_training,
)
from imbalnet._runtime import spawn_seeds, torch_threads, training_threads
from imbalnet._tables.read import Rows
from imbalnet._warn import warn
from imbalnet.losses import ClassShares, Loss, build_loss, constant_minimiser
from imbalnet.posterior import effective_prior, prior_shift
from imbalnet.samplers import build_sampler

if TYPE_CHECKING:
    from imbalnet.classifier import BalancedNeuralClassifier

# As HistGradientBoostingClassifier: below, a validation split costs more than it gives.
_EARLY_STOPPING_ROWS = 10_000
# Parameters that presume honest probabilities.
_NEED_POSTERIOR = ("target_prior", "cost_matrix")


@dataclass(frozen=True)
class Trained:
    """What a training run leaves; the estimator's attributes say what each is."""

    net: ImbalanceNet
    class_counts: list[ClassCounts]
    class_weight: NDArray[np.float64]
    class_prior: NDArray[np.float64]
    member_priors: NDArray[np.float64]
    calibration: Calibration
    out_of_fold: OutOfFold | None
    split_seed: int


@dataclass(frozen=True)
class _Run:
    """What is settled before a network is touched."""

    loss: Loss
    rows: Rows
    valid: Rows | Folds | None
    plans: tuple[TrainingPlan, ...]
    monitor: str | None
    phases: Phases
    in_parts: bool
    is_partial: bool
    n_neighbors: int
    net_seed: int
    draw_seed: int
    neighbor_seed: int
    split_seed: int

    @property
    def folds(self) -> Folds | None:
        """The fold of each row, where members hold rows out."""
        return self.valid if isinstance(self.valid, Folds) else None

    @property
    def class_prior(self) -> NDArray[np.float64]:
        """The class distribution of the training rows as they came."""
        return effective_prior(sum(plan.class_counts.seen for plan in self.plans))

    def priors(self, *, weighted: bool) -> NDArray[np.float64]:
        """Give the class distribution of each member's training, behind the sampler.

        Returns
        -------
        ndarray of shape (members, n_classes)
        """
        return np.stack(
            [
                effective_prior(
                    plan.class_counts.delivered, plan.class_weight if weighted else 1.0
                )
                for plan in self.plans
            ]
        )

    def prior(self, *, weighted: bool) -> NDArray[np.float64]:
        """Give the mean of the members' distributions."""
        return self.priors(weighted=weighted).mean(axis=0)

    @property
    def start(self) -> torch.Tensor:
        """The best logits that do not know the features, as training starts."""
        prior = torch.from_numpy(self.prior(weighted=self.phases.unweighted == 0))
        return constant_minimiser(self.loss, prior)

    def trained_priors(self, *, weighted: bool) -> NDArray[np.float64]:
        """Give what members are trained under, the loss' own part included."""
        priors = torch.from_numpy(self.priors(weighted=weighted))
        trained = [self.loss.effective_prior(prior).cpu() for prior in priors]
        return torch.stack(trained).numpy()

    def effective_priors(self, net: ImbalanceNet) -> NDArray[np.float64]:
        """Give what the kept epoch was trained under, of each member.

        With deferred weights that depends on when it came.
        """
        late = self.phases.unweighted
        return self.trained_priors(weighted=late == 0 or net.epochs_behind_ > late)

    def for_folds(self) -> dict[str, Any]:
        """Give what out-of-fold rows are judged by, if there are such."""
        if self.folds is None:
            return {}
        early, late = (
            prior_shift(self.trained_priors(weighted=weighted), self.class_prior)
            for weighted in (False, True)
        )
        return {"phase_shifts": (early, late)}


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
    run = _settle(clf, rows, given, goes_on=goes_on, is_partial=is_partial)
    with torch_threads(1):
        net = clf.net_ if goes_on else _new_net(clf, run)
    n_threads = training_threads(
        clf.n_threads, run.plans[0].batch_size * net.n_parameters
    )
    keeping = unchanged_on_failure(net) if goes_on else nullcontext()
    with torch_threads(n_threads), keeping:
        if goes_on:
            _resume(net, clf, run)
        train_net(
            net,
            run.plans,
            run.valid,
            epochs=1 if is_partial else run.phases.planned,
            epochs_before=net.epochs_behind_ if goes_on and is_partial else 0,
            phases=run.phases,
            seed=run.draw_seed,
            **run.for_folds(),
        )
        priors = run.effective_priors(net)
        calibration, out_of_fold = _calibrate(clf, run, net, priors, goes_on)
    return Trained(
        net,
        [plan.class_counts for plan in run.plans],
        np.mean([plan.class_weight for plan in run.plans], axis=0),
        run.class_prior,
        priors,
        calibration,
        out_of_fold,
        run.split_seed,
    )


def _calibrate(
    clf: BalancedNeuralClassifier,
    run: _Run,
    net: ImbalanceNet,
    priors: NDArray,
    goes_on: bool,
) -> tuple[Calibration, OutOfFold | None]:
    """Fit to held-out rows what comes between the network and the probabilities."""
    if goes_on and run.is_partial:
        return clf._calibration, None
    calibration = Calibration.none(*priors.shape)
    folds = run.folds
    if folds is not None and (not goes_on or have_held_out(clf._out_of_fold, folds)):
        out_of_fold = predict_out_of_fold(net, run.plans, folds, len(clf.classes_))
        return calibrate_by_folds(
            out_of_fold,
            folds.rows,
            priors,
            run.class_prior,
            calibrate=clf.calibrate,
            n_neighbors=run.n_neighbors,
            seed=run.neighbor_seed,
        )
    if clf.calibrate and isinstance(run.valid, Rows):
        offset = fit_validation_offset(net, run.valid, priors, run.class_prior)
        calibration = replace(calibration, offset=offset)
    return calibration, None


def _settle(
    clf: BalancedNeuralClassifier,
    rows: Rows,
    given: Rows | None,
    *,
    goes_on: bool,
    is_partial: bool,
) -> _Run:
    """Check the parameters, split the rows, and plan what training learns from."""
    loss = _checked_loss(clf, rows)
    if goes_on:
        check_same_network(clf.net_, clf, loss)
    seeds = spawn_seeds(clf.random_state, 5, step=clf.n_iter_ if goes_on else 0)
    split_seed = clf._split_seed if goes_on else seeds[0]
    n_epochs = resolve_epochs(clf, len(rows))
    unweighted = _epochs_before_weights(clf, n_epochs, is_partial)
    valid: Rows | Folds | None = given
    if given is None and not is_partial:
        rows, valid = _split(clf, rows, split_seed)
    monitor = _monitor(clf, valid)
    _reject_restoring_callbacks(clf, monitor, unweighted)
    in_parts = is_partial or sparse.issparse(rows.X)
    earlier = clf._class_counts if goes_on and is_partial else None
    run = _Run(
        loss=loss,
        rows=rows,
        valid=valid,
        plans=_plans(clf, loss, rows, valid, seeds[1], earlier, in_parts, unweighted),
        monitor=monitor,
        phases=Phases(
            planned=n_epochs,
            unweighted=unweighted,
            warmup=math.ceil(loss.warmup * n_epochs),
        ),
        in_parts=in_parts,
        is_partial=is_partial,
        n_neighbors=0
        if is_partial
        else resolve_neighbors(clf, loss, rows, is_held_out=isinstance(valid, Folds)),
        net_seed=seeds[2],
        draw_seed=seeds[3],
        neighbor_seed=seeds[4],
        split_seed=split_seed,
    )
    loss.bind(_shares(run, is_named=isinstance(clf.class_weight, str)))
    return run


def _split(
    clf: BalancedNeuralClassifier, rows: Rows, seed: int
) -> tuple[Rows, Rows | Folds | None]:
    """Give what is trained on, and what is held out of it, if anything is."""
    n_members = resolve_members(clf)
    if n_members > 1 and clf.early_stopping is not False:
        return rows, Folds.of(rows, n_members, seed)
    if n_members == 1 and _stops_early(clf, rows):
        return hold_out(rows, clf.validation_fraction, clf.classes_, seed)
    return rows, None


def _shares(run: _Run, *, is_named: bool) -> ClassShares:
    priors = (
        run.class_prior,
        run.prior(weighted=False),
        run.prior(weighted=is_named),
    )
    return ClassShares(*(torch.from_numpy(prior) for prior in priors))


def _new_net(clf: BalancedNeuralClassifier, run: _Run) -> ImbalanceNet:
    return build_net(
        clf,
        run.loss,
        run.rows,
        run.start,
        folds=run.folds,
        monitor=run.monitor,
        phases=run.phases,
        one_batch=run.plans[0].order is None,
        in_parts=run.in_parts,
        seed=run.net_seed,
    )


def _resume(net: ImbalanceNet, clf: BalancedNeuralClassifier, run: _Run) -> None:
    resume(
        net,
        clf,
        run.loss,
        run.rows,
        monitor=run.monitor,
        phases=run.phases,
        is_partial=run.is_partial,
        in_parts=run.in_parts,
    )


def _checked_loss(clf: BalancedNeuralClassifier, rows: Rows) -> Loss:
    """Build the loss, behind every check of parameters that needs no split."""
    check_parameters(clf)
    loss = build_loss(clf.loss, clf._nested("loss"), len(clf.classes_))
    if loss.is_ranking:
        _reject_weights(clf, rows)
    asks = [name for name in _NEED_POSTERIOR if getattr(clf, name) is not None]
    if asks and not loss.is_calibrated:
        warn(
            f"loss={clf.loss!r} has no calibrated inverse: its probabilities rank, but "
            f"{' and '.join(asks)} cannot work with them. Wrap the classifier in "
            "CalibratedClassifierCV, or (for a loss of your own) give it a method "
            "log_posterior(logits)."
        )
    return loss


def _reject_weights(clf: BalancedNeuralClassifier, rows: Rows) -> None:
    """Raise for weights, and full batches, where rows of a batch are ranked."""
    if clf.optimizer == "lbfgs":
        raise ValueError(
            f"loss={clf.loss!r} compares the rows of a batch in pairs, which optimizer="
            "'lbfgs' would do with all rows at once; use optimizer='auto'."
        )
    if clf.class_weight is not None:
        raise ValueError(
            f"loss={clf.loss!r} ranks, and knows no weights, but class_weight="
            f"{clf.class_weight!r}; set class_weight=None. A sampler changes how many "
            "rows of a class it sees."
        )
    if np.ptp(rows.of(rows.weight)) > 0:
        raise ValueError(
            f"loss={clf.loss!r} ranks, and knows no weights, but sample_weight holds "
            "different ones; leave it out, or train with loss='cross_entropy'."
        )


def _epochs_before_weights(
    clf: BalancedNeuralClassifier, n_epochs: int, is_partial: bool
) -> int:
    start = clf._nested("class_weight").get("start_epoch", 0)
    if clf.class_weight is None:
        return 0
    n_before = epochs_before_weights(start, n_epochs)
    if n_before >= n_epochs and not is_partial:
        raise ValueError(
            f"class_weight__start_epoch={start!r} lets class weights in after "
            f"{n_before} epochs, but max_epochs={n_epochs}: they would never be "
            "used. Raise max_epochs, or give a fraction of them, such as 0.8."
        )
    return n_before


def _reject_restoring_callbacks(
    clf: BalancedNeuralClassifier, monitor: str | None, unweighted: int
) -> None:
    """Raise where a callback restores an epoch that must be known."""
    given = clf.callbacks or []  # some come with a name
    callbacks = [item[1] if isinstance(item, tuple) else item for item in given]
    names = [type(cb).__name__ for cb in callbacks if getattr(cb, "load_best", False)]
    if not names or (monitor is None and not unweighted):
        return
    if monitor is not None:
        rival = (
            "early stopping keeps its own best epoch; set load_best=False, or "
            "early_stopping=False"
        )
    else:
        rival = (
            "whether the epoch that it restores had class weights "
            "(class_weight__start_epoch) is not known; set load_best=False, and "
            "early_stopping=True to keep the best epoch"
        )
    raise ValueError(f"callbacks has {names[0]}(load_best=True), but {rival}.")


def _stops_early(clf: BalancedNeuralClassifier, rows: Rows) -> bool:
    if clf.early_stopping == "auto":
        solves = optimizer_of(clf, sparse.issparse(rows.X)) == "lbfgs"
        return len(rows) > _EARLY_STOPPING_ROWS and not solves
    return bool(clf.early_stopping)


def _monitor(clf: BalancedNeuralClassifier, valid: Rows | Folds | None) -> str | None:
    """Choose what the best epoch is judged by; None keeps the last one."""
    if valid is None or clf.early_stopping is False:
        return None
    has_folds = isinstance(valid, Folds)
    rows = valid.rows if isinstance(valid, Folds) else valid
    solves = optimizer_of(clf, sparse.issparse(rows.X)) == "lbfgs"
    if has_folds and solves and clf.early_stopping == "auto":
        return None
    counts = np.bincount(rows.of(rows.codes), minlength=len(clf.classes_))
    return choose_monitor(clf.monitor, counts, has_folds=has_folds)


def _plans(
    clf: BalancedNeuralClassifier,
    loss: Loss,
    rows: Rows,
    valid: Rows | Folds | None,
    seed: int,
    earlier: list[ClassCounts] | None,
    in_parts: bool,
    unweighted: int,
) -> tuple[TrainingPlan, ...]:
    """Plan the training of the network, or of each of its members."""
    weight_params = clf._nested("class_weight")
    weight_params.pop("start_epoch", None)
    params: dict[str, Any] = {
        "class_weight": clf.class_weight,
        "weight_params": weight_params,
        "defers_weights": unweighted > 0,
        "batch_size": clf.batch_size,
        "full_batch": optimizer_of(clf, in_parts) == "lbfgs",
        "seed": seed,
    }
    new_sampler = partial(_sampler, clf, loss, clf._nested("sampler"))
    n_members = resolve_members(clf)
    if n_members == 1:
        before = None if earlier is None else earlier[0]
        plan = plan_training(
            rows, clf.classes_, sampler=new_sampler(), earlier=before, **params
        )
        return (plan,)
    return plan_members(
        rows,
        clf.classes_,
        n_members,
        valid.folds if isinstance(valid, Folds) else None,
        new_sampler=new_sampler,
        earlier=earlier,
        **params,
    )


def _sampler(clf: BalancedNeuralClassifier, loss: Loss, params: dict[str, Any]) -> Any:
    """Build the sampler; a ranking loss needs every class in each batch."""
    sampler = clf.sampler
    if sampler is None and loss.is_ranking and "net__iterator_train" not in vars(clf):
        sampler = "stratified_batch"
    return build_sampler(sampler, params)

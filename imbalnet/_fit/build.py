"""From the estimator's parameters to a skorch net that is ready to train."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from imbalnet._fit.batches import as_tensor
from imbalnet._fit.callbacks import BestEpoch, CosineSchedule, Phases
from imbalnet._fit.feed import FoldRows, MemberRows, NetRows, SharedRows
from imbalnet._fit.first_look import first_look, update
from imbalnet._fit.net import ImbalanceNet
from imbalnet._fit.options import (
    SET_BY_FIT,
    has_native_members,
    learning_rate_of,
    network_of,
    optimizer_of,
    resolve_members,
    weight_decay_of,
)
from imbalnet._fit.plan import Folds, TrainingPlan, in_one_table
from imbalnet._optimizers import OptimizerFactory, optimizer_factory
from imbalnet._runtime import check_bfloat16, free_memory, resolve_device, seeded_torch
from imbalnet._tables.read import Rows
from imbalnet._warn import warn
from imbalnet.losses import Loss
from imbalnet.networks import DETERMINISTIC
from imbalnet.samplers._epochs import Shuffle

if TYPE_CHECKING:
    from imbalnet.classifier import BalancedNeuralClassifier

# How much of a device's free memory a table may take: the network needs some too.
_SHARE_OF_FREE_MEMORY = 0.8


def build_net(
    clf: BalancedNeuralClassifier,
    loss: Loss,
    rows: Rows,
    start: torch.Tensor,
    *,
    folds: Folds | None,
    monitor: str | None,
    phases: Phases,
    one_batch: bool,
    in_parts: bool,
    seed: int,
) -> ImbalanceNet:
    """Build and initialise the net.

    Parameters
    ----------
    clf : BalancedNeuralClassifier
        Gives the parameters and the classes.
    loss : Loss
    rows : Rows
        Training rows with their sample weights, for the network's first look.
    start : Tensor of shape (n_classes,)
        Logits that the network's output starts at: the minimiser of the loss under the
        class distribution at the start of training.
    folds : Folds or None
        What each member shall not see in its first look.
    monitor : {"average_precision", "loss", "combined"} or None
        What the best epoch is judged by; None keeps the last one.
    phases : Phases
    one_batch : bool
        Whether an epoch is one step.
    in_parts : bool
        See :func:`optimizer_of`.
    seed : int
        Of the initialisation.
    """
    dtype = _torch_dtype(rows)
    device = resolve_device(clf.device, dtype)
    is_mixed = clf.dtype == "bfloat16" and dtype is torch.float32
    if is_mixed:
        check_bfloat16(device)
    optimizer = optimizer_of(clf, in_parts)
    module, module_params = network_of(clf, loss)
    n_members = resolve_members(clf)
    shown: dict[str, Any] = {"rows": rows, "folds": folds, "loss": loss, "start": start}
    look = partial(first_look, clf=clf, n_members=n_members, **shown)
    with seeded_torch(seed, device):
        return ImbalanceNet(
            module,
            module__in_features=clf.n_features_in_,
            module__out_features=len(clf.classes_),
            **_categories(rows),
            **_prefixed("module", module_params),
            criterion=loss,
            n_members=n_members,
            has_member_axis=has_native_members(clf),
            classes=clf.classes_,
            optimizer=optimizer_factory(optimizer),
            **_prefixed("optimizer", clf._nested("optimizer")),
            lr=learning_rate_of(clf, optimizer, is_full_batch=one_batch),
            weight_decay=weight_decay_of(clf, optimizer, rows.weight_sum),
            callbacks=_callbacks(clf, optimizer, monitor, phases),
            verbose=clf.verbose,
            device=device,
            dtype=dtype,
            is_mixed=is_mixed,
            compile=clf.compile,
            first_look=look,
            **clf._nested("net"),
        ).initialize()


def _categories(rows: Rows) -> dict[str, Any]:
    """Tell the network of columns of categories, where there are some."""
    n_categories = rows.columns.n_categories
    return {"module__n_categories": n_categories} if n_categories else {}


def _prefixed(prefix: str, params: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}__{name}": value for name, value in params.items()}


def _callbacks(
    clf: BalancedNeuralClassifier,
    optimizer: str | OptimizerFactory,
    monitor: str | None,
    phases: Phases,
) -> list[Any]:
    callbacks: list[Any] = []
    if clf.schedule == "cosine" and optimizer != "lbfgs":
        callbacks.append(("schedule", CosineSchedule()))
    if monitor is not None:
        first_stop = max(phases.unweighted, phases.warmup)
        best = BestEpoch(monitor, clf.patience, first_stop)
        callbacks.append(("best_epoch", best))
    return [*callbacks, *copy.deepcopy(list(clf.callbacks or []))]


def _torch_dtype(rows: Rows) -> torch.dtype:
    return torch.float64 if rows.X.dtype == np.float64 else torch.float32


def train_net(
    net: ImbalanceNet,
    plans: Sequence[TrainingPlan],
    valid: Rows | Folds | None,
    *,
    epochs: int,
    epochs_before: int,
    phases: Phases,
    seed: int,
    phase_shifts: tuple[NDArray, NDArray] | None = None,
) -> None:
    """Train a net on its members' plans; validation rows weigh what training rows do.

    ``phase_shifts`` are for out-of-fold rows, see
    :class:`~imbalnet._fit.feed.FoldRows`.
    """
    folds = valid if isinstance(valid, Folds) else None
    train_rows = _training_rows(net, plans, folds)
    place = {"dtype": net.dtype, "device": net.device, "resident": train_rows.resident}
    held_out = valid.rows if isinstance(valid, Folds) else valid
    is_shared = held_out is not None and held_out.X is plans[0].sampled.X
    shared = train_rows.table if is_shared else None
    valid_rows: NetRows | None = None
    if folds is not None:
        valid_rows = fold_rows(folds, plans, shared, **place)
        valid_rows.phase_shifts = phase_shifts
    elif isinstance(valid, Rows):
        table = valid.X if shared is None else shared
        loss_factor = np.mean([plan.loss_factor for plan in plans], axis=0)
        weight = valid.weighted_by_class(loss_factor).weight
        valid_rows = NetRows(table, valid.codes, weight, valid.index, **place)
        valid_rows.score_weight = valid.of(valid.weight)
    net.set_params(
        max_epochs=epochs,
        batch_size=plans[0].batch_size,
        phases=phases,
        epochs_before=epochs_before,
    )
    with _generator_context(net, seed):
        net.partial_fit((train_rows, valid_rows))


def fold_rows(
    folds: Folds, plans: Sequence[TrainingPlan], table: Any = None, **place: Any
) -> FoldRows:
    """Give rows that the members predict, each those of its fold.

    Parameters
    ----------
    folds : Folds
    plans : sequence of TrainingPlan
        Of the members, whose loss weights the rows have.
    table : Tensor or None, default=None
        The features, where they lie on the device.
    **place
        ``dtype``, ``device``, ``resident``, see
        :class:`~imbalnet._fit.batches.TableRows`.
    """
    rows = folds.rows
    return FoldRows(
        rows.X if table is None else table,
        rows.codes,
        rows.weight,
        rows.index,
        folds=folds.folds,
        factors=np.stack([plan.loss_factor for plan in plans]),
        **place,
    )


def _training_rows(
    net: ImbalanceNet, plans: Sequence[TrainingPlan], folds: Folds | None
) -> NetRows:
    """Give the rows of a plan, or those of all members' plans."""
    first = plans[0]
    if _share_batches(net, plans):
        rows = first.sampled if folds is None else folds.rows
        given: dict[str, Any] = {
            "order": Shuffle(len(rows), first.order.rng),  # type: ignore[union-attr]
            "folds": None if folds is None else folds.folds,
        }
        given |= _of_members(plans, rows, net)
        return SharedRows(*_columns(rows), **given)
    if len(plans) > 1:
        rows, places = in_one_table(plans)
        given = {
            "places": places,
            "orders": [p.order for p in plans if p.order is not None] or None,
        }
        given |= _of_members(plans, rows, net)
        return MemberRows(*_columns(rows), **given)
    rows = first.rows
    train_rows = NetRows(*_columns(rows), order=first.order, **_place(rows, net))
    if first.early_weight is not None:
        early_weight = as_tensor(
            first.early_weight, train_rows.weight.device, dtype=net.dtype
        )
        train_rows.phase_weights = early_weight, train_rows.weight
    return train_rows


def _share_batches(net: ImbalanceNet, plans: Sequence[TrainingPlan]) -> bool:
    """Tell whether members may go through the same rows in the same order."""
    return (
        len(plans) > 1
        and getattr(net.module_, "shares_batches", False)
        and all(isinstance(plan.order, Shuffle) for plan in plans)
        and all(plan.sampled.X is plans[0].sampled.X for plan in plans)
    )


def _columns(rows: Rows) -> tuple[Any, NDArray, NDArray, NDArray | None]:
    return rows.X, rows.codes, rows.weight, rows.index


def _place(rows: Rows, net: ImbalanceNet) -> dict[str, Any]:
    resident = sparse.issparse(rows.X) or _fits(rows.X, net)
    return {"dtype": net.dtype, "device": net.device, "resident": resident}


def _of_members(
    plans: Sequence[TrainingPlan], rows: Rows, net: ImbalanceNet
) -> dict[str, Any]:
    early = [p.early_factor for p in plans if p.early_factor is not None]
    return {
        "factors": np.stack([plan.factor for plan in plans]),
        "early_factors": np.stack(early) if early else None,
        **_place(rows, net),
    }


def _fits(X: NDArray, net: ImbalanceNet) -> bool:
    """Tell whether a table fits on the device, and say so where it does not.

    Warns
    -----
    UserWarning
    """
    device = torch.device(net.device)
    n_bytes = X.size * net.dtype.itemsize
    free = free_memory(device)
    if free is None or n_bytes <= _SHARE_OF_FREE_MEMORY * free:
        return True
    warn(
        f"X has {n_bytes / 1e9:.1f} GB, but {device} has {free / 1e9:.1f} GB free: the "
        "batches come from main memory, which takes longer. Free memory there, or take "
        "a device with more, to train without copies."
    )
    return False


def resume(
    net: ImbalanceNet,
    clf: BalancedNeuralClassifier,
    loss: Loss,
    rows: Rows,
    *,
    monitor: str | None,
    phases: Phases,
    is_partial: bool,
    in_parts: bool,
) -> None:
    """Prepare a trained net for more rows, under the parameters as they are now.

    ``fit`` builds loss, optimiser and callbacks anew, as scikit-learn's networks do;
    ``partial_fit`` keeps optimiser and callbacks, but lets the statistics of the first
    layer take the rows in. A net that L-BFGS solved goes on with the one for parts.
    """
    net.criterion = loss
    net.initialize_criterion()
    optimizer = optimizer_of(clf, in_parts)
    leaves_lbfgs = clf.optimizer == "auto" and isinstance(
        net.optimizer_, torch.optim.LBFGS
    )
    if not is_partial or (leaves_lbfgs and optimizer != "lbfgs"):
        net.optimizer = optimizer_factory(optimizer)
        net.lr = learning_rate_of(clf, optimizer, is_full_batch=False)
        net.weight_decay = weight_decay_of(clf, optimizer, rows.weight_sum)
        net.initialize_optimizer()
    if not is_partial:
        net.callbacks = _callbacks(clf, optimizer, monitor, phases)
        net.initialize_callbacks()
    elif hasattr(net.module_, "update_from"):
        update(net.module_, rows)


def check_same_network(
    net: ImbalanceNet, clf: BalancedNeuralClassifier, loss: Loss
) -> None:
    """Raise if training shall go on with another network than the one there is."""
    params = net.get_params_for("module").items()
    given = {name: value for name, value in params if name not in SET_BY_FIT}
    module, wanted = network_of(clf, loss)
    if given.pop("normalize_output", False) != wanted.pop("normalize_output", False):
        raise ValueError(
            f"loss={clf.loss!r} needs another last layer than the network has (cosines "
            "or not), so that training cannot go on from its weights; set loss or "
            "module__normalize_output back, or fit with warm_start=False."
        )
    if net.module is not module or given != wanted:
        raise ValueError(
            "n_members, module or module__* changed since the network was built, so "
            "that training cannot go on from its weights; set them back, or fit with "
            "warm_start=False."
        )


def _generator_context(
    net: ImbalanceNet, seed: int
) -> contextlib.AbstractContextManager[None]:
    """Seed torch only for networks that may draw in training (dropout).

    The default generators are shared between threads, so that seeding them makes
    fits in parallel threads wait for each other.
    """
    if all(type(module) in DETERMINISTIC for module in net.module_.modules()):
        return contextlib.nullcontext()
    return seeded_torch(seed, torch.device(net.device))

"""From the estimator's parameters to a skorch net that is ready to train."""

from __future__ import annotations

import contextlib
import copy
import inspect
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from skorch import NeuralNet
from torch import nn

from imbalnet.batches import Shuffle, as_tensor
from imbalnet.columns import ColumnRules
from imbalnet.datasets import FoldRows, MemberRows, NetRows, SharedRows
from imbalnet.first_look import first_look, update
from imbalnet.losses import LOSSES, Loss
from imbalnet.monitoring import BestEpoch, CosineSchedule, Phases
from imbalnet.net import ImbalanceNet
from imbalnet.networks import (
    DETERMINISTIC,
    NETWORKS,
    LinearModel,
    Members,
)
from imbalnet.optimizers import (
    OptimizerFactory,
    optimizer_factory,
    resolve_learning_rate,
    resolve_optimizer,
    resolve_weight_decay,
)
from imbalnet.parameters import (
    accepted_names,
    name_of,
    reject_unknown,
    split_nested,
)
from imbalnet.posterior import resolve_costs, resolve_prior
from imbalnet.preparation import Folds, TrainingPlan, in_one_table
from imbalnet.runtime import (
    check_bfloat16,
    free_memory,
    resolve_device,
    seeded_torch,
)
from imbalnet.table import Rows

if TYPE_CHECKING:
    from imbalnet.classifier import BalancedNeuralClassifier

# How much of a device's free memory a table may take: the network needs some too.
_SHARE_OF_FREE_MEMORY = 0.8

# What the estimator itself gives to skorch, so that net__* cannot.
_OWN_NET_PARAMETERS = {
    "module",
    "criterion",
    "optimizer",
    "lr",
    "max_epochs",
    "batch_size",
    "train_split",
    "callbacks",
    "dataset",
    "predict_nonlinearity",
    "warm_start",
    "verbose",
    "device",
    "compile",
}


# What ``fit`` gives to the network, so that module__* cannot.
_SET_BY_FIT = ("in_features", "out_features", "n_categories")

_WEIGHT_PARAMETERS = {"power", "max_ratio", "start_epoch"}


def check_parameters(clf: BalancedNeuralClassifier) -> None:
    """Raise if a parameter is unknown, or wrong whatever the rows are.

    ``loss__*`` and ``sampler__*`` are judged where those are built.
    """
    clf._reject_unknown_parameters()
    n_classes = len(clf.classes_)
    resolve_prior(clf.target_prior, clf.classes_, np.ones(n_classes) / n_classes)
    resolve_costs(clf.cost_matrix, clf.classes_)
    if isinstance(clf.module, nn.Module):
        raise ValueError(
            "module must be a name, a class or a factory, not an instance of "
            f"{type(clf.module).__name__}: give the class, and its arguments as "
            "module__*."
        )
    module = module_of(clf)
    known = accepted_names(module)
    if known is not None and not {"in_features", "out_features"} <= known:
        raise ValueError(
            f"module={name_of(module)} must accept in_features= (number of columns) "
            f"and out_features= (number of classes); it accepts {sorted(known)}."
        )
    known = accepted_names(module, without=_SET_BY_FIT)
    if resolve_members(clf) > 1 and known is not None:
        known -= {"n_members"}  # a parameter of the estimator itself
    reject_unknown("module", f"module={name_of(module)}", clf._nested("module"), known)
    reject_unknown(
        "class_weight",
        f"class_weight={clf.class_weight!r}",
        clf._nested("class_weight"),
        _WEIGHT_PARAMETERS | ({"beta"} if _is_effective(clf) else set()),
    )
    optimizer = optimizer_of(clf)
    known = accepted_names(
        optimizer_factory(optimizer), without=("params", "weight_decay")
    )
    reject_unknown(
        "optimizer",
        f"optimizer={optimizer!r}",
        clf._nested("optimizer"),
        None if known is None else {*known, "param_groups"},
    )
    _check_net_parameters(clf)


def module_of(clf: BalancedNeuralClassifier) -> Callable[..., nn.Module]:
    """Give the network's class or factory."""
    return NETWORKS[clf.module] if isinstance(clf.module, str) else clf.module


def column_rules(clf: BalancedNeuralClassifier) -> ColumnRules:
    """Give what the network takes, and what the columns shall be.

    Infinite values pass to a network only if ``module__clip=True`` asks for it.
    """
    module = module_of(clf)
    return ColumnRules(
        categorical_features=clf.categorical_features,
        missing=bool(getattr(module, "accepts_missing", False)),
        infinite=clf._nested("module").get("clip") is True,
        categories="n_categories" in (accepted_names(module) or ()),
        module=name_of(clf.module),
    )


def resolve_members(clf: BalancedNeuralClassifier) -> int:
    """Give the number of members, "auto" resolved."""
    return 1 if clf.n_members == "auto" else int(clf.n_members)


def _has_members(clf: BalancedNeuralClassifier) -> bool:
    """Tell whether the network makes its members itself, as one."""
    is_native = "n_members" in (accepted_names(module_of(clf)) or ())
    return is_native and (resolve_members(clf) > 1 or clf.n_members == 1)


def network_of(
    clf: BalancedNeuralClassifier, loss: Loss
) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    """Give the whole network's class or factory and its arguments.

    Those that accept ``n_members`` are told; others stand side by side in
    :class:`~imbalnet.networks.Members`.
    """
    module, params = module_of(clf), module_parameters(clf, loss)
    n_members = resolve_members(clf)
    if _has_members(clf):
        return module, {"n_members": n_members, **params}
    if n_members == 1:
        return module, params
    return Members, {"module": module, "n_members": n_members, **params}


def module_parameters(clf: BalancedNeuralClassifier, loss: Loss) -> dict[str, Any]:
    """Give the module's arguments; a loss of cosines asks networks for them."""
    params = clf._nested("module")
    known = accepted_names(module_of(clf)) or set()
    if loss.takes_cosines and "normalize_output" in known:
        params.setdefault("normalize_output", True)
    return params


def optimizer_of(
    clf: BalancedNeuralClassifier, in_parts: bool = False
) -> str | OptimizerFactory:
    """Give the optimiser's name or class, "auto" resolved.

    ``in_parts`` tells that no step may take all rows: ``partial_fit``, sparse tables;
    a ranking loss never does, which would compare all pairs.
    """
    is_linear = module_of(clf) is LinearModel
    factory = LOSSES[clf.loss] if isinstance(clf.loss, str) else clf.loss
    in_parts = in_parts or getattr(factory, "is_ranking", False)
    return resolve_optimizer(clf.optimizer, is_linear=is_linear, in_parts=in_parts)


def feature_dtype(clf: BalancedNeuralClassifier, *, goes_on: bool) -> type[np.floating]:
    """Give the precision of the features: of the net that is there, or that will be."""
    if goes_on:
        return np.float64 if clf.net_.dtype is torch.float64 else np.float32
    is_double = clf.dtype == "float64" or optimizer_of(clf) == "lbfgs"
    return np.float64 if is_double else np.float32


def _is_effective(clf: BalancedNeuralClassifier) -> bool:
    return isinstance(clf.class_weight, str) and clf.class_weight == "effective"


def _check_net_parameters(clf: BalancedNeuralClassifier) -> None:
    known = set(inspect.signature(NeuralNet).parameters) | {"compile"}
    known -= _OWN_NET_PARAMETERS | {"kwargs"}
    nested = ("iterator_train", "iterator_valid", "compile")
    given = [name for name in clf._nested("net") if split_nested(name)[0] not in nested]
    reject_unknown("net", "the skorch net", given, known)
    if resolve_members(clf) > 1 and "net__iterator_train" in vars(clf):
        raise ValueError(
            f"n_members={clf.n_members} gives each member batches of its own, which "
            "net__iterator_train cannot; leave it out, or set n_members=1."
        )
    if isinstance(clf.sampler, str | type) and "net__iterator_train" in vars(clf):
        raise ValueError(
            f"sampler={name_of(clf.sampler)} sets the order of imbalnet's own batches, "
            "but net__iterator_train brings another iterator; use that iterator's own "
            "sampler, or an imbalanced-learn object as sampler."
        )


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
    weight_sum = rows.weight_sum
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
            has_member_axis=_has_members(clf),
            classes=clf.classes_,
            optimizer=optimizer_factory(optimizer),
            **_prefixed("optimizer", clf._nested("optimizer")),
            lr=resolve_learning_rate(
                clf.learning_rate,
                optimizer,
                is_linear=module_of(clf) is LinearModel,
                is_full_batch=one_batch,
            ),
            weight_decay=resolve_weight_decay(clf.weight_decay, optimizer, weight_sum),
            max_epochs=clf.max_epochs,
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
    constant: torch.Tensor | None = None,
    phase_shifts: tuple[NDArray, NDArray] | None = None,
) -> None:
    """Train a net on its members' plans; validation rows weigh what training rows do.

    ``constant`` and ``phase_shifts`` are for out-of-fold rows, see
    :class:`~imbalnet.datasets.FoldRows`.
    """
    folds = valid if isinstance(valid, Folds) else None
    train_rows = _training_rows(net, plans, folds)
    place = {"dtype": net.dtype, "device": net.device, "resident": train_rows.resident}
    held_out = valid.rows if isinstance(valid, Folds) else valid
    is_shared = held_out is not None and held_out.X is plans[0].sampled.X
    shared = train_rows.table if is_shared else None
    valid_rows: NetRows | None = None
    if isinstance(valid, Folds):
        valid_rows = fold_rows(valid, plans, shared, **place)
        valid_rows.constant, valid_rows.phase_shifts = constant, phase_shifts
    elif valid is not None:
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
        ``dtype``, ``device``, ``resident``, see :class:`~imbalnet.batches.TableRows`.
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
    warnings.warn(
        f"X has {n_bytes / 1e9:.1f} GB, but {device} has {free / 1e9:.1f} GB free: the "
        "batches come from main memory, which takes longer. Free memory there, or take "
        "a device with more, to train without copies.",
        UserWarning,
        stacklevel=7,
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
        is_linear = module_of(clf) is LinearModel
        net.lr = resolve_learning_rate(
            clf.learning_rate, optimizer, is_linear=is_linear, is_full_batch=False
        )
        weight_sum = rows.weight_sum
        net.weight_decay = resolve_weight_decay(clf.weight_decay, optimizer, weight_sum)
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
    given = {name: value for name, value in params if name not in _SET_BY_FIT}
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

"""From the estimator's parameters to a skorch net that is ready to train."""

from __future__ import annotations

import contextlib
import copy
import inspect
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from skorch import NeuralNet
from torch import nn

from imbalnet.batches import as_tensor
from imbalnet.columns import ColumnRules
from imbalnet.losses import LOSSES, Loss, constant_minimiser
from imbalnet.monitoring import BestEpoch, CosineSchedule, Phases
from imbalnet.net import ImbalanceNet, NetRows
from imbalnet.networks import DETERMINISTIC, NETWORKS, CosineLinear, LinearModel
from imbalnet.optimizers import (
    OptimizerFactory,
    optimizer_factory,
    resolve_learning_rate,
    resolve_optimizer,
    resolve_weight_decay,
)
from imbalnet.parameters import accepted_names, reject_unknown, split_nested
from imbalnet.posterior import resolve_costs, resolve_prior
from imbalnet.preparation import TrainingPlan
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

# Rows in the sample that a network looks at first.
_FIRST_LOOK_ROWS = 2**16

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
            f"module={_name(module)} must accept in_features= (number of columns) and "
            f"out_features= (number of classes); it accepts {sorted(known)}."
        )
    known = accepted_names(module, without=_SET_BY_FIT)
    reject_unknown("module", f"module={_name(module)}", clf._nested("module"), known)
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
        module=_name(clf.module),
    )


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
    if isinstance(clf.sampler, str | type) and "net__iterator_train" in vars(clf):
        raise ValueError(
            f"sampler={_name(clf.sampler)} sets the order of imbalnet's own batches, "
            "but net__iterator_train brings another iterator; use that iterator's own "
            "sampler, or an imbalanced-learn object as sampler."
        )


def build_net(
    clf: BalancedNeuralClassifier,
    loss: Loss,
    rows: Rows,
    prior: NDArray,
    *,
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
    prior : ndarray of shape (n_classes,)
        Class distribution at the start of training, whose minimiser of the loss the
        network's output starts at.
    monitor : {"average_precision", "loss"} or None
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
    module = module_of(clf)
    start = constant_minimiser(loss, torch.from_numpy(prior))
    with seeded_torch(seed, device):
        return ImbalanceNet(
            module,
            module__in_features=clf.n_features_in_,
            module__out_features=len(clf.classes_),
            **_categories(rows),
            **_prefixed("module", module_parameters(clf, loss)),
            criterion=loss,
            classes=clf.classes_,
            optimizer=optimizer_factory(optimizer),
            **_prefixed("optimizer", clf._nested("optimizer")),
            lr=resolve_learning_rate(
                clf.learning_rate,
                optimizer,
                is_linear=module is LinearModel,
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
            first_look=partial(_first_look, clf=clf, rows=rows, loss=loss, start=start),
            **clf._nested("net"),
        ).initialize()


def _categories(rows: Rows) -> dict[str, Any]:
    """Tell the network of columns of categories, where there are some."""
    n_categories = rows.columns.n_categories
    return {"module__n_categories": n_categories} if n_categories else {}


def _prefixed(prefix: str, params: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}__{name}": value for name, value in params.items()}


def _name(component: Any) -> str:
    return getattr(component, "__name__", repr(component))


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


@torch.no_grad()
def _first_look(
    module: Any,
    *,
    clf: BalancedNeuralClassifier,
    rows: Rows,
    loss: Loss,
    start: torch.Tensor,
) -> None:
    """Let a new network see training rows, and check what it gives."""
    if hasattr(module, "initialize_from"):
        module.initialize_from(*_seen(rows))
    _check_output(module, clf, rows)
    if loss.takes_cosines:
        _check_cosines(module, clf)
    if hasattr(module, "initialize_output"):
        module.initialize_output(start)


def _torch_dtype(rows: Rows) -> torch.dtype:
    return torch.float64 if rows.X.dtype == np.float64 else torch.float32


def _seen(rows: Rows) -> tuple[Any, NDArray, NDArray]:
    """Give features, codes and weights of the rows, of a sample where they are many."""
    if len(rows) <= _FIRST_LOOK_ROWS:
        return rows.of(rows.X), rows.of(rows.codes), rows.of(rows.weight)
    some = torch.randint(len(rows), (_FIRST_LOOK_ROWS,)).unique().numpy()
    index = some if rows.index is None else rows.index[some]
    return rows.X[index], rows.codes[index], rows.weight[index]


def _check_output(module: nn.Module, clf: BalancedNeuralClassifier, rows: Rows) -> None:
    parameter = next(module.parameters(), torch.empty(0))
    two = rows.X[:2]
    batch = two.toarray() if sparse.issparse(two) else two
    module.eval()
    shape = tuple(module(torch.as_tensor(batch, device=parameter.device)).shape)
    n_classes = len(clf.classes_)
    columns = {n_classes, 1} if n_classes == 2 else {n_classes}
    if len(shape) not in (2, 3) or shape[-1] not in columns:
        raise ValueError(
            f"module={_name(clf.module)} must give logits of shape (batch, "
            f"{n_classes}) or (batch, members, {n_classes}), but gave {shape} for a "
            f"batch of {len(batch)} rows."
        )


def _check_cosines(module: nn.Module, clf: BalancedNeuralClassifier) -> None:
    if not any(isinstance(part, CosineLinear) for part in module.modules()):
        raise ValueError(
            f"loss={clf.loss!r} needs cosines, but module={_name(clf.module)} does not "
            "end in imbalnet.networks.CosineLinear; use module='mlp', or such a last "
            "layer in a module of your own."
        )


def train_net(
    net: ImbalanceNet,
    plan: TrainingPlan,
    valid: Rows | None,
    *,
    epochs: int,
    epochs_before: int,
    phases: Phases,
    seed: int,
) -> None:
    """Train a net on a plan; validation rows weigh what training rows do."""
    rows = plan.rows
    resident = sparse.issparse(rows.X) or _fits(rows.X, net)
    place = {"dtype": net.dtype, "device": net.device, "resident": resident}
    train_rows = NetRows(
        rows.X, rows.codes, rows.weight, rows.index, order=plan.order, **place
    )
    if plan.early_weight is not None:
        early = as_tensor(plan.early_weight, train_rows.weight.device, dtype=net.dtype)
        train_rows.phase_weights = early, train_rows.weight
    valid_rows = None
    if valid is not None:
        table = train_rows.table if valid.X is rows.X else valid.X
        weight = valid.weighted_by_class(plan.loss_factor).weight
        valid_rows = NetRows(table, valid.codes, weight, valid.index, **place)
        valid_rows.score_weight = valid.of(valid.weight)
    net.set_params(
        max_epochs=epochs,
        batch_size=plan.batch_size,
        phases=phases,
        epochs_before=epochs_before,
    )
    with _generator_context(net, seed):
        net.partial_fit((train_rows, valid_rows))


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
        stacklevel=6,
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
        net.module_.update_from(*_seen(rows))


def check_same_network(
    net: ImbalanceNet, clf: BalancedNeuralClassifier, loss: Loss
) -> None:
    """Raise if training shall go on with another network than the one there is."""
    params = net.get_params_for("module").items()
    given = {name: value for name, value in params if name not in _SET_BY_FIT}
    wanted = module_parameters(clf, loss)
    if given.pop("normalize_output", False) != wanted.pop("normalize_output", False):
        raise ValueError(
            f"loss={clf.loss!r} needs another last layer than the network has (cosines "
            "or not), so that training cannot go on from its weights; set loss or "
            "module__normalize_output back, or fit with warm_start=False."
        )
    if net.module is not module_of(clf) or given != wanted:
        raise ValueError(
            "module or module__* changed since the network was built, so that training "
            "cannot go on from its weights; set them back, or fit with "
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

"""Step 4: build a net, or prepare a trained one for further training."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbalnet._fit.callbacks import make_callbacks
from imbalnet._fit.net import ImbalanceNet
from imbalnet._fit.outliers import warn_of_outliers
from imbalnet._fit.output import check_output
from imbalnet._fit.specs import OptimizerSpec, Options
from imbalnet._fit.split import HeldOut
from imbalnet._nested import accepted_names
from imbalnet._runtime import seeded_torch, without_forks
from imbalnet._tables import Rows
from imbalnet.networks import CosineLinear, LinearModel, Members
from imbalnet.networks.base import may_write

# Rows in the sample from which a network computes its statistics.
_STATISTICS_ROWS = 2**16


def build_net(
    options: Options,
    rows: Rows,
    held_out: HeldOut | None,
    start: Tensor,
    *,
    monitor: str | None,
    one_batch: bool,
) -> ImbalanceNet:
    """Build a net that is ready to train.

    The network computes its statistics from `rows`. With folds, those of a member do
    not use the labels of its own fold. The initial output are the logits `start`, of
    shape (n_classes,). `one_batch` is whether an epoch is one step.
    """
    spec, machine, optimizer = options.network, options.machine, options.optimizer
    sizes = {"in_features": rows.X.shape[1], "out_features": len(options.classes)}
    if rows.columns.n_categories:
        sizes["n_categories"] = rows.columns.n_categories
    with seeded_torch(options.seeds.network, machine.device), without_forks():
        net = ImbalanceNet(
            spec.factory,
            **_prefixed("module", {**sizes, **spec.params}),
            criterion=options.loss,
            n_members=spec.n_members,
            has_member_axis=spec.has_member_axis,
            classes=options.classes,
            optimizer=optimizer.factory,
            **_prefixed("optimizer", optimizer.params),
            lr=_learning_rate(optimizer, one_batch),
            weight_decay=_weight_decay(options, rows),
            callbacks=make_callbacks(options, monitor),
            verbose=options.verbose,
            device=machine.device,
            dtype=machine.dtype,
            is_mixed=machine.is_mixed,
            compile=machine.compile,
            **options.net_params,
        ).initialize()
        _prepare_network(net, options, rows, held_out, start)
    net.initialize_optimizer()  # again: statistics may have replaced parameters
    return net


def _prefixed(prefix: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}__{name}": value for name, value in params.items()}


def _learning_rate(optimizer: OptimizerSpec, one_batch: bool) -> float:
    return optimizer.full_batch_learning_rate if one_batch else optimizer.learning_rate


def _weight_decay(options: Options, rows: Rows) -> float:
    decay = options.optimizer.weight_decay
    return 1.0 / rows.weight_sum if decay is None else decay


@torch.no_grad()
def _prepare_network(
    net: ImbalanceNet,
    options: Options,
    rows: Rows,
    held_out: HeldOut | None,
    start: Tensor,
) -> None:
    """Initialise statistics and output of a network, and check its output."""
    network, spec = net.network_, options.network
    some, folds = _sample(len(rows)), {}
    if held_out is not None and held_out.folds is not None:
        names = accepted_names(network.initialize_from)  # None: it accepts any
        if names is None or "folds" in names:
            folds = {"folds": held_out.folds[some]}
    network.initialize_from(*_columns(net, rows, some), **folds)
    module: Any = getattr(net.module_, "_orig_mod", net.module_)  # not compiled yet
    one = module.members[0] if isinstance(module, Members) else module
    if isinstance(one, LinearModel) and spec.params.get("standardize", True):
        warn_of_outliers(rows, some, getattr(one.input, "numbers", one.input))
    check_output(module, spec, len(options.classes), rows)
    if options.loss.takes_cosines:
        _check_cosines(module, options)
    network.initialize_output(start)


def replace_net(earlier: ImbalanceNet, net: ImbalanceNet) -> None:
    """Give the net that replaces an earlier one its history, callbacks and phase."""
    net.history = copy.copy(earlier.history)
    net.callbacks, net.callbacks_ = earlier.callbacks, earlier.callbacks_
    net.epochs_behind_ = earlier.epochs_behind_


def resume(
    net: ImbalanceNet,
    options: Options,
    rows: Rows,
    *,
    monitor: str | None,
    shift: Tensor | None = None,
) -> None:
    """Prepare a trained net for further training, with the present options.

    `shift`, of shape (n_classes,), is added to the logits.

    ``fit`` builds loss, optimiser and callbacks anew, as scikit-learn's networks do.
    ``partial_fit`` keeps optimiser and callbacks, and updates the statistics of the
    network by `rows`. After L-BFGS, it continues with the optimiser of ``partial_fit``.
    """
    net.criterion = options.loss
    net.initialize_criterion()
    optimizer = options.optimizer
    was_lbfgs = isinstance(net.optimizer_, torch.optim.LBFGS)
    leaves_lbfgs = optimizer.is_auto and was_lbfgs and not optimizer.is_lbfgs
    if not options.is_partial or leaves_lbfgs:
        net.optimizer = optimizer.factory
        net.lr = optimizer.learning_rate
        net.weight_decay = _weight_decay(options, rows)
        net.initialize_optimizer()
    if options.is_partial:
        with seeded_torch(options.seeds.network, torch.device(net.device)):
            net.network_.update_from(*_columns(net, rows, _sample(len(rows))))
        if shift is not None:
            net.network_.shift_output(shift)
    else:
        net.callbacks = make_callbacks(options, monitor)
        net.initialize_callbacks()


def _columns(net: ImbalanceNet, rows: Rows, some: Any) -> tuple[Any, NDArray, NDArray]:
    """Return features, codes and weights; copies if the module may write to them."""
    rows = (rows if isinstance(some, slice) else rows.subset(some)).loaded()
    columns = rows.of(rows.X), rows.of(rows.codes), rows.of(rows.weights)
    module: Any = getattr(net.module_, "_orig_mod", net.module_)
    one = module.members[0] if isinstance(module, Members) else module
    return copy.deepcopy(columns) if may_write(one) else columns


def _sample(n_rows: int) -> NDArray[np.intp] | slice:
    """Draw a sample of rows if there are many."""
    if n_rows <= _STATISTICS_ROWS:
        return slice(None)
    return torch.randint(n_rows, (_STATISTICS_ROWS,)).unique().numpy()


def _check_cosines(network: nn.Module, options: Options) -> None:
    if not any(isinstance(part, CosineLinear) for part in network.modules()):
        raise ValueError(
            f"{options.loss_name} needs cosines, but module={options.network.name} "
            "does not end in imbalnet.networks.CosineLinear; use module='mlp', or such "
            "a last layer in a module of your own."
        )

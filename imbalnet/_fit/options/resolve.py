"""From the estimator's parameters to `Options`, in which no value is "auto".

`resolve_options` checks every parameter, and resolves "auto" from the rows and the
defaults in ``recipes``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbalnet._callbacks import check_callbacks
from imbalnet._checks import is_integer
from imbalnet._fit.callbacks import BEST_EPOCH, SCHEDULE
from imbalnet._fit.cv import check_cv_alone, read_splits
from imbalnet._fit.fitted import Fitted
from imbalnet._fit.options.choices import Chosen, choose
from imbalnet._fit.options.class_values import check_class_values
from imbalnet._fit.options.held_out import kind_of_validation, resolve_validation
from imbalnet._fit.options.parameter_checks import (
    check_checkpoint,
    check_loss,
    check_module,
    check_net_parameters,
    check_optimizer_parameters,
    check_weight_parameters,
)
from imbalnet._fit.plan import FULL_BATCH_ROWS, auto_batch_size
from imbalnet._fit.specs import (
    Levers,
    Machine,
    NetworkSpec,
    OptimizerSpec,
    Options,
    Phases,
    Seeds,
    Splits,
)
from imbalnet._nested import accepted_names, name_of, nested
from imbalnet._optimizers import optimizer_factory
from imbalnet._ranks import ranks_now
from imbalnet._runtime import check_bfloat16, resolve_device, spawn_seeds
from imbalnet._tables import Rows
from imbalnet.losses import Loss
from imbalnet.losses._build import build_loss
from imbalnet.networks import Members
from imbalnet.samplers._build import build_sampler


def resolve_options(
    params: Mapping[str, Any],
    rows: Rows,
    classes: NDArray,
    *,
    is_partial: bool = False,
    has_validation_rows: bool = False,
    before: Fitted | None = None,
    starts_anew_for: int | None = None,
) -> Options:
    """Check all parameters, and resolve "auto" from the rows.

    `params` are the estimator's ``get_params(deep=False)``, and `rows` all rows passed
    to ``fit``. Training continues from `before`. If ``partial_fit`` instead starts anew
    on the rows of several calls, `starts_anew_for` is the number of rows of the largest
    call.
    """
    splits = None if is_partial else _splits(params, rows, classes, has_validation_rows)
    chosen = choose(params, rows, splits, is_partial=is_partial)
    _check(params, classes, chosen)
    loss = build_loss(params["loss"], nested(params, "loss"), len(classes))
    check_loss(params, loss, rows)
    network = _network(params, chosen, loss)
    phases = _phases(params, chosen, loss, rows, is_partial)
    if before is not None:
        before.network.check_same(network, f"loss={params['loss']!r}")
    kind = kind_of_validation(params, rows, chosen, has_validation_rows, is_partial)
    batch_size = _batch_size(params, chosen, rows, starts_anew_for)
    starts_anew = starts_anew_for is not None
    return Options(
        classes=classes,
        loss=loss,
        network=network,
        optimizer=_optimizer(params, chosen),
        machine=before.machine if before else _machine(params, rows),
        levers=_levers(params, chosen, loss, phases, classes, batch_size),
        validation=resolve_validation(
            kind, params, rows, chosen, loss, phases, is_partial
        ),
        phases=phases,
        seeds=_seeds(params["random_state"], None if starts_anew else before),
        is_partial=is_partial,
        starts_anew=starts_anew,
        checkpoint=None if is_partial else _checkpoint(params),
        **_as_given(params),
    )


def _splits(
    params: Mapping[str, Any], rows: Rows, classes: NDArray, has_validation_rows: bool
) -> Splits | None:
    """Return the rows that ``cv`` holds out; None without ``cv``."""
    if params["cv"] is None:
        return None
    check_cv_alone(params["cv"], params["early_stopping"], has_validation_rows)
    return read_splits(params["cv"], rows, classes)


def _check(params: Mapping[str, Any], classes: NDArray, chosen: Chosen) -> None:
    """Raise for parameters that are wrong for any rows."""
    check_callbacks(params["callbacks"] or (), (SCHEDULE, BEST_EPOCH))
    check_class_values(params, classes)
    check_module(params, chosen.module, chosen.n_members)
    check_weight_parameters(params)
    check_optimizer_parameters(params, chosen.optimizer)
    check_net_parameters(params, chosen.n_members)


def _network(params: Mapping[str, Any], chosen: Chosen, loss: Loss) -> NetworkSpec:
    """Return factory and arguments of the network, including all members.

    A module that accepts ``n_members`` builds its members itself. Other modules are
    combined by :class:`~imbalnet.networks.Members`. If the loss takes cosines, the
    network must output them.
    """
    recipe, factory, n_members = chosen.recipe, chosen.module, chosen.n_members
    known = accepted_names(factory) or set()
    arguments = {**recipe.params, **nested(params, "module")}
    if loss.takes_cosines and "normalize_output" in known:
        arguments.setdefault("normalize_output", True)
    is_one = params["n_members"] == 1 or n_members < recipe.n_members
    is_native = "n_members" in known and (n_members > 1 or is_one)
    if is_native:
        arguments = {"n_members": n_members, **arguments}
    elif n_members > 1:
        arguments = {"module": factory, "n_members": n_members, **arguments}
        factory = Members
    name = name_of(params["module"])
    resolved = recipe.module or name
    return NetworkSpec(name, factory, arguments, n_members, is_native, resolved)


def _optimizer(params: Mapping[str, Any], chosen: Chosen) -> OptimizerSpec:
    """Return how the weights are updated."""
    recipe, name = chosen.recipe, chosen.optimizer
    rates = [recipe.learning_rate, recipe.full_batch_learning_rate]
    if params["learning_rate"] != "auto":
        rates = [float(params["learning_rate"])] * 2
    elif name in ("lbfgs", "sgd"):
        rates = [1.0 if name == "lbfgs" else 0.05] * 2
    decay: float | None = None  # that of LogisticRegression(C=1), for "lbfgs"
    if params["weight_decay"] != "auto":
        decay = float(params["weight_decay"])
    elif not chosen.is_lbfgs:
        # in AdamW it is decoupled from the gradient; others add it to the gradient
        is_adamw = name in ("adamw", torch.optim.AdamW)
        decay = recipe.weight_decay if is_adamw else 1e-4
    return OptimizerSpec(
        name=name_of(name) if callable(name) else name,
        factory=optimizer_factory(name),
        params=nested(params, "optimizer"),
        is_auto=params["optimizer"] == "auto",
        is_lbfgs=chosen.is_lbfgs,
        learning_rate=rates[0],
        full_batch_learning_rate=rates[1],
        weight_decay=decay,
        has_schedule=chosen.has_schedule,
    )


def _machine(params: Mapping[str, Any], rows: Rows) -> Machine:
    """Return device and precision; raise if the device does not support them."""
    is_double = rows.X.dtype == np.float64
    dtype = torch.float64 if is_double else torch.float32
    device = resolve_device(params["device"], dtype)
    is_mixed = params["dtype"] == "bfloat16" and not is_double
    if is_mixed:
        check_bfloat16(device)
    return Machine(device, dtype, is_mixed, params["compile"])


def _phases(
    params: Mapping[str, Any], chosen: Chosen, loss: Loss, rows: Rows, is_partial: bool
) -> Phases:
    """Return the number of epochs, and those at which the objective changes."""
    planned = params["max_epochs"]
    planned = chosen.recipe.epochs(len(rows)) if planned == "auto" else int(planned)
    start = nested(params, "class_weight").get("start_epoch", 0)
    unweighted = 0
    if params["class_weight"] is not None:
        unweighted = epochs_before_weights(start, planned)
    if unweighted >= planned and not is_partial:
        raise ValueError(
            f"class_weight__start_epoch={start!r} lets class weights in after "
            f"{unweighted} epochs, but max_epochs={planned}: they would never be "
            "used. Raise max_epochs, or give a fraction of them, such as 0.8."
        )
    return Phases(planned, unweighted, math.ceil(loss.warmup * planned))


def epochs_before_weights(start_epoch: Any, max_epochs: int) -> int:
    """Return ``class_weight__start_epoch`` as a number of epochs."""
    is_count = is_integer(start_epoch)
    if is_count and start_epoch >= 0:
        return int(start_epoch)
    is_share = isinstance(start_epoch, Real) and not is_count
    if is_share and 0 <= float(start_epoch) < 1:
        n_epochs = round(float(start_epoch) * max_epochs)
        return max(n_epochs, 1) if start_epoch else 0
    raise ValueError(
        f"class_weight__start_epoch={start_epoch!r} must be a number of epochs (an "
        "integer of at least 0) or a share of max_epochs (a float in [0, 1))."
    )


def _levers(
    params: Mapping[str, Any],
    chosen: Chosen,
    loss: Loss,
    phases: Phases,
    classes: NDArray,
    batch_size: int | None,
) -> Levers:
    """Return sampler, class weights and batch size."""
    sampler = params["sampler"]
    has_own_batches = "net__iterator_train" not in params
    if sampler is None and loss.is_ranking and has_own_batches:
        sampler = "stratified_batch"  # so that each batch has rows of every class
    weight_params = nested(params, "class_weight")
    weight_params.pop("start_epoch", None)
    return Levers(
        classes=classes,
        new_sampler=partial(build_sampler, sampler, nested(params, "sampler")),
        class_weight=params["class_weight"],
        weight_params=weight_params,
        batch_size=batch_size,
        batch_factor=chosen.recipe.batch_factor,
        full_batch=chosen.is_lbfgs,
        defers_weights=phases.unweighted > 0,
        loss_factors=loss.factors_in_mean(len(classes)).double().cpu().numpy(),
    )


def _batch_size(
    params: Mapping[str, Any], chosen: Chosen, rows: Rows, largest_call: int | None
) -> int | None:
    """Return the number of rows in a batch; None depends on the rows of an epoch.

    If ``partial_fit`` starts anew on the rows of several calls, the number of steps
    must be about the same as in these calls.
    """
    if params["batch_size"] != "auto":
        return int(params["batch_size"])
    if largest_call is None or chosen.is_lbfgs or len(rows) <= FULL_BATCH_ROWS:
        return None
    return chosen.recipe.batch_factor * auto_batch_size(largest_call)


def _seeds(random_state: Any, before: Fitted | None) -> Seeds:
    """Return a seed for each step of the run.

    After `before`, they differ from its seeds, except that of the split.
    """
    step = 0 if before is None else before.n_epochs
    seeds = Seeds(*spawn_seeds(random_state, 5, step=step))
    return seeds if before is None else seeds._replace(split=before.split_seed)


def _checkpoint(params: Mapping[str, Any]) -> str | None:
    """Return the folder that stores the state of the fit, or None."""
    if params["checkpoint"] is None:
        return None
    check_checkpoint(params)
    return os.fspath(params["checkpoint"])


def _as_given(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are parameters as the user passed them."""
    # with that of a stored fit, or with those of other processes
    is_compared = params["checkpoint"] is not None or ranks_now() is not None
    return {
        "loss_name": f"loss={params['loss']!r}",
        "callbacks": list(params["callbacks"] or []),
        "net_params": nested(params, "net"),
        **{name: params[name] for name in ("n_threads", "verbose", "target_prior")},
        "params": params if is_compared else None,
    }

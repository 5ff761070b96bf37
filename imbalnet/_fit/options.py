"""Every parameter checked, and every "auto" resolved, once.

`resolve_options` turns the estimator's parameters into `Options`, with the defaults
that `recipes` holds. No step of a run sees the word "auto".
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imbalnet._callbacks import callback_of, check_callbacks
from imbalnet._checks import is_integer
from imbalnet._fit.batches import TensorBatches
from imbalnet._fit.callbacks import BEST_EPOCH, SCHEDULE
from imbalnet._fit.class_values import check_class_values
from imbalnet._fit.cv import check_cv_alone, name_of_cv, read_splits
from imbalnet._fit.fitted import Fitted
from imbalnet._fit.groups import warn_of_useless_groups
from imbalnet._fit.monitors import check_monitors, check_use, recorded_names
from imbalnet._fit.plan import FULL_BATCH_ROWS, auto_batch_size
from imbalnet._fit.recipes import find_recipe
from imbalnet._fit.specs import (
    Levers,
    Machine,
    NetworkSpec,
    OptimizerSpec,
    Options,
    Phases,
    Seeds,
    Splits,
    Validation,
)
from imbalnet._nested import (
    accepted_names,
    name_of,
    nested,
    reject_unknown,
    split_nested,
)
from imbalnet._optimizers import OPTIMIZERS, optimizer_factory
from imbalnet._ranks import ranks_now
from imbalnet._runtime import check_bfloat16, resolve_device, spawn_seeds
from imbalnet._tables import ColumnRules, Rows
from imbalnet._warn import warn
from imbalnet.class_weights import class_weights
from imbalnet.decisions.criteria import check_threshold
from imbalnet.losses import LOSSES, Loss
from imbalnet.losses._build import build_loss
from imbalnet.networks import NETWORKS, LinearModel, Members, OneHot
from imbalnet.posterior import resolve_costs
from imbalnet.posterior.prior import target_distribution
from imbalnet.samplers._build import build_sampler

# As HistGradientBoostingClassifier: below, a validation split costs more than it gives.
_EARLY_STOPPING_ROWS = 10_000

# So many folds may be empty: members without one train on all rows.
_FEW_FOLDS = 64

# The largest table in which "auto" looks for neighbours; frequent levels are columns.
_NEIGHBOR_ROWS, _NEIGHBOR_COLUMNS = 2**16, 2**9

# What fit gives to the network, so that module__* cannot.
_SET_BY_FIT = ("in_features", "out_features", "n_categories")

# What users may give to skorch as net__*, and where nested names follow.
_NET_PARAMETERS = {
    "iterator_train",
    "iterator_valid",
    "torch_load_kwargs",
    "use_caching",
}
_ITERATORS = "iterator_train", "iterator_valid"
_WITH_NESTED = *_ITERATORS, "compile"

_WEIGHT_PARAMETERS = {"power", "max_ratio", "start_epoch"}

# Parameters that presume calibrated probabilities.
_NEED_POSTERIOR = ("target_prior", "cost_matrix")


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

    `params` are the estimator's ``get_params(deep=False)``, `rows` all that ``fit`` was
    given, and training goes on from `before`, or with a new network like that one:
    `starts_anew_for` is then the number of rows that a call had at most. Errors name
    the parameter, its value and the cure.
    """
    splits = None if is_partial else _splits(params, rows, classes, has_validation_rows)
    resolver = _Resolver(params, rows, len(classes), is_partial, splits)
    resolver.largest_call, starts_anew = starts_anew_for, starts_anew_for is not None
    resolver.check(classes)
    loss = resolver.loss = resolver.build_loss()
    network, phases = resolver.network(), resolver.phases()
    if before is not None:
        before.network.check_same(network, f"loss={params['loss']!r}")
    kind = "given" if has_validation_rows else resolver.kind_of_validation()
    resolver.check_held_out(kind)
    return Options(
        classes=classes,
        loss=loss,
        loss_name=f"loss={params['loss']!r}",
        network=network,
        optimizer=resolver.optimizer(),
        machine=before.machine if before else resolver.machine(),
        levers=resolver.levers(classes, phases),
        validation=resolver.validation(kind, phases),
        phases=phases,
        seeds=_seeds(params["random_state"], None if starts_anew else before),
        callbacks=list(params["callbacks"] or []),
        net_params=nested(params, "net"),
        **{name: params[name] for name in ("n_threads", "verbose", "target_prior")},
        is_partial=is_partial,
        starts_anew=starts_anew,
        checkpoint=None if is_partial else resolver.checkpoint(),
        params=params if resolver.is_compared else None,
    )


def _splits(
    params: Mapping[str, Any], rows: Rows, classes: NDArray, has_validation_rows: bool
) -> Splits | None:
    """Return which rows are held out, where the user says so."""
    if params["cv"] is None:
        return None
    check_cv_alone(params["cv"], params["early_stopping"], has_validation_rows)
    return read_splits(params["cv"], rows, classes)


def column_rules(params: Mapping[str, Any]) -> ColumnRules:
    """Return what the network takes, and what the user says of the columns.

    Infinite values pass to a network only if ``module__clip=True`` asks for it.
    """
    module = _module_of(params)
    return ColumnRules(
        categorical_features=params["categorical_features"],
        missing=bool(getattr(module, "accepts_missing", False)),
        infinite=nested(params, "module").get("clip") is True,
        categories="n_categories" in (accepted_names(module) or ()),
        module=name_of(params["module"]),
    )


def feature_dtype(
    params: Mapping[str, Any], *, in_parts: bool = False
) -> type[np.floating]:
    """Return the precision of the features: float64 if asked for, and for L-BFGS.

    `in_parts` tells that the rows are not in memory at once.
    """
    solves = _optimizer_of(params, in_parts) == "lbfgs"
    is_double = params["dtype"] == "float64" or solves
    return np.float64 if is_double else np.float32


def _module_of(params: Mapping[str, Any]) -> Callable[..., nn.Module]:
    name = find_recipe(params["module"], params["preset"]).module
    return params["module"] if name is None else NETWORKS[name]


def _optimizer_of(params: Mapping[str, Any], in_parts: bool) -> Any:
    """Return the optimiser's name or class.

    L-BFGS solves the convex problem of a linear model. It needs all rows in one batch,
    which ``partial_fit`` does not have (``in_parts``), and in which a ranking loss
    would compare all pairs.
    """
    if params["optimizer"] != "auto":
        return params["optimizer"]
    loss = params["loss"]
    factory = LOSSES[loss] if isinstance(loss, str) else loss
    in_parts = in_parts or getattr(factory, "is_ranking", False)
    is_linear = _module_of(params) is LinearModel
    return "lbfgs" if is_linear and not in_parts else "adamw"


def _seeds(random_state: Any, before: Fitted | None) -> Seeds:
    step = 0 if before is None else before.n_epochs
    seeds = Seeds(*spawn_seeds(random_state, 5, step=step))
    return seeds if before is None else seeds._replace(split=before.split_seed)


class _Resolver:
    """The parameters and what they are resolved from, for the functions below."""

    loss: Loss
    largest_call: int | None = None

    def __init__(
        self,
        params: Mapping[str, Any],
        rows: Rows,
        n_classes: int,
        is_partial: bool,
        splits: Splits | None = None,
    ) -> None:
        self.params, self.rows, self.n_classes = params, rows, n_classes
        self.is_partial, self.splits = is_partial, splits
        self.recipe = find_recipe(params["module"], params["preset"])
        self.module = _module_of(params)
        in_parts = is_partial or rows.is_large
        self.optimizer_name = _optimizer_of(params, in_parts)
        self.solves = self.optimizer_name == "lbfgs"
        self.n_members = self._n_members()

    def _n_members(self) -> int:
        """Return the number of members: one for each fold of the user's, if any."""
        asked, cv = self.params["n_members"], self.params["cv"]
        n_folds = None if self.splits is None else self.splits.n_members
        if isinstance(cv, Integral) and not self.is_partial:
            n_folds = int(cv)
        if n_folds is not None and asked not in ("auto", n_folds):
            raise ValueError(
                f"{name_of_cv(cv)} has {n_folds} folds, one for each member, but "
                f"n_members={asked}; set n_members={n_folds} or 'auto'."
            )
        if asked == "auto" and n_folds is None:  # members take time, rows even more
            return 1 if self.rows.is_large else self.recipe.n_members
        return int(n_folds or asked)

    # -- checks --------------------------------------------------------------------

    def check(self, classes: NDArray) -> None:
        """Raise for what is wrong whatever the rows are."""
        params = self.params
        check_callbacks(params["callbacks"] or (), (SCHEDULE, BEST_EPOCH))
        check_class_values(params, classes)
        uniform = np.ones(self.n_classes) / self.n_classes
        target_distribution(params["target_prior"], classes, uniform)
        resolve_costs(params["cost_matrix"], classes)
        self._check_threshold()
        self._check_module()
        reject_unknown(
            "class_weight",
            f"class_weight={params['class_weight']!r}",
            nested(params, "class_weight"),
            _WEIGHT_PARAMETERS | ({"beta"} if self._is_weight("effective") else set()),
            {"effective": class_weights},
            without=("counts", "class_weight", "classes", *_WEIGHT_PARAMETERS),
        )
        factory = optimizer_factory(self.optimizer_name)
        known = accepted_names(factory, without=("params", "weight_decay"))
        reject_unknown(
            "optimizer",
            f"optimizer={self.optimizer_name!r}",
            nested(params, "optimizer"),
            None if known is None else {*known, "param_groups"},
            OPTIMIZERS,
            without=("params", "weight_decay"),
        )
        self._check_net_parameters()
        self._check_iterators()

    def _check_threshold(self) -> None:
        threshold = self.params["threshold"]
        if threshold is None:
            return
        check_threshold(threshold, self.n_classes)
        if self.params["cost_matrix"] is not None:
            raise ValueError(
                "threshold and cost_matrix both decide what predict calls positive: "
                "leave out one of them."
            )

    def check_held_out(self, kind: str) -> None:
        """Raise if a threshold needs rows that this kind of validation lacks.

        Warn if it has no use for groups.
        """
        if self.rows.groups is not None:
            warn_of_useless_groups(kind)
        threshold = self.params["threshold"]
        is_chosen = threshold is not None and not isinstance(threshold, Real)
        if is_chosen and kind != "folds":
            raise ValueError(
                f"threshold={threshold!r} is chosen by out-of-fold rows, which there "
                "are in fit with n_members of at least 2, without X_val and not with "
                "early_stopping=False. Give a number, or see "
                "imbalnet.decisions.choose_threshold for other held-out rows."
            )

    def _is_weight(self, name: str) -> bool:
        weight = self.params["class_weight"]
        return isinstance(weight, str) and weight == name

    def _check_module(self) -> None:
        if isinstance(self.module, nn.Module):
            raise ValueError(
                "module must be a name, a class or a factory, not an instance of "
                f"{type(self.module).__name__}: give the class, and its arguments as "
                "module__*."
            )
        name, known = name_of(self.module), accepted_names(self.module)
        if known is not None and not {"in_features", "out_features"} <= known:
            raise ValueError(
                f"module={name} must accept in_features= (number of columns) and "
                f"out_features= (number of classes); it accepts {sorted(known)}."
            )
        if known is not None:
            # the number of members is a parameter of the estimator itself
            own = {"n_members"} if self.n_members > 1 else set()
            known = known - {*_SET_BY_FIT, *own}
        reject_unknown(
            "module",
            f"module={name}",
            nested(self.params, "module"),
            known,
            NETWORKS,
            without=(*_SET_BY_FIT, "n_members"),
        )
        shares_rows = getattr(self.module, "members_share_rows", False)
        if self.n_members > 1 and shares_rows:
            asked = self.params["n_members"]
            cause, cure = f"n_members={asked}", "leave n_members out, and set"
            if asked == "auto":
                cause = name_of_cv(self.params["cv"])
                cure = "give a single split, as [(train, test)], and set"
            raise ValueError(
                f"{cause} trains each member on rows of its own, but those of "
                f"module={name} share theirs; {cure} their number by module__k."
            )

    def _check_net_parameters(self) -> None:
        given = nested(self.params, "net")
        unknown = [name for name in given if split_nested(name)[0] not in _WITH_NESTED]
        reject_unknown("net", "the skorch net", unknown, _NET_PARAMETERS)
        if "iterator_train" not in given:
            return
        if self.n_members > 1:
            raise ValueError(
                f"n_members={self.n_members} gives each member batches of its own, "
                "which net__iterator_train cannot; leave it out, or set n_members=1."
            )
        sampler = self.params["sampler"]
        if isinstance(sampler, str | type):
            raise ValueError(
                f"sampler={name_of(sampler)} sets the order of imbalnet's own batches, "
                "but net__iterator_train brings another iterator; use that iterator's "
                "own sampler, or an imbalanced-learn object as sampler."
            )

    def _check_iterators(self) -> None:
        """Raise for iterators that are none, and arguments that they do not take."""
        given = nested(self.params, "net")
        for name in _ITERATORS:
            iterator = given.get(name, TensorBatches)
            if not callable(iterator):
                raise ValueError(
                    f"net__{name}={iterator!r} must be a class or function of batches, "
                    "such as torch.utils.data.DataLoader."
                )
            arguments = nested(given, name)
            owner = f"net__{name}={name_of(iterator)}"
            known = accepted_names(iterator, without=("dataset",))
            reject_unknown(f"net__{name}", owner, arguments, known)
            size = arguments.get("batch_size", 1)
            if not is_integer(size) or (size < 1 and size != -1):
                raise ValueError(
                    f"net__{name}__batch_size={size!r} must be an integer of at least "
                    "1, or -1 for all rows at once."
                )

    # -- loss ----------------------------------------------------------------------

    def build_loss(self) -> Loss:
        """Build the loss, and check what it takes and what asks for its inverse."""
        params, name = self.params, f"loss={self.params['loss']!r}"
        loss = build_loss(params["loss"], nested(params, "loss"), self.n_classes)
        if loss.is_ranking:
            self._check_unweighted(name)
        asks = [asked for asked in _NEED_POSTERIOR if params[asked] is not None]
        if asks and not loss.is_calibrated:
            warn(
                f"{name} has no calibrated inverse: its probabilities rank, but "
                f"{' and '.join(asks)} cannot work with them. Wrap the classifier in "
                "CalibratedClassifierCV, or (for a loss of your own) give it a method "
                "log_posterior(logits)."
            )
        return loss

    def _check_unweighted(self, name: str) -> None:
        """Raise for weights, and full batches, where the rows of a batch are ranked."""
        class_weight = self.params["class_weight"]
        if self.params["optimizer"] == "lbfgs":
            raise ValueError(
                f"{name} compares the rows of a batch in pairs, which "
                "optimizer='lbfgs' would do with all rows at once; use "
                "optimizer='auto'."
            )
        if class_weight is not None:
            raise ValueError(
                f"{name} ranks, and knows no weights, but {class_weight=}; set "
                "class_weight=None. A sampler changes how many rows of a class it sees."
            )
        if np.ptp(self.rows.of(self.rows.weights)) > 0:
            raise ValueError(
                f"{name} ranks, and knows no weights, but sample_weight holds "
                "different ones; leave it out, or train with loss='cross_entropy'."
            )

    # -- values --------------------------------------------------------------------

    def network(self) -> NetworkSpec:
        """Return the whole network's factory and arguments.

        A module that accepts ``n_members`` builds its members itself; others stand
        side by side in :class:`~imbalnet.networks.Members`. A loss of cosines asks
        networks for them.
        """
        known = accepted_names(self.module) or set()
        params = {**self.recipe.params, **nested(self.params, "module")}
        if self.loss.takes_cosines and "normalize_output" in known:
            params.setdefault("normalize_output", True)
        n_members, factory = self.n_members, self.module
        is_one = self.params["n_members"] == 1 or n_members < self.recipe.n_members
        is_native = "n_members" in known and (n_members > 1 or is_one)
        if is_native:
            params = {"n_members": n_members, **params}
        elif n_members > 1:
            params = {"module": self.module, "n_members": n_members, **params}
            factory = Members
        name = name_of(self.params["module"])
        resolved = self.recipe.module or name
        return NetworkSpec(name, factory, params, n_members, is_native, resolved)

    def optimizer(self) -> OptimizerSpec:
        """Return how the weights are updated."""
        params, recipe, name = self.params, self.recipe, self.optimizer_name
        rates = [recipe.learning_rate, recipe.full_batch_learning_rate]
        if params["learning_rate"] != "auto":
            rates = [float(params["learning_rate"])] * 2
        elif name in ("lbfgs", "sgd"):
            rates = [1.0 if name == "lbfgs" else 0.05] * 2
        decay: float | None = None  # LogisticRegression(C=1)'s, for L-BFGS
        if params["weight_decay"] != "auto":
            decay = float(params["weight_decay"])
        elif not self.solves:
            # AdamW decouples it from the gradient, of which it is a part in the others
            is_adamw = name in ("adamw", torch.optim.AdamW)
            decay = recipe.weight_decay if is_adamw else 1e-4
        return OptimizerSpec(
            name=name_of(name) if callable(name) else name,
            factory=optimizer_factory(name),
            params=nested(params, "optimizer"),
            is_auto=params["optimizer"] == "auto",
            solves=self.solves,
            learning_rate=rates[0],
            full_batch_learning_rate=rates[1],
            weight_decay=decay,
            has_schedule=self.has_schedule,
        )

    def machine(self) -> Machine:
        """Return where the network computes, and check that it can."""
        is_double = self.rows.X.dtype == np.float64
        dtype = torch.float64 if is_double else torch.float32
        device = resolve_device(self.params["device"], dtype)
        is_mixed = self.params["dtype"] == "bfloat16" and not is_double
        if is_mixed:
            check_bfloat16(device)
        return Machine(device, dtype, is_mixed, self.params["compile"])

    def phases(self) -> Phases:
        """Return the number of epochs, and where training changes."""
        asked = self.params["max_epochs"]
        planned = self.recipe.epochs(len(self.rows)) if asked == "auto" else int(asked)
        start = nested(self.params, "class_weight").get("start_epoch", 0)
        unweighted = 0
        if self.params["class_weight"] is not None:
            unweighted = epochs_before_weights(start, planned)
        if unweighted >= planned and not self.is_partial:
            raise ValueError(
                f"class_weight__start_epoch={start!r} lets class weights in after "
                f"{unweighted} epochs, but max_epochs={planned}: they would never be "
                "used. Raise max_epochs, or give a fraction of them, such as 0.8."
            )
        return Phases(planned, unweighted, math.ceil(self.loss.warmup * planned))

    def levers(self, classes: NDArray, phases: Phases) -> Levers:
        """Return sampler, class weights and batch size."""
        params, sampler = self.params, self.params["sampler"]
        if (
            sampler is None
            and self.loss.is_ranking  # which needs every class in each batch
            and "net__iterator_train" not in params
        ):
            sampler = "stratified_batch"
        weight_params = nested(params, "class_weight")
        weight_params.pop("start_epoch", None)
        return Levers(
            classes=classes,
            new_sampler=partial(build_sampler, sampler, nested(params, "sampler")),
            class_weight=params["class_weight"],
            weight_params=weight_params,
            batch_size=self._batch_size(),
            batch_factor=self.recipe.batch_factor,
            full_batch=self.solves,
            defers_weights=phases.unweighted > 0,
            loss_factors=self.loss.factors_in_mean(len(classes)).double().cpu().numpy(),
        )

    @property
    def has_schedule(self) -> bool:
        """Whether training lowers the learning rate itself."""
        return self.params["schedule"] == "cosine" and not self.solves

    def _batch_size(self) -> int | None:
        """Return the rows of a batch; None chooses it from the rows of an epoch.

        Rows of several calls take as many steps together as they took call by call.
        """
        size, is_whole = self.params["batch_size"], len(self.rows) <= FULL_BATCH_ROWS
        if size != "auto":
            return int(size)
        if self.largest_call is None or self.solves or is_whole:
            return None
        return self.recipe.batch_factor * auto_batch_size(self.largest_call)

    def kind_of_validation(self) -> str:
        """Return which rows are held out of those that ``fit`` was given."""
        if self.splits is not None:
            return "split" if self.splits.folds is None else "folds"
        asked = self.params["early_stopping"]
        if self.is_partial or asked is False:
            return "none"
        if self.n_members > 1 and not self.rows.is_large:
            self._check_folds()
            return "folds"
        is_large = len(self.rows) > _EARLY_STOPPING_ROWS and not self.solves
        return "split" if (is_large if asked == "auto" else asked) else "none"

    def _check_folds(self) -> None:
        """Raise if the user asks for more folds than there are rows."""
        asked, cv, n_rows = self.params["n_members"], self.params["cv"], len(self.rows)
        is_asked = asked != "auto" or cv is not None
        if not is_asked or self.n_members <= max(n_rows, _FEW_FOLDS):
            return
        name = f"n_members={asked}" if cv is None else name_of_cv(cv)
        raise ValueError(
            f"{name} asks for more folds than there are rows of X, {n_rows}; lower it."
        )

    def validation(self, kind: str, phases: Phases) -> Validation:
        """Return which rows are held out, and what for."""
        params, patience = self.params, self.params["patience"]
        monitor = self._monitor(kind)
        self._reject_restoring_callbacks(monitor, phases.unweighted)
        self._check_callbacks(kind, monitor)
        return Validation(
            kind=kind,
            fraction=params["validation_fraction"],
            monitor=monitor,
            patience=self.recipe.patience if patience == "auto" else int(patience),
            calibrate=params["calibrate"],
            n_neighbors=0 if self.is_partial else self._n_neighbors(kind == "folds"),
            splits=self.splits,
        )

    def _monitor(self, kind: str) -> str | None:
        """Return what the best epoch is chosen by; None keeps the last one."""
        asked, early = self.params["monitor"], self.params["early_stopping"]
        if kind == "none" or early is False:
            return None
        if kind == "folds" and self.solves and early == "auto":
            return None
        if asked == "auto":
            return "combined" if kind == "folds" else "average_precision"
        return asked

    def _check_callbacks(self, kind: str, monitor: str | None) -> None:
        """Raise for callbacks of skorch that cannot work with these parameters."""
        callbacks = self.params["callbacks"] or []
        has_schedule, n_members = self.has_schedule, self.n_members
        check_use(callbacks, has_schedule=has_schedule, n_members=n_members)
        recorded = recorded_names(kind, monitor, has_schedule=has_schedule)
        check_monitors(callbacks, recorded)

    def _reject_restoring_callbacks(self, monitor: str | None, unweighted: int) -> None:
        """Raise where a callback restores an epoch that must be known."""
        callbacks = map(callback_of, self.params["callbacks"] or [])
        names = [
            type(cb).__name__ for cb in callbacks if getattr(cb, "load_best", False)
        ]
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

    @property
    def is_compared(self) -> bool:
        """Whether the fit is compared with a saved one, or with other processes'."""
        return self.params["checkpoint"] is not None or ranks_now() is not None

    def checkpoint(self) -> str | None:
        """Return where the unfinished fit is kept; None keeps it nowhere."""
        folder = self.params["checkpoint"]
        if folder is None:
            return None
        if "net__iterator_train" in self.params:
            raise ValueError(
                f"checkpoint={str(folder)!r} cannot save where net__iterator_train is "
                "in its rows; leave one of them out (batch_size and sampler set the "
                "rows of imbalnet's own batches)."
            )
        if ranks_now() is not None:
            raise ValueError(
                f"checkpoint={str(folder)!r} keeps the fit of one process, but several "
                "fit together; leave it out, or fit in one process."
            )
        return os.fspath(folder)

    def _n_neighbors(self, has_folds: bool) -> int:
        """Return the number of neighbours; 0 where nothing tells their worth."""
        asked, rows = self.params["n_neighbors"], self.rows
        is_auto = asked == "auto"
        n_neighbors = self.recipe.n_neighbors if is_auto else int(asked)
        reasons = {
            "no row is held out by a member (n_members, cv, early_stopping, X_val)": (
                not has_folds
            ),
            f"loss={self.params['loss']!r} has no calibrated posterior": (
                not self.loss.is_calibrated
            ),
            "there are fewer than three rows": len(rows) < 3,
        }
        reason = next((text for text, holds in reasons.items() if holds), None)
        if n_neighbors and reason and not is_auto:
            raise ValueError(
                f"n_neighbors={asked} has its weight from out-of-fold rows, but "
                f"{reason}; set n_neighbors='auto' or 0."
            )
        sizes = np.asarray(rows.columns.n_categories or [0] * rows.X.shape[1])
        n_columns = (sizes == 0).sum() + OneHot(sizes[sizes > 0].tolist()).out_features
        is_large = rows.X.shape[0] > _NEIGHBOR_ROWS or n_columns > _NEIGHBOR_COLUMNS
        return 0 if reason or (is_auto and is_large) else n_neighbors


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

"""The base class of the skorch net: it builds module, loss, optimiser and callbacks.

`PredictingNet` inherits from :class:`BaseNet`, and
:class:`~imbalnet._fit.net.ImbalanceNet` from `PredictingNet`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochScoring, EpochTimer
from torch import nn

from imbalnet._fit.feeds.batches import TensorBatches
from imbalnet._fit.output import check_module, named_failure
from imbalnet._fit.specs import Phases
from imbalnet._nested import name_of
from imbalnet._optimizers import PLAIN
from imbalnet._predict import rows_at_once
from imbalnet.losses import Loss
from imbalnet.networks import network_of

# Arguments of a module that users do not pass, and errors do not name.
_SET_BY_FIT = {"in_features", "out_features", "n_categories", "module", "n_members"}


class BaseNet(NeuralNetClassifier):
    """A skorch classifier of one network, or of several members.

    Weight decay acts on matrices only, not on biases. For optimisers without the
    argument ``weight_decay`` (L-BFGS), the net adds ``0.5 * weight_decay * |W|**2`` to
    the loss. With `is_mixed`, torch's autocast computes in bfloat16; the outputs, and
    so the loss, are of `dtype`. `phases` are the epochs at which the objective changes,
    and `epochs_before` is the number of epochs that the weights were trained for
    before this fit.
    """

    def __init__(
        self,
        module: Callable[..., nn.Module],
        *,
        criterion: Loss,
        n_members: int = 1,
        has_member_axis: bool = False,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
        is_mixed: bool = False,
        phases: Phases | None = None,
        epochs_before: int = 0,
        iterator_train: Any = TensorBatches,
        iterator_valid: Any = TensorBatches,
        train_split: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module,
            criterion=criterion,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            train_split=train_split,
            **kwargs,
        )
        self.n_members = n_members
        self.has_member_axis = has_member_axis
        self.weight_decay = weight_decay
        self.dtype = dtype
        self.is_mixed = is_mixed
        self.phases = phases
        self.epochs_before = epochs_before

    @property
    def network_(self) -> Any:
        """The module as a :class:`~imbalnet.networks.Network`."""
        return network_of(self.module_, self.has_member_axis)

    @property
    def n_parameters(self) -> int:
        """Number of the network's parameters."""
        return sum(p.numel() for p in self.module_.parameters())

    @property
    def feature_dtype(self) -> type[np.floating]:
        """The precision of features."""
        return np.float64 if self.dtype is torch.float64 else np.float32

    @property
    def mixed_dtype(self) -> torch.dtype | None:
        """The dtype of the outputs under autocast; None without mixed precision."""
        return self.dtype if self.is_mixed else None

    # -- module and loss ---------------------------------------------------------

    def initialize_module(self) -> Self:
        """Build the module, in the net's dtype and on its device."""
        params = self.get_params_for("module")
        given = {name: params[name] for name in params.keys() - _SET_BY_FIT}
        of_member = params.get("module", self.module)
        with named_failure("module", of_member, given):
            super().initialize_module()
        check_module(name_of(of_member), self.module_)
        self.epochs_behind_ = 0
        self.module_.to(dtype=self.dtype, device=self.device)
        if "batch_size" not in self.get_params_for("iterator_valid"):
            rows = rows_at_once(self.module_, torch.device(self.device))
            self.iterator_valid__batch_size = rows
        return self

    def torch_compile(self, module: nn.Module, name: str) -> nn.Module:
        """Compile the network, but not the loss, which has few operations."""
        return super().torch_compile(module, name) if name == "module" else module

    def initialize_criterion(self) -> Self:
        """Convert the loss to the net's dtype."""
        super().initialize_criterion()
        self.criterion_.to(dtype=self.dtype)
        return self

    # -- callbacks ---------------------------------------------------------------

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", EpochTimer())]

    def initialize_callbacks(self) -> Self:
        """Disable the cache of callbacks that score training rows.

        The cached predictions are in the order of the batches, which are shuffled.
        """
        super().initialize_callbacks()
        for _, callback in self.callbacks_:
            if isinstance(callback, EpochScoring) and callback.on_train:
                callback.use_caching = False  # on a copy of the user's
        return self

    # -- optimiser ---------------------------------------------------------------

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> Any:
        """Build the optimiser, with weight decay for the matrices only.

        An optimiser without weight decay (L-BFGS) does not accept parameter groups
        either. It has one learning rate, and the net adds the penalty of the matrices
        (`penalised_`) to the loss. The parameters of the loss have no weight decay.
        """
        decays = "weight_decay" in inspect.signature(self.optimizer).parameters
        groups = self.network_.parameter_groups()
        self.penalised_: list[nn.Parameter] = []
        if self.weight_decay and not decays:
            of_decay = [group["params"] for group in groups if group["decays"]]
            self.penalised_ = [p for params in of_decay for p in params]
        given = self.get_params_for("optimizer")
        factory = getattr(self.optimizer, "func", self.optimizer)
        with named_failure("optimizer", factory, given):
            if hasattr(self, "optimizer__param_groups"):
                return super().initialize_optimizer(triggered_directly)
            self._build_optimizer(groups if decays else None)
        return self

    @property
    def has_plain_steps(self) -> bool:
        """Whether a step needs neither a closure nor a penalty."""
        return type(self.optimizer_) in PLAIN and not self.penalised_

    def _build_optimizer(self, groups: Sequence[dict[str, Any]] | None) -> None:
        """Build the optimiser, with parameter groups unless `groups` is None."""
        kwargs = {"lr": self.lr, **self.get_params_for("optimizer")}
        params: list[Any] = [p for _, p in self.get_all_learnable_params()]
        if groups is not None:
            of_loss = list(self.criterion_.parameters())
            groups = [*groups, {"params": of_loss, "rate": 1.0, "decays": False}]
            params = _torch_groups(groups, kwargs["lr"], self.weight_decay)
        self.optimizer_ = self.optimizer(params, **kwargs)


def _torch_groups(
    groups: Sequence[dict[str, Any]], lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Convert a network's parameter groups to those of torch's optimisers."""
    return [
        {
            "params": group["params"],
            "lr": lr * group["rate"],
            "weight_decay": weight_decay if group["decays"] else 0.0,
        }
        for group in groups
        if group["params"]
    ]

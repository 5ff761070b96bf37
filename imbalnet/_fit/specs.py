"""Options of a training run: one dataclass for each step.

`imbalnet._fit.options` resolves the estimator's parameters to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imbalnet._optimizers import OptimizerFactory
from imbalnet.class_weights import ClassWeight
from imbalnet.losses import Loss


class Seeds(NamedTuple):
    """One seed for each step that draws random numbers."""

    split: int
    plan: int
    network: int
    draws: int
    neighbors: int


@dataclass(frozen=True)
class NetworkSpec:
    """The network that is built.

    Attributes
    ----------
    name : str
        The parameter ``module``, for messages.
    factory : callable
        Class or factory of the whole network, including all members.
    params : mapping
        Arguments of the factory, without the numbers of columns and classes.
    n_members : int
        Number of members that each hold out their own rows.
    has_member_axis : bool
        Whether the first axis of the parameters is that of the members.
    resolved_name : str
        The name of a member's network, or of the user's class.
    """

    name: str
    factory: Callable[..., nn.Module]
    params: Mapping[str, Any]
    n_members: int
    has_member_axis: bool
    resolved_name: str

    def check_same(self, other: NetworkSpec, loss_name: str) -> None:
        """Raise if the network `other` cannot continue from the weights of this one."""
        params, wanted = dict(self.params), dict(other.params)
        cosines = [p.pop("normalize_output", False) for p in (params, wanted)]
        if cosines[0] != cosines[1]:
            raise ValueError(
                f"{loss_name} needs another last layer than the network has (cosines "
                "or not), so that training cannot go on from its weights; set loss or "
                "module__normalize_output back, or fit with warm_start=False."
            )
        if self.factory is not other.factory or params != wanted:
            raise ValueError(
                "n_members, module or module__* changed since the network was built, "
                "so that training cannot go on from its weights; set them back, or fit "
                "with warm_start=False."
            )


@dataclass(frozen=True)
class Machine:
    """Device and precision of the network."""

    device: torch.device
    dtype: torch.dtype
    is_mixed: bool  # bfloat16 where torch's autocast allows it
    compile: bool


@dataclass(frozen=True)
class OptimizerSpec:
    """The optimiser and its parameters.

    Attributes
    ----------
    name : str
        The optimiser's name, or that of the user's class.
    is_auto : bool
        Whether the parameter is "auto", so that ``partial_fit`` may choose another one.
    is_lbfgs : bool
        Whether it is "lbfgs", which needs full batches and a constant learning rate.
    full_batch_learning_rate : float
        Learning rate if an epoch is a single batch.
    weight_decay : float or None
        None is 1 / sum of the training rows' weights.
    has_schedule : bool
        Whether the learning rate decreases along half a cosine.
    """

    name: str
    factory: OptimizerFactory
    params: Mapping[str, Any]
    is_auto: bool
    is_lbfgs: bool
    learning_rate: float
    full_batch_learning_rate: float
    weight_decay: float | None
    has_schedule: bool


@dataclass(frozen=True)
class Levers:
    """Sampler, weights and batch size, which change the class distribution.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The sorted labels.
    new_sampler : callable
        Returns an index sampler, a resampler, or None.
    class_weight, weight_params
        See :func:`imbalnet.class_weights.class_weights`.
    batch_size : int or None
        None means that it depends on the number of rows of an epoch.
    batch_factor : int
        Factor of the automatic batch size.
    full_batch : bool
        Whether ``batch_size=None`` means one batch for any number of rows.
    defers_weights : bool
        Whether the first epochs train without class weights.
    loss_factors : ndarray of shape (n_classes,), or 1.0
        Class weights of the loss itself that count in its mean.
    """

    classes: NDArray
    new_sampler: Callable[[], Any]
    class_weight: ClassWeight = None
    weight_params: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    batch_factor: int = 1
    full_batch: bool = False
    defers_weights: bool = False
    loss_factors: NDArray[np.float64] | float = 1.0


@dataclass(frozen=True)
class Splits:
    """The rows that are held out by the parameter ``cv``.

    Attributes
    ----------
    folds : ndarray of shape (n_rows,) or None
        The member that holds out each row; -1 for rows that none holds out.
    last : tuple of two ndarrays or None
        Positions of the training rows and of the validation rows, which are the same
        for all members.
    """

    folds: NDArray[np.int16] | None = None
    last: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None

    @property
    def n_members(self) -> int | None:
        """The number of folds, one for each member; None without folds."""
        return None if self.folds is None else int(self.folds.max()) + 1


@dataclass(frozen=True)
class Validation:
    """The held-out rows, and their use.

    Attributes
    ----------
    kind : {"folds", "split", "given", "none"}
        Which rows are held out: a fold by each member, a share of each class, rows
        that the user passed, or none.
    fraction : float
        Share of each class for "split".
    monitor : {"average_precision", "combined", "loss"} or None
        Score that chooses the best epoch; None keeps the last one.
    patience : int
        Epochs without improvement after which training stops.
    calibrate : bool
        Whether the offset, member offsets and the temperature are fitted.
    n_neighbors : int
        Number of neighbours; 0 uses none.
    splits : Splits or None
        The rows that ``cv`` holds out.
    """

    kind: str
    fraction: float
    monitor: str | None
    patience: int
    calibrate: bool
    n_neighbors: int
    splits: Splits | None = None


@dataclass(frozen=True)
class Phases:
    """Phases of training, in epochs since the weights were initialised.

    Class weights that are used from a later epoch on are deferred re-weighting [1]_.
    Validation rows have their final weights from the first epoch on, so that the scores
    of all epochs are comparable.

    Attributes
    ----------
    planned : int
        Number of epochs; ``partial_fit`` may train further ones.
    unweighted : int
        Epochs before class weights are used.
    warmup : int
        Epochs before the loss has its final form.

    References
    ----------
    .. [1] Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware
       Margin Loss", NeurIPS 2019.
    """

    planned: int
    unweighted: int = 0
    warmup: int = 0

    def progress(self, done: int) -> float:
        """Return the progress of training after `done` epochs, from 0 to 1."""
        return min(1.0, done / self.planned)

    def changes_at(self, done: int) -> bool:
        """Return whether the objective changes after `done` epochs."""
        return done > 0 and done in (self.unweighted, self.warmup)


@dataclass(frozen=True)
class Options:
    """All options of one training run; no value is "auto".

    `checkpoint` is the folder that stores the state of the fit until it ends. `params`
    are the estimator's parameters if they are compared with those of another fit.
    """

    classes: NDArray
    loss: Loss  # the run binds it to the class distribution
    loss_name: str
    network: NetworkSpec
    optimizer: OptimizerSpec
    machine: Machine
    levers: Levers
    validation: Validation
    phases: Phases
    seeds: Seeds
    callbacks: list[Any]
    net_params: Mapping[str, Any]
    n_threads: int | None
    verbose: int
    is_partial: bool  # partial_fit: one epoch, and class counts that add up
    target_prior: Any = None  # as the user passed it
    starts_anew: bool = False  # partial_fit: a new network, as in the first call
    checkpoint: str | None = None
    params: Mapping[str, Any] | None = None

    def resolved(self, monitor: str | None, net: Any) -> dict[str, Any]:
        """Return the values that were used for parameters that may be "auto".

        `monitor` is the score that chose the best epoch. The trained `net` has the
        values that depend on the training rows.
        """
        return {
            "module": self.network.resolved_name,
            "n_members": self.network.n_members,
            "n_neighbors": self.validation.n_neighbors,
            "optimizer": self.optimizer.name,
            "learning_rate": net.lr,
            "weight_decay": net.weight_decay,
            "batch_size": net.batch_size,
            "max_epochs": net.max_epochs,
            "early_stopping": monitor is not None,
            "patience": None if monitor is None else self.validation.patience,
            "monitor": monitor,
            "device": str(net.device),
        }

"""skorch callbacks that watch the validation rows."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from imbalnet._warn import warn

# Average precision over fewer positives than this jumps with single rows.
MIN_RANKED = 5


def choose_monitor(
    monitor: str, counts: NDArray[np.integer], *, has_folds: bool = False
) -> str:
    """Resolve "auto"; fall back to the loss where there are too few rows to rank.

    Parameters
    ----------
    monitor : {"auto", "average_precision", "loss"}
        What the user wants.
    counts : ndarray of shape (n_classes,)
        Validation rows of each class.
    has_folds : bool, default=False
        Whether every row is a validation row, of one member. "auto" is then
        "combined", which leaves it to the loss without a word.

    Returns
    -------
    {"average_precision", "combined", "loss"}

    Warns
    -----
    UserWarning
        If it falls back.
    """
    fewest = counts.min()
    if monitor == "loss":
        return monitor
    is_combined = monitor == "auto" and has_folds
    if fewest >= MIN_RANKED:
        return "combined" if is_combined else "average_precision"
    if is_combined:
        return "loss"
    cure = "Set" if has_folds else "Raise validation_fraction, or set"
    warn(
        f"A class has {fewest} validation rows, too few to rank by average_precision "
        f"(fewer than {MIN_RANKED}): the best epoch is the one of the lowest "
        f"validation loss. {cure} monitor='loss' to agree."
    )
    return "loss"


@dataclass(frozen=True)
class Phases:
    """How training changes on its way, counted in epochs behind the weights.

    Class weights that come in late are deferred re-weighting [1]_. Validation rows have
    their final weights from the start, so that all epochs are judged alike.

    Attributes
    ----------
    planned : int
        Epochs in all; later ones (of ``partial_fit``) are past the end.
    unweighted : int
        Epochs before class weights are let in.
    warmup : int
        Epochs before the loss takes its final form.

    References
    ----------
    .. [1] Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware
       Margin Loss", NeurIPS 2019.
    """

    planned: int
    unweighted: int = 0
    warmup: int = 0

    def progress(self, done: int) -> float:
        """Give how far training is after `done` epochs, from 0 to 1."""
        return min(1.0, done / self.planned)

    def changes_at(self, done: int) -> bool:
        """Tell whether the objective changes after `done` epochs."""
        return done > 0 and done in (self.unweighted, self.warmup)


def epochs_before_weights(start_epoch: Any, max_epochs: int) -> int:
    """Turn ``class_weight__start_epoch`` into a number of epochs.

    Parameters
    ----------
    start_epoch : int or float
        Epochs without class weights, or their share of `max_epochs`, in [0, 1).
    max_epochs : int

    Raises
    ------
    ValueError
        If it is neither.
    """
    is_count = isinstance(start_epoch, Integral) and not isinstance(start_epoch, bool)
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


def _half_cosine(n_epochs: int, epoch: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * epoch / n_epochs))


class CosineSchedule(Callback):
    """Let the learning rate fall to 0 along half a cosine over ``max_epochs``."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Start at the optimiser's learning rate."""
        factor = partial(_half_cosine, net.max_epochs)
        self.scheduler_ = LambdaLR(net.optimizer_, factor)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Go one step down."""
        net.history.record("event_lr", self.scheduler_.get_last_lr()[0])
        self.scheduler_.step()

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Let go of the optimiser."""
        del self.scheduler_


class BestEpoch(Callback):
    """Keep the weights of the best epoch, and stop when none has come for a while.

    The best epoch has the highest validation average precision; where that ties, or
    where a class has fewer than ``MIN_RANKED`` validation rows, the lowest validation
    loss.

    Parameters
    ----------
    monitor : {"average_precision", "loss", "combined"}
        What decides. "combined" is average precision minus the log loss under the best
        temperature, in units of the classes' entropy (``valid_score``): the second part
        is smoother where positives are few.
    patience : int or None
        Epochs without a better one after which training stops; None never stops.
    first_stop : int, default=0
        Epochs before patience begins to count: a second phase of training (deferred
        weights, a ranking loss behind its warm-up) shall have its chance.
    """

    def __init__(self, monitor: str, patience: int | None, first_stop: int = 0) -> None:
        self.monitor = monitor
        self.patience = patience
        self.first_stop = first_stop

    def initialize(self) -> BestEpoch:
        """Forget earlier training."""
        self.best_epoch_ = 0
        self.best_rank_ = (-np.inf, -np.inf)
        self.best_state_: dict[str, Any] | None = None
        return self

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Start anew: further training may follow other rows."""
        self.initialize()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Compare the epoch with the best one so far."""
        if "valid_loss" not in net.history[-1]:
            return
        epoch = len(net.history)
        rank = self._rank(net.history[-1])
        if self.monitor == "average_precision":
            net.history.record("valid_average_precision_best", rank > self.best_rank_)
        if rank > self.best_rank_:
            self.best_epoch_, self.best_rank_ = epoch, rank
            self.best_state_ = _state_of(net)
        elif self.patience is not None and self._waited(net, epoch) >= self.patience:
            net.stop_training = True

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Put the best weights back, also when training was interrupted."""
        if self.best_state_ is not None:
            net.module_.load_state_dict(self.best_state_["module"])
            net.criterion_.load_state_dict(self.best_state_["criterion"])
        self.best_state_ = None

    def _waited(self, net: Any, epoch: int) -> int:
        """Count the epochs since the best one, of the last phase."""
        started = epoch - (net.epochs_behind_ + 1)  # epochs of earlier fits
        return epoch - max(self.best_epoch_, started + self.first_stop)

    def _rank(self, record: dict[str, Any]) -> tuple[float, float]:
        scores = {
            "average_precision": "valid_average_precision",
            "combined": "valid_score",
        }
        score = 0.0 if self.monitor == "loss" else record[scores[self.monitor]]
        return score, -record["valid_loss"]


def _state_of(net: Any) -> dict[str, Any]:
    return {"module": _copied(net.module_), "criterion": _copied(net.criterion_)}


def _copied(module: nn.Module) -> dict[str, Any]:
    return {
        name: value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)
        for name, value in module.state_dict().items()
    }

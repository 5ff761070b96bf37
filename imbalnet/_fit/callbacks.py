"""skorch callbacks for the learning rate's schedule and the choice of an epoch."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from imbalnet._callbacks import copy_callbacks
from imbalnet._fit.specs import Options

# With fewer positives than the first, average precision depends on single rows; with
# fewer than the second, the validation loss does.
MIN_RANKED = 5
MIN_JUDGED = 3

# Names of the callbacks that training adds.
SCHEDULE, BEST_EPOCH = "schedule", "best_epoch"

_MORE_ROWS = {
    "folds": (
        "Get more rows of the rare classes, or set early_stopping=False, so that every "
        "member trains on those that there are."
    ),
    "split": (
        "Get more rows of the rare classes, raise validation_fraction, or set "
        "early_stopping=False to train on all rows."
    ),
    "given": "Give more rows of the rare classes as X_val.",
}


def make_callbacks(options: Options, monitor: str | None) -> list[Any]:
    """Return the callbacks of training, then copies of the user's."""
    callbacks: list[Any] = []
    if options.optimizer.has_schedule:
        callbacks.append((SCHEDULE, CosineSchedule()))
    if monitor is not None:
        first_stop = max(options.phases.unweighted, options.phases.warmup)
        best = BestEpoch(monitor, options.validation.patience, first_stop)
        callbacks.append((BEST_EPOCH, best))
    return [*callbacks, *copy_callbacks(options.callbacks)]


class CosineSchedule(Callback):
    """Lower the learning rate to 0 along half a cosine over ``max_epochs``.

    skorch's LRScheduler would continue where an earlier fit ended, keep the optimiser
    after training, so that a pickle has it twice, and be called for each batch.
    """

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Start at the optimiser's learning rate."""
        factor = partial(_half_cosine, net.max_epochs)
        self.scheduler_ = LambdaLR(net.optimizer_, factor)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Lower the learning rate by a step."""
        net.history.record("event_lr", self.scheduler_.get_last_lr()[0])
        self.scheduler_.step()

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Release the optimiser."""
        del self.scheduler_

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the scheduler, which remains if training failed."""
        return {k: v for k, v in vars(self).items() if k != "scheduler_"}


def _half_cosine(n_epochs: int, epoch: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * epoch / n_epochs))


def choose_monitor(
    monitor: str | None, counts: NDArray[np.integer], classes: NDArray, kind: str
) -> tuple[str | None, str]:
    """Return the monitor that held-out rows are enough for, and a warning or "".

    With few rows, it falls back to the loss, or to None, which keeps the last epoch.
    `counts` are the numbers of held-out rows of the classes, `kind` is that of the
    validation. "combined" falls back to the loss without a warning, because users
    cannot choose it by name.
    """
    if monitor is None:
        return None, ""
    n_others = counts.sum() - counts.max()
    if n_others < (1 if monitor == "loss" else MIN_JUDGED):
        seen = " that their member has seen" if kind == "folds" else ""
        return None, (
            f"{n_others} held-out rows are of a class{seen} other than "
            f"{classes.tolist()[counts.argmax()]!r}, too few to choose the best epoch "
            f"by (fewer than {MIN_JUDGED}): all of max_epochs are trained, and the "
            f"last one is kept. {_MORE_ROWS[kind]}"
        )
    fewest = counts.min()
    if monitor == "loss" or fewest >= MIN_RANKED:
        return monitor, ""
    if monitor == "combined":
        return "loss", ""
    cure = "Raise validation_fraction, or set" if kind == "split" else "Set"
    return "loss", (
        f"A class has {fewest} validation rows, too few to rank by average_precision "
        f"(fewer than {MIN_RANKED}): the best epoch is the one of the lowest "
        f"validation loss. {cure} monitor='loss' to agree."
    )


class BestEpoch(Callback):
    """Keep the weights of the best epoch, and stop when none has come for a while.

    Parameters
    ----------
    monitor : {"average_precision", "loss", "combined"}
        Score of an epoch; ties are decided by the validation loss. "combined" is
        average precision minus the log loss under the best temperature, in units of
        the entropy of the classes (``valid_score``). The log loss varies less if
        positives are few.
    patience : int or None
        Epochs without improvement after which training stops; None never stops.
    first_stop : int, default=0
        Epochs before patience begins to count, so that training does not stop before a
        second phase (deferred weights, a ranking loss after its warm-up).
    """

    def __init__(self, monitor: str, patience: int | None, first_stop: int = 0) -> None:
        self.monitor = monitor
        self.patience = patience
        self.first_stop = first_stop

    def initialize(self) -> BestEpoch:
        """Reset the best epoch."""
        self.best_epoch_ = 0
        self.best_rank_ = (-np.inf, -np.inf)
        self.best_state_: dict[str, Any] | None = None
        return self

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Reset the best epoch: further training may have other rows."""
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
            state = _state_of(net)  # an interrupt leaves all three old or new
            self.best_epoch_, self.best_rank_, self.best_state_ = epoch, rank, state
        elif self.patience is not None and self._waited(net, epoch) >= self.patience:
            net.stop_training = True

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Restore the best weights, also when training was interrupted."""
        if self.best_state_ is not None:
            net.module_.load_state_dict(self.best_state_["module"])
            net.criterion_.load_state_dict(self.best_state_["criterion"])
        self.best_state_ = None

    def _waited(self, net: Any, epoch: int) -> int:
        """Return the number of epochs since the best one, in the last phase."""
        started = epoch - net.epochs_behind_  # epochs of earlier fits
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

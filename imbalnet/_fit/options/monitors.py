"""Checks for skorch callbacks that conflict with other parameters.

A callback may monitor a value that is not recorded, or set a value that training sets
itself. Without these checks, it would fail after the first epoch, or silently change
the result.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from skorch.callbacks import (
    BatchScoring,
    Checkpoint,
    EarlyStopping,
    InputShapeSetter,
    LRScheduler,
    PassthroughScoring,
    TrainEndCheckpoint,
    WandbLogger,
)
from skorch.callbacks.scoring import ScoringBase
from torch.optim.lr_scheduler import ReduceLROnPlateau

from imbalnet._callbacks import callback_of

# Names of the values that are recorded for each batch, and for each epoch.
_OF_BATCHES = {"train_loss", "train_batch_size"}
_OF_EPOCHS = {"epoch", "dur", "train_loss", "train_loss_best"}


def check_skorch_callbacks(
    callbacks: Sequence[Any],
    kind: str,
    monitor: str | None,
    *,
    n_unweighted: int,
    n_members: int,
    has_schedule: bool,
) -> None:
    """Raise for callbacks that conflict with other parameters.

    `kind` is that of the validation, `monitor` the score that chooses the best epoch,
    and `n_unweighted` the number of epochs without class weights.
    """
    _check_restoring(callbacks, monitor, n_unweighted)
    _check_conflicts(callbacks, has_schedule=has_schedule, n_members=n_members)
    _check_monitors(callbacks, _recorded(kind, monitor, has_schedule=has_schedule))


def _check_restoring(
    callbacks: Iterable[Any], monitor: str | None, n_unweighted: int
) -> None:
    """Raise if a callback restores an epoch that training chooses, or must know."""
    names = [
        type(callback).__name__
        for callback in map(callback_of, callbacks)
        if getattr(callback, "load_best", False)
    ]
    if not names or (monitor is None and not n_unweighted):
        return
    if monitor is not None:
        conflict = (
            "early stopping keeps its own best epoch; set load_best=False, or "
            "early_stopping=False"
        )
    else:
        conflict = (
            "whether the epoch that it restores had class weights "
            "(class_weight__start_epoch) is not known; set load_best=False, and "
            "early_stopping=True to keep the best epoch"
        )
    raise ValueError(f"callbacks has {names[0]}(load_best=True), but {conflict}.")


def _check_conflicts(
    callbacks: Iterable[Any], *, has_schedule: bool, n_members: int
) -> None:
    """Raise for callbacks that set or read what training sets otherwise."""
    for callback in _instances(callbacks):
        name = type(callback).__name__
        if isinstance(callback, InputShapeSetter):
            raise ValueError(
                f"callbacks has {name}, but every module is given its number of "
                "features: leave the callback out, and take in_features= in __init__."
            )
        if isinstance(callback, LRScheduler) and has_schedule:
            raise ValueError(
                f"callbacks has {name}, but schedule='cosine' sets the learning rate "
                "of each epoch too: set schedule='constant'."
            )
        if isinstance(callback, BatchScoring) and callback.on_train and n_members > 1:
            raise ValueError(
                f"callbacks has {name}(on_train=True), but with n_members={n_members} "
                "each member has rows of its own in a batch: use "
                "EpochScoring(on_train=True), or n_members=1."
            )


def _check_monitors(callbacks: Iterable[Any], recorded: set[str]) -> None:
    """Raise if a callback monitors a name that is not recorded before it is called.

    `recorded` are the names that training records. Callbacks are called in order. One
    that is not from skorch may record any name, so those after it are not checked.
    """
    recorded, has_validation = set(recorded), "valid_loss" in recorded
    for callback in _instances(callbacks):
        if isinstance(callback, WandbLogger):
            _check_wandb(callback, has_validation)
        monitor, by_batch = _monitored(callback)
        known = _OF_BATCHES if by_batch else recorded
        if isinstance(monitor, str) and monitor not in known:
            raise ValueError(
                f"callbacks has {type(callback).__name__}(monitor={monitor!r}), but "
                f"nothing before it records that: known are {sorted(known)}. "
                f"{_cure(monitor, has_validation)}"
            )
        if not type(callback).__module__.startswith("skorch."):
            return
        recorded |= _recorded_by(callback, has_validation)


def _recorded(kind: str, monitor: str | None, *, has_schedule: bool) -> set[str]:
    """Return the names of the values that training records for each epoch."""
    names = set(_OF_EPOCHS)
    if kind != "none":
        names |= {"valid_loss", "valid_loss_best", "valid_average_precision"}
    if kind == "folds":
        names.add("valid_score")
    if monitor == "average_precision":
        names.add("valid_average_precision_best")
    return names | ({"event_lr"} if has_schedule else set())


def _check_wandb(callback: WandbLogger, has_validation: bool) -> None:
    if callback.save_model and not has_validation:
        raise ValueError(
            "callbacks has WandbLogger(save_model=True), which saves the weights of "
            f"the lowest valid_loss. {_cure('valid_loss', has_validation)} Or set "
            "save_model=False."
        )


def _cure(monitor: str, has_validation: bool) -> str:
    if monitor.startswith("valid") and not has_validation:
        return (
            "No rows are held out: set early_stopping=True, or give fit X_val and "
            "y_val (partial_fit holds none out)."
        )
    return "A scoring callback of that name must stand before it."


def _instances(callbacks: Iterable[Any]) -> list[Any]:
    found = map(callback_of, callbacks)
    return [cb() if isinstance(cb, type) else cb for cb in found]


def _monitored(callback: Any) -> tuple[Any, bool]:
    """Return the name that a callback monitors, and whether it does so by batch."""
    if isinstance(callback, TrainEndCheckpoint):
        return None, False
    if isinstance(callback, Checkpoint | EarlyStopping):
        return callback.monitor, False
    if isinstance(callback, LRScheduler) and callback.policy in (
        ReduceLROnPlateau,
        ReduceLROnPlateau.__name__,
    ):
        return callback.monitor, callback.step_every == "batch"
    return None, False


def _recorded_by(callback: Any, has_validation: bool) -> set[str]:
    """Return the names of the values that a callback of skorch records."""
    if isinstance(callback, ScoringBase | PassthroughScoring):
        if not (callback.on_train or has_validation):
            return set()
        is_named = isinstance(callback, PassthroughScoring)
        name = callback.name if is_named else copy.copy(callback).initialize().name_
        has_best = callback.lower_is_better is not None
        return {name, f"{name}_best"} if has_best else {name}
    if isinstance(callback, Checkpoint | LRScheduler):
        return {callback.event_name} - {None}
    return set()

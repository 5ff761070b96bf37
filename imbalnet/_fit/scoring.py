"""Skorch's callbacks that score: what each of them needs from the net."""

from __future__ import annotations

from collections.abc import Sequence

from skorch.callbacks import BatchScoring, Callback, EpochScoring, PassthroughScoring

BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


def prepare_scoring(callbacks: Sequence[Callback], n_members: int) -> None:
    """Let callbacks of one net score what its own predictions are for; or raise.

    Outputs of training batches, which skorch caches, come shuffled, so that scores of
    training rows need new ones. Scores of validation rows are given the validation set
    itself where they cache: out-of-fold rows are known by it.
    """
    for callback in callbacks:
        if isinstance(callback, EpochScoring):
            callback.use_caching = not callback.on_train
        elif isinstance(callback, BatchScoring) and callback.on_train and n_members > 1:
            raise ValueError(
                "callbacks has BatchScoring(on_train=True), but each of the "
                f"{n_members} members has a batch of its own; use EpochScoring("
                "on_train=True), or n_members=1."
            )


def listen_to_batches(callbacks: Sequence[Callback]) -> bool:
    """Whether a callback has methods for batches, or reads what is recorded of them."""
    return any(
        isinstance(callback, PassthroughScoring)
        or getattr(type(callback), event) is not getattr(Callback, event)
        for callback in callbacks
        for event in BATCH_EVENTS
    )

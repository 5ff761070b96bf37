"""Copies of a net: to predict with, to restore on failure, and to store in a file."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import torch

from imbalnet._callbacks import without_uncopyable
from imbalnet._runtime import available_device, restorer, torch_threads
from imbalnet._warn import warn


class CopiesMixin:
    """Copy and store a skorch net, without callbacks that cannot be copied."""

    callbacks_: list[tuple[str, Any]]
    criterion_: Any
    formulas: Any
    history: Any
    initialize_optimizer: Callable[..., Any]
    module_: Any

    def snapshot(self) -> Self:
        """Return a net with the present weights, which predicts but does not train."""
        result = object.__new__(type(self))
        result.__dict__.update(vars(self))
        copies = copy.deepcopy((self.module_, self.criterion_, self.history))
        result.module_, result.criterion_, result.history = copies
        result.callbacks_ = []
        result.__dict__.pop("sharing", None)
        result.formulas = None  # those of callbacks during training
        return result

    @torch_threads(1)
    def restorer(self) -> Callable[[], None]:
        """Return a function that restores the present state of the net.

        The state is all that training may change: weights, optimiser, history, and the
        attributes of net, module and callbacks.
        """
        parts = [self, self.optimizer_, *self.module_.modules()]
        parts += [callback for _, callback in self.callbacks_]
        restorers = [restorer(part) for part in parts]
        module, optimizer, n_epochs = self.module_, self.optimizer_, len(self.history)
        states = copy.deepcopy((module.state_dict(), optimizer.state_dict()))

        def restore() -> None:
            for restore_attributes in restorers:
                restore_attributes()
            with torch_threads(1):
                module.load_state_dict(states[0])
                optimizer.load_state_dict(states[1])
            del self.history[n_epochs:]

        return restore

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without callbacks that cannot be pickled."""
        return _with_copyable_callbacks(super().__getstate__())  # type: ignore[arg-type]

    def state_to_store(self) -> dict[str, Any]:
        """Return the attributes, with the optimiser as its ``state_dict``."""
        state = {**vars(self)}
        optimizer = state.pop("optimizer_", None)
        if optimizer is not None:
            state["stored_optimizer"] = optimizer.state_dict()
        return _with_copyable_callbacks(state)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy all attributes in one call, so that shared weights stay shared.

        Copies by skorch's pickle would separate them.
        """
        result = memo[id(self)] = object.__new__(type(self))
        result.__dict__.update(copy.deepcopy(self.state_to_store(), memo))
        return result

    def restore(self, state: dict[str, Any]) -> None:
        """Set stored attributes, on a device that is available."""
        device = available_device(state["device"])
        self.__dict__.update(state, device=device)
        if device != torch.device(state["device"]):
            warn(
                f"The network was trained on {state['device']}, which this machine "
                f"does not have: it computes on {device}."
            )

    def __getattr__(self, name: str) -> Any:
        """Build the stored optimiser when it is first used, so not for prediction."""
        if name != "optimizer_" or "stored_optimizer" not in vars(self):
            return object.__getattribute__(self, name)  # raises the original error
        stored = self.__dict__.pop("stored_optimizer")
        try:
            self.initialize_optimizer()
            self.optimizer_.load_state_dict(stored)
        except BaseException:  # an interrupt, too
            self.__dict__.pop("optimizer_", None)
            self.__dict__["stored_optimizer"] = stored
            raise
        return self.optimizer_

    def optimizer_state(self) -> Any:
        """Return the optimiser's state, such as averages of gradients, by parameter."""
        stored = vars(self).get("stored_optimizer")
        if stored is not None:
            return stored["state"]
        return getattr(self.optimizer_, "state", {})  # a user's class may have none

    def release_optimizer(self) -> None:
        """Delete the optimiser's state."""
        self.optimizer_state().clear()

    def release_gradients(self) -> None:
        """Delete the gradients of the last step."""
        self.module_.zero_grad(set_to_none=True)
        self.criterion_.zero_grad(set_to_none=True)


def _with_copyable_callbacks(state: dict[str, Any]) -> dict[str, Any]:
    """Remove the callbacks that cannot be copied from a net's attributes, in place."""
    for name in ("callbacks", "callbacks_"):
        state[name] = without_uncopyable(state[name] or [])
    return state

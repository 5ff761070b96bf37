"""Optimisers by name, with the learning rate that suits each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import optim

OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "adamw": optim.AdamW,
    "adam": optim.Adam,
    "sgd": partial(optim.SGD, momentum=0.9),
    "lbfgs": partial(
        optim.LBFGS, line_search_fn="strong_wolfe", tolerance_change=1e-12
    ),
}

def resolve_learning_rate(
    learning_rate: float | str,
    optimizer: str | Callable[..., Any],
    *,
    is_linear: bool,
    is_full_batch: bool,
) -> float:
    """Give the learning rate that ``"auto"`` means.

    Parameters
    ----------
    learning_rate : float or "auto"
    optimizer : str or callable
    is_linear : bool
        Whether the network is a linear model, which takes larger steps.
    is_full_batch : bool
        Whether an epoch is one step, which then has further to go.
    """
    if learning_rate != "auto":
        return float(learning_rate)
    if optimizer in _LEARNING_RATES:
        return _LEARNING_RATES[optimizer]
    if is_linear:
        return 0.05
    return 2e-3 if is_full_batch else 7e-4


_LEARNING_RATES: dict[Any, float] = {"sgd": 0.05, "lbfgs": 1.0}

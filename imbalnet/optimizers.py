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

_LEARNING_RATES: dict[Any, float] = {"sgd": 0.05, "lbfgs": 1.0}
_DEFAULT_LEARNING_RATE = 2e-3


def resolve_learning_rate(
    learning_rate: float | str, optimizer: str | Callable[..., Any]
) -> float:
    """Give the learning rate that ``"auto"`` means for an optimiser."""
    if learning_rate != "auto":
        return float(learning_rate)
    known = _LEARNING_RATES if isinstance(optimizer, str) else {}
    return known.get(optimizer, _DEFAULT_LEARNING_RATE)

"""Optimisers by name, and what "auto" means for each."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import optim

OptimizerFactory = Callable[..., optim.Optimizer]


def _without_compiler(base: Any) -> dict[str, Any]:
    """Give methods that do not ask torch's compiler to leave them alone.

    Asking imports it, which takes longer than the whole fit of a small table, once in
    each process.
    """
    step = inspect.unwrap(base.step)

    def plain_step(self: optim.Optimizer, closure: Any = None) -> Any:
        with torch.set_grad_enabled(self.defaults.get("differentiable", False)):
            return step(self, closure)

    methods = {
        name: inspect.unwrap(getattr(base, name))
        for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    }
    return {**methods, "step": plain_step, "__module__": __name__}


AdamW: Any = type("AdamW", (optim.AdamW,), _without_compiler(optim.AdamW))
Adam: Any = type("Adam", (optim.Adam,), _without_compiler(optim.Adam))
SGD: Any = type("SGD", (optim.SGD,), _without_compiler(optim.SGD))
LBFGS: Any = type("LBFGS", (optim.LBFGS,), _without_compiler(optim.LBFGS))

# Whose step never asks for the loss.
PLAIN = AdamW, Adam, SGD, optim.AdamW, optim.Adam, optim.SGD

# L-BFGS stops where float64 gives no more; in float32 the line search ends earlier.
OPTIMIZERS: dict[str, OptimizerFactory] = {
    "adamw": partial(AdamW, fused=True),
    "adam": partial(Adam, fused=True),
    "sgd": partial(SGD, momentum=0.9),
    "lbfgs": partial(
        LBFGS,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
    ),
}


def optimizer_factory(optimizer: str | OptimizerFactory) -> OptimizerFactory:
    """Give the class or factory behind a name."""
    return OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer


def resolve_optimizer(
    optimizer: str | OptimizerFactory, *, is_linear: bool, in_parts: bool
) -> str | OptimizerFactory:
    """Turn "auto" into a name.

    A linear model is a convex problem, which L-BFGS solves; it needs all rows at
    once, which ``partial_fit`` does not have and a sparse table must not become.
    """
    if optimizer != "auto":
        return optimizer
    return "lbfgs" if is_linear and not in_parts else "adamw"


def resolve_learning_rate(
    learning_rate: float | str, optimizer: str | OptimizerFactory, auto: float
) -> float:
    """Turn "auto" into a learning rate.

    Parameters
    ----------
    learning_rate : float or "auto"
    optimizer : str or callable
    auto : float
        For Adam and its kin.
    """
    if learning_rate != "auto":
        return float(learning_rate)
    if optimizer == "lbfgs":
        return 1.0
    return 0.05 if optimizer == "sgd" else auto


def resolve_weight_decay(
    weight_decay: float | str,
    optimizer: str | OptimizerFactory,
    weight_sum: float,
    auto: float,
) -> float:
    """Turn "auto" into a weight decay.

    Parameters
    ----------
    weight_decay : float or "auto"
    optimizer : str or callable
    weight_sum : float
        Sum of the training rows' sample weights. For "lbfgs" its inverse is the
        penalty of ``LogisticRegression(C=1)``, whose loss is a sum over rows.
    auto : float
        Decoupled from the gradient's scale, for AdamW.
    """
    if weight_decay != "auto":
        return float(weight_decay)
    if optimizer == "lbfgs":
        return 1.0 / weight_sum
    # part of the gradient in the others
    return auto if optimizer in ("adamw", optim.AdamW) else 1e-4

"""The optimisers that have names, without the import of torch's compiler."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import optim

OptimizerFactory = Callable[..., optim.Optimizer]


def _without_compiler(base: Any) -> dict[str, Any]:
    """Return an optimiser's methods without the wrappers that import torch's compiler.

    The import takes longer than the whole fit of a small table, once in each process.
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

# Optimisers whose step needs no closure.
PLAIN = AdamW, Adam, SGD, optim.AdamW, optim.Adam, optim.SGD

# The tolerances of L-BFGS are for float64; in float32 its line search ends earlier.
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
    """Return the class or factory of a name."""
    return OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer

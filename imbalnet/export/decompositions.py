"""Replacements for operations that torch's ONNX exporter computes imprecisely.

The exporter replaces ``logsigmoid(x)`` by ``log(sigmoid(x))`` and ``log1p(x)`` by
``log(1 + x)``, and rounds the bounds of ``clamp`` to float32, in which the smallest
numbers of float64 are 0. If logits saturate, inverse links of losses would become NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def precise_decompositions() -> dict[Any, Callable[..., Any]]:
    """Return the decomposition table for torch.export."""
    aten: Any = torch.ops.aten
    return {
        aten.log_sigmoid.default: _log_sigmoid,
        aten.log1p.default: _log1p,
        aten.clamp.default: _clamp,
    }


def _log_sigmoid(x: Tensor) -> Tensor:
    return x.clamp(max=0.0) - _log1p((-x.abs()).exp())


def _log1p(x: Tensor) -> Tensor:
    """Compute log(1 + x) so that the rounding error of 1 + x cancels (Kahan)."""
    total = 1.0 + x
    return torch.where(total == 1.0, x, total.log() * (x / (total - 1.0)))


def _clamp(x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    if low is not None:
        x = torch.maximum(x, torch.full((), low, dtype=x.dtype, device=x.device))
    if high is not None:
        x = torch.minimum(x, torch.full((), high, dtype=x.dtype, device=x.device))
    return x

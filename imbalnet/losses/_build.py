"""From the parameter ``loss`` and its ``loss__*`` to a loss."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from imbalnet._nested import accepted_names, name_of, reject_unknown
from imbalnet.losses.base import Loss
from imbalnet.losses.cross_entropy import CriterionLoss, CrossEntropy
from imbalnet.losses.focal import Asymmetric, Focal, Poly1, PolyFocal
from imbalnet.losses.margin import LDAM, BalancedSoftmax, LogitAdjusted, VectorScaling
from imbalnet.losses.ranking import AveragePrecision

# All names of the parameter ``loss``; the parameters of __init__ are loss__*.
LOSSES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "focal": Focal,
    "poly1": Poly1,
    "poly_focal": PolyFocal,
    "asymmetric": Asymmetric,
    "logit_adjusted": LogitAdjusted,
    "balanced_softmax": BalancedSoftmax,
    "vector_scaling": VectorScaling,
    "ldam": LDAM,
    "average_precision": AveragePrecision,
}


def build_loss(
    loss: str | Callable[..., nn.Module], params: dict[str, Any], n_classes: int
) -> Loss:
    """Build the loss that the parameter ``loss`` and its ``loss__*`` describe."""
    if isinstance(loss, nn.Module):
        raise ValueError(
            "loss must be a name, a class or a factory, not an instance of "
            f"{type(loss).__name__}: give the class, and its arguments as loss__*."
        )
    factory: Callable[..., nn.Module] = LOSSES[loss] if isinstance(loss, str) else loss
    known = accepted_names(factory, without=("reduction", "size_average", "reduce"))
    name = loss if isinstance(loss, str) else name_of(loss)
    reject_unknown("loss", f"loss={name!r}", params, known)
    if factory is nn.BCEWithLogitsLoss:
        factory, params = _as_cross_entropy(params, n_classes)
    built = _instantiate(factory, params, name)
    _check_values(built, name, n_classes)
    return built


def _instantiate(factory: Any, params: dict[str, Any], name: str) -> Loss:
    bases = factory.__mro__ if isinstance(factory, type) else ()
    if Loss in bases:
        return factory(**params)
    if nn.NLLLoss in bases:
        raise ValueError(
            f"loss={name} expects log probabilities, but networks give logits; use "
            "loss='cross_entropy', which is the same on logits."
        )
    try:
        criterion = factory(reduction="none", **params)
    except (TypeError, ValueError) as error:
        raise ValueError(_failure_message(name, params, str(error))) from error
    return criterion if isinstance(criterion, Loss) else CriterionLoss(criterion)


def _as_cross_entropy(
    params: dict[str, Any], n_classes: int
) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    """Return binary cross entropy as the cross entropy of two logits.

    With z = logit_1 - logit_0 it is the same, and `pos_weight` the weight of class 1.
    """
    if n_classes != 2:
        raise ValueError(
            f"loss=BCEWithLogitsLoss is for two classes, but y has {n_classes}; use "
            "loss='cross_entropy', with class_weight= for weights."
        )
    if params.get("weight") is not None:
        raise ValueError(
            "loss__weight of BCEWithLogitsLoss weighs the rows of a batch, which come "
            "in another order in each epoch; give fit a sample_weight, or for the "
            "positive class loss__pos_weight."
        )
    given = params.get("pos_weight")
    if given is None:
        return nn.CrossEntropyLoss, {}
    weight = _one_number(given)
    if not 0 < weight < math.inf:
        raise ValueError(
            f"loss__pos_weight={given!r} must be one finite number above 0: the weight "
            "of the positive class, where the other one has 1."
        )
    return nn.CrossEntropyLoss, {"weight": torch.tensor([1.0, weight])}


def _one_number(value: Any) -> float:
    """Return a number, or the only one of an array; NaN for anything else."""
    array = np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)
    is_number = array.size == 1 and array.dtype.kind in "iuf"
    return float(array.reshape(-1)[0]) if is_number else math.nan


def _failure_message(name: str, params: dict[str, Any], error: str) -> str:
    given = ["reduction='none'"]
    given += [f"loss__{key}={value!r}" for key, value in params.items()]
    cure = ""
    if "reduction" in error:
        cure = " A criterion must support reduction='none', one value a row."
    elif "torch Tensor" in error:
        cure = " Give weights as a tensor, such as torch.tensor([1.0, 2.0])."
    return f"loss={name} could not be built with {', '.join(given)}: {error}.{cure}"


def _check_values(loss: Loss, name: str, n_classes: int) -> None:
    factors = loss.class_factors(n_classes)
    # as many rows as classes would hide that they are taken for each other
    n_rows = 3 if n_classes == 2 else 2
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # torch warns of shapes that broadcast
            logits = torch.zeros(n_rows, n_classes, dtype=factors.dtype)
            shape = str(tuple(loss(logits, torch.arange(n_rows) % n_classes).shape))
    except (RuntimeError, ValueError, TypeError, IndexError, Warning) as error:
        shape = str(error)
    if shape != f"({n_rows},)":
        raise ValueError(
            f"loss={name} must take logits of shape (batch, n_classes) and int64 class "
            f"codes of shape (batch,), and give values of shape (batch,); {n_rows} "
            f"rows gave: {shape}."
        )

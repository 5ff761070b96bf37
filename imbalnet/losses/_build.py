"""From the parameter ``loss`` and its ``loss__*`` to a loss."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # torch warns of shapes that broadcast
            logits = torch.zeros(2, n_classes, dtype=factors.dtype)
            shape = str(tuple(loss(logits, torch.arange(2)).shape))
    except (RuntimeError, ValueError, TypeError, IndexError, Warning) as error:
        shape = str(error)
    if shape != "(2,)":
        raise ValueError(
            f"loss={name} must take logits of shape (batch, n_classes) and int64 class "
            f"codes of shape (batch,), and give values of shape (batch,); two rows "
            f"gave: {shape}."
        )

"""The registry of losses, and the parameters ``loss`` and ``loss__*``."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from imbalnet._nested import accepted_names, name_of, reject_unknown
from imbalnet.losses._torch import (
    as_pos_weight,
    check_arguments,
    check_kind,
    is_binary,
)
from imbalnet.losses.base import Loss
from imbalnet.losses.cross_entropy import (
    BinaryCriterionLoss,
    CriterionLoss,
    CrossEntropy,
)
from imbalnet.losses.focal import Asymmetric, Focal, Poly1, PolyFocal
from imbalnet.losses.margin import LDAM, BalancedSoftmax, LogitAdjusted, VectorScaling
from imbalnet.losses.ranking import AveragePrecision

# Names of the parameter ``loss``; the parameters of each __init__ are loss__*.
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


# Arguments of torch's criteria that imbalnet sets itself.
_REDUCTION = "reduction", "size_average", "reduce"


def build_loss(
    loss: str | nn.Module | Callable[..., nn.Module],
    params: dict[str, Any],
    n_classes: int,
) -> Loss:
    """Build the loss that the parameter ``loss`` and its ``loss__*`` describe."""
    name = loss if isinstance(loss, str) else name_of(loss)
    if isinstance(loss, nn.Module):
        name = type(loss).__name__  # the representation may take many lines
    if isinstance(loss, nn.Module) and params:
        loss, params = _class_and_arguments(loss, params, name)
    if isinstance(loss, nn.Module):
        criterion: Any = copy.deepcopy(loss)  # training binds it to its rows
    else:
        factory: Any = LOSSES[loss] if isinstance(loss, str) else loss
        known = accepted_names(factory, without=_REDUCTION)
        reject_unknown("loss", f"loss={name!r}", params, known, LOSSES)
        criterion = _instantiate(factory, params, name)
    built = _as_loss(criterion, name, n_classes)
    _check_values(built, name, n_classes)
    return built


def _class_and_arguments(
    loss: nn.Module, params: dict[str, Any], name: str
) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    """Return the class of one of torch's criteria, and its arguments with `params`."""
    cls = type(loss)
    known = accepted_names(cls, without=_REDUCTION) or set()
    if not cls.__module__.startswith("torch.nn."):
        raise ValueError(
            f"loss={name} is an instance, whose arguments are settled, but "
            f"loss__{next(iter(params))} is given: give the class, "
            f"loss={cls.__name__}, with its arguments as loss__*."
        )
    return cls, {**{key: getattr(loss, key) for key in known}, **params}


def _instantiate(factory: Any, params: dict[str, Any], name: str) -> nn.Module:
    """Instantiate a loss or criterion, with ``reduction="none"`` if it has one."""
    cls = getattr(factory, "func", factory)  # of a functools.partial
    if isinstance(cls, type) and issubclass(cls, Loss):
        return factory(**params)
    check_kind(cls, name)
    if is_binary(cls) and "pos_weight" in params:
        params = {**params, "pos_weight": as_pos_weight(params["pos_weight"])}
    if _takes_reduction(factory):
        params = {"reduction": "none", **params}
    try:
        return factory(**params)
    except (TypeError, ValueError) as error:
        raise ValueError(_failure_message(name, params, str(error))) from error


def _takes_reduction(factory: Any) -> bool:
    if getattr(factory, "__init__", None) is nn.Module.__init__:
        return False
    accepted = accepted_names(factory)
    return accepted is None or "reduction" in accepted


def _as_loss(criterion: Any, name: str, n_classes: int) -> Loss:
    """Convert a criterion to a loss that does not reduce over rows."""
    if isinstance(criterion, Loss):
        return criterion
    if not isinstance(criterion, nn.Module):
        raise ValueError(
            f"loss={name} made {criterion!r}, and no torch.nn.Module: give a class or "
            "an instance with forward(logits, target), such as "
            "torch.nn.CrossEntropyLoss for torch.nn.functional.cross_entropy."
        )
    check_kind(type(criterion), name)
    check_arguments(criterion, name, n_classes)
    if hasattr(criterion, "reduction"):
        vars(criterion)["reduction"] = "none"
    loss = BinaryCriterionLoss if is_binary(type(criterion)) else CriterionLoss
    return loss(criterion)


def _failure_message(name: str, params: dict[str, Any], error: str) -> str:
    given = [
        f"{key}={value!r}" if key == "reduction" else f"loss__{key}={value!r}"
        for key, value in params.items()
    ]
    cure = ""
    if "reduction" in error:
        cure = " A criterion must support reduction='none', one value a row."
    elif "torch Tensor" in error:
        cure = " Give weights as a tensor, such as torch.tensor([1.0, 2.0])."
    elif "positional argument" in error:
        cure = (
            " loss is a class whose arguments are loss__*, not a function of logits: "
            "torch.nn.CrossEntropyLoss, not torch.nn.functional.cross_entropy."
        )
    arguments = ", ".join(given) or "no arguments"
    return f"loss={name} could not be built with {arguments}: {error}.{cure}"


def _cure(shape: str, n_classes: int) -> str:
    """Return the cure for a loss whose values do not have the shape (batch,)."""
    if shape == "()":
        return " Take no mean or sum over rows: the estimator does, with weights."
    if n_classes == 2:
        return " A loss of one logit per row can take logits[:, 1] - logits[:, 0]."
    return ""


def _check_values(loss: Loss, name: str, n_classes: int) -> None:
    """Raise unless the loss returns one value for each row of a small batch."""
    factors = loss.class_factors(n_classes)
    n_rows = n_classes + 1  # so that values by class are not taken for those of rows
    target = torch.arange(n_rows) % n_classes
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # torch warns of shapes that broadcast
            logits = torch.zeros(n_rows, n_classes, dtype=factors.dtype)
            shape = str(tuple(loss(logits, target).shape))
    except (RuntimeError, ValueError, TypeError, IndexError, Warning) as error:
        shape = str(error)
    if shape != f"({n_rows},)":
        raise ValueError(
            f"loss={name} must take logits of shape (batch, n_classes) and int64 class "
            f"codes of shape (batch,), and give values of shape (batch,); {n_rows} "
            f"rows gave: {shape}.{_cure(shape, n_classes)}"
        )

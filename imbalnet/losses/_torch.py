"""Checks of torch's criteria: which ones are losses of logits and class codes.

Most of the others would train without an error, but on something else, because shapes
broadcast. `_build.py` calls these checks before and after it builds a criterion.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from imbalnet._checks import checked_number
from imbalnet.losses.base import as_vector

_SAME = "loss='cross_entropy', which is the same on logits"
_REGRESSION = "is for regression; use loss='cross_entropy'"
_LABELS = (
    "is for rows that have several labels; use loss='cross_entropy', or, for two "
    "classes, torch.nn.BCEWithLogitsLoss"
)
_DISTANCES = (
    "compares distances or pairs of rows, and not the logits of classes; use "
    "loss='cross_entropy', or loss='average_precision' to optimise the ranking"
)
_REASONS = {
    "NLLLoss": f"expects log probabilities, but networks give logits; use {_SAME}",
    "BCELoss": (
        "expects probabilities, but networks give logits; use "
        "torch.nn.BCEWithLogitsLoss, which is the same on logits"
    ),
    "KLDivLoss": (
        "expects the log probabilities and the probabilities of all classes, but "
        f"targets are class codes; use {_SAME} and class codes"
    ),
    "SoftMarginLoss": (
        "expects labels of -1 and 1; for two classes use torch.nn.BCEWithLogitsLoss, "
        "which is the same on class codes"
    ),
    "LinearCrossEntropyLoss": (
        "is a linear layer and a loss in one; leave the layer to module, and use "
        f"{_SAME}"
    ),
    "CTCLoss": "is for sequences; use loss='cross_entropy'",
    **dict.fromkeys(
        ("L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss"),
        _REGRESSION,
    ),
    "GaussianNLLLoss": _REGRESSION,
    **dict.fromkeys(("MultiLabelMarginLoss", "MultiLabelSoftMarginLoss"), _LABELS),
    **dict.fromkeys(
        ("HingeEmbeddingLoss", "CosineEmbeddingLoss", "MarginRankingLoss"), _DISTANCES
    ),
    **dict.fromkeys(("TripletMarginLoss", "TripletMarginWithDistanceLoss"), _DISTANCES),
}


def check_kind(criterion: Any, name: str) -> None:
    """Raise for one of torch's classes that does not take logits and class codes.

    A subclass that overrides ``forward`` is accepted.
    """
    for of_torch, reason in _REASONS.items():
        base = getattr(nn, of_torch, None)  # older versions of torch lack some
        if _has_forward_of(criterion, base):
            raise ValueError(f"loss={name} {reason}.")


def is_binary(criterion: Any) -> bool:
    """Return whether a class computes ``BCEWithLogitsLoss`` as torch does."""
    return _has_forward_of(criterion, nn.BCEWithLogitsLoss)


def _has_forward_of(criterion: Any, base: Any) -> bool:
    return (
        isinstance(criterion, type)
        and isinstance(base, type)
        and issubclass(criterion, base)
        and criterion.forward is base.forward  # type: ignore[attr-defined]
    )


def as_pos_weight(value: Any) -> Tensor | None:
    """Convert the one weight of the positive class to float64, or raise."""
    if value is None:
        return None
    value = value.item() if getattr(value, "ndim", None) == 0 else value
    if isinstance(value, Real | str):
        value = checked_number("loss__pos_weight", value, 0, open_low=True)
    values = as_vector("pos_weight", value)
    if values.numel() != 1:
        raise ValueError(
            f"loss__pos_weight={value!r} must be one number, the weight of "
            "classes_[1]; class_weight= takes a weight for each class."
        )
    number = checked_number("loss__pos_weight", values.item(), 0, open_low=True)
    return torch.tensor(number, dtype=torch.float64)


def check_arguments(criterion: nn.Module, name: str, n_classes: int) -> None:
    """Raise for arguments of torch's criteria that a classifier cannot use."""
    ignored = getattr(criterion, "ignore_index", None)
    if isinstance(criterion, nn.CrossEntropyLoss) and ignored in range(n_classes):
        raise ValueError(
            f"loss={name} with ignore_index={ignored} leaves out all rows of a class "
            "(codes are positions in classes_): leave it at -100, and give rows that "
            "shall not count sample_weight=0."
        )
    weight = getattr(criterion, "weight", None)
    if is_binary(type(criterion)):
        _check_binary(weight, name, n_classes)
    elif isinstance(criterion, nn.CrossEntropyLoss | nn.MultiMarginLoss):
        _check_class_weight(weight)


def _check_binary(weight: Any, name: str, n_classes: int) -> None:
    if n_classes != 2:
        raise ValueError(
            f"loss={name} is for two classes, but y has {n_classes}: use "
            "torch.nn.CrossEntropyLoss or loss='cross_entropy', with class_weight= in "
            "place of loss__pos_weight."
        )
    if weight is not None:
        raise ValueError(
            f"loss={name} with weight= weights the positions of a batch (it has shape "
            f"{tuple(weight.shape)}), which are other rows in each batch: "
            "give weights of rows as sample_weight to fit, and those of classes as "
            "loss__pos_weight or class_weight."
        )


def _check_class_weight(weight: Any) -> None:
    if not isinstance(weight, Tensor):  # a subclass may mean something else by it
        return
    if not bool((weight.isfinite() & (weight >= 0)).all() and weight.any()):
        raise ValueError(
            f"loss__weight={weight.tolist()} must hold finite numbers of at least 0, "
            "not all 0."
        )

"""The cross entropy, and torch's criteria as losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imbalnet._checks import checked_number
from imbalnet.losses._torch import as_pos_weight
from imbalnet.losses.base import Loss, check_logits, checked_batch, log_excess

# Outputs are inverted to at least this share of themselves, see `log_excess`.
_SMALLEST_EXCESS = 1e-3


class CrossEntropy(Loss):
    """Softmax cross entropy, ``-log v_target``, with label smoothing.

    Smoothing trains towards ``(1 - eps) * onehot + eps / n_classes`` [1]_, so that
    outputs end at ``(1 - eps) * posterior + eps / n_classes``; ``log_posterior``
    undoes that. Class weights multiply rows, also their smoothed part: torch's
    ``weight=`` multiplies the terms of the sum instead, see :class:`CriterionLoss`.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        The share ``eps`` of the label that is spread over all classes, in [0, 1).

    References
    ----------
    .. [1] Szegedy et al., "Rethinking the Inception Architecture for Computer
       Vision", CVPR 2016.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import CrossEntropy
    >>> CrossEntropy()(torch.zeros(1, 2), torch.tensor([1]))
    tensor([0.6931])
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        name = "loss__label_smoothing"
        self.label_smoothing = checked_number(name, label_smoothing, 0, 1)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row."""
        return F.cross_entropy(
            checked_batch(logits, target),
            target,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Compute the log of the class posterior from the logits."""
        check_logits(logits)
        return _unsmoothed(logits.log_softmax(-1), self.label_smoothing)

    def posterior_scores(self, logits: Tensor) -> Tensor:
        """Compute ``log_posterior`` up to a constant in each row."""
        return self.log_posterior(logits) if self.label_smoothing else logits


class CriterionLoss(Loss):
    """A torch criterion that was built with ``reduction="none"``, as a loss.

    The inverse link is the criterion's own ``log_posterior(logits)`` if it has one,
    otherwise the softmax, which inverts the cross entropy only.
    ``torch.nn.CrossEntropyLoss``, and a subclass that does not override ``forward``,
    is inverted with its own class weights ``w`` and smoothing ``eps``: outputs v give
    the posterior ``(u - eps / n_classes) / (1 - eps)`` under the prior that is trained
    on, with u proportional to ``v / w``.

    Parameters
    ----------
    criterion : torch.nn.Module
        Takes logits and class codes and returns values of shape ``(batch,)``.

    Raises
    ------
    ValueError
        If `criterion` is not a module, or has another `reduction` than "none".

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import CriterionLoss
    >>> weight = torch.tensor([1.0, 9.0])
    >>> loss = CriterionLoss(torch.nn.CrossEntropyLoss(weight, reduction="none"))
    >>> loss(torch.zeros(2, 2), torch.tensor([0, 1]))
    tensor([0.6931, 6.2383])
    >>> loss.effective_prior(torch.tensor([0.9, 0.1]))  # balanced by the weights
    tensor([0.5000, 0.5000])
    """

    def __init__(self, criterion: nn.Module) -> None:
        super().__init__()
        if not isinstance(criterion, nn.Module):
            raise ValueError(
                f"criterion={criterion!r} must be a torch.nn.Module, built with "
                "reduction='none'."
            )
        if getattr(criterion, "reduction", "none") != "none":
            raise ValueError(
                f"criterion={criterion!r} has reduction={criterion.reduction!r}; build "
                "it with reduction='none', which gives one value a row."
            )
        self.criterion = criterion
        # computed here, because a traced graph cannot branch on the weights
        self.is_inverted = _is_invertible(criterion)
        self.is_calibrated = self.is_inverted or hasattr(criterion, "log_posterior")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row."""
        return self.criterion(checked_batch(logits, target), target)

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Compute the log of the class posterior from the logits."""
        check_logits(logits)
        criterion: Any = self.criterion
        if hasattr(criterion, "log_posterior"):
            return criterion.log_posterior(logits)
        if not self.is_inverted or criterion.label_smoothing == 0:
            return logits.log_softmax(-1)
        log_weight = self.class_factors(logits.shape[-1]).to(logits).log()
        log_u = (logits - log_weight).log_softmax(-1)
        log_eta = _unsmoothed(log_u, criterion.label_smoothing)
        return (log_eta + log_weight).log_softmax(-1)

    def class_factors(self, n_classes: int) -> Tensor:
        """Return the criterion's own class weights (``weight`` in torch).

        An attribute ``weight`` that is not a tensor of shape (n_classes,) has another
        meaning and is ignored.
        """
        weight = getattr(self.criterion, "weight", None)
        if isinstance(weight, Tensor) and weight.shape == (n_classes,):
            return weight
        return torch.ones(n_classes)

    def factors_in_mean(self, n_classes: int) -> Tensor:
        """Return the criterion's own class weights, which act as ``class_weight``."""
        return self.class_factors(n_classes)


class BinaryCriterionLoss(CriterionLoss):
    """``torch.nn.BCEWithLogitsLoss`` on the difference of two logits, as a loss.

    With ``z = logits_1 - logits_0`` it is the cross entropy of the two classes, in
    which rows of class 1 have the weight ``pos_weight``. The softmax inverts it.

    Parameters
    ----------
    criterion : torch.nn.BCEWithLogitsLoss
        Built with ``reduction="none"``; ``pos_weight`` is None or has one element.
    """

    def __init__(self, criterion: nn.Module) -> None:
        super().__init__(criterion)
        self.is_calibrated = True
        weight = as_pos_weight(criterion.pos_weight)
        self.pos_weight = 1.0 if weight is None else weight.item()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row."""
        negative, positive = checked_batch(logits, target).unbind(-1)
        difference = positive - negative
        return self.criterion(difference, target.to(difference.dtype))

    def class_factors(self, n_classes: int) -> Tensor:
        """Return 1 and ``pos_weight``."""
        factors = torch.ones(n_classes, dtype=torch.float64)
        factors[1] = self.pos_weight
        return factors


def _is_invertible(criterion: nn.Module) -> bool:
    if not isinstance(criterion, nn.CrossEntropyLoss):
        return False
    if type(criterion).forward is not nn.CrossEntropyLoss.forward:
        return False  # such as a focal loss, whose inverse is another one
    weight = getattr(criterion, "weight", None)
    is_positive = not isinstance(weight, Tensor) or bool((weight > 0).all())
    return criterion.label_smoothing < 1 and is_positive


def _unsmoothed(log_v: Tensor, smoothing: float) -> Tensor:
    """Invert label smoothing of log probabilities."""
    if smoothing == 0:
        return log_v
    even = smoothing / log_v.shape[-1]
    return log_excess(log_v, even, _SMALLEST_EXCESS).log_softmax(-1)

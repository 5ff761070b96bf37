"""From logits to the losses of rows, and from these to means and sums.

Losses are not reduced where they are computed: here members and weights come in. The
epoch (:mod:`imbalnet._fit.net.epoch`) and the validation use it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imbalnet.losses import Loss

_SUMS_AT_ONCE = 64


def loss_per_row(criterion: Loss, logits: Tensor, y: Tensor) -> Tensor:
    """Return the loss of each row, in the shape of `y`.

    That is (batch, members), or (batch,) for rows that members share: their loss is the
    mean of the members'. Logits of one member may lack the axis.
    """
    shape = logits.shape[:2]
    if logits.ndim == 2:
        return criterion(logits, y)
    if shape[1] == 1 and y.ndim == 1:
        return criterion(logits.squeeze(1), y)
    if y.ndim == 1:
        return loss_per_row(criterion, logits, y[:, None].expand(shape)).mean(1)
    if criterion.is_ranking:  # it compares a member's rows with each other
        pairs = zip(logits.unbind(1), y.unbind(1), strict=True)
        return torch.stack([criterion(*pair) for pair in pairs], dim=1)
    # (B, M, C) -> (B * M, C) -> (B, M)
    return criterion(logits.flatten(0, 1), y.flatten()).unflatten(0, shape)


def mean_loss(criterion: Loss, logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean loss of validation rows."""
    in_mean = criterion.factors_in_mean(logits.shape[-1]).to(weight)
    loss = (weight * loss_per_row(criterion, logits, y)).sum()
    return loss / (weight * in_mean[y]).sum()


class LossSum:
    """Sum of weight * loss over an epoch's rows, with one synchronisation."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.sums: list[Tensor] = []
        self.free: list[Tensor] = []

    def add(self, losses: Tensor, weight: Tensor) -> None:
        """Add the rows of one batch, or those of each member."""
        if not self.free:
            self.sums.append(losses.new_zeros(_SUMS_AT_ONCE))
            self.free = list(self.sums[-1].unbind())
        weight = weight.to(losses.dtype)
        torch.dot(losses.flatten(), weight.flatten(), out=self.free.pop())
        self.n_rows += losses.numel()

    def result(self) -> tuple[float, int]:
        """Wait for the device; return the sum, and the number of rows."""
        if not self.sums:
            return 0.0, 0
        return torch.cat(self.sums).cpu().double().sum().item(), self.n_rows

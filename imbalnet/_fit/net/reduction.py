"""Losses of rows and members from logits, and their weighted means and sums.

A :class:`~imbalnet.losses.Loss` returns the loss of each row. The functions here apply
it to the members of an ensemble and add the weights, for training and validation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imbalnet.losses import Loss

# Batches whose sums are allocated together.
_BLOCK_SUMS = 64


def loss_per_row(criterion: Loss, logits: Tensor, y: Tensor) -> Tensor:
    """Return the loss of each row, in the shape of `y`.

    With labels of shape (batch, members), each member has its own loss. With labels of
    shape (batch,), the loss of a row is the mean over members. The logits of a single
    member may have the shape (batch, n_classes).
    """
    shape = logits.shape[:2]
    if logits.ndim == 2:
        return criterion(logits, y)
    if shape[1] == 1 and y.ndim == 1:
        return criterion(logits.squeeze(1), y)
    if y.ndim == 1:
        return loss_per_row(criterion, logits, y[:, None].expand(shape)).mean(1)
    if criterion.is_ranking:  # compares the rows of each member with each other
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
    """Sum of weight * loss over the rows of an epoch.

    The sums stay on the device until `result`, which is the only synchronisation.
    """

    def __init__(self) -> None:
        self.n_rows = 0
        self.sums: list[Tensor] = []
        self.free: list[Tensor] = []

    def add(self, losses: Tensor, weight: Tensor) -> None:
        """Add the losses of a batch, of shape (batch,) or (batch, members)."""
        if not self.free:
            self.sums.append(losses.new_zeros(_BLOCK_SUMS))
            self.free = list(self.sums[-1].unbind())
        weight = weight.to(losses.dtype)
        torch.dot(losses.flatten(), weight.flatten(), out=self.free.pop())
        self.n_rows += losses.numel()

    def result(self) -> tuple[float, int]:
        """Return the sum, and the number of losses."""
        if not self.sums:
            return 0.0, 0
        return torch.cat(self.sums).cpu().double().sum().item(), self.n_rows

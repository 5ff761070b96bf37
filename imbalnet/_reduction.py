"""From batches to the whole, and from members to one."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

_SUMS_AT_ONCE = 64


class LossMean:
    """Mean of weight * loss over an epoch's rows, with one synchronisation."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.sums: list[Tensor] = []
        self.free: list[Tensor] = []

    def add(self, losses: Tensor, weight: Tensor) -> None:
        """Take the rows of one batch, or those of each member."""
        if not self.free:
            self.sums.append(losses.new_zeros(_SUMS_AT_ONCE))
            self.free = list(self.sums[-1].unbind())
        weight = weight.to(losses.dtype)
        torch.dot(losses.flatten(), weight.flatten(), out=self.free.pop())
        self.n_rows += losses.numel()

    def result(self) -> float:
        """Wait for the device, and give the mean."""
        return torch.cat(self.sums).cpu().double().sum().item() / self.n_rows


class RowsInOne:
    """Concatenates what comes batch by batch, into memory taken once.

    Small pieces that stay, between the large ones of each batch that go, keep the
    allocator from using those again.
    """

    def __init__(self, n_rows: int) -> None:
        self.n_rows, self.stop = n_rows, 0
        self.wholes: list[Tensor] = []

    def add(self, *columns: Tensor) -> None:
        """Take some rows of each column."""
        if not self.wholes:
            self.wholes = [
                part.new_empty((self.n_rows, *part.shape[1:])) for part in columns
            ]
        start, self.stop = self.stop, self.stop + len(columns[0])
        for whole, part in zip(self.wholes, columns, strict=True):
            whole[start : self.stop] = part

    @property
    def columns(self) -> list[Tensor]:
        """The columns, with the rows that came."""
        return [whole[: self.stop] for whole in self.wholes]


def posterior_mean(
    scores: Tensor,
    shift: NDArray,
    mean_shift: NDArray | float = 0.0,
    temperature: float = 1.0,
) -> Tensor:
    """Shift log posteriors, member by member, and average the members' probabilities.

    Parameters
    ----------
    scores : Tensor of shape (n_rows, n_classes) or (n_rows, members, n_classes)
        Log posteriors, up to a constant a row and member.
    shift : ndarray of shape (n_classes,) or (members, n_classes)
    mean_shift : ndarray of shape (n_classes,) or float, default=0.0
        What is added to the log of the average.
    temperature : float, default=1.0
        What the log posteriors are divided by at first.

    Returns
    -------
    Tensor of shape (n_rows, n_classes)
        Normalised log posteriors.
    """
    tempered = scores if temperature == 1.0 else scores / temperature
    if scores.ndim == 2:
        added = torch.as_tensor(shift + mean_shift, device=scores.device)
        return (tempered + added).log_softmax(-1)
    added = torch.as_tensor(shift, device=scores.device)
    mean = (tempered + added).log_softmax(-1).logsumexp(1)
    return (mean + torch.as_tensor(mean_shift, device=mean.device)).log_softmax(-1)


def mean_over_members(probabilities: Any) -> Any:
    """Average over the second of three axes; two axes have no members."""
    return probabilities.mean(1) if probabilities.ndim == 3 else probabilities

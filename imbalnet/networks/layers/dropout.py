"""Dropout with fewer random bits, which is faster on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbalnet.networks._checks import check_dropout, check_sizes


class ByteDropout(nn.Module):
    """Dropout that draws one random byte for each unit.

    On a CPU, dropout spends most of its time on random numbers. Here eight units share
    one random number of 64 bits, which takes an eighth of the time of
    :class:`torch.nn.Dropout`. The dropped share is rounded to a multiple of 1 / 256.

    **Shape**

    - input and output: any

    Parameters
    ----------
    p : float, default=0.5
        Share of units that training drops, in [0, 1).
    n_shared : int, default=0
        Number of leading axes along which the same units are dropped, such as the axis
        of independent networks.

    Attributes
    ----------
    within : tuple of int, or None
        If the input is part of a larger batch: the position of its first row in that
        batch, and the number of rows of the batch. The same units are dropped as in the
        whole batch.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import ByteDropout
    >>> ByteDropout(0.25)(torch.ones(2, 3)).unique().shape[0] <= 2
    True
    """

    within: tuple[int, int] | None = None

    def __init__(self, p: float = 0.5, n_shared: int = 0) -> None:
        check_dropout(dropout=p)
        check_sizes(0, n_shared=n_shared)
        super().__init__()
        self.p, self.n_shared = p, n_shared
        self.n_kept = max(256 - round(p * 256), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Drop units in training, and scale the others up."""
        if not self.training or self.n_kept == 256:
            return x
        shape = x.shape[self.n_shared :]
        if self.within is not None:
            shape = torch.Size([self.within[1], *shape[1:]])
        n_units = shape.numel()
        words = torch.empty(-(-n_units // 8), dtype=torch.int64, device=x.device)
        random = words.random_(-(2**63), None).view(torch.uint8)[:n_units]
        kept = (random < self.n_kept).to(x.dtype).mul_(256 / self.n_kept)
        kept = kept.view(shape)
        if self.within is not None:
            kept = kept.narrow(0, self.within[0], x.shape[self.n_shared])
        return x * kept

    def extra_repr(self) -> str:
        """Return the parameters for the representation."""
        return f"p={self.p}"

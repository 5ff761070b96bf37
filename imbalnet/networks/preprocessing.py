"""Preprocessing as the first layer of a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

_CHUNK_ELEMENTS = 2**18
_FAR = 1e15
_EPS = np.finfo(np.float64).eps


class Standardize(nn.Module):
    """Bring every column to mean 0 and standard deviation 1, and bend far outliers in.

    With ``clip=c`` a standardised value z becomes ``z / sqrt(1 + (z / c)**2)``: the
    identity near 0, never beyond ±c, monotone, so that outliers keep their order. A
    constant column becomes 0. Before :meth:`initialize_from` the layer is the
    identity (but for the clipping).

    **Shape**

    - input and output: ``(batch, in_features)``

    Parameters
    ----------
    in_features : int
        Number of columns.
    clip : float or None, default=None
        Bound in standard deviations; None bends nothing.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from imbalnet.networks import Standardize
    >>> layer = Standardize(1)
    >>> layer.initialize_from(np.array([[1.0], [3.0]]), None, np.ones(2))
    >>> layer(torch.tensor([[3.0]]))
    tensor([[1.]])
    """

    mean: Tensor
    deviation: Tensor
    scale: Tensor
    weight_sum: Tensor
    one: Tensor

    def __init__(self, in_features: int, clip: float | None = None) -> None:
        if clip is not None and not clip > 0:
            raise ValueError(f"clip must be positive or None, however: {clip=}")
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(in_features))
        self.register_buffer("deviation", torch.ones(in_features))
        self.register_buffer("scale", torch.ones(in_features))  # 1 where it is 0
        self.register_buffer("weight_sum", torch.zeros(()))
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Standardise a batch."""
        z = (x - self.mean).div_(self.scale)
        if self.clip is None:
            return z
        z.clamp_(-_FAR, _FAR)  # whose square has a float32
        bend = torch.addcmul(self.one, z, z, value=self.clip**-2).rsqrt_()
        return z * bend if z.requires_grad else z.mul_(bend)

    def initialize_from(self, X: Any, y: Any, sample_weight: NDArray) -> None:
        """Take mean and deviation of each column from the training rows.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, in_features)
        y : ignored
        sample_weight : ndarray of shape (n_rows,)
            A weight of 2 counts as a row that stands there twice.
        """
        self.weight_sum.zero_()
        self.update_from(X, y, sample_weight)

    @torch.no_grad()
    def update_from(self, X: Any, y: Any, sample_weight: NDArray) -> None:
        """Merge further rows into mean and deviation; parameters as above."""
        del y
        variance = _as_numpy(self.deviation) ** 2
        moments = self.weight_sum.item(), _as_numpy(self.mean), variance
        for rows, weight in _dense_chunks(X, sample_weight):
            moments = _merge(moments, _moments(rows, weight))
        total, mean, variance = moments
        # what is left of a constant column's variance is rounding
        variance[variance <= (len(sample_weight) * _EPS * np.abs(mean)) ** 2] = 0.0
        self.weight_sum.fill_(total)
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(np.sqrt(variance)))
        self.scale.copy_(torch.where(self.deviation > 0, self.deviation, 1.0))

    @property
    def is_constant(self) -> Tensor:
        """Whether a column had no spread. Bool, shape ``(in_features,)``."""
        return self.deviation == 0

    def extra_repr(self) -> str:
        """Give the parameters for the representation."""
        return f"in_features={len(self.mean)}, clip={self.clip}"


_Moments = tuple[float, NDArray, NDArray]


def _moments(X: NDArray, weight: NDArray) -> _Moments:
    total = weight.sum()
    mean = weight @ X / total
    return total, mean, weight @ (X - mean) ** 2 / total


def _merge(a: _Moments, b: _Moments) -> _Moments:
    """Combine the moments of two parts (Chan, Golub, LeVeque 1983)."""
    total = a[0] + b[0]
    share = b[0] / total
    delta = b[1] - a[1]
    variance = (1 - share) * a[2] + share * b[2] + share * (1 - share) * delta**2
    return total, a[1] + share * delta, variance


def _dense_chunks(X: Any, weight: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield float64 blocks of rows, so that no whole copy of X is made."""
    step = max(1, _CHUNK_ELEMENTS // X.shape[1])
    for start in range(0, X.shape[0], step):
        rows = X[start : start + step]
        rows = rows.toarray() if sparse.issparse(rows) else rows
        # one number, repeated, takes another product
        yield rows.astype(np.float64), np.array(weight[start : start + step])


def _as_numpy(values: Tensor) -> NDArray:
    return values.cpu().double().numpy().copy()

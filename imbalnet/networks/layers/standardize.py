"""Preprocessing as the first layer of a network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

_CHUNK_ELEMENTS = 2**18
_DEFAULT_CLIP = 3.0
_FAR = 1e15
_EPS = np.finfo(np.float64).eps


class Standardize(nn.Module):
    """Bring every column to mean 0 and standard deviation 1, and bend far outliers in.

    With ``clip=c`` a standardised value z becomes ``z / sqrt(1 + (z / c)**2)``: the
    identity near 0, never beyond ±c, monotone, so that outliers keep their order;
    infinite values become ±c. A constant column becomes 0, and so does NaN: the mean.
    Before :meth:`initialize_from` the layer is the identity (but for the clipping).

    **Shape**

    - input and output: ``(..., in_features)``

    Parameters
    ----------
    in_features : int
        Number of columns.
    clip : float, True or None, default=None
        Bound in standard deviations, True is 3.0; None bends nothing.

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

    def __init__(self, in_features: int, clip: float | bool | None = None) -> None:
        if clip is not None and not clip > 0:
            raise ValueError(f"clip must be positive or None, however: {clip=}")
        super().__init__()
        self.clip = _DEFAULT_CLIP if clip is True else clip
        self.register_buffer("mean", torch.zeros(in_features))
        self.register_buffer("deviation", torch.ones(in_features))
        self.register_buffer("scale", torch.ones(in_features))  # 1 where it is 0
        self.register_buffer("weight_sum", torch.zeros(in_features))
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Standardise a batch."""
        z = (x - self.mean).div_(self.scale)
        if self.clip is None:
            return z.nan_to_num_(0.0, math.inf, -math.inf)
        # the square of what is far still has a float32
        z.nan_to_num_(0.0, _FAR, -_FAR).clamp_(-_FAR, _FAR)
        bend = torch.addcmul(self.one, z, z, value=self.clip**-2).rsqrt_()
        return z * bend if z.requires_grad else z.mul_(bend)

    def initialize_from(self, X: Any, y: Any, sample_weight: NDArray) -> None:
        """Take mean and deviation of each column from the training rows' finite values.

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
        moments = _as_numpy(self.weight_sum), _as_numpy(self.mean), variance
        for rows, weight in _dense_chunks(X, sample_weight):
            moments = _merge(moments, _moments(rows, weight))
        total, mean, variance = moments
        # what is left of a constant column's variance is rounding
        variance[variance <= (len(sample_weight) * _EPS * np.abs(mean)) ** 2] = 0.0
        self.weight_sum.copy_(torch.from_numpy(total))
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(np.sqrt(variance)))
        self.scale.copy_(torch.where(self.deviation > 0, self.deviation, 1.0))

    @property
    def is_constant(self) -> Tensor:
        """Whether a column had no spread. Bool, shape ``(in_features,)``."""
        return self.deviation == 0

    @property
    def out_features(self) -> int:
        """Width of the output."""
        return len(self.mean)

    def shift_and_scale(self) -> tuple[Tensor, Tensor]:
        """Give what is subtracted from each column, and what divides it."""
        return self.mean, self.scale

    def extra_repr(self) -> str:
        """Give the parameters for the representation."""
        return f"in_features={len(self.mean)}, clip={self.clip}"


class FillMissing(nn.Module):
    """Numbers as they come, but for NaN, which becomes 0.

    **Shape**

    - input and output: ``(..., in_features)``

    Parameters
    ----------
    in_features : int
        Number of columns.
    """

    is_constant: Tensor

    def __init__(self, in_features: int) -> None:
        super().__init__()
        is_constant = torch.zeros(in_features, dtype=torch.bool)
        self.register_buffer("is_constant", is_constant, persistent=False)

    @property
    def out_features(self) -> int:
        """Width of the output."""
        return len(self.is_constant)

    def forward(self, x: Tensor) -> Tensor:
        """Fill the gaps of a batch."""
        return torch.nan_to_num(x, 0.0, math.inf, -math.inf)

    def initialize_from(self, X: Any, y: Any, sample_weight: NDArray) -> None:
        """Do nothing: there are no statistics."""

    def update_from(self, X: Any, y: Any, sample_weight: NDArray) -> None:
        """Do nothing: there are no statistics."""

    def shift_and_scale(self) -> tuple[Tensor, Tensor]:
        """Give what is subtracted from each column, and what divides it."""
        zeros = torch.zeros(self.out_features, device=self.is_constant.device)
        return zeros, zeros + 1


# Sum of the weights, mean and variance of each column.
_Moments = tuple[NDArray, NDArray, NDArray]


def _moments(X: NDArray, weight: NDArray) -> _Moments:
    is_finite = np.isfinite(X)
    if is_finite.all():
        total = weight.sum()
        mean = weight @ X / total
        variance = weight @ (X - mean) ** 2 / total
        return np.full(X.shape[1], total), mean, variance
    total = weight @ is_finite
    divisor = np.where(total > 0, total, 1.0)
    mean = weight @ np.where(is_finite, X, 0.0) / divisor
    variance = weight @ np.where(is_finite, X - mean, 0.0) ** 2 / divisor
    return total, mean, variance


def _merge(a: _Moments, b: _Moments) -> _Moments:
    """Combine the moments of two parts (Chan, Golub, LeVeque 1983)."""
    total = a[0] + b[0]
    share = np.where(total > 0, b[0] / np.where(total > 0, total, 1.0), 1.0)
    delta = b[1] - a[1]
    variance = (1 - share) * a[2] + share * b[2] + share * (1 - share) * delta**2
    return total, a[1] + share * delta, variance


def _dense_chunks(X: Any, weight: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield float64 blocks of rows, so that no whole copy of X is made."""
    step = max(1, _CHUNK_ELEMENTS // max(1, X.shape[1]))
    for start in range(0, X.shape[0], step):
        rows = X[start : start + step]
        rows = rows.toarray() if sparse.issparse(rows) else rows
        # one number, repeated, takes another product
        yield rows.astype(np.float64), np.array(weight[start : start + step])


def _as_numpy(values: Tensor) -> NDArray:
    return values.cpu().double().numpy().copy()

"""First layers that standardise numbers, or only fill gaps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import gen_batches
from torch import Tensor, nn

from imbalnet.networks._checks import (
    check_sizes,
    check_table,
    check_width,
    is_bound,
)
from imbalnet.networks.layers.embeddings import (
    FAR,
    QUARTILES,
    present_values,
    quantiles,
)

_CHUNK_ELEMENTS = 2**18
_DEFAULT_CLIP = 3.0
_EPS = np.finfo(np.float64).eps

# A column is scaled by its quartiles if some value is more than 4 standard deviations
# from the mean, and the deviation is more than 8 times the estimate from the quartiles,
# IQR / 1.349. That ratio is 1 for a normal distribution and 2 for a log-normal
# distribution with sigma 1.
_DISTANT, _HEAVY = 4.0, 8.0
_NORMAL_RANGE = 1.349  # interquartile range of a standard normal distribution
# If the earlier rows have a larger share of the weight, further rows may be outliers
# even if most of them are far away.
_MOST_OF_THE_ROWS = 0.95


class Standardize(nn.Module):
    """Scale columns to mean 0 and standard deviation 1, and compress outliers.

    With ``clip=c`` a standardised value z becomes ``z / sqrt(1 + (z / c)**2)``: the
    identity near 0, bounded by ±c, and monotone, so that outliers keep their order.
    Infinite values become ±c. NaN becomes 0, the mean, and so do constant columns.
    Before :meth:`initialize_from` the mean is 0 and the deviation 1.

    A few outliers may make the deviation so large that all other values are nearly
    equal. With `clip`, such columns are therefore scaled by median and quartiles: if
    the deviation is more than 8 times ``IQR / 1.349``, which is the deviation of a
    normal distribution with these quartiles, the latter is the scale. There, z beyond
    ±c becomes ``±(c + log(abs(z) / c))``.

    **Shape**

    - input and output: ``(..., in_features)``

    Parameters
    ----------
    in_features : int
        Number of columns.
    clip : float, True or None, default=None
        Bound in standard deviations; True is 3.0, None means no bound.

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
    is_heavy: Tensor
    one: Tensor

    def __init__(self, in_features: int, clip: float | bool | None = None) -> None:
        check_sizes(0, in_features=in_features)
        if not (clip is None or clip is True or is_bound(clip)):
            raise ValueError(
                f"module__clip must be positive or None, however: {clip=}; True is "
                f"{_DEFAULT_CLIP}"
            )
        super().__init__()
        self.clip = _DEFAULT_CLIP if clip is True else clip
        self.register_buffer("mean", torch.zeros(in_features))
        self.register_buffer("deviation", torch.ones(in_features))
        self.register_buffer("scale", torch.ones(in_features))  # 1 where it is 0
        self.register_buffer("weight_sum", torch.zeros(in_features))
        self.register_buffer("is_heavy", torch.zeros(in_features, dtype=torch.bool))
        self.register_buffer("one", torch.ones(()), persistent=False)
        self.may_be_heavy = False

    def forward(self, x: Tensor) -> Tensor:
        """Standardise a batch."""
        check_width(x, len(self.mean))
        z = (x - self.mean).div_(self.scale)
        if self.clip is None:
            return z.nan_to_num_(0.0, math.inf, -math.inf)
        # so that the square does not overflow in float32
        z.nan_to_num_(0.0, FAR, -FAR).clamp_(-FAR, FAR)
        factor = torch.addcmul(self.one, z, z, value=self.clip**-2).rsqrt_()
        if self.may_be_heavy:
            return torch.where(self.is_heavy, _log_compressed(z, self.clip), z * factor)
        return z * factor if z.requires_grad else z.mul_(factor)

    @torch.no_grad()
    def initialize_from(self, X: Any, y: Any, sample_weight: NDArray) -> None:
        """Compute mean and deviation of the finite values of each column.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, in_features)
            Training rows; NaN are missing values.
        y : ignored
            Not used, present for consistency with :meth:`Network.initialize_from`.
        sample_weight : ndarray of shape (n_rows,)
            Weights of the rows; a weight of 2 counts as two rows.
        """
        check_table(X, sample_weight, len(self.mean))
        self.weight_sum.zero_()
        self.is_heavy.zero_()
        self.may_be_heavy = False
        self.update_from(X, y, sample_weight)
        if self.clip is None:
            return
        mean, deviation = _as_numpy(self.mean), _as_numpy(self.deviation)
        for j, center, scale in heavy_columns(X, sample_weight, mean, deviation):
            self.mean[j], self.scale[j], self.is_heavy[j] = center, scale, True
            self.may_be_heavy = True

    @torch.no_grad()
    def update_from(self, X: Any, y: Any, sample_weight: NDArray) -> None:
        """Merge further rows into mean and deviation.

        Columns that are scaled by their quartiles do not change. With `clip`, neither
        do columns in which a few of the further rows are so far away that the other
        values would become nearly equal.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, in_features)
            Further rows.
        y : ignored
            Not used, present for consistency with :meth:`Network.update_from`.
        sample_weight : ndarray of shape (n_rows,)
            Weights of the rows.
        """
        del y
        check_table(X, sample_weight, len(self.mean))
        before = _as_numpy(self.weight_sum), _as_numpy(self.mean)
        moments = *before, _as_numpy(self.deviation) ** 2
        for rows, weight in dense_chunks(X, sample_weight):
            moments = _merge(moments, _moments(rows, weight))
        total, mean, variance = moments
        # the variance of a constant column is rounding error
        variance[variance <= (len(sample_weight) * _EPS * np.abs(mean)) ** 2] = 0.0
        deviation = np.sqrt(variance)
        if self.clip is not None:
            self._freeze_outlier_columns(
                X, before[0] / np.maximum(total, 1e-300), deviation
            )
        kept = self.is_heavy.cpu().numpy()
        self.weight_sum.copy_(torch.from_numpy(total))
        if kept.any():
            mean = np.where(kept, before[1], mean)
            deviation = np.where(kept, _as_numpy(self.deviation), deviation)
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(deviation))
        scale = torch.where(self.deviation > 0, self.deviation, 1.0)
        self.scale.copy_(torch.where(self.is_heavy, self.scale, scale))

    def _freeze_outlier_columns(
        self, X: Any, share: NDArray, deviation: NDArray
    ) -> None:
        """Mark columns whose new `deviation` is large because of a few further rows.

        `share` is the share of the weight of earlier rows. Where most of many further
        rows are far away, they are a shift of the distribution and not outliers.
        """
        mean, old = _as_numpy(self.mean), _as_numpy(self.deviation)
        is_raised = (share > 0) & (old > 0) & (deviation > _HEAVY * old)
        for j in np.flatnonzero(is_raised & ~self.is_heavy.cpu().numpy()).tolist():
            values, _ = next(present_values(X[:, [j]]))
            distance = np.median(np.abs(values - mean[j]))
            if share[j] > _MOST_OF_THE_ROWS or distance < _DISTANT * old[j]:
                self.is_heavy[j] = self.may_be_heavy = True

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self.may_be_heavy = bool(self.is_heavy.any())

    @property
    def is_constant(self) -> Tensor:
        """Whether each column was constant, of shape ``(in_features,)``."""
        return self.deviation == 0

    @property
    def in_features(self) -> int:
        """Number of columns."""
        return len(self.mean)

    @property
    def out_features(self) -> int:
        """Width of the output."""
        return len(self.mean)

    def shift_and_scale(self) -> tuple[Tensor, Tensor]:
        """Return shift and scale: the output is ``(x - shift) / scale``."""
        return self.mean, self.scale

    def extra_repr(self) -> str:
        """Return the parameters for the representation."""
        return f"in_features={len(self.mean)}, clip={self.clip}"


class FillMissing(Standardize):
    """Replace NaN by 0, and leave other numbers as they are.

    **Shape**

    - input and output: ``(..., in_features)``

    Parameters
    ----------
    in_features : int
        Number of columns.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import FillMissing
    >>> FillMissing(2)(torch.tensor([[1.5, float("nan")]]))
    tensor([[1.5000, 0.0000]])
    """

    def __init__(self, in_features: int) -> None:
        super().__init__(in_features)

    def forward(self, x: Tensor) -> Tensor:
        """Replace NaN in a batch."""
        check_width(x, len(self.mean))
        return torch.nan_to_num(x, 0.0, math.inf, -math.inf)

    def update_from(self, X: Any, y: Any, sample_weight: NDArray) -> None:
        """Do nothing: mean and deviation stay 0 and 1."""


def heavy_columns(
    X: Any,
    weight: NDArray,
    mean: NDArray,
    deviation: NDArray,
    factor: float = _HEAVY,
) -> Iterator[tuple[int, float, float]]:
    """Find the columns whose standard deviation is large because of a few values.

    Yield the position, the median, and the deviation estimated from the quartiles; the
    standard deviation is more than `factor` times as large. If the quartiles are equal,
    the estimate is the median distance of the values that differ from the median.
    """
    low, high = _range_of(X)
    with np.errstate(invalid="ignore"):
        is_distant = np.maximum(high - mean, mean - low) > _DISTANT * deviation
    X = X.tocsc() if sparse.issparse(X) else X
    for j in np.flatnonzero(is_distant & (deviation > 0)).tolist():
        values, is_present = next(present_values(X[:, [j]]))
        lower, middle, upper = quantiles(values, weight[is_present], QUARTILES)
        spread = (upper - lower) / _NORMAL_RANGE
        if spread == 0:
            spread = np.median(np.abs(values[values != middle] - middle))
        if deviation[j] > factor * spread:
            yield j, float(middle), float(spread)


def _range_of(X: Any) -> tuple[NDArray, NDArray]:
    """Return the least and the greatest finite value of each column."""
    if sparse.issparse(X):  # sparse tables have no gaps
        return X.min(axis=0).toarray().ravel(), X.max(axis=0).toarray().ravel()
    low, high = np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf)
    for rows, _ in dense_chunks(X, np.empty(X.shape[0])):
        is_finite = np.isfinite(rows)
        low = np.minimum(low, rows.min(axis=0, where=is_finite, initial=np.inf))
        high = np.maximum(high, rows.max(axis=0, where=is_finite, initial=-np.inf))
    return low, high


def _log_compressed(z: Tensor, clip: float) -> Tensor:
    """Compress values beyond ±clip to ``±(clip + log(abs(z) / clip))``."""
    beyond = z.abs().div_(clip).clamp_(min=1.0).log_()
    # not copysign, which ONNX lacks
    return z.clamp(-clip, clip).addcmul_(beyond, z.sign())


# Sum of the weights, mean and variance of each column. scikit-learn's StandardScaler
# differs in the last bits of nearly all variances, takes 2 to 11 times as long (chunks
# of six columns), and rejects infinite values, which count as gaps here.
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


def dense_chunks(X: Any, weight: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield chunks of rows in float64, so that X is not copied as a whole."""
    step = max(1, _CHUNK_ELEMENTS // max(1, X.shape[1]))
    for part in gen_batches(X.shape[0], step):
        rows = X[part].toarray() if sparse.issparse(X) else X[part]
        # a copy, because products of arrays with strides of 0 round differently
        yield rows.astype(np.float64), np.array(weight[part])


def _as_numpy(values: Tensor) -> NDArray:
    return values.cpu().double().numpy().copy()

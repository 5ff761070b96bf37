"""Centring of columns in float64, before the cast to the network's precision.

In ``1e9 + 10 * z``, float32 keeps one digit of z: the network centres its columns only
after the cast. `find_shifts` finds the columns that would lose digits, and `Shift`
shifts them to around 0. All others are cast as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import gen_batches

from imbalnet._tables.readers import Reader

# Rows that determine the shifts, and rows that are converted at once.
_SAMPLE_ROWS = 2**12
_BLOCK_ROWS = 2**16

# After a cast, the interquartile range of a column must have at least so many bits.
_LEAST_BITS = 17

# Squares of larger values, and quotients by values below its inverse, overflow.
FARTHEST = 1e30
_FAR = {np.dtype(np.float32): FARTHEST, np.dtype(np.float64): 1e140}
# Numbers of float32 from here on differ by at least 1e-27.
_NEAR = 1e-20

_EXACT_INTEGERS = 2.0**53


class Shift(NamedTuple):
    """Shift and scale of a column: ``(x - center) / scale``.

    `scale` is a power of two, so that scaling is exact. Finite values beyond ±1e30
    count as ±1e30.
    """

    center: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, values: NDArray, dtype: type) -> Shift | None:
        """Return the shift that a column needs before a cast to `dtype`, or None.

        A column is centred if the cast changes a value, and if the median is so large
        that the interquartile range keeps fewer than 17 bits (in float32, more than 128
        times as large as the range). If the interquartile range is 0, it is replaced by
        the median distance to the median, over the values that differ from it. A column
        of one value is centred at this value, since later rows may have others.
        """
        if values.dtype.kind == "b" or values.dtype.itemsize < 4:
            return None
        values = values[np.isfinite(values)]
        if not len(values):
            return None
        is_exact = _is_exact(values, dtype)
        largest, smallest = _sizes(values)
        far = _FAR[np.dtype(dtype)]
        is_one = values.dtype != dtype and bool((values == values[0]).all())
        if is_exact and largest <= far and smallest >= _NEAR and not is_one:
            return None
        center, spread = _location(values)
        bits = np.finfo(dtype).nmant + 1
        if is_one:
            is_off = not is_exact or abs(center) >= 2.0**_LEAST_BITS
        else:
            is_off = not is_exact and abs(center) > 2.0 ** (bits - _LEAST_BITS) * spread
        spread = spread or abs(center)
        is_extreme = largest > far or 0 < spread < 1 / far
        if not (is_off or is_extreme):
            return None
        is_scaled = is_extreme and not 1 / far <= spread <= 1 / _NEAR
        return cls(center if is_off else 0.0, _power(spread) if is_scaled else 1.0)

    def apply(self, values: NDArray) -> NDArray[np.float64]:
        """Return the shifted column."""
        with np.errstate(over="ignore"):
            shifted = _minus(values, self.center)
            shifted /= self.scale
        is_far = np.abs(shifted) > FARTHEST
        if is_far.any():
            is_far &= np.isfinite(values)
            shifted[is_far] = np.copysign(FARTHEST, shifted[is_far])
        return shifted

    def undo(self, values: NDArray) -> NDArray[np.float64]:
        """Return the original column, up to rounding."""
        return values.astype(np.float64) * self.scale + self.center


def find_shifts(table: Any, dtype: type, used: NDArray | None) -> dict[int, Shift]:
    """Return the shifts that columns of numbers need, by position.

    `table` is an array, a CSR matrix or a `Reader`; `used` are the rows to look at
    (None: all). A sample of 4,096 rows determines the shifts.
    """
    if not isinstance(table, Reader) and table.dtype.kind not in "iuf":
        return {}
    columns = _columns(table, sample_rows(table, used))
    found = ((i, Shift.of(values, dtype)) for i, values in columns)
    return {i: shift for i, shift in found if shift is not None}


def sample_rows(table: Any, used: NDArray | None) -> NDArray[np.intp] | slice:
    """Return the rows that determine the shifts, the same ones in each call."""
    n_rows = table.n_rows if isinstance(table, Reader) else table.shape[0]
    n_used = n_rows if used is None else len(used)
    if n_used <= _SAMPLE_ROWS:
        return slice(None) if used is None else used
    some = np.unique(np.random.default_rng(0).integers(n_used, size=_SAMPLE_ROWS))
    return some if used is None else used[some]


def map_columns(
    X: Any, functions: Mapping[int, Callable[[NDArray], NDArray]], dtype: type
) -> Any:
    """Convert an array or a CSR matrix to `dtype`, and apply functions to columns.

    Apart from the result, only blocks of rows are copied.
    """
    if sparse.issparse(X):
        blocks = [
            _map_sparse(X[rows], functions, dtype)
            for rows in gen_batches(X.shape[0], _BLOCK_ROWS)
        ]
        return blocks[0] if len(blocks) == 1 else sparse.vstack(blocks, "csr")
    with np.errstate(over="ignore", invalid="ignore"):  # columns replaced below
        matrix = X.astype(dtype, order="C")
    for rows in gen_batches(len(X), _BLOCK_ROWS):
        for i, function in functions.items():
            matrix[rows, i] = function(X[rows, i])
    return matrix


def _map_sparse(
    X: Any, functions: Mapping[int, Callable[[NDArray], NDArray]], dtype: type
) -> Any:
    """Apply functions to columns of a sparse block, also to zeros not stored."""
    chosen = np.fromiter(functions, dtype=np.intp)
    columns = X[:, chosen].toarray()
    values = np.empty(columns.shape)
    for j, function in enumerate(functions.values()):
        values[:, j] = function(columns[:, j])
    rows = np.repeat(np.arange(X.shape[0]), len(chosen))
    dense = values.ravel(), (rows, np.tile(chosen, X.shape[0]))
    others = X.copy()
    others.data[np.isin(others.indices, chosen)] = 0
    others.eliminate_zeros()
    return others.astype(dtype) + type(X)(dense, shape=X.shape, dtype=dtype)


def _columns(table: Any, some: Any) -> Iterator[tuple[int, NDArray]]:
    """Yield the positions of columns, and their values in some rows.

    Columns of a sparse matrix that need no shift are left out.
    """
    if isinstance(table, Reader):
        yield from ((i, table.numbers(i)[some]) for i in range(len(table.names)))
        return
    if not sparse.issparse(table):
        yield from ((i, table[some, i]) for i in range(table.shape[1]))
        return
    part = table[some].tocsc()
    # the median is 0 if most rows are
    may_be = np.diff(part.indptr) >= part.shape[0] / 2
    size = np.abs(part.data)
    is_extreme = (size > 1 / _NEAR) | (size > 0) & (size < _NEAR)
    may_be[np.searchsorted(part.indptr, np.flatnonzero(is_extreme), "right") - 1] = True
    for i in np.flatnonzero(may_be).tolist():
        yield i, part[:, [i]].toarray()[:, 0]


def _is_exact(values: NDArray, dtype: type) -> bool:
    """Whether a cast changes no value."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool((values.astype(dtype).astype(values.dtype) == values).all())


def _sizes(values: NDArray) -> tuple[float, float]:
    """Return the largest absolute value, and the smallest one other than 0."""
    size = np.abs(values.astype(np.float64))
    return size.max(), size.min(where=size > 0, initial=np.inf)


def _location(values: NDArray) -> tuple[float, float]:
    """Return a robust centre and spread; the latter is 0 if all values are equal."""
    # float64 represents differences of large integers better than the integers
    base = 0.0 if values.dtype.kind == "f" else float(values[0])
    with np.errstate(over="ignore"):
        from_base = _minus(values, base)
        low, middle, high = np.quantile(from_base, [0.25, 0.5, 0.75], method="lower")
        spread = high - low
        if spread == 0:
            distance = np.abs(from_base - middle)
            distance = distance[distance > 0]
            spread = np.median(distance) if len(distance) else 0.0
        return float(base + middle), float(min(spread, np.finfo(np.float64).max))


def _minus(values: NDArray, center: float) -> NDArray[np.float64]:
    """Subtract in float64, or exactly in the integer dtype for large integers."""
    difference = values.astype(np.float64)
    difference -= center
    if values.dtype.kind not in "iu" or abs(center) < _EXACT_INTEGERS:
        return difference
    limits, exact = np.iinfo(values.dtype), int(center)
    if limits.min <= exact <= limits.max:
        is_near = np.abs(difference) < 2.0**62
        near = values[is_near] - values.dtype.type(exact)
        difference[is_near] = near.view(np.int64)  # unsigned differences wrap around
    return difference


def _power(spread: float) -> float:
    """Return the power of two that is nearest to a spread."""
    return 2.0 ** min(max(round(math.log2(spread)), -1000), 1000)

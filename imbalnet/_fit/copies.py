"""Search for copies of rows that oversampling before ``fit`` has made.

``RandomOverSampler`` in a pipeline draws rows of a class repeatedly. If a copy were in
another fold than its original, out-of-fold scores would be those of training rows.
:mod:`imbalnet._fit.split` treats such copies as a group. Rows that are equal because
columns have few values are no copies: new rows will repeat them as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import hypergeom

from imbalnet._blocks import row_blocks
from imbalnet._tables import Rows

# A class was drawn with replacement if this share of its distinct rows repeats, and
# this many times that of another class ...
_LEAST_REPEATED, _LEAST_RATIO = 1 / 3, 2.0
# ... which would be as unlikely as this if both repeated alike (Fisher's exact test),
_LEAST_CHANCE = 1e-3
# if they repeat about equally often (squared coefficient of variation),
_MOST_VARIATION = 1.0
# and if at most this share of them has other classes too.
_MOST_SHARED = 0.5

# Makes hash values of rows in different classes differ.
_CLASS_FACTOR = np.uint64(0x9E3779B97F4A7C15)

_BLOCK_VALUES = 2**18


def find_copies(rows: Rows, n_classes: int) -> NDArray[np.integer] | None:
    """Return group numbers, equal for copies of a row; None if there are no copies.

    Drawing with replacement repeats most rows of a class, all about equally often, and
    no rows of other classes: after drawing as many copies as there are rows, 63 % of
    the distinct rows repeat. Without oversampling, few common rows repeat, in several
    classes: in 36 real tables, at most 20 % of the distinct rows of a class.
    """
    repeats = _Repeats.of(rows)
    if repeats is None:
        return None
    is_copied = repeats.drawn(n_classes)[rows.of(rows.codes)]
    if not is_copied.any():
        return None
    alone = np.arange(len(rows))
    return np.where(is_copied, len(rows) + repeats.number, alone)


@dataclass(frozen=True)
class _Repeats:
    """Equal rows of a class.

    Attributes
    ----------
    number : ndarray of shape (n_rows,)
        Number of each distinct row, from 0; equal rows of a class share it.
    times : ndarray of shape (n_distinct,)
        How often each distinct row occurs.
    code : ndarray of shape (n_distinct,)
        Class codes of the distinct rows.
    hashes : ndarray of shape (n_distinct,)
        Hash values of the distinct rows.
    """

    number: NDArray[np.intp]
    times: NDArray[np.intp]
    code: NDArray[np.integer]
    hashes: NDArray[np.uint64]

    @classmethod
    def of(cls, rows: Rows) -> _Repeats | None:
        """Compare rows by hash values, then those with equal ones by all columns."""
        X, codes = rows.of(rows.X), rows.of(rows.codes)
        hashes = row_hashes(X)
        key = codes.astype(np.uint64)
        key *= _CLASS_FACTOR
        key += hashes
        if _are_distinct(key):
            return None
        order = np.argsort(key, kind="stable")
        is_same = np.diff(key[order]) == 0
        at = np.flatnonzero(is_same)
        one, two = order[at], order[at + 1]
        is_same[at] = _are_equal(X, one, two) & (codes[one] == codes[two])
        is_first = np.concatenate([[True], ~is_same])
        number = np.empty(len(order), dtype=np.intp)
        number[order] = np.cumsum(is_first) - 1
        first = order[is_first]
        return cls(number, np.bincount(number), codes[first], hashes[first])

    def drawn(self, n_classes: int) -> NDArray[np.bool_]:
        """Return whether the rows of each class were drawn with replacement."""
        n_distinct = np.bincount(self.code, minlength=n_classes)
        n_repeated = np.bincount(self.code[self.times > 1], minlength=n_classes)
        share = n_repeated / np.maximum(n_distinct, 1)
        n_rows = np.bincount(self.code, self.times, n_classes)
        mean = n_rows / np.maximum(n_distinct, 1)
        apart = np.square(self.times - mean[self.code])
        variation = np.bincount(self.code, apart, n_classes)
        is_drawn = share >= _LEAST_REPEATED
        is_drawn &= variation <= _MOST_VARIATION * n_distinct * mean**2
        for code in np.flatnonzero(is_drawn).tolist():
            far = (share[code] >= _LEAST_RATIO * share) & (n_distinct > 0)
            chance = hypergeom.sf(
                n_repeated[code] - 1,
                n_distinct[code] + n_distinct[far],
                n_repeated[code] + n_repeated[far],
                n_distinct[code],
            )
            is_drawn[code] = (chance < _LEAST_CHANCE).any()
            is_drawn[code] &= self._shared(code) <= _MOST_SHARED
        return is_drawn

    def _shared(self, code: int) -> float:
        """Return the share of a class' repeated rows that other classes have, too."""
        is_own = self.code == code
        repeated = self.hashes[is_own & (self.times > 1)]
        # a lookup table for integers, which NumPy 2.0 tries, overflows with hashes
        return float(np.isin(repeated, self.hashes[~is_own], kind="sort").mean())


def _are_distinct(key: NDArray[np.uint64]) -> bool:
    ordered = np.sort(key)
    return bool((ordered[1:] != ordered[:-1]).all())


def row_hashes(X: Any) -> NDArray[np.uint64]:
    """Return a 64-bit hash value of each row.

    It is the sum over columns of the value's bits times a random number, modulo 2**64.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet._fit.copies import row_hashes
    >>> hashes = row_hashes(np.float32([[1, 0], [0, 1], [1, -0.0]]))
    >>> [bool(hashes[i] == hashes[j]) for i, j in [(0, 1), (0, 2)]]
    [False, True]
    """
    words = X.dtype.itemsize // 4  # 32-bit words of a value
    rng = np.random.default_rng(0)
    size = X.shape[1], words
    multipliers = rng.integers(2**64, size=size, dtype=np.uint64) | np.uint64(1)
    if sparse.issparse(X):
        bits = (X.data + 0.0).view(np.uint32).astype(np.uint64).reshape(-1, words)
        terms = (bits * multipliers[X.indices]).sum(axis=1, dtype=np.uint64)
        before = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms)])
        return before[X.indptr[1:]] - before[X.indptr[:-1]]
    hashes = np.empty(len(X), dtype=np.uint64)
    for rows in row_blocks(len(X), X.shape[1], _BLOCK_VALUES):
        values = np.ascontiguousarray(X[rows]) + X.dtype.type(0)  # -0.0 becomes 0.0
        hashes[rows] = values.view(np.uint32).astype(np.uint64) @ multipliers.ravel()
    return hashes


def _are_equal(
    X: Any, one: NDArray[np.intp], two: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return which pairs of rows are equal; missing values are equal."""
    result = np.empty(len(one), dtype=bool)
    for pairs in row_blocks(len(one), X.shape[1], _BLOCK_VALUES):
        a, b = X[one[pairs]], X[two[pairs]]
        if sparse.issparse(X):
            result[pairs] = np.diff((a != b).tocsr().indptr) == 0
        else:
            result[pairs] = ((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=1)
    return result

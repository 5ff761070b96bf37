"""How far a figure may be off because the rows are few: bootstrap intervals.

Rows are drawn again with replacement, each class for itself, so that a resample has as
many rows of a rare class as the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, column_or_1d


class Interval(NamedTuple):
    """A figure and the bounds of its confidence interval.

    Attributes
    ----------
    value : float
        The figure on all rows.
    low, high : float
        Bounds of the interval.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the three numbers as text."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_weights(
    strata: ArrayLike,
    n_resamples: int = 1000,
    *,
    groups: ArrayLike | None = None,
    random_state: Any = None,
) -> Iterator[NDArray[np.intp]]:
    """Generate how often each row occurs in each of several bootstrap resamples.

    Parameters
    ----------
    strata : array-like of shape (n_rows,)
        Rows of one value, such as those of a class, are drawn among themselves.
    n_resamples : int, default=1000
        Number of resamples.
    groups : array-like of shape (n_rows,), default=None
        Rows that belong together, such as those of a customer: whole groups are drawn
        instead of rows, and `strata` are not used.
    random_state : int, RandomState instance or None, default=None
        Seeds the draws.

    Yields
    ------
    ndarray of int, shape (n_rows,)
        Counts of the rows.

    Examples
    --------
    >>> from imbalnet.metrics import bootstrap_weights
    >>> y = [0, 0, 0, 1, 1]
    >>> for counts in bootstrap_weights(y, 2, random_state=0):
    ...     print(counts[:3].sum(), counts[3:].sum())
    3 2
    3 2
    """
    rng = check_random_state(random_state)
    by_group = groups is not None
    codes = np.unique(column_or_1d(groups if by_group else strata), return_inverse=True)
    n_codes, of_rows = len(codes[0]), codes[1]
    members = [np.flatnonzero(of_rows == code) for code in range(n_codes * ~by_group)]
    for _ in range(n_resamples):
        if by_group:
            drawn = rng.randint(n_codes, size=n_codes)
            yield np.bincount(drawn, minlength=n_codes)[of_rows]
            continue
        counts = np.zeros(len(of_rows), np.intp)
        for rows in members:
            drawn = rng.randint(len(rows), size=len(rows))
            counts[rows] = np.bincount(drawn, minlength=len(rows))
        yield counts

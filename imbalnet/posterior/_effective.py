"""Weights of held-out rows, as what is fitted to them counts them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def effective_weight(sample_weight: NDArray) -> NDArray[np.float64]:
    """Scale weights to the effective number of rows, ``sum(w)**2 / sum(w**2)``.

    Parameters
    ----------
    sample_weight : ndarray of shape (n_rows,)
        In any unit.

    Examples
    --------
    >>> effective_weight(np.array([1.0, 1.0, 2.0])).sum().round(2)
    np.float64(2.67)
    """
    weight = sample_weight / sample_weight.max()  # squares of others may overflow
    return weight * weight.sum() / np.square(weight).sum()

"""The effective number of weighted rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbalnet._checks import as_floats, checked_weights


def effective_weight(sample_weight: NDArray) -> NDArray[np.float64]:
    """Scale weights so that their sum is ``sum(w)**2 / sum(w**2)``.

    This is Kish's effective sample size. A fit with a prior must not give weighted rows
    more influence than so many rows have.

    Parameters
    ----------
    sample_weight : ndarray of shape (n_rows,)
        Weights of any scale.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or all are 0.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.posterior import effective_weight
    >>> effective_weight(np.array([1.0, 1.0, 2.0])).sum().round(2)
    np.float64(2.67)
    """
    weight = as_floats("sample_weight", sample_weight)
    return scaled_to_effective(checked_weights(weight, weight.size))


def scaled_to_effective(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute `effective_weight` of weights that were checked."""
    weight = weight / weight.max()  # otherwise squares may overflow
    return weight * weight.sum() / np.square(weight).sum()

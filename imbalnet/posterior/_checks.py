"""Checks of probabilities and priors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Probabilities may be rounded to three digits, or in half precision.
SUM_TOLERANCE = 2e-3


def checked_probabilities(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Convert probabilities to shape (..., n_classes), or raise."""
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim == 0:
        raise ValueError(
            f"probabilities={values} is a single number; give an array of shape "
            "(..., n_classes), or (n_rows,) for the second of two classes."
        )
    outside = ~((values >= 0) & (values <= 1 + (values.ndim > 1) * SUM_TOLERANCE))
    if outside.any():
        raise ValueError(
            "probabilities must lie between 0 and 1, but hold "
            f"{values[outside][0]:.6g}; scores become probabilities by a softmax, "
            "log probabilities by exp."
        )
    if values.ndim == 1:
        return np.stack([1 - values, values], axis=-1)
    total = values.sum(axis=-1)
    wrong = np.abs(total - 1) > SUM_TOLERANCE
    if wrong.any():
        raise ValueError(
            f"probabilities of shape {values.shape} must sum to 1 over the last axis, "
            f"the classes, but a row sums to {total[wrong][0]:.6g}."
        )
    return values


def as_given(rows: NDArray, probabilities: ArrayLike) -> NDArray:
    """Return the second class alone if `probabilities` has one axis."""
    return rows[..., 1] if np.ndim(probabilities) == 1 else rows


def checked_prior(name: str, prior: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    """Convert a class distribution to floats, or raise."""
    values = np.asarray(prior, dtype=np.float64)
    if values.shape != (n_classes,):
        raise ValueError(
            f"{name} must hold one probability for each of the {n_classes} classes of "
            f"probabilities, but has shape {values.shape}; two classes take [1 - p, p]."
        )
    if not np.all(values >= 0) or abs(values.sum() - 1) > SUM_TOLERANCE:
        raise ValueError(
            f"{name}={values.tolist()} must hold probabilities of at least 0 that sum "
            f"to 1; counts become a prior by counts / counts.sum()."
        )
    return values

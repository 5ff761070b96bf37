"""Checks of probabilities, priors and log posteriors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import checked_codes, checked_floats, checked_weights

# Probabilities may be rounded to three digits, or in half precision.
SUM_TOLERANCE = 2e-3
# The cure for probabilities of 0.
_FLOOR = "take np.log(np.maximum(p, 1e-12))"


def checked_probabilities(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Convert probabilities to shape (..., n_classes), or raise."""
    values = checked_floats("probabilities", probabilities)
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


def checked_prior(
    name: str, prior: ArrayLike, n_classes: int | None = None, of: str = "probabilities"
) -> NDArray[np.float64]:
    """Convert a class distribution to floats, or raise.

    Without `n_classes` it may have leading axes: distributions of members or of rows.
    """
    values = checked_floats(name, prior)
    if n_classes is None and values.ndim and values.shape[-1]:
        n_classes = values.shape[-1]
    elif values.shape != (n_classes,):
        raise ValueError(
            f"{name} must hold one probability for each of the {n_classes or ''} "
            f"classes of {of}, but has shape {values.shape}; two classes take "
            "[1 - p, p]."
        )
    total = values.sum(axis=-1)
    wrong = ~(np.abs(total - 1) <= SUM_TOLERANCE) | ~(values >= 0).all(axis=-1)
    if wrong.any():
        raise ValueError(
            f"{name}={values[wrong][0].tolist()} must hold probabilities of at least 0 "
            "that sum to 1; counts become a prior by counts / counts.sum()."
        )
    return values


def checked_log_posterior(
    log_posterior: ArrayLike,
    *,
    most_axes: int = 2,
    finite: bool = False,
    name: str = "log_posterior",
) -> NDArray[np.float64]:
    """Convert log posteriors of rows to floats, or raise.

    They need not be normalised. Without `finite` they may be -inf for some classes.
    """
    values = checked_floats(name, log_posterior)
    if not 2 <= values.ndim <= most_axes or not values.size:
        shapes = "(n_rows, n_classes)"
        shapes += " or (n_rows, members, n_classes)" if most_axes > 2 else ""
        raise ValueError(
            f"{name} must have shape {shapes} with at least one row, but has "
            f"{values.shape}."
        )
    check_logs(name, values)
    if finite and not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, but holds -inf; {_FLOOR}.")
    return values


def check_logs(name: str, values: NDArray) -> None:
    """Raise for what is no logarithm of a probability, and for rows of -inf alone."""
    largest = values.max(axis=-1)
    wrong = ~np.isfinite(largest)
    if wrong.any():
        raise ValueError(
            f"{name} must hold logs of probabilities, of which each row has one that "
            f"is finite, but the largest of a row is {largest[wrong][0]}."
        )


def checked_rows(
    log_posterior: ArrayLike,
    codes: Any,
    sample_weight: Any,
    *,
    most_axes: int = 2,
    finite: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Return log posteriors, class codes and weights of rows, checked."""
    values = checked_log_posterior(log_posterior, most_axes=most_axes, finite=finite)
    codes = checked_codes("codes", codes, len(values), values.shape[-1])
    weight = checked_weights(sample_weight, len(values))
    own = np.take_along_axis(values, codes.reshape(-1, *[1] * (values.ndim - 1)), -1)
    impossible = (own.reshape(len(codes), -1).max(axis=1) == -np.inf) & (weight > 0)
    if impossible.any():
        row = int(np.flatnonzero(impossible)[0])
        raise ValueError(
            f"log_posterior is -inf for the class of row {row}, codes={codes[row]}, so "
            f"that no fit can explain it; {_FLOOR}."
        )
    return values, codes, weight

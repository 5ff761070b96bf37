"""Checks of probabilities, priors, log posteriors, class codes and folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import check_label_order, checked_floats

# Probabilities may be rounded to three digits, or in half precision.
SUM_TOLERANCE = 2e-3
# Replaces minus infinity, whose product with a probability of 0 is NaN.
_LOG_0 = -1e100


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
    name: str, prior: ArrayLike, n_classes: int | None = None
) -> NDArray[np.float64]:
    """Convert a class distribution, of `n_classes` classes if given, or raise."""
    check_label_order(name, prior)
    values = checked_floats(name, prior)
    if values.ndim != 1 or n_classes not in (None, len(values)):
        classes = (
            "class" if n_classes is None else f"of the {n_classes} classes there are"
        )
        raise ValueError(
            f"{name} must hold one probability for each {classes}, but has shape "
            f"{values.shape}; two classes take [1 - p, p]."
        )
    if not np.all(values >= 0) or not abs(values.sum() - 1) <= SUM_TOLERANCE:
        raise ValueError(
            f"{name}={values.tolist()} must hold probabilities of at least 0 that sum "
            "to 1; counts become a prior by counts / counts.sum()."
        )
    return values


def checked_log_posterior(
    log_posterior: ArrayLike, n_axes: tuple[int, ...]
) -> NDArray[np.float64]:
    """Convert log posteriors of rows to floats, or raise."""
    values = checked_floats("log_posterior", log_posterior)
    if values.ndim not in n_axes or not len(values) or values.shape[-1] < 2:
        shape = "(n_rows, n_classes)"
        shape += " or (n_rows, members, n_classes)" if 3 in n_axes else ""
        raise ValueError(
            f"log_posterior must have shape {shape}, with a row or more and at least "
            f"two classes, but has {values.shape}."
        )
    check_log_values(values)
    return values


def check_log_values(log_posterior: NDArray[np.float64]) -> None:
    """Raise for NaN and infinity, and for rows in which all values are -inf."""
    wrong = ~(log_posterior < np.inf)
    if wrong.any():
        row = int(np.argwhere(wrong)[0, 0])
        raise ValueError(
            f"log_posterior holds {log_posterior[wrong][0]} in row {row}; leave rows "
            "without a prediction out."
        )
    empty = log_posterior.max(axis=-1, initial=-np.inf) == -np.inf
    if log_posterior.size and empty.any():
        raise ValueError(
            "log_posterior is -inf for every class of row "
            f"{int(np.argwhere(empty)[0].max(initial=0))}; some class must be possible."
        )


def with_finite_logs(
    log_posterior: NDArray[np.float64],
    codes: NDArray[np.integer],
    sample_weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Replace -inf by a finite number, whose exponential is also 0.

    Raise a ValueError if it belongs to a row's own class: the log loss is infinite.
    """
    if log_posterior.min() > -np.inf:
        return log_posterior
    own = log_posterior[np.arange(len(codes)), ..., codes]
    is_lost = (own.reshape(len(codes), -1).max(axis=1) == -np.inf) & (sample_weight > 0)
    if is_lost.any():
        raise ValueError(
            "log_posterior holds the log of 0 for the own class of row "
            f"{int(is_lost.argmax())}, whose log loss is infinite; clip probabilities, "
            "such as to 1e-15."
        )
    return np.maximum(log_posterior, _LOG_0)


def checked_codes(
    name: str, codes: ArrayLike, n_rows: int | None = None, n_codes: int | None = None
) -> NDArray[np.intp]:
    """Convert the codes of rows (or their folds) to integers, or raise."""
    values = np.asarray(codes)
    n_rows = values.size if n_rows is None else n_rows
    if (n_rows and values.shape != (n_rows,)) or values.dtype.kind not in "biu":
        raise ValueError(
            f"{name} must hold one integer for each of {n_rows} rows, but has shape "
            f"{values.shape} and dtype {values.dtype}; numpy.unique(labels, "
            "return_inverse=True)[1] turns labels into integers."
        )
    if not n_rows:
        raise ValueError(f"{name} is empty; give an integer for one row or more.")
    if values.min() < 0 or (n_codes is not None and values.max() >= n_codes):
        bound = "at least 0" if n_codes is None else f"between 0 and {n_codes - 1}"
        raise ValueError(
            f"{name} must be integers {bound}, but they go from "
            f"{values.min()} to {values.max()}."
        )
    return values.astype(np.intp)


def checked_folds(
    folds: ArrayLike, n_rows: int, *, or_more: bool = False
) -> NDArray[np.integer]:
    """Return the folds of training rows, which are -1 for no fold, or raise."""
    values = np.asarray(folds)
    is_enough = values.size >= n_rows if or_more else values.size == n_rows
    is_right = values.ndim == 1 and values.dtype.kind in "iu"
    if is_enough and is_right and values.min(initial=0) >= -1:
        return values
    raise ValueError(
        f"folds must hold an integer of at least -1 for each of the {n_rows} training "
        f"rows, but has shape {values.shape}, dtype {values.dtype} and values such as "
        f"{values.ravel()[:3].tolist()}."
    )

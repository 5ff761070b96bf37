"""Metrics of probabilities: the Brier skill score and the calibration error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import checked_integer, checked_weights
from imbalnet.metrics._rows import (
    as_codes_and_probabilities,
    as_positive,
    as_positive_probabilities,
    checked_generator,
    checked_level,
    labels_of_rows,
)


def brier_skill_score(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the relative improvement of the Brier score on that of the prevalences.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels.
    probabilities : array-like of shape (n_rows,) or (n_rows, n_classes)
        Probabilities of the second of two classes, or of all classes.
    labels : array-like of shape (n_classes,), default=None
        The classes of the columns; None means the sorted labels of `y_true`.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows; None means equal weights.

    Returns
    -------
    float
        1 for perfect probabilities, 0 for those that equal the prevalences in all rows,
        negative for worse ones.

    Raises
    ------
    ValueError
        If the rows are of one class alone, if a probability is not from 0 to 1, or if
        the probabilities do not fit the labels.

    References
    ----------
    .. [1] Brier, "Verification of forecasts expressed in terms of probability", Monthly
       Weather Review 78, 1950.

    Examples
    --------
    >>> from imbalnet.metrics import brier_skill_score
    >>> brier_skill_score([0, 0, 0, 1], [0.25, 0.25, 0.25, 0.25])
    0.0
    """
    codes, p, known = as_codes_and_probabilities(
        y_true, probabilities, labels, "labels"
    )
    weight = checked_weights(sample_weight, len(codes))
    shares = np.bincount(codes, weight, len(known)) / weight.sum()
    chance = 1 - np.square(shares).sum()
    if (shares > 0).sum() < 2:
        raise ValueError("y_true holds one class alone, whose prevalence has no error.")
    squares = np.square(p - np.eye(len(known))[codes]).sum(axis=1)
    error = np.average(squares, weights=weight)
    return float(1 - error / chance)


def calibration_error(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    *,
    n_bins: int = 10,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the expected calibration error, with bins of equal weight [1]_.

    Rows are sorted by probability and divided into bins of equal weight. The error is
    the mean over the bins of ``|mean probability - share of positives|``.

    Calibrated probabilities have a positive error, too, by chance: compare with
    :func:`calibration_noise`.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels of two classes.
    probabilities : array-like of shape (n_rows,) or (n_rows, 2)
        Probabilities of the positive class, or of both classes in the order of the
        sorted labels.
    n_bins : int, default=10
        Number of bins. Rows of equal probability stay together.
    pos_label : object, default=None
        Label of the positive class; None is the second of the two sorted labels.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows; None means equal weights.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If `n_bins` is not a positive integer, or if a probability is not from 0 to 1.

    See Also
    --------
    sklearn.calibration.calibration_curve : The bins themselves.

    References
    ----------
    .. [1] Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using
       Bayesian binning", AAAI 2015.

    Examples
    --------
    >>> from imbalnet.metrics import calibration_error
    >>> round(calibration_error([0, 0, 1, 1], [0.1, 0.1, 0.9, 0.9], n_bins=2), 3)
    0.1
    """
    is_positive = as_positive(y_true, pos_label)
    labels = labels_of_rows(y_true)
    is_second = pos_label is None or bool(pos_label == np.unique(labels)[-1])
    p = as_positive_probabilities(probabilities, labels, is_second=is_second)
    weight = checked_weights(sample_weight, len(is_positive))
    n_bins = checked_integer("n_bins", n_bins)
    return _mean_gap(is_positive - p, weight, bins_of_equal_mass(p, weight, n_bins))


def calibration_noise(
    probabilities: ArrayLike,
    *,
    n_bins: int = 10,
    sample_weight: ArrayLike | None = None,
    level: float = 0.95,
    n_draws: int = 200,
    random_state: Any = 0,
) -> tuple[float, float]:
    """Compute the calibration error that calibrated probabilities have by chance.

    Labels are drawn from the probabilities [1]_. A :func:`calibration_error` above the
    second number shows that the probabilities are not calibrated.

    Parameters
    ----------
    probabilities : array-like of shape (n_rows,) or (n_rows, 2)
        Probabilities of the positive class, or of both classes, the positive one
        second.
    n_bins : int, default=10
        Number of bins.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows; None means equal weights.
    level : float, default=0.95
        Share of the draws that lie below the second number.
    n_draws : int, default=200
        Number of draws.
    random_state : int, RandomState instance or None, default=0
        Seeds the draws.

    Returns
    -------
    mean : float
        Mean error over the draws.
    high : float
        Error that a share `level` of the draws does not exceed.

    Raises
    ------
    ValueError
        If a probability is not from 0 to 1, or if another parameter is not usable.

    References
    ----------
    .. [1] Bröcker and Smith, "Increasing the reliability of reliability diagrams",
       Weather and Forecasting 22, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.metrics import calibration_noise
    >>> mean, high = calibration_noise(np.full(1000, 0.1), n_bins=1)
    >>> 0.005 < mean < 0.01 < high < 0.03
    True
    """
    n_draws, level = checked_integer("n_draws", n_draws), checked_level(level)
    p = as_positive_probabilities(probabilities)
    weight = checked_weights(sample_weight, len(p))
    bins = bins_of_equal_mass(p, weight, checked_integer("n_bins", n_bins))
    rng = checked_generator(random_state)
    drawn = (rng.random_sample(len(p)) < p for _ in range(n_draws))
    errors = [_mean_gap(is_positive - p, weight, bins) for is_positive in drawn]
    return float(np.mean(errors)), float(np.quantile(errors, level))


def bins_of_equal_mass(p: NDArray, mass: NDArray, n_bins: int) -> NDArray[np.intp]:
    """Return the bin of each row; all bins have about the same mass.

    Bins are intervals of p. They do not depend on labels, which would bias the shares.
    """
    of_rows = np.unique(p, return_inverse=True)[1]
    of_values = np.bincount(of_rows, mass)
    middle = np.cumsum(of_values) - of_values / 2
    bins = np.floor(n_bins * middle / max(of_values.sum(), 1e-300)).astype(np.intp)
    return bins.clip(0, n_bins - 1)[of_rows]


def _mean_gap(excess: NDArray, weight: NDArray, bins: NDArray[np.intp]) -> float:
    """Return the weighted mean over bins of the absolute mean excess in each bin."""
    return float(np.abs(np.bincount(bins, weight * excess)).sum() / weight.sum())

"""One offset for each class, fitted to held-out rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from imbalnet._blocks import row_blocks
from imbalnet._checks import checked_number, checked_weights
from imbalnet.posterior._checks import (
    checked_codes,
    checked_log_posterior,
    with_finite_logs,
)
from imbalnet.posterior._effective import scaled_to_effective


def fit_offset(
    log_posterior: NDArray,
    codes: NDArray[np.integer],
    sample_weight: NDArray,
    scale: float = 0.5,
) -> NDArray[np.float64]:
    """Fit an offset for each class to held-out rows, to correct mean probabilities.

    After the closed-form shift, mean probabilities may still be off by some per cent:
    training stops at an epoch with a high learning rate, weighted rows are memorised,
    and synthetic rows differ from real ones. The offsets, added to the log posteriors,
    minimise the weighted log loss with a normal prior of mean 0, so that they stay
    small if there are few positives. For two classes they do not change the ranking.

    Parameters
    ----------
    log_posterior : ndarray of shape (n_rows, n_classes) or \
            (n_rows, members, n_classes)
        Log posteriors of the rows. The probabilities of members are averaged.
    codes : ndarray of shape (n_rows,)
        Class codes of the rows.
    sample_weight : ndarray of shape (n_rows,)
        Weights of the rows, which count as their effective number of rows,
        ``sum(w)**2 / sum(w**2)``.
    scale : float, default=0.5
        Standard deviation of the prior on the offsets.

    Returns
    -------
    ndarray of shape (n_classes,)
        Offsets with mean 0 over the classes that occur in `codes`, and 0 for the
        others.

    Raises
    ------
    ValueError
        If shapes do not fit together, or if an argument holds invalid values, such as
        NaN or class codes out of range.

    Examples
    --------
    Probabilities of 5 % where 10 % are positive:

    >>> import numpy as np
    >>> from imbalnet.posterior import fit_offset
    >>> codes = np.repeat([0, 1], [900, 100])
    >>> log_p = np.tile(np.log([0.95, 0.05]), (1_000, 1))
    >>> offset = fit_offset(log_p, codes, np.ones(1_000))
    >>> moved = np.exp(log_p + offset)
    >>> (moved[0] / moved[0].sum()).round(3)
    array([0.901, 0.099])
    """
    scale = checked_number("scale", scale, 0.0, open_low=True)
    log_posterior = checked_log_posterior(log_posterior, (2, 3))
    codes = checked_codes("codes", codes, len(log_posterior), log_posterior.shape[-1])
    sample_weight = checked_weights(sample_weight, len(codes))
    log_posterior = with_finite_logs(log_posterior, codes, sample_weight)
    n_classes = log_posterior.shape[-1]
    offset = np.zeros(n_classes)
    present = np.flatnonzero(np.bincount(codes, sample_weight, n_classes) > 0)
    if len(present) < 2:
        return offset
    counted = sample_weight > 0
    if not counted.all():  # rows of weight 0 may be of classes that are not present
        codes, sample_weight = codes[counted], sample_weight[counted]
        log_posterior = log_posterior[counted]
    codes = np.searchsorted(present, codes)
    if len(present) < n_classes:
        log_posterior = log_posterior[..., present]
    members = log_posterior.reshape(len(codes), -1, len(present))
    weight = scaled_to_effective(sample_weight)

    def objective(offset: NDArray) -> tuple[float, NDArray]:
        value = 0.5 * np.square(offset / scale).sum()
        gradient = offset / scale**2
        for rows in row_blocks(len(codes), members[0].size):
            loss, residual = _loss_and_gradient(members[rows] + offset, codes[rows])
            value += weight[rows] @ loss
            gradient = gradient + weight[rows] @ residual
        return value, gradient

    start = np.zeros(len(present))
    fitted = minimize(objective, start, jac=True, method="L-BFGS-B").x
    offset[present] = fitted - fitted.mean()
    return offset


def _loss_and_gradient(
    members: NDArray, codes: NDArray[np.integer]
) -> tuple[NDArray, NDArray]:
    """Compute the rows' log losses and their gradients with respect to the offsets."""
    rows = np.arange(len(codes))
    shifted = log_softmax(members, axis=-1)  # (rows, members, classes)
    log_target = shifted[rows, :, codes]
    share = softmax(log_target, axis=1)  # of each member in the mean
    log_loss = np.log(members.shape[1]) - logsumexp(log_target, axis=1)
    residual = np.einsum("nm,nmc->nc", share, np.exp(shifted))
    residual[rows, codes] -= 1.0
    return log_loss, residual

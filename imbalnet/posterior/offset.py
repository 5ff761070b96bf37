"""One offset for each class, fitted to held-out rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.utils import gen_batches

from imbalnet._checks import checked_number
from imbalnet.posterior._checks import checked_rows
from imbalnet.posterior._effective import unchecked_effective_weight

# Number of log posteriors that are shifted at once: 1 MiB.
_BLOCK_VALUES = 2**17


def fit_offset(
    log_posterior: ArrayLike,
    codes: ArrayLike,
    sample_weight: ArrayLike,
    scale: float = 0.5,
) -> NDArray[np.float64]:
    """Fit an offset for each class to held-out rows, against a bias of the mean.

    After the closed-form shift, mean probabilities may still be off by some per cent:
    training stops at an epoch with a high learning rate, weighted rows are memorised,
    and synthetic rows differ from real ones. The offsets, added to the log posteriors,
    minimise the weighted log loss with a normal prior of mean 0, so that they stay
    small with a handful of positives. For two classes they do not change the ranking.

    Parameters
    ----------
    log_posterior : array-like of shape (n_rows, n_classes) or \
            (n_rows, members, n_classes)
        Log posteriors of the rows. The probabilities of members are averaged.
    codes : array-like of int of shape (n_rows,)
        Class codes of the rows.
    sample_weight : array-like of shape (n_rows,)
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
        If `log_posterior` holds NaN, or -inf for the class of a row, if `codes` or
        `sample_weight` does not hold one code or weight for each row, or if `scale` is
        not a number above 0.
    """
    scale = checked_number("scale", scale, 0, open_low=True)
    rows = checked_rows(log_posterior, codes, sample_weight, most_axes=3)
    return unchecked_fit_offset(*rows, scale)


def unchecked_fit_offset(
    log_posterior: NDArray,
    codes: NDArray[np.integer],
    sample_weight: NDArray,
    scale: float = 0.5,
) -> NDArray[np.float64]:
    """Compute :func:`fit_offset` of arrays that are known to be right."""
    n_classes = log_posterior.shape[-1]
    offset = np.zeros(n_classes)
    present = np.flatnonzero(np.bincount(codes, sample_weight, n_classes) > 0)
    if len(present) < 2:
        return offset
    if not sample_weight.all():  # such rows may be of classes that no other row has
        counts = sample_weight > 0
        codes, sample_weight = codes[counts], sample_weight[counts]
        log_posterior = log_posterior[counts]
    codes = np.searchsorted(present, codes)
    log_posterior = log_posterior[..., present]
    members = log_posterior.reshape(len(codes), -1, len(present))
    weight = unchecked_effective_weight(sample_weight)
    step = max(1, _BLOCK_VALUES // members[0].size)

    def objective(offset: NDArray) -> tuple[float, NDArray]:
        value = 0.5 * np.square(offset / scale).sum()
        gradient = offset / scale**2
        for rows in gen_batches(len(codes), step):
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

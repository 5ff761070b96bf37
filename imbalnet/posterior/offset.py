"""One offset a class, fitted to held-out rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax


def fit_offset(
    log_posterior: NDArray,
    codes: NDArray[np.integer],
    sample_weight: NDArray,
    scale: float = 0.5,
) -> NDArray[np.float64]:
    """Fit one offset a class to held-out rows, where the closed form leaves a bias.

    Training stops at an epoch of a still high learning rate, weighted rows are
    memorised, and synthetic rows are no rows: each leaves the mean probability off by
    some per cent. The offsets, added to the log posteriors, minimise the weighted
    log loss with a normal prior of mean 0, so that a handful of positives moves little.
    For two classes they do not change the ranking.

    Parameters
    ----------
    log_posterior : ndarray of shape (n_rows, n_classes) or \
            (n_rows, members, n_classes)
        Members' probabilities are averaged.
    codes : ndarray of shape (n_rows,)
        Class codes.
    sample_weight : ndarray of shape (n_rows,)
        Weights of the rows; only as many rows count as their effective number,
        ``sum(w)**2 / sum(w**2)``.
    scale : float, default=0.5
        Standard deviation of the prior.

    Returns
    -------
    ndarray of shape (n_classes,)
        Of mean 0 over the classes that occur in `codes`; 0 for the others, of which
        these rows tell nothing.
    """
    n_classes = log_posterior.shape[-1]
    offset = np.zeros(n_classes)
    present = np.flatnonzero(np.bincount(codes, sample_weight, n_classes) > 0)
    if len(present) < 2:
        return offset
    codes = np.searchsorted(present, codes)
    log_posterior = log_posterior[..., present]
    members = log_posterior.reshape(len(codes), -1, len(present))
    weight = sample_weight * sample_weight.sum() / np.square(sample_weight).sum()
    rows = np.arange(len(codes))

    def objective(offset: NDArray) -> tuple[float, NDArray]:
        shifted = log_softmax(members + offset, axis=-1)  # (rows, members, classes)
        log_target = shifted[rows, :, codes]
        share = softmax(log_target, axis=1)  # what each member answers for
        log_loss = np.log(members.shape[1]) - logsumexp(log_target, axis=1)
        residual = np.einsum("nm,nmc->nc", share, np.exp(shifted))
        residual[rows, codes] -= 1.0
        penalty = 0.5 * np.square(offset / scale).sum()
        return weight @ log_loss + penalty, weight @ residual + offset / scale**2

    start = np.zeros(len(present))
    fitted = minimize(objective, start, jac=True, method="L-BFGS-B").x
    offset[present] = fitted - fitted.mean()
    return offset

"""One temperature for all rows, fitted to held-out ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from imbalnet.posterior._effective import effective_weight

# Temperatures that are looked at, from a tenth to ten.
_LOG_RANGE = float(np.log(10.0))
_NEWTON_STEPS = 12
_NEAR = 1e-3


def fit_temperature(
    log_posterior: NDArray,
    codes: NDArray[np.integer],
    sample_weight: NDArray,
    scale: float = 0.25,
) -> float:
    """Fit what log posteriors are divided by, where a network is too sure or too shy.

    The temperature minimises the weighted log loss [1]_, with a normal prior on its
    logarithm, of mean 0, so that few rows move it little. It lies between 0.1 and 10.

    Parameters
    ----------
    log_posterior : ndarray of shape (n_rows, n_classes) or \
            (n_rows, members, n_classes)
        Members' probabilities are averaged, behind the division.
    codes : ndarray of shape (n_rows,)
        Class codes.
    sample_weight : ndarray of shape (n_rows,)
        Weights of the rows; only as many rows count as their effective number,
        ``sum(w)**2 / sum(w**2)``.
    scale : float, default=0.25
        Standard deviation of the prior.

    Returns
    -------
    float
        Above 1 where the log posteriors were too sure.

    References
    ----------
    .. [1] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    Of rows given 99 %, 90 % were right:

    >>> import numpy as np
    >>> from imbalnet.posterior import fit_temperature
    >>> sure = np.log([[0.01, 0.99]] * 1000)
    >>> temperature = fit_temperature(sure, np.arange(1000) % 10 > 0, np.ones(1000))
    >>> p = np.exp(sure[0] / temperature)
    >>> float((p[1] / p.sum()).round(2))
    0.91
    """
    weight = effective_weight(sample_weight)
    members = log_posterior.reshape(len(codes), -1, log_posterior.shape[-1])
    codes = np.asarray(codes, dtype=np.intp)

    def objective(log_temperature: float) -> float:
        tempered = log_softmax(members / np.exp(log_temperature), axis=-1)
        log_target = tempered[np.arange(len(codes)), :, codes]
        log_loss = np.log(members.shape[1]) - logsumexp(log_target, axis=1)
        return weight @ log_loss + 0.5 * (log_temperature / scale) ** 2

    bounds = (-_LOG_RANGE, _LOG_RANGE)
    found = minimize_scalar(objective, bounds=bounds, method="bounded").x
    return float(np.exp(found))


def least_log_loss(
    log_posterior: NDArray, codes: NDArray[np.integer], sample_weight: NDArray
) -> float:
    """Give the weighted log loss under the temperature that makes it least.

    It tells how well rows are told apart, whatever the network's confidence, and is
    smoother than average precision. The loss is convex in the inverse temperature, for
    which Newton's method takes a few steps.

    Parameters
    ----------
    log_posterior : ndarray of shape (n_rows, n_classes)
    codes : ndarray of shape (n_rows,)
        Class codes.
    sample_weight : ndarray of shape (n_rows,)

    Returns
    -------
    float
        Mean over the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.posterior.temperature import least_log_loss
    >>> sure = np.log([[0.001, 0.999]] * 10)
    >>> round(least_log_loss(sure, np.arange(10) > 0, np.ones(10)), 3)
    0.325
    """
    weight = sample_weight / sample_weight.sum()
    scores = log_posterior - log_posterior.max(axis=1, keepdims=True)
    target = scores[np.arange(len(codes)), np.asarray(codes, dtype=np.intp)]
    inverse, low, high = 1.0, 0.0, np.inf
    for _ in range(_NEWTON_STEPS):
        exponential = np.exp(inverse * scores)
        normaliser = exponential.sum(axis=1)
        mean = (exponential * scores).sum(axis=1) / normaliser
        square = (exponential * scores**2).sum(axis=1) / normaliser
        slope = weight @ (mean - target)
        if slope > 0:
            high = inverse
        else:
            low = inverse
        curvature = weight @ (square - mean**2)
        step = inverse - slope / curvature if curvature > 0 else inverse
        if not low < step < high:  # bisect, or go up by a factor
            step = (low + high) / 2 if np.isfinite(high) else 2 * inverse
        done = abs(step - inverse) < _NEAR * inverse
        inverse = step
        if done:
            break
    normaliser = np.exp(inverse * scores).sum(axis=1)
    return float(weight @ (np.log(normaliser) - inverse * target))

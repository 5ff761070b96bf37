"""Class posteriors under another class distribution (NumPy only).

A network trained with class weights, a sampler or both learns the posterior of a
distribution in which the classes are not as frequent as in the data: the *effective
prior*. Under label shift, p(x | class) stays, so that a posterior moves from one
prior to another by one shift in log space.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax


def effective_prior(
    counts: ArrayLike, class_weight: ArrayLike = 1.0, sampling_rate: ArrayLike = 1.0
) -> NDArray[np.float64]:
    """Class distribution that a network learns under weights and sampling.

    Parameters
    ----------
    counts : array-like of shape (n_classes,)
        Rows of each class, or the sum of their sample weights.
    class_weight : array-like of shape (n_classes,), default=1.0
        Weight of each class in the loss.
    sampling_rate : array-like of shape (n_classes,), default=1.0
        How often a row of the class is drawn in an epoch, in expectation.

    Returns
    -------
    ndarray of shape (n_classes,)
        Sums to 1.

    Examples
    --------
    >>> from imbalnet.posterior import effective_prior
    >>> effective_prior([900, 100], class_weight=[0.5, 5.0]).round(3).tolist()
    [0.474, 0.526]
    """
    mass = (
        np.asarray(counts, dtype=np.float64)
        * np.asarray(class_weight, dtype=np.float64)
        * np.asarray(sampling_rate, dtype=np.float64)
    )
    return mass / mass.sum()


def resolve_prior(
    target_prior: Any, classes: NDArray, class_prior: NDArray
) -> NDArray[np.float64] | None:
    """Turn the parameter ``target_prior`` into probabilities; None stays None.

    Parameters
    ----------
    target_prior : {"train", "uniform"}, dict or None
    classes : ndarray of shape (n_classes,)
    class_prior : ndarray of shape (n_classes,)
        What "train" stands for.

    Raises
    ------
    ValueError
        If a dict does not give each class a probability, summing to 1.
    """
    if target_prior is None:
        return None
    if target_prior == "train":
        return class_prior
    if target_prior == "uniform":
        return np.full(len(classes), 1.0 / len(classes))
    labels = classes.tolist()
    if not isinstance(target_prior, Mapping) or set(target_prior) != set(labels):
        raise ValueError(
            f"target_prior={target_prior!r} must be None, 'train', 'uniform' or a dict "
            f"with a probability for each of the classes {labels}."
        )
    prior = np.array([target_prior[label] for label in labels], dtype=np.float64)
    if not np.all(prior >= 0) or not np.isclose(prior.sum(), 1.0, atol=1e-6):
        raise ValueError(
            f"target_prior={target_prior!r} must hold probabilities of at least 0 that "
            f"sum to 1; they sum to {prior.sum():.6g}."
        )
    return prior


def shift_prior(
    log_posterior: ArrayLike, source_prior: ArrayLike, target_prior: ArrayLike
) -> NDArray[np.float64]:
    """Move log posteriors from one class prior to another.

    ``log p_c + log target_c - log source_c``, renormalised [1]_.

    Parameters
    ----------
    log_posterior : array-like of shape (..., n_classes)
        Log probabilities under `source_prior`; a constant a row does not matter.
    source_prior : array-like of shape (n_classes,)
        Class distribution that they hold for. A class that it lacks (probability 0)
        cannot be brought back: it keeps the probability that it has.
    target_prior : array-like of shape (n_classes,)
        Class distribution that they shall hold for.

    Returns
    -------
    ndarray of shape (..., n_classes)
        Normalised log probabilities under `target_prior`.

    References
    ----------
    .. [1] Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to
       new a priori probabilities", Neural Computation 14, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.posterior import shift_prior
    >>> balanced = np.log([[0.5, 0.5]])
    >>> np.exp(shift_prior(balanced, [0.5, 0.5], [0.9, 0.1])).round(3).tolist()
    [[0.9, 0.1]]
    """
    source = np.asarray(source_prior, dtype=np.float64)
    target = np.asarray(target_prior, dtype=np.float64)
    known = source > 0
    with np.errstate(divide="ignore"):
        shift = np.log(target) - np.log(np.where(known, source, 1.0))
    shift = np.where(known, shift, 0.0)
    return log_softmax(np.asarray(log_posterior, dtype=np.float64) + shift, axis=-1)


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

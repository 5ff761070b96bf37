"""The class prior of unlabelled rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import checked_floats, checked_integer, checked_number
from imbalnet._warn import warn
from imbalnet.posterior._checks import checked_prior, checked_probabilities


def estimate_prior(
    probabilities: ArrayLike,
    source_prior: ArrayLike,
    *,
    max_iter: int = 5000,
    tol: float = 1e-8,
) -> NDArray[np.float64]:
    """Estimate the class prior of unlabelled rows from their probabilities.

    Expectation maximisation [1]_ of the likelihood of the rows over the prior q: from
    ``q = source_prior``, shift the probabilities from `source_prior` to q and take
    their mean as the next q. It assumes label shift (p(x | class) as in training) and
    probabilities that are calibrated for `source_prior`.

    Parameters
    ----------
    probabilities : array-like of shape (n_rows, n_classes) or (n_rows,)
        Probabilities of the unlabelled rows, under `source_prior`. A single axis holds
        the probability of the second of two classes.
    source_prior : array-like of shape (n_classes,)
        Class distribution under which `probabilities` are calibrated. A class that it
        lacks (probability 0) is estimated as 0.
    max_iter : int, default=5000
        Largest number of iterations.
    tol : float, default=1e-08
        The iterations stop when no class probability changes by more than this.

    Returns
    -------
    ndarray of shape (n_classes,)
        The prior of the rows, which sums to 1. If each row has the probabilities of
        `source_prior`, it is `source_prior`.

    Raises
    ------
    ValueError
        If there are no rows, if `probabilities` or `source_prior` does not hold
        probabilities, or if a row is of a class that `source_prior` lacks.

    Warns
    -----
    UserWarning
        If the prior still changes by more than `tol` after `max_iter` iterations.

    See Also
    --------
    shift_probabilities : Probabilities under the estimated prior.

    Notes
    -----
    The standard error is at best that of counting labels, ``sqrt(q (1 - q) / n_rows)``,
    and grows with the overlap of the classes. So does the number of iterations.

    References
    ----------
    .. [1] Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to
       new a priori probabilities", Neural Computation 14, 2002.

    Examples
    --------
    Trained where 5 % are positive, used where 30 % are:

    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from imbalnet.posterior import estimate_prior, shift_probabilities
    >>> rng = np.random.default_rng(0)
    >>> x = np.concatenate([rng.normal(-1, 1, 70_000), rng.normal(1, 1, 30_000)])
    >>> joint = [0.95, 0.05] * norm.pdf(x[:, None], loc=[-1, 1])
    >>> probabilities = joint / joint.sum(axis=1, keepdims=True)
    >>> prior = estimate_prior(probabilities, [0.95, 0.05])
    >>> prior.round(2).tolist()
    [0.7, 0.3]
    >>> shifted = shift_probabilities(probabilities, [0.95, 0.05], prior)
    >>> shifted.mean(axis=0).round(2).tolist()
    [0.7, 0.3]
    """
    max_iter = checked_integer("max_iter", max_iter, 0)
    tol = checked_number("tol", tol, 0.0)
    rows = checked_probabilities(checked_floats("probabilities", probabilities))
    if rows.ndim != 2 or not len(rows):
        raise ValueError(
            "probabilities must have shape (n_rows, n_classes) or (n_rows,) with at "
            f"least one row, but have shape {np.shape(probabilities)}."
        )
    source = checked_prior("source_prior", source_prior, rows.shape[1])
    # p(x | class) up to a factor of the row
    likelihood = np.divide(rows, source, out=np.zeros_like(rows), where=source > 0)
    if not likelihood.any(axis=1).all():
        raise ValueError(
            f"source_prior={source.tolist()} is 0 for the only class that some rows of "
            "probabilities can be; give the prior that the probabilities hold for."
        )
    return _maximise(likelihood, source / source.sum(), max_iter, tol)


def _maximise(
    likelihood: NDArray, prior: NDArray, max_iter: int, tol: float
) -> NDArray[np.float64]:
    step = np.inf
    for _ in range(max_iter):
        # the mean over the rows of likelihood * prior, normalised
        mean = likelihood.T @ (1 / (likelihood @ prior)) / len(likelihood)
        updated = prior * mean / (prior @ mean)
        step = np.abs(updated - prior).max()
        prior = updated
        if step <= tol:
            return prior
    warn(
        f"estimate_prior did not converge: after max_iter={max_iter} iterations the "
        f"prior still moves by {step:.2g}, more than tol={tol:.2g}. Raise max_iter, or "
        "tol if that is precise enough."
    )
    return prior

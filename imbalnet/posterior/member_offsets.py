"""Offsets that make the members of an ensemble comparable out of fold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from imbalnet.posterior._effective import effective_weight

_NEWTON_STEPS = 100
_LARGEST_STEP = 2.0
_NEAR = 1e-6


def fit_member_offsets(
    log_posterior: NDArray,
    folds: NDArray[np.integer],
    n_members: int,
    class_prior: NDArray[np.float64],
    sample_weight: NDArray,
    scale: float = 1.0,
) -> NDArray[np.float64]:
    """Fit an offset for each member and class, so that members' probabilities compare.

    Some members give the rare class a little more probability than others. Rows that
    are predicted by different members are then badly ranked among each other, and with
    them the score that chooses the epoch. The offsets bring the mean probability of a
    member over its fold to the class prior, which stratified folds share. No label is
    used. The offsets d of a fold with log posteriors l minimise
    ``sum(w * (logsumexp(l + d) - prior @ d))``, with a normal prior of mean 0 on d, so
    that those of small folds stay small.

    Parameters
    ----------
    log_posterior : ndarray of shape (n_rows, n_classes)
        Out-of-fold log posteriors, all under `class_prior`.
    folds : ndarray of shape (n_rows,)
        Number of the member that predicted the row.
    n_members : int
        Number of members.
    class_prior : ndarray of shape (n_classes,)
        Class distribution that each fold has.
    sample_weight : ndarray of shape (n_rows,)
        Weights of the rows, which count as their effective number of rows,
        ``sum(w)**2 / sum(w**2)``.
    scale : float, default=1.0
        Standard deviation of the prior on the offsets.

    Returns
    -------
    ndarray of shape (n_members, n_classes)
        Offsets to add to the members' log posteriors, with mean 0 over the classes;
        zeros for members without rows.

    Examples
    --------
    One member always predicts 20 %, the other 5 %, where 10 % are positive:

    >>> import numpy as np
    >>> from imbalnet.posterior import fit_member_offsets
    >>> p = np.repeat([0.2, 0.05], 1000)
    >>> log_p, folds = np.log(np.stack([1 - p, p], axis=1)), np.repeat([0, 1], 1000)
    >>> prior, weight = np.array([0.9, 0.1]), np.ones(2000)
    >>> offsets = fit_member_offsets(log_p, folds, 2, prior, weight)
    >>> moved = np.exp(log_p + offsets[folds])
    >>> (moved[:, 1] / moved.sum(axis=1))[[0, -1]].round(2)
    array([0.1, 0.1])
    """
    rows, is_row = rows_by_fold(folds, n_members)
    weight = effective_weight(sample_weight)[rows] * is_row
    scores = log_posterior[rows]  # (members, rows of the longest fold, classes)
    total = weight.sum(axis=1)
    n_classes = len(class_prior)
    ridge = np.eye(n_classes) / scale**2
    offsets = np.zeros((n_members, n_classes))
    for _ in range(_NEWTON_STEPS):
        p = np.exp(log_softmax(scores + offsets[:, None], axis=-1))
        weighted = p * weight[..., None]
        mean = weighted.sum(axis=1)
        slope = mean - total[:, None] * class_prior + offsets / scale**2
        curvature = -weighted.swapaxes(1, 2) @ p
        curvature[:, range(n_classes), range(n_classes)] += mean
        step = np.linalg.solve(curvature + ridge, slope[..., None])[..., 0]
        offsets -= step.clip(-_LARGEST_STEP, _LARGEST_STEP)
        if np.abs(step).max() < _NEAR:
            break
    return offsets - offsets.mean(axis=1, keepdims=True)


def rows_by_fold(
    folds: NDArray[np.integer], n_folds: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the rows of each fold, (folds, longest fold), and which are no padding."""
    order = np.argsort(folds, kind="stable")
    sizes = np.bincount(folds, minlength=n_folds)[:, None]
    depth = np.arange(sizes.max())
    is_row = depth < sizes
    place = np.cumsum(sizes)[:, None] - sizes + depth
    return order[np.where(is_row, place, 0)], is_row

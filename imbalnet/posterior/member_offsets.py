"""Offsets that make out-of-fold predictions of different members comparable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from imbalnet._checks import checked_integer, checked_number, checked_weights
from imbalnet.posterior._checks import (
    checked_codes,
    checked_log_posterior,
    checked_prior,
)
from imbalnet.posterior._effective import scaled_to_effective

_NEWTON_STEPS = 100
_LARGEST_STEP = 2.0
_NEAR = 1e-6

# With more classes, matrices of classes by classes cost more than the scores of rows:
# 5.8 s against 0.2 s for 800 classes and 9,600 rows.
_MOST_CURVATURES = 20


def fit_member_offsets(
    log_posterior: NDArray,
    folds: NDArray[np.integer],
    n_members: int,
    class_prior: NDArray[np.float64],
    sample_weight: NDArray,
    scale: float = 1.0,
) -> NDArray[np.float64]:
    """Fit an offset for each member and class, to make members' outputs comparable.

    Some members predict slightly higher probabilities of the rare class than others. As
    each row is predicted by the member that holds it out, this disturbs the ranking of
    rows from different folds, and the score that chooses the epoch. The offsets move
    the mean probability of a member over its fold to the class prior, which stratified
    folds share. No label is used. The offsets d of a fold with log posteriors l
    minimise ``sum(w * (logsumexp(l + d) - prior @ d))``, with a normal prior of mean 0
    on d, so that the offsets of small folds stay small.

    Parameters
    ----------
    log_posterior : ndarray of shape (n_rows, n_classes)
        Out-of-fold log posteriors, all under `class_prior`.
    folds : ndarray of shape (n_rows,)
        Number of the member that predicted the row.
    n_members : int
        Number of members.
    class_prior : ndarray of shape (n_classes,)
        Class distribution of each fold.
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

    Raises
    ------
    ValueError
        If shapes do not fit together, or if an argument holds invalid values, such as
        NaN or folds out of range.

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
    scale = checked_number("scale", scale, 0.0, open_low=True)
    log_posterior = checked_log_posterior(log_posterior, (2,))
    n_rows, n_classes = log_posterior.shape
    n_members = checked_integer("n_members", n_members)
    folds = checked_codes("folds", folds, n_rows, n_members)
    class_prior = checked_prior("class_prior", class_prior, n_classes)
    weight = scaled_to_effective(checked_weights(sample_weight, n_rows))
    if len(class_prior) > _MOST_CURVATURES:
        offsets = np.zeros((n_members, len(class_prior)))
        for j in np.unique(folds[weight > 0]):
            own = (folds == j) & (weight > 0)
            offsets[j] = _by_lbfgs(log_posterior[own], class_prior, weight[own], scale)
    else:
        rows, is_row = _rows_by_fold(folds, n_members)
        # (members, rows of the longest fold, classes)
        scores, own_weight = log_posterior[rows], weight[rows] * is_row
        offsets = _by_newton(scores, class_prior, own_weight, scale)
    return offsets - offsets.mean(axis=1, keepdims=True)


def _by_newton(
    scores: NDArray, class_prior: NDArray, weight: NDArray, scale: float
) -> NDArray[np.float64]:
    """Fit the offsets of all members at once; short folds are padded with weight 0."""
    total = weight.sum(axis=1)
    n_members, n_classes = len(scores), len(class_prior)
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
    return offsets


def _by_lbfgs(
    scores: NDArray, class_prior: NDArray, weight: NDArray, scale: float
) -> NDArray[np.float64]:
    """Fit the offsets of one member, without a matrix of classes by classes.

    Each offset is scaled so that the objective has about the same curvature in all of
    them, which takes a dozen evaluations. The exponentials of the scores are computed
    only once.
    """
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    total = weight.sum()
    unit = 1 / np.sqrt(total * class_prior + 1 / scale**2)

    def objective(values: NDArray) -> tuple[float, NDArray]:
        offset = unit * values
        largest = offset.max()
        factor = np.exp(offset - largest)
        normaliser = exponentials @ factor
        fit = weight @ np.log(normaliser) + total * (largest - class_prior @ offset)
        mean = factor * (weight / normaliser @ exponentials)
        slope = mean - total * class_prior + offset / scale**2
        return fit + 0.5 * np.square(offset / scale).sum(), unit * slope

    start = np.zeros(len(class_prior))
    precision = {"ftol": 0.0, "gtol": 0.1 * _NEAR}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=precision)
    return unit * found.x


def rows_by_fold(
    folds: NDArray[np.integer], n_folds: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the rows of all folds as one padded array.

    Parameters
    ----------
    folds : ndarray of shape (n_rows,)
        The fold of each row, from 0.
    n_folds : int
        Number of folds.

    Returns
    -------
    rows : ndarray of shape (n_folds, n_longest)
        Positions of the rows of each fold; short folds are padded.
    is_row : ndarray of bool, shape (n_folds, n_longest)
        False for padding.

    Raises
    ------
    ValueError
        If a fold is not one of `n_folds`.

    Examples
    --------
    The mean score of each fold, without a loop over the folds:

    >>> import numpy as np
    >>> from imbalnet.posterior import rows_by_fold
    >>> folds, scores = np.array([0, 1, 0, 0, 1]), np.array([1.0, 5.0, 2.0, 6.0, 7.0])
    >>> rows, is_row = rows_by_fold(folds, 2)
    >>> rows
    array([[0, 2, 3],
           [1, 4, 0]])
    >>> (scores[rows] * is_row).sum(axis=1) / is_row.sum(axis=1)
    array([3., 6.])
    """
    n_folds = checked_integer("n_folds", n_folds)
    folds = checked_codes("folds", folds, n_codes=n_folds)
    return _rows_by_fold(folds, n_folds)


def _rows_by_fold(
    folds: NDArray[np.integer], n_folds: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    order = np.argsort(folds, kind="stable")
    sizes = np.bincount(folds, minlength=n_folds)[:, None]
    depth = np.arange(sizes.max())
    is_row = depth < sizes
    place = np.cumsum(sizes)[:, None] - sizes + depth
    return order[np.where(is_row, place, 0)], is_row

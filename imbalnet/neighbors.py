"""Evidence from the nearest training rows, which complements a smooth network.

:class:`Neighbors` computes how much more frequent the classes are among the neighbours
of a row than in all training rows. :func:`fit_weight` fits the factor by which this is
added to the log posteriors of a network. :mod:`imbalnet._fit.calibrate` uses both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from imbalnet._blocks import row_blocks
from imbalnet._checks import (
    checked_floats,
    checked_integer,
    checked_weights,
    is_integer,
)
from imbalnet._nearest import NearestRows
from imbalnet.networks import RobustScale
from imbalnet.networks.layers.categories import column_sizes, dense
from imbalnet.networks.layers.mixed import MixedInput
from imbalnet.posterior._checks import (
    checked_codes,
    checked_folds,
    checked_log_posterior,
    checked_prior,
)
from imbalnet.posterior._effective import scaled_to_effective

__all__ = ["Neighbors", "fit_weight"]


def __dir__() -> list[str]:
    return sorted(__all__)


# Largest number of training rows that are kept; more are sampled.
_MOST_KEPT = 2**14
# Number of rows by which the usual distance is estimated.
_FEW = 2**10
# Columns with a smaller standard deviation are not scaled up.
_LEAST_DEVIATION = 0.5
# Smaller distances, in units of the usual distance, count as this one.
NEAREST = 1e-2
_LARGEST_WEIGHT = 6.0
# Coordinates, or shares of classes, in a block: 32 MiB.
_BLOCK_VALUES = 2**22


class Neighbors:
    """Log odds of the classes among the nearest training rows, against the prior.

    A network is smooth: it learns what holds for many rows, and only slowly what holds
    for a few that lie close together. Nearest neighbours do the opposite. Their
    evidence, times a weight, is added to the log posteriors of the network.

    Distances are Euclidean, after columns of numbers are scaled by
    :class:`~imbalnet.networks.RobustScale`, then to a standard deviation of 1 (unless
    it is below 0.5), and categories get a column for each frequent level. A neighbour
    at the distance d has a vote of weight ``w * (u / d)**2``, where w is its sample
    weight and u the median over the rows of the distance of the farthest neighbour.
    The class prior votes like `n_neighbors` further neighbours at the distance u.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
        Training rows. NaN are missing values. Of more than 16,384 rows a sample is
        kept.
    codes : ndarray of shape (n_rows,)
        Class codes of the training rows, from 0.
    sample_weight : ndarray of shape (n_rows,)
        Weights of the training rows. Rows of weight 0 are left out: they would take
        the places of neighbours that vote.
    class_prior : ndarray of shape (n_classes,)
        Class distribution of the training rows.
    n_neighbors : int
        Number of neighbours that vote.
    n_categories : sequence of int of length n_features or None, default=None
        Number of categories of each column, whose values are codes from 0; 0 for a
        column of numbers. None means that all columns are numbers.
    rng : {int, numpy.random.Generator} or None, default=None
        Generator of the sample, or its seed. None draws a new sample in each call.
    folds : ndarray of int of shape (n_rows,) or None, default=None
        Folds that keep together the rows of a group, see :meth:`evidence_within`. The
        distance u is then that to rows of other folds.

    Attributes
    ----------
    kept : ndarray of shape (n_kept,)
        Positions of the training rows that are kept.
    points : ndarray of float32, shape (n_kept, n_coordinates)
        Their scaled coordinates.
    codes : ndarray of shape (n_kept,)
        Their class codes.
    weight : ndarray of float32, shape (n_kept,)
        Their sample weights, of mean 1.
    distance : float
        The distance u.

    Raises
    ------
    ValueError
        If the shapes of the arguments do not agree, or values are out of range.

    Examples
    --------
    Positives in a small spot. A row inside has evidence for the second class, a row
    outside has some against it:

    >>> import numpy as np
    >>> from imbalnet.neighbors import Neighbors
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(500, 2))
    >>> y = (np.hypot(*X.T) < 0.2).astype(int)
    >>> prior = np.bincount(y) / 500
    >>> neighbors = Neighbors(X, y, np.ones(500), prior, n_neighbors=8)
    >>> evidence = neighbors.evidence(np.array([[0.0, 0.1], [0.9, 0.9]]))
    >>> (evidence[:, 1] - evidence[:, 0]).round(1)
    array([ 3.9, -1.4])
    """

    def __init__(
        self,
        X: Any,
        codes: NDArray[np.integer],
        sample_weight: NDArray,
        class_prior: NDArray[np.float64],
        n_neighbors: int,
        n_categories: Sequence[int] | None = None,
        rng: int | np.random.Generator | None = None,
        folds: NDArray[np.integer] | None = None,
    ) -> None:
        n_rows, n_features = _checked_table(X).shape
        if n_rows < 2:
            raise ValueError(f"X has {n_rows} rows, but must have 2 at least.")
        class_prior = checked_prior("class_prior", class_prior).copy()
        codes = checked_codes("codes", codes, n_rows, len(class_prior))
        sample_weight = checked_weights(sample_weight, n_rows)
        n_neighbors = checked_integer("n_neighbors", n_neighbors)
        sizes = column_sizes(n_features, n_categories).tolist()
        folds = None if folds is None else checked_folds(folds, n_rows)
        rng = _generator(rng)
        voting = _voting_rows(sample_weight)
        self.kept = voting[sample_rows(len(voting), _MOST_KEPT, rng)]
        self.n_neighbors = min(n_neighbors, len(self.kept) - 1)
        self.class_prior = class_prior
        kept, weight = dense(X[self.kept]), sample_weight[self.kept]
        self.n_features = n_features
        self.coordinates = _Coordinates(kept, weight, sizes)
        self.search = NearestRows(self.coordinates.of(kept))
        most = np.min_scalar_type(len(class_prior) - 1)
        self.codes = codes[self.kept].astype(most)
        self.weight = (weight / weight.mean()).astype(np.float32)
        few = sample_rows(len(self.kept), _FEW, rng)
        self.distance = self._usual_distance(few, folds) or 1.0  # 0: equal rows

    @property
    def points(self) -> NDArray[np.float32]:
        """Scaled coordinates of the rows that are kept."""
        return self.search.points

    def evidence(self, X: Any) -> NDArray[np.float64]:
        """Compute the evidence of the neighbours of new rows.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, n_features)
            New rows, with the columns of the training rows.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            ``log share - log prior`` of each class among the neighbours, to be added to
            log posteriors.
        """
        return self._evidence(_checked_table(X, self.n_features))

    def evidence_within(
        self,
        X: Any,
        positions: NDArray[np.intp] | None = None,
        folds: NDArray[np.integer] | None = None,
    ) -> NDArray[np.float64]:
        """Compute the evidence of training rows, without their own vote.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, n_features)
            Some or all of the training rows.
        positions : ndarray of int of shape (n_rows,) or None, default=None
            Positions of `X` among the training rows. None means all of them in order.
        folds : ndarray of int of shape (n_training_rows,) or None, default=None
            Folds that keep together the rows of a group, such as a patient: rows of
            the same fold do not vote for each other. Every other row may vote for rows
            of the fold -1. None means that fold for all rows.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            As :meth:`evidence`.

        Raises
        ------
        ValueError
            If `X` has other columns than the training rows, or if there is not a
            position for each row, or a fold for each training row.
        """
        n_rows = _checked_table(X, self.n_features).shape[0]
        if positions is None:
            positions = np.arange(n_rows)
        elif n_rows:
            positions = checked_codes("positions", positions, n_rows)
        if folds is not None:
            last = max(positions.max(initial=0), self.kept.max())
            folds = checked_folds(folds, int(last) + 1, or_more=True)
        if folds is None:
            return self._evidence(X, positions)
        evidence = np.empty((X.shape[0], len(self.class_prior)))
        own = folds[positions]
        for asked, voters in _by_fold(own, folds[self.kept]):
            evidence[asked] = self._evidence(X[asked], voters=voters)
        alone = np.flatnonzero(own < 0)
        if len(alone):
            evidence[alone] = self._evidence(X[alone], positions[alone])
        return evidence

    def _usual_distance(
        self, few: NDArray[np.intp], folds: NDArray[np.integer] | None
    ) -> float:
        """Return the median of the farthest neighbours' distances, over `few` rows."""
        if folds is None:
            # each row is its own nearest neighbour
            square = self.search.find(self.points[few], self.n_neighbors + 1)[1]
            return float(np.median(np.sqrt(square[:, -1])))
        apart = []
        for asked, voters in _by_fold(folds[self.kept[few]], folds[self.kept]):
            if len(voters):
                n_found = min(self.n_neighbors, len(voters))
                search = NearestRows(self.points[voters])
                apart.append(search.find(self.points[few[asked]], n_found)[1][:, -1])
        return float(np.median(np.sqrt(np.concatenate(apart)))) if apart else 0.0

    def _evidence(
        self,
        X: Any,
        own: NDArray[np.intp] | None = None,
        voters: NDArray[np.intp] | None = None,
    ) -> NDArray[np.float64]:
        """Compute the evidence of rows, without their own vote or from some voters.

        `own` are the rows' positions among the training rows; `voters` are positions
        among the kept rows. None means that no row is left out.
        """
        width = max(self.points.shape[1], len(self.class_prior))
        evidence = np.empty((X.shape[0], len(self.class_prior)))
        search = self.search if voters is None else NearestRows(self.points[voters])
        for rows in row_blocks(X.shape[0], self.n_neighbors * width, _BLOCK_VALUES):
            points = self.coordinates.of(dense(X[rows]))
            if own is not None:
                found, square = self._without_own(points, own[rows])
            else:
                n_found = min(self.n_neighbors, len(search.points))
                found, square = search.find(points, n_found)
            found = found if voters is None else voters[found]
            evidence[rows] = self._log_odds(found, square)
        return evidence

    def _without_own(
        self, points: NDArray[np.float32], own: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the neighbours of training rows other than the rows themselves."""
        found, square = self.search.find(points, self.n_neighbors + 1)
        is_own = self.kept[found] == own[:, None]
        is_own[~is_own.any(axis=1), -1] = True  # not kept: drop the farthest
        shape = len(points), self.n_neighbors
        return found[~is_own].reshape(shape), square[~is_own].reshape(shape)

    def _log_odds(
        self, found: NDArray[np.intp], square: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the evidence of neighbours at squared distances, (n_rows, n_found)."""
        kernel = 1 / np.maximum(square / self.distance**2, NEAREST**2)
        shape = len(found), len(self.class_prior)
        index = self.codes[found] + shape[1] * np.arange(len(found))[:, None]
        votes = self.n_neighbors * self.class_prior + np.bincount(
            index.ravel(), (kernel * self.weight[found]).ravel(), np.prod(shape)
        ).reshape(shape)
        share = votes / votes.sum(axis=1, keepdims=True)
        is_known = self.class_prior > 0
        ratio = np.divide(
            share, self.class_prior, where=is_known, out=np.ones_like(share)
        )
        return np.log(ratio)


class _Coordinates:
    """Scale rows for Euclidean distances."""

    def __init__(
        self, X: NDArray, sample_weight: NDArray, n_categories: Sequence[int]
    ) -> None:
        numbers = RobustScale(sum(size == 0 for size in n_categories))
        self.input = MixedInput(n_categories, numbers).double()
        self.input.initialize_from(X, None, sample_weight)
        self.deviation = np.ones(self.input.out_features)
        self.deviation = np.maximum(self.of(X).std(axis=0), _LEAST_DEVIATION)

    @torch.no_grad()
    def of(self, X: NDArray) -> NDArray[np.float32]:
        """Compute the coordinates of rows."""
        scaled = self.input(torch.as_tensor(X).double()).numpy()
        return (scaled / self.deviation).astype(np.float32)


def fit_weight(
    log_posterior: NDArray[np.float64],
    evidence: NDArray[np.float64],
    codes: NDArray[np.integer],
    sample_weight: NDArray,
) -> float:
    """Fit the weight of the neighbours' evidence.

    Parameters
    ----------
    log_posterior : ndarray of shape (n_rows, n_classes)
        Out-of-fold log posteriors of the network.
    evidence : ndarray of shape (n_rows, n_classes)
        Evidence of the neighbours, without the rows' own votes.
    codes : ndarray of shape (n_rows,)
        Class codes of the rows.
    sample_weight : ndarray of shape (n_rows,)
        Weights of the rows, which count as their effective number of rows,
        ``sum(w)**2 / sum(w**2)``.

    Returns
    -------
    float
        Weight from 0 to 6 with the least log loss. It is 0 if the gain is at most the
        log of the number of rows, twice what Schwarz' criterion asks of a parameter.

    Raises
    ------
    ValueError
        If the shapes of the arguments do not agree, or values are out of range.

    Examples
    --------
    For a network that predicts the prior for every row, the neighbours are of use:

    >>> import numpy as np
    >>> from imbalnet.neighbors import Neighbors, fit_weight
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(500, 2))
    >>> y = (np.hypot(*X.T) < 0.3).astype(int)
    >>> prior, weight = np.bincount(y) / 500, np.ones(500)
    >>> evidence = Neighbors(X, y, weight, prior, n_neighbors=8).evidence_within(X)
    >>> constant = np.tile(np.log(prior), (500, 1))
    >>> round(fit_weight(constant, evidence, y, weight), 1)
    1.6
    >>> fit_weight(constant, np.zeros((500, 2)), y, weight)  # no evidence
    0.0
    """
    log_posterior = checked_log_posterior(log_posterior, (2,))
    evidence = checked_floats("evidence", evidence)
    if np.shape(evidence) != log_posterior.shape or not np.isfinite(evidence).all():
        raise ValueError(
            f"evidence must hold finite numbers of shape {log_posterior.shape}, as "
            f"log_posterior has, but has shape {np.shape(evidence)}."
        )
    codes = checked_codes("codes", codes, *log_posterior.shape)
    weight = scaled_to_effective(checked_weights(sample_weight, len(codes)))

    def loss(factor: float) -> float:
        log_target = np.empty(len(codes))
        for rows in row_blocks(*log_posterior.shape):
            blended = log_posterior[rows] + factor * evidence[rows]
            at = np.arange(len(blended)), codes[rows]
            log_target[rows] = log_softmax(blended, axis=1)[at]
        return float(-weight @ log_target)

    bounds = 0.0, _LARGEST_WEIGHT
    factor = float(minimize_scalar(loss, bounds=bounds, method="bounded").x)
    is_worth_it = loss(0.0) - loss(factor) > np.log(weight.sum())
    return factor if is_worth_it else 0.0


def _checked_table(X: Any, n_features: int | None = None) -> Any:
    """Return a matrix of numbers, or raise."""
    ndim, dtype = getattr(X, "ndim", None), getattr(X, "dtype", None)
    is_table = ndim == 2 and getattr(dtype, "kind", "-") in "biuf" and X.shape[1]
    if not is_table:
        what = f"shape {X.shape} and dtype {dtype}" if hasattr(X, "shape") else type(X)
        raise ValueError(
            "X must be an array or a CSR matrix of numbers of shape (n_rows, "
            f"n_features), but has {what}; np.asarray(X) makes one of lists and frames."
        )
    if n_features not in (None, X.shape[1]):
        raise ValueError(
            f"X has {X.shape[1]} columns, but the training rows have {n_features}."
        )
    return X


def _voting_rows(sample_weight: NDArray) -> NDArray[np.intp]:
    """Return the positions of rows that have a weight; raise if there are too few."""
    voting = np.flatnonzero(sample_weight)
    if len(voting) < 2:
        raise ValueError(
            f"X has {len(voting)} rows of a weight above 0, but must have 2 at least."
        )
    return voting


def _generator(rng: Any) -> np.random.Generator:
    is_seed = rng is None or (is_integer(rng) and rng >= 0)
    if is_seed or isinstance(rng, np.random.Generator):
        return np.random.default_rng(rng)
    raise ValueError(
        f"rng={rng!r} must be a numpy.random.Generator, a seed of at least 0 or None."
    )


def _by_fold(
    own: NDArray[np.integer], folds: NDArray[np.integer]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield, for each fold, its positions in `own`, and those of others in `folds`."""
    for fold in np.unique(own[own >= 0]):
        yield np.flatnonzero(own == fold), np.flatnonzero(folds != fold)


def sample_rows(n_rows: int, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw at most `most` of the rows; return their sorted positions."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(rng.choice(n_rows, most, replace=False))

"""Evidence from the nearest training rows, which complements a smooth network.

:class:`Neighbors` answers how much more frequent the classes are among the neighbours
of a row than in all training rows; :func:`fit_weight` answers how much of that to add
to the log posteriors of a network. :mod:`imbalnet._fit.calibrate` uses both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from imbalnet.networks import RobustScale
from imbalnet.networks.layers.categories import dense
from imbalnet.networks.layers.mixed import MixedInput
from imbalnet.posterior import effective_weight

__all__ = ["Neighbors", "fit_weight"]

# Largest number of training rows that are kept; more are sampled.
_MOST_KEPT = 2**14
# Number of rows from which the usual distance is estimated.
_FEW = 2**10
# Columns with a smaller standard deviation are not scaled up.
_LEAST_DEVIATION = 0.5
# Distances are at least this part of the usual distance.
_NEAREST = 1e-2
_LARGEST_WEIGHT = 6.0
# Number of coordinates, or votes, of neighbours in a block: 32 MiB.
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
    The class prior votes too, like as many neighbours at the distance u.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
        Training rows. NaN are missing values. Of more than 16,384 rows a sample is
        kept.
    codes : ndarray of shape (n_rows,)
        Class codes of the training rows, from 0.
    sample_weight : ndarray of shape (n_rows,)
        Weights of the training rows.
    class_prior : ndarray of shape (n_classes,)
        Class distribution of the training rows.
    n_neighbors : int
        Number of neighbours that vote.
    n_categories : sequence of int of length n_features or None, default=None
        Number of categories of each column, whose values are codes from 0; 0 for a
        column of numbers. None means numbers alone.
    rng : {int, numpy.random.Generator} or None, default=None
        Generator of the sample, or its seed. None draws a new sample in each call.
    folds : ndarray of int of shape (n_rows,) or None, default=None
        Folds that keep together the rows of a group, see :meth:`evidence_within`. The
        distance u is then that to rows of other folds.

    Attributes
    ----------
    kept : ndarray of shape (n_kept,)
        Positions of the training rows that are kept.
    distance : float
        The distance u.

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
        rng = np.random.default_rng(rng)
        self.kept = sample_rows(X.shape[0], _MOST_KEPT, rng)
        self.n_neighbors = min(n_neighbors, len(self.kept) - 1)
        self.class_prior = class_prior
        kept, weight = dense(X[self.kept]), sample_weight[self.kept]
        sizes = [0] * X.shape[1] if n_categories is None else n_categories
        self.coordinates = _Coordinates(kept, weight, sizes)
        self.points = self.coordinates.of(kept)
        self.search = NearestNeighbors(n_neighbors=self.n_neighbors).fit(self.points)
        self.votes = np.eye(len(class_prior))[codes[self.kept]]
        self.votes *= (weight / weight.mean())[:, None]
        few = sample_rows(len(self.kept), _FEW, rng)
        self.distance = self._usual_distance(few, folds) or 1.0  # most rows may repeat

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
        return self._evidence(X)

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
        """
        if positions is None:
            positions = np.arange(X.shape[0])
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
        """Return the median distance of the farthest neighbour of a few kept rows."""
        if folds is None:
            # each row is its own nearest neighbour
            n_found = self.n_neighbors + 1
            farthest = self.search.kneighbors(self.points[few], n_found)[0][:, -1]
            return float(np.median(farthest))
        apart = []
        for asked, voters in _by_fold(folds[self.kept[few]], folds[self.kept]):
            search = self._search_among(voters)
            if search is not None:
                apart.append(search.kneighbors(self.points[few[asked]])[0][:, -1])
        return float(np.median(np.concatenate(apart))) if apart else 0.0

    def _evidence(
        self,
        X: Any,
        own: NDArray[np.intp] | None = None,
        voters: NDArray[np.intp] | None = None,
    ) -> NDArray[np.float64]:
        """Compute the evidence of rows, without the rows at `own` or of `voters` only.

        `own` are positions among the training rows, `voters` among those that are kept.
        """
        width = max(self.points.shape[1], len(self.class_prior))
        step = max(1, _BLOCK_VALUES // (self.n_neighbors * width))
        search = self.search if voters is None else self._search_among(voters)
        parts = []
        for rows in gen_batches(X.shape[0], step):
            points = self.coordinates.of(dense(X[rows]))
            if own is not None:
                found = self._without_own(points, own[rows])
            elif search is None:
                found = np.empty((len(points), 0), dtype=np.intp)
            else:
                found = search.kneighbors(points, return_distance=False)
            found = found if voters is None else voters[found]
            parts.append(self._log_odds(points, found))
        return np.concatenate(parts)

    def _search_among(self, voters: NDArray[np.intp]) -> NearestNeighbors | None:
        """Return a search among some of the kept rows; None where there are none."""
        if not len(voters):
            return None
        n_neighbors = min(self.n_neighbors, len(voters))
        return NearestNeighbors(n_neighbors=n_neighbors).fit(self.points[voters])

    def _without_own(
        self, points: NDArray[np.float64], own: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        """Find the neighbours of training rows other than the rows themselves."""
        n_found = self.n_neighbors + 1
        found = self.search.kneighbors(points, n_found, return_distance=False)
        is_own = self.kept[found] == own[:, None]
        is_own[~is_own.any(axis=1), -1] = True  # or leave out the farthest
        return found[~is_own].reshape(len(points), self.n_neighbors)

    def _log_odds(
        self, points: NDArray[np.float64], found: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        # not the distances of the search, whose last bits depend on the rows of a block
        apart = self.points[found] - points[:, None]
        square = np.square(apart).sum(axis=-1)
        kernel = 1 / np.maximum(square / self.distance**2, _NEAREST**2)
        votes = np.einsum("nk,nkc->nc", kernel, self.votes[found])
        votes += self.n_neighbors * self.class_prior
        share = votes / votes.sum(axis=1, keepdims=True)
        is_known = self.class_prior > 0
        ratio = np.divide(
            share, self.class_prior, where=is_known, out=np.ones_like(share)
        )
        return np.log(ratio)


class _Coordinates:
    """Scales rows, so that Euclidean distances between them make sense."""

    def __init__(
        self, X: NDArray, sample_weight: NDArray, n_categories: Sequence[int]
    ) -> None:
        numbers = RobustScale(sum(size == 0 for size in n_categories))
        self.input = MixedInput(n_categories, numbers).double()
        self.input.initialize_from(X, None, sample_weight)
        self.deviation = np.ones(self.input.out_features)
        self.deviation = np.maximum(self.of(X).std(axis=0), _LEAST_DEVIATION)

    @torch.no_grad()
    def of(self, X: NDArray) -> NDArray[np.float64]:
        """Compute the coordinates of rows."""
        return self.input(torch.as_tensor(X).double()).numpy() / self.deviation


def fit_weight(
    log_posterior: NDArray[np.float64],
    evidence: NDArray[np.float64],
    codes: NDArray[np.integer],
    sample_weight: NDArray,
) -> float:
    """Fit the weight that multiplies the neighbours' evidence before it is added.

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
    """
    weight = effective_weight(sample_weight)
    at = np.arange(len(codes)), codes

    def loss(factor: float) -> float:
        return -weight @ log_softmax(log_posterior + factor * evidence, axis=1)[at]

    bounds = 0.0, _LARGEST_WEIGHT
    factor = float(minimize_scalar(loss, bounds=bounds, method="bounded").x)
    is_worth_it = loss(0.0) - loss(factor) > np.log(weight.sum())
    return factor if is_worth_it else 0.0


def _by_fold(
    own: NDArray[np.integer], folds: NDArray[np.integer]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the positions of each fold in `own`, and of rows outside it in `folds`."""
    for fold in np.unique(own[own >= 0]):
        yield np.flatnonzero(own == fold), np.flatnonzero(folds != fold)


def sample_rows(n_rows: int, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw the sorted positions of at most so many rows."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(rng.choice(n_rows, most, replace=False))

"""What the nearest training rows say, beside what the network says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.neighbors import NearestNeighbors

from imbalnet._tables.read import Rows
from imbalnet.networks import RobustScale
from imbalnet.networks.layers.categories import MixedInput
from imbalnet.posterior import effective_weight

# Training rows that are kept, at most; more are sampled.
_MOST_KEPT = 2**14
# Rows by which the usual distance is taken.
_FEW = 2**10
# A column of less spread is not blown up to it.
_LEAST_DEVIATION = 0.5
# Neighbours nearer than this part of the usual distance count as that near.
_NEAREST = 1e-2
_LARGEST_WEIGHT = 1.5
# Coordinates, or votes, of neighbours that are looked at together: 32 MiB.
_BLOCK_VALUES = 2**22


class Neighbors:
    """Log odds of the classes among the nearest training rows, against the prior.

    A network is smooth: it learns what holds for many rows, and only slowly what holds
    for a few that lie close together. Nearest neighbours do the opposite. Columns of
    numbers are scaled by :class:`~imbalnet.networks.RobustScale`, then to a standard
    deviation of 1 (unless it is below 0.5), categories have a column for each frequent
    level; distances are Euclidean. A neighbour at the distance d has a vote of weight
    ``w * (u / d)**2``, where w is its sample weight and u the usual distance of the
    farthest (the median over the rows). The class prior votes too, like as many
    neighbours at the usual distance.

    Parameters
    ----------
    rows : Rows
        Training rows as they came, with their sample weights. Of more than 16,384 a
        sample is kept.
    class_prior : ndarray of shape (n_classes,)
    n_neighbors : int
    rng : numpy.random.Generator
        Draws the sample.
    """

    def __init__(
        self,
        rows: Rows,
        class_prior: NDArray[np.float64],
        n_neighbors: int,
        rng: np.random.Generator,
    ) -> None:
        X, weight = rows.of(rows.X), rows.of(rows.weight)
        self.kept = sample(len(rows), _MOST_KEPT, rng)
        self.n_neighbors = min(n_neighbors, len(self.kept) - 1)
        self.class_prior = class_prior
        kept, sizes = _dense(X[self.kept]), rows.columns.n_categories
        self.coordinates = _Coordinates(
            kept, weight[self.kept], sizes or [0] * X.shape[1]
        )
        self.points = self.coordinates.of(kept)
        self.search = NearestNeighbors(n_neighbors=self.n_neighbors).fit(self.points)
        codes = rows.of(rows.codes)[self.kept]
        self.votes = np.eye(len(class_prior))[codes]
        self.votes *= (weight[self.kept] / weight[self.kept].mean())[:, None]
        few = self.points[sample(len(self.kept), _FEW, rng)]
        # each is the nearest to itself
        farthest = self.search.kneighbors(few, self.n_neighbors + 1)[0][:, -1]
        self.distance = float(np.median(farthest)) or 1.0  # 0 where most rows repeat

    def evidence(self, X: Any) -> NDArray[np.float64]:
        """Give what rows' neighbours add to their log posteriors.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, n_features)

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            ``log share - log prior`` of each class among the neighbours.
        """
        parts = []
        for rows in self._blocks(X):
            points = self.coordinates.of(_dense(X[rows]))
            found = self.search.kneighbors(points, return_distance=False)
            parts.append(self._log_odds(points, found))
        return np.concatenate(parts)

    def evidence_within(
        self, X: Any, positions: NDArray[np.intp] | None = None
    ) -> NDArray[np.float64]:
        """Give the same for training rows, none of which is its own neighbour.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, n_features)
        positions : ndarray of int of shape (n_rows,) or None, default=None
            Which of the training rows they are; None is all.
        """
        n_found = self.n_neighbors + 1
        positions = np.arange(X.shape[0]) if positions is None else positions
        parts = []
        for rows in self._blocks(X):
            points = self.coordinates.of(_dense(X[rows]))
            found = self.search.kneighbors(points, n_found, return_distance=False)
            is_self = self.kept[found] == positions[rows, None]
            is_self[~is_self.any(axis=1), -1] = True  # then the farthest is left out
            others = found[~is_self].reshape(len(points), self.n_neighbors)
            parts.append(self._log_odds(points, others))
        return np.concatenate(parts)

    def _blocks(self, X: Any) -> list[slice]:
        width = max(len(self.coordinates.deviation), len(self.class_prior))
        step = max(1, _BLOCK_VALUES // (self.n_neighbors * width))
        return [slice(i, i + step) for i in range(0, X.shape[0], step)]

    def _log_odds(
        self, points: NDArray[np.float64], found: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        # not the distances of the search, whose last bits depend on the rows around
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
    """Where rows lie, so that distances between them mean something.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    sample_weight : ndarray of shape (n_rows,)
    n_categories : sequence of int
        One for each column: 0 for numbers, else the number of codes.
    """

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
        """Place rows."""
        return self.input(torch.as_tensor(X).double()).numpy() / self.deviation


def fit_weight(
    log_posterior: NDArray[np.float64],
    evidence: NDArray[np.float64],
    codes: NDArray[np.integer],
    sample_weight: NDArray,
) -> float:
    """Fit what neighbours' evidence is multiplied by before it is added.

    Parameters
    ----------
    log_posterior, evidence : ndarray of shape (n_rows, n_classes)
        Of rows that neither the network nor the neighbours know.
    codes : ndarray of shape (n_rows,)
        Class codes.
    sample_weight : ndarray of shape (n_rows,)
        Weights of the rows; only as many rows count as their effective number,
        ``sum(w)**2 / sum(w**2)``.

    Returns
    -------
    float
        From 0 to 1.5, of the least log loss; 0 if that gains no more than the log of
        the number of rows, twice what Schwarz' criterion asks of a parameter.
    """
    weight = effective_weight(sample_weight)
    at = np.arange(len(codes)), codes

    def loss(factor: float) -> float:
        return -weight @ log_softmax(log_posterior + factor * evidence, axis=1)[at]

    bounds = 0.0, _LARGEST_WEIGHT
    factor = float(minimize_scalar(loss, bounds=bounds, method="bounded").x)
    is_worth_it = loss(0.0) - loss(factor) > np.log(weight.sum())
    return factor if is_worth_it else 0.0


def _dense(X: Any) -> NDArray:
    return X.toarray() if sparse.issparse(X) else X


def sample(n_rows: int, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw at most so many rows."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(rng.choice(n_rows, most, replace=False))

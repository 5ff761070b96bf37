"""The evidence of the nearest training rows, as a torch module.

It computes :meth:`imbalnet.neighbors.Neighbors.evidence` with operations that
torch.export and ONNX support.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbalnet.neighbors import NEAREST, Neighbors

# Number of candidates, in addition to the neighbours, with exact distances.
_SPARE = 16
# Candidates are found by squared distances in steps of this size, relative to the usual
# squared distance. They are clipped to 2**39 steps, so that the steps and the number of
# a point fit into one float64.
_STEP = 2.0**-26
_MOST_STEPS = 2.0**39


class NeighborEvidence(nn.Module):
    """Log odds of the classes among the nearest training rows, times their weight.

    The neighbours are the rows with the least exact distance; of rows with equal
    distances, the first ones. Candidates are found by a matrix product.

    **Shape**

    - input: ``(batch, in_features)``, the features of the network
    - output: ``(batch, n_classes)``, in float64

    Parameters
    ----------
    neighbors : Neighbors
        The training rows that the fitted model keeps.
    weight : float
        Factor of the evidence.
    """

    points: Tensor
    number: Tensor
    square: Tensor
    codes: Tensor
    votes: Tensor
    deviation: Tensor
    class_prior: Tensor

    def __init__(self, neighbors: Neighbors, weight: float) -> None:
        super().__init__()
        self.n_neighbors, self.weight = neighbors.n_neighbors, weight
        self.distance = neighbors.distance
        self.input = copy.deepcopy(neighbors.coordinates.input)
        self._set("points", neighbors.points)
        self._set("square", np.square(neighbors.points, dtype=np.float64).sum(axis=1))
        self._set("deviation", neighbors.coordinates.deviation)
        self._set("votes", neighbors.weight)
        self._set("class_prior", neighbors.class_prior)
        self._set("number", np.arange(len(neighbors.points)))
        self.register_buffer("codes", torch.tensor(neighbors.codes, dtype=torch.long))

    def _set(self, name: str, values: NDArray) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the evidence for the classes of each row."""
        rows = (self.input(x.double()) / self.deviation).float().double()
        near = self._candidates(rows)
        square = (self.points[near] - rows.unsqueeze(1)).square().sum(dim=-1)
        scaled = (square / self.distance**2).clamp(min=NEAREST**2)
        votes = self._is_neighbor(square, near) * self.votes[near] / scaled
        is_class = self.codes[near].unsqueeze(-1) == torch.arange(
            len(self.class_prior), device=near.device
        )
        votes = (votes.unsqueeze(-1) * is_class).sum(dim=1)
        votes = votes + self.n_neighbors * self.class_prior
        share = votes / votes.sum(dim=1, keepdim=True)
        is_known = self.class_prior > 0
        ratio = share / torch.where(is_known, self.class_prior, 1.0)
        return self.weight * torch.where(is_known, ratio, 1.0).log()

    def _candidates(self, rows: Tensor) -> Tensor:
        """Return the numbers of the nearest points, by distances in steps."""
        square = self.square - 2 * rows @ self.points.T
        square = square + rows.square().sum(dim=1, keepdim=True)
        steps = (square / (_STEP * self.distance**2)).clamp(0.0, _MOST_STEPS).round()
        n_points = len(self.points)
        n_found = min(self.n_neighbors + _SPARE, n_points)
        # the number of the point breaks ties, because that of topk is not defined
        place = (steps * n_points + self.number).topk(n_found, largest=False)[0]
        return place.fmod(n_points).long()

    def _is_neighbor(self, square: Tensor, near: Tensor) -> Tensor:
        """Return which candidates are among the nearest, by exact distances."""
        one, other = square.unsqueeze(2), square.unsqueeze(1)
        is_before = (other < one) | (
            (other == one) & (near.unsqueeze(1) < near.unsqueeze(2))
        )
        return is_before.sum(dim=2) < self.n_neighbors

"""Exact nearest-neighbour search; a row's result does not depend on other rows.

:mod:`imbalnet.neighbors` uses it. scikit-learn's search breaks ties by the last bits of
a matrix product, which depend on the other rows of the query.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._blocks import row_blocks

# Most values of a block's matrix product, and of its differences of coordinates.
_BLOCK_VALUES = 2**18
# The bound is searched for among the least distances of groups of so many points.
_GROUP = 16
_ROUNDING = 2.0**-24  # unit roundoff of float32


class NearestRows:
    """Find the rows of a table that are nearest to others, by Euclidean distance.

    Ties are broken by the smaller index. A matrix product in float32 finds a few
    candidates; their distances in float64 decide.

    Parameters
    ----------
    points : ndarray of float32, shape (n_points, n_coordinates)
        The table. Its values and their squares must be finite.
    """

    def __init__(self, points: NDArray[np.float32]) -> None:
        self.points = points
        square = np.square(points, dtype=np.float64).sum(axis=1)
        self._longest = float(np.sqrt(square.max(initial=0.0)))
        width = -(-len(points) // _GROUP) * _GROUP
        self._table = np.zeros((points.shape[1] + 1, width), dtype=np.float32)
        self._table[:-1, : len(points)] = -2 * points.T
        self._table[-1] = np.inf  # padding is infinitely far away
        self._table[-1, : len(points)] = square

    def __getstate__(self) -> dict[str, Any]:
        return {"points": self.points}

    def __setstate__(self, state: dict[str, Any]) -> None:
        NearestRows.__init__(self, state["points"])

    def find(
        self, rows: NDArray[np.float32], n_neighbors: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the neighbours of rows, the nearest first.

        Parameters
        ----------
        rows : ndarray of float32, shape (n_rows, n_coordinates)
        n_neighbors : int
            At most the number of points.

        Returns
        -------
        found : ndarray of int, shape (n_rows, n_neighbors)
            Indices of the points.
        square : ndarray of shape (n_rows, n_neighbors)
            Their squared distances.
        """
        found = np.empty((len(rows), n_neighbors), dtype=np.intp)
        square = np.empty((len(rows), n_neighbors))
        if not found.size:
            return found, square
        n_columns = self._table.shape[1]
        for block in row_blocks(len(rows), n_columns, _BLOCK_VALUES):
            found[block], square[block] = self._find(rows[block], n_neighbors)
        return found, square

    def _find(
        self, rows: NDArray[np.float32], n_neighbors: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        row, point = self._candidates(rows, n_neighbors)
        square = self._squares(rows, row, point)
        order = np.lexsort((square, row))  # stable: ties stay in order of the index
        starts = np.searchsorted(row, np.arange(len(rows)))
        chosen = order[starts[:, None] + np.arange(n_neighbors)]
        return point[chosen], square[chosen]

    def _candidates(
        self, rows: NDArray[np.float32], n_neighbors: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return pairs (row, point) that include all neighbours, in ascending order.

        The products are squared distances, less the square of each row itself.
        """
        ones = np.ones((len(rows), 1), dtype=np.float32)
        products = np.concatenate([rows, ones], axis=1) @ self._table
        bound = self._bound(products, n_neighbors) + self._slack(rows)
        is_near = products <= bound[:, None]
        row, point = np.divmod(np.flatnonzero(is_near), products.shape[1])
        return row, point

    def _bound(self, products: NDArray, n_neighbors: int) -> NDArray[np.float32]:
        """Return a bound on the `n_neighbors` smallest products of each row.

        It is the `n_neighbors`-th smallest of the minima of disjoint groups.
        """
        n_groups = products.shape[1] // _GROUP
        if n_groups >= n_neighbors:
            products = products.reshape(len(products), _GROUP, n_groups).min(axis=1)
        return np.partition(products, n_neighbors - 1, axis=1)[:, n_neighbors - 1]

    def _slack(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bound the rounding error of two products in float32 (Higham, 2002, ch. 3)."""
        length = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1))
        size = self._longest * (self._longest + 2 * length)
        n_terms = self.points.shape[1] + 4
        return (2 * n_terms * _ROUNDING * size).astype(np.float32)

    def _squares(
        self, rows: NDArray[np.float32], row: NDArray[np.intp], point: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Compute the squared distances of pairs in float64."""
        square = np.empty(len(row))
        for pairs in row_blocks(len(row), rows.shape[1], _BLOCK_VALUES):
            apart = np.subtract(
                self.points[point[pairs]], rows[row[pairs]], dtype=np.float64
            )
            square[pairs] = np.square(apart, out=apart).sum(axis=1)
        return square

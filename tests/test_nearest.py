"""Nearest rows: exact, ties by number, whatever other rows are asked for."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from imbalnet import _nearest
from imbalnet._nearest import NearestRows


def by_sorting(points, rows, n_neighbors):
    """All distances in float64, sorted by distance, then by number."""
    apart = points.astype(np.float64) - rows.astype(np.float64)[:, None]
    square = np.square(apart).sum(axis=-1)
    found = np.argsort(square, axis=1, kind="stable")[:, :n_neighbors]
    return found, np.take_along_axis(square, found, axis=1)


def normal(rng, n_points, n_rows):
    return rng.normal(size=(n_points, 20)), rng.normal(size=(n_rows, 20))


def far_away(rng, n_points, n_rows):
    """Rows that float32 products cannot tell apart."""
    points = 1000 + rng.normal(size=(n_points, 3))
    return points, points[rng.integers(0, n_points, n_rows)] + 1e-3


def flags(rng, n_points, n_rows):
    """Nearly all rows are as far as many others."""
    return rng.integers(0, 2, (n_points, 12)), rng.integers(0, 2, (n_rows, 12))


def copies(rng, n_points, n_rows):
    """Each row many times, in 30 coordinates."""
    some = rng.normal(size=(5, 30))
    return some[rng.integers(0, 5, n_points)], some[rng.integers(0, 5, n_rows)]


def one_place(rng, n_points, n_rows):
    del rng
    return np.ones((n_points, 4)), np.ones((n_rows, 4))


def no_coordinates(rng, n_points, n_rows):
    del rng
    return np.empty((n_points, 0)), np.empty((n_rows, 0))


TABLES = [normal, far_away, flags, copies, one_place, no_coordinates]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("n_points", "n_neighbors"), [(9, 9), (100, 5), (3000, 16)])
def test_nearest_rows_are_those_of_sorted_distances(table, n_points, n_neighbors, rng):
    points, rows = (part.astype(np.float32) for part in table(rng, n_points, 40))
    found, square = NearestRows(points).find(rows, n_neighbors)
    expected, of_expected = by_sorting(points, rows, n_neighbors)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(square, of_expected, rtol=1e-12)


@pytest.mark.parametrize("table", TABLES)
def test_nearest_rows_do_not_depend_on_blocks_or_company(table, rng, monkeypatch):
    points, rows = (part.astype(np.float32) for part in table(rng, 500, 33))
    search = NearestRows(points)
    together = search.find(rows, 7)
    monkeypatch.setattr(_nearest, "_BLOCK_VALUES", 1200)
    in_blocks = search.find(rows, 7)
    alone = [search.find(row[None], 7) for row in rows]
    for i in range(2):
        np.testing.assert_array_equal(together[i], in_blocks[i])
        np.testing.assert_array_equal(
            together[i], np.concatenate([one[i] for one in alone])
        )


def test_nearest_rows_are_pickled_once(rng):
    search = NearestRows(rng.normal(size=(1000, 10)).astype(np.float32))
    stored = pickle.dumps(search)
    assert len(stored) < 1.1 * search.points.nbytes
    rows = search.points[:10]
    np.testing.assert_array_equal(
        pickle.loads(stored).find(rows, 3)[0], search.find(rows, 3)[0]
    )


def test_no_rows_and_no_neighbours_are_found_too(rng):
    points = rng.normal(size=(10, 2)).astype(np.float32)
    assert NearestRows(points).find(points[:0], 3)[0].shape == (0, 3)
    assert NearestRows(points[:0]).find(points, 0)[0].shape == (10, 0)

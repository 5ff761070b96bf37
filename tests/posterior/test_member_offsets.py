"""Offsets of the members of an ensemble."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.metrics import average_precision_score

from imbalnet.posterior import fit_member_offsets


def members_of_unlike_levels(rng, n_classes=2, n_members=4, n_rows=2000, spread=2.0):
    """Log posteriors of one truth, each member's moved by a constant of its own."""
    scores = rng.normal(size=(n_rows, n_classes)) * 2 - np.arange(n_classes)
    truth = log_softmax(scores, axis=1)
    folds = rng.integers(0, n_members, n_rows)
    levels = rng.normal(size=(n_members, n_classes)) * spread
    moved = log_softmax(truth + levels[folds], axis=1)
    return truth, moved, folds


# Of more than 20 classes, offsets are fitted in another way.
@pytest.mark.parametrize("n_classes", [2, 5, 21, 60])
def test_offsets_bring_each_fold_to_the_prior(n_classes, rng):
    truth, moved, folds = members_of_unlike_levels(rng, n_classes)
    prior = np.exp(truth).mean(axis=0)
    offsets = fit_member_offsets(moved, folds, 4, prior, np.ones(2000), scale=1e3)
    p = softmax(moved + offsets[folds], axis=1)
    for j in range(4):
        np.testing.assert_allclose(
            p[folds == j].mean(axis=0), prior, rtol=1e-4, atol=1e-8
        )
    np.testing.assert_allclose(offsets.sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 4, 25])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_offsets_are_scipys_optimum(n_classes, scale, rng):
    _, moved, folds = members_of_unlike_levels(rng, n_classes, n_rows=200)
    prior = rng.dirichlet(np.ones(n_classes))
    weight = rng.uniform(0.5, 2, 200)
    own = weight * weight.sum() / (weight**2).sum()
    offsets = fit_member_offsets(moved, folds, 4, prior, weight, scale)
    for j in range(4):
        scores, w = moved[folds == j], own[folds == j]

        def objective(d, scores=scores, w=w):
            fit = w @ (logsumexp(scores + d, axis=1) - prior @ d)
            return fit + 0.5 * np.square(d / scale).sum()

        best = minimize(objective, np.zeros(n_classes), tol=1e-7).x
        np.testing.assert_allclose(offsets[j], best - best.mean(), atol=1e-4)


def test_offsets_of_many_classes_are_those_of_newtons_method(rng, monkeypatch):
    _, moved, folds = members_of_unlike_levels(rng, n_classes=40, n_rows=1200)
    prior, weight = rng.dirichlet(np.ones(40)), rng.uniform(0, 2, 1200)
    weight[folds == 2] = 0.0
    found = fit_member_offsets(moved, folds, 5, prior, weight)
    monkeypatch.setattr("imbalnet.posterior.member_offsets._MOST_CURVATURES", 40)
    expected = fit_member_offsets(moved, folds, 5, prior, weight)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not found[[2, 4]].any()


def test_members_on_one_level_rank_each_others_rows(rng):
    truth, moved, folds = members_of_unlike_levels(rng)
    y = rng.random(2000) < np.exp(truth[:, 1])
    prior = np.array([1 - y.mean(), y.mean()])
    offsets = fit_member_offsets(moved, folds, 4, prior, np.ones(2000))
    aligned = log_softmax(moved + offsets[folds], axis=1)
    best, before, after = (
        average_precision_score(y, each[:, 1]) for each in (truth, moved, aligned)
    )
    assert before < best - 0.05
    assert after > best - 0.01


def test_small_folds_move_little(rng):
    moved = np.log([[0.9, 0.1]] * 3 + [[0.9, 0.1]] * 3000)
    folds = np.repeat([0, 1], [3, 3000])
    offsets = fit_member_offsets(moved, folds, 2, np.array([0.5, 0.5]), np.ones(3003))
    assert 0 < offsets[0, 1] < 0.7
    assert offsets[1, 1] == pytest.approx(np.log(9) / 2, abs=0.01)


def test_rows_of_weight_zero_and_empty_folds_move_nothing(rng):
    _, moved, folds = members_of_unlike_levels(rng, n_rows=100)
    prior, weight = np.array([0.7, 0.3]), (folds != 1).astype(float)
    offsets = fit_member_offsets(moved, folds, 6, prior, weight)
    assert not offsets[[1, 4, 5]].any()
    assert offsets[[0, 2, 3]].all()


@pytest.mark.parametrize("n_classes", [2, 30])
@pytest.mark.parametrize("sure", [50.0, 700.0])
def test_sure_members_give_finite_offsets(sure, n_classes, rng):
    scores = sure * np.eye(n_classes)[rng.integers(0, n_classes, 60)]
    folds = np.arange(60) % 3
    prior = np.array([0.99, *[0.01 / (n_classes - 1)] * (n_classes - 1)])
    log_posterior = log_softmax(scores, axis=1)
    offsets = fit_member_offsets(log_posterior, folds, 3, prior, np.ones(60))
    assert np.isfinite(offsets).all()


@pytest.mark.parametrize("n_classes", [3, 30])
def test_members_that_cannot_give_a_class_stay_finite(n_classes):
    """A posterior of zero, as of a class that a member never saw."""
    with np.errstate(divide="ignore"):
        log_posterior = np.log([[0.8, 0.2, *[0.0] * (n_classes - 2)]] * 20)
    prior = np.array([0.7, 0.2, *[0.1 / (n_classes - 2)] * (n_classes - 2)])
    offsets = fit_member_offsets(
        log_posterior, np.zeros(20, dtype=int), 1, prior, np.ones(20)
    )
    assert np.isfinite(offsets).all()

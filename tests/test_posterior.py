"""Prior correction against Bayes' theorem."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import norm

from imbalnet.posterior import (
    effective_prior,
    fit_offset,
    resolve_prior,
    shift_prior,
)

CLASSES = np.array(["no", "yes"])


def gaussian_log_posterior(x, prior):
    """log p(class | x) of N(-1, 1) and N(1, 1), by Bayes' theorem."""
    joint = norm.logpdf(x[:, None], loc=[-1.0, 1.0]) + np.log(prior)
    return log_softmax(joint, axis=1)


def test_effective_prior_multiplies_counts_weights_and_rates():
    prior = effective_prior([60, 30, 10], [1, 2, 3], [1, 1, 4])
    np.testing.assert_allclose(prior, np.array([60, 60, 120]) / 240)


def test_shift_prior_equals_bayes(rng):
    x = rng.normal(scale=3, size=100)
    source, target = np.array([0.5, 0.5]), np.array([0.97, 0.03])
    np.testing.assert_allclose(
        shift_prior(gaussian_log_posterior(x, source), source, target),
        gaussian_log_posterior(x, target),
        atol=1e-12,
    )


def test_shift_prior_there_and_back_changes_nothing(rng):
    log_posterior = log_softmax(rng.normal(scale=5, size=(50, 4)), axis=1)
    a, b = rng.dirichlet(np.ones(4), size=2)
    there = shift_prior(log_posterior, a, b)
    np.testing.assert_allclose(shift_prior(there, b, a), log_posterior, atol=1e-12)


def test_shift_prior_keeps_the_ranking_of_two_classes(rng):
    log_posterior = log_softmax(rng.normal(scale=5, size=(50, 2)), axis=1)
    moved = shift_prior(log_posterior, [0.5, 0.5], [0.999, 0.001])
    assert (np.argsort(moved[:, 1]) == np.argsort(log_posterior[:, 1])).all()


def test_shift_prior_leaves_a_class_that_the_source_lacks():
    log_posterior = np.log([[0.6, 0.4 - 1e-9, 1e-9]])
    moved = np.exp(shift_prior(log_posterior, [0.6, 0.4, 0.0], [0.3, 0.3, 0.4]))
    assert np.isfinite(moved).all()
    assert moved[0, 2] < 1e-8


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (None, None),
        ("train", [0.9, 0.1]),
        ("uniform", [0.5, 0.5]),
        ({"yes": 0.2, "no": 0.8}, [0.8, 0.2]),
    ],
)
def test_resolve_prior(target, expected):
    prior = resolve_prior(target, CLASSES, np.array([0.9, 0.1]))
    assert expected is None if prior is None else prior.tolist() == expected


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"yes": 0.2}, "a probability for each of the classes"),
        ({"yes": 0.2, "maybe": 0.8}, "a probability for each of the classes"),
        ({"yes": 0.2, "no": 0.2}, "they sum to 0.4"),
        ({"yes": 1.2, "no": -0.2}, "at least 0"),
        ("training", "must be None, 'train'"),
    ],
)
def test_resolve_prior_rejects(target, message):
    with pytest.raises(ValueError, match=message):
        resolve_prior(target, CLASSES, np.array([0.9, 0.1]))


def test_fit_offset_finds_a_shift_in_large_data(rng):
    x = rng.normal(size=20_000) * 2
    log_posterior = gaussian_log_posterior(x, [0.9, 0.1])
    codes = (rng.random(len(x)) < np.exp(log_posterior[:, 1])).astype(int)
    biased = log_posterior + np.array([0.0, 0.7])
    offset = fit_offset(biased, codes, np.ones(len(x)))
    assert offset[1] - offset[0] == pytest.approx(-0.7, abs=0.1)
    assert offset.sum() == pytest.approx(0.0, abs=1e-12)


def test_fit_offset_matches_the_mean_probability(rng):
    """Without its prior, the score equations say: mean probability = class share."""
    log_posterior = log_softmax(rng.normal(size=(500, 3)), axis=1)
    codes = rng.integers(0, 3, size=500)
    offset = fit_offset(log_posterior, codes, np.ones(500), scale=1e6)
    probability = np.exp(log_softmax(log_posterior + offset, axis=1))
    shares = np.bincount(codes) / 500
    np.testing.assert_allclose(probability.mean(0), shares, atol=1e-4)


def test_fit_offset_barely_moves_on_few_rows(rng):
    log_posterior = np.log(np.tile([0.9, 0.1], (12, 1)))
    codes = np.array([1, 1] + [0] * 10)
    offset = fit_offset(log_posterior, codes, np.ones(12))
    assert 0 < offset[1] - offset[0] < 0.4  # two of twelve alone would say 0.59


def test_fit_offset_gradient_holds_for_members(rng):
    """Averaged members: the minimum is lower than at any neighbour."""
    members = log_softmax(rng.normal(size=(200, 5, 3)), axis=-1)
    codes = rng.integers(0, 3, size=200)

    def log_loss(offset):
        mean = np.exp(log_softmax(members + offset, axis=-1)).mean(1)
        return -np.log(mean[np.arange(200), codes]).sum()

    best = fit_offset(members, codes, np.ones(200), scale=1e6)
    for step in 0.05 * rng.normal(size=(10, 3)):
        assert log_loss(best) < log_loss(best + step - step.mean())


def test_fit_offset_leaves_classes_alone_that_the_rows_lack(rng):
    log_posterior = log_softmax(rng.normal(size=(100, 3)), axis=1)
    codes = rng.integers(0, 2, size=100)
    offset = fit_offset(log_posterior, codes, np.ones(100))
    assert offset[2] == 0.0
    assert offset[:2].any()
    assert not fit_offset(log_posterior, np.zeros(100, dtype=int), np.ones(100)).any()

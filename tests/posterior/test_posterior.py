"""Prior correction, its estimation and decisions, against Bayes' theorem."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax
from scipy.stats import norm

from imbalnet.posterior import (
    bayes_threshold,
    cheapest_class,
    effective_prior,
    estimate_prior,
    fit_offset,
    fit_temperature,
    least_log_loss,
    resolve_costs,
    resolve_prior,
    shift_prior,
    shift_probabilities,
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


def test_shift_prior_rejects_priors_by_frequency():
    prior = pd.Series(["fine"] * 8 + ["best"] * 2).value_counts(normalize=True)
    even = np.log([[0.5, 0.5]])
    with pytest.raises(ValueError, match=r"target_prior.sort_index\(axis='index'\)"):
        shift_prior(even, [0.5, 0.5], prior)
    shifted = np.exp(shift_prior(even, [0.5, 0.5], prior.sort_index()))
    np.testing.assert_allclose(shifted, [[0.2, 0.8]])


@pytest.mark.parametrize("axis", ["index", "columns"])
def test_cheapest_class_rejects_frames_in_another_order(axis):
    costs = pd.DataFrame([[0, 1], [9, 0]], ["best", "fine"], ["best", "fine"])
    assert cheapest_class([0.05, 0.3], costs).tolist() == [0, 1]
    with pytest.raises(ValueError, match=rf"cost_matrix.sort_index\(axis='{axis}'\)"):
        cheapest_class([0.05, 0.3], costs.sort_index(axis=axis, ascending=False))


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
        ([0.7, 0.3], [0.7, 0.3]),
        (np.array([0.7, 0.3]), [0.7, 0.3]),
        (pd.Series({"yes": 0.2, "no": 0.8}), [0.8, 0.2]),
        (pl.Series([0.7, 0.3]), [0.7, 0.3]),
        ([1.0, 0.0], [1.0, 0.0]),
        ([0.7, 0.3000005], [0.7, 0.3000005]),  # rounded
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
        ("training", "must be 'train'"),
        (np.array([0.2, 0.3, 0.5]), "or an array of these probabilities"),
        (0.2, "must be 'train'"),
        ([0.2, 0.2], "they sum to 0.4"),
        ({"yes": "a", "no": 0.8}, "must be 'train'"),
        (
            pd.Series([0.2, 0.8]),
            r"target_prior has the labels \[0, 1\], but must .* \['no', 'yes'\]",
        ),
        (
            pd.Series([0.2, 0.3, 0.5], index=["yes", "no", "no"]),
            r"target_prior must hold each label once.*\['yes', 'no', 'no'\]",
        ),
        (pd.DataFrame({"yes": [0.2], "no": [0.8]}), "must be 'train'"),
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


@pytest.mark.parametrize("scale", [0.2, 1.3])
@pytest.mark.parametrize("unit", [1.0, 1e-6])
def test_fit_offset_finds_scipys_optimum(rng, scale, unit):
    """Whatever the unit of the weights."""
    members = log_softmax(rng.normal(size=(80, 2, 3)), axis=-1)
    codes, weight = rng.integers(0, 3, size=80), rng.uniform(0.5, 2, 80)
    own = weight * weight.sum() / (weight**2).sum()

    def loss(offset):
        mean = np.exp(log_softmax(members + offset, axis=-1)).mean(1)
        fit = -own @ np.log(mean[np.arange(80), codes])
        return fit + 0.5 * np.square(offset / scale).sum()

    best = minimize(loss, np.zeros(3), tol=1e-9).x
    offset = fit_offset(members, codes, unit * weight, scale)
    np.testing.assert_allclose(offset, best, atol=1e-4)
    assert offset.sum() == pytest.approx(0, abs=1e-12)


def test_fit_offset_leaves_classes_alone_that_the_rows_lack(rng):
    log_posterior = log_softmax(rng.normal(size=(100, 3)), axis=1)
    codes = rng.integers(0, 2, size=100)
    offset = fit_offset(log_posterior, codes, np.ones(100))
    assert offset[2] == 0.0
    assert offset[:2].any()
    assert not fit_offset(log_posterior, np.zeros(100, dtype=int), np.ones(100)).any()


@pytest.mark.parametrize("shape", [(200, 3), (200, 5, 3)], ids=["single", "members"])
@pytest.mark.parametrize("block_values", [1, 100, 2999])
def test_fit_offset_in_blocks_equals_all_at_once(rng, monkeypatch, shape, block_values):
    log_posterior = log_softmax(2 * rng.normal(size=shape), axis=-1)
    codes, weight = rng.integers(0, 3, size=200), rng.random(200)
    at_once = fit_offset(log_posterior, codes, weight)
    monkeypatch.setattr("imbalnet._blocks._CACHED_VALUES", block_values)
    in_blocks = fit_offset(log_posterior, codes, weight)
    np.testing.assert_allclose(in_blocks, at_once, rtol=0, atol=1e-12)
    assert abs(at_once).max() > 0.01


def normal_rows(n_rows, prior, locations, seed):
    """Rows of normals of deviation 1, drawn under a class prior."""
    rng = np.random.default_rng(seed)
    return rng.normal(np.asarray(locations)[rng.choice(len(prior), n_rows, p=prior)])


def normal_posterior(x, prior, locations):
    """p(class | x) by Bayes' theorem."""
    joint = norm.pdf(x[:, None], loc=locations) * prior
    return joint / joint.sum(axis=1, keepdims=True)


def test_shift_probabilities_equals_shift_prior(rng):
    probabilities = rng.dirichlet(np.ones(4), size=(20, 3))
    a, b = rng.dirichlet(np.ones(4), size=2)
    np.testing.assert_allclose(
        shift_probabilities(probabilities, a, b),
        np.exp(shift_prior(np.log(probabilities), a, b)),
        rtol=1e-12,
    )


def test_shift_probabilities_equals_bayes():
    x = normal_rows(200, [0.5, 0.5], [-1, 1], seed=0)
    source, target = [0.5, 0.5], [0.97, 0.03]
    np.testing.assert_allclose(
        shift_probabilities(normal_posterior(x, source, [-1, 1]), source, target),
        normal_posterior(x, target, [-1, 1]),
        rtol=1e-12,
    )


@pytest.mark.parametrize("n_classes", [2, 3, 500])
def test_shift_probabilities_there_and_back_changes_nothing(n_classes, rng):
    """To the last bits, also for probabilities of 1e-200 and of 0."""
    probabilities = rng.dirichlet(np.ones(n_classes), size=100)
    probabilities[:10, 0] = 1e-200
    probabilities[10:20, 0] = 0.0
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    a, b = rng.dirichlet(np.ones(n_classes), size=2)
    there = shift_probabilities(probabilities, a, b)
    back = shift_probabilities(there, b, a)
    np.testing.assert_allclose(back, probabilities, rtol=1e-13)
    np.testing.assert_allclose(there.sum(axis=1), 1.0, rtol=1e-14)


def test_shift_probabilities_of_the_positive_class_is_the_second_column(rng):
    positive = np.r_[0.0, 1.0, 1e-30, rng.random(50)]
    both = np.stack([1 - positive, positive], axis=1)
    moved = shift_probabilities(positive, [0.5, 0.5], [0.99, 0.01])
    assert moved.shape == positive.shape
    np.testing.assert_array_equal(
        moved, shift_probabilities(both, [0.5, 0.5], [0.99, 0.01])[:, 1]
    )
    assert moved[2] == pytest.approx(1e-30 / 99, rel=1e-12)


def test_shift_probabilities_keeps_exact_zeros_and_ones(rng):
    corners = np.eye(3)[rng.integers(0, 3, size=20)]
    moved = shift_probabilities(corners, [0.2, 0.3, 0.5], [0.9, 0.09, 0.01])
    np.testing.assert_array_equal(moved, corners)
    assert shift_probabilities([0.0, 1.0], [0.5, 0.5], [0.9, 0.1]).tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (2, 5, 3), (3,), (0,)])
def test_shift_probabilities_keeps_the_shape(shape):
    prior = [0.5, 0.5] if len(shape) == 1 else [0.2, 0.3, 0.5]
    probabilities = np.full(shape, 1 / 3)
    assert shift_probabilities(probabilities, prior, prior).shape == shape


def test_shift_probabilities_accepts_float32_and_rounded_rows():
    rounded = np.array([[0.333, 0.333, 0.333]], dtype=np.float32)
    third = [1 / 3, 1 / 3, 1 / 3]
    np.testing.assert_allclose(
        shift_probabilities(rounded, third, [0.5, 0.3, 0.2]), [[0.5, 0.3, 0.2]]
    )


def test_shift_probabilities_leaves_a_class_that_the_source_lacks():
    moved = shift_probabilities([[0.5, 0.5, 0.0]], [0.6, 0.4, 0.0], [0.3, 0.3, 0.4])
    assert moved[0, 2] == 0.0
    assert moved.sum() == pytest.approx(1.0)


BAD_PROBABILITIES = [
    (0.5, "a single number"),
    ([0.5, 1.01], "between 0 and 1, but hold 1.01"),
    ([0.5, -0.1], "between 0 and 1, but hold -0.1"),
    ([0.5, np.nan], "between 0 and 1, but hold nan"),
    ([[0.5, 0.6]], "sum to 1 over the last axis, the classes, but a row sums to 1.1"),
    ([[-0.7, 1.7]], "between 0 and 1, but hold -0.7"),
    (np.log([[0.5, 0.5]]), "log probabilities by exp"),
]


@pytest.mark.parametrize(("probabilities", "message"), BAD_PROBABILITIES)
@pytest.mark.parametrize(
    "function",
    [
        lambda p: shift_probabilities(p, [0.5, 0.5], [0.9, 0.1]),
        lambda p: estimate_prior(p, [0.5, 0.5]),
        lambda p: cheapest_class(p, [[0, 1], [1, 0]]),
    ],
)
def test_what_is_no_probability_is_rejected(function, probabilities, message):
    with pytest.raises(ValueError, match=message):
        function(probabilities)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ([1.0], [0.5, 0.5], r"source_prior must hold one .* 2 classes .* shape \(1,\)"),
        (
            [0.5, 0.5],
            0.1,
            r"target_prior must hold one .* two classes take \[1 - p, p\]",
        ),
        ([0.5, 0.5], [0.5, 0.6], r"target_prior=\[0.5, 0.6\] must hold probabilities"),
        ([90, 10], [0.5, 0.5], "counts become a prior by counts / counts.sum"),
        ([0.5, 0.5], [1.5, -0.5], "target_prior=.* of at least 0"),
        ([0.5, np.nan], [0.5, 0.5], "source_prior=.* must hold probabilities"),
        ([0.5, 0.5], [1.0, 0.0], "is 0 for every class that some rows"),
    ],
)
def test_shift_probabilities_rejects_priors(source, target, message):
    with pytest.raises(ValueError, match=message):
        shift_probabilities([0.5, 1.0], source, target)


def log_likelihood(prior, probabilities, source):
    """Of the rows, p(x | class) being p(class | x) / source up to a factor."""
    return np.log((probabilities / source) @ prior).sum()


PRIORS = [
    ([0.95, 0.05], [0.7, 0.3], [-1, 1]),
    ([0.5, 0.5], [0.98, 0.02], [-1, 1]),
    ([0.05, 0.95], [0.6, 0.4], [-0.7, 0.7]),
    ([0.9, 0.08, 0.02], [0.3, 0.3, 0.4], [-2, 0, 2]),
]


@pytest.mark.parametrize(("source", "target", "locations"), PRIORS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_estimate_prior_recovers_the_prior_of_two_and_three_normals(
    source, target, locations, seed
):
    """Within four standard errors, from the curvature of the likelihood."""
    n_rows = 20_000
    x = normal_rows(n_rows, target, locations, seed)
    prior = estimate_prior(normal_posterior(x, source, locations), source)
    density = norm.pdf(x[:, None], loc=locations)
    score = (density[:, :-1] - density[:, -1:]) / (density @ target)[:, None]
    errors = np.sqrt(np.diag(np.linalg.inv(score.T @ score)))
    assert (np.abs(prior - target)[:-1] < 4 * errors).all()
    assert errors.max() < 0.02
    assert prior.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(("source", "target", "locations"), PRIORS)
def test_estimate_prior_equals_direct_maximisation(source, target, locations):
    """SciPy maximises the likelihood over softmax parameters instead."""
    x = normal_rows(500, target, locations, seed=0)
    probabilities = normal_posterior(x, source, locations)
    found = minimize(
        lambda z: -log_likelihood(np.exp(log_softmax(z)), probabilities, source),
        np.zeros(len(source)),
        tol=1e-12,
    )
    prior = estimate_prior(probabilities, source, max_iter=100_000, tol=1e-12)
    np.testing.assert_allclose(prior, np.exp(log_softmax(found.x)), atol=1e-5)


@pytest.mark.parametrize(("source", "target", "locations"), PRIORS)
def test_estimate_prior_is_the_mean_of_the_shifted_probabilities(
    source, target, locations
):
    """The fixed point of Saerens et al., equations 2.8 and 2.9."""
    x = normal_rows(2_000, target, locations, seed=0)
    probabilities = normal_posterior(x, source, locations)
    prior = estimate_prior(probabilities, source, tol=1e-12)
    shifted = shift_probabilities(probabilities, source, prior)
    np.testing.assert_allclose(shifted.mean(axis=0), prior, atol=1e-10)


@pytest.mark.filterwarnings("ignore:estimate_prior did not converge")
@pytest.mark.parametrize(("source", "target", "locations"), PRIORS)
def test_estimate_prior_never_lowers_the_likelihood(source, target, locations):
    x = normal_rows(300, target, locations, seed=0)
    probabilities = normal_posterior(x, source, locations)
    path = [
        estimate_prior(probabilities, source, max_iter=n, tol=0.0) for n in range(30)
    ]
    np.testing.assert_allclose(path[0], source)
    likelihood = [log_likelihood(prior, probabilities, source) for prior in path]
    assert (np.diff(likelihood) >= -1e-9).all()
    assert likelihood[-1] > likelihood[0] + 1


@pytest.mark.filterwarnings("ignore:estimate_prior did not converge")
def test_estimate_prior_takes_one_step_as_the_paper_has_it():
    """The second estimate is the mean of the probabilities."""
    x = normal_rows(100, [0.5, 0.5], [-1, 1], seed=0)
    probabilities = normal_posterior(x, [0.9, 0.1], [-1, 1])
    np.testing.assert_allclose(
        estimate_prior(probabilities, [0.9, 0.1], max_iter=1), probabilities.mean(0)
    )


def test_estimate_prior_takes_the_positive_class_alone(rng):
    positive = rng.random(200)
    both = np.stack([1 - positive, positive], axis=1)
    np.testing.assert_array_equal(
        estimate_prior(positive, [0.6, 0.4]), estimate_prior(both, [0.6, 0.4])
    )


def test_estimate_prior_counts_rows_that_are_certain():
    prior = estimate_prior([0.0, 0.0, 0.0, 1.0], [0.5, 0.5])
    np.testing.assert_allclose(prior, [0.75, 0.25])
    assert estimate_prior(np.ones(5), [0.5, 0.5]).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("n_rows", [1, 10])
def test_estimate_prior_stays_where_the_rows_tell_nothing(n_rows):
    prior = estimate_prior(np.tile([0.7, 0.2, 0.1], (n_rows, 1)), [0.7, 0.2, 0.1])
    np.testing.assert_allclose(prior, [0.7, 0.2, 0.1])


def test_estimate_prior_of_one_row_is_its_likeliest_class():
    """That of the largest likelihood, not of the largest probability."""
    prior = estimate_prior([[0.6, 0.4]], [0.9, 0.1])
    np.testing.assert_allclose(prior, [0.0, 1.0], atol=1e-6)


def test_estimate_prior_finds_none_of_a_class_that_the_source_lacks(rng):
    probabilities = np.zeros((500, 3))
    probabilities[:, :2] = rng.dirichlet([1, 1], size=500)
    two = estimate_prior(probabilities[:, :2], [0.5, 0.5])
    prior = estimate_prior(0.9 * probabilities + [0, 0, 0.1], [0.5, 0.5, 0.0])
    np.testing.assert_allclose(prior, [*two, 0.0])


def test_estimate_prior_warns_where_it_does_not_converge():
    x = normal_rows(500, [0.5, 0.5], [-0.1, 0.1], seed=0)
    probabilities = normal_posterior(x, [0.99, 0.01], [-0.1, 0.1])
    message = r"max_iter=3 iterations .* moves by \S+, more than .* Raise max_iter"
    with pytest.warns(UserWarning, match=message) as caught:
        estimate_prior(probabilities, [0.99, 0.01], max_iter=3)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("probabilities", "source", "message"),
    [
        ([], [0.5, 0.5], r"at least one row, but have shape \(0,\)"),
        (np.empty((0, 3)), [0.2, 0.3, 0.5], "at least one row"),
        (np.full((4, 2, 2), 0.5), [0.5, 0.5], r"but have shape \(4, 2, 2\)"),
        ([0.5], [0.2, 0.3, 0.5], "source_prior must hold one probability for each"),
        ([0.5], [0.5, 0.6], "source_prior=.* must hold probabilities"),
        ([1.0], [1.0, 0.0], "is 0 for the only class that some rows"),
    ],
)
def test_estimate_prior_rejects(probabilities, source, message):
    with pytest.raises(ValueError, match=message):
        estimate_prior(probabilities, source)


def test_bayes_threshold_is_where_both_decisions_cost_the_same(rng):
    for tp, tn, *excess in rng.uniform(-5, 5, size=(50, 4)):
        fp, fn = tn + abs(excess[0]), tp + abs(excess[1])
        p = bayes_threshold(fp, fn, tp, tn)
        assert 0 < p < 1
        positive, negative = p * tp + (1 - p) * fp, p * fn + (1 - p) * tn
        assert positive == pytest.approx(negative, abs=1e-12)


def test_bayes_threshold_heeds_differences_and_ratios_of_costs_alone():
    expected = bayes_threshold(1, 9)
    assert expected == pytest.approx(0.1)
    assert bayes_threshold(100, 900) == pytest.approx(expected)
    assert bayes_threshold(3, 14, 5, 2) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ((0, 1), "false_positive_cost=0 must be larger than true_negative_cost=0.0"),
        ((1, 1, 1), "false_negative_cost=1 must be larger than true_positive_cost=1"),
        ((1, -500), "false_negative_cost=-500 .* gains are negative costs"),
        ((1, 2, 0, np.nan), "true_negative_cost=nan must be a finite"),
        ((np.inf, 2), "false_positive_cost=inf must be a finite"),
    ],
)
def test_bayes_threshold_rejects_costs_without_a_threshold(costs, message):
    with pytest.raises(ValueError, match=message):
        bayes_threshold(*costs)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_cheapest_class_equals_brute_force(n_classes, rng):
    probabilities = rng.dirichlet(np.ones(n_classes), size=60)
    costs = rng.normal(size=(n_classes, n_classes))
    for row, decision in zip(
        probabilities, cheapest_class(probabilities, costs), strict=True
    ):
        expected = [
            sum(row[true] * costs[true, called] for true in range(n_classes))
            for called in range(n_classes)
        ]
        assert decision == np.argmin(expected)


def test_cheapest_class_of_two_is_the_threshold(rng):
    positive = rng.random(2_000)
    for tp, tn, *excess in rng.uniform(-5, 5, size=(20, 4)):
        fp, fn = tn + abs(excess[0]), tp + abs(excess[1])
        threshold = bayes_threshold(fp, fn, tp, tn)
        decisions = cheapest_class(positive, [[tn, fp], [fn, tp]])
        np.testing.assert_array_equal(decisions, positive > threshold)


def test_cheapest_class_is_the_likeliest_where_every_error_costs_the_same(rng):
    probabilities = rng.dirichlet(np.ones(5), size=(40, 3))
    np.testing.assert_array_equal(
        cheapest_class(probabilities, 1 - np.eye(5)), probabilities.argmax(axis=-1)
    )


def test_cheapest_class_heeds_no_cost_of_the_row_alone(rng):
    """What a true class costs whatever is predicted changes no decision."""
    probabilities = rng.dirichlet(np.ones(4), size=100)
    costs = rng.normal(size=(4, 4))
    np.testing.assert_array_equal(
        cheapest_class(probabilities, costs),
        cheapest_class(probabilities, 3 * costs + [[1], [2], [3], [4]]),
    )


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_cheapest_class_breaks_ties_by_probability(scale, rng):
    """At the threshold 0.1, but for rounding, and where all costs the same."""
    costs = scale * np.array([[0, 0.1], [0.9, 0]])
    assert cheapest_class([[0.9, 0.1]], costs).tolist() == [0]
    assert cheapest_class([[0.1, 0.9]], costs.T[::-1, ::-1]).tolist() == [1]
    probabilities = rng.dirichlet(np.ones(3), size=20)
    np.testing.assert_array_equal(
        cheapest_class(probabilities, np.full((3, 3), scale)), probabilities.argmax(1)
    )


@pytest.mark.parametrize("leading", [(30,), (5, 6)])
def test_cheapest_class_takes_costs_of_each_row(leading, rng):
    probabilities = rng.dirichlet(np.ones(3), size=leading)
    costs = rng.normal(size=(*leading, 3, 3))
    decisions = cheapest_class(probabilities, costs)
    for row in np.ndindex(leading):
        alone = cheapest_class(probabilities[row][None], costs[row])
        assert decisions[row] == alone.item()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_cheapest_class_of_equal_rows_is_that_of_one_matrix(n_classes, rng):
    probabilities = rng.dirichlet(np.ones(n_classes), size=500)
    costs = rng.normal(size=(n_classes, n_classes))
    np.testing.assert_array_equal(
        cheapest_class(probabilities, np.broadcast_to(costs, (500, *costs.shape))),
        cheapest_class(probabilities, costs),
    )


def test_cheapest_class_of_rows_breaks_ties_by_probability():
    costs = np.array([[[0, 0.1], [0.9, 0]], [[0, 0.9], [0.1, 0]]])
    assert cheapest_class([[0.9, 0.1], [0.1, 0.9]], costs).tolist() == [0, 1]


def test_cheapest_class_rejects_costs_of_other_rows():
    with pytest.raises(ValueError, match=r"or shape \(3, 2, 2\), .* shape \(4, 2, 2\)"):
        cheapest_class([0.1, 0.2, 0.3], np.ones((4, 2, 2)))


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ([[0, 1, 1], [1, 0, 1]], r"cost_matrix must have shape \(2, 2\).* \(2, 3\)"),
        ([0, 1], r"cost_matrix must have shape \(2, 2\).* \(2,\)"),
        ([[0, 1], [np.nan, 0]], "cost_matrix must hold finite costs"),
        ([[0, np.inf], [1, 0]], "cost_matrix must hold finite costs"),
        ([[0, 1], [1]], "must hold 2 rows of 2 numbers"),
        ("balanced", "cost_matrix='balanced' must hold 2 rows .* or be a dict"),
    ],
)
def test_costs_are_rejected(costs, message):
    with pytest.raises(ValueError, match=message):
        cheapest_class([0.5], costs)
    with pytest.raises(ValueError, match=message):
        resolve_costs(costs, CLASSES)


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        (None, None),
        ([[0, 1], [9, -2]], [[0, 1], [9, -2]]),
        (np.array([[0, 1], [9, 0]]), [[0, 1], [9, 0]]),
        ({("no", "yes"): 1, ("yes", "no"): 9}, [[0, 1], [9, 0]]),
        ({("no", "yes"): 1, ("yes", "no"): 9, ("yes", "yes"): -2}, [[0, 1], [9, -2]]),
    ],
)
def test_resolve_costs(costs, expected):
    resolved = resolve_costs(costs, CLASSES)
    assert expected is None if resolved is None else resolved.tolist() == expected


@pytest.mark.parametrize("labels", [[0, 1, 2], [False, True], ["a", "b"], [0.5, 1.5]])
def test_resolve_costs_takes_labels_of_any_kind(labels):
    pairs = list(itertools.permutations(np.array(labels), 2))
    costs = dict(zip(pairs, range(1, len(pairs) + 1), strict=True))
    resolved = resolve_costs(costs, np.array(labels))
    for (true, called), cost in costs.items():
        assert resolved[labels.index(true), labels.index(called)] == cost
    assert not resolved.diagonal().any()


def test_resolve_costs_may_hold_those_of_an_absent_class():
    """A fold may lack a class, all whose errors have costs."""
    costs = dict.fromkeys(itertools.permutations(["no", "yes", "maybe"], 2), 3)
    costs |= {("yes", "no"): 9, ("maybe", "maybe"): -1}
    assert resolve_costs(costs, CLASSES).tolist() == [[0, 3], [9, 0]]


@pytest.mark.parametrize(
    "pair", [("no", "maybe"), ("Yes", "Yes"), "yes", ("yes", "no", "no")]
)
def test_resolve_costs_names_labels_that_do_not_exist(pair):
    costs = {("no", "yes"): 1, ("yes", "no"): 9, pair: -5}
    with pytest.raises(ValueError, match=re.escape(f"has costs for {pair!r}, but")):
        resolve_costs(costs, CLASSES)


def test_resolve_costs_names_a_label_that_replaces_another():
    message = (
        r"cost_matrix leaves out the pairs \('yes', 'no'\) of \(true label, predicted "
        r"label\).* No pair of labels of y is \('yes', 'on'\)"
    )
    with pytest.raises(ValueError, match=message):
        resolve_costs({("no", "yes"): 1, ("yes", "on"): 9}, CLASSES)


@pytest.mark.parametrize(
    "as_array", [list, np.array, pd.Series, pl.Series], ids=lambda f: f.__module__
)
def test_resolve_costs_takes_arrays_of_rows_by_pair(as_array):
    costs = {("no", "yes"): 5, ("yes", "no"): as_array([20, 300, 1])}
    costs["yes", "yes"] = as_array([-1.0, -2.0, -3.0])
    resolved = resolve_costs(costs, CLASSES, n_rows=3)
    assert resolved.tolist() == [
        [[0, 5], [20, -1]],
        [[0, 5], [300, -2]],
        [[0, 5], [1, -3]],
    ]


def test_resolve_costs_of_rows_may_be_one_matrix():
    by_pair = {("no", "yes"): 1, ("yes", "no"): 9}
    for costs in (by_pair, [[0, 1], [9, 0]], cost_frame(["no", "yes"])):
        np.testing.assert_array_equal(
            resolve_costs(costs, CLASSES, n_rows=7), resolve_costs(costs, CLASSES)
        )


@pytest.mark.parametrize(
    ("cost", "n_rows", "message"),
    [
        ([1, 2], 3, r"\('no', 'yes'\)\] must be .* each of the 3 rows, .* \(2,\)"),
        ([[1], [2]], 2, r"each of the 2 rows, but has shape \(2, 1\)"),
        ([1, 2], None, r"argument of predict\(X, cost_matrix=\), but has shape \(2,\)"),
        ("high", 3, r"cost_matrix\[\('no', 'yes'\)\]='high' must be a number"),
        ([1, np.nan], 2, r"finite costs, but holds nan at \[1, 0, 1\]"),
    ],
)
def test_resolve_costs_rejects_costs_of_rows(cost, n_rows, message):
    with pytest.raises(ValueError, match=message):
        resolve_costs({("no", "yes"): cost, ("yes", "no"): 9}, CLASSES, n_rows)


def cost_frame(index, columns=None):
    """Costs of two classes, of 10 times the true position + the predicted one."""
    columns = index if columns is None else columns
    costs = 10 * np.arange(len(index))[:, None] + np.arange(len(columns))
    return pd.DataFrame(costs, index=index, columns=columns)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (cost_frame(["no", "yes"]), [[0, 1], [10, 11]]),
        (cost_frame(["yes", "no"]), [[11, 10], [1, 0]]),
        (cost_frame(["yes", "no"], ["no", "yes"]), [[10, 11], [0, 1]]),
        (cost_frame(["maybe", "no", "yes"]), [[11, 12], [21, 22]]),
    ],
    ids=["in order", "other order", "two orders", "absent label"],
)
def test_resolve_costs_orders_a_frame_by_its_labels(frame, expected):
    assert resolve_costs(frame, CLASSES).tolist() == expected


def test_resolve_costs_of_a_frame_of_positions_are_those_of_integer_labels():
    frame = pd.DataFrame([[0, 1], [9, 0]])
    assert resolve_costs(frame, np.array([0, 1])).tolist() == [[0, 1], [9, 0]]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (cost_frame([0, 1]), r"'no', 'yes' once, but its index is 0, 1\."),
        (cost_frame(["no", "yes"], [0, 1]), r"but its columns is 0, 1\."),
        (cost_frame(["no"]), r"but its index is 'no'\."),
        (cost_frame(["no", "yes", "no"]), r"but its index is 'no', 'yes', 'no'\."),
        (
            pl.DataFrame({"no": [0, 9], "yes": [1, 0]}),
            r"but its index is not there\. .*cost_matrix\.to_numpy\(\)",
        ),
        (pd.DataFrame("a", CLASSES, CLASSES), "must hold 2 rows of 2 numbers"),
    ],
    ids=["no labels", "no columns", "a class less", "twice", "polars", "words"],
)
def test_resolve_costs_rejects_a_frame_without_the_labels(frame, message):
    with pytest.raises(ValueError, match=message):
        resolve_costs(frame, CLASSES)


def test_resolve_costs_takes_a_series_of_pairs():
    costs = pd.Series({("yes", "no"): 9, ("no", "yes"): 1})
    assert resolve_costs(costs, CLASSES).tolist() == [[0, 1], [9, 0]]


def test_resolve_costs_lists_a_few_of_many_missing_pairs():
    with pytest.raises(ValueError, match=r"\(0, 1\), \(0, 2\).* and 9894 more of"):
        resolve_costs({}, np.arange(100))


# -- temperature ---------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(300, 3), (300, 4, 3)], ids=["single", "members"])
@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_fit_temperature_finds_scipys_optimum(rng, shape, sharpness):
    log_posterior = log_softmax(sharpness * rng.normal(size=shape), axis=-1)
    members = log_posterior.reshape(300, -1, 3)
    codes = rng.integers(0, 3, 300)
    weight = rng.uniform(0.5, 2, 300)
    scale = 0.4

    def loss(log_temperature):
        mean = np.exp(log_softmax(members / np.exp(log_temperature[0]), -1)).mean(1)
        own = weight * weight.sum() / (weight**2).sum()
        total = -own @ np.log(mean[np.arange(300), codes])
        return total + 0.5 * (log_temperature[0] / scale) ** 2

    bounds = [(-np.log(10), np.log(10))]
    found = [minimize(loss, [start], bounds=bounds) for start in (-1, 0, 1)]
    best = min(found, key=lambda each: each.fun)
    fitted = fit_temperature(log_posterior, codes, weight, scale)
    assert np.log(fitted) == pytest.approx(best.x[0], abs=2e-3)


def test_temperature_of_calibrated_rows_is_one(rng):
    p = rng.uniform(0.05, 0.95, 20000)
    codes = (rng.random(20000) < p).astype(int)
    log_posterior = np.log(np.column_stack([1 - p, p]))
    assert fit_temperature(log_posterior, codes, np.ones(20000)) == pytest.approx(
        1, abs=0.03
    )
    sure = fit_temperature(2 * log_posterior, codes, np.ones(20000))
    assert sure == pytest.approx(2, abs=0.1)
    few = fit_temperature(2 * log_posterior[:5], codes[:5], np.ones(5))
    assert few < 1.5


def test_fit_temperature_takes_one_row():
    """0.9 for its class: the prior alone holds the temperature above 0.1."""
    log_posterior = np.log([[0.1, 0.9]])

    def loss(log_temperature):
        tempered = log_softmax(log_posterior / np.exp(log_temperature), axis=1)
        return -tempered[0, 1] + 0.5 * (log_temperature / 0.25) ** 2

    best = minimize_scalar(loss, bounds=(-2, 2)).x
    fitted = fit_temperature(log_posterior, [1], [1.0])
    assert np.log(fitted) == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("sharpness", [0.01, 0.3, 1.0, 50.0])
def test_least_log_loss_is_scipys_minimum(sharpness, n_classes, rng):
    """Also of log posteriors that are a hundred times too flat, or too sure."""
    scores = rng.normal(size=(200, n_classes))
    codes = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    log_posterior = log_softmax(sharpness * scores, axis=1)
    weight = rng.uniform(0.5, 2, 200)

    def loss(log_inverse):
        tempered = log_softmax(np.exp(log_inverse) * log_posterior, axis=1)
        return -np.average(tempered[np.arange(200), codes], weights=weight)

    best = minimize_scalar(loss, bounds=(-6, 6), options={"xatol": 1e-8}).fun
    assert least_log_loss(log_posterior, codes, weight) == pytest.approx(best, rel=1e-6)
    moved = log_posterior + rng.choice([-900.0, 900.0], size=(200, 1))
    assert least_log_loss(moved, codes, weight) == pytest.approx(best, rel=1e-6)


def test_probabilities_of_0_and_1_have_a_temperature_and_a_loss():
    """Trees give them: no fit may end in NaN, and none may warn."""
    codes, weight = np.arange(40) % 2, np.ones(40)
    sure = np.where(np.arange(2) == codes[:, None], 0.0, -np.inf)
    assert least_log_loss(sure, codes, weight) == 0
    assert fit_temperature(sure, codes, weight) == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal(fit_offset(sure, codes, weight), 0)
    half = np.array([[np.log(0.5), np.log(0.5), -np.inf]] * 40)
    assert least_log_loss(half, codes, weight) == pytest.approx(np.log(2))

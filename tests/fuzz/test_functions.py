"""Identities of posteriors, figures and decisions, on arrays drawn by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imbalnet.decisions import threshold_counts
from imbalnet.metrics import precision_at_k, recall_at_k
from imbalnet.posterior import cheapest_class, effective_prior, shift_probabilities

SHARES = st.floats(0.001, 1.0)


@st.composite
def distributions(draw, n_classes):
    mass = draw(arrays(float, n_classes, elements=SHARES))
    return mass / mass.sum()


@st.composite
def posteriors(draw):
    n_classes, n_rows = draw(st.integers(2, 5)), draw(st.integers(1, 20))
    mass = draw(arrays(float, (n_rows, n_classes), elements=SHARES))
    p = mass / mass.sum(axis=1, keepdims=True)
    return p, draw(distributions(n_classes)), draw(distributions(n_classes))


@given(posteriors())
def test_shift_there_and_back_is_the_identity(drawn):
    p, one, two = drawn
    moved = shift_probabilities(p, one, two)
    np.testing.assert_allclose(moved.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(shift_probabilities(moved, two, one), p, atol=1e-9)
    ratio = moved / p / (two / one)
    np.testing.assert_allclose(ratio, ratio[:, :1] * np.ones(len(one)), rtol=1e-6)


@given(posteriors(), st.data())
def test_cheapest_class_is_the_least_expected_cost(drawn, data):
    p, *_ = drawn
    n_classes = p.shape[1]
    size = (n_classes, n_classes)
    costs = data.draw(arrays(float, size, elements=st.floats(0, 9)))
    expected = p @ costs
    chosen = expected[np.arange(len(p)), cheapest_class(p, costs)]
    np.testing.assert_allclose(chosen, expected.min(axis=1), atol=1e-9)


@given(st.integers(1, 9).flatmap(lambda n: arrays(float, n, elements=SHARES)))
def test_effective_prior_is_a_distribution(counts):
    prior = effective_prior(counts, 1 / counts)
    np.testing.assert_allclose(prior, np.full(len(counts), 1 / len(counts)), atol=1e-9)


@st.composite
def rankings(draw):
    n_rows = draw(st.integers(2, 30))
    y = draw(arrays(bool, n_rows))
    y[0], y[1] = True, False
    levels = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
    order = draw(st.permutations(range(n_rows)))
    return y, draw(arrays(float, n_rows, elements=levels)), order


@given(rankings(), st.integers(1, 5))
def test_figures_do_not_depend_on_the_order_of_rows(drawn, k):
    y, score, order = drawn
    k = min(k, len(y))
    for figure in (precision_at_k, recall_at_k):
        value = figure(y, score, k=k)
        assert 0 <= value <= 1
        assert figure(y[order], score[order], k=k) == pytest.approx(value)


@given(rankings())
def test_counts_of_thresholds_are_those_of_predictions(drawn):
    y, score, _ = drawn
    thresholds, counts = threshold_counts(score, y, ~y)
    called = score >= thresholds[:, None]
    np.testing.assert_array_equal(counts.true_positives, (called & y).sum(axis=1))
    np.testing.assert_array_equal(counts.false_positives, (called & ~y).sum(axis=1))

"""Any labels and scores: figures within their bounds, and of the rows in any order."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imbalnet.decisions import CRITERIA, choose_threshold, threshold_counts
from imbalnet.metrics import (
    average_precision_lift,
    brier_skill_score,
    calibration_error,
    lift_at_k,
    macro_average_precision,
    precision_at_k,
    recall_at_fpr,
    recall_at_k,
    recall_at_precision,
)
from imbalnet.posterior import (
    cheapest_class,
    effective_prior,
    estimate_prior,
    prior_shift,
    shift_prior,
    shift_probabilities,
)

pytestmark = pytest.mark.usefixtures("other_warnings_are_faults")
POSITIVE = st.floats(1e-9, 1.0)
PROBABILITY = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, 5e-324, 1e-300, 0.5, np.nextafter(1, 0), 1])
)
LOG = st.floats(-1e5, 1e5)


def distributions(n_classes, elements=POSITIVE):
    values = arrays(np.float64, n_classes, elements=elements)
    return values.filter(lambda v: v.sum() > 0).map(lambda v: v / v.sum())


@st.composite
def posteriors(draw):
    """Logarithms of posteriors, and two class distributions."""
    n_rows, n_classes = draw(st.integers(1, 8)), draw(st.integers(2, 5))
    logs = draw(arrays(np.float64, (n_rows, n_classes), elements=LOG))
    logs = logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)
    return logs, draw(distributions(n_classes)), draw(distributions(n_classes))


@st.composite
def scored_rows(draw, *, unique=False):
    """Labels of two classes, scores of the second, and weights (or None)."""
    n_rows = draw(st.integers(2, 40))
    y = draw(arrays(np.int64, n_rows, elements=st.integers(0, 1)))
    scores = draw(arrays(np.float64, n_rows, elements=PROBABILITY, unique=unique))
    size = st.sampled_from([0.0, 0.25, 1.0, 3.0, 1e6])
    weight = draw(st.none() | arrays(np.float64, n_rows, elements=size))
    used = y if weight is None else y[weight > 0]
    assume(len(np.unique(used)) == 2)
    return y, scores, weight


# -- posteriors ------------------------------------------------------------------------


@given(posteriors())
def test_shift_there_and_back_is_the_identity(problem):
    """Shifted log posteriors are of distributions, and can be shifted back."""
    logs, source, target = problem
    there = shift_prior(logs, source, target)
    np.testing.assert_allclose(np.exp(there).sum(axis=1), 1, atol=1e-9)
    back = shift_prior(there, target, source)
    np.testing.assert_allclose(back, logs, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(
        prior_shift(source, target), -prior_shift(target, source), atol=1e-9
    )


@given(posteriors())
def test_shifted_probabilities_are_distributions(problem):
    """Whatever the probabilities, also where some are 0."""
    logs, source, target = problem
    P = shift_probabilities(np.exp(logs), source, target)
    assert np.isfinite(P).all()
    assert ((P >= 0) & (P <= 1 + 1e-12)).all()
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(
        P, np.exp(shift_prior(logs, source, target)), rtol=1e-6, atol=1e-9
    )


@given(posteriors())
def test_priors_are_distributions(problem):
    """Those that are estimated, and those that a network learns."""
    logs, source, target = problem
    for prior in (
        estimate_prior(np.exp(logs), source, max_iter=50),
        effective_prior(source, target),
    ):
        assert np.isfinite(prior).all()
        assert (prior >= 0).all()
        np.testing.assert_allclose(prior.sum(), 1, atol=1e-9)


@given(posteriors(), st.data())
def test_cheapest_class_has_the_lowest_expected_cost(problem, data):
    """No class is cheaper, by a loop over classes."""
    P = np.exp(problem[0])
    shape = (P.shape[1],) * 2
    costs = data.draw(arrays(np.float64, shape, elements=st.floats(-1e9, 1e9)))
    chosen = cheapest_class(P, costs)
    expected = np.stack([(P * costs[:, j]).sum(axis=1) for j in range(len(costs))], 1)
    of_chosen = expected[np.arange(len(P)), chosen]
    slack = 1e-9 * (1 + np.abs(costs).max())
    assert (of_chosen <= expected.min(axis=1) + slack).all()


# -- figures ---------------------------------------------------------------------------

UNIT = (0.0, 1.0)


def average_precision_of_both(y, scores, sample_weight):
    """The mean over both classes."""
    of_both = np.column_stack([-scores, scores])
    return macro_average_precision(y, of_both, sample_weight)


OF_SCORES = {
    "precision at k": (partial(precision_at_k, k=0.1), UNIT),
    "precision at 1": (partial(precision_at_k, k=1), UNIT),
    "recall at k": (partial(recall_at_k, k=0.3), UNIT),
    "recall at fpr": (partial(recall_at_fpr, fpr=0.1), UNIT),
    "recall at precision": (partial(recall_at_precision, precision=0.7), UNIT),
    "average precision": (average_precision_of_both, UNIT),
    "average precision lift": (average_precision_lift, (0.0, np.inf)),
    "lift at k": (partial(lift_at_k, k=0.5), (0.0, np.inf)),
    "calibration error": (calibration_error, UNIT),
    "Brier skill": (brier_skill_score, (-np.inf, 1.0)),
}


@pytest.mark.parametrize("name", sorted(OF_SCORES))
@given(scored_rows(), st.integers(0, 9))
def test_figures_are_within_bounds_and_of_rows_in_any_order(name, rows, seed):
    """A figure of permuted rows is the same; a weight of 0 is a row left out."""
    figure, (low, high) = OF_SCORES[name]
    y, scores, weight = rows
    value = figure(y, scores, sample_weight=weight)
    assert np.isfinite(value)
    assert low - 1e-9 <= value <= high + 1e-9
    order = np.random.default_rng(seed).permutation(len(y))
    if weight is not None:
        order = order[weight[order] > 0]
    of_order = None if weight is None else weight[order]
    other = figure(y[order], scores[order], sample_weight=of_order)
    np.testing.assert_allclose(other, value, rtol=1e-7, atol=1e-9)


# -- thresholds ------------------------------------------------------------------------


@given(scored_rows())
def test_threshold_counts_are_those_of_a_loop(rows):
    """At each threshold, the confusion matrix is what counting row by row gives."""
    y, scores, weight = rows
    weight = np.ones(len(y)) if weight is None else weight
    thresholds, counts = threshold_counts(scores, weight * y, weight * (1 - y))
    assert (np.diff(thresholds) < 0).all()
    for place, threshold in enumerate(thresholds):
        called = scores >= threshold
        for got, rows_of in (
            (counts.true_positives, called & (y == 1)),
            (counts.false_positives, called & (y == 0)),
            (counts.false_negatives, ~called & (y == 1)),
            (counts.true_negatives, ~called & (y == 0)),
        ):
            np.testing.assert_allclose(got[place], weight[rows_of].sum(), atol=1e-6)


@given(scored_rows(unique=True), st.sampled_from(sorted(CRITERIA)), st.integers(0, 9))
def test_threshold_is_that_of_rows_in_any_order(rows, criterion, seed):
    """Rows of different scores in another order have the same threshold."""
    y, scores, weight = rows
    chosen = choose_threshold(y, scores, criterion, sample_weight=weight)
    assert 0 <= chosen <= np.nextafter(1, 2)
    order = np.random.default_rng(seed).permutation(len(y))
    of_order = None if weight is None else weight[order]
    again = choose_threshold(y[order], scores[order], criterion, sample_weight=of_order)
    assert again == chosen

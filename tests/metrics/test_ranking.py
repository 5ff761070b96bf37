"""What the top of a ranking is worth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_curve,
)

from imbalnet.metrics import (
    average_precision_lift,
    lift_at_k,
    precision_at_k,
    recall_at_fpr,
    recall_at_k,
    recall_at_precision,
)

FIGURES = {
    "lift": average_precision_lift,
    "precision at k": lambda y, s, **kw: precision_at_k(y, s, 30, **kw),
    "recall at k": lambda y, s, **kw: recall_at_k(y, s, 0.1, **kw),
    "lift at k": lambda y, s, **kw: lift_at_k(y, s, 30, **kw),
    "recall at precision": lambda y, s, **kw: recall_at_precision(y, s, 0.4, **kw),
    "recall at fpr": lambda y, s, **kw: recall_at_fpr(y, s, 0.1, **kw),
}
each_figure = pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)


@pytest.fixture
def rows(rng):
    y = rng.random(300) < 0.1
    return y, y + rng.normal(size=300)


@each_figure
def test_labels_of_any_kind_are_read(figure, rows):
    y, scores = rows
    words = np.where(y, "fraud", "fine")
    swapped = np.where(y, "a", "b")
    assert figure(words, scores) == figure(y, scores) == figure(y.astype(int), scores)
    assert figure(swapped, scores, pos_label="a") == figure(y, scores)


@each_figure
def test_weights_count_as_repeated_rows(figure, rows, rng):
    y, scores = rows
    n = rng.integers(1, 4, len(y))
    expected = figure(y.repeat(n), scores.repeat(n))
    assert figure(y, scores, sample_weight=n) == pytest.approx(expected, abs=0.02)


@each_figure
def test_only_the_order_counts(figure, rows):
    y, scores = rows
    assert figure(y, np.exp(scores)) == pytest.approx(figure(y, scores))


def test_lift_of_a_constant_is_one(rows):
    y, _ = rows
    assert average_precision_lift(y, np.ones(len(y))) == pytest.approx(1.0)


def test_lift_is_average_precision_over_prevalence(rows):
    y, scores = rows
    expected = average_precision_score(y, scores) / y.mean()
    assert average_precision_lift(y, scores) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 17, 300])
def test_top_k_are_those_that_scikit_learn_would_call(k, rows):
    y, scores = rows
    called = scores >= np.sort(scores)[-k]
    assert precision_at_k(y, scores, k) == pytest.approx(precision_score(y, called))
    assert recall_at_k(y, scores, k) == pytest.approx(recall_score(y, called))
    assert lift_at_k(y, scores, k) == pytest.approx(
        precision_score(y, called) / y.mean()
    )


def test_share_and_number_agree(rows):
    y, scores = rows
    assert precision_at_k(y, scores, 0.1) == pytest.approx(
        precision_at_k(y, scores, 30)
    )


def test_more_than_all_rows_are_all(rows):
    y, scores = rows
    assert recall_at_k(y, scores, 10_000) == pytest.approx(1.0)
    assert precision_at_k(y, scores, 10_000) == pytest.approx(y.mean())


def test_ties_at_the_edge_count_in_equal_shares():
    """As the mean over all orders of the tied rows."""
    y, scores = [1, 1, 0, 0, 0], [0.9, 0.5, 0.5, 0.5, 0.1]
    assert precision_at_k(y, scores, 2) == pytest.approx((1 + 1 / 3) / 2)
    assert recall_at_k(y, scores, 2) == pytest.approx((1 + 1 / 3) / 2)


def test_budget_renews_with_each_period(rows):
    y, scores = rows
    day = np.arange(len(y)) % 3
    found = sum(
        recall_at_k(y[day == d], scores[day == d], 5) * y[day == d].sum()
        for d in range(3)
    )
    assert recall_at_k(y, scores, 5, periods=day) == pytest.approx(found / y.sum())
    assert precision_at_k(y, scores, 5, periods=day) == pytest.approx(found / 15)


def test_recall_at_precision_is_a_point_of_the_curve(rows):
    y, scores = rows
    precision, recall, _ = precision_recall_curve(y, scores)
    for floor in (0.1, 0.5, 1.0):
        expected = recall[precision >= floor].max()
        assert recall_at_precision(y, scores, floor) == expected


def test_recall_at_fpr_is_a_point_of_the_curve(rows):
    y, scores = rows
    rate, recall, _ = roc_curve(y, scores)
    assert recall_at_fpr(y, scores, 1.0) == 1.0
    value = recall_at_fpr(y, scores, 0.05)
    assert np.interp(0.05, rate, recall) >= value >= recall[rate <= 0.05].max()


def test_figures_without_positives_are_those_of_chance():
    y, scores = np.zeros(5, bool), np.arange(5.0)
    assert recall_at_precision(y, scores, 0.5) == 0.0
    assert recall_at_fpr(y, scores, 0.5) == 0.0
    assert recall_at_k(y, scores, 2) == 0.0
    assert lift_at_k(y, scores, 2) == 0.0
    with pytest.raises(ValueError, match="no positive row"):
        average_precision_lift(y, scores)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: precision_at_k([0, 1], [0.1, 0.2], 0), "k=0"),
        (lambda: precision_at_k([0, 1], [0.1, 0.2], -3), "k=-3"),
        (lambda: precision_at_k([0, 1], [0.1], 1), "inconsistent"),
        (lambda: precision_at_k([0, 1, 2], [0.1, 0.2, 0.3], 1), "holds 3"),
        (lambda: precision_at_k([0, 1], [0.1, 0.2], 1, pos_label=7), "pos_label=7"),
        (lambda: recall_at_precision([0, 1], [0.1, 0.2], 2.0), "precision=2.0"),
        (lambda: recall_at_fpr([0, 1], [0.1, 0.2], -1.0), "fpr=-1.0"),
        (
            lambda: recall_at_k([0, 1], [0.1, 0.2], 1, sample_weight=[-1, 1]),
            "sample_weight must hold",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_precision_of_positives_alone_is_one_whatever_the_ties():
    """Sums in two orders once gave 1 + 2e-16."""
    y, score = np.array([True, False] + [True] * 15), np.array([0.0] * 2 + [0.1] * 15)
    assert precision_at_k(y, score, k=5) == 1.0


def test_rows_without_weight_have_no_share_of_the_budget(rng):
    """If the weights round to more than their running sum, it ended in such a row."""
    y, scores = np.arange(50) % 2, np.arange(50.0)
    for _ in range(20):
        weight = rng.random(50)
        weight[0] = 0.0
        expected = np.average(y, weights=weight)
        found = precision_at_k(y, scores, 1000, sample_weight=weight)
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("figure", [recall_at_precision, recall_at_fpr])
def test_bounds_are_reached_up_to_rounding(figure, rng):
    for _ in range(15):
        y, scores = np.append([0, 1], rng.integers(0, 2, 8)), rng.random(10)
        for share in (0.2, 0.3, 0.5, 0.6, 0.75, 0.8):
            weighted = figure(y, scores, share, sample_weight=np.full(10, 0.1))
            assert weighted == pytest.approx(figure(y, scores, share))


@pytest.mark.parametrize("figure", [precision_at_k, recall_at_k, lift_at_k])
def test_a_period_without_weight_does_not_count(figure):
    y, scores, periods = [0, 1, 0, 1, 1], [0.1, 0.2, 0.7, 0.8, 0.9], [0, 0, 0, 1, 1]
    weight = [1.0, 1.0, 1.0, 0.0, 0.0]
    found = figure(y, scores, 2, periods=periods, sample_weight=weight)
    assert found == figure(y[:3], scores[:3], 2)

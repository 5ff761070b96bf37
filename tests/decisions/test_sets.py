"""Prediction sets that hold the true class of each class' rows often enough."""

from __future__ import annotations

import numpy as np
import pytest

from imbalnet.decisions import conformal_thresholds
from imbalnet.posterior import shift_probabilities


def drawn(rng, n_rows, prior, sharpness=1.0):
    """Labels of three classes, and probabilities, which are honest at sharpness 1."""
    classes = rng.choice(3, size=n_rows, p=prior)
    x = rng.normal(size=(n_rows, 3)) + 1.5 * np.eye(3)[classes]
    log_p = sharpness * (1.5 * x + np.log(prior))
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    return classes, p / p.sum(axis=1, keepdims=True)


@pytest.mark.filterwarnings("ignore:All sets hold the classes 2")  # in a few draws
@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("sharpness", [1.0, 5.0, 0.2])
def test_each_class_is_covered_in_expectation(alpha, sharpness, rng):
    """Over many draws of held-out rows, even if probabilities are wrong."""
    prior = np.array([0.8, 0.15, 0.05])
    y, p = drawn(rng, 40_000, prior, sharpness)
    covered, n_each = np.zeros(3), np.bincount(y)
    for _ in range(150):
        held_y, held_p = drawn(rng, 600, prior, sharpness)
        is_in = p >= conformal_thresholds(held_y, held_p, alpha)
        covered += np.bincount(y, is_in[np.arange(len(y)), y]) / n_each / 150
    assert (covered >= 1 - alpha - 0.01).all()
    assert (covered <= 1 - alpha + 0.04).all()


def test_threshold_is_the_rank_of_the_definition(rng):
    y, p = np.repeat([0, 1], [9, 29]), rng.random(38)
    lowest = conformal_thresholds(y, p, alpha=0.1)
    assert lowest[0] == np.min(1 - p[:9])
    assert lowest[1] == np.sort(p[9:])[2]


@pytest.mark.filterwarnings("ignore:All sets hold the classes 0")
def test_rank_does_not_suffer_from_rounding():
    """0.29 * 100 is below 29 in floating point."""
    p = np.arange(1, 100) / 100
    y = np.ones(99, dtype=int)
    lowest = conformal_thresholds(y, np.column_stack([1 - p, p]), 0.29, classes=[1, 0])
    assert lowest[0] == np.sort(1 - p)[28]


@pytest.mark.filterwarnings("ignore:All sets hold the classes 0")
def test_classes_say_the_order_of_columns(rng):
    words = np.array(["no", "yes"])[rng.integers(0, 2, 100)]
    p = rng.random(100)
    rows = np.column_stack([p, 1 - p])
    turned = conformal_thresholds(words, rows[:, ::-1])
    swapped = conformal_thresholds(words, rows, classes=["yes", "no"])
    np.testing.assert_array_equal(swapped, turned[::-1])


def test_sets_of_two_classes_do_not_depend_on_the_prior(rng):
    p = rng.beta(1.0, 2.0, 2_000)
    y = (rng.random(2_000) < p).astype(int)
    rows, new = np.column_stack([1 - p, p]).reshape(2, 1_000, 2)
    expected = new >= conformal_thresholds(y[:1_000], rows)
    shifted = [
        shift_probabilities(part, [0.7, 0.3], [0.99, 0.01]) for part in (rows, new)
    ]
    found = shifted[1] >= conformal_thresholds(y[:1_000], shifted[0])
    np.testing.assert_array_equal(found, expected)


def test_classes_of_too_few_rows_are_in_all_sets(rng):
    y, p = np.repeat([0, 1], [200, 18]), rng.random(218)
    with pytest.warns(UserWarning, match=r"hold the classes 1: .* the 19 rows .*0\.05"):
        lowest = conformal_thresholds(y, p, alpha=0.05)
    assert lowest[1] == 0
    assert lowest[0] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0.1, 0.2, 0.3]), "inconsistent numbers of samples"),
        (([0, 1], [0.1, np.nan]), "must lie between 0 and 1"),
        (([0, 0], [0.1, 0.2]), r"but there are 1 labels: \[0\]. Give classes"),
        (([0, 1], np.full((2, 3), 1 / 3)), r"shape \(2, 3\), but there are 2 labels"),
        (([0, 1], [0.1, 0.2], 0.0), "alpha=0.0 must be a finite number of more than 0"),
        (([0, 1], [0.1, 0.2], 1.0), "alpha=1.0 must be"),
    ],
)
def test_what_is_wrong_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        conformal_thresholds(*arguments)


def test_unknown_labels_are_named():
    with pytest.raises(
        ValueError, match=r"not in classes: \['maybe'\]; known are \['no', 'yes'\]"
    ):
        conformal_thresholds(["no", "maybe"], [0.1, 0.2], classes=["no", "yes"])

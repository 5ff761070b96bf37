"""Whether probabilities can be taken at their word."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from imbalnet import imbalance_report
from imbalnet.decisions import choose_threshold
from imbalnet.metrics import brier_skill_score, calibration_error, calibration_noise


@pytest.fixture
def rows(rng):
    p = rng.beta(0.3, 3.0, 3_000)
    return rng.random(3_000) < p, p


def test_skill_is_relative_to_the_prevalence(rows):
    y, p = rows
    constant = np.full(len(y), y.mean())
    expected = 1 - brier_score_loss(y, p) / brier_score_loss(y, constant)
    assert brier_skill_score(y, p) == pytest.approx(expected, abs=1e-12)
    assert brier_skill_score(y, constant) == pytest.approx(0.0, abs=1e-12)
    assert brier_skill_score(y, y.astype(float)) == 1.0


def test_skill_of_three_classes_is_relative_to_the_prevalences(rng):
    p = rng.dirichlet([2.0, 1.0, 0.5], 400)
    y = np.array(["a", "b", "c"])[[rng.choice(3, p=row) for row in p]]
    shares = np.array([(y == label).mean() for label in "abc"])
    constant = np.tile(shares, (400, 1))
    expected = 1 - brier_score_loss(y, p) / brier_score_loss(y, constant)
    assert brier_skill_score(y, p) == pytest.approx(expected, abs=1e-12)
    assert brier_skill_score(y, constant) == pytest.approx(0.0, abs=1e-12)


def test_calibration_error_is_that_of_the_bins(rows):
    y, p = rows
    shares, means = calibration_curve(y, p, n_bins=10, strategy="quantile")
    expected = np.abs(shares - means).mean()
    assert calibration_error(y, p) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "function",
    [brier_skill_score, calibration_error, choose_threshold, imbalance_report],
)
@pytest.mark.parametrize("build", [pd.DataFrame, pl.DataFrame])
def test_columns_named_by_labels_are_in_their_order(function, build):
    y = ["best", "fine", "fine", "best", "fine"] * 10
    p = np.array([0.6, 0.2, 0.1, 0.5, 0.4] * 10)
    swapped = build({"fine": 1 - p, "best": p})
    with pytest.raises(ValueError, match=r"give probabilities\[\['best', 'fine'\]\]"):
        function(y, swapped)
    expected = function(y, np.column_stack([p, 1 - p]))
    assert str(function(y, swapped[["best", "fine"]])) == str(expected)
    other_names = build({"p_fine": p, "p_best": 1 - p})
    assert str(function(y, other_names)) == str(expected)


def test_columns_of_probabilities_are_those_of_the_sorted_labels(rows):
    y, p = rows
    words = np.where(y, "a", "b")  # the positive class sorts first
    expected = calibration_error(y, p)
    for probabilities in (p, np.stack([p, 1 - p], axis=1)):
        assert calibration_error(words, probabilities, pos_label="a") == expected
    assert calibration_error(y, np.stack([1 - p, p], axis=1)) == expected


def test_calibration_error_finds_what_is_off(rows):
    y, p = rows
    mean, high = calibration_noise(p)
    assert calibration_error(y, p) < high
    assert mean < high
    assert calibration_error(y, np.minimum(1.5 * p, 1.0)) > high


def test_calibration_error_with_weights_is_that_of_repeated_rows(rows, rng):
    y, p = rows
    n = rng.integers(1, 3, len(y))
    expected = calibration_error(y.repeat(n), p.repeat(n))
    assert calibration_error(y, p, sample_weight=n) == pytest.approx(expected)


def test_equal_probabilities_are_one_bin(rng):
    y = rng.random(100) < 0.2
    assert calibration_error(y, np.full(100, 0.5)) == pytest.approx(0.5 - y.mean())


def test_noise_falls_with_the_rows():
    few, many = (calibration_noise(np.full(n, 0.1))[0] for n in (100, 10_000))
    assert few == pytest.approx(10 * many, rel=0.3)


def test_words_and_both_columns_are_read(rows):
    y, p = rows
    words, both = np.where(y, "yes", "no"), np.column_stack([1 - p, p])
    for figure in (brier_skill_score, calibration_error):
        assert figure(words, both) == figure(y, p)


@pytest.mark.parametrize("n_bins", [0, 2.5])
def test_bad_bins_are_named(n_bins):
    with pytest.raises(ValueError, match="n_bins"):
        calibration_error([0, 1], [0.1, 0.2], n_bins=n_bins)


def test_bad_probabilities_are_named():
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibration_error([0, 1], [0.1, 3.0])
    with pytest.raises(ValueError, match="there are 1 labels"):
        brier_skill_score(np.ones(3, bool), [0.1, 0.2, 0.3])

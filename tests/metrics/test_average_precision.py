"""Scores for imbalanced data."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from imbalnet.metrics import macro_average_precision


def test_two_classes_are_scored_by_the_positive_one(rng):
    codes, scores = rng.integers(0, 2, 50), rng.random((50, 2))
    assert macro_average_precision(codes, scores) == average_precision_score(
        codes, scores[:, 1]
    )


def test_several_classes_are_averaged_as_scikit_learn_does(rng):
    codes, scores = rng.integers(0, 4, 80), rng.random((80, 4))
    expected = average_precision_score(np.eye(4)[codes], scores, average="macro")
    assert macro_average_precision(codes, scores) == pytest.approx(expected)


def test_an_absent_class_is_left_out(rng):
    codes, scores = rng.integers(0, 2, 60), rng.random((60, 3))
    expected = np.mean(
        [average_precision_score(codes == code, scores[:, code]) for code in (0, 1)]
    )
    assert macro_average_precision(codes, scores) == pytest.approx(expected)


def test_a_class_of_weight_0_is_left_out(rng):
    codes, scores = rng.integers(0, 3, 60), rng.random((60, 3))
    kept = codes != 1
    expected = macro_average_precision(codes[kept], scores[kept])
    assert macro_average_precision(codes, scores, kept) == pytest.approx(expected)


def test_sample_weights_count(rng):
    codes, scores = rng.integers(0, 2, 40), rng.random((40, 2))
    weight = rng.integers(1, 4, 40)
    assert macro_average_precision(codes, scores, weight) == pytest.approx(
        macro_average_precision(codes.repeat(weight), scores.repeat(weight, axis=0))
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [1, 15], ids=["ties", "no ties"])
@pytest.mark.parametrize("weighted", [False, True])
def test_average_precision_is_that_of_scikit_learn(seed, decimals, weighted):
    """Also with ties, and with weights of 0."""
    rng = np.random.default_rng(seed)
    y, positive = rng.integers(0, 2, 200), rng.random(200).round(decimals)
    scores = np.column_stack([1 - positive, positive])
    weight = rng.integers(0, 3, 200) if weighted else None
    expected = average_precision_score(y, positive, sample_weight=weight)
    found = macro_average_precision(y, scores, weight)
    assert found == pytest.approx(expected, rel=1e-12)


def test_average_precision_without_positives_is_zero():
    assert macro_average_precision(np.zeros(3, dtype=int), np.ones((3, 2))) == 0


def test_average_precision_refuses_scores_that_have_no_rank():
    with pytest.raises(ValueError, match="scores must hold finite numbers"):
        macro_average_precision(np.array([0, 1]), np.array([[0.1, np.nan]] * 2))

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


def test_sample_weights_count(rng):
    codes, scores = rng.integers(0, 2, 40), rng.random((40, 2))
    weight = rng.integers(1, 4, 40)
    assert macro_average_precision(codes, scores, weight) == pytest.approx(
        macro_average_precision(codes.repeat(weight), scores.repeat(weight, axis=0))
    )

"""Bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, f1_score

from imbalnet.metrics import bootstrap_interval, bootstrap_weights, paired_interval
from imbalnet.metrics.average_precision import macro_average_precision


def test_resamples_keep_each_stratum(rng):
    labels = rng.choice(["a", "b", "c"], 60)
    for counts in bootstrap_weights(labels, 20, random_state=0):
        for label in "abc":
            assert counts[labels == label].sum() == (labels == label).sum()


def test_groups_are_drawn_whole():
    groups = np.repeat(["x", "y", "z"], [2, 3, 4])
    drawn = list(bootstrap_weights(np.zeros(9), 30, groups=groups, random_state=0))
    for counts in drawn:
        of_groups = [np.unique(counts[groups == g]) for g in "xyz"]
        assert all(len(n) == 1 for n in of_groups)
        assert sum(n[0] for n in of_groups) == 3
    assert len({tuple(counts) for counts in drawn}) > 3


def test_groups_of_several_kinds_are_kept_apart():
    (counts,) = bootstrap_weights([0] * 4, 1, groups=[1, "1", 2, 2], random_state=0)
    assert counts.tolist() == [2, 1, 0, 0]


def test_standard_error_of_a_share_is_the_binomial_one():
    """Recall is the share of positives that are called."""
    y = np.repeat([0, 1], [200, 100])
    called = np.r_[np.zeros(200), np.ones(40), np.zeros(60)]
    found = bootstrap_interval(
        lambda y, called: called[y == 1].mean(),
        y,
        called,
        n_resamples=4_000,
        random_state=0,
        scale="linear",
    )
    reach = stats.t.ppf(0.975, 99) * np.sqrt(0.4 * 0.6 / 100)
    assert found.value == 0.4
    assert found.high - found.value == pytest.approx(reach, rel=0.05)
    assert found.value - found.low == pytest.approx(reach, rel=0.05)


def test_logit_interval_stays_inside(rng):
    y = np.arange(60) < 3
    interval = bootstrap_interval(
        average_precision_score, y, y + rng.normal(size=60), random_state=0
    )
    assert 0 < interval.low < interval.value < interval.high < 1


def test_perfect_figures_have_an_interval():
    y = np.arange(30) < 3
    perfect = bootstrap_interval(
        average_precision_score, y, y.astype(float), n_resamples=20, random_state=0
    )
    assert perfect == (1.0, 1.0, 1.0)


def covered_share(n_samples, n_resamples, n_rows, n_positive, distance):
    """Share of samples whose interval holds the true average precision."""
    rng = np.random.default_rng(0)

    def draw(n_rows, n_positive):
        y = np.arange(n_rows) < n_positive
        return y, rng.normal(size=n_rows) + distance * y

    def figure(y, scores):
        both = np.column_stack([-scores, scores])
        return macro_average_precision(y.astype(int), both)

    truth = figure(*draw(1_000 * n_rows, 1_000 * n_positive))
    covered = []
    for seed in range(n_samples):
        y, scores = draw(n_rows, n_positive)
        interval = bootstrap_interval(
            figure, y, scores, n_resamples=n_resamples, random_state=seed
        )
        covered.append(interval.low <= truth <= interval.high)
    return np.mean(covered)


@pytest.mark.parametrize("n_positive", [15, 40])
def test_interval_of_average_precision_covers(n_positive):
    """In 95 % of 150 samples, up to four standard errors of that share."""
    share = covered_share(150, 50, 400, n_positive, 2.0)
    assert abs(share - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 150)


@pytest.mark.long
@pytest.mark.parametrize(
    ("n_rows", "n_positive", "distance"),
    [(1_000, 50, 2.0), (1_000, 20, 2.0), (2_000, 100, 1.0), (1_000, 200, 2.0)],
)
def test_interval_of_average_precision_covers_in_many_samples(
    n_rows, n_positive, distance
):
    share = covered_share(2_000, 100, n_rows, n_positive, distance)
    assert abs(share - 0.95) < 0.02


def test_difference_of_equal_scores_is_zero(rng):
    y, scores = rng.random(100) < 0.2, rng.random(100)
    same = paired_interval(
        average_precision_score, y, scores, scores, n_resamples=20, random_state=0
    )
    assert same == (0.0, 0.0, 0.0)


def test_pairs_are_judged_on_the_same_resamples(rng):
    """The interval of a difference is narrower than those of the two figures."""
    y = np.arange(400) < 40
    first = y + rng.normal(size=400)
    second = first + 0.1 * rng.normal(size=400)
    options = {"n_resamples": 200, "random_state": 0}
    alone = bootstrap_interval(average_precision_score, y, first, **options)
    pair = paired_interval(average_precision_score, y, first, second, **options)
    assert pair.value == pytest.approx(
        average_precision_score(y, first) - average_precision_score(y, second)
    )
    assert pair.high - pair.low < 0.5 * (alone.high - alone.low)


@pytest.mark.parametrize("is_grouped", [False, True])
def test_rows_of_weight_0_are_left_out(is_grouped, rng):
    y, scores, weight = rng.integers(0, 2, 60), rng.random(60), np.arange(60) % 3
    groups = np.arange(60) // 5 if is_grouped else None
    kept = weight > 0
    found, expected = (
        bootstrap_interval(
            average_precision_score,
            y[rows],
            scores[rows],
            sample_weight=weight[rows],
            groups=groups[rows] if is_grouped else None,
            n_resamples=5,
            random_state=0,
        )
        for rows in (slice(None), kept)
    )
    assert found == expected


def test_weights_go_with_their_rows(rng):
    y, called = rng.integers(0, 2, 80), rng.integers(0, 2, 80)
    weight = rng.random(80)
    interval = bootstrap_interval(
        f1_score, y, called, sample_weight=weight, n_resamples=20, random_state=0
    )
    assert interval.value == f1_score(y, called, sample_weight=weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "log"}, "scale='log'"),
        ({"level": 95}, "level=95"),
        ({"groups": [1, 2]}, "groups must be 1d.*2 values for 3 rows"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(f1_score, [0, 1, 1], [0, 1, 0], n_resamples=3, **options)


def test_figures_outside_of_0_to_1_ask_for_the_linear_scale():
    with pytest.raises(ValueError, match="scale='linear'"):
        bootstrap_interval(
            lambda y, s: 7.0, [0, 1, 1, 0], [0, 1, 0, 0], n_resamples=3, random_state=0
        )

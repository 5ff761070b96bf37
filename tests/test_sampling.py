"""Index samplers and imbalanced-learn's resamplers."""

from __future__ import annotations

import numpy as np
import pytest
from imblearn.combine import SMOTETomek
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from scipy.stats import chisquare
from sklearn.base import clone

from imbalnet.sampling import (
    SAMPLERS,
    BalancedBatchSampler,
    Oversampler,
    Undersampler,
    WeightedSampler,
    build_sampler,
    resample,
)

CODES = np.repeat([0, 1, 2], [900, 90, 10])
COUNTS = np.bincount(CODES)

all_samplers = pytest.mark.parametrize("name", SAMPLERS)


def bound(sampler, codes=CODES, seed=0):
    return sampler.bind(codes, np.random.default_rng(seed))


@all_samplers
def test_sampler_draws_existing_rows_only(name):
    order = bound(SAMPLERS[name]()).epoch(batch_size=32)
    assert order.min() >= 0
    assert order.max() < len(CODES)


@all_samplers
def test_sampler_rates_are_the_mean_of_its_draws(name):
    """Over 200 epochs, each class comes as often as ``rates`` says."""
    sampler = bound(SAMPLERS[name]())
    drawn = np.mean(
        [np.bincount(CODES[sampler.epoch(32)], minlength=3) for _ in range(200)], axis=0
    )
    np.testing.assert_allclose(drawn, COUNTS * sampler.rates(COUNTS), rtol=0.02)


@all_samplers
def test_sampler_draws_rows_of_a_class_evenly(name):
    sampler = bound(SAMPLERS[name]())
    draws = np.concatenate([sampler.epoch(32) for _ in range(60)])
    for code in range(3):
        times = np.bincount(draws, minlength=len(CODES))[CODES == code]
        assert chisquare(times).pvalue > 1e-3


@all_samplers
def test_sampler_draws_afresh_each_epoch_and_repeats_with_its_seed(name):
    first, again = bound(SAMPLERS[name]()), bound(SAMPLERS[name]())
    one, two = first.epoch(32), first.epoch(32)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, again.epoch(32))


@all_samplers
def test_sampler_leaves_out_an_absent_class(name):
    codes = np.repeat([0, 2], [50, 5])
    sampler = bound(SAMPLERS[name](), codes)
    assert set(codes[sampler.epoch(16)]) == {0, 2}
    assert sampler.rates(np.array([50, 0, 5]))[1] == 1.0


@pytest.mark.parametrize("cls", [WeightedSampler, Oversampler, Undersampler])
def test_sampler_power_zero_keeps_the_shares(cls):
    np.testing.assert_allclose(cls(power=0.0).rates(COUNTS), [1, 1, 1])


@pytest.mark.parametrize("cls", [WeightedSampler, Oversampler, Undersampler])
def test_sampler_power_half_takes_the_root_of_the_ratio(cls):
    mass = COUNTS * cls(power=0.5).rates(COUNTS)
    assert mass[0] / mass[2] == pytest.approx(np.sqrt(90), rel=0.02)


def test_sampler_rejects_power():
    with pytest.raises(ValueError, match="sampler__power=2 must lie between 0 and 1"):
        Undersampler(power=2)


def test_oversampler_keeps_every_row():
    order = bound(Oversampler()).epoch(32)
    times = np.bincount(order, minlength=len(CODES))
    assert (times[CODES == 0] == 1).all()
    assert (times[CODES == 2] == 90).all()
    assert len(order) == 2700


def test_undersampler_sees_every_row_within_the_ratio_of_epochs():
    sampler = bound(Undersampler())
    epochs = [sampler.epoch(32) for _ in range(90)]  # 900 rows, 10 an epoch
    assert set(np.concatenate(epochs)) == set(range(1000))
    assert all(len(np.unique(epoch)) == len(epoch) == 30 for epoch in epochs)


@pytest.mark.parametrize("batch_size", [3, 32, 100])
def test_balanced_batch_holds_classes_in_equal_parts(batch_size):
    order = bound(BalancedBatchSampler()).epoch(batch_size)
    assert len(order) == len(CODES)
    for start in range(0, len(order) - batch_size, batch_size):
        counts = np.bincount(CODES[order[start : start + batch_size]], minlength=3)
        assert np.ptp(counts) <= 1


def test_balanced_batch_with_more_classes_than_slots():
    codes = np.repeat(np.arange(10), 20)
    order = bound(BalancedBatchSampler(), codes).epoch(4)
    assert np.ptp(np.bincount(codes[order])) <= 1
    assert all(len(set(codes[order[i : i + 4]])) == 4 for i in range(0, 200, 4))


@pytest.fixture
def table(rng):
    X = rng.normal(size=(len(CODES), 3)).astype(np.float32)
    return X, rng.uniform(0.5, 2.0, size=len(CODES))


@pytest.mark.parametrize(
    "sampler", [RandomOverSampler(), RandomUnderSampler()], ids=["over", "under"]
)
def test_resample_carries_weights_of_drawn_rows(sampler, table):
    X, weight = table
    classes = np.array(["a", "b", "c"])
    X_new, codes, new_weight = resample(sampler, X, CODES, weight, classes, seed=0)
    assert np.ptp(np.bincount(codes)) == 0
    lookup = {row.tobytes(): w for row, w in zip(X, weight, strict=True)}
    np.testing.assert_array_equal(new_weight, [lookup[row.tobytes()] for row in X_new])


def test_resample_gives_synthetic_rows_their_class_mean(table):
    X, weight = table
    classes = np.array([10, 20, 30])
    _, codes, new_weight = resample(SMOTE(), X, CODES, weight, classes, seed=0)
    np.testing.assert_array_equal(new_weight[: len(X)], weight)
    synthetic = codes[len(X) :]
    mean = np.array([weight[CODES == code].mean() for code in range(3)])
    np.testing.assert_allclose(new_weight[len(X) :], mean[synthetic])


def test_resample_of_unknown_order_takes_class_means(table):
    X, weight = table
    classes = np.arange(3)
    _, codes, new_weight = resample(SMOTETomek(), X, CODES, weight, classes, seed=0)
    mean = np.array([weight[CODES == code].mean() for code in range(3)])
    np.testing.assert_allclose(new_weight, mean[codes])


def test_resample_is_seeded(table):
    X, weight = table
    one, two, other = (
        resample(SMOTE(), X, CODES, weight, np.arange(3), seed=seed)[0]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_resample_takes_a_strategy_by_label(table):
    X, weight = table
    sampler = RandomOverSampler(sampling_strategy={"rare": 40})
    classes = np.array(["common", "mid", "rare"])
    _, codes, _ = resample(sampler, X, CODES, weight, classes, seed=0)
    assert np.bincount(codes).tolist() == [900, 90, 40]


def test_build_sampler_leaves_the_users_object_alone():
    sampler = SMOTE()
    built = build_sampler(sampler, {"k_neighbors": 2})
    assert (sampler.k_neighbors, built.k_neighbors) == (5, 2)


@pytest.mark.parametrize(
    ("sampler", "known"),
    [
        ("weighted", "sampler__power"),
        ("balanced_batch", "it takes none"),
        (None, "it takes none"),
        (SMOTE(), "sampler__k_neighbors"),
    ],
)
def test_build_sampler_lists_known_parameters(sampler, known):
    with pytest.raises(ValueError, match=known):
        build_sampler(sampler, {"powr": 1})


@pytest.mark.parametrize(
    "sampler", [SMOTETomek(smote=SMOTE()), SMOTETomek(smote=SMOTE(k_neighbors=3))]
)
def test_resample_seeds_samplers_inside_samplers(sampler, table):
    X, weight = table
    before = np.random.get_state()[1].copy()
    one, two = (
        resample(clone(sampler), X, CODES, weight, np.arange(3), seed=0)[0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(np.random.get_state()[1], before)

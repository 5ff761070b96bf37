"""Index samplers: property tests over all that have a name, then each by itself."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler
from scipy.stats import chisquare
from sklearn.preprocessing import StandardScaler

from imbalnet._nested import accepted_names
from imbalnet.samplers import (
    SAMPLERS,
    BalancedBatchSampler,
    IndexSampler,
    Oversampler,
    StratifiedBatchSampler,
    Undersampler,
    WeightedSampler,
)
from imbalnet.samplers._build import bind_sampler, build_sampler, sampler_rates
from imbalnet.samplers._epochs import batch_sizes

CODES = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [900, 90, 10]))
COUNTS = np.bincount(CODES)

# Whose class counts are drawn; all others give every class what `rates` says.
RANDOM = {"weighted"}
TEMPERED = [name for name, cls in SAMPLERS.items() if "power" in accepted_names(cls)]
CASES = [pytest.param(name, {}, id=name) for name in SAMPLERS] + [
    pytest.param(name, {"power": power}, id=f"{name}-{power}")
    for name in TEMPERED
    for power in (0.0, 0.5, 1.0)
]
all_cases = pytest.mark.parametrize(("name", "params"), CASES)


def bound(sampler, codes=CODES, seed=0):
    return bind_sampler(sampler, codes, np.random.default_rng(seed))


@all_cases
def test_sampler_draws_existing_rows_only(name, params):
    order = bound(SAMPLERS[name](**params)).epoch(batch_size=32)
    assert order.min() >= 0
    assert order.max() < len(CODES)


@pytest.mark.parametrize("batch_size", [7, 32, 333, 2000])
@all_cases
def test_sampler_rates_are_the_mean_of_its_draws(name, params, batch_size):
    """Over epochs, each class comes as often as ``rates`` says."""
    sampler = bound(SAMPLERS[name](**params))
    rates = sampler.rates(COUNTS, batch_size)
    drawn = sum(np.bincount(CODES[sampler.epoch(batch_size)]) for _ in range(30))
    if name in RANDOM:
        expected = COUNTS * rates / (COUNTS * rates).sum()
        assert chisquare(drawn, expected * drawn.sum()).pvalue > 1e-3
    else:
        np.testing.assert_allclose(drawn, 30 * COUNTS * rates, atol=1 + 1e-6, rtol=0)


@all_cases
def test_sampler_tells_how_many_rows_an_epoch_has(name, params):
    sampler = bound(SAMPLERS[name](**params))
    n_rows = sampler.epoch_rows(COUNTS)
    assert len(sampler.epoch(32)) == n_rows
    assert COUNTS @ sampler.rates(COUNTS, 32) == pytest.approx(n_rows)


@all_cases
def test_sampler_draws_rows_of_a_class_evenly(name, params):
    sampler = bound(SAMPLERS[name](**params))
    draws = np.concatenate([sampler.epoch(32) for _ in range(60)])
    for code in range(3):
        times = np.bincount(draws, minlength=len(CODES))[CODES == code]
        assert chisquare(times).pvalue > 1e-3


@all_cases
def test_sampler_draws_afresh_each_epoch_and_repeats_with_its_seed(name, params):
    first, again = (bound(SAMPLERS[name](**params)) for _ in range(2))
    one, two = first.epoch(32), first.epoch(32)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, again.epoch(32))


@all_cases
def test_sampler_leaves_out_an_absent_class(name, params):
    codes = np.repeat([0, 2], [50, 5])
    sampler = bound(SAMPLERS[name](**params), codes)
    drawn = np.concatenate([sampler.epoch(16) for _ in range(3)])
    assert set(codes[drawn]) == {0, 2}
    counts = np.array([50, 0, 5])
    assert sampler.rates(counts, 16)[1] == 1.0
    assert 3 * sampler.epoch_rows(counts) == len(drawn)


@all_cases
def test_sampler_rates_of_weighted_counts_have_no_scale(name, params):
    """Rates that enter one full batch as weights do not hang on the weights' unit."""
    sampler = SAMPLERS[name](**params)
    counts = np.array([900.0, 90.0, 10.0])
    rates = sampler.rates(counts, 1000)
    np.testing.assert_allclose(sampler.rates(counts / 1e5, 1000), rates)
    mass = counts * rates
    power = sampler.power
    np.testing.assert_allclose(mass[0] / mass[2], 90 ** (1 - power))


@pytest.mark.parametrize("name", TEMPERED)
def test_sampler_power_zero_keeps_the_shares(name):
    sampler = SAMPLERS[name](power=0.0)
    np.testing.assert_allclose(sampler.rates(COUNTS, 100), [1, 1, 1])


@pytest.mark.parametrize("name", TEMPERED)
def test_sampler_power_half_takes_the_root_of_the_ratio(name):
    mass = COUNTS * SAMPLERS[name](power=0.5).rates(COUNTS, 100)
    assert mass[0] / mass[2] == pytest.approx(np.sqrt(90), rel=0.02)


@pytest.mark.parametrize("power", [2, -0.1, np.nan, "a", None, np.ones(2)])
@pytest.mark.parametrize("name", TEMPERED)
def test_sampler_rejects_power(name, power):
    message = re.escape(f"sampler__power={power!r} must be a number that lies")
    with pytest.raises(ValueError, match=message):
        SAMPLERS[name](power=power)


def test_weighted_sampler_draws_with_replacement():
    order = bound(WeightedSampler()).epoch(32)
    assert len(order) == len(CODES)
    assert np.bincount(order, minlength=len(CODES))[CODES == 2].min() > 10


def test_oversampler_keeps_every_row():
    order = bound(Oversampler()).epoch(32)
    times = np.bincount(order, minlength=len(CODES))
    assert (times[CODES == 0] == 1).all()
    assert (times[CODES == 2] == 90).all()
    assert len(order) == 2700


@pytest.mark.parametrize("counts", [(900, 10), (100, 30), (31, 30), (30, 30)])
def test_undersampler_sees_every_row_within_the_ratio_of_epochs(counts):
    codes = np.repeat([0, 1], counts)
    sampler = bound(Undersampler(), codes)
    epochs = [sampler.epoch(32) for _ in range(-(-counts[0] // counts[1]))]
    assert set(np.concatenate(epochs)) == set(range(len(codes)))
    assert {len(epoch) for epoch in epochs} == {2 * counts[1]}
    *whole, _ = epochs  # the last may start the next round
    assert all(len(np.unique(epoch)) == len(epoch) for epoch in whole)


# -- batches -----------------------------------------------------------------------


def batches(sampler, batch_size, n_epochs=1, codes=CODES):
    """Class counts of each batch."""
    n_classes = codes.max() + 1
    for _ in range(n_epochs):
        drawn = codes[sampler.epoch(batch_size)]
        ends = np.cumsum(batch_sizes(len(drawn), batch_size))[:-1]
        for batch in np.split(drawn, ends):
            yield np.bincount(batch, minlength=n_classes)


@pytest.mark.parametrize("power", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("n_classes", "batch_size"), [(2, 16), (5, 37), (40, 64)])
def test_stratified_batch_never_strays_a_row(n_classes, batch_size, power, rng):
    """Behind every batch of every epoch, and in each batch by less than two."""
    counts = rng.integers(1, 10, n_classes) ** 3
    codes = np.repeat(np.arange(n_classes), counts)
    codes = codes[: len(codes) // batch_size * batch_size]  # full batches only
    counts = np.bincount(codes)
    sampler = bound(StratifiedBatchSampler(power), codes)
    n_batches = len(codes) // batch_size
    quota = counts * sampler.rates(counts, batch_size) / n_batches
    given = np.array(list(batches(sampler, batch_size, 4, codes)))
    cumulated = quota * np.arange(1, len(given) + 1)[:, None]
    assert abs(given.cumsum(axis=0) - cumulated).max() <= 1 + 1e-6
    extra = given - np.floor(quota + 1e-9)
    assert extra.min() >= 0
    assert extra.max() <= (1 if n_classes == 2 else 2)


def test_stratified_batch_has_the_datas_shares_to_a_row():
    given = np.array(list(batches(bound(StratifiedBatchSampler()), 100, 5)))
    np.testing.assert_array_equal(given, np.tile([90, 9, 1], (50, 1)))


@pytest.mark.parametrize("batch_size", [100, 128, 333])
def test_stratified_batch_is_every_row_once_an_epoch(batch_size):
    codes = np.repeat([0, 1], [930, 70])
    sampler = bound(StratifiedBatchSampler(), codes)
    for _ in range(3):
        epoch = sampler.epoch(batch_size)
        np.testing.assert_array_equal(np.sort(epoch), np.arange(1000))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("batch_size", [6, 7, 33, 90])
def test_stratified_batch_has_every_class_in_every_batch(batch_size, power):
    """With ten rows of the rarest class in up to 166 batches."""
    given = list(batches(bound(StratifiedBatchSampler(power)), batch_size, 3))
    assert all(counts.min() >= 1 for counts in given)


def test_stratified_batch_raises_rare_classes_at_the_cost_of_the_others():
    """Ten slots: one each for the two rare classes, eight for the rest."""
    sampler = bound(StratifiedBatchSampler())
    drawn = COUNTS * sampler.rates(COUNTS, 10)
    np.testing.assert_allclose(drawn, [800, 100, 100])
    codes = np.repeat([0, 1, 2], [600, 390, 10])
    counts = np.bincount(codes)
    drawn = counts * bound(StratifiedBatchSampler(), codes).rates(counts, 10)
    np.testing.assert_allclose(drawn, [900 * 60 / 99, 900 * 39 / 99, 100])


def test_stratified_batch_repeats_rows_only_when_all_were_seen():
    sampler = bound(StratifiedBatchSampler())
    drawn = np.concatenate([sampler.epoch(10) for _ in range(5)])
    times = np.bincount(drawn, minlength=len(CODES))
    for code in range(3):
        assert np.ptp(times[CODES == code]) <= 1


def test_stratified_batch_with_more_classes_than_slots_serves_all_in_time():
    """500 classes, 64 slots: a class' n rows are drawn n times an epoch."""
    codes = np.repeat(np.arange(500), np.arange(500) // 25 + 1)
    sampler = bound(StratifiedBatchSampler(), codes)
    drawn = codes[sampler.epoch(64)]
    np.testing.assert_array_equal(np.bincount(drawn), np.bincount(codes))


@pytest.mark.parametrize("batch_size", [3, 32, 100])
def test_balanced_batch_holds_classes_in_equal_parts(batch_size):
    given = np.array(list(batches(bound(BalancedBatchSampler()), batch_size, 3)))
    assert np.ptp(given, axis=1).max() <= 1
    assert np.ptp(given.cumsum(axis=0), axis=1).max() <= 1


def test_balanced_batch_with_more_classes_than_slots():
    codes = np.repeat(np.arange(10), 20)
    given = np.array(list(batches(bound(BalancedBatchSampler(), codes), 4, 3, codes)))
    assert given.max() == 1
    assert np.ptp(given.cumsum(axis=0), axis=1).max() <= 1


def test_balanced_batch_mixes_the_turns():
    """Classes are not bound to the same company in each epoch."""
    codes = np.repeat(np.arange(10), 20)
    sampler = bound(BalancedBatchSampler(), codes)
    company = {tuple(np.flatnonzero(c)) for c in batches(sampler, 5, 3, codes)}
    assert len(company) > 10


# -- by their parameter ------------------------------------------------------------


class EveryOther(IndexSampler):
    """A user's own: every second row, or every k-th."""

    def __init__(self, k=2):
        super().__init__()
        self.k = k

    def epoch(self, batch_size):
        return np.flatnonzero(np.arange(self.counts.sum()) % self.k == 0)

    def rates(self, counts, batch_size):
        return np.full(len(counts), 1 / self.k)


def test_build_sampler_takes_an_index_sampler_class():
    sampler = bound(build_sampler(EveryOther, {"k": 4}))
    assert len(sampler.epoch(32)) == 250
    assert sampler.epoch_rows(COUNTS) == 1000


def test_build_sampler_gives_an_index_sampler_no_keyword_of_torchs_contract():
    class Batched(EveryOther):
        def __init__(self, batch_size):
            super().__init__(batch_size)

    assert build_sampler(Batched, {"batch_size": 4}).k == 4
    with pytest.raises(ValueError, match=r"^sampler=Batched needs .*\['batch_size'\]"):
        build_sampler(Batched, {})


class WithoutRates(IndexSampler):
    def epoch(self, batch_size):
        return np.arange(batch_size)


@pytest.mark.parametrize(
    ("cls", "missing"), [(IndexSampler, "epoch and rates"), (WithoutRates, "rates")]
)
def test_build_sampler_names_methods_that_a_class_lacks(cls, missing):
    message = f"^sampler={cls.__name__} leaves {missing} to its subclasses; give a sub"
    with pytest.raises(ValueError, match=message):
        build_sampler(cls, {})


def scripted_rates(rates):
    """Make a user's own sampler that claims these rates."""
    sampler = EveryOther()
    sampler.rates = lambda counts, batch_size: rates
    return sampler


@all_cases
def test_sampler_rates_are_the_samplers_own(name, params):
    sampler = bound(SAMPLERS[name](**params))
    rates = sampler_rates(sampler, COUNTS, 32)
    np.testing.assert_array_equal(rates, sampler.rates(COUNTS, 32))


@pytest.mark.parametrize("rates", [[2, 1, 0.5], (2, 1, 0.5), torch.tensor([2, 1, 0.5])])
def test_sampler_rates_may_be_of_any_kind(rates):
    checked = sampler_rates(scripted_rates(rates), COUNTS, 32)
    assert checked.dtype == np.float64
    assert checked.tolist() == [2.0, 1.0, 0.5]


@pytest.mark.parametrize("rate", [0.0, np.nan, np.inf])
def test_sampler_rates_are_one_for_classes_without_rows(rate):
    """Where own rates divide by the rows of a class."""
    rates = sampler_rates(scripted_rates([2.0, rate]), np.array([5, 0]), 32)
    assert rates.tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    "rates",
    [
        [1.0, 1.0],
        1.0,
        [1.0, 1.0, 0.0],
        [1.0, 1.0, -1.0],
        [1.0, 1.0, np.inf],
        [1.0, 1.0, np.nan],
        [1.0, 1.0, "a"],
        np.ones((3, 1)),
        "abc",
        None,
    ],
)
def test_sampler_rates_name_what_is_no_rate(rates):
    message = r"sampler=EveryOther: rates must give each of the 3 classes a finite .*"
    message += re.escape(f"but gave {rates!r}.")
    with pytest.raises(ValueError, match=message):
        sampler_rates(scripted_rates(rates), COUNTS, 32)


def test_sampler_rates_of_a_class_of_one_row_must_be_above_zero():
    with pytest.raises(ValueError, match=r"finite number above 0.*\[1.0, 0.0\]"):
        sampler_rates(scripted_rates([1.0, 0.0]), np.array([5, 1]), 32)


def test_bind_sampler_names_a_bind_without_return():
    class Forgetful(EveryOther):
        def bind(self, codes, rng):
            super().bind(codes, rng)

    message = r"sampler=Forgetful: bind must give the sampler \(return self\), .* None"
    with pytest.raises(ValueError, match=message):
        bound(Forgetful())


def test_build_sampler_refuses_an_index_sampler_instance():
    with pytest.raises(ValueError, match=r"give the class, sampler=EveryOther, and"):
        build_sampler(EveryOther(), {})


def test_build_sampler_leaves_the_users_object_alone():
    sampler = SMOTE()
    built = build_sampler(sampler, {"k_neighbors": 2})
    assert (sampler.k_neighbors, built.k_neighbors) == (5, 2)


PIPELINE = Pipeline([("over", SMOTE()), ("under", RandomUnderSampler())])


@pytest.mark.parametrize(
    ("sampler", "owner", "known"),
    [
        ("weighted", "'weighted'", "sampler__power"),
        ("stratified_batch", "'stratified_batch'", "sampler__power"),
        ("balanced_batch", "'balanced_batch'", "it takes none"),
        (None, "None", "it takes none"),
        (EveryOther, "EveryOther", "sampler__k"),
        (SMOTE(), "SMOTE()", "sampler__k_neighbors"),
        (PIPELINE, "Pipeline()", "sampler__over__k_neighbors"),
    ],
)
def test_build_sampler_lists_known_parameters(sampler, owner, known):
    message = re.escape(f"sampler__powr is no parameter of sampler={owner};")
    with pytest.raises(ValueError, match=rf"{message}.* {known}"):
        build_sampler(sampler, {"powr": 1})


def test_build_sampler_reaches_the_steps_of_a_pipeline():
    built = build_sampler(PIPELINE, {"over__k_neighbors": 2})
    assert built.named_steps["over"].k_neighbors == 2
    assert PIPELINE.named_steps["over"].k_neighbors == 5


@pytest.mark.parametrize(
    "steps",
    [
        [("scale", StandardScaler()), ("over", SMOTE())],
        [("over", SMOTE()), ("scale", StandardScaler())],
        [("inner", Pipeline([("scale", StandardScaler()), ("over", SMOTE())]))],
    ],
    ids=["first", "last", "nested"],
)
def test_build_sampler_refuses_a_step_that_is_no_sampler(steps):
    message = r"step 'scale' .*StandardScaler\(\) is no sampler.*before the classifier"
    with pytest.raises(ValueError, match=message):
        build_sampler(Pipeline(steps), {})


def test_build_sampler_refuses_what_is_no_sampler():
    with pytest.raises(ValueError, match=r"^sampler=StandardScaler\(\) is no sampler"):
        build_sampler(StandardScaler(), {})

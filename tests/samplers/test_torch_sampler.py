"""Torch's sampler classes as samplers of the training rows."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch.utils.data import (
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.feeds.batches import Place, Table, TensorBatches
from imbalnet._tables import Rows
from imbalnet.samplers import TorchSampler
from imbalnet.samplers._build import build_sampler

mlp = partial(BalancedNeuralClassifier, module="mlp")

CODES = np.repeat([0, 1], [270, 30])
COUNTS = np.array([270, 30])


class Balanced(Sampler):
    """Row weights from the labels: what WeightedRandomSampler cannot be given."""

    def __init__(self, labels, generator, share=0.5):
        counts = labels.bincount()
        self.row_weights = (torch.tensor([1 - share, share]) / counts)[labels]
        self.generator = generator

    def __iter__(self):
        n_rows = len(self.row_weights)
        draws = self.row_weights.multinomial(n_rows, True, generator=self.generator)
        return iter(draws.tolist())


class TwoPositives(Sampler):
    """A batch sampler: two positives in each batch, no rest."""

    def __init__(self, data_source, batch_size):
        self.labels, self.batch_size = data_source, batch_size

    def __iter__(self):
        positives = torch.where(self.labels == 1)[0]
        for negatives in torch.where(self.labels == 0)[0].split(self.batch_size - 2):
            two = positives[torch.randperm(len(positives))[:2]]
            yield torch.cat([two, negatives]).tolist()


class Scripted(Sampler):
    """Yield what it is told to."""

    def __init__(self, draws, **kwargs):
        assert not kwargs  # nothing is given that is not named
        self.draws = draws

    def __iter__(self):
        return iter(self.draws)


def bound(cls, seed=0, **params):
    return build_sampler(cls, params).bind(CODES, np.random.default_rng(seed))


def test_random_sampler_is_a_permutation():
    sampler = bound(RandomSampler)
    one, two = sampler.epoch(32), sampler.epoch(32)
    np.testing.assert_array_equal(np.sort(one), np.arange(300))
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(sampler.rates(COUNTS, 32), [1, 1])


def test_sampler_parameters_reach_the_class():
    sampler = bound(RandomSampler, num_samples=50, replacement=True)
    assert len(sampler.epoch(32)) == 50


@pytest.mark.parametrize("cls", [RandomSampler, Balanced, TwoPositives])
def test_draws_repeat_with_their_seed_and_leave_the_global_generator(cls):
    """Also where the class draws from the global generator, as TwoPositives does."""
    before = torch.random.get_rng_state()
    one, again, other = (np.hstack(bound(cls, seed).epoch(12)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_rates_do_not_shift_the_draws():
    one, two = bound(Balanced), bound(Balanced)
    one.rates(COUNTS, 32)
    np.testing.assert_array_equal(one.epoch(32), two.epoch(32))


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_rates_are_measured(share):
    """Within four standard errors of 20 epochs of 300 draws."""
    mass = COUNTS * bound(Balanced, share=share).rates(COUNTS, 32)
    error = np.sqrt(share * (1 - share) / 6000)
    assert mass[1] / mass.sum() == pytest.approx(share, abs=4 * error)


def test_rates_of_batches_are_their_shares():
    sampler = bound(TwoPositives)
    np.testing.assert_allclose(COUNTS * sampler.rates(COUNTS, 12), [270, 27 * 2])


def test_rates_of_a_class_that_is_never_drawn_are_small_but_there():
    sampler = bound(Scripted, draws=range(10))
    with pytest.warns(UserWarning, match="drew no row of the classes"):
        rates = sampler.rates(COUNTS, 32)
    np.testing.assert_allclose(rates, [10 / 270, 0.5 / 20 / 30])


def test_rates_tell_classes_without_rows_from_those_that_are_not_drawn():
    """Class 1 has no row, and so has the last; the one row of class 2 is left out."""
    codes = np.array([0] * 9 + [2])
    sampler = TorchSampler(Scripted, draws=range(9))
    sampler.bind(codes, np.random.default_rng(0))
    with pytest.warns(UserWarning, match=r"positions \[2\] of classes_ in 180 draws"):
        rates = sampler.rates(np.array([9, 0, 1, 0]), 4)
    np.testing.assert_allclose(rates, [1, 1, 0.5 / 20, 1])


def test_one_instance_draws_all_epochs_of_a_batch_size():
    made = []

    class Recorded(Sampler):
        def __init__(self, batch_size, generator):
            made.append((batch_size, generator.initial_seed()))

        def __iter__(self):
            return iter(range(3))

    sampler = bound(Recorded)
    for batch_size in (8, 8, 4):
        sampler.epoch(batch_size)
    assert [batch_size for batch_size, _ in made] == [8, 4]
    for seed in range(64):
        bound(Recorded, seed).epoch(8)
    seeds = {seed for _, seed in made[2:]}
    assert len(seeds) == 64
    assert 2**30 < max(seeds) < 2**31  # as NumPy's and scikit-learn's seeds


def test_longest_epoch_is_ten_times_the_training_rows(monkeypatch):
    monkeypatch.setattr("imbalnet.samplers.torch_sampler._LONGEST_EPOCH", 100)
    assert len(bound(Scripted, draws=[0] * 3000).epoch(32)) == 3000
    with pytest.raises(ValueError, match=r"more than 3000 times .* of 300 training"):
        bound(Scripted, draws=[0] * 3001).epoch(32)


def test_batches_of_a_batch_sampler_stay_as_they_are(rng):
    rows = Rows(rng.normal(size=(300, 1)), CODES)
    place = Place(torch.float32, torch.device("cpu"))
    table = Table(rows, place, order=bound(TwoPositives))
    labels = [y for _, y, _ in TensorBatches(table, 22)]
    assert [len(y) for y in labels] == [22] * 13 + [12]
    assert all(y.sum() == 2 for y in labels)


@pytest.mark.parametrize(
    "draws",
    [[3, 4], [np.int64(3), np.int64(4)], list(torch.tensor([3, 4]))],
    ids=["int", "numpy", "tensor"],
)
def test_row_numbers_may_be_of_any_integer_kind(draws):
    assert bound(Scripted, draws=draws).epoch(32).tolist() == [3, 4]


@pytest.mark.parametrize(
    "draws",
    [[[3, 4], [], [5]], [(3, 4), (5,)], list(torch.tensor([3, 4, 5]).split(2))],
    ids=["list", "tuple", "tensor"],
)
def test_batches_may_be_of_any_kind(draws):
    epoch = bound(Scripted, draws=draws).epoch(32)
    assert [batch.tolist() for batch in epoch] == [[3, 4], [5]]


@pytest.mark.parametrize("draws", [[0, 300], [0, -1], [[0], [5, 300]]])
def test_rows_outside_the_training_rows_are_named(draws):
    with pytest.raises(ValueError, match=r"drew row (300|-1), but .* 0 to 299"):
        bound(Scripted, draws=draws).epoch(32)


@pytest.mark.parametrize("draws", [[0.0, 1.0], [[0, 1], [0.5]], ["0"], [None]])
def test_what_is_no_row_number_is_named(draws):
    message = "sampler=Scripted must give an epoch as row numbers, integers from 0 to"
    with pytest.raises(ValueError, match=message):
        bound(Scripted, draws=draws).rates(COUNTS, 32)


@pytest.mark.parametrize("draws", [[], [[], []]])
def test_an_epoch_without_rows_is_named(draws):
    with pytest.raises(ValueError, match="sampler=Scripted drew no rows"):
        bound(Scripted, draws=draws).epoch(32)


def test_an_epoch_without_end_is_named(monkeypatch):
    monkeypatch.setattr("imbalnet.samplers.torch_sampler._LONGEST_EPOCH", 5000)

    class Endless(Sampler):
        def __init__(self):
            """Take nothing; torch 2.5 warns of what its own constructor is given."""

        def __iter__(self):
            while True:
                yield 0

    with pytest.raises(ValueError, match=r"more than 5000 times .* and end"):
        bound(Endless).epoch(32)


@pytest.mark.parametrize(
    ("cls", "params", "message"),
    [
        (WeightedRandomSampler, {}, r"'weights'.*use sampler='weighted'"),
        (SubsetRandomSampler, {}, r"\['indices'\].*Give them as sampler__"),
        (RandomSampler, {"size": 3}, "sampler__size is no parameter.*num_samples"),
        (RandomSampler, {"generator": None}, "sampler__generator is no parameter"),
        (Scripted, {"batch_size": 3, "draws": []}, "sampler__batch_size is no par"),
        (Sampler, {}, "sampler=Sampler leaves __iter__ to its subclasses; give a sub"),
        (Sampler, {"size": 3}, "sampler=Sampler leaves __iter__"),
        (type("Mine", (Sampler,), {}), {}, "sampler=Mine leaves __iter__ to"),
    ],
)
def test_build_sampler_names_wrong_arguments(cls, params, message):
    with pytest.raises(ValueError, match=message) as raised:
        build_sampler(cls, params)
    assert f"sampler={cls.__name__}" in str(raised.value)


@pytest.mark.parametrize(
    ("sampler", "cure"),
    [
        (SequentialSampler(CODES), "give the class, sampler=SequentialSampler"),
        (WeightedRandomSampler(np.ones(300), 300), "use sampler='weighted'"),
    ],
)
def test_build_sampler_refuses_an_instance(sampler, cure):
    with pytest.raises(ValueError, match=cure):
        build_sampler(sampler, {})


@pytest.mark.parametrize("given", [None, 5])
def test_torch_sampler_without_an_iterator_is_named(given):
    class NoRows(Sampler):
        def __init__(self, labels):
            self.labels = labels

        def __iter__(self):
            return given

    sampler = TorchSampler(NoRows).bind(np.repeat([0, 1], 5), np.random.default_rng(0))
    with pytest.raises(ValueError, match="sampler=NoRows: its __iter__ must give"):
        sampler.epoch(2)


def test_torch_sampler_that_leaves_a_class_out_warns_the_caller(rare):
    """At the line that calls fit."""

    class Negatives(Sampler):
        def __init__(self, labels):
            self.rows = np.flatnonzero(labels == 0).tolist()

        def __iter__(self):
            return iter(self.rows)

    clf = mlp(sampler=Negatives, max_epochs=1)
    with pytest.warns(UserWarning, match=r"positions \[1\] of classes_") as caught:
        clf.fit(*rare)
    assert caught[0].filename == __file__

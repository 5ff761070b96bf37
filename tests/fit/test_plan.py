"""Split, resample, weigh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTENC
from imblearn.under_sampling import RandomUnderSampler
from torch.utils.data import RandomSampler

from imbalnet._fit.plan import FULL_BATCH_ROWS, plan_training
from imbalnet._fit.specs import Levers
from imbalnet._tables import ColumnRules, Reading, Rows, read_rows
from imbalnet.samplers import SAMPLERS
from imbalnet.samplers._build import build_sampler

CLASSES = np.array([0, 1])


@pytest.fixture
def rows(rng):
    codes = np.repeat([0, 1], [900, 100])
    weight = rng.uniform(0.5, 2.0, 1000)
    return Rows(rng.normal(size=(1000, 3)), codes, weight, np.arange(1000))


def plan(rows, sampler=None, class_weight=None, earlier=None, **levers):
    levers = Levers(
        CLASSES, new_sampler=lambda: sampler, class_weight=class_weight, **levers
    )
    return plan_training(rows, levers, seed=0, earlier=earlier)


def loss_weight(planned):
    """What the loss of each of the table's rows is multiplied by."""
    return planned.rows.weighted_by_class(planned.factor).weight


def drawn_rows(planned, n_epochs):
    return np.concatenate(
        [planned.order.epoch(planned.batch_size) for _ in range(n_epochs)]
    )


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1, 1: 30}])
@pytest.mark.parametrize("name", [None, *SAMPLERS])
def test_loss_weights_average_one_over_what_is_drawn(rows, name, class_weight):
    sampler = None if name is None else SAMPLERS[name]()
    planned = plan(rows, sampler, class_weight)
    draws = drawn_rows(planned, 100)
    weights = planned.rows.of(loss_weight(planned))[draws]
    assert weights.mean() == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1, 1: 30}])
@pytest.mark.parametrize("name", [None, *SAMPLERS])
def test_effective_mass_is_the_mean_of_the_drawn_weights(rows, name, class_weight):
    """What the loss sees of each class, counted, is what the plan says it is."""
    sampler = None if name is None else SAMPLERS[name]()
    planned = plan(rows, sampler, class_weight)
    draws = drawn_rows(planned, 300)
    seen = np.bincount(rows.codes[draws], loss_weight(planned)[draws])
    mass = planned.class_counts.delivered * planned.class_weight
    np.testing.assert_allclose(seen / seen.sum(), mass / mass.sum(), rtol=0.03)


@pytest.mark.parametrize("batch_size", [4, 7, 64, None])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", ["stratified_batch", "weighted"])
def test_balanced_weights_even_out_what_a_sampler_leaves(rows, name, power, batch_size):
    """Also where small batches raise a class: the rates know of it."""
    sampler = SAMPLERS[name](power=power)
    planned = plan(rows, sampler, "balanced", batch_size=batch_size)
    mass = planned.class_counts.delivered * planned.class_weight
    np.testing.assert_allclose(mass / mass.sum(), [0.5, 0.5])
    draws = drawn_rows(planned, 60)
    seen = np.bincount(rows.codes[draws], loss_weight(planned)[draws])
    np.testing.assert_allclose(seen / seen.sum(), [0.5, 0.5], rtol=0.03)
    # weights make up for what is left: none at full power
    ratio = planned.class_weight[1] / planned.class_weight[0]
    left = planned.class_counts.delivered
    assert ratio == pytest.approx(left[0] / left[1])


def test_rates_are_those_of_the_batch_size(rows):
    """Four slots, at least one of them positive: a quarter of what is drawn."""
    for batch_size, share in [(4, 0.25), (100, 0.1)]:
        planned = plan(rows, SAMPLERS["stratified_batch"](), batch_size=batch_size)
        drawn = planned.class_counts.drawn
        np.testing.assert_allclose(drawn / drawn.sum(), [1 - share, share])


def test_automatic_batch_size_goes_to_the_rates(rows):
    """1000 rows are batches of 125: the last one of 125 too, 12.5 of them positive."""
    planned = plan(rows, SAMPLERS["stratified_batch"]())
    drawn = np.bincount(rows.codes[planned.order.epoch(planned.batch_size)])
    assert drawn.tolist() == planned.class_counts.drawn.tolist() == [900, 100]


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_batch_does_not_hang_on_the_unit_of_sample_weights(rows, name):
    plans = [
        plan(
            replace(rows, weight=rows.weight * unit), SAMPLERS[name](), full_batch=True
        )
        for unit in (1, 1e-6)
    ]
    one, other = (loss_weight(planned) for planned in plans)
    np.testing.assert_allclose(one, other)


def test_torch_sampler_has_a_plan_of_measured_rates(rows):
    sampler = build_sampler(RandomSampler, {"num_samples": 250})
    planned = plan(rows, sampler, "balanced", batch_size=50)
    rates = planned.class_counts.delivered / rows.counts(2)
    np.testing.assert_allclose(rates, 0.25, rtol=0.1)
    mass = planned.class_counts.delivered * planned.class_weight
    np.testing.assert_allclose(mass / mass.sum(), [0.5, 0.5])
    assert len(planned.order.epoch(50)) == 250


def test_frame_goes_to_the_resampler_and_comes_back_as_matrix(rows):
    frame = pd.DataFrame(rows.X, columns=list("abc"))
    frame["c"] = pd.Series(np.arange(1000) % 3).astype("category")
    reading = Reading(ColumnRules(), np.float32, "Net")
    table, _ = read_rows(frame, rows.codes, None, reading, CLASSES)
    kept = np.r_[:720, 900:980]
    planned = plan(table.subset(kept), SMOTENC(categorical_features="auto"))
    assert planned.rows.X.dtype == np.float32
    assert planned.rows.frame is None
    assert planned.rows.columns.n_categories == (0, 0, 5)
    np.testing.assert_array_equal(planned.rows.X[:800], table.X[kept])
    assert set(planned.rows.X[800:, 2]) == {0, 1, 2}


def test_one_batch_of_rates_as_weights_has_the_mass_of_the_draw(rows):
    drawn = plan(rows, SAMPLERS["weighted"]())
    whole = plan(rows, SAMPLERS["weighted"](), full_batch=True)
    assert whole.order is None
    assert whole.batch_size == 1000
    mass = np.bincount(rows.codes, loss_weight(whole))
    np.testing.assert_allclose(mass / mass.sum(), [0.5, 0.5])
    assert drawn.batch_size == 125


@pytest.mark.parametrize("n_rows", [FULL_BATCH_ROWS, FULL_BATCH_ROWS + 1])
def test_tiny_data_are_one_batch(rows, n_rows):
    few = Rows(rows.X, rows.codes[::-1], rows.weight, np.arange(1000)[-n_rows:])
    assert (plan(few).order is None) == (n_rows == FULL_BATCH_ROWS)


@pytest.mark.parametrize(
    ("n_rows", "batch_size"),
    [(100, 16), (1_000, 125), (5_000, 128), (8_000, 256), (24_000, 512)],
)
def test_auto_batch_grows_with_the_epoch(n_rows, batch_size):
    codes = np.arange(n_rows) % 2
    many = Rows(np.zeros((n_rows, 1)), codes, np.ones(n_rows), np.arange(n_rows))
    assert plan(many).batch_size == batch_size


def test_auto_batch_goes_by_what_undersampling_leaves():
    codes = (np.arange(20_000) % 100 == 0).astype(int)
    many = Rows(np.zeros((20_000, 1)), codes, np.ones(20_000), np.arange(20_000))
    assert plan(many, SAMPLERS["undersample"]()).batch_size == 50  # 400 rows an epoch


def test_resampler_keeps_the_priors_known(rows):
    planned = plan(rows, RandomUnderSampler())
    assert len(planned.rows) == 200
    rate = planned.class_counts.delivered / rows.counts(2)
    assert rate[0] == pytest.approx(1 / 9, rel=0.15)
    assert rate[1] == pytest.approx(1.0)


def test_counts_add_up_over_calls(rows):
    first = plan(rows, class_weight="balanced")
    again = plan(rows, class_weight="balanced", earlier=first.class_counts)
    for name in ("delivered", "drawn"):
        counts = [getattr(plan.class_counts, name) for plan in (first, again)]
        np.testing.assert_allclose(counts[1], 2 * counts[0])
    np.testing.assert_allclose(again.class_weight, first.class_weight)


def test_weights_of_chunks_are_normalised_over_all_of_them():
    """A chunk of negatives alone keeps its small weight: nothing cancels."""
    codes = np.repeat([0, 1], [900, 100])
    table = Rows(np.zeros((1000, 1)), codes, np.ones(1000), np.arange(1000))
    first = plan(table, class_weight="balanced")
    negatives = Rows(table.X, codes, table.weight, np.arange(300))
    second = plan(negatives, class_weight="balanced", earlier=first.class_counts)
    weight = second.rows.of(loss_weight(second))
    np.testing.assert_allclose(weight, second.class_weight[0])
    assert second.class_weight[0] == pytest.approx(1300 / (2 * 1200))


@pytest.mark.parametrize("given", [None, "a", 0, 300.5])
def test_epoch_rows_of_an_own_sampler_are_checked(given, rows):
    class Own(SAMPLERS["weighted"]):
        def epoch_rows(self, counts):
            return given

    with pytest.raises(ValueError, match="epoch_rows must give the number of rows"):
        plan(rows, Own())

"""Split, resample, weigh."""

from __future__ import annotations

import numpy as np
import pytest
from imblearn.under_sampling import RandomUnderSampler

from imbalnet.preparation import FULL_BATCH_ROWS, plan_training
from imbalnet.sampling import SAMPLERS
from imbalnet.table import Rows

CLASSES = np.array([0, 1])


@pytest.fixture
def rows(rng):
    codes = np.repeat([0, 1], [900, 100])
    weight = rng.uniform(0.5, 2.0, 1000)
    return Rows(rng.normal(size=(1000, 3)), codes, weight, np.arange(1000))


def plan(rows, sampler=None, class_weight=None, **options):
    params = {
        "weight_params": {},
        "batch_size": "auto",
        "full_batch": False,
        "earlier": None,
        "seed": 0,
    }
    return plan_training(
        rows, CLASSES, sampler=sampler, class_weight=class_weight, **(params | options)
    )


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1, 1: 30}])
@pytest.mark.parametrize("name", [None, *SAMPLERS])
def test_loss_weights_average_one_over_what_is_drawn(rows, name, class_weight):
    sampler = None if name is None else SAMPLERS[name]()
    planned = plan(rows, sampler, class_weight)
    draws = np.concatenate([planned.order.epoch(32) for _ in range(100)])
    weights = planned.rows.of(planned.rows.weight)[draws]
    assert weights.mean() == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1, 1: 30}])
@pytest.mark.parametrize("name", [None, *SAMPLERS])
def test_effective_mass_is_the_mean_of_the_drawn_weights(rows, name, class_weight):
    """What the loss sees of each class, counted, is what the plan says it is."""
    sampler = None if name is None else SAMPLERS[name]()
    planned = plan(rows, sampler, class_weight)
    draws = np.concatenate([planned.order.epoch(32) for _ in range(300)])
    seen = np.bincount(rows.codes[draws], planned.rows.weight[draws])
    mass = planned.class_counts.delivered * planned.class_weight
    np.testing.assert_allclose(seen / seen.sum(), mass / mass.sum(), rtol=0.03)


def test_one_batch_of_rates_as_weights_has_the_mass_of_the_draw(rows):
    drawn = plan(rows, SAMPLERS["weighted"]())
    whole = plan(rows, SAMPLERS["weighted"](), full_batch=True)
    assert whole.order is None
    assert whole.batch_size == 1000
    mass = np.bincount(rows.codes, whole.rows.weight)
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
    assert len(planned.rows.index) == 200
    np.testing.assert_allclose(planned.class_counts.seen, rows.counts(2))
    rate = planned.class_counts.delivered / planned.class_counts.seen
    assert rate[0] == pytest.approx(1 / 9, rel=0.15)
    assert rate[1] == pytest.approx(1.0)


def test_counts_add_up_over_calls(rows):
    first = plan(rows, class_weight="balanced")
    again = plan(rows, class_weight="balanced", earlier=first.class_counts)
    np.testing.assert_allclose(again.class_counts.seen, 2 * first.class_counts.seen)
    np.testing.assert_allclose(again.class_weight, first.class_weight)


def test_weights_of_chunks_are_normalised_over_all_of_them():
    """A chunk of negatives alone keeps its small weight: nothing cancels."""
    codes = np.repeat([0, 1], [900, 100])
    table = Rows(np.zeros((1000, 1)), codes, np.ones(1000), np.arange(1000))
    first = plan(table, class_weight="balanced")
    negatives = Rows(table.X, codes, table.weight, np.arange(300))
    second = plan(negatives, class_weight="balanced", earlier=first.class_counts)
    weight = second.rows.of(second.rows.weight)
    np.testing.assert_allclose(weight, second.class_weight[0])
    assert second.class_weight[0] == pytest.approx(1300 / (2 * 1200))

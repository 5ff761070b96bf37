"""What decisions cost."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.datasets import make_classification
from sklearn.metrics import zero_one_loss
from sklearn.model_selection import cross_validate
from sklearn.naive_bayes import GaussianNB

from imbalnet.metrics import SCORERS, get_scorer, mean_cost


@pytest.fixture
def rows(rng):
    y, called = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    return y, called, rng.random((3, 3))


def test_cost_is_the_mean_over_the_confusion_matrix(rows):
    y, called, costs = rows
    counts = sklearn.metrics.confusion_matrix(y, called)
    assert mean_cost(y, called, costs) == pytest.approx((counts * costs).sum() / 60)


def test_cost_without_prices_is_the_error_rate(rows):
    y, called, _ = rows
    assert mean_cost(y, called) == pytest.approx(zero_one_loss(y, called))


def test_costs_of_each_row_go_with_their_rows(rows, rng):
    y, called, costs = rows
    scale = rng.random(60)
    of_rows = scale[:, None, None] * costs
    weight = rng.random(60)
    expected = np.average(scale * costs[y, called], weights=weight)
    found = mean_cost(y, called, of_rows, sample_weight=weight)
    assert found == pytest.approx(expected)


def test_costs_are_matched_by_label():
    costs = {("yes", "no"): 7.0, ("no", "yes"): [1.0, 2.0, 3.0]}
    assert mean_cost(["yes", "no", "no"], ["no", "yes", "no"], costs) == 3.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_cost([0, 1], [0]), "inconsistent"),
        (lambda: mean_cost([0, 1], [0, 2], labels=[0, 1]), r"not in labels: \[2\]"),
        (lambda: mean_cost([0, 1], [0, 1], [[0, np.nan], [1, 0]]), "finite"),
        (lambda: mean_cost([0, 1], [0, 1], {(0, 1): 2}), "leaves out"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(300, weights=[0.8], random_state=0)
    return X, np.where(y == 1, "fraud", "fine")


def test_scorers_read_costs_by_label(data):
    X, y = data
    model = GaussianNB().fit(X, y)
    costs = {("fraud", "fine"): 20, ("fine", "fraud"): 1}
    found = get_scorer("neg_mean_cost", cost_matrix=costs)(model, X, y)
    assert found == -mean_cost(y, model.predict(X), costs)
    cheapest = get_scorer("neg_least_cost", cost_matrix=costs)(model, X, y)
    called = np.where(model.predict_proba(X)[:, 1] * 21 >= 1, "fraud", "fine")
    assert cheapest == pytest.approx(-mean_cost(y, called, costs))


def test_costs_of_each_row_are_routed(data):
    X, y = data
    amounts = np.random.default_rng(0).lognormal(3, 1, len(y))
    costs = np.zeros((len(y), 2, 2))
    costs[:, 1, 0], costs[:, 0, 1] = amounts, 5.0
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = get_scorer("neg_least_cost").set_score_request(cost_matrix=True)
        scores = cross_validate(
            GaussianNB(), X, y, cv=3, scoring=scorer, params={"cost_matrix": costs}
        )["test_score"]
    plain = cross_validate(GaussianNB(), X, y, cv=3, scoring=SCORERS["neg_least_cost"])
    assert (scores < plain["test_score"]).all()
    assert (-scores < (y == "fraud").mean() * amounts.max()).all()

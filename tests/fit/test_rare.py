"""Levels that share the place of unknown values are let go of; nothing else changes."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import imbalnet.classifier
from imbalnet import BalancedNeuralClassifier

MIXED = ["a", "A", "b ", "true", "1", 1, True, 0, "x"]


def small(**params):
    fixed = {"max_epochs": 2, "random_state": 0, "n_members": 1, "module": "mlp"}
    return BalancedNeuralClassifier(**{**fixed, **params})


def table(seed, n_rows=400):
    """Ids, villages, levels that are written alike, and many frequent levels."""
    rng = np.random.default_rng(seed)
    villages = [f"village {i}" for i in range(200)]
    shares = np.r_[0.4, 0.3, np.full(200, 0.3 / 200)]
    X = pd.DataFrame(
        {
            "number": rng.normal(size=n_rows),
            "id": rng.permutation([f"id {seed} {i}" for i in range(n_rows)]),
            "city": rng.choice(["Ulm", "Bonn", *villages], n_rows, p=shares),
            "mixed": rng.choice(np.array(MIXED, dtype=object), n_rows),
            "many": rng.choice([f"many {i}" for i in range(50)], n_rows),
        }
    )
    X.loc[3, "mixed"], X.loc[4, "mixed"], X.loc[5, "mixed"] = "B", "False", " X"
    y = (X["number"] + (X["city"] == "Ulm") + rng.normal(size=n_rows) > 1.6).astype(int)
    return X, y


def fitted(X, y, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return small(**params).fit(X, y)


@pytest.mark.parametrize(
    "params",
    [
        {"module": "auto", "n_members": 2, "n_neighbors": 3},
        {"module": "mlp", "n_members": 2},
        {"module": "resnet", "sampler": "oversample"},
        {"module": "linear"},
        {"module": "tabm"},
        {"module": "tabular", "module__level_channels": 0},
    ],
    ids=str,
)
def test_predictions_are_those_with_all_levels(params, monkeypatch):
    X, y = table(0)
    clf = fitted(X, y, **params)
    monkeypatch.setattr(
        imbalnet.classifier, "without_rare_levels", lambda columns, *_: columns
    )
    whole = fitted(X, y, **params)
    news = table(1)[0]
    news.loc[:30, "mixed"] = "B "
    news.loc[31:60, "mixed"] = "X"
    for rows in (X, news):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.array_equal(clf.predict_proba(rows), whole.predict_proba(rows))
    sizes = [[len(lv.values) for lv in c._columns.levels[1:]] for c in (clf, whole)]
    assert sizes[0][0] == 0
    assert 2 <= sizes[0][1] < 6 < sizes[1][1]


def test_neighbors_read_the_codes_that_are_left(monkeypatch):
    """Where neighbours count, rare levels are let go of in their columns too."""
    X, _ = table(0, 600)
    spots = np.random.default_rng(0).random((2, 600))
    X = X[["city"]].assign(**dict(zip("ab", spots, strict=True)))
    y = ((8 * X["a"]).astype(int) + (8 * X["b"]).astype(int)) % 2
    clf = fitted(X, y, module="auto", n_members=2, n_neighbors=4)
    monkeypatch.setattr(
        imbalnet.classifier, "without_rare_levels", lambda columns, *_: columns
    )
    whole = fitted(X, y, module="auto", n_members=2, n_neighbors=4)
    assert clf.neighbor_weight_ > 0
    assert np.array_equal(clf.predict_proba(X), whole.predict_proba(X))


def test_coefficients_stay(monkeypatch):
    X, y = table(0)
    clf = fitted(X, y, module="linear")
    monkeypatch.setattr(
        imbalnet.classifier, "without_rare_levels", lambda columns, *_: columns
    )
    assert np.array_equal(clf.coef_, fitted(X, y, module="linear").coef_)


def test_ordered_levels_stay():
    X, y = table(0)
    sizes = [f"size {i:03d}" for i in range(100)]
    X["size"] = pd.Categorical(np.resize(sizes, len(X)), sizes, ordered=True)
    clf = fitted(X[["number", "size"]], y)
    assert clf._columns.levels[1].values == tuple(sizes)


def test_rows_of_fit_are_not_warned_of_as_unseen():
    """Half of the rows have a rare level, which counts as unknown."""
    rng = np.random.default_rng(0)
    rare = np.repeat([f"r{i}" for i in range(150)], 2)
    city = rng.permutation(np.r_[rare, np.resize(["Ulm", "Bonn"], 100)])
    X = pd.DataFrame({"number": rng.normal(size=400), "city": city})
    y = rng.integers(0, 2, 400)
    clf = small().fit(X, y)
    assert len(clf._columns.levels[1].values) == 2
    clf.predict_proba(X)
    clf.predict_proba(X[:30])
    clf.set_params(warm_start=True).fit(X, y)


def test_values_that_must_be_wrong_are_still_warned_of():
    X, y = table(0)
    clf = small().fit(X[["number", "city"]], y)  # a third of the rows are rare
    clf.predict_proba(X[["number", "city"]])
    wrong = X[["number", "city"]].assign(city=np.arange(len(X)).astype(str))
    with pytest.warns(UserWarning, match="fit often saw 'Bonn', 'Ulm'"):
        clf.predict_proba(wrong)
    with pytest.warns(UserWarning, match="fit did not see"):
        clf.predict_proba(wrong[:8])


def test_partial_fit_lets_go_of_levels_with_the_first_rows():
    X, y = table(0, 700)
    X = X[["number", "city"]]
    clf = small().partial_fit(X[:300], y[:300], classes=[0, 1])
    assert len(clf._columns.levels[1].values) > 20
    clf.partial_fit(X[300:], y[300:])
    assert clf._fitted.gathered is None
    assert len(clf._columns.levels[1].values) < 20
    before = clf.predict_proba(X)
    clf.partial_fit(X[:100], y[:100])
    assert not np.array_equal(clf.predict_proba(X), before)

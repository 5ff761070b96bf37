"""compare: models on raw tables, what it returns, and how it is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from joblib import parallel_config
from matplotlib import pyplot as plt
from scipy import sparse
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier, compare
from imbalnet.comparison import _splitter
from imbalnet.posterior import shift_probabilities
from imbalnet.strategies import paired_differences

FIGURES = ["average_precision", "f1", "mcc", "balanced_accuracy", "log_loss"]
_WRONG = DummyClassifier(strategy="words")
FAST = BalancedNeuralClassifier(
    "mlp", module__hidden_sizes=(8,), max_epochs=3, n_members=2
)


def quick(X, y, **params):
    return compare(X, y, network=FAST, random_state=0, **{"cv": 2, **params})


@pytest.fixture(scope="module")
def raw():
    """240 rows with words, gaps and an infinite value, and labels in words."""
    rng = np.random.default_rng(0)
    age = rng.normal(40, 10, size=240)
    city = rng.choice(["Ulm", "Bonn", "Köln"], size=240).astype(object)
    chance = 1 / (1 + np.exp(5 - age / 10 - 2 * (city == "Ulm")))
    y = np.where(rng.random(240) < chance, "yes", "no")
    age[:9] = np.nan
    city[5:15] = None
    income = rng.lognormal(size=240)
    return pd.DataFrame({"age": age, "city": city, "income": income}), y


@pytest.fixture(scope="module")
def found(raw):
    return quick(*raw)


def test_sparse_tables_and_a_network_without_folds_are_compared(rng):
    X, y = rng.normal(size=(80, 2)) * (rng.random((80, 2)) < 0.5), np.arange(80) % 2
    network = clone(FAST).set_params(n_members=1, max_epochs=1)
    of_dense, of_sparse = (
        compare(table, y, network=network, cv=2, random_state=0).scores
        for table in (X, sparse.csr_matrix(X))
    )
    assert [name for name in of_dense if "threshold" in name] == []
    for name in ("LogisticRegression", "HistGradientBoosting"):
        np.testing.assert_allclose(
            of_sparse[name]["log_loss"], of_dense[name]["log_loss"]
        )


def test_compare_scores_every_model_on_every_split(found):
    names = list(found.scores)
    assert names[:2] == ["imbalnet", 'imbalnet, threshold="f1"']
    assert [name for name in names if "imbalnet" not in name] == [
        "LogisticRegression",
        "LogisticRegression, balanced",
        "HistGradientBoosting",
        "HistGradientBoosting, balanced",
    ]
    assert sum(name.startswith("imbalnet: ") for name in names) == 3
    for figures in found.scores.values():
        assert list(figures) == [*FIGURES, "fit_seconds"]
        assert all(np.isfinite(values).all() for values in figures.values())
        assert {len(values) for values in figures.values()} == {2}


def test_threshold_changes_decisions_only(found):
    default = found.scores["imbalnet"]
    tuned = found.scores['imbalnet, threshold="f1"']
    for figure in ("average_precision", "log_loss", "fit_seconds"):
        np.testing.assert_array_equal(default[figure], tuned[figure])
    assert not np.array_equal(default["f1"], tuned["f1"])


def test_boosting_uses_the_categories(found):
    """Chance has an average precision of the prevalence."""
    scores = found.scores["HistGradientBoosting"]["average_precision"]
    assert scores.mean() > found.class_prior["yes"] + 0.1


def test_log_loss_of_balanced_models_is_that_under_the_data_prior(raw):
    """Scored by hand for a model of one's own, which is balanced."""
    X, y = raw[0][["income"]], raw[1]
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    folds = StratifiedKFold(2)
    own = quick(X, y, models={"own": model}, cv=folds).scores["own"]
    codes = (y == "yes").astype(int)
    for i, (train, test) in enumerate(folds.split(X, y)):
        p = clone(model).fit(X.iloc[train], codes[train]).predict_proba(X.iloc[test])
        prior = np.bincount(codes[train]) / len(train)
        honest = shift_probabilities(p, [0.5, 0.5], prior)
        assert own["log_loss"][i] == pytest.approx(log_loss(codes[test], honest))
        assert own["average_precision"][i] == pytest.approx(
            average_precision_score(codes[test], p[:, 1])
        )


def test_own_network_is_judged_under_the_data_prior(raw):
    """Whatever prior its probabilities are given for."""
    X, y = raw[0][["income"]], raw[1]
    balanced = clone(FAST).set_params(class_weight="balanced")
    of_prior = {
        f"own {prior}": clone(balanced).set_params(target_prior=prior)
        for prior in (None, "train", "uniform")
    }
    scores = quick(X, y, models=of_prior).scores
    losses = [scores[name]["log_loss"] for name in of_prior]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    np.testing.assert_allclose(losses[2], losses[1], rtol=1e-5)


def test_parameters_of_the_network_name_the_labels_of_y(raw):
    """Labels 1 and 2, of which 1 is a code too."""
    X, y = raw[0][["income"]], np.where(raw[1] == "yes", 2, 1)
    costs = {(1, 2): 5.0, (2, 1): 1.0}
    network = clone(FAST).set_params(class_weight={1: 9.0}, cost_matrix=costs)
    folds = StratifiedKFold(2)
    params = {"network": network, "models": {}, "cv": folds, "random_state": 0}
    scores = compare(X, y, **params).scores["imbalnet"]
    seed = np.random.RandomState(0).randint(2**31 - 1)
    for i, (train, test) in enumerate(folds.split(X, y)):
        model = clone(network).set_params(target_prior="train", random_state=seed + i)
        predicted = model.fit(X.iloc[train], y[train]).predict(X.iloc[test])
        assert scores["f1"][i] == f1_score(y[test], predicted, pos_label=2)
        p = model.predict_proba(X.iloc[test])
        assert scores["log_loss"][i] == pytest.approx(log_loss(y[test], p))


def test_compare_repeats_itself(raw, found):
    X, y = raw
    with parallel_config("threading"):
        again = quick(X, y, n_jobs=2)
    for name, figures in found.scores.items():
        for figure in FIGURES:
            np.testing.assert_array_equal(figures[figure], again.scores[name][figure])


def test_other_kinds_of_tables_give_the_same(raw, found):
    X, y = raw
    polars = quick(pl.from_pandas(X), y)
    for name, figures in found.scores.items():
        for figure in FIGURES:
            np.testing.assert_allclose(polars.scores[name][figure], figures[figure])


def test_compare_three_classes_of_an_array(three_classes):
    X, y = three_classes
    words = np.array(["common", "rare", "seldom"])[y]
    found = quick(X[:300], words[:300])
    assert 'imbalnet, threshold="f1"' not in found.scores
    assert list(found.class_prior) == ["common", "rare", "seldom"]
    assert "Chance has AP 0.333" in str(found)


def test_categorical_features_of_the_network_hold_for_all_models():
    """A column of codes, in which neighbours have nothing in common."""
    rng = np.random.default_rng(0)
    X = rng.integers(8, size=(300, 1)).astype(float)
    y = (X[:, 0] % 2).astype(int)
    network = clone(FAST).set_params(categorical_features=[0])
    linear = {}
    for name, given in {"numbers": FAST, "categories": network}.items():
        scores = compare(X, y, network=given, cv=2, random_state=0).scores
        linear[name] = scores["LogisticRegression"]["average_precision"].mean()
    assert linear["categories"] > 0.99 > 0.8 > linear["numbers"]


@pytest.mark.parametrize(("n_rows", "n"), [(100, 5), (5_000, 3), (20_000, 2)])
def test_default_splits_are_stratified_and_fewer_for_more_rows(n_rows, n):
    y = np.resize([0, 0, 0, 1], n_rows)
    splits = list(_splitter(None, y, 0).split(y, y))
    assert len(splits) == n
    for train, test in splits:
        assert y[train].mean() == pytest.approx(0.25, abs=0.005)
        assert len(test) == n_rows / 4


def test_models_all_has_more_levers(raw, found):
    X, y = raw[0][["income"]], raw[1]
    names = list(quick(X, y, models="all").scores)
    assert "imbalnet: SMOTE()" in names
    assert len(names) > len(found.scores) + 5


# -- result ----------------------------------------------------------------------------


def test_frame_has_means_and_paired_differences(found):
    frame = found.to_frame(level=0.9)
    scores = {name: figures["mcc"] for name, figures in found.scores.items()}
    expected = paired_differences(scores, "imbalnet", test_share=0.5, level=0.9)
    for name, point in expected.items():
        row = frame.loc[name, "mcc"]
        np.testing.assert_allclose(
            row[["mean", "difference", "low", "high"]], point[:4]
        )
    assert frame.columns.get_level_values(0).unique().tolist() == [
        *FIGURES,
        "fit_seconds",
    ]


def test_text_has_a_line_for_each_model(found):
    text = str(found)
    for name in found.scores:
        assert sum(line.startswith(f"{name}  ") for line in text.splitlines()) == 1
    mean = found.scores["HistGradientBoosting"]["average_precision"].mean()
    assert f"{mean:.3f}" in text
    assert "240 rows; classes: 'no'" in text


def test_html_escapes_names(raw):
    X, y = raw[0][["income"]], raw[1]
    html = quick(X, y, models={"<own>": DummyClassifier()})._repr_html_()
    assert "&lt;own&gt;" in html
    assert "<own>" not in html
    assert html.count("<tr>") == 1 + 10


def test_plot_draws_differences_of_a_figure(found):
    display = found.plot("log_loss")
    assert "Difference in log loss to" in display.ax_.get_xlabel()
    assert display.differences == found.differences("log_loss")
    plt.close(display.figure_)


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"models": "some"}, "models='some' must be 'quick', 'all', or a dict"),
        ({"models": {"imbalnet": DummyClassifier()}}, r"names that are taken"),
        ({"models": {"own": _WRONG}}, "'own' could not be fitted"),
        ({"cv": [([0, 1, 2], [3])]}, "split 0 has no training rows of 1 of the"),
        ({"cv": []}, "cv has no splits"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    y = [0] * 150 + [1] * 50
    with pytest.raises(ValueError, match=message):
        quick(np.arange(200.0)[:, None], y, **params)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1.0], [2.0]], [1, 1], "at least two classes"),
        ([[1.0], [2.0]], [0, 1, 1], "inconsistent numbers of samples"),
    ],
)
def test_wrong_data_are_named(X, y, message):
    with pytest.raises(ValueError, match=message):
        quick(X, y)


def test_figure_must_be_known(found):
    with pytest.raises(ValueError, match="figure='auc' must be one of"):
        found.plot("auc")

"""Differences with intervals, from scores and from searches."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupShuffleSplit,
    HalvingGridSearchCV,
    LeavePGroupsOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)

from imbalnet.strategies import StrategyComparisonDisplay, paired_differences


@pytest.fixture(scope="module")
def data():
    return make_classification(300, 6, weights=[0.8], random_state=0)


def search(data, cv=5, model=None, groups=None, **params):
    grid = [{"class_weight": [None, "balanced"]}, {"C": [0.01, 1e-4]}]
    found = GridSearchCV(
        model or LogisticRegression(),
        grid,
        cv=cv,
        **{"scoring": "average_precision", **params},
    )
    return found.fit(*data, groups=groups)


@pytest.fixture(scope="module")
def fitted(data):
    return search(data)


# -- paired differences ----------------------------------------------------------------


@pytest.mark.parametrize(("n_splits", "test_share"), [(5, 0.2), (10, 0.1), (3, 0.4)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_interval_is_the_corrected_paired_t_interval(n_splits, test_share, level, rng):
    a, b = rng.normal(size=(2, n_splits))
    found = paired_differences(
        {"a": a, "b": b}, "a", test_share=test_share, level=level
    )
    plain = stats.ttest_rel(b, a).confidence_interval(level)
    # the uncorrected interval, wider by the ratio of the two standard errors
    ratio = np.sqrt(1 + n_splits * test_share / (1 - test_share))
    half = ratio * (plain.high - plain.low) / 2
    expected = [(b - a).mean() - half, (b - a).mean() + half]
    np.testing.assert_allclose([found["b"].low, found["b"].high], expected)
    assert found["b"].difference == pytest.approx((b - a).mean())
    assert found["a"][1:] == (0.0, 0.0, 0.0, n_splits)


def test_interval_covers_the_truth_as_often_as_it_says(rng):
    """With scores that correlate as Nadeau and Bengio assume: by the share tested."""
    n_splits, share, hits, n_trials = 5, 0.2, 0, 2000
    for _ in range(n_trials):
        common = np.sqrt(share) * rng.normal()
        gains = common + np.sqrt(1 - share) * rng.normal(size=n_splits)
        scores = {"a": np.zeros(n_splits), "b": gains}
        low, high = paired_differences(scores, "a", test_share=share)["b"][2:4]
        hits += low <= 0 <= high
    assert abs(hits / n_trials - 0.95) < 0.015


def test_choice_is_the_reference_unless_an_interval_lies_above_it():
    plain = np.array([0.50, 0.60, 0.40, 0.55, 0.45])
    gain = np.array([0.30, -0.05, -0.02, 0.10, -0.04])  # on one split
    lucky, better = plain + gain, plain + 0.04 + gain / 50
    scores = {"plain": plain, "lucky": lucky}
    display = StrategyComparisonDisplay.from_scores(scores, test_share=0.2)
    assert display.to_frame().index[0] == "lucky"
    assert display.choice == "plain"
    scores |= {"better": better, "worse": plain - 0.1}
    display = StrategyComparisonDisplay.from_scores(scores, test_share=0.2)
    assert display.choice == "better"


def test_choice_among_many_candidates_is_rarely_chance(rng):
    """Of candidates that are all as good, one is chosen at most at the level's rate."""
    n_splits, share, n_trials, wrong = 5, 0.2, 400, 0
    for _ in range(n_trials):
        # scores that correlate as Nadeau and Bengio assume
        common = np.sqrt(share) * rng.normal(size=(10, 1))
        gains = common + np.sqrt(1 - share) * rng.normal(size=(10, n_splits))
        scores = {"plain": np.zeros(n_splits)} | dict(enumerate(gains))
        display = StrategyComparisonDisplay.from_scores(scores, test_share=share)
        wrong += display.choice != "plain"
    assert 0 < wrong / n_trials < 0.05


def test_choice_compares_with_the_corrected_quantile():
    """Bonferroni: the p-value of the single test, times the number of candidates."""
    gains = np.array([0.9, 1.3, 1.0, 1.2, 0.8])
    error = gains.std(ddof=1) * np.sqrt(1 / 5 + 0.25)
    p_value = 2 * stats.t.sf(gains.mean() / error, 4)
    most = int(0.05 / p_value)  # comparisons in which it is still surely better
    for n_candidates, expected in ((most, "better"), (most + 1, "plain")):
        others = {f"same {i}": np.zeros(5) for i in range(n_candidates - 1)}
        scores = {"plain": np.zeros(5), "better": gains, **others}
        display = StrategyComparisonDisplay.from_scores(scores, test_share=0.2)
        assert display.choice == expected


def test_failed_fits_leave_their_split_out():
    scores = {"a": [0.1, 0.2, np.nan, 0.4], "b": [0.2, np.nan, 0.3, 0.7]}
    found = paired_differences(scores, "a", test_share=0.25)
    kept = {"a": [0.1, 0.4], "b": [0.2, 0.7]}
    expected = paired_differences(kept, "a", test_share=0.25)
    assert found["b"].n_splits == 2
    assert found["b"][1:] == expected["b"][1:]
    assert found["b"].mean == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("scores", "n"), [([np.nan] * 3, 0), ([np.nan, 0.2, np.nan], 1)]
)
def test_too_few_scores_have_no_interval(scores, n):
    found = paired_differences({"a": [0.1] * 3, "b": scores}, "a", test_share=0.2)["b"]
    assert found.n_splits == n
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(found.difference) == (n == 0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"reference": "c"}, "reference='c' must be one of"),
        ({"test_share": 1.0}, "test_share=1.0"),
        ({"test_share": 5}, "test_share=5 must be a finite number"),
        ({"level": 0}, "level=0 must"),
        ({"scores": {"a": [1.0], "b": [1.0, 2.0]}}, "one score of each split"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    given = {"scores": {"a": [1.0, 2.0]}, "reference": "a", "test_share": 0.2}
    with pytest.raises(ValueError, match=message):
        paired_differences(**{**given, **params})


# -- from a search ---------------------------------------------------------------------


def test_display_compares_with_the_plain_candidate(fitted):
    display = StrategyComparisonDisplay.from_cv_results(fitted)
    results = fitted.cv_results_
    scores = np.stack([results[f"split{i}_test_score"] for i in range(5)])
    assert display.reference == "plain"
    assert display.metric == "average_precision"
    frame = display.to_frame()
    assert frame["mean"].is_monotonic_decreasing
    assert frame.loc["balanced", "difference"] == pytest.approx(
        (scores[:, 1] - scores[:, 0]).mean()
    )
    assert frame.loc["plain", "mean"] == pytest.approx(results["mean_test_score"][0])


def test_display_takes_another_reference(fitted):
    display = StrategyComparisonDisplay.from_cv_results(fitted, reference="C=0.01")
    plain = StrategyComparisonDisplay.from_cv_results(fitted)
    assert display.differences["plain"].difference == pytest.approx(
        -plain.differences["C=0.01"].difference
    )


def test_reference_is_the_best_where_none_is_plain(data):
    found = GridSearchCV(LogisticRegression(), {"C": [1e-4, 1.0, 0.01]}).fit(*data)
    display = StrategyComparisonDisplay.from_cv_results(found)
    best = f"C={found.best_params_['C']:.3g}"
    assert display.differences[display.reference].mean == pytest.approx(
        found.best_score_
    )
    assert display.reference == best


def test_candidates_of_one_name_are_numbered(data):
    grid = {"strength": [1.0, 1.0001]}
    found = GridSearchCV(Fragile(), grid, cv=3).fit(*data)
    names = list(StrategyComparisonDisplay.from_cv_results(found).differences)
    assert names == ["strength=1", "strength=1 #2"]


def test_display_chooses_one_of_several_metrics(data):
    scoring = ["average_precision", "neg_log_loss"]
    found = search(data, scoring=scoring, refit="neg_log_loss")
    default = StrategyComparisonDisplay.from_cv_results(found)
    other = StrategyComparisonDisplay.from_cv_results(found, metric="average_precision")
    assert default.metric == "neg_log_loss"
    alone = StrategyComparisonDisplay.from_cv_results(search(data))
    assert other.differences == alone.differences


def test_metric_must_be_chosen_without_refit(data):
    found = search(data, scoring=["accuracy", "roc_auc"], refit=False)
    with pytest.raises(ValueError, match=r"several scores.*metric="):
        StrategyComparisonDisplay.from_cv_results(found)
    with pytest.raises(ValueError, match="metric='f1' must be one of"):
        StrategyComparisonDisplay.from_cv_results(found, metric="f1")


class Fragile(ClassifierMixin, BaseEstimator):
    """A classifier that fails to fit for strength 0."""

    def __init__(self, strength=1.0):
        self.strength = strength

    def fit(self, X, y):
        if self.strength == 0:
            raise ValueError("strength is 0")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_candidate_that_failed_is_in_the_frame_but_not_drawn(data):
    found = GridSearchCV(Fragile(), {"strength": [0.0, 1.0]}, cv=3).fit(*data)
    display = StrategyComparisonDisplay.from_cv_results(found).plot()
    frame = display.to_frame()
    assert frame.loc["strength=0"].isna().sum() == 4
    ticks = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert ticks == ["strength=1"]
    plt.close(display.figure_)


# -- shares of splits ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cv", "share"),
    [
        (4, 1 / 4),
        (StratifiedKFold(3), 1 / 3),
        (RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=0), 1 / 4),
        (StratifiedShuffleSplit(3, test_size=0.3, random_state=0), 0.3),
        (StratifiedShuffleSplit(3, train_size=0.6, random_state=0), 0.4),
        (StratifiedShuffleSplit(3, random_state=0), 0.1),
        (StratifiedShuffleSplit(3, test_size=0.2, train_size=0.3, random_state=0), 0.4),
        (StratifiedShuffleSplit(3, test_size=60, train_size=90, random_state=0), 0.4),
        (PredefinedSplit(np.arange(300) % 5 - 3), 0.2),  # 60 % are never tested
        ([(np.arange(300) % 4 > 0, np.arange(300) % 4 == 0)] * 2, 0.25),  # masks
    ],
)
def test_share_of_the_test_rows_is_taken_from_cv(data, cv, share):
    found = search(data, cv=cv)
    default = StrategyComparisonDisplay.from_cv_results(found)
    given = StrategyComparisonDisplay.from_cv_results(found, test_share=share)
    for name, point in given.differences.items():
        np.testing.assert_allclose(default.differences[name], point)


def test_share_of_the_test_rows_is_taken_from_splits_of_groups_and_lists(data):
    groups, splits = np.arange(300) % 10, StratifiedShuffleSplit(3, test_size=0.5)
    for cv, share in ((GroupShuffleSplit(3), 0.2), ([*splits.split(*data)], 0.5)):
        found = search(data, cv=cv, groups=groups if share == 0.2 else None)
        default = StrategyComparisonDisplay.from_cv_results(found)
        given = StrategyComparisonDisplay.from_cv_results(found, test_share=share)
        for name, point in given.differences.items():
            np.testing.assert_allclose(default.differences[name], point)


@pytest.mark.parametrize(
    "cv",
    [
        StratifiedShuffleSplit(3, test_size=60, random_state=0),
        StratifiedShuffleSplit(3, test_size=0.2, train_size=90, random_state=0),
        TimeSeriesSplit(3),
        TimeSeriesSplit(3, test_size=60),
        LeavePGroupsOut(2),
    ],
)
def test_share_of_the_test_rows_must_be_given_where_cv_does_not_tell(data, cv):
    groups = np.arange(300) % 3 if isinstance(cv, LeavePGroupsOut) else None
    found = search(data, cv=cv, groups=groups)
    with pytest.raises(ValueError, match="test_share="):
        StrategyComparisonDisplay.from_cv_results(found)
    assert StrategyComparisonDisplay.from_cv_results(found, test_share=0.2).differences


def test_share_of_the_test_rows_must_be_given_for_a_generator(data):
    found = search(data, cv=StratifiedShuffleSplit(3, test_size=0.5).split(*data))
    with pytest.raises(ValueError, match="test_share="):
        StrategyComparisonDisplay.from_cv_results(found)


# -- halving ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def halved(data):
    return HalvingGridSearchCV(
        LogisticRegression(),
        {"C": [1e-4, 1e-3, 1e-2, 0.1, 1.0]},
        scoring="average_precision",
        resource="max_iter",
        min_resources=40,
        max_resources=160,
        factor=2,
        cv=3,
        random_state=0,
    ).fit(*data)


def test_halving_compares_candidates_of_the_last_iteration(halved):
    display = StrategyComparisonDisplay.from_cv_results(halved)
    is_last = halved.cv_results_["iter"] == halved.n_iterations_ - 1
    assert len(display.differences) == is_last.sum() < 5
    assert not any("max_iter" in name for name in display.differences)


def test_halving_compares_candidates_of_a_given_iteration(halved):
    display = StrategyComparisonDisplay.from_cv_results(halved, iteration=0)
    assert len(display.differences) == 5


def test_iteration_must_exist(halved, fitted):
    with pytest.raises(ValueError, match="iteration=7 must be one of"):
        StrategyComparisonDisplay.from_cv_results(halved, iteration=7)
    with pytest.raises(ValueError, match="needs a halving search"):
        StrategyComparisonDisplay.from_cv_results(fitted, iteration=0)


# -- picture ---------------------------------------------------------------------------


def test_plot_draws_the_frame(fitted):
    figure, ax = plt.subplots()
    display = StrategyComparisonDisplay.from_cv_results(fitted)
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is figure
    points = display.errorbar_.lines[0].get_xdata()
    expected = sorted(point.difference for point in display.differences.values())
    np.testing.assert_allclose(points, expected)
    bars = display.errorbar_.lines[2][0].get_segments()
    low, high = zip(*(bar[:, 0] for bar in bars), strict=True)
    by_gain = sorted(display.differences.values(), key=lambda point: point.difference)
    np.testing.assert_allclose(low, [point.low for point in by_gain])
    np.testing.assert_allclose(high, [point.high for point in by_gain])
    plt.close(figure)


def test_plot_without_matplotlib_names_the_cure(fitted, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    display = StrategyComparisonDisplay.from_cv_results(fitted)
    with pytest.raises(ImportError, match=r"matplotlib: pip install imbalnet\[plots\]"):
        display.plot()

"""What every display does: three ways in, styles, and errors with their cures."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from imbalnet import BalancedNeuralClassifier
from imbalnet.plots import (
    ClassCountsDisplay,
    PrecisionRecallDisplay,
    ReliabilityDisplay,
    ReportDisplay,
    ScoreDistributionDisplay,
    ThresholdDisplay,
)

OF_PROBABILITIES = [
    PrecisionRecallDisplay,
    ReliabilityDisplay,
    ScoreDistributionDisplay,
    ThresholdDisplay,
    ReportDisplay,
]
WITH_THRESHOLD = [d for d in OF_PROBABILITIES if d is not ReliabilityDisplay]
SINGLE = OF_PROBABILITIES[:-1]  # without the page of all
OF_ROWS = [*OF_PROBABILITIES, ClassCountsDisplay]


def axes_of(display):
    axes = getattr(display, "axes_", None)
    return [display.ax_] if axes is None else list(axes.flat)


def arrays_of(display):
    """The data of all lines that a display drew."""
    lines = [line for ax in axes_of(display) for line in ax.lines]
    return [np.asarray(line.get_xydata(), float) for line in lines]


def assert_same_lines(one, other):
    ours, theirs = arrays_of(one), arrays_of(other)
    assert len(ours) == len(theirs)
    for ours_of_line, theirs_of_line in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(ours_of_line, theirs_of_line, rtol=1e-12)


@pytest.mark.parametrize("display", SINGLE)
@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_display_is_labelled_and_legible(display, style, scored):
    y, p, weight = scored
    with plt.style.context(style):
        drawn = display.from_predictions(y, p, sample_weight=weight)
        drawn.figure_.canvas.draw()
    background = np.array(to_rgb(drawn.figure_.get_facecolor()))
    for ax in axes_of(drawn):
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        for line in ax.lines:
            difference = np.abs(np.array(to_rgb(line.get_color())) - background)
            assert difference.max() > 0.2


@pytest.mark.parametrize("display", [d for d in OF_ROWS if d is not ThresholdDisplay])
def test_display_draws_many_classes(display, scored_many):
    y, p, weight = scored_many
    if display is ClassCountsDisplay:
        p = np.array(list("abcdefgh"))[p.argmax(axis=1)]
    drawn = display.from_predictions(y, p, sample_weight=weight)
    drawn.figure_.canvas.draw()
    assert all(ax.has_data() for ax in axes_of(drawn))


@pytest.mark.parametrize("display", SINGLE)
def test_whole_weights_are_repeated_rows(display, scored):
    """For what is no interval: a row of weight 2 counts as two rows."""
    y, p, weight = scored
    times = weight.astype(int)
    options = {"n_resamples": 0} if display is PrecisionRecallDisplay else {}
    weighted = display.from_predictions(y, p, sample_weight=weight, **options)
    repeated = display.from_predictions(
        np.repeat(y, times), np.repeat(p, times), **options
    )
    if display is PrecisionRecallDisplay:
        ours, theirs = weighted.curves[0], repeated.curves[0]
        assert ours.average_precision == pytest.approx(theirs.average_precision)
        assert ours.prevalence == pytest.approx(theirs.prevalence)
    elif display is ReliabilityDisplay:
        ours, theirs = weighted.curves[0], repeated.curves[0]
        np.testing.assert_allclose(ours.observed, theirs.observed)
        # repeated rows tell no more than the rows that they repeat
        assert np.all(ours.high - ours.low >= theirs.high - theirs.low)
    elif display is ScoreDistributionDisplay:
        ours, theirs = weighted.distributions[0], repeated.distributions[0]
        np.testing.assert_allclose(ours.positive, theirs.positive)
    else:
        assert [c.best for c in weighted.curves] == [c.best for c in repeated.curves]


@pytest.mark.parametrize("display", [*SINGLE, ClassCountsDisplay])
def test_rows_of_weight_zero_are_left_out(display, scored):
    y, p, _ = scored
    kept = np.arange(len(y)) % 3 > 0
    of_rows = np.where(p > 0.3, "fraud", "fine") if display is ClassCountsDisplay else p
    all_rows = display.from_predictions(y, of_rows, sample_weight=kept.astype(float))
    some_rows = display.from_predictions(y[kept], of_rows[kept])
    assert_same_lines(all_rows, some_rows)


@pytest.mark.parametrize(
    "as_labels",
    [
        lambda y: (y == "fraud").astype(int),
        lambda y: y == "fraud",
        lambda y: pd.Series(y == "fraud", dtype="boolean"),
        lambda y: pd.Series(y, dtype="category"),
        lambda y: pd.Series(y, dtype="string"),
        lambda y: y.tolist(),
    ],
    ids=["numbers", "bools", "nullable", "category", "string", "list"],
)
def test_labels_of_any_kind_give_the_same_picture(as_labels, scored):
    """Which all displays read in one place."""
    y, p, _ = scored
    drawn = ReliabilityDisplay.from_predictions(as_labels(y), p)
    assert_same_lines(drawn, ReliabilityDisplay.from_predictions(y, p))


@pytest.mark.parametrize("display", SINGLE)
def test_pos_label_swaps_the_classes(display, scored):
    y, p, _ = scored
    fine = display.from_predictions(y, p, pos_label="fine")
    assert_same_lines(fine, display.from_predictions(y == "fine", 1 - p))


@pytest.mark.parametrize("display", SINGLE)
def test_pos_label_stands_against_all_others(display, scored_many):
    y, p, _ = scored_many
    one = display.from_predictions(y, p, pos_label="d")
    assert_same_lines(one, display.from_predictions(y == "d", p[:, 3]))


@pytest.mark.parametrize("display", OF_ROWS)
def test_from_out_of_fold_draws_the_rows_held_out(display, fitted):
    drawn = display.from_out_of_fold(fitted)
    options = {}
    rows = fitted.oof_proba_
    if display is ClassCountsDisplay:
        called = fitted.oof_proba_[:, 1] >= fitted.threshold_
        rows = fitted.classes_[called.astype(int)]
    elif display is not ReliabilityDisplay:
        options["threshold"] = fitted.threshold_
    given = display.from_predictions(fitted.oof_labels_, rows, **options)
    assert_same_lines(drawn, given)


def test_from_out_of_fold_leaves_out_rows_that_none_held_out(rare):
    X, y = rare
    folds = np.arange(len(y)) % 4 - 1
    weight = np.where(np.arange(len(y)) < 40, 0.0, 1.0)
    classifier = BalancedNeuralClassifier(
        "mlp", cv=PredefinedSplit(folds), max_epochs=2, random_state=0
    ).fit(X, y, weight)
    drawn = ReliabilityDisplay.from_out_of_fold(classifier)
    assert drawn.curves[0].counts.sum() == np.sum((folds >= 0) & (weight > 0))


@pytest.mark.parametrize("display", [ReportDisplay, ClassCountsDisplay])
def test_from_out_of_fold_draws_many_classes(display, fitted_many):
    drawn = display.from_out_of_fold(fitted_many)
    counts = getattr(drawn, "displays", {"counts": drawn})["counts"]
    assert counts.true.tolist() == sorted(np.bincount(fitted_many.oof_labels_))[::-1]


@pytest.mark.parametrize("display", OF_ROWS)
def test_from_estimator_takes_pipelines(display, rare):
    X, y = rare
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    drawn = display.from_estimator(pipeline, X, y)
    is_of_labels = display is ClassCountsDisplay
    rows = pipeline.predict(X) if is_of_labels else pipeline.predict_proba(X)
    assert_same_lines(drawn, display.from_predictions(y, rows))


def test_from_estimator_draws_rows_without_a_class(scored_many, three_classes):
    X, y = three_classes
    classifier = LogisticRegression(max_iter=200).fit(X, y)
    some = y != 1
    drawn = ReliabilityDisplay.from_estimator(classifier, X[some], y[some])
    assert [curve.label for curve in drawn.curves] == ["0", "2"]


@pytest.mark.parametrize("display", WITH_THRESHOLD)
def test_threshold_of_the_estimator_is_marked(display, rare):
    X, y = rare
    inner = LogisticRegression()
    classifier = FixedThresholdClassifier(inner, threshold=0.2).fit(X, y)
    drawn = display.from_estimator(classifier, X, y)
    parts = getattr(drawn, "displays", {"": drawn}).values()
    marked = {part.threshold for part in parts if hasattr(part, "threshold")}
    assert marked == {0.2}
    # it is no threshold of the other class
    other = display.from_estimator(classifier, X, y, pos_label=0)
    parts = getattr(other, "displays", {"": other}).values()
    assert {p.threshold for p in parts if hasattr(p, "threshold")} == {None}


@pytest.mark.parametrize(
    "params", [{"pos_label": 0}, {"response_method": "decision_function"}]
)
def test_threshold_of_something_else_is_not_marked(rare, params):
    X, y = rare
    classifier = FixedThresholdClassifier(LogisticRegression(), threshold=0.2, **params)
    drawn = PrecisionRecallDisplay.from_estimator(classifier.fit(X, y), X, y)
    assert drawn.threshold is None
    plt.close("all")


@pytest.mark.parametrize("display", OF_ROWS)
def test_display_draws_again_on_given_axes(display, scored):
    y, p, _ = scored
    of_rows = np.where(p > 0.3, "fraud", "fine") if display is ClassCountsDisplay else p
    drawn = display.from_predictions(y, of_rows)
    before = arrays_of(drawn)
    figure, axes = plt.subplots(2, 2)
    on = axes if display is ReportDisplay else axes[0, 0]
    assert drawn.plot(on) is drawn
    assert drawn.figure_ is figure
    assert len(arrays_of(drawn)) == len(before)


# -- errors -------------------------------------------------------------------------


@pytest.mark.parametrize("display", OF_ROWS)
def test_estimator_must_be_fitted(display, rare):
    X, y = rare
    with pytest.raises(NotFittedError):
        display.from_estimator(LogisticRegression(), X, y)
    with pytest.raises(NotFittedError):
        display.from_out_of_fold(BalancedNeuralClassifier())


@pytest.mark.parametrize("display", OF_ROWS)
def test_out_of_fold_rows_must_be_there(display, rare):
    X, y = rare
    with pytest.raises(ValueError, match="cross_val_predict"):
        display.from_out_of_fold(LogisticRegression().fit(X, y))
    single = BalancedNeuralClassifier("linear", n_members=1, max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="n_members of at least 2"):
        display.from_out_of_fold(single)


@pytest.mark.parametrize("display", OF_PROBABILITIES)
def test_estimator_must_give_probabilities(display, rare):
    X, y = rare
    with pytest.raises(ValueError, match="CalibratedClassifierCV"):
        display.from_estimator(LinearSVC().fit(X, y), X, y)


@pytest.mark.parametrize("display", OF_PROBABILITIES)
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"y_true": ["fine"] * 799}, "inconsistent numbers"),
        ({"sample_weight": np.ones(3)}, "one weight for each row"),
        ({"sample_weight": np.zeros(800)}, "sample_weight"),
        ({"sample_weight": -np.ones(800)}, "sample_weight"),
        ({"probabilities": np.full(800, 1.5)}, "between 0 and 1"),
        ({"probabilities": np.full((800, 3), 1 / 3)}, "there are 2 labels"),
        ({"y_true": ["fine"] * 800}, "Give classes="),
        ({"classes": ["fine", "good"]}, "not in classes"),
        ({"pos_label": "no"}, "pos_label='no' is none of the labels"),
    ],
)
def test_rows_that_do_not_fit_are_an_error(display, change, match, scored):
    y, p, _ = scored
    given = {"y_true": y, "probabilities": p, **change}
    with pytest.raises(ValueError, match=match):
        display.from_predictions(**given)
    assert not plt.get_fignums()


@pytest.mark.parametrize("display", WITH_THRESHOLD)
def test_threshold_must_decide(display, scored, scored_many):
    y, p, _ = scored
    with pytest.raises(ValueError, match="threshold=2"):
        display.from_predictions(y, p, threshold=2)
    y, p, _ = scored_many
    with pytest.raises(ValueError, match="two classes"):
        display.from_predictions(y, p, threshold=0.5)


@pytest.mark.parametrize("display", OF_PROBABILITIES)
def test_missing_matplotlib_is_named(display, scored, monkeypatch):
    y, p, _ = scored
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"matplotlib: pip install imbalnet\[plots\]"):
        display.from_predictions(y, p)

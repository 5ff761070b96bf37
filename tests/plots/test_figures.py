"""Each picture by the data of its artists, against scikit-learn's figures."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_recall_curve,
    precision_score,
    recall_score,
)

from imbalnet import BalancedNeuralClassifier, imbalance_report
from imbalnet.decisions import (
    AlertShare,
    LeastCost,
    PrecisionAtLeast,
    choose_threshold,
)
from imbalnet.plots import (
    ClassCountsDisplay,
    ColumnImportanceDisplay,
    HistoryDisplay,
    PrecisionRecallDisplay,
    ReliabilityDisplay,
    ReportDisplay,
    ScoreDistributionDisplay,
    ThresholdDisplay,
)

# -- precision and recall -----------------------------------------------------------


def test_precision_recall_is_scikit_learns(scored):
    y, p, weight = scored
    drawn = PrecisionRecallDisplay.from_predictions(
        y, p, sample_weight=weight, threshold=0.3
    )
    is_positive = y == "fraud"
    precision, recall, _ = precision_recall_curve(
        is_positive, p, sample_weight=weight, drop_intermediate=True
    )
    np.testing.assert_allclose(drawn.line_.get_xdata(), recall)
    np.testing.assert_allclose(drawn.line_.get_ydata(), precision)
    area = average_precision_score(is_positive, p, sample_weight=weight)
    assert drawn.curves[0].average_precision == pytest.approx(area)
    assert f"AP {area:.2f} [" in drawn.line_.get_label()
    assert f"{is_positive.sum()} positives" in drawn.line_.get_label()
    height = np.average(is_positive, weights=weight)
    np.testing.assert_allclose(drawn.prevalence_.get_ydata(), height)
    called = p >= 0.3
    options = {"sample_weight": weight}
    assert drawn.curves[0].marked == pytest.approx(
        (
            recall_score(is_positive, called, **options),
            precision_score(is_positive, called, **options),
        )
    )
    np.testing.assert_allclose(drawn.marker_.get_xydata()[0], drawn.curves[0].marked)


def test_precision_recall_band_is_around_the_curve(scored):
    y, p, _ = scored
    curve = PrecisionRecallDisplay.from_predictions(y, p).curves[0]
    at, low, high = curve.band
    # the precision at a recall is that of the lowest threshold that reaches it
    precision = curve.precision[::-1][np.searchsorted(curve.recall[::-1], at - 1e-12)]
    assert np.mean((low <= precision) & (precision <= high)) > 0.95
    assert curve.interval[0] < curve.average_precision < curve.interval[1]


def test_precision_recall_interval_is_that_of_the_report(scored):
    y, p, _ = scored
    drawn = PrecisionRecallDisplay.from_predictions(y, p).curves[0].interval
    reported = imbalance_report(y, p).figures[0]
    np.testing.assert_allclose(drawn, reported[2:4], atol=1e-9)


def test_precision_recall_band_narrows_with_rows(scored):
    y, p, _ = scored
    few = PrecisionRecallDisplay.from_predictions(y, p).curves[0].interval
    many = PrecisionRecallDisplay.from_predictions(np.tile(y, 4), np.tile(p, 4))
    assert np.ptp(many.curves[0].interval) < 0.7 * np.ptp(few)


def test_precision_recall_band_of_groups_counts_groups(scored):
    """Four copies of each row tell no more than the row."""
    y, p, _ = scored
    rows = np.tile(np.arange(len(y)), 4)
    single = PrecisionRecallDisplay.from_predictions(y, p).curves[0].interval
    grouped = PrecisionRecallDisplay.from_predictions(y[rows], p[rows], groups=rows)
    width = np.ptp(grouped.curves[0].interval)
    assert 0.7 * np.ptp(single) < width < 1.5 * np.ptp(single)


def test_precision_recall_of_the_rarest_classes(scored_many):
    y, p, weight = scored_many
    drawn = PrecisionRecallDisplay.from_predictions(
        y, p, sample_weight=weight, n_classes=3
    )
    labels, counts = np.unique(y, return_counts=True)
    rarest = labels[np.argsort(-counts, kind="stable")][-3:].tolist()
    *curves, mean = drawn.curves
    assert [curve.label for curve in curves] == rarest
    areas = [
        average_precision_score(y == label, p[:, i], sample_weight=weight)
        for i, label in enumerate(labels)
    ]
    of_label = dict(zip(labels, areas, strict=True))
    for curve in curves:
        assert curve.average_precision == pytest.approx(of_label[curve.label])
    assert mean.average_precision == pytest.approx(np.mean(areas))
    assert len(drawn.line_) == 4
    # precision at 100 recalls has about the area under the mean curve
    assert np.mean(mean.precision[:-1]) == pytest.approx(np.mean(areas), abs=0.02)


def test_precision_recall_iso_f1_lines_have_that_f1(scored):
    y, p, _ = scored
    drawn = PrecisionRecallDisplay.from_predictions(y, p, iso_f1=[0.5], n_resamples=0)
    recall, precision = drawn.ax_.lines[0].get_xydata().T
    np.testing.assert_allclose(2 * recall * precision / (recall + precision), 0.5)
    assert drawn.band_ is None


def test_precision_recall_needs_positive_rows(scored):
    _, p, _ = scored
    with pytest.raises(ValueError, match="no row of class 1"):
        PrecisionRecallDisplay.from_predictions([0] * 800, p, classes=[0, 1])


# -- reliability --------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["positives", "rows"])
def test_reliability_bins_hold_all_rows(strategy, scored):
    y, p, _ = scored
    drawn = ReliabilityDisplay.from_predictions(y, p, strategy=strategy)
    curve, is_positive = drawn.curves[0], y == "fraud"
    assert curve.counts.sum() == len(y)
    assert curve.observed @ curve.counts == pytest.approx(is_positive.sum())
    assert curve.predicted @ curve.counts == pytest.approx(p.sum())
    assert curve.ratio == pytest.approx(is_positive.sum() / p.sum())
    mass = curve.counts * (curve.predicted if strategy == "positives" else 1)
    assert np.ptp(mass) < 0.3 * mass.mean()
    np.testing.assert_allclose(drawn.line_.get_ydata(), curve.observed)


def test_reliability_intervals_are_clopper_pearsons(scored):
    y, p, _ = scored
    curve = ReliabilityDisplay.from_predictions(y, p, strategy="rows").curves[0]
    hits = np.round(curve.observed * curve.counts).astype(int)
    for i, (k, n) in enumerate(zip(hits, curve.counts, strict=True)):
        exact = binomtest(k, n).proportion_ci(method="exact")
        assert (curve.low[i], curve.high[i]) == pytest.approx((exact.low, exact.high))


def test_reliability_keeps_equal_scores_together():
    p = np.repeat([0.1, 0.2, 0.6], 50)
    y = np.tile([0, 1], 75)
    curve = ReliabilityDisplay.from_predictions(y, p, n_bins=10).curves[0]
    np.testing.assert_allclose(curve.predicted, [0.1, 0.2, 0.6])


def test_reliability_has_fewer_bins_for_few_positives(scored):
    y, p, _ = scored
    curve = ReliabilityDisplay.from_predictions(y[:60], p[:60]).curves[0]
    assert len(curve.counts) <= p[:60].sum() / 5


@pytest.mark.parametrize(("prevalence", "scale"), [(0.02, "log"), (0.3, "linear")])
def test_reliability_axes_are_logarithmic_for_rare_classes(prevalence, scale, rng):
    p = rng.beta(1, 1 / prevalence - 1, size=2000)
    drawn = ReliabilityDisplay.from_predictions(rng.random(2000) < p, p)
    assert (drawn.ax_.get_xscale(), drawn.ax_.get_yscale()) == (scale, scale)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n_bins": 0}, "n_bins=0"),
        ({"strategy": "no"}, "strategy='no'"),
        ({"scale": "no"}, "scale='no'"),
    ],
)
def test_reliability_names_wrong_options(options, match, scored):
    y, p, _ = scored
    with pytest.raises(ValueError, match=match):
        ReliabilityDisplay.from_predictions(y, p, **options)


# -- distributions ------------------------------------------------------------------


def test_score_distributions_are_normalised_histograms(scored):
    y, p, weight = scored
    drawn = ScoreDistributionDisplay.from_predictions(y, p, sample_weight=weight)
    one = drawn.distributions[0]
    for shares, label in ((one.positive, "fraud"), (one.negative, "fine")):
        of_class = y == label
        inside = np.clip(p[of_class], drawn.edges[0], drawn.edges[-1])
        expected = np.histogram(inside, drawn.edges, weights=weight[of_class])[0]
        np.testing.assert_allclose(shares, expected / weight[of_class].sum())
    negative, positive = drawn.stairs_[0]
    np.testing.assert_allclose(positive.get_data().values, one.positive)
    np.testing.assert_allclose(negative.get_data().values, one.negative)


def test_score_distributions_take_probabilities_of_zero_and_one():
    y, p = np.tile([0, 1], 20), np.tile([0.0, 0.3, 0.5, 1.0], 10)
    drawn = ScoreDistributionDisplay.from_predictions(y, p, threshold=0.0)
    drawn.figure_.canvas.draw()
    one = drawn.distributions[0]
    assert one.positive.sum() == pytest.approx(1)
    assert one.negative.sum() == pytest.approx(1)
    assert np.sort(one.few).tolist() == [0.3] * 10 + [1.0] * 10


# -- thresholds ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "criterion",
    ["f1", "mcc", PrecisionAtLeast(0.6), AlertShare(0.05), LeastCost(1, 9)],
    ids=str,
)
def test_threshold_is_that_of_choose_threshold(criterion, scored):
    y, p, weight = scored
    y = (y == "fraud").astype(int)
    drawn = ThresholdDisplay.from_predictions(
        y, p, criteria=criterion, sample_weight=weight
    )
    best = choose_threshold(y, p, criterion, sample_weight=weight)
    assert drawn.curves[0].best == best
    assert drawn.best_[0].get_xdata()[0] == pytest.approx(best)
    assert drawn.best_[0].get_ydata()[0] == np.nanmax(drawn.curves[0].values)


def test_threshold_curves_are_scikit_learns(scored):
    y, p, weight = scored
    drawn = ThresholdDisplay.from_predictions(y, p, sample_weight=weight)
    figures = precision_score, recall_score, f1_score
    for curve, figure in zip(drawn.curves, figures, strict=True):
        for i in (5, 100, 400):
            called = np.where(p >= curve.thresholds[i], "fraud", "fine")
            value = figure(y, called, pos_label="fraud", sample_weight=weight)
            assert curve.values[i] == pytest.approx(value)


def test_costs_of_rows_are_those_of_the_rows_with_weight(rng):
    p, amount = rng.beta(0.2, 2.0, 1_000), rng.lognormal(4, 1, 1_000)
    y, weight = rng.random(1_000) < p, (np.arange(1_000) >= 300).astype(float)
    criterion = LeastCost(5, amount)
    display = ThresholdDisplay.from_predictions(
        y, p, criteria=["f1", criterion], sample_weight=weight
    )
    expected = choose_threshold(y, p, criterion, sample_weight=weight)
    assert display.curves[1].best == expected
    with pytest.raises(ValueError, match="costs of 999 rows, but there are 1000"):
        ThresholdDisplay.from_predictions(
            y, p, criteria=LeastCost(5, amount[1:]), sample_weight=weight
        )
    plt.close("all")


def test_threshold_gains_have_an_axis_of_their_own(scored):
    y, p, _ = scored
    criteria = {"profit": LeastCost(5, 0, -100), "F1": "f1"}
    drawn = ThresholdDisplay.from_predictions(y, p, criteria=criteria)
    assert [line.axes for line in drawn.lines_] == [drawn.right_ax_, drawn.ax_]
    assert drawn.lines_[0].get_label().startswith("profit: best at")


def test_threshold_alerts_are_the_share_that_is_called(scored):
    y, p, _ = scored
    drawn = ThresholdDisplay.from_predictions(y, p)
    upper = drawn.alerts_ax_
    labels = [tick.get_text() for tick in upper.get_xticklabels()]
    for at, label in zip(upper.get_xticks(), labels, strict=True):
        share = float(label.removesuffix(" %")) / 100
        if at == upper.get_xlim()[0]:  # where rows of less are drawn too
            continue
        assert np.mean(p >= at) == pytest.approx(share, abs=2 / len(p))
    assert len(labels) > 2
    assert drawn.plot(alerts=False).alerts_ax_ is None


def test_threshold_of_few_positives_warns(scored):
    y, p, _ = scored
    few = np.flatnonzero((y == "fine") | (np.cumsum(y == "fraud") <= 5))
    with pytest.warns(UserWarning, match="5 positive rows"):
        ThresholdDisplay.from_predictions(y[few], p[few])


def test_threshold_separates_two_classes(scored_many):
    y, p, _ = scored_many
    with pytest.raises(ValueError, match="Give pos_label="):
        ThresholdDisplay.from_predictions(y, p)


def test_threshold_takes_functions_of_labels(scored):
    y, p, _ = scored
    few = np.sort(np.argsort(-p)[:100])
    y, p = (y == "fraud")[few], p[few]
    curve = ThresholdDisplay.from_predictions(y, p, criteria=f1_score).curves[0]
    assert curve.label == "f1_score"
    assert curve.best == choose_threshold(y, p, f1_score)


# -- counts -------------------------------------------------------------------------


def test_class_counts_are_those_of_the_confusion_matrix(scored_many):
    y, p, weight = scored_many
    called = np.array(list("abcdefgh"))[p.argmax(axis=1)]
    drawn = ClassCountsDisplay.from_predictions(y, called, sample_weight=weight)
    matrix = confusion_matrix(
        y, called, labels=drawn.classes.tolist(), sample_weight=weight
    )
    np.testing.assert_allclose(drawn.true, matrix.sum(axis=1))
    np.testing.assert_allclose(drawn.predicted, matrix.sum(axis=0))
    np.testing.assert_allclose(drawn.right, np.diag(matrix))
    assert np.all(np.diff(drawn.true) <= 0)
    for bars, counts in zip(
        drawn.bars_, (drawn.true, drawn.predicted, drawn.right), strict=True
    ):
        np.testing.assert_allclose([bar.get_width() for bar in bars], counts)


def test_class_counts_draw_the_rarest_classes(scored_many):
    y, _, _ = scored_many
    drawn = ClassCountsDisplay.from_predictions(y, y, n_classes=3)
    ticks = [tick.get_text() for tick in drawn.ax_.get_yticklabels()]
    assert ticks == drawn.classes[-3:].tolist()
    assert "3 rarest" in drawn.ax_.get_title()
    numbers = [text.get_text().strip() for text in drawn.ax_.texts]
    assert numbers == [f"{n:.0f}" for n in drawn.true[-3:]] * 2


# -- training -----------------------------------------------------------------------


def test_history_is_the_estimators(fitted):
    drawn = HistoryDisplay.from_estimator(fitted)
    train, valid = drawn.lines_
    np.testing.assert_allclose(train.get_ydata(), fitted.history_[:, "train_loss"])
    np.testing.assert_allclose(valid.get_ydata(), fitted.history_[:, "valid_loss"])
    np.testing.assert_allclose(
        drawn.precision_line_.get_ydata(),
        fitted.history_[:, "valid_average_precision"],
    )
    assert drawn.best_line_.get_xdata()[0] == fitted.best_iteration_


def test_history_without_held_out_rows(rare):
    X, y = rare
    classifier = BalancedNeuralClassifier("mlp", early_stopping=False, max_epochs=2)
    drawn = HistoryDisplay.from_estimator(classifier.fit(X, y))
    assert len(drawn.lines_) == 1
    assert drawn.best_line_ is drawn.right_ax_ is None


def test_history_needs_epochs(rare):
    with pytest.raises(ValueError, match="has no history_"):
        HistoryDisplay.from_estimator(LogisticRegression().fit(*rare))


# -- columns ------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_importance_finds_the_column_that_tells(n_classes, rng):
    X = rng.normal(size=(300, 4))
    labels = np.array(["c", "b", "a"])[:n_classes]
    y = labels[np.digitize(X[:, 2], [0.5, 1.2][: n_classes - 1])]
    classifier = LogisticRegression().fit(X, y)
    drawn = ColumnImportanceDisplay.from_estimator(
        classifier, X, y, sample_weight=np.ones(300), n_columns=3
    )
    assert drawn.order_[0] == 2
    ticks = [tick.get_text() for tick in drawn.ax_.get_yticklabels()]
    assert ticks[0] == "column 2"
    assert len(ticks) == 3
    line = drawn.points_.lines[0]
    np.testing.assert_allclose(
        line.get_xdata(), drawn.importances[drawn.order_].mean(axis=1)
    )


@pytest.mark.parametrize("pos_label", [0, 2])
def test_functions_of_labels_take_any_positive_label(pos_label, rng):
    y, p = rng.integers(0, 3, 150), rng.multinomial(10, np.ones(3) / 3, 150) / 10
    drawn = ThresholdDisplay.from_predictions(
        y, p, criteria=matthews_corrcoef, pos_label=pos_label
    )
    is_of, p_of = y == pos_label, p[:, pos_label]
    assert drawn.curves[0].best == choose_threshold(is_of, p_of, matthews_corrcoef)
    y, p = y[y < 2], np.column_stack([1 - p[y < 2, 1], p[y < 2, 1]])
    drawn = ThresholdDisplay.from_predictions(
        y, p, criteria=matthews_corrcoef, pos_label=0
    )
    best = choose_threshold(y, p, matthews_corrcoef, pos_label=0)
    assert drawn.curves[0].best == best


def test_criteria_of_one_name_are_all_drawn(scored):
    y, p, _ = scored
    costs = [LeastCost(5, np.full(len(y), loss)) for loss in (50.0, 500.0)]
    drawn = ThresholdDisplay.from_predictions(y, p, criteria=costs)
    assert [curve.best for curve in drawn.curves] == [
        choose_threshold(y, p, cost) for cost in costs
    ]
    first, second = (curve.label for curve in drawn.curves)
    assert second == f"{first} #2"


# -- all of them --------------------------------------------------------------------


def test_report_has_four_pictures(fitted):
    drawn = ReportDisplay.from_out_of_fold(fitted)
    assert [d.ax_ for d in drawn.displays.values()] == list(drawn.axes_.flat)
    assert drawn.figure_ is plt.gcf()
    assert drawn.figure_.get_suptitle() == "BalancedNeuralClassifier"


def test_report_counts_predictions_of_many_classes(scored_many):
    y, p, _ = scored_many
    drawn = ReportDisplay.from_predictions(y, p)
    counts = drawn.displays["counts"]
    called = np.array(list("abcdefgh"))[p.argmax(axis=1)]
    expected = [np.sum(called == label) for label in counts.classes]
    assert counts.predicted.tolist() == expected

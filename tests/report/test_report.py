"""The report: figures, decisions, classes and cautions."""

from __future__ import annotations

from copy import copy

import numpy as np
import pandas as pd
import pytest
from imblearn.metrics import geometric_mean_score
from sklearn import metrics
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from imbalnet import BalancedNeuralClassifier, imbalance_report
from imbalnet.decisions import choose_threshold
from imbalnet.metrics import bootstrap_interval, calibration_error
from imbalnet.report import ImbalanceReport, ScoredRows
from imbalnet.report.resampled import resampled_figures

LABELS = {
    "int": lambda y: y,
    "bool": lambda y: y == 1,
    "words": lambda y: np.array(["fine", "fraud"])[y],
    "Int64": lambda y: pd.Series(y).astype("Int64"),
    "category": lambda y: pd.Series(np.array(["fine", "fraud"])[y]).astype("category"),
}


@pytest.fixture
def two(rng):
    p = rng.beta(0.3, 3.0, 600)
    return (rng.random(600) < p).astype(int), p


@pytest.fixture
def three(rng):
    p = rng.dirichlet([4.0, 1.0, 0.5], 400)
    return np.array([rng.choice(3, p=row) for row in p]), p


def figures_of(report):
    return {row.figure: row for row in report.figures}


def decisions_of(report):
    return {row.decision: row for row in report.decisions}


@pytest.mark.parametrize("weighted", [False, True])
def test_figures_of_two_classes_are_those_of_scikit_learn(two, rng, weighted):
    y, p = two
    w = rng.random(len(y)) if weighted else None
    found = figures_of(imbalance_report(y, p, sample_weight=w))
    expected = {
        "average precision": metrics.average_precision_score(y, p, sample_weight=w),
        "ROC-AUC": metrics.roc_auc_score(y, p, sample_weight=w),
        "log-loss": metrics.log_loss(y, p, sample_weight=w),
        "Brier score": metrics.brier_score_loss(y, p, sample_weight=w),
        "calibration error": calibration_error(y, p, sample_weight=w),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-12)


def test_figures_of_three_classes_are_those_of_scikit_learn(three):
    y, p = three
    found = figures_of(imbalance_report(y, p))
    one_hot = np.eye(3)[y]
    expected = {
        "average precision": metrics.average_precision_score(one_hot, p),
        "ROC-AUC": metrics.roc_auc_score(y, p, multi_class="ovr"),
        "log-loss": metrics.log_loss(y, p),
        "Brier score": metrics.brier_score_loss(y, p),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-12)


def test_baselines_are_those_of_the_prevalence(two, three):
    for y, p in (two, three):
        prior = np.bincount(y) / len(y)
        constant = np.tile(prior, (len(y), 1))
        given, of_constant = (figures_of(imbalance_report(y, q)) for q in (p, constant))
        for name in ("average precision", "ROC-AUC", "log-loss", "Brier score"):
            assert of_constant[name].value == pytest.approx(given[name].baseline)
        assert of_constant["Brier skill"].value == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("way", ["at 0.5", "best F1"])
def test_decisions_of_two_classes_are_those_of_the_libraries(two, rng, way):
    y, p = two
    w = rng.random(len(y))
    row = decisions_of(imbalance_report(y, p, sample_weight=w))[way]
    called = (p >= row.threshold).astype(int)
    expected = {
        "precision": metrics.precision_score(y, called, sample_weight=w),
        "recall": metrics.recall_score(y, called, sample_weight=w),
        "f1": metrics.f1_score(y, called, sample_weight=w),
        "mcc": metrics.matthews_corrcoef(y, called, sample_weight=w),
        "g_mean": geometric_mean_score(y, called, sample_weight=w),
        "balanced_accuracy": metrics.balanced_accuracy_score(
            y, called, sample_weight=w
        ),
        "accuracy": metrics.accuracy_score(y, called, sample_weight=w),
        "share_called": np.average(called, weights=w),
    }
    for name, value in expected.items():
        assert getattr(row, name) == pytest.approx(value, abs=1e-12)


def test_decisions_of_three_classes_are_those_of_the_libraries(three):
    y, p = three
    row = decisions_of(imbalance_report(y, p))["most likely"]
    called = p.argmax(axis=1)
    assert row.f1 == pytest.approx(metrics.f1_score(y, called, average="macro"))
    assert row.g_mean == pytest.approx(geometric_mean_score(y, called))
    assert row.mcc == pytest.approx(metrics.matthews_corrcoef(y, called))


def test_thresholds_serve_their_purpose(two):
    y, p = two
    found = decisions_of(imbalance_report(y, p, alerts=30))
    assert found["best F1"].threshold == choose_threshold(y, p, "f1")
    assert found["30 alerts"].share_called == pytest.approx(30 / len(y))
    share = decisions_of(imbalance_report(y, p, alerts=0.05))
    assert share["5.000% alerts"].threshold == found["30 alerts"].threshold


def test_costs_choose_and_count(two):
    y, p = two
    found = decisions_of(imbalance_report(y, p, cost_matrix=[[0, 1], [9, 0]]))
    called = p >= 0.1
    expected = np.where(called, 1.0 * (y == 0), 9.0 * (y == 1)).mean()
    assert found["least cost"].cost == pytest.approx(expected)
    assert found["majority guess"].cost == pytest.approx(9 * y.mean())
    assert found["least cost"].cost < found["at 0.5"].cost


def test_costs_may_differ_from_row_to_row(two, rng):
    y, p = two
    amounts = rng.lognormal(3, 1, len(y))
    costs = {(0, 1): 5.0, (1, 0): amounts}
    w = (np.arange(len(y)) % 3 > 0).astype(float)
    found = decisions_of(imbalance_report(y, p, cost_matrix=costs, sample_weight=w))
    called = p * amounts > (1 - p) * 5.0
    of_rows = np.where(called, 5.0 * (y == 0), amounts * (y == 1))
    assert found["least cost"].cost == pytest.approx(np.average(of_rows, weights=w))


def test_accuracy_stands_beside_that_of_the_majority(two):
    y, p = two
    found = decisions_of(imbalance_report(y, p))
    assert found["majority guess"].accuracy == pytest.approx(1 - y.mean())
    assert found["majority guess"].f1 == 0.0


def test_classes_show_what_becomes_of_them(three):
    y, p = three
    called = p.argmax(axis=1)
    frame = imbalance_report(y, p).to_frame("by_class")
    np.testing.assert_array_equal(frame.n_rows, np.bincount(y))
    np.testing.assert_allclose(frame.expected, p.mean(axis=0))
    np.testing.assert_allclose(frame.predicted, np.bincount(called, minlength=3) / 400)
    precision, recall, _, _ = metrics.precision_recall_fscore_support(
        y, called, zero_division=0
    )
    np.testing.assert_allclose(frame.precision, precision)
    np.testing.assert_allclose(frame.recall, recall)


@pytest.mark.parametrize("data", ["two", "three"])
def test_resampled_figures_are_those_of_repeated_rows(data, request):
    """A resample of the data as they are has the figures of the report."""
    y, p = request.getfixturevalue(data)
    y, p = np.resize(y, 200), np.resize(p.round(2), (200, *p.shape[1:]))
    p = p / p.sum(axis=1, keepdims=True) if p.ndim > 1 else p
    rows = ScoredRows.read(y, p, np.unique(y))
    counts = np.arange(200) % 3

    def once(*args, **kwargs):
        yield counts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imbalnet.report.resampled.bootstrap_weights", once)
        found = resampled_figures(rows)[0]
    repeated = imbalance_report(y.repeat(counts), p.repeat(counts, axis=0))
    expected = [row.value for row in repeated.figures[:5]]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_intervals_are_about_those_of_the_general_bootstrap(two):
    y, p = two
    found = figures_of(imbalance_report(y, p))["average precision"]
    general = bootstrap_interval(metrics.average_precision_score, y, p, random_state=1)
    assert found.value == pytest.approx(general.value)
    assert found.low == pytest.approx(general.low, abs=0.03)
    assert found.high == pytest.approx(general.high, abs=0.03)


@pytest.mark.parametrize("kind", LABELS)
def test_labels_make_no_difference(two, kind):
    y, p = two
    found, expected = (imbalance_report(labels, p) for labels in (LABELS[kind](y), y))
    for part in ("figures", "decisions"):
        pd.testing.assert_frame_equal(found.to_frame(part), expected.to_frame(part))


def test_report_on_any_classifier_has_its_own_decision():
    X, y = make_classification(500, weights=[0.9], random_state=0)
    words = np.where(y == 1, "fraud", "fine")
    model = LogisticRegression(class_weight="balanced").fit(X[:300], words[:300])
    report = imbalance_report(model, X[300:], words[300:])
    predicted = model.predict(X[300:])
    own = report.decisions[0]
    assert own.decision == "predict"
    assert own.f1 == metrics.f1_score(words[300:], predicted, pos_label="fraud")
    assert any("target_prior" in caution for caution in report.cautions)


@pytest.fixture(scope="module")
def fitted():
    X, y = make_classification(400, weights=[0.85], random_state=0)
    words = np.where(y == 1, "fraud", "fine")
    clf = BalancedNeuralClassifier(n_members=3, max_epochs=3, random_state=0)
    return clf.fit(X, words)


def test_report_of_an_estimator_is_that_of_its_out_of_fold_rows(fitted):
    expected = imbalance_report(fitted.oof_labels_, fitted.oof_proba_)
    assert [row.decision for row in fitted.report_.decisions][:2] == [
        "predict",
        "at 0.5",
    ]
    assert fitted.report_.decisions[0].f1 == expected.decisions[0].f1
    assert fitted.report_.figures[0] == expected.figures[0]
    expected = expected.to_frame("by_class")
    pd.testing.assert_frame_equal(fitted.report_.to_frame("by_class"), expected)


def test_report_follows_the_target_prior(fitted):
    even = copy(fitted).set_params(target_prior={"fine": 0.5, "fraud": 0.5}).report_
    share = {row.label: row.share for row in even.by_class}
    assert share == pytest.approx({"fine": 0.5, "fraud": 0.5})
    of_even, of_plain = (figures_of(r)["ROC-AUC"].value for r in (even, fitted.report_))
    assert of_even == pytest.approx(of_plain, abs=1e-12)


def test_report_shows_the_decision_of_the_estimator(fitted):
    tuned = copy(fitted).set_params(threshold="f1").report_
    own, _, best, *_ = tuned.decisions
    assert own[2:] == best[2:]
    costs = {("fraud", "fine"): 50, ("fine", "fraud"): 1}
    cheap = decisions_of(copy(fitted).set_params(cost_matrix=costs).report_)
    assert cheap["predict"][2:] == cheap["least cost"][2:]


def test_report_needs_out_of_fold_rows():
    X, y = make_classification(100, random_state=0)
    clf = BalancedNeuralClassifier("mlp", max_epochs=1, random_state=0).fit(X, y)
    with pytest.raises(AttributeError, match="n_members"):
        _ = clf.report_


@pytest.mark.parametrize("name", ["report_", "oof_proba_", "threshold_", "history_"])
def test_what_fit_leaves_needs_fit(name):
    clf = BalancedNeuralClassifier(threshold="f1")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(clf, name)
    assert not hasattr(clf, name)


def test_cautions_name_what_cannot_be_trusted(two):
    y, p = two
    few = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:5]]
    report = imbalance_report(y[few], p[few])
    assert any("Few rows: 1 (5)" in caution for caution in report.cautions)
    calm = imbalance_report(y, p)
    assert not any("Few rows" in c or "off by" in c for c in calm.cautions)


def test_target_prior_is_the_cure_of_a_wrong_mean_alone(two):
    y, p = two
    timid = y.mean() + 0.3 * (p - p.mean())  # right on average alone
    for probabilities, is_cured in ((np.sqrt(p), True), (timid, False)):
        found = [
            c for c in imbalance_report(y, probabilities).cautions if "off by" in c
        ]
        assert ["target_prior" in caution for caution in found] == [is_cured]


def test_cautions_name_a_ranking_by_chance(rng):
    y, p = rng.random(300) < 0.1, rng.random(300)
    assert any("constant score" in c for c in imbalance_report(y, p).cautions)


def test_cautions_name_a_class_that_is_never_predicted(two):
    y, p = two
    report = imbalance_report(y, p * 0.4)
    assert any("No row is predicted to be 1" in c for c in report.cautions)


def test_cautions_name_a_frequent_positive_class(two):
    y, p = two
    words = np.where(y == 1, "fraud", "ok")  # "ok" is the second label
    first = imbalance_report(words, 1 - p).cautions[0]
    assert "class is 'ok'" in first
    assert first.endswith("To find 'fraud', give y == 'fraud' as the labels.")
    cured = imbalance_report(words == "fraud", p)
    assert not any("positive class" in c for c in cured.cautions)


def test_cautions_doubt_a_perfect_ranking(two):
    y, p = two
    given_away = imbalance_report(y, 0.1 + 0.8 * y)
    assert any("does a column tell the label" in c for c in given_away.cautions)
    labels = imbalance_report(y, p > 0.5)
    assert any("All probabilities are 0 or 1" in c for c in labels.cautions)
    calm = imbalance_report(y, p).cautions
    assert not any("tell the label" in c or "are 0 or 1" in c for c in calm)


def test_rows_of_weight_0_are_left_out(two):
    y, p = two
    w = (np.arange(len(y)) % 4 > 0).astype(float)
    dropped = imbalance_report(y[w > 0], p[w > 0])
    assert str(imbalance_report(y, p, sample_weight=w)) == str(dropped)


def test_one_class_alone_has_decisions_but_no_figures():
    rows = ScoredRows.read(np.zeros(30, int), np.full(30, 0.1), classes=[0, 1])
    report = ImbalanceReport.of_rows(rows)
    assert report.figures == []
    assert decisions_of(report)["at 0.5"].accuracy == 1.0
    assert "at 0.5" in str(report)


def test_report_is_shown_as_text_html_and_frames(two):
    y, p = two
    report = imbalance_report(np.where(y == 1, "<b>", "a"), p, alerts=10)
    text, html = str(report), report._repr_html_()
    for word in ("average precision", "best F1", "majority guess", "600 rows"):
        assert word in text
        assert word in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    for part in ("figures", "decisions", "by_class"):
        assert len(report.to_frame(part)) == len(getattr(report, part))
    with pytest.raises(ValueError, match="part='all'"):
        report.to_frame("all")


def test_alerts_need_two_classes(three):
    """A budget that nothing is done with is an error."""
    y, p = three
    with pytest.raises(ValueError, match=r"alerts=30 .* there are 3 classes"):
        imbalance_report(y, p, alerts=30)
    found = decisions_of(imbalance_report(y == 2, p[:, 2], alerts=30))  # the cure
    assert found["30 alerts"].share_called == pytest.approx(30 / len(y))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: imbalance_report([0, 1], [0.1, 3.0]), "between 0 and 1"),
        (lambda: imbalance_report([0, 1], [0.1]), "inconsistent"),
        (lambda: imbalance_report([0, 1, 2], [0.1, 0.2, 0.3]), "there are 3 labels"),
        (lambda: imbalance_report([0, 1], [0.1, 0.2], level=95), "level=95"),
        (lambda: imbalance_report([0, 1], [0.1, 0.2], alerts=-1), "alerts=-1"),
        (
            lambda: ScoredRows.read([0, 7], [0.1, 0.2], classes=[0, 1]),
            r"not in classes: \[7\]",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_rows_of_a_single_class_with_rounded_probabilities_have_a_report():
    report = imbalance_report([1, 1, 1], [[0.999]] * 3)
    assert not report.figures
    assert report.by_class[0].recall == 1.0

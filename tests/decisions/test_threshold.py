"""Thresholds that serve a purpose best on held-out rows."""

from __future__ import annotations

import warnings
from decimal import Decimal

import numpy as np
import pytest
from imblearn.metrics import geometric_mean_score
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    fbeta_score,
    make_scorer,
    matthews_corrcoef,
    precision_score,
    recall_score,
)
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

from imbalnet.decisions import (
    CRITERIA,
    AlertShare,
    FBeta,
    LeastCost,
    PrecisionAtLeast,
    RecallAtLeast,
    choose_threshold,
    threshold_counts,
)
from imbalnet.posterior import bayes_threshold

FIGURES = {
    "f1": f1_score,
    "f2": lambda *args, **kwargs: fbeta_score(*args, beta=2, **kwargs),
    "mcc": matthews_corrcoef,
    "g_mean": geometric_mean_score,
    "balanced_accuracy": balanced_accuracy_score,
}


def rows(n_rows=600, seed=0, decimals=8):
    """Labels, and honest probabilities, some of which repeat with few `decimals`."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.5, 3.0, n_rows)
    return (rng.random(n_rows) < p).astype(int), np.round(p, decimals)


@pytest.fixture(params=[8, 2], ids=["distinct", "repeated"])
def held_out(request):
    return rows(250, decimals=request.param)


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("is_weighted", [False, True])
def test_criteria_are_the_figures_of_others(name, is_weighted, held_out, rng):
    y, p = held_out
    weight = rng.uniform(0.5, 2.0, len(y)) if is_weighted else np.ones(len(y))
    thresholds, counts = threshold_counts(p, weight * y, weight * (1 - y))
    expected = [
        FIGURES[name](y, (p >= t).astype(int), sample_weight=weight)
        for t in thresholds[1:]  # the first calls none
    ]
    np.testing.assert_allclose(CRITERIA[name](counts)[1:], expected, atol=1e-12)


def test_counts_are_the_confusion_matrices(held_out):
    y, p = held_out
    thresholds, counts = threshold_counts(p, y.astype(float), 1.0 - y)
    assert (np.diff(thresholds) < 0).all()
    assert len(thresholds) == len(np.unique(p)) + 1
    found = np.stack([vars(counts)[name] for name in vars(counts)])
    for threshold, (tp, fp, fn, tn) in zip(thresholds, found.T, strict=True):
        matrix = confusion_matrix(y, p >= threshold)
        np.testing.assert_array_equal(matrix, [[tn, fp], [fn, tp]])


@pytest.mark.parametrize("name", CRITERIA)
def test_no_other_threshold_is_better(name, held_out):
    y, p = held_out
    chosen = choose_threshold(y, p, name)
    best = max(FIGURES[name](y, (p >= t).astype(int)) for t in np.unique(p))
    assert FIGURES[name](y, (p >= chosen).astype(int)) == pytest.approx(best, abs=1e-12)


def test_threshold_is_halfway_between_rows():
    y = np.repeat([0, 1], 30)
    p = np.repeat([0.2, 0.6], 30)
    assert choose_threshold(y, p, "f1") == pytest.approx(0.4)


@pytest.mark.parametrize("top", [1.0, 0.6])
def test_where_all_calls_lose_none_is_made(top):
    y, p = (
        np.repeat([0, 1, 0], [900, 50, 50]),
        np.repeat([0.1, 0.3, top], [900, 50, 50]),
    )
    assert choose_threshold(y, p, LeastCost(100.0, 1.0)) > top


def test_neighbouring_floats_are_told_apart():
    low = np.nextafter(0.5, 0)
    y, p = np.repeat([0, 1], 40), np.repeat([low, 0.5], 40)
    assert choose_threshold(y, p) == 0.5


def test_rows_of_weight_0_do_not_count(held_out):
    y, p = held_out
    weight, cost = np.arange(len(y)) % 3, np.arange(len(y)) % 7 + 1.0
    kept = weight > 0
    pairs = [(name, name) for name in ("f1", AlertShare(0.2), matthews_corrcoef)]
    for criterion, own in [*pairs, (LeastCost(2, cost), LeastCost(2, cost[kept]))]:
        found = choose_threshold(y, p, criterion, sample_weight=weight)
        assert found == choose_threshold(
            y[kept], p[kept], own, sample_weight=weight[kept]
        )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_threshold_calls_the_same_rows_in_the_precision_of_the_probabilities(
    dtype, held_out
):
    y, p = held_out
    p = p.astype(dtype)
    for share in (0.0, 0.01, 0.03, 0.1, 0.3, 0.5):
        threshold = choose_threshold(y, p, AlertShare(share))
        called = p >= threshold
        assert called.mean() <= share
        np.testing.assert_array_equal(called, p.astype(np.float64) >= threshold)


def test_weights_count_as_repeated_rows(held_out, rng):
    y, p = held_out
    n_times = rng.integers(0, 4, len(y))
    repeated = choose_threshold(np.repeat(y, n_times), np.repeat(p, n_times), "mcc")
    weighted = choose_threshold(y, p, "mcc", sample_weight=n_times)
    used = n_times > 0
    np.testing.assert_array_equal((p >= weighted)[used], (p >= repeated)[used])


@pytest.mark.parametrize(
    ("figure", "name"), [(f1_score, "f1"), (matthews_corrcoef, "mcc")]
)
@pytest.mark.parametrize("is_weighted", [False, True])
def test_functions_of_labels_are_asked(figure, name, is_weighted, rng):
    y, p = rows(200)
    weight = rng.uniform(0.5, 2.0, len(y)) if is_weighted else None
    words = np.where(y == 1, "fraud", "fine")
    labels = {} if name == "mcc" else {"pos_label": "fraud"}
    chosen = choose_threshold(
        words,
        p,
        lambda *args, **kw: figure(*args, **labels, **kw),
        sample_weight=weight,
    )
    expected = choose_threshold(y, p, name, sample_weight=weight)
    assert chosen == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("floor", [0.3, 0.6])
def test_floors_of_precision_and_recall(floor, held_out):
    y, p = held_out
    called = p >= choose_threshold(y, p, PrecisionAtLeast(floor))
    assert precision_score(y, called) >= floor
    reached = [t for t in np.unique(p) if precision_score(y, p >= t) >= floor]
    assert recall_score(y, called) == max(recall_score(y, p >= t) for t in reached)
    called = p >= choose_threshold(y, p, RecallAtLeast(floor))
    assert recall_score(y, called) >= floor
    reached = [t for t in np.unique(p) if recall_score(y, p >= t) >= floor]
    assert precision_score(y, called) == max(
        precision_score(y, p >= t) for t in reached
    )


def test_a_floor_that_is_out_of_reach_is_named(rng):
    y, p = (rng.random(900) < 0.1).astype(int), rng.random(900)
    with pytest.warns(
        UserWarning, match=r"No threshold reaches PrecisionAtLeast\(.*0.9"
    ):
        choose_threshold(y, p, PrecisionAtLeast(0.999))


@pytest.mark.parametrize("share", [0.001, 0.05, 1.0])
def test_alerts_stay_within_their_budget(share, held_out):
    y, p = held_out
    n_called = (p >= choose_threshold(y, p, AlertShare(share))).sum()
    assert n_called <= share * len(y)
    ordered = np.sort(p)[::-1]
    following = ordered[n_called] if n_called < len(p) else -1.0
    assert (p >= following).sum() > share * len(y) or n_called == len(p)


def test_least_cost_is_near_the_closed_form():
    y, p = rows(60_000)
    chosen = choose_threshold(y, p, LeastCost(1.0, 9.0))
    assert chosen == pytest.approx(bayes_threshold(1.0, 9.0), abs=0.02)


def drawn_costs(rng, n_rows):
    """Costs of each row: false positives and negatives, true positives, negatives."""
    gains = rng.normal(size=(2, n_rows))
    return (*rng.lognormal(1.0, 1.0, size=(2, n_rows)), *gains)


def cost_at(threshold, y, p, costs, weight):
    fp, fn, tp, tn = (np.broadcast_to(cost, len(y)) for cost in costs)
    of_rows = np.where(
        y == 1, np.where(p >= threshold, tp, fn), np.where(p >= threshold, fp, tn)
    )
    return (weight * of_rows).sum()


@pytest.mark.parametrize("n_of_rows", [1, 2, 4])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_no_other_threshold_costs_less_by_rows(n_of_rows, is_weighted, held_out, rng):
    y, p = held_out
    drawn = drawn_costs(rng, len(y))
    costs = [*drawn[:n_of_rows], *(cost[0] for cost in drawn[n_of_rows:])]
    weight = rng.uniform(0.5, 2.0, len(y)) if is_weighted else np.ones(len(y))
    chosen = choose_threshold(y, p, LeastCost(*costs), sample_weight=weight)
    least = min(cost_at(t, y, p, costs, weight) for t in [*np.unique(p), 1.1])
    assert cost_at(chosen, y, p, costs, weight) == pytest.approx(least)


def test_decimal_costs_are_numbers(held_out):
    costs = LeastCost(Decimal("0.5"), Decimal(3))
    assert choose_threshold(*held_out, costs) == choose_threshold(
        *held_out, LeastCost(0.5, 3)
    )


def test_equal_costs_of_rows_are_one_cost(held_out):
    y, p = held_out
    of_rows = LeastCost(np.full(len(y), 1.0), np.full(len(y), 9.0), -0.5)
    expected = choose_threshold(y, p, LeastCost(1.0, 9.0, -0.5))
    assert choose_threshold(y, p, of_rows) == expected


def test_gains_of_rows_alone_call_all():
    """Where the excess of a false positive is negative, its sum is no scale."""
    y, p = np.repeat([0, 1], 30), np.linspace(0.1, 0.9, 60)
    assert choose_threshold(y, p, LeastCost(np.full(60, -2.0), 1.0)) == 0.0


def test_few_positives_take_costs_of_rows_by_probability():
    y, p = np.repeat([0, 1], [40, 4]), np.linspace(0.01, 0.6, 44)
    with pytest.warns(UserWarning, match="4 positive rows"):
        chosen = choose_threshold(y, p, LeastCost(np.ones(44), 3.0))
    np.testing.assert_array_equal(p >= chosen, p > 0.25)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        (
            (np.ones(3), 1.0),
            "false_positive has the costs of 3 rows, but there are 250",
        ),
        ((1.0, np.ones((250, 1))), r"false_negative must be one .* shape \(250, 1\)"),
        ((1.0, [1.0, np.nan]), "false_negative must be a finite cost, however: nan"),
        ((1.0, "high"), "false_negative must be a finite cost, however: 'high'"),
    ],
)
def test_wrong_costs_of_rows_are_named(costs, message):
    y, p = rows(250)
    with pytest.raises(ValueError, match=message):
        choose_threshold(y, p, LeastCost(*costs))


def test_counts_cannot_add_costs_of_rows(held_out):
    y, p = held_out
    _, counts = threshold_counts(p, y.astype(float), 1.0 - y)
    with pytest.raises(ValueError, match="use choose_threshold"):
        LeastCost(np.ones(len(y)), 1.0)(counts)


def test_few_positives_leave_it_to_the_probabilities():
    """Which lose less than the best threshold of the labels, on further rows."""
    y_test, p_test = rows(40_000, seed=99)
    gains = []
    for seed in range(40):
        y, p = rows(60, seed=seed)
        if not 2 <= y.sum() < 20:
            continue
        with pytest.warns(UserWarning, match="positive rows .fewer than 20.: not by"):
            expected = choose_threshold(y, p)
        thresholds, counts = threshold_counts(p, y.astype(float), 1.0 - y)
        of_labels = thresholds[np.argmax(CRITERIA["f1"](counts))]
        gains.append(
            f1_score(y_test, p_test >= expected) - f1_score(y_test, p_test >= of_labels)
        )
    assert len(gains) > 20
    assert np.mean(gains) > 0.02


def test_functions_of_labels_and_few_positives():
    y, p = rows(60)
    with pytest.warns(UserWarning, match="it is chance; give a number"):
        choose_threshold(y, p, f1_score)


def test_threshold_serves_a_fixed_threshold_classifier(rare):
    """It is what TunedThresholdClassifierCV finds on the same rows, which tries 100."""
    from sklearn.linear_model import LogisticRegression

    X, y = rare
    model = LogisticRegression().fit(X, y)
    p = model.predict_proba(X)
    ours = FixedThresholdClassifier(
        model, threshold=choose_threshold(y, p), response_method="predict_proba"
    ).fit(X, y)
    theirs = TunedThresholdClassifierCV(
        model, scoring=make_scorer(f1_score), cv="prefit", refit=False
    ).fit(X, y)
    assert f1_score(y, ours.predict(X)) >= f1_score(y, theirs.predict(X))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1, 2], [0.1, 0.2, 0.3]), "must hold two classes, but holds 3"),
        (([0, 0], [0.1, 0.2]), "holds 1"),
        (([0, 1], [0.1, 1.2]), "must lie between 0 and 1"),
        (([0, 1], [0.1, np.nan]), "must lie between 0 and 1"),
        (([0, 1], [0.1, 0.2, 0.3]), "inconsistent numbers of samples"),
        (([0, 1], np.full((2, 3), 1 / 3)), r"shape \(n_rows,\) or \(n_rows, 2\)"),
        (([0, 1], [0.1, 0.2], "F1"), "criterion='F1' must be one of"),
        (([0, 1], [0.1, 0.2], 3.5), "criterion=3.5 must be one of"),
        (([0, 1], [0.1, 0.2], FBeta), "a criterion such as"),
    ],
)
def test_what_is_wrong_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        choose_threshold(*arguments)


@pytest.mark.parametrize("weight", [[1.0, -1.0], [0.0, 0.0], [np.nan, 1.0]])
def test_wrong_weights_are_named(weight):
    with pytest.raises(ValueError, match="sample_weight must hold finite"):
        choose_threshold([0, 1], [0.1, 0.2], sample_weight=weight)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FBeta(0.0),
        lambda: PrecisionAtLeast(1.5),
        lambda: RecallAtLeast("a"),
        lambda: AlertShare(-0.1),
        lambda: LeastCost(np.nan, 1.0),
    ],
)
def test_criteria_check_their_parameters(make):
    with pytest.raises(ValueError, match=r"beta|precision|recall|share|false_positive"):
        make()


def test_a_criterion_without_a_figure_is_named():
    y, p = rows(200)
    with pytest.raises(ValueError, match="gave nan for true and predicted labels"):
        choose_threshold(y, p, lambda true, called: np.nan)


def test_a_function_is_called_at_every_threshold_of_a_few_rows(rng):
    def f1(true, called):
        return 2 * (true & called).sum() / (true.sum() + called.sum())

    for _ in range(8):
        p = rng.beta(1.0, 2.0, size=200)
        y = (rng.random(200) < p).astype(int)
        assert choose_threshold(y, p, f1) == choose_threshold(y, p, "f1")


def test_positive_label_and_columns_of_probabilities():
    y, p = rows()
    words = np.where(y == 1, "a", "b")  # the positive class sorts first
    both = np.stack([p, 1 - p], axis=1)  # as predict_proba returns them
    for probabilities in (p, both):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            chosen = choose_threshold(words, probabilities, pos_label="a")
        assert chosen == choose_threshold(y, p)
    with pytest.raises(ValueError, match="pos_label='c' is none of the labels"):
        choose_threshold(words, p, pos_label="c")


def test_number_of_alerts_is_told_from_their_share():
    with pytest.raises(ValueError, match=r"share=50 .*AlertShare\(20 / 4_000\)\.$"):
        AlertShare(50)

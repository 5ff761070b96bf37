"""Class weights against scikit-learn and closed forms."""

from __future__ import annotations

import dataclasses
import html
import re
import warnings

import mpmath
import numpy as np
import pandas as pd
import pytest
from sklearn.utils.class_weight import compute_class_weight

from imbalnet.class_weights import class_weights, explain_weights
from imbalnet.posterior import effective_prior

# Every kind of class_weight, for counts of three classes
KINDS = [
    "balanced",
    "effective",
    {0: 1.0, 1: 5.0, 2: 70.0},
    [1.0, 5.0, 70.0],
    np.array([1.0, 5.0, 70.0]),
    pd.Series([70.0, 1.0, 5.0], index=[2, 0, 1]),
    lambda counts: 1 / counts,
    None,
]


def test_balanced_equals_scikit_learn(rng):
    y = rng.choice(4, size=500, p=[0.7, 0.2, 0.08, 0.02])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=y)
    np.testing.assert_allclose(class_weights(np.bincount(y)), expected)


def test_balanced_of_one_per_cent_positives():
    np.testing.assert_allclose(class_weights([9_900, 100]), [1 / 1.98, 50.0])


def test_balanced_of_ten_rare_among_five_hundred_classes():
    weights = class_weights([50] * 10 + [1_000] * 490)
    np.testing.assert_allclose(weights[[0, -1]], [19.62, 0.981])


@pytest.mark.parametrize("beta", [1e-10, 0.3, 0.9, 0.9999, 1 - 1e-12, 1 - 2**-53])
@pytest.mark.parametrize("count", [0.5, 1, 50, 10**8])
def test_effective_equals_fifty_digit_reference(beta, count):
    """Cui et al. 2019, also where 1 - beta**n cancels; beta as float64 holds it."""
    weights = class_weights([1, count], "effective", beta=beta)
    with mpmath.workdps(50):
        b = mpmath.mpf(beta)
        expected = (1 - b) / (1 - b**count)  # relative to a class of one row
        np.testing.assert_allclose(weights[1] / weights[0], float(expected), rtol=1e-12)


def test_effective_runs_from_equal_to_balanced():
    np.testing.assert_allclose(class_weights([90, 10], "effective", beta=0.0), [1, 1])
    balanced = class_weights([90, 10])
    np.testing.assert_allclose(
        class_weights([90, 10], "effective", beta=1.0), balanced / balanced.mean()
    )


def test_effective_is_smooth_where_beta_reaches_one():
    """1 - beta loses no digits of the float64 beta, however near 1."""
    counts = [10**6, 1]
    np.testing.assert_allclose(
        class_weights(counts, "effective", beta=np.nextafter(1.0, 0.0)),
        class_weights(counts, "effective", beta=1.0),
        rtol=1e-9,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_power_tempers_weights(kind):
    counts = [900, 100, 3]
    full = class_weights(counts, kind)
    np.testing.assert_allclose(class_weights(counts, kind, power=0.5), full**0.5)
    np.testing.assert_allclose(class_weights(counts, kind, power=0.0), [1, 1, 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("power", [0.5, 1.0])
@pytest.mark.parametrize("max_ratio", [1, 3.5, 1e6])
def test_max_ratio_cuts_after_power(kind, power, max_ratio):
    tempered = class_weights([900, 100, 3], kind, power=power)
    cut = class_weights([900, 100, 3], kind, power=power, max_ratio=max_ratio)
    np.testing.assert_allclose(cut, np.minimum(tempered, max_ratio * tempered.min()))


def test_max_ratio_heeds_neither_zeros_nor_classes_without_rows():
    """Class 2 has no rows and weighs 1, less than the others; class 0 weighs 0."""
    weights = class_weights([50, 50, 0, 50], [0, 4, 0.001, 40], max_ratio=5)
    assert weights.tolist() == [0.0, 4.0, 1.0, 20.0]
    weights = class_weights([50, 50, 0], [0.001, 0.1, 9], max_ratio=2)
    assert weights.tolist() == [0.001, 0.002, 1.0]


@pytest.mark.parametrize("counts", [[0, 7], [5, 5]])
@pytest.mark.parametrize("name", ["balanced", "effective"])
def test_max_ratio_changes_nothing_where_there_is_no_ratio(counts, name):
    assert class_weights(counts, name, max_ratio=2).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("kind", [[3, 8], (3, 8), np.array([3, 8]), np.array([3.0, 8])])
def test_array_is_in_the_order_of_the_classes(kind):
    assert class_weights([5, 5], kind, classes=["b", "a"]).tolist() == [3.0, 8.0]


def test_pandas_series_goes_by_its_labels():
    """1 / y.value_counts() is sorted by frequency, not by label."""
    y = pd.Series(["a", "b", "b", "b", "c", "c"])
    weights = class_weights([1, 3, 2], 1 / y.value_counts(), classes=["a", "b", "c"])
    np.testing.assert_allclose(weights, [1, 1 / 3, 1 / 2])


def test_pandas_series_may_leave_labels_out_but_not_name_others_instead():
    kwargs = {"classes": ["a", "b"]}
    series = pd.Series({"b": 5.0})
    assert class_weights([5, 5], series, **kwargs).tolist() == [1.0, 5.0]
    with pytest.raises(ValueError, match=r"names the labels \[0, 1\], which do not"):
        class_weights([5, 5], pd.Series([1.0, 5.0]), **kwargs)


def test_pandas_series_must_hold_a_label_once():
    series = pd.Series([1.0, 5.0, 2.0], index=[0, 1, 1])
    message = r"class_weight must hold each label once, but its index is \[0, 1, 1\]"
    with pytest.raises(ValueError, match=message):
        class_weights([5, 5], series)


def test_mapping_takes_labels_of_any_type():
    weights = class_weights([5, 5], {"fraud": 7.0}, classes=["fraud", "fine"])
    assert weights.tolist() == [7.0, 1.0]
    assert class_weights([5, 5], {True: 2.0}, classes=[False, True])[1] == 2.0


def test_mapping_may_name_absent_labels_but_not_miss_present_ones():
    """As scikit-learn: a fold may lack a class, a typo is an error."""
    assert class_weights([5, 5], {0: 1, 1: 2, 2: 3}).tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match=r"names the labels \['frad'\]"):
        class_weights([5, 5], {"frad": 2.0}, classes=["fraud", "fine"])


def test_callable_gets_counts():
    assert class_weights([8, 2], lambda counts: 1 / counts).tolist() == [0.125, 0.5]


@pytest.mark.parametrize("build", [dict, pd.Series], ids=["dict", "Series"])
def test_callable_may_return_weights_by_label(build):
    weights = build({"fraud": 9.0, "fine": 1.0})
    given = class_weights([8, 2], lambda counts: weights, classes=["fine", "fraud"])
    assert given.tolist() == [1.0, 9.0]


@pytest.mark.parametrize("returned", [None, "balanced"])
def test_callable_must_return_weights(returned):
    with pytest.raises(ValueError, match=f"must return .* but returned {returned!r}"):
        class_weights([8, 2], lambda counts: returned)


def test_counts_by_frequency_are_not_taken_for_those_of_sorted_classes():
    counts = pd.Series(["fine"] * 8 + ["best"] * 2).value_counts()
    with pytest.raises(ValueError, match=r"must be in the order of classes=\['best'"):
        class_weights(counts, classes=["best", "fine"])
    sorted_ones = class_weights(counts.loc[["best", "fine"]], classes=["best", "fine"])
    assert sorted_ones.tolist() == [2.5, 0.625]


def test_class_without_rows_weighs_one():
    assert class_weights([10, 0, 5]).tolist() == [0.75, 1.0, 1.5]
    assert class_weights([10, 0], {0: 2.0, 1: 9.0}).tolist() == [2.0, 1.0]


def test_callable_may_divide_by_the_rows_of_a_class_without_any():
    def inverse(counts):
        with np.errstate(divide="ignore"):
            return 1 / counts

    assert class_weights([4, 0], inverse).tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: -1.0, 1: 1.0}, "finite weights of at least 0"),
        ({0: np.inf, 1: 1.0}, "finite weights of at least 0"),
        ({0: 0.0, 1: 0.0}, "not all 0"),
        (lambda counts: [1.0], "one weight for each of the 2 classes"),
        ([1.0, 2.0, 3.0], r"each of the 2 classes, but gave shape \(3,\)"),
        (3.0, r"each of the 2 classes, but gave shape \(\)"),
        (np.eye(2), "one weight for each of the 2 classes"),
        ([1.0, np.nan], "finite weights of at least 0"),
        (["balanced", "balanced"], "use 'balanced', 'effective', a dict, an array"),
        ("balance", "class_weight='balance' is not known; use 'balanced'"),
        ({0: 1, 1: "a"}, r"class_weight\[1\]='a' must be a number of at least 0"),
        ({1: [2, 3]}, r"class_weight\[1\]=\[2, 3\] must be a number"),
        ({0: None}, r"class_weight\[0\]=None must be a number"),
        (pd.Series(["a", "b"]), r"class_weight\[0\]='a' must be a number"),
        (
            pd.DataFrame({0: [1.0], 1: [2.0]}),
            r"class_weight\[0\]=0  .*\n.* must be a number",
        ),
    ],
)
def test_class_weights_reject(class_weight, message):
    with pytest.raises(ValueError, match=message):
        class_weights([5, 5], class_weight)


@pytest.mark.parametrize("value", [1.5, -0.1, np.nan, "a", None, np.ones(2)])
@pytest.mark.parametrize("name", ["power", "beta"])
def test_class_weights_reject_what_is_no_share(name, value):
    message = re.escape(f"class_weight__{name}={value!r} must be a number that lies")
    with pytest.raises(ValueError, match=message):
        class_weights([5, 5], "effective", **{name: value})


@pytest.mark.parametrize("value", [0.5, -1, np.nan, np.inf, "10", [2.0]])
def test_class_weights_reject_what_is_no_ratio(value):
    start = f"class_weight__max_ratio={value!r} must be a finite number of at least 1."
    with pytest.raises(ValueError, match=re.escape(f"{start} None sets no limit.")):
        class_weights([5, 5], max_ratio=value)


@pytest.mark.parametrize(
    "labels", [[0, 1], ["fine", "fraud"], [False, True], [-1.0, 3.0]]
)
@pytest.mark.parametrize("as_given", [list, np.array, pd.Series, pd.Categorical])
def test_explain_weights_takes_labels_of_any_kind(labels, as_given):
    report = explain_weights(as_given(labels[:1] * 8 + labels[1:] * 2))
    assert report.classes.tolist() == labels
    assert report.counts.tolist() == [8.0, 2.0]
    assert report.ratio == pytest.approx(4.0)


@pytest.mark.filterwarnings("ignore:The largest class weight")
@pytest.mark.parametrize("kind", KINDS)
def test_explain_weights_says_what_class_weights_and_effective_prior_say(kind, rng):
    y = rng.choice(3, size=400, p=[0.8, 0.15, 0.05])
    sample_weight = rng.random(400)
    counts = np.bincount(y, sample_weight)
    options = {"power": 0.7, "beta": 0.99, "max_ratio": 30}
    report = explain_weights(y, kind, sample_weight=sample_weight, **options)
    weights = class_weights(counts, kind, **options)
    np.testing.assert_allclose(report.counts, counts)
    np.testing.assert_allclose(report.class_weight, weights)
    np.testing.assert_allclose(report.class_prior, counts / counts.sum())
    np.testing.assert_allclose(report.effective_prior, effective_prior(counts, weights))


def test_explain_weights_shows_classes_without_rows():
    report = explain_weights(["b"] * 6 + ["a"] * 2, classes=["c", "b", "a"])
    assert report.counts.tolist() == [0.0, 6.0, 2.0]
    assert report.class_weight[0] == 1.0
    assert report.effective_prior.tolist() == [0.0, 0.5, 0.5]
    assert report.ratio == pytest.approx(3.0)


def test_explain_weights_warns_of_a_large_ratio_and_names_the_cures():
    message = (
        "is 99 times the smallest.*predicted too often.*1 % of them, of class 'fraud', "
        "50 % of the loss.*class_weight__power=0.5.*class_weight__max_ratio=10.*"
        "target_prior='train'"
    )
    y = ["fine"] * 990 + ["fraud"] * 10
    with pytest.warns(UserWarning, match=message):
        explain_weights(y)


def test_explain_weights_names_the_heaviest_of_the_classes_with_rows():
    """Class "c" has none and weighs 1; class "b" has one row."""
    message = r"is 11 times .* \(0.99 % of them, of class 'b', 9.91 % of the loss\)"
    y, weights = ["a"] * 100 + ["b"], {"a": 0.05, "b": 0.55}
    with pytest.warns(UserWarning, match=message):
        explain_weights(y, weights, classes=["a", "b", "c"])


@pytest.mark.parametrize("cure", [{"power": 0.5}, {"max_ratio": 10}])
def test_explain_weights_does_not_warn_after_the_cures_that_it_names(cure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explain_weights(["fine"] * 985 + ["fraud"] * 15, **cure)
        explain_weights([0] * 10 + [1])


def test_weight_report_prints_a_line_a_class():
    lines = str(explain_weights(["fine"] * 900 + ["fraud"] * 100)).splitlines()
    assert " ".join(lines[0].split()) == "class rows weight share of rows share of loss"
    assert lines[2].split() == ["fraud", "100", "5", "10", "%", "50", "%"]
    assert lines[3] == "largest / smallest weight: 9"
    assert len({len(line) for line in lines[:3]}) == 1


@pytest.mark.parametrize("n_classes", [2, 8, 9, 10, 500])
def test_weight_report_is_short_for_many_classes(n_classes):
    """Of 500 classes, ten of them rare: the heaviest and the lightest, and a gap."""
    y = np.repeat(np.arange(n_classes), np.r_[5, np.full(n_classes - 1, 40)])
    lines = str(explain_weights(y)).splitlines()[1:-1]
    shown = [int(line.split()[0]) for line in lines if "more" not in line]
    heaviest_first = list(range(n_classes))  # in the order of the labels if equal
    middle = slice(4, -4) if n_classes > 9 else slice(0)
    del heaviest_first[middle]
    assert shown == heaviest_first
    gaps = [line for line in lines if "more" in line]
    assert gaps == ([] if n_classes <= 9 else [f"({n_classes - 8} more)"])


def test_weight_report_is_a_table_in_notebooks():
    report = explain_weights(["fine"] * 90 + ["<b>"] * 10)
    shown = report._repr_html_()
    cells = [html.unescape(c) for c in re.findall("<t[dh]>(.*?)</t[dh]>", shown)]
    assert cells[:5] == ["class", "rows", "weight", "share of rows", "share of loss"]
    assert cells[5:10] == ["<b>", "10", "5", "10 %", "50 %"]
    assert "<b>" not in shown
    assert shown.endswith("smallest weight: 9</p>")


def test_weight_report_becomes_a_frame():
    report = explain_weights([0] * 90 + [1] * 10, "effective")
    frame = report.to_frame()
    assert (frame.index.name, frame.index.tolist()) == ("class", [0, 1])
    for name, column in frame.items():
        np.testing.assert_array_equal(column, getattr(report, name))
    assert list(frame) == ["counts", "class_weight", "class_prior", "effective_prior"]


def test_weight_report_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        explain_weights([0, 1]).counts = np.zeros(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": []}, "y is empty"),
        ({"y": [[0, 1], [1, 0]]}, r"y must be 1d, but is one-hot"),
        ({"y": [0.5, 1.2, 3.0]}, "y: Unknown label type: continuous"),
        (
            {"classes": ["a"]},
            r"y holds the labels \['b'\], which classes=\['a'\] lacks",
        ),
        ({"sample_weight": [1.0]}, r"sample_weight must have shape \(3,\)"),
        ({"sample_weight": [1.0, -1.0, 1.0]}, "sample_weight must hold finite weights"),
        ({"sample_weight": [0.0, 0.0, 0.0]}, "not all 0"),
        ({"class_weight": "balance"}, "use 'balanced'"),
        (
            {"class_weight": {"a": 0, "b": 0, "c": 1}, "classes": ["a", "b", "c"]},
            r"is 0 for every class of y; give one of \['a', 'b'\]",
        ),
    ],
)
def test_explain_weights_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        explain_weights(**{"y": ["a", "a", "b"], **arguments})

"""Frames as they come: the estimator on categories, gaps and infinite values."""

from __future__ import annotations

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC, RandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import get_tags
from torch import nn

from imbalnet import BalancedNeuralClassifier

# What the frame below holds on purpose; test_notes.py tests the warnings.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:X has columns {fault}")
    for fault in ("of words in which most", "of no values", "of one value")
] + [pytest.mark.filterwarnings("ignore:X.* most of whose values fit did not see")]

N_ROWS = 300
CITIES = ["Bonn", "Ulm", "Kiel"]


@pytest.fixture(scope="module")
def raw():
    """A frame of all kinds of columns, in which the city decides most."""
    rng = np.random.default_rng(0)
    city = rng.choice(CITIES, N_ROWS)
    y = (rng.random(N_ROWS) < np.where(city == "Ulm", 0.7, 0.05)).astype(int)
    gaps = rng.random(N_ROWS) < 0.1
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=N_ROWS) + y,
            "city": np.where(gaps, None, city),
            "age": np.where(rng.random(N_ROWS) < 0.1, np.nan, rng.normal(size=N_ROWS)),
            "is_new": rng.random(N_ROWS) < 0.5,
            "kind": pd.Categorical(rng.choice(["p", "q"], N_ROWS)),
            "count": pd.array(np.where(gaps, None, 3), dtype="Int64"),
            "id": [f"row {i}" for i in range(N_ROWS)],
            "empty": np.nan,
        }
    )
    return frame, y


def small(**params):
    return BalancedNeuralClassifier(
        **{"module__hidden_sizes": (8,), "max_epochs": 2, "random_state": 0, **params}
    )


@pytest.fixture(scope="module", params=["auto", "mlp"])
def fitted(raw, request):
    return small(module=request.param, max_epochs=20).fit(*raw)


def test_categories_and_gaps_are_learned_from(fitted, raw):
    frame, y = raw
    assert roc_auc_score(y, fitted.predict_proba(frame)[:, 1]) > 0.85
    assert fitted.feature_names_in_.tolist() == frame.columns.tolist()


def test_rare_levels_share_a_column(raw):
    clf = small(module="mlp").fit(*raw)
    assert clf.module_.input.out_features < 8 + 5 + 4 + 41


@pytest.mark.parametrize("sizes", [(8,), ()])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_polars_and_arrow_give_the_bits_of_pandas(raw, sizes, dtype):
    frame, y = raw
    clf = small(module__hidden_sizes=sizes, dtype=dtype)
    expected = clf.fit(frame, y).predict_proba(frame)
    table = pl.from_pandas(frame)
    for X in (table, table.to_arrow()):
        np.testing.assert_array_equal(clf.predict_proba(X), expected)
        other = clone(clf).fit(X, y)
        assert other.feature_names_in_.tolist() == frame.columns.tolist()
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        np.testing.assert_array_equal(other.predict_proba(frame), expected)


def test_dtypes_of_words_do_not_matter(fitted, raw):
    frame, _ = raw
    expected = fitted.predict_proba(frame)
    other = frame.astype({"city": "category", "kind": object, "id": "string"})
    other["city"] = other["city"].cat.reorder_categories(["Ulm", "Kiel", "Bonn"])
    other["city"] = other["city"].cat.add_categories(["Aachen"])
    np.testing.assert_array_equal(fitted.predict_proba(other), expected)


def test_names_positions_and_mask_are_what_the_dtypes_say(raw):
    frame, y = raw
    expected = small().fit(frame, y).predict_proba(frame)
    mask = frame.columns.isin(["city", "kind", "id"])
    for features in (["kind", "city", "id"], [1, 4, 6], mask, mask.tolist()):
        clf = small(categorical_features=features).fit(frame, y)
        np.testing.assert_array_equal(clf.predict_proba(frame), expected)


@pytest.mark.parametrize("dtype", [np.float64, object])
def test_arrays_have_categories_by_position(raw, dtype, rng):
    """Whole numbers are categories as their words are."""
    frame, y = raw
    codes = frame["city"].map(dict(zip(CITIES, [10, 30, 20], strict=True)))
    X = np.column_stack([frame["size"], codes]).astype(dtype)
    words = pd.DataFrame({"size": frame["size"], "city": codes.astype("category")})
    expected = small().fit(words, y).predict_proba(words)
    clf = small(categorical_features=[1]).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    np.testing.assert_array_equal(clf.predict_proba(X.tolist()), expected)


def test_one_column_a_level_is_what_an_encoder_does(raw):
    """The linear model has one minimum, whoever encodes."""
    frame, y = raw
    frame = frame[["size", "city"]].fillna({"city": "none"})
    one_hot = OneHotEncoder(sparse_output=False).fit_transform(frame[["city"]])
    clf = BalancedNeuralClassifier("linear").fit(frame, y)
    X = np.column_stack(
        [(frame["size"] - frame["size"].mean()) / frame["size"].std(ddof=0), one_hot]
    )
    plain = BalancedNeuralClassifier("linear", module__standardize=False).fit(X, y)
    np.testing.assert_allclose(
        clf.predict_proba(frame), plain.predict_proba(X), atol=1e-5
    )


@pytest.mark.parametrize(
    ("params", "average"),
    [
        (
            {"module": "tabular", "module__gaps": False},
            lambda values: values.quantile(0.5, interpolation="lower"),
        ),
        ({"module": "mlp"}, pd.Series.mean),
    ],
    ids=["tabular-median", "mlp-mean"],
)
def test_gaps_in_numbers_are_the_average(raw, params, average):
    """Without an input for gaps, which "mlp" has from five rows on."""
    frame, y = raw
    is_gap = frame["age"].isna()
    frame = frame.assign(age=frame["age"].where(~is_gap | (is_gap.cumsum() < 5), 40.0))
    clf = small(**params).fit(frame, y)
    filled = frame.fillna({"age": float(average(frame["age"]))})
    np.testing.assert_allclose(
        clf.predict_proba(filled), clf.predict_proba(frame), atol=1e-6
    )


def test_default_network_tells_gaps_from_the_average(fitted, raw):
    frame, _ = raw
    median = frame["age"].quantile(0.5, interpolation="lower")
    filled = frame.fillna({"age": float(median)})
    differs = (fitted.predict_proba(filled) != fitted.predict_proba(frame)).any(axis=1)
    np.testing.assert_array_equal(differs, frame["age"].isna())


def test_a_column_without_values_is_without_effect(fitted, raw):
    frame, _ = raw
    expected = fitted.predict_proba(frame)
    for value in (7.0, -1e9):
        other = frame.assign(empty=value)
        np.testing.assert_array_equal(fitted.predict_proba(other), expected)


def test_a_constant_category_is_without_effect(raw):
    frame, y = raw
    clf = small().fit(frame.assign(kind="p"), y)
    expected = clf.predict_proba(frame.assign(kind="p"))
    for value in ("q", None, "unheard of"):
        other = frame.assign(kind=pd.Series([value] * N_ROWS, dtype=object))
        np.testing.assert_array_equal(clf.predict_proba(other), expected)


def test_levels_of_one_row_each_are_without_effect(fitted, raw):
    frame, _ = raw
    np.testing.assert_array_equal(
        fitted.predict_proba(frame.assign(id="new")), fitted.predict_proba(frame)
    )


def test_new_and_missing_categories_are_predicted(fitted, raw):
    frame, _ = raw
    for value in ("Rom", None, 3):
        other = frame.assign(city=pd.Series([value] * N_ROWS, dtype=object))
        probabilities = fitted.predict_proba(other)
        np.testing.assert_allclose(probabilities.sum(1), 1)
    alone = frame.iloc[[0]].assign(city="Rom")
    assert np.isfinite(fitted.predict_proba(alone)).all()


@pytest.mark.parametrize("build", [lambda X: X, pl.from_pandas, "arrow"])
def test_columns_are_compared_by_name(fitted, raw, build):
    frame, _ = raw
    build = (lambda X: pl.from_pandas(X).to_arrow()) if build == "arrow" else build
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.predict(build(frame[frame.columns[::-1]]))
    with pytest.raises(ValueError, match="seen at fit time, yet now missing:\n- city"):
        fitted.predict(build(frame.drop(columns="city")))
    with pytest.raises(ValueError, match="unseen at fit time:\n- more"):
        fitted.predict(build(frame.assign(more=1.0)))


@pytest.mark.parametrize("n_rows", [3, 11])
def test_names_are_compared_before_values_are_read(fitted, raw, n_rows, monkeypatch):
    monkeypatch.setattr("imbalnet._tables.features._BLOCK_ROWS", 4)
    frame = raw[0][:n_rows].assign(size="large")
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.predict(frame[frame.columns[::-1]])


@pytest.mark.parametrize("features", [None, [1], [2]])
def test_arrays_of_other_shapes_are_named(features, rng, monkeypatch):
    """By scikit-learn, also where the categories are told by position."""
    X, y = rng.integers(0, 3, size=(60, 3)).astype(float), np.arange(60) % 2
    clf = small(categorical_features=features).fit(X, y)
    monkeypatch.setattr("imbalnet._tables.features._BLOCK_ROWS", 4)
    for n_rows in (3, 11):
        for build in (np.asarray, np.ndarray.tolist, pd.DataFrame):
            for width in (2, 4):
                other = build(np.ones((n_rows, width)))
                message = f"X has {width} features, but Balanced.* is expecting 3"
                with pytest.raises(ValueError, match=message):
                    clf.predict(other)
        for build in (np.asarray, np.ndarray.tolist):
            with pytest.raises(ValueError, match="Reshape your data"):
                clf.predict(build(np.ones(n_rows)))
    for other in (np.ones((60, 2)), np.ones(60)):
        with pytest.raises(ValueError, match=r"is expecting 3|Reshape your data"):
            clf.fit(X, y, X_val=other, y_val=y)
    assert clf.n_features_in_ == 3


@pytest.mark.parametrize("names", [["a", "b", "a"], [0, 1, 0]])
def test_a_name_twice_counts_as_no_names(names, rng):
    values = rng.integers(0, 3, size=(60, 3))
    frame = pd.DataFrame(values).set_axis(names, axis=1)
    clf = small().fit(frame, np.arange(60) % 2)
    assert not hasattr(clf, "feature_names_in_")
    np.testing.assert_array_equal(clf.predict_proba(frame), clf.predict_proba(values))


def test_words_among_numbers_are_named_at_prediction(fitted, raw):
    frame, _ = raw
    with pytest.raises(ValueError, match=r"not numeric: \['size'\]"):
        fitted.predict(frame.assign(size="large"))


def test_dates_are_rejected(raw):
    frame, y = raw
    for when in (pd.Timestamp("2026-01-01"), datetime.date(2026, 1, 1)):
        other = frame.assign(when=when)
        with pytest.raises(ValueError, match=r"times: \['when'\].*such as days since"):
            small().fit(other, y)


def test_blocks_of_a_prediction_agree(fitted, raw, monkeypatch):
    frame, _ = raw
    expected = fitted.predict_proba(frame)
    monkeypatch.setattr("imbalnet._tables.features._BLOCK_ROWS", 64)
    table = pl.from_pandas(frame)
    for X in (frame, table, table.to_arrow()):
        np.testing.assert_array_equal(fitted.predict_proba(X), expected)


def test_a_failed_refit_leaves_the_estimator_as_it_was(raw):
    frame, y = raw
    clf = small().fit(frame, y)
    expected, before = clf.predict_proba(frame), dict(vars(clf))
    with pytest.raises(ValueError, match="dates or times"):
        clf.fit(frame.assign(when=pd.Timestamp("2026-01-01")), y)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        clf.fit(frame[["city"]], y[:-1])
    with pytest.raises(ValueError, match=r"SMOTE\(\) failed"):
        clf.set_params(sampler=SMOTE()).fit(frame[["city", "kind"]], y)
    clf.set_params(sampler=None)
    assert vars(clf).keys() == before.keys()
    np.testing.assert_array_equal(clf.predict_proba(frame), expected)


def test_pickle_and_clone(fitted, raw):
    frame, _ = raw
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(
        again.predict_proba(frame), fitted.predict_proba(frame)
    )
    fresh = clone(fitted.set_params(categorical_features="from_dtype"))
    assert set(vars(fresh)) == set(fresh.get_params(deep=False))


def is_unseen(clf, frame, city):
    """Whether a city counts as one that no training row has."""
    one, other = (
        clf.predict_proba(frame.assign(city=name)) for name in (city, "Atlantis")
    )
    return np.array_equal(one, other)


@pytest.fixture(scope="module")
def ranks():
    """A column of 150 ordered categories, and a target that rises with them."""
    rng = np.random.default_rng(0)
    rank = rng.integers(0, 150, 1200)
    y = (rng.random(1200) < rank**4 / 150**4).astype(int)
    names = [f"{word} {i}" for i, word in enumerate(rng.permutation(150))]
    dtype = pd.CategoricalDtype(names, ordered=True)
    return pd.Series(pd.Categorical.from_codes(rank, dtype=dtype)), rank, y


def test_ordered_categories_are_worth_what_their_ranks_are(ranks):
    words, rank, y = ranks
    X, numbers = pd.DataFrame({"w": words}), pd.DataFrame({"w": rank})
    clf, nominal = small(max_epochs=8), small(max_epochs=8, categorical_features=["w"])
    found = clf.fit(X[:800], y[:800]).predict_proba(X[800:])
    expected = clf.fit(numbers[:800], y[:800]).predict_proba(numbers[800:])
    np.testing.assert_array_equal(found, expected)
    lost = nominal.fit(X[:800], y[:800]).predict_proba(X[800:])
    ranked, unranked = (roc_auc_score(y[800:], p[:, 1]) for p in (found, lost))
    assert ranked > unranked + 0.1


@pytest.mark.parametrize("sampler", [RandomOverSampler(), SMOTENC("auto")])
def test_samplers_see_ordered_categories(sampler, ranks):
    words, rank, y = ranks
    seen = []

    class Spy(type(sampler)):
        def fit_resample(self, X, y):
            seen.append(X)
            return super().fit_resample(X, y)

    X = pd.DataFrame({"w": words, "n": rank / 2})
    small(module="mlp", sampler=Spy(**sampler.get_params())).fit(X, y)
    assert seen[0]["w"].dtype == words.dtype
    np.testing.assert_array_equal(seen[0]["w"], words)


def test_labels_without_order_are_warned_about_and_missing(ranks):
    words, _, y = ranks
    clf = small(module="mlp").fit(pd.DataFrame({"w": words}), y)
    as_words = pd.DataFrame({"w": words.astype(str)})
    expected = clf.predict_proba(pd.DataFrame({"w": words}))
    np.testing.assert_array_equal(clf.predict_proba(as_words), expected)
    gaps = clf.predict_proba(pd.DataFrame({"w": [None] * 30}, dtype=object))
    with pytest.warns(UserWarning, match="'w' .30 of 30 values, such as 'new'"):
        new = clf.predict_proba(pd.DataFrame({"w": ["new"] * 30}))
    np.testing.assert_array_equal(new, gaps)


def test_parts_keep_the_categories_of_the_first(raw):
    frame, y = raw
    """That is, of the first 4,096 rows at most."""
    first = pd.concat([frame[:150]] * 28, ignore_index=True)
    clf = small().partial_fit(first, np.tile(y[:150], 28), classes=[0, 1])
    clf.partial_fit(frame[150:].assign(city="Rom"), y[150:])
    assert is_unseen(clf, frame, "Rom")
    for city in frame["city"][:150].dropna().unique():
        assert not is_unseen(clf, frame, city)
    assert np.isfinite(clf.predict_proba(frame)).all()


def test_warm_start_keeps_the_categories(raw):
    frame, y = raw
    clf = small(warm_start=True).fit(frame, y)
    clf.fit(frame.assign(city="Rom"), y)
    assert is_unseen(clf, frame, "Rom")
    for city in frame["city"].dropna().unique():
        assert not is_unseen(clf, frame, city)
    assert clf.n_iter_ == 4


def test_validation_rows_may_have_new_categories(raw):
    frame, y = raw
    later = frame.assign(city="Rom")
    clf = small().fit(frame, y, X_val=later, y_val=y)
    assert len(clf.history_) <= 2


def test_rows_of_weight_zero_bring_no_category(raw):
    frame, y = raw
    weight = (frame["city"] != "Kiel").to_numpy(dtype=float)
    kept = weight > 0
    clf = small().fit(frame, y, sample_weight=weight)
    other = small().fit(frame[kept], y[kept])
    assert is_unseen(clf, frame, "Kiel")
    states = clf.module_.state_dict(), other.module_.state_dict()
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    np.testing.assert_array_equal(clf.predict_proba(frame), other.predict_proba(frame))


# -- what a network takes ------------------------------------------------------------


class Net(nn.Linear):
    """A network of one's own, of numbers without gaps."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)


class OpenNet(nn.Module):
    """A network of one's own that takes all."""

    accepts_missing = True

    def __init__(self, in_features, out_features, n_categories=None):
        super().__init__()
        self.n_categories = n_categories
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, x):
        return self.linear(x.nan_to_num(0.0))


def test_a_network_of_numbers_meets_an_error(raw):
    frame, y = raw
    numbers = frame[["size", "age", "is_new"]]
    with pytest.raises(ValueError, match=r"categories: \['city'\], but module=Net"):
        small(module=Net).fit(frame[["size", "city"]], y)
    for X, name in ((numbers, "'age'"), (numbers.to_numpy(dtype=float), "1")):
        message = rf"missing values: \[{name}\].*SimpleImputer.*accepts_missing"
        with pytest.raises(ValueError, match=message):
            BalancedNeuralClassifier(Net).fit(X, y)
    BalancedNeuralClassifier(Net, max_epochs=1).fit(numbers[["size", "is_new"]], y)


def test_an_open_network_is_told_of_categories(raw):
    frame, y = raw
    X = frame[["age", "city"]]
    clf = BalancedNeuralClassifier(OpenNet, max_epochs=1).fit(X, y)
    assert clf.module_.n_categories == (0, 5)
    clf = BalancedNeuralClassifier(OpenNet, max_epochs=1).fit(X[["age"]], y)
    assert clf.module_.n_categories is None


def test_number_of_categories_is_no_parameter(raw):
    frame, y = raw
    with pytest.raises(ValueError, match="module__n_categories is no parameter"):
        small(module__n_categories=(0, 3)).fit(frame[["age", "city"]], y)


@pytest.mark.parametrize(
    ("module", "allow_nan", "categorical"),
    [
        ("auto", True, True),
        ("mlp", True, True),
        ("linear", True, True),
        (Net, False, False),
    ],
)
def test_tags_say_what_the_network_takes(module, allow_nan, categorical):
    tags = get_tags(BalancedNeuralClassifier(module)).input_tags
    assert (tags.allow_nan, tags.categorical) == (allow_nan, categorical)


@pytest.mark.parametrize(
    "params", [{"module": "none"}, {"module": 3}, {"preset": ["quick"]}, {"preset": ""}]
)
def test_tags_leave_wrong_parameters_to_fit(params):
    assert get_tags(BalancedNeuralClassifier(**params)).input_tags.sparse


@pytest.mark.parametrize("kind", ["frame", "array", "polars"])
def test_infinite_values_are_an_error_unless_they_are_clipped(kind, rng):
    X = rng.normal(size=(100, 3))
    y = (X[:, 0] > 0.5).astype(int)
    X[3, 1], X[4, 2] = np.inf, -np.inf
    build = {"frame": pd.DataFrame, "polars": pl.DataFrame, "array": np.asarray}[kind]
    names = {"frame": r"\[1, 2\]", "array": r"\[1, 2\]", "polars": "'column_1'"}[kind]
    for clip in (3.0, 1.0, None):
        with pytest.raises(ValueError, match=f"infinite.*{names}.*module__clip=True"):
            small(module__clip=clip).fit(build(X), y)
    clf = small(module__clip=True).fit(build(X), y)
    far = np.where(np.isinf(X), np.sign(X) * 1e30, X)
    np.testing.assert_allclose(
        clf.predict_proba(build(far)), clf.predict_proba(build(X)), rtol=1e-5
    )
    usual = small().fit(build(np.where(np.isinf(X), np.nan, X)), y)
    with pytest.raises(ValueError, match="infinite"):
        usual.predict(build(X))


def test_infinite_values_need_what_bends(rng):
    X, y = rng.normal(size=(60, 2)), np.arange(60) % 2
    X[0, 0] = np.inf
    with pytest.raises(ValueError, match=r"module__clip=True .*standardize=False"):
        small(module="mlp", module__clip=True, module__standardize=False).fit(X, y)
    with pytest.raises(ValueError, match="module__clip is no parameter"):
        BalancedNeuralClassifier("linear", module__clip=True).fit(X, y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_sparse_matrices_have_no_gaps(value, rng):
    from scipy import sparse

    X, y = rng.normal(size=(60, 2)), np.arange(60) % 2
    X[0, 0] = value
    with pytest.raises(ValueError, match="Input X contains"):
        small(module__clip=True).fit(sparse.csr_array(X), y)
    with pytest.raises(ValueError, match="X is sparse"):
        small(categorical_features=[0]).fit(sparse.csr_array(X), y)


@pytest.mark.parametrize("features", ["city", ["nowhere"], [99], [True], 3])
def test_bad_categorical_features_change_nothing(features, raw):
    frame, y = raw
    clf = small(categorical_features=features)
    with pytest.raises(ValueError, match="categorical_features"):
        clf.fit(frame, y)
    assert set(vars(clf)) == set(clf.get_params(deep=False))


# -- resampling inside ---------------------------------------------------------------

COMPLETE = ["size", "city", "is_new", "kind"]


@pytest.mark.parametrize(
    "sampler",
    [
        SMOTENC("auto"),
        SMOTENC(["city", "kind"]),
        SMOTENC([1, 3]),
        SMOTENC([False, True, False, True]),
        RandomOverSampler(),
        RandomUnderSampler(),
        make_pipeline(SMOTENC("auto", sampling_strategy=0.8), RandomUnderSampler()),
    ],
    ids=str,
)
def test_resamplers_see_the_categories(sampler, raw):
    frame, y = raw
    frame = frame[COMPLETE]
    clf = small(sampler=sampler).fit(frame, y)
    assert clf.effective_prior_.tolist() == [0.5, 0.5]
    table = pl.from_pandas(frame)
    for X in (table, table.to_arrow()):
        other = small(sampler=sampler).fit(X, y)
        np.testing.assert_array_equal(other.predict_proba(X), clf.predict_proba(frame))


def test_resamplers_of_an_array_see_codes(raw):
    frame, y = raw
    X = np.column_stack([frame["size"], 10.0 * (np.arange(N_ROWS) % 7)])
    sampler = SMOTENC([1])
    clf = small(categorical_features=[1], sampler=sampler).fit(X, y)
    assert clf.effective_prior_.tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match=r"SMOTE\(\) made .* \[1\].*SMOTENC"):
        small(categorical_features=[1], sampler=SMOTE()).fit(X, y)


def test_samplers_that_cannot_name_the_cure(raw):
    frame, y = raw
    complete = frame[COMPLETE].dropna()
    rows = complete.index
    with pytest.raises(ValueError, match=r"\['city', 'kind'\] hold categories.*NC"):
        small(sampler=SMOTE()).fit(complete, y[rows])
    with pytest.raises(ValueError, match=r"\['age'\] have missing.*SimpleImputer"):
        small(sampler=SMOTE()).fit(frame[["size", "age"]], y)
    with pytest.raises(ValueError, match=r"\[1\] have missing.*SimpleImputer"):
        small(sampler=SMOTE()).fit(frame[["size", "age"]].to_numpy(), y)
    with pytest.raises(ValueError, match=r"\['city'\] have missing"):
        small(sampler=SMOTEN()).fit(frame[COMPLETE], y)


def test_weights_follow_resampled_words(raw):
    frame, y = raw
    weight = np.where(y == 1, 2.0, 1.0) * (1 + np.arange(N_ROWS) % 2)
    clf = small(sampler=SMOTENC("auto")).fit(frame[COMPLETE], y, sample_weight=weight)
    assert clf.effective_prior_[1] > 0.6

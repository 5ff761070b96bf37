"""Imbalanced-learn's samplers on the training rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from imblearn import FunctionSampler
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.over_sampling import (
    ADASYN,
    SMOTE,
    SMOTEN,
    SMOTENC,
    BorderlineSMOTE,
    KMeansSMOTE,
    RandomOverSampler,
)
from imblearn.pipeline import Pipeline, make_pipeline
from imblearn.under_sampling import RandomUnderSampler, TomekLinks
from imblearn.utils.testing import all_estimators
from scipy import sparse
from sklearn.base import clone

from imbalnet._tables import (
    ColumnRules,
    Reading,
    Rows,
    as_table,
    read_rows,
    resampled_matrix,
)
from imbalnet.samplers._build import build_sampler
from imbalnet.samplers.resamplers import resample

CODES = np.repeat([0, 1, 2], [300, 60, 20])
LABELS = np.array(["a", "b", "c"])

# Samplers of imbalanced-learn that do not run as they come on 380 continuous rows.
SPECIAL = {
    "KMeansSMOTE": KMeansSMOTE(cluster_balance_threshold=0.01),
    "SMOTENC": SMOTENC(categorical_features=[2]),
}
IMBLEARN = [
    pytest.param(SPECIAL[name] if name in SPECIAL else cls(), id=name)
    for name, cls in all_estimators(type_filter="sampler")
]


@pytest.fixture
def table(rng):
    """Overlapping classes; the third feature has three values."""
    X = rng.normal(size=(len(CODES), 3)) + 1.5 * CODES[:, None]
    X[:, 2] = rng.integers(0, 3, len(CODES))
    return X.astype(np.float32), rng.uniform(0.5, 2.0, size=len(CODES))


@pytest.fixture
def frame(table):
    X, _ = table
    place = pd.Series((X[:, 2] * 10).astype(int)).astype("category")
    return pd.DataFrame(
        {
            "size": X[:, 0].astype(float),
            "age": np.rint(20 * X[:, 1]).astype(int),
            "place": place,
            "is_new": X[:, 0] > X[:, 1],
        }
    )


def class_means(codes, weight):
    return np.bincount(codes, weight) / np.bincount(codes)


def expected_weights(X_new, codes_new, X, codes, weight):
    """A row that was there keeps its weight, another one has its class mean."""
    known = {
        (row.tobytes(), code): w for row, code, w in zip(X, codes, weight, strict=True)
    }
    means = class_means(codes, weight)
    return [
        known.get((row.tobytes(), code), means[code])
        for row, code in zip(X_new, codes_new, strict=True)
    ]


@pytest.mark.parametrize("sampler", IMBLEARN)
def test_resample_works_with_every_sampler_of_imblearn(sampler, table):
    X, weight = table
    built = build_sampler(sampler, {})
    X_new, codes, new_weight = resample(built, X, CODES, weight, LABELS, seed=0)
    assert X_new.dtype == np.float32
    assert len(X_new) == len(codes) == len(new_weight)
    assert set(codes) == {0, 1, 2}
    if not isinstance(sampler, SMOTEN):  # whose synthetic rows may equal others
        expected = expected_weights(X_new, codes, X, CODES, weight)
        np.testing.assert_allclose(new_weight, expected)


def test_resample_gives_synthetic_rows_their_class_mean(table):
    """Also where they equal a row that was there."""
    X, weight = table
    for sampler in (SMOTE(), SMOTEN()):
        _, codes, new_weight = resample(sampler, X, CODES, weight, LABELS, seed=0)
        np.testing.assert_array_equal(new_weight[: len(X)], weight)
        synthetic = codes[len(X) :]
        mean = class_means(CODES, weight)
        np.testing.assert_allclose(new_weight[len(X) :], mean[synthetic])


@pytest.mark.parametrize("sampler", [SMOTETomek(), SMOTEENN()])
def test_resample_follows_rows_through_combined_samplers(sampler, table):
    """On sparse features too, whose rows have no bytes of their own."""
    X, weight = table
    table = sparse.csr_array(X)
    X_new, codes, new_weight = resample(sampler, table, CODES, weight, LABELS, seed=0)
    assert sparse.issparse(X_new)
    expected = expected_weights(X_new.toarray(), codes, X, CODES, weight)
    np.testing.assert_allclose(new_weight, expected)
    assert len(np.intersect1d(new_weight, weight)) > 100


def test_resample_is_seeded(table):
    X, weight = table
    one, two, other = (
        resample(SMOTE(), X, CODES, weight, LABELS, seed=seed)[0] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    "sampler",
    [
        SMOTETomek(smote=SMOTE()),
        SMOTETomek(smote=SMOTE(k_neighbors=3)),
        make_pipeline(SMOTE(), make_pipeline(RandomUnderSampler())),
    ],
    ids=["inside", "with parameters", "pipeline"],
)
def test_resample_seeds_samplers_inside_samplers(sampler, table):
    X, weight = table
    before = np.random.get_state()[1].copy()
    one, two = (
        resample(clone(sampler), X, CODES, weight, LABELS, seed=0)[0] for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    "sampler",
    [
        RandomOverSampler(sampling_strategy={"c": 40}),
        RandomOverSampler(sampling_strategy=lambda y: {"c": 40}),
        SMOTETomek(
            smote=SMOTE(sampling_strategy={"c": 40}),
            tomek=TomekLinks(sampling_strategy=["a"]),
        ),
        FunctionSampler(
            func=lambda X, y: (np.vstack([X, X[y == "c"]]), [*y, *y[y == "c"]]),
            validate=False,
        ),
    ],
    ids=["dict", "callable", "inside", "function"],
)
def test_resample_knows_the_labels(sampler, table):
    X, weight = table
    _, codes, _ = resample(sampler, X, CODES, weight, LABELS, seed=0)
    assert np.bincount(codes)[1:].tolist() == [60, 40]


class Undersample:
    """A sampler that is not imblearn's, with its own idea of labels."""

    def get_params(self, deep=True):
        return {}

    def set_params(self):
        return self

    def fit_resample(self, X, y):
        rows = np.sort(np.r_[np.flatnonzero(y == "a")[:5], np.flatnonzero(y != "a")])
        return X[rows], y[rows]


def test_resample_takes_any_object_with_its_methods(table):
    X, weight = table
    X_new, codes, new_weight = resample(Undersample(), X, CODES, weight, LABELS, seed=0)
    rows = np.sort(np.r_[np.flatnonzero(CODES == 0)[:5], np.flatnonzero(CODES > 0)])
    np.testing.assert_array_equal(X_new, X[rows])
    np.testing.assert_array_equal(codes, CODES[rows])
    np.testing.assert_array_equal(new_weight, weight[rows])


def test_columns_that_come_back_in_another_order_are_put_back(frame):
    turned = FunctionSampler(func=lambda X, y: (X.iloc[:, ::-1], y), validate=False)
    ones = np.ones(len(CODES))
    X_new, codes, _ = resample(turned, frame, CODES, ones, LABELS, seed=0)
    pd.testing.assert_frame_equal(X_new, frame)
    np.testing.assert_array_equal(codes, CODES)


def test_other_columns_are_an_error(frame):
    name = frame.columns[0]
    other = FunctionSampler(
        func=lambda X, y: (X.rename(columns={name: "odd"}), y), validate=False
    )
    ones = np.ones(len(CODES))
    message = r"^sampler=FunctionSampler\(\) must return the columns that it was given"
    with pytest.raises(ValueError, match=message):
        resample(other, frame, CODES, ones, LABELS, seed=0)


def test_values_beyond_the_precision_of_the_features_are_an_error(table):
    """Which are finite in float64, but not in float32."""
    large = FunctionSampler(
        func=lambda X, y: (X.astype(np.float64) * [1, 1e300, 1], y), validate=False
    )
    X, weight = table
    with pytest.raises(ValueError, match=r"made infinite values in .*: \[1\]\."):
        resample(large, X, CODES, weight, LABELS, seed=0)


@pytest.mark.parametrize("indices", [[0, 1], np.arange(380.0), np.arange(380) - 1])
def test_wrong_sample_indices_are_an_error(table, indices):
    X, weight = table
    sampler = FunctionSampler()
    sampler.sample_indices_ = indices
    with pytest.raises(ValueError, match="sample_indices_ must hold"):
        resample(sampler, X, CODES, weight, LABELS, seed=0)


@pytest.mark.parametrize(
    "sampler",
    [
        SMOTE(k_neighbors=50),
        make_pipeline(
            RandomUnderSampler(sampling_strategy={"a": 90}), SMOTE(k_neighbors=50)
        ),
    ],
)
def test_resample_names_the_step_that_fails(sampler, table):
    X, weight = table
    with pytest.raises(ValueError, match=r"SMOTE\(\) failed .* \{'a': \d+, 'b': \d+, "):
        resample(sampler, X, CODES, weight, LABELS, seed=0)


# -- what failed, and the cure -------------------------------------------------------


def failure(sampler, X, codes=CODES, note=""):
    """Return what the message says behind the class counts."""
    weight = np.ones(len(codes))
    with pytest.raises(ValueError, match="failed on the training rows") as raised:
        resample(sampler, X, codes, weight, LABELS, seed=0, note=note)
    return str(raised.value).split("}: ")[-1]


def failing(error):
    def fail(X, y):
        raise error

    return FunctionSampler(func=fail, validate=False)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError(".odd rows. ."), ".odd rows."),
        (RuntimeError("no memory."), "RuntimeError: no memory."),
        (KeyError("size"), "KeyError: 'size'."),
    ],
)
def test_errors_of_samplers_are_passed_on(error, text, table):
    assert failure(failing(error), table[0]) == text
    assert failure(failing(error), table[0], note=" Rare.") == f"{text} Rare."


@pytest.mark.parametrize(
    ("sampler", "given"),
    [
        (SMOTE(k_neighbors=20), "k_neighbors=20"),
        (ADASYN(n_neighbors=400), "n_neighbors=400"),
        (BorderlineSMOTE(k_neighbors=3, m_neighbors=400), "m_neighbors=400"),
        (
            BorderlineSMOTE(k_neighbors=20, m_neighbors=400),
            "k_neighbors=20, m_neighbors=400",
        ),
        (SMOTEENN(smote=SMOTE(k_neighbors=50)), "smote__k_neighbors=50"),
    ],
)
def test_too_many_neighbours_are_named_with_their_limit(sampler, given, table):
    """The smallest class has 20 rows, so that each row has 19 others."""
    cure = f" {given} exceeds the neighbours that a row has in its class: lower it to"
    assert failure(sampler, table[0]).endswith(f"{cure} 19.")


@pytest.mark.parametrize(("n_rows", "cure"), [(1, "it has none"), (2, "lower it to 1")])
def test_neighbours_in_a_tiny_class(n_rows, cure, table):
    codes = np.repeat([0, 1, 2], [300, 80 - n_rows, n_rows])
    message = failure(SMOTE(k_neighbors=2), table[0], codes)
    assert " k_neighbors=2 exceeds" in message
    assert message.endswith(f"in its class: {cure}.")


def spoilt(frame, *, words=False, gaps=False):
    """Return the frame with categories that are words, or with missing values."""
    frame = frame.assign(place=frame["place"].astype(int).astype("category"))
    if words:
        names = {0: "a", 10: "b", 20: "c"}
        frame["place"] = frame["place"].astype(object).map(names).astype("category")
    if gaps:
        frame.loc[[3, 5], "size"] = np.nan
    return frame


CATEGORIES = " The columns ['place'] hold categories: use SMOTENC("
GAPS = " The columns ['size'] have missing values, which few samplers take"


@pytest.mark.parametrize(
    ("sampler", "spoil", "cures"),
    [
        (SMOTE(), {"words": True}, [CATEGORIES]),
        (SMOTE(), {"words": True, "gaps": True}, [CATEGORIES, GAPS]),
        (SMOTENC("auto"), {"words": True, "gaps": True}, [GAPS]),
        (SMOTENC("auto", k_neighbors=50), {"words": True}, []),
        (SMOTEN(k_neighbors=50), {"words": True}, []),
        (SMOTE(), {"gaps": True}, [CATEGORIES, GAPS]),
        (failing(ValueError("odd")), {}, [CATEGORIES]),
    ],
)
def test_columns_that_a_sampler_does_not_take_are_named(sampler, spoil, cures, frame):
    message = failure(sampler, spoilt(frame, **spoil))
    for cure in (CATEGORIES, GAPS):
        assert (cure in message) == (cure in cures)


def test_columns_of_a_matrix_with_gaps_are_named(table):
    X = table[0].copy()
    X[7, 1] = np.nan
    assert " The columns [1] have missing values" in failure(SMOTE(), X)
    for whole in (table[0], sparse.csr_array(table[0])):
        assert "missing values" not in failure(SMOTE(k_neighbors=50), whole)


# -- pipelines ---------------------------------------------------------------------


def test_pipeline_carries_weights_through_every_step(table):
    """Synthetic rows get their class mean in step one and keep it in step two."""
    X, weight = table
    sampler = Pipeline(
        [
            ("over", SMOTE(sampling_strategy={"c": 50})),
            ("nothing", "passthrough"),
            ("under", RandomUnderSampler(sampling_strategy={"a": 70})),
        ]
    )
    X_new, codes, new_weight = resample(
        build_sampler(sampler, {}), X, CODES, weight, LABELS, seed=0
    )
    assert np.bincount(codes).tolist() == [70, 60, 50]
    expected = expected_weights(X_new, codes, X, CODES, weight)
    np.testing.assert_array_equal(new_weight, expected)
    assert np.isclose(new_weight, class_means(CODES, weight)[2]).sum() == 30


def test_pipeline_is_what_its_steps_are_one_by_one(table):
    X, weight = table
    over, under = SMOTE(random_state=1), RandomUnderSampler(random_state=2)
    pipeline = make_pipeline(over, make_pipeline(under))
    one = resample(pipeline, X, CODES, weight, LABELS, seed=0)
    between = resample(over, X, CODES, weight, LABELS, seed=0)
    two = resample(under, *between, LABELS, seed=0)
    for got, expected in zip(one, two, strict=True):
        np.testing.assert_array_equal(got, expected)


# -- frames ------------------------------------------------------------------------


def rows_of(frame, dtype=np.float32):
    reading = Reading(ColumnRules(), dtype, "Net")
    return read_rows(as_table(frame, reading), LABELS[CODES], None, reading, LABELS)[0]


def resampled_frame(sampler, frame, dtype=np.float32):
    """Columns of the matrix that training would get."""
    rows = rows_of(frame, dtype)
    X, codes, _ = resample(
        sampler, rows.features(), CODES, rows.weights, LABELS, seed=0
    )
    return X.astype(dtype), codes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "sampler",
    [
        SMOTENC(categorical_features="auto"),
        SMOTENC(categorical_features=["place", "is_new"]),
        SMOTEN(),
        make_pipeline(SMOTENC(categorical_features="auto"), RandomUnderSampler()),
    ],
    ids=["auto", "names", "SMOTEN", "pipeline"],
)
def test_categories_of_a_frame_stay_categories(sampler, frame, dtype):
    X, codes = resampled_frame(clone(sampler), frame, dtype)
    assert np.bincount(codes).tolist() == [300, 300, 300]
    assert set(X["place"]) == {0, 10, 20}
    assert X["size"].nunique() > frame["size"].nunique() or isinstance(sampler, SMOTEN)


def test_bool_columns_by_name_stay_bool(frame):
    sampler = SMOTENC(categorical_features=["is_new", "place"])
    X, _ = resampled_frame(sampler, frame)
    assert set(X["is_new"]) == {0, 1}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_were_there_agree_with_the_matrix(frame, dtype):
    sampler = SMOTENC(categorical_features="auto")
    rows = rows_of(frame, dtype)
    X, _, _ = resample(sampler, rows.features(), CODES, rows.weights, LABELS, seed=0)
    matrix = resampled_matrix(X, rows, "sampler")
    np.testing.assert_array_equal(matrix[: len(frame)], rows.X)


def test_frame_without_categories_is_resampled_as_its_matrix_is(frame):
    """Integers and truth values are interpolated, not rounded back."""
    frame = frame.drop(columns="place")
    X, _ = resampled_frame(SMOTE(), frame)
    rows = rows_of(frame)
    Z, *_ = resample(SMOTE(), rows.X, CODES, rows.weights, LABELS, seed=0)
    np.testing.assert_array_equal(X.to_numpy(), Z)
    assert (X["age"] % 1 != 0).any()


def test_weights_follow_the_rows_of_a_frame(frame, table):
    _, weight = table
    features = rows_of(frame).features()
    sampler = make_pipeline(SMOTENC(categorical_features="auto"), TomekLinks())
    X, codes, new_weight = resample(sampler, features, CODES, weight, LABELS, seed=0)
    expected = expected_weights(
        resampled_matrix(X, rows_of(frame), "sampler"),
        codes,
        rows_of(frame).X,
        CODES,
        weight,
    )
    np.testing.assert_allclose(new_weight, expected)


def test_weights_tell_rows_apart_by_their_category():
    place = pd.Series(list("abcabc"), dtype="category")
    frame = pd.DataFrame({"size": np.zeros(6), "place": place})
    codes, kept = np.repeat([0, 1], 3), [4, 2, 0, 5]
    sampler = FunctionSampler(func=lambda X, y: (X.iloc[kept], y[kept]), validate=False)
    weight = np.arange(1.0, 7.0)
    _, _, new_weight = resample(sampler, frame, codes, weight, LABELS[:2], seed=0)
    assert new_weight.tolist() == [5.0, 3.0, 1.0, 6.0]


def test_functions_see_the_columns_of_a_frame(frame):
    def grown_ups(X, y):
        kept = (X["age"] > 0).to_numpy()
        return X[kept], y[kept]

    X, _ = resampled_frame(FunctionSampler(func=grown_ups, validate=False), frame)
    assert 0 < len(X) < len(frame)
    assert X["age"].min() > 0


def test_interpolated_categories_are_named(frame):
    with pytest.raises(ValueError, match=r"SMOTE\(\) made .*\['place'\].*SMOTENC"):
        resampled_frame(SMOTE(), frame)


@pytest.mark.parametrize("features", [[2, 3], [False, False, True, True]])
@pytest.mark.parametrize("kind", ["ndarray", "CSR"])
def test_categories_of_a_matrix_are_given_by_position(features, kind, frame):
    X = frame.to_numpy(dtype=np.float32)
    table = sparse.csr_array(X) if kind == "CSR" else X
    sampler = SMOTENC(categorical_features=features)
    weight = np.ones(len(X))
    X_new, codes, _ = resample(sampler, table, CODES, weight, LABELS, seed=0)
    X_new = X_new.toarray() if kind == "CSR" else X_new
    assert np.bincount(codes).tolist() == [300, 300, 300]
    assert set(X_new[:, 2]) == {0, 10, 20}
    assert set(X_new[:, 3]) == {0, 1}
    np.testing.assert_array_equal(X_new[: len(X)], X)


def test_rows_are_those_of_the_index(frame):
    rows = rows_of(frame)
    some = Rows(rows.X, rows.codes, rows.weight, np.array([5, 350]), rows.frame)
    assert some.features().index.tolist() == [5, 350]


def test_categories_are_found_in_a_frame_with_a_name_twice(frame):
    twice = frame.set_axis(["size", "size", "place", "is_new"], axis=1)
    rows = rows_of(twice, np.float64)
    sampler = SMOTENC(categorical_features="auto", random_state=0)
    X, codes, _ = resample(
        sampler, rows.features(), rows.codes, rows.weights, np.arange(3), 0
    )
    assert np.bincount(codes).tolist() == [300] * 3
    assert set(X[2]) == set(frame["place"])

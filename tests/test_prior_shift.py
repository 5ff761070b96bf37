"""Probabilities of other classifiers, moved from what they learned to a target."""

from __future__ import annotations

import numpy as np
import pytest
from imblearn.ensemble import BalancedBaggingClassifier
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from scipy.special import expit
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import ComplementNB, GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import parametrize_with_checks

from imbalnet import BalancedNeuralClassifier
from imbalnet.posterior import shift_probabilities
from imbalnet.prior_shift import PriorShiftClassifier

SHARE = 0.05


def gaussians(n_rows, share, seed):
    """Two classes in a plane, N(0, 1) and N((1.5, 0), 1), and the true posterior."""
    random = np.random.default_rng(seed)
    y = (random.random(n_rows) < share).astype(int)
    X = random.normal(size=(n_rows, 2)) + 1.5 * y[:, None] * [1.0, 0.0]
    log_odds = 1.5 * X[:, 0] - 1.5**2 / 2 + np.log(share / (1 - share))
    return X, y, expit(log_odds)


@pytest.fixture(scope="module")
def data():
    return gaussians(40_000, SHARE, 0)


LEARNED_BALANCED = {
    "class weights": LogisticRegression(class_weight="balanced"),
    "class weights, dict": LogisticRegression(class_weight={0: 1.0, 1: 19.0}),
    "oversampling": make_pipeline(RandomOverSampler(random_state=0), GaussianNB()),
    "undersampling": make_pipeline(
        StandardScaler(), RandomUnderSampler(random_state=0), LogisticRegression()
    ),
    "pipeline in a pipeline": make_pipeline(
        StandardScaler(),
        make_pipeline(RandomOverSampler(random_state=0), LogisticRegression()),
    ),
    "boosting": HistGradientBoostingClassifier(
        class_weight="balanced", max_leaf_nodes=4, max_iter=60
    ),
}


CHECKED = [
    PriorShiftClassifier(LogisticRegression()),
    PriorShiftClassifier(LogisticRegression(), effective_prior="uniform"),
    PriorShiftClassifier(
        make_pipeline(RandomOverSampler(random_state=0), LogisticRegression())
    ),
]
WEIGHTS = ["not_an_array", "not_overwritten", "list", "pandas_series", "shape"]
OF_WEIGHTS = [f"check_sample_weights_{kind}" for kind in WEIGHTS]
OF_WEIGHTS += ["check_classifiers_one_label_sample_weights"]
OF_WEIGHTS += [
    f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")
]


def expected_failures(model):
    takes_weights = not isinstance(model.estimator, Pipeline)
    reason = "a pipeline takes weights of a step only, and a sampler changes the rows"
    return {} if takes_weights else dict.fromkeys(OF_WEIGHTS, reason)


@parametrize_with_checks(CHECKED, expected_failed_checks=expected_failures)
def test_estimator_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", LEARNED_BALANCED)
def test_shifted_probabilities_are_near_the_true_posterior(name, data):
    X, y, _ = data
    model = PriorShiftClassifier(LEARNED_BALANCED[name]).fit(X, y)
    assert model.class_prior_ == pytest.approx([1 - y.mean(), y.mean()])
    assert model.effective_prior_ == pytest.approx([0.5, 0.5], abs=0.01)
    X_new, _, posterior = gaussians(5_000, SHARE, 1)
    unshifted = model.estimator_.predict_proba(X_new)[:, 1]
    shifted = model.predict_proba(X_new)[:, 1]
    assert np.abs(shifted - posterior).mean() < 0.012
    assert np.abs(unshifted - posterior).mean() > 0.2


@pytest.mark.parametrize("share", [0.01, 0.3])
def test_target_prior_is_read_without_a_refit(share, data):
    X, y, _ = data
    model = PriorShiftClassifier(LogisticRegression(class_weight="balanced")).fit(X, y)
    X_new, _, posterior = gaussians(5_000, share, 2)
    for target in ({0: 1 - share, 1: share}, [1 - share, share]):
        model.target_prior = target
        assert np.abs(model.predict_proba(X_new)[:, 1] - posterior).mean() < 0.02


def test_probabilities_are_those_of_shift_probabilities_to_the_bit(data):
    X, y, _ = data
    model = PriorShiftClassifier(LogisticRegression(class_weight="balanced")).fit(X, y)
    inner = LogisticRegression(class_weight="balanced").fit(X, y)
    prior = np.bincount(y) / len(y)
    expected = shift_probabilities(inner.predict_proba(X), [0.5, 0.5], prior)
    assert np.array_equal(model.predict_proba(X), expected)
    assert np.array_equal(model.predict_log_proba(X), np.log(expected))
    assert np.array_equal(model.predict(X), expected.argmax(axis=1))
    model.target_prior = None
    assert np.array_equal(model.predict_proba(X), inner.predict_proba(X))


def test_several_classes_and_labels_that_are_words():
    random = np.random.default_rng(0)
    y = random.choice(["a", "b", "c"], size=3_000, p=[0.7, 0.25, 0.05])
    X = (
        random.normal(size=(3_000, 2))
        + np.eye(3)[np.searchsorted(["a", "b", "c"], y)][:, :2]
    )
    balanced = LogisticRegression(class_weight={"b": 3.0, "c": 10.0})
    model = PriorShiftClassifier(balanced, target_prior={"a": 0.2, "b": 0.3, "c": 0.5})
    model.fit(X, y)
    mass = np.unique(y, return_counts=True)[1] * [1.0, 3.0, 10.0]
    assert model.effective_prior_ == pytest.approx(mass / mass.sum())
    expected = shift_probabilities(
        model.estimator_.predict_proba(X), mass / mass.sum(), [0.2, 0.3, 0.5]
    )
    assert np.allclose(model.predict_proba(X), expected, atol=1e-12)
    assert set(model.predict(X)) <= {"a", "b", "c"}


def test_sample_weight_counts_as_rows_of_the_data(data):
    X, y, _ = (part[:4_000] for part in data)
    weight = np.where(y == 1, 3.0, 1.0)
    model = PriorShiftClassifier(LogisticRegression()).fit(X, y, sample_weight=weight)
    share = weight @ y / weight.sum()
    assert model.class_prior_[1] == pytest.approx(share)
    assert model.effective_prior_[1] == pytest.approx(share)


@pytest.mark.parametrize("is_routed", [False, True])
def test_weights_of_a_step_are_a_lever(is_routed, data):
    """They reach the classifier by another name than `sample_weight`."""
    X, y, posterior = data
    balancing = compute_sample_weight("balanced", y)
    linear, name = LogisticRegression(), "clf__sample_weight"
    with config_context(enable_metadata_routing=is_routed):
        if is_routed:
            linear, name = (
                linear.set_fit_request(sample_weight="balancing"),
                "balancing",
            )
        pipeline = Pipeline([("scale", StandardScaler()), ("clf", linear)])
        if is_routed:
            pipeline.set_params(
                scale=StandardScaler().set_fit_request(sample_weight=False)
            )
        model = PriorShiftClassifier(pipeline).fit(X, y, **{name: balancing})
    assert model.class_prior_[1] == pytest.approx(y.mean())
    assert model.effective_prior_ == pytest.approx([0.5, 0.5])
    assert np.abs(model.predict_proba(X)[:, 1] - posterior).mean() < 0.01


def test_sample_weight_is_routed(data):
    X, y, _ = (part[:2_000] for part in data)
    weight = np.where(y == 1, 3.0, 1.0)
    plain = PriorShiftClassifier(LogisticRegression()).fit(X, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=True)
        routed = PriorShiftClassifier(inner).fit(X, y, sample_weight=weight)
        search = GridSearchCV(
            PriorShiftClassifier(inner)
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=True),
            {"estimator__C": [0.1, 1.0]},
        )
        search.fit(X, y, sample_weight=weight)
    assert np.array_equal(plain.predict_proba(X), routed.predict_proba(X))
    found = search.best_estimator_.class_prior_
    assert found == pytest.approx(plain.class_prior_)


def test_estimator_and_its_clone_are_as_they_were(data):
    X, y, _ = (part[:2_000] for part in data)
    pipeline = make_pipeline(RandomOverSampler(random_state=0), LogisticRegression())
    model = PriorShiftClassifier(pipeline)
    before = repr(model)
    model.fit(X, y)
    assert repr(model) == before == repr(clone(model))
    assert isinstance(model.estimator_.steps[-1][1], LogisticRegression)
    alone = clone(pipeline).fit(X, y)
    assert np.array_equal(alone.predict_proba(X), model.estimator_.predict_proba(X))


def test_scale_pos_weight_is_a_class_weight(data):
    class Weighted(LogisticRegression):
        def __init__(self, scale_pos_weight=None):
            super().__init__()
            self.scale_pos_weight = scale_pos_weight

        def fit(self, X, y, sample_weight=None):
            factor = self.scale_pos_weight or 1.0
            weight = 1.0 if sample_weight is None else sample_weight
            return super().fit(X, y, weight * np.where(y == 1, factor, 1.0))

    X, y, posterior = data
    model = PriorShiftClassifier(Weighted(19.0)).fit(X, y)
    mass = np.bincount(y) * [1.0, 19.0]
    assert model.effective_prior_ == pytest.approx(mass / mass.sum())
    assert np.abs(model.predict_proba(X)[:, 1] - posterior).mean() < 0.01
    model.fit(X, y, sample_weight=1.0 + y)
    mass *= [1, 2]
    assert model.effective_prior_ == pytest.approx(mass / mass.sum())


def test_calibrated_classifier_holds_for_the_training_prior(data):
    X, y, _ = (part[:10_000] for part in data)
    calibrated = CalibratedClassifierCV(LogisticRegression(class_weight="balanced"))
    model = PriorShiftClassifier(
        calibrated, target_prior=[0.7, 0.3], effective_prior="train"
    ).fit(X, y)
    X_new, _, posterior = gaussians(5_000, 0.3, 3)
    assert np.array_equal(model.effective_prior_, model.class_prior_)
    assert np.abs(model.predict_proba(X_new)[:, 1] - posterior).mean() < 0.03


UNKNOWN = {
    "frozen": (FrozenEstimator(GaussianNB().fit([[0], [1]], [0, 1])), "its estimator"),
    "search": (GridSearchCV(GaussianNB(), {}), "its estimator"),
    "calibrated": (CalibratedClassifierCV(GaussianNB()), "its estimator"),
    "vote": (VotingClassifier([("nb", GaussianNB())], voting="soft"), "its nb"),
    "bagging": (BalancedBaggingClassifier(), "sampling_strategy='auto'"),
    "array of weights": (
        HistGradientBoostingClassifier(class_weight=np.ones(2)),
        "class_weight=array",
    ),
    "priors": (GaussianNB(priors=[0.5, 0.5]), r"priors=\[0.5, 0.5\]"),
    "complement": (ComplementNB(), "do not follow the class distribution"),
    "network": (BalancedNeuralClassifier("linear"), "target_prior=None"),
    "forest": (RandomForestClassifier(class_weight="balanced"), "do not follow"),
    "subsample": (
        RandomForestClassifier(class_weight="balanced_subsample"),
        "class_weight='balanced_subsample'",
    ),
    "SVC": (SVC(probability=True, class_weight="balanced"), "do not follow"),
    "tree": (make_pipeline(DecisionTreeClassifier(class_weight={1: 9})), "do not"),
}


@pytest.mark.filterwarnings("ignore:.*probability:FutureWarning")
@pytest.mark.parametrize("name", UNKNOWN)
def test_auto_refuses_what_it_cannot_know(name, data):
    X, y, _ = (part[:300] for part in data)
    estimator, message = UNKNOWN[name]
    model = PriorShiftClassifier(estimator)
    with pytest.raises(ValueError, match=f"effective_prior='auto' .*{message}"):
        model.fit(X, y)
    assert not hasattr(model, "estimator_")


def test_auto_refuses_weighted_bags_of_trees(data):
    X, y, _ = (part[:300] for part in data)
    model = PriorShiftClassifier(BaggingClassifier(n_estimators=2))
    assert model.fit(X, y).effective_prior_ is not None
    with pytest.raises(ValueError, match="do not follow weights"):
        model.fit(X, y, sample_weight=1.0 + y)


def test_auto_refuses_balanced_weights_beside_sample_weight(data):
    X, y, _ = (part[:300] for part in data)
    model = PriorShiftClassifier(LogisticRegression(class_weight="balanced"))
    with pytest.raises(ValueError, match="classifiers differ in whether"):
        model.fit(X, y, sample_weight=np.linspace(1, 2, len(y)))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"target_prior": [0.5, 0.6]}, "target_prior=.*sum to 1.1"),
        ({"target_prior": {"yes": 1.0}}, "target_prior has the labels"),
        ({"effective_prior": [1.0]}, "effective_prior=.*must be 'train'"),
        ({"effective_prior": {0: 0.5, 2: 0.5}}, "effective_prior has the labels"),
        ({"effective_prior": None}, "'effective_prior' parameter"),
    ],
)
def test_bad_priors_are_named_before_fit(params, message, data):
    class Unfit(GaussianNB):
        def fit(self, X, y):
            pytest.fail("was fitted")

    X, y, _ = (part[:300] for part in data)
    with pytest.raises(ValueError, match=message):
        PriorShiftClassifier(Unfit(), **params).fit(X, y)


def test_sample_weight_that_the_classifier_does_not_take_is_named(data):
    X, y, _ = (part[:300] for part in data)
    model = PriorShiftClassifier(make_pipeline(StandardScaler(), GaussianNB()))
    with pytest.raises(ValueError, match="sample_weight: Pipeline"):
        model.fit(X, y, sample_weight=np.ones(len(y)))


def test_searches_take_sample_weight(data):
    X, y, _ = (part[:300] for part in data)
    weight, grid = np.arange(300) % 3 + 1.0, {"var_smoothing": [1e-9, 0.1]}
    model = PriorShiftClassifier(
        GridSearchCV(GaussianNB(), grid, cv=2), effective_prior="train"
    ).fit(X, y, sample_weight=weight)
    search = GridSearchCV(GaussianNB(), grid, cv=2).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.predict_proba(X), search.predict_proba(X))


def test_frozen_classifier_needs_rows_of_its_classes(data):
    X, y, _ = (part[:300] for part in data)
    frozen = FrozenEstimator(GaussianNB().fit(X, np.where(y == 1, "yes", "no")))
    model = PriorShiftClassifier(frozen, effective_prior="uniform")
    with pytest.raises(ValueError, match="knows the classes"):
        model.fit(X, y)
    assert model.fit(X, np.where(y == 1, "yes", "no")).classes_.tolist() == [
        "no",
        "yes",
    ]

"""Wherever scikit-learn takes a classifier, the network stands in for one.

Each test asks for a sensible result, mostly beside ``LogisticRegression``, not only
for the absence of errors. Margins are wide enough for other platforms' rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import joblib
import numpy as np
import pytest
from imblearn.ensemble import BalancedBaggingClassifier, EasyEnsembleClassifier
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline as ResamplingPipeline
from sklearn import __version__ as sklearn_version
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import (
    RFE,
    RFECV,
    SelectFromModel,
    SequentialFeatureSelector,
)
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import (
    DecisionBoundaryDisplay,
    partial_dependence,
    permutation_importance,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    PrecisionRecallDisplay,
    RocCurveDisplay,
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    get_scorer,
    log_loss,
    make_scorer,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
)
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils.fixes import parse_version

from imbalnet import BalancedNeuralClassifier

# -- data and helpers ----------------------------------------------------------------


class Table(NamedTuple):
    """A train/test split; two-class tables list the positive class second."""

    X: Any
    y: Any
    X_test: Any
    y_test: Any

    @property
    def labels(self) -> Any:
        return np.unique(self.y)

    @property
    def positive(self) -> Any:
        return self.labels[1]

    @property
    def prevalence(self) -> float:
        return float(np.mean(self.y_test == self.positive))


def split(X: Any, y: Any) -> Table:
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=0.5, stratify=y, random_state=0
    )
    return Table(X, y, X_test, y_test)


def rare_classes(names: list[Any]) -> Table:
    shape = {"n_samples": 1_200, "n_features": 10, "n_informative": 4}
    X, y = make_classification(**shape, weights=[0.92], flip_y=0.02, random_state=0)
    return split(X, np.array(names)[y])


@pytest.fixture(scope="module")
def coded() -> Table:
    """Return 600 + 600 rows, 9 % of them positive, with labels 0 and 1."""
    return rare_classes([0, 1])


@pytest.fixture(scope="module")
def rare() -> Table:
    """Return the same rows with labels that are strings."""
    return rare_classes(["common", "rare"])


@pytest.fixture(scope="module")
def digits() -> Table:
    """Return four digits by name, the last one thinned to a tenth of the others."""
    X, y = load_digits(return_X_y=True)
    kept = np.r_[np.flatnonzero(np.isin(y, [1, 3, 5])), np.flatnonzero(y == 8)[:30]]
    return split(X[kept], np.array([f"digit {code}" for code in y])[kept])


@pytest.fixture(scope="module")
def linear() -> Table:
    """Return rows whose log odds depend on the columns 0, 1 and 2 of 10 only."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_200, 10))
    log_odds = -4 + X[:, :3] @ [2.0, -1.5, 1.5]
    y = (rng.random(len(X)) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return split(X, y)


INFORMATIVE = [0, 1, 2]


def network(**params: Any) -> BalancedNeuralClassifier:
    return BalancedNeuralClassifier(**{"max_epochs": 20, "random_state": 0, **params})


def mlp(**params: Any) -> BalancedNeuralClassifier:
    """Give a single network, for what is fitted many times."""
    return network(module="mlp", **params)


def linear_network(**params: Any) -> BalancedNeuralClassifier:
    return network(module="linear", optimizer="lbfgs", weight_decay=1e-3, **params)


def positive_score(clf: Any, table: Table) -> Any:
    return clf.predict_proba(table.X_test)[:, 1]


def average_precision(clf: Any, table: Table) -> float:
    scores = positive_score(clf, table)
    return average_precision_score(table.y_test, scores, pos_label=table.positive)


def logistic(table: Table) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(table.X, table.y)


def recall(clf: Any, table: Table) -> float:
    return recall_score(
        table.y_test, clf.predict(table.X_test), pos_label=table.positive
    )


def balanced_accuracy(clf: Any, table: Table) -> float:
    return balanced_accuracy_score(table.y_test, clf.predict(table.X_test))


def loss_on_test_rows(clf: Any, table: Table) -> float:
    return log_loss(table.y_test, clf.predict_proba(table.X_test))


def assert_probabilities(clf: Any, table: Table) -> None:
    probabilities = clf.predict_proba(table.X_test)
    assert probabilities.shape == (len(table.X_test), len(table.labels))
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert clf.classes_.tolist() == table.labels.tolist()


def assert_as_good_as_logistic(clf: Any, table: Table, margin: float = 0.05) -> None:
    """A network ranks the rare class about as well as a linear model, or better."""
    found = average_precision(clf, table)
    assert found >= average_precision(logistic(table), table) - margin
    assert found >= 2 * table.prevalence


rare_precision = make_scorer(
    average_precision_score, response_method="predict_proba", pos_label="rare"
)


# -- pipelines -----------------------------------------------------------------------


@pytest.mark.parametrize("names", [[0, 1], ["common", "rare"], [False, True]])
@pytest.mark.parametrize(
    "clf", [network(), mlp(), linear_network()], ids=["default", "mlp", "linear"]
)
def test_pipeline_swaps_one_line(clf, names):
    table = rare_classes(names)
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", LogisticRegression())])
    pipeline.set_params(clf=clone(clf)).fit(table.X, table.y)
    assert_as_good_as_logistic(pipeline, table)
    assert_probabilities(pipeline, table)
    assert set(pipeline.predict(table.X_test)) <= set(names)


def test_pipeline_class_weight_acts_as_in_logistic_regression(rare):
    def pipeline(clf: Any, class_weight: Any) -> Any:
        clf = clf.set_params(class_weight=class_weight)
        return make_pipeline(StandardScaler(), clf).fit(rare.X, rare.y)

    for class_weight in (None, "balanced", {"common": 1.0, "rare": 5.0}):
        ours = pipeline(linear_network(), class_weight)
        theirs = pipeline(LogisticRegression(), class_weight)
        np.testing.assert_allclose(
            positive_score(ours, rare), positive_score(theirs, rare), atol=0.05
        )
    assert recall(pipeline(mlp(), "balanced"), rare) > recall(
        pipeline(mlp(), None), rare
    )


def test_pipeline_set_params_reaches_nested_parameters(coded):
    pipeline = make_pipeline(StandardScaler(), mlp(loss="focal"))
    name = "balancedneuralclassifier__loss__gamma"
    pipeline.set_params(**{name: 3.0}).fit(coded.X, coded.y)
    assert pipeline.get_params()[name] == 3.0
    assert pipeline[-1].net_.criterion_.gamma == 3.0


def test_pipeline_with_smote_raises_recall(rare):
    """Neighbours among synthetic rows are surer than these deserve: without them."""
    plain = network(n_neighbors=0).fit(rare.X, rare.y)
    resampled = ResamplingPipeline(
        [
            ("scale", StandardScaler()),
            ("smote", SMOTE(random_state=0)),
            ("clf", network(n_neighbors=0)),
        ]
    ).fit(rare.X, rare.y)
    assert_as_good_as_logistic(resampled, rare)
    assert_probabilities(resampled, rare)
    np.testing.assert_allclose(resampled[-1].effective_prior_, 0.5)
    assert recall(resampled, rare) > recall(plain, rare)
    with_neighbours = clone(resampled).set_params(clf__n_neighbors="auto")
    with_neighbours.fit(rare.X, rare.y)
    assert_as_good_as_logistic(with_neighbours, rare)
    assert recall(with_neighbours, rare) >= recall(plain, rare)


def test_pipeline_survives_clone_and_joblib(rare, tmp_path):
    pipeline = make_pipeline(
        StandardScaler(), network(loss="focal", loss__gamma=1.5, sampler="weighted")
    ).fit(rare.X, rare.y)
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    loaded = joblib.load(tmp_path / "pipeline.joblib")
    copied = clone(pipeline)
    assert not hasattr(copied[-1], "net_")
    assert copied[-1].get_params() == pipeline[-1].get_params()
    for twin in (loaded, copied.fit(rare.X, rare.y)):
        np.testing.assert_array_equal(
            twin.predict_proba(rare.X_test), pipeline.predict_proba(rare.X_test)
        )
        assert twin.predict(rare.X_test).dtype == rare.y.dtype


# -- tables --------------------------------------------------------------------------


def raw_frame(library: str, gaps: float = 0.0) -> tuple[Any, Any]:
    """Build a table with two numeric and one categorical column that decides most."""
    frames = pytest.importorskip(library)
    rng = np.random.default_rng(0)
    shop = rng.choice(["web", "phone", "desk"], p=[0.2, 0.3, 0.5], size=800)
    amount, age = rng.lognormal(size=800), rng.normal(40, 10, size=800)
    y = np.where((shop == "web") & (amount > 1), "fraud", "fair")
    y = np.where(rng.random(800) < 0.02, "fraud", y)
    columns = {"amount": amount, "age": age, "shop": shop}
    if gaps:
        columns = {
            name: [None if rng.random() < gaps else value for value in values.tolist()]
            for name, values in columns.items()
        }
    return frames.DataFrame(columns), y


def table_pipeline(library: str, clf: Any) -> Any:
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["amount", "age"]),
            ("words", OneHotEncoder(sparse_output=False), ["shop"]),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform=library)
    return make_pipeline(columns, clf)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_column_transformer_hands_frames_on(library):
    X, y = raw_frame(library)
    pipeline = table_pipeline(library, network()).fit(X[:400], y[:400])
    names = ["amount", "age", "shop_desk", "shop_phone", "shop_web"]
    assert pipeline[-1].feature_names_in_.tolist() == names
    other = table_pipeline(library, LogisticRegression()).fit(X[:400], y[:400])
    found, expected = (
        average_precision_score(y[400:] == "fair", clf.predict_proba(X[400:])[:, 0])
        for clf in (pipeline, other)
    )
    assert found >= expected - 0.02


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frame_needs_no_column_transformer(library):
    """As it comes, with gaps; later rows may come from a shop that is new."""
    X, y = raw_frame(library, gaps=0.05)
    clf = network().fit(X[:400], y[:400])
    assert clf.feature_names_in_.tolist() == ["amount", "age", "shop"]
    later, labels = X[400:], y[400:]
    assert clf.score(later, labels) > np.mean(labels == "fair")
    scores = clf.predict_proba(later)[:, 1]
    assert average_precision_score(labels == "fraud", scores) > 0.7
    new = type(X)({"amount": [1.0, None], "age": [None, 30.0], "shop": ["van", None]})
    np.testing.assert_allclose(clf.predict_proba(new).sum(axis=1), 1, rtol=1e-5)


def test_column_transformer_frame_with_other_columns_is_refused():
    X, y = raw_frame("pandas")
    pipeline = table_pipeline("pandas", network(max_epochs=2)).fit(X, y)
    encoded = pipeline[:-1].transform(X)
    with pytest.raises(ValueError, match="feature names should match"):
        pipeline[-1].predict(encoded[encoded.columns[::-1]])


@pytest.mark.parametrize("sparse", [False, True])
def test_column_transformer_output_may_be_sparse(sparse):
    X, y = raw_frame("pandas")
    encoder = OneHotEncoder(sparse_output=sparse)
    columns = ColumnTransformer([("words", encoder, ["shop"])], sparse_threshold=1.0)
    pipeline = make_pipeline(columns, mlp()).fit(X, y)
    by_shop = {
        shop: pipeline.predict_proba(X[X["shop"] == shop])[0, 1]
        for shop in ("web", "desk")
    }
    assert by_shop["web"] > by_shop["desk"] + 0.2


def test_breast_cancer_frame_is_learned_as_well_as_by_logistic_regression():
    pytest.importorskip("pandas")
    data = load_breast_cancer(as_frame=True)
    table = split(data.data, data.target.map({0: "malignant", 1: "benign"}))
    clf = network().fit(table.X, table.y)
    assert clf.feature_names_in_.tolist() == table.X.columns.tolist()
    assert (
        balanced_accuracy(clf, table)
        >= balanced_accuracy(logistic(table), table) - 0.03
    )


# -- searches and cross-validation ---------------------------------------------------

GRID = {"loss__gamma": [0.0, 2.0], "class_weight": [None, "balanced"]}


@pytest.mark.parametrize(
    ("search", "options"),
    [
        (GridSearchCV, {}),
        (RandomizedSearchCV, {"n_iter": 3, "random_state": 0}),
        (HalvingGridSearchCV, {"min_resources": 300, "random_state": 0}),
    ],
)
def test_search_chooses_from_the_grid(search, options, coded):
    found = search(
        mlp(loss="focal"),
        GRID,
        scoring="average_precision",
        cv=3,
        n_jobs=2,
        **options,
    ).fit(coded.X, coded.y)
    for name, value in found.best_params_.items():
        assert value in GRID[name]
        assert found.best_estimator_.get_params()[name] == value
    assert (
        found.best_estimator_.net_.criterion_.gamma == found.best_params_["loss__gamma"]
    )
    scores = found.cv_results_["mean_test_score"]
    assert found.best_score_ == scores[found.best_index_]
    assert scores.min() > coded.prevalence
    assert_as_good_as_logistic(found, coded)


def test_search_over_a_resampling_pipeline(rare):
    pipeline = ResamplingPipeline(
        [("smote", SMOTE(random_state=0)), ("clf", mlp(loss="focal"))]
    )
    grid = {
        "smote__k_neighbors": [2, 5],
        "clf__loss__gamma": [0.0, 2.0],
        "clf__class_weight": [None, {"common": 1.0, "rare": 2.0}],
    }
    search = GridSearchCV(pipeline, grid, scoring=rare_precision, cv=2)
    search.fit(rare.X, rare.y)
    assert len(search.cv_results_["params"]) == 8
    assert all(value in grid[name] for name, value in search.best_params_.items())
    assert_as_good_as_logistic(search, rare)


def test_search_swaps_the_classifier_itself(coded):
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", LogisticRegression())])
    grid = {"clf": [LogisticRegression(), mlp()]}
    search = GridSearchCV(pipeline, grid, scoring="average_precision", cv=3)
    search.fit(coded.X, coded.y)
    assert isinstance(search.best_params_["clf"], BalancedNeuralClassifier)


def test_search_prefers_the_setting_that_learns(coded):
    grid = {"learning_rate": [1e-7, 2e-3]}
    search = GridSearchCV(mlp(), grid, scoring="average_precision", cv=3)
    assert search.fit(coded.X, coded.y).best_params_ == {"learning_rate": 2e-3}


def test_cross_val_score_does_not_depend_on_n_jobs(coded):
    alone, together = (
        cross_val_score(
            mlp(sampler="weighted"),
            coded.X,
            coded.y,
            scoring="average_precision",
            cv=3,
            n_jobs=n_jobs,
        )
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(alone, together)
    assert alone.min() > coded.prevalence


def test_cross_val_predict_gives_out_of_fold_probabilities(rare):
    clf = network(class_weight="balanced", target_prior="train")
    probabilities = cross_val_predict(clf, rare.X, rare.y, cv=3, method="predict_proba")
    assert probabilities.shape == (len(rare.X), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    is_rare = rare.y == "rare"
    out_of_fold = average_precision_score(is_rare, probabilities[:, 1])
    in_sample = clf.fit(rare.X, rare.y).predict_proba(rare.X)[:, 1]
    linear = cross_val_predict(
        logistic(rare), rare.X, rare.y, cv=3, method="predict_proba"
    )
    assert out_of_fold < average_precision_score(is_rare, in_sample)
    assert out_of_fold >= average_precision_score(is_rare, linear[:, 1]) - 0.05
    assert abs(probabilities[:, 1].mean() - is_rare.mean()) < 0.04


def test_learning_curve_rises(coded):
    sizes, train, test = learning_curve(
        mlp(),
        coded.X,
        coded.y,
        train_sizes=[100, 400],
        cv=3,
        scoring="average_precision",
        shuffle=True,
        random_state=0,
    )
    assert sizes.tolist() == [100, 400]
    assert test.mean(axis=1)[1] > test.mean(axis=1)[0]
    assert np.all(train.mean(axis=1) >= test.mean(axis=1))


def test_validation_curve_shows_underfitting(coded):
    _, test = validation_curve(
        mlp(),
        coded.X,
        coded.y,
        param_name="max_epochs",
        param_range=[1, 20],
        cv=3,
        scoring="average_precision",
    )
    assert test.mean(axis=1)[1] > test.mean(axis=1)[0] + 0.05


# -- probabilities and thresholds ----------------------------------------------------


TEMPERATURE = pytest.param(
    "temperature",
    marks=pytest.mark.skipif(
        parse_version(sklearn_version) < parse_version("1.8"),
        reason="came with scikit-learn 1.8",
    ),
)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", TEMPERATURE])
@pytest.mark.parametrize("ensemble", [True, False])
def test_calibrated_classifier_undoes_the_weights(method, ensemble, rare):
    clf = mlp(class_weight="balanced")
    calibrated = CalibratedClassifierCV(clf, method=method, ensemble=ensemble, cv=3)
    calibrated.fit(rare.X, rare.y)
    assert_probabilities(calibrated, rare)
    raw = clf.fit(rare.X, rare.y)
    assert loss_on_test_rows(calibrated, rare) <= loss_on_test_rows(raw, rare)
    assert_as_good_as_logistic(calibrated, rare)


def test_calibrated_classifier_agrees_with_target_prior(rare):
    """Both give probabilities for the data's own base rate."""
    clf = mlp(class_weight="balanced", target_prior="train")
    calibrated = CalibratedClassifierCV(clf, cv=3).fit(rare.X, rare.y)
    mean = positive_score(calibrated, rare).mean()
    assert abs(mean - rare.prevalence) < 0.03
    assert abs(positive_score(clf.fit(rare.X, rare.y), rare).mean() - mean) < 0.05


def test_calibrated_classifier_takes_a_frozen_network(rare):
    clf = mlp(class_weight="balanced").fit(rare.X[:300], rare.y[:300])
    raw = loss_on_test_rows(clf, rare)
    calibrated = CalibratedClassifierCV(FrozenEstimator(clf))
    calibrated.fit(rare.X[300:], rare.y[300:])
    assert loss_on_test_rows(calibrated, rare) < raw
    assert loss_on_test_rows(clf, rare) == raw


def test_tuned_threshold_raises_balanced_accuracy(rare):
    plain = mlp().fit(rare.X, rare.y)
    tuned = TunedThresholdClassifierCV(mlp(), scoring="balanced_accuracy", cv=3).fit(
        rare.X, rare.y
    )
    assert 0 < tuned.best_threshold_ < 0.5
    assert balanced_accuracy(tuned, rare) > balanced_accuracy(plain, rare)
    predicted_rare = tuned.predict(rare.X_test) == "rare"
    scores = positive_score(tuned, rare)
    np.testing.assert_array_equal(predicted_rare, scores >= tuned.best_threshold_)


def negative_cost(y: Any, predicted: Any, miss: float) -> float:
    missed = np.sum((y == "rare") & (predicted == "common"))
    alarms = np.sum((y == "common") & (predicted == "rare"))
    return -(miss * missed + alarms)


def test_tuned_threshold_falls_with_the_cost_of_a_miss(rare):
    costs = {miss: make_scorer(negative_cost, miss=miss) for miss in (1, 20)}
    tuned = {
        miss: TunedThresholdClassifierCV(mlp(), scoring=scorer, cv=3).fit(
            rare.X, rare.y
        )
        for miss, scorer in costs.items()
    }
    assert tuned[20].best_threshold_ < tuned[1].best_threshold_
    assert recall(tuned[20], rare) > recall(tuned[1], rare)
    for miss, other in ((1, 20), (20, 1)):
        score = costs[miss]
        assert score(tuned[miss], rare.X_test, rare.y_test) >= score(
            tuned[other], rare.X_test, rare.y_test
        )


@pytest.mark.parametrize(
    ("method", "thresholds"),
    [("predict_proba", (0.05, 0.5)), ("decision_function", (-3.0, 0.0))],
)
def test_fixed_threshold_moves_recall(method, thresholds, rare):
    low, default = (
        FixedThresholdClassifier(
            mlp(), threshold=threshold, response_method=method, pos_label="rare"
        ).fit(rare.X, rare.y)
        for threshold in thresholds
    )
    assert recall(low, rare) > recall(default, rare) + 0.1
    expected = mlp().fit(rare.X, rare.y).predict(rare.X_test)
    np.testing.assert_array_equal(default.predict(rare.X_test), expected)


# -- ensembles -----------------------------------------------------------------------


def test_voting_classifier_averages_probabilities(rare):
    voting = VotingClassifier(
        [("linear", LogisticRegression()), ("network", network())], voting="soft"
    ).fit(rare.X, rare.y)
    assert_probabilities(voting, rare)
    members = [m.predict_proba(rare.X_test) for m in voting.estimators_]
    np.testing.assert_allclose(
        voting.predict_proba(rare.X_test), np.mean(members, axis=0), rtol=1e-5
    )
    losses = [log_loss(rare.y_test, probabilities) for probabilities in members]
    assert loss_on_test_rows(voting, rare) <= np.mean(losses)  # -log is convex
    assert_as_good_as_logistic(voting, rare)


def test_stacking_classifier_listens_to_the_network(rare):
    stacking = StackingClassifier(
        [("linear", LogisticRegression()), ("network", network())],
        final_estimator=LogisticRegression(),
        cv=3,
    ).fit(rare.X, rare.y)
    assert stacking.stack_method_ == ["predict_proba", "predict_proba"]
    linear_weight, network_weight = stacking.final_estimator_.coef_[0]
    assert network_weight > linear_weight
    assert_probabilities(stacking, rare)
    assert_as_good_as_logistic(stacking, rare)


def test_stacking_classifier_ends_in_a_network(rare):
    stacking = StackingClassifier(
        [("linear", LogisticRegression()), ("network", mlp())],
        final_estimator=linear_network(),
        passthrough=True,
        cv=3,
    ).fit(rare.X, rare.y)
    assert stacking.final_estimator_.n_features_in_ == 2 + rare.X.shape[1]
    assert_as_good_as_logistic(stacking, rare)


def test_bagging_classifier_sums_to_one_as_log_loss_asks(rare):
    """log_loss warns of float64 probabilities that are off by more than 2e-8."""
    bagging = BaggingClassifier(mlp(), n_estimators=3, random_state=0)
    X = np.random.default_rng(0).normal(size=(5_000, rare.X.shape[1]))
    probabilities = bagging.fit(rare.X, rare.y).predict_proba(X)
    assert log_loss(bagging.predict(X), probabilities) > 0


# five bags leave some rows without an out-of-bag vote, and scikit-learn says so
@pytest.mark.filterwarnings("ignore:Some inputs do not have OOB scores:UserWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_bagging_classifier_averages_different_networks(rare):
    bagging = BaggingClassifier(
        mlp(), n_estimators=5, oob_score=True, random_state=0
    ).fit(rare.X, rare.y)
    members = [m.predict_proba(rare.X_test) for m in bagging.estimators_]
    assert np.std(members, axis=0).max() > 0.1
    np.testing.assert_allclose(
        bagging.predict_proba(rare.X_test), np.mean(members, axis=0), rtol=1e-5
    )
    losses = [log_loss(rare.y_test, probabilities) for probabilities in members]
    assert loss_on_test_rows(bagging, rare) < np.mean(losses)  # -log is convex
    assert bagging.oob_score_ > np.mean(rare.y == "common")
    assert_as_good_as_logistic(bagging, rare)


def test_ada_boost_classifier_hands_weights_to_the_network(rare):
    boosted = AdaBoostClassifier(
        mlp(max_epochs=10), n_estimators=8, random_state=0
    ).fit(rare.X, rare.y)
    used = len(boosted.estimators_)
    assert used > 3
    assert np.all(boosted.estimator_errors_[:used] < 0.5)
    shares = [clf.class_prior_[1] for clf in boosted.estimators_]
    assert shares[0] == pytest.approx(np.mean(rare.y == "rare"))
    assert max(shares[1:]) > 2 * shares[0]  # missed rows gained weight
    assert_probabilities(boosted, rare)
    assert balanced_accuracy(boosted, rare) > balanced_accuracy(
        boosted.estimators_[0], rare
    )


@pytest.mark.parametrize(
    "ensemble", [BalancedBaggingClassifier, EasyEnsembleClassifier]
)
def test_balanced_ensemble_finds_the_rare_class(ensemble, rare):
    clf = ensemble(estimator=mlp(), n_estimators=5, random_state=0).fit(rare.X, rare.y)
    plain = mlp().fit(rare.X, rare.y)
    assert_probabilities(clf, rare)
    assert recall(clf, rare) > recall(plain, rare) + 0.1
    assert balanced_accuracy(clf, rare) > balanced_accuracy(plain, rare)
    for member in clf.estimators_:
        np.testing.assert_allclose(member[-1].class_prior_, 0.5)


# -- several classes, several targets ------------------------------------------------


DARK_PIXELS = pytest.mark.filterwarnings("ignore:X has columns of one value")


@DARK_PIXELS
@pytest.mark.parametrize(
    "wrapper",
    [
        OneVsRestClassifier(mlp()),
        OneVsOneClassifier(mlp()),
        OutputCodeClassifier(mlp(), code_size=3, random_state=0),
        network(),
    ],
    ids=lambda wrapper: type(wrapper).__name__,
)
def test_multiclass_wrapper_is_as_good_as_logistic_regression(wrapper, digits):
    clf = clone(wrapper).fit(digits.X, digits.y)
    assert clf.classes_.tolist() == digits.labels.tolist()
    expected = balanced_accuracy(logistic(digits), digits)
    assert balanced_accuracy(clf, digits) >= expected - 0.05


@DARK_PIXELS
def test_one_vs_rest_probabilities_rank_every_digit(digits):
    clf = OneVsRestClassifier(mlp(class_weight="balanced"))
    clf.fit(digits.X, digits.y)
    assert_probabilities(clf, digits)
    areas = roc_auc_score(
        digits.y_test, clf.predict_proba(digits.X_test), multi_class="ovr", average=None
    )
    assert min(areas) > 0.97


def test_multi_output_classifier_learns_each_column(coded):
    Y = np.column_stack([coded.y, coded.X[:, 0] > 1])
    Y_test = np.column_stack([coded.y_test, coded.X_test[:, 0] > 1])
    for wrapper in (MultiOutputClassifier(mlp()), ClassifierChain(mlp())):
        predicted = wrapper.fit(coded.X, Y).predict(coded.X_test)
        for column in range(2):
            constant = 1 - Y_test[:, column].mean()
            assert accuracy_score(Y_test[:, column], predicted[:, column]) > constant


def test_self_training_classifier_uses_unlabelled_rows(linear):
    y = linear.y.copy()
    y[150:] = -1
    clf = SelfTrainingClassifier(linear_network()).fit(linear.X, y)
    assert np.sum(clf.labeled_iter_ > 0) > 100
    assert average_precision(clf, linear) > 3 * linear.prevalence


# -- selection and inspection --------------------------------------------------------


@pytest.mark.parametrize(
    "selector",
    [
        RFE(linear_network(), n_features_to_select=3),
        RFECV(linear_network(), cv=3, scoring="average_precision"),
        SelectFromModel(linear_network(), max_features=3, threshold=-np.inf),
        SelectFromModel(linear_network()),
        SequentialFeatureSelector(
            linear_network(max_epochs=10),
            n_features_to_select=3,
            cv=2,
            scoring="average_precision",
        ),
    ],
    ids=["RFE", "RFECV", "SelectFromModel-3", "SelectFromModel", "Sequential"],
)
def test_selector_keeps_the_informative_columns(selector, linear):
    selector = clone(selector).fit(linear.X, linear.y)
    chosen = selector.get_support(indices=True).tolist()
    assert set(INFORMATIVE) <= set(chosen)
    if not isinstance(selector, RFECV):  # it may keep a column that does no harm
        assert chosen == INFORMATIVE


def test_select_from_model_takes_a_fitted_network(linear):
    clf = linear_network().fit(linear.X, linear.y)
    expected = LogisticRegression().fit(linear.X, linear.y)
    np.testing.assert_allclose(clf.coef_, expected.coef_, atol=0.1)
    chosen = SelectFromModel(clf, prefit=True).get_support(indices=True)
    assert chosen.tolist() == INFORMATIVE


def test_rfe_in_front_of_a_network_in_a_pipeline(linear):
    pipeline = make_pipeline(RFE(linear_network(), n_features_to_select=3), mlp()).fit(
        linear.X, linear.y
    )
    assert pipeline[-1].n_features_in_ == 3
    assert_as_good_as_logistic(pipeline, linear)


def test_permutation_importance_finds_the_informative_columns(linear):
    clf = network().fit(linear.X, linear.y)
    importance = permutation_importance(
        clf,
        linear.X_test,
        linear.y_test,
        scoring="average_precision",
        n_repeats=3,
        random_state=0,
    ).importances_mean
    assert set(np.argsort(importance)[-3:]) == set(INFORMATIVE)
    noise = np.delete(importance, INFORMATIVE)
    assert importance[INFORMATIVE].min() > 3 * np.abs(noise).max()


def test_partial_dependence_follows_the_sign_of_the_effect(linear):
    clf = network().fit(linear.X, linear.y)
    up, down, noise = (
        partial_dependence(clf, linear.X[:200], [column], grid_resolution=5)["average"]
        for column in (0, 1, 5)
    )
    assert np.all(np.diff(up) > 0)
    assert np.all(np.diff(down) < 0)
    assert np.ptp(noise) < 0.3 * min(np.ptp(up), np.ptp(down))


# -- displays ------------------------------------------------------------------------


@pytest.fixture
def ax():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


@pytest.mark.parametrize("method", ["predict_proba", "decision_function", "predict"])
def test_decision_boundary_display_surface_separates(method, ax):
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(0, 1, (270, 2)), rng.normal(3, 0.5, (30, 2))]
    y = np.repeat(["common", "rare"], [270, 30])
    clf = mlp(learning_rate=0.01).fit(X, y)
    display = DecisionBoundaryDisplay.from_estimator(
        clf, X, response_method=method, grid_resolution=20, ax=ax
    )
    corner, centre = (_response_at(display, value) for value in (3.0, 0.0))
    middle = {"predict_proba": 0.5, "decision_function": 0.0, "predict": 0.5}[method]
    assert corner > middle > centre


def _response_at(display: Any, value: float) -> float:
    """Read the surface at the grid point nearest to (value, value)."""
    distance = np.abs(display.xx0 - value) + np.abs(display.xx1 - value)
    return display.response.ravel()[distance.argmin()]


@pytest.mark.parametrize("names", [[0, 1], ["common", "rare"]])
@pytest.mark.parametrize("method", ["auto", "predict_proba", "decision_function"])
def test_precision_recall_display_states_the_average_precision(method, names, ax):
    table = rare_classes(names)
    clf = mlp().fit(table.X, table.y)
    display = PrecisionRecallDisplay.from_estimator(
        clf,
        table.X_test,
        table.y_test,
        response_method=method,
        pos_label=table.positive,
        plot_chance_level=True,
        ax=ax,
    )
    expected = average_precision(clf, table)
    assert display.average_precision == pytest.approx(expected, abs=1e-3)
    assert display.prevalence_pos_label == pytest.approx(table.prevalence)
    assert ax.get_xlabel().startswith("Recall")


def test_roc_curve_display_lies_above_chance(rare, ax):
    display = RocCurveDisplay.from_estimator(
        network().fit(rare.X, rare.y), rare.X_test, rare.y_test, ax=ax
    )
    assert display.roc_auc > 0.75


def test_calibration_display_shows_the_effect_of_target_prior(rare, ax):
    """Weighted probabilities lie below the diagonal, corrected ones nearer to it."""

    def gap(target_prior: Any) -> float:
        clf = mlp(class_weight="balanced", target_prior=target_prior)
        display = CalibrationDisplay.from_estimator(
            clf.fit(rare.X, rare.y),
            rare.X_test,
            rare.y_test,
            n_bins=4,
            strategy="quantile",
            ax=ax,
        )
        return float(np.mean(display.prob_pred - display.prob_true))

    assert abs(gap("train")) < gap(None)


# -- metadata routing ----------------------------------------------------------------


@pytest.fixture
def weight_of_rare(coded) -> Any:
    return np.where(coded.y == 1, 10.0, 1.0)


def test_routing_takes_sample_weight_through_a_pipeline(coded, weight_of_rare):
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        clf = mlp().set_fit_request(sample_weight=True)
        routed = make_pipeline(scaler, clf)
        routed.fit(coded.X, coded.y, sample_weight=weight_of_rare)
    plain = make_pipeline(StandardScaler(), mlp())
    unweighted = clone(plain).fit(coded.X, coded.y)
    direct = plain.fit(
        coded.X, coded.y, balancedneuralclassifier__sample_weight=weight_of_rare
    )
    np.testing.assert_array_equal(
        routed.predict_proba(coded.X_test), direct.predict_proba(coded.X_test)
    )
    assert recall(routed, coded) > recall(unweighted, coded)


def test_routing_takes_sample_weight_through_a_search(coded, weight_of_rare):
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        clf = mlp(loss="focal").set_fit_request(sample_weight=True)
        search = GridSearchCV(
            Pipeline([("scale", scaler), ("clf", clf)]),
            {"clf__loss__gamma": [0.0, 2.0]},
            scoring=get_scorer("average_precision").set_score_request(
                sample_weight=False
            ),
            cv=3,
        ).fit(coded.X, coded.y, sample_weight=weight_of_rare)
    mass = np.bincount(coded.y, weight_of_rare)
    best = search.best_estimator_[-1]
    np.testing.assert_allclose(best.class_prior_, mass / mass.sum())
    assert search.best_params_["clf__loss__gamma"] in (0.0, 2.0)
    assert_as_good_as_logistic(search, coded)


def test_routing_takes_validation_rows_through_a_pipeline(coded):
    with config_context(enable_metadata_routing=True):
        clf = mlp(max_epochs=50, patience=5)
        clf.set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline(
            [("scale", StandardScaler()), ("clf", clf)], transform_input=["X_val"]
        ).fit(coded.X, coded.y, X_val=coded.X_test, y_val=coded.y_test)
    best = pipeline[-1].best_iteration_
    recorded = pipeline[-1].history_[best - 1]["valid_average_precision"]
    found = average_precision(pipeline, coded)
    assert found == pytest.approx(recorded, abs=1e-3)


def test_routing_refuses_weights_that_nobody_asked_for(coded, weight_of_rare):
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), mlp())
        with pytest.raises(ValueError, match=r"\[sample_weight\] are passed but"):
            pipeline.fit(coded.X, coded.y, sample_weight=weight_of_rare)

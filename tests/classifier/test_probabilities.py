"""Honest probabilities: every lever, undone, on data whose posterior is known."""

from __future__ import annotations

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.metrics import average_precision_score, log_loss

from imbalnet import BalancedNeuralClassifier

PREVALENCE = 0.05
BALANCED = {"class_weight": "balanced"}
# Its epochs are short, so that it takes more of them.
UNDERSAMPLE = {"sampler": "undersample", "max_epochs": 60, "batch_size": 128}
LEVERS = {
    "balanced weights": BALANCED,
    "capped weights": {**BALANCED, "class_weight__max_ratio": 5.0},
    "deferred weights": {**BALANCED, "class_weight__start_epoch": 0.4},
    "weighted sampler": {"sampler": "weighted"},
    "undersample": UNDERSAMPLE,
    "stratified, balanced": {
        "sampler": "stratified_batch",
        "sampler__power": 0.5,
        **BALANCED,
    },
    "RandomOverSampler": {"sampler": RandomOverSampler()},
    "smoothing": {"loss__label_smoothing": 0.1},
    "smoothing, balanced": {"loss__label_smoothing": 0.1, **BALANCED},
    "focal": {"loss": "focal"},
    "focal, balanced": {"loss": "focal", **BALANCED},
    "focal a class": {"loss": "focal", "loss__gamma": [2.0, 1.0]},
    "poly1, weighted": {"loss": "poly1", "sampler": "weighted"},
    "poly_focal": {"loss": "poly_focal"},
    "asymmetric, balanced": {"loss": "asymmetric", **BALANCED},
    "logit_adjusted": {"loss": "logit_adjusted", "loss__tau": 0.5},
    "vector_scaling": {"loss": "vector_scaling"},
    "vector_scaling, undersample": {"loss": "vector_scaling", **UNDERSAMPLE},
}
# A network that learns these data in two seconds.
QUICK = {
    "module": "mlp",
    "module__hidden_sizes": (64, 64),
    "batch_size": 512,
    "learning_rate": 0.003,
    "max_epochs": 15,
    "random_state": 0,
}


def known_posterior(n_rows, seed):
    """Eight normal features, a nonlinear score, 5 % positives in expectation."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 8)).astype(np.float32)
    score = 1.2 * X[:, 0] - X[:, 1] + 1.5 * X[:, 2] * X[:, 3]
    score = score + 0.8 * np.sin(2 * X[:, 4])
    bias = brentq(lambda b: expit(score + b).mean() - PREVALENCE, -20, 5)
    p = expit(score + bias)
    return X, (rng.random(n_rows) < p).astype(int), p


def expected_calibration_error(y, p, n_bins=15):
    """Mean distance of observed and predicted rate over bins of equally many rows."""
    bins = np.array_split(np.argsort(p), n_bins)
    return sum(abs(p[i].mean() - y[i].mean()) * len(i) for i in bins) / len(y)


@pytest.fixture(scope="module")
def train():
    return known_posterior(30_000, seed=0)[:2]


@pytest.fixture(scope="module")
def test_rows():
    return known_posterior(40_000, seed=1)


@pytest.fixture(scope="module")
def plain_log_loss(train, test_rows):
    X, y, _ = test_rows
    clf = BalancedNeuralClassifier(**QUICK).fit(*train)
    return log_loss(y, clf.predict_proba(X))


@pytest.fixture(scope="module", params=LEVERS.values(), ids=LEVERS)
def lever(request, train):
    return BalancedNeuralClassifier(**{**QUICK, **request.param}).fit(*train)


def test_corrected_probabilities_are_calibrated(lever, test_rows, plain_log_loss):
    X, y, _ = test_rows
    probabilities = lever.set_params(target_prior="train").predict_proba(X)
    assert log_loss(y, probabilities) < 1.03 * plain_log_loss
    assert expected_calibration_error(y, probabilities[:, 1]) < 0.02


@pytest.mark.long
def test_default_network_is_corrected_too(test_rows):
    X, y, p = test_rows
    X_train, y_train, _ = known_posterior(8_000, seed=0)
    losses = {}
    for name in ("nothing", "balanced weights", "focal, balanced"):
        clf = BalancedNeuralClassifier(random_state=0, **LEVERS.get(name, {}))
        clf.set_params(target_prior="train").fit(X_train, y_train)
        for table, labels, predicted in (
            ("test", y, clf.predict_proba(X)),
            ("out of fold", y_train, clf.oof_proba_),
        ):
            losses[name, table] = log_loss(labels, predicted)
            assert predicted[:, 1].mean() == pytest.approx(p.mean(), rel=0.15)
            assert expected_calibration_error(labels, predicted[:, 1]) < 0.02
            assert losses[name, table] < 1.05 * losses["nothing", table]
    assert losses["nothing", "test"] < 1.1 * log_loss(y, p)


def test_corrected_mean_probability_is_the_base_rate(lever, test_rows):
    X, _, p = test_rows
    lever.set_params(target_prior="train")
    assert lever.predict_proba(X)[:, 1].mean() == pytest.approx(p.mean(), rel=0.15)


def test_uncorrected_probabilities_are_those_of_the_effective_prior(lever, test_rows):
    """Without a target, a balancing lever lets the mean rise far above the data's."""
    X, _, p = test_rows
    lever.set_params(target_prior=None)
    rises = lever.effective_prior_[1] == pytest.approx(0.5)
    assert (lever.predict_proba(X)[:, 1].mean() > 3 * p.mean()) == rises


@pytest.mark.parametrize("target", ["train", "uniform", {0: 0.999, 1: 0.001}])
def test_target_prior_does_not_change_the_ranking(lever, test_rows, target):
    X, y, _ = test_rows
    lever.set_params(target_prior=None)
    before = average_precision_score(y, lever.decision_function(X))
    lever.set_params(target_prior=target)
    after = average_precision_score(y, lever.decision_function(X))
    assert after == pytest.approx(before, abs=1e-6)


def test_uniform_prior_predicts_about_as_many_of_either_error(lever, test_rows):
    """The argmax under the uniform prior has balanced sensitivity and specificity."""
    X, y, p = test_rows
    lever.set_params(target_prior="uniform")
    predicted = lever.predict(X)
    recall = [(predicted[y == label] == label).mean() for label in (0, 1)]
    bayes = p / PREVALENCE > (1 - p) / (1 - PREVALENCE)
    best = np.mean([(bayes[y == label] == label).mean() for label in (0, 1)])
    assert np.mean(recall) > best - 0.02


def test_changing_the_target_needs_no_refit(lever, test_rows):
    X, *_ = test_rows
    odds = {}
    for share in (0.05, 0.5):
        lever.set_params(target_prior={0: 1 - share, 1: share})
        odds[share] = lever.decision_function(X[:100]).astype(float)
    np.testing.assert_allclose(odds[0.5] - odds[0.05], np.log(19), rtol=1e-4)


def many_classes(n_rows, seed):
    """500 classes around their centres, ten of them twenty times rarer."""
    rng = np.random.default_rng(seed)
    sizes = np.full(500, n_rows)
    sizes[:10] = n_rows // 20
    centres = 1.1 * np.random.default_rng(7).normal(size=(500, 16))
    y = np.repeat(np.arange(500), sizes)
    return (centres[y] + rng.normal(size=(len(y), 16))).astype(np.float32), y


@pytest.mark.long
def test_rare_of_many_classes_follow_the_true_counts_with_tempered_weights():
    """Balanced weights over-predict rare classes; their square root does not."""
    X, y = many_classes(100, seed=0)
    X_test, y_test = many_classes(200, seed=1)
    true = np.bincount(y_test)
    predicted = {}
    for power in (1.0, 0.5):
        clf = BalancedNeuralClassifier(
            "mlp",
            class_weight="balanced",
            class_weight__power=power,
            random_state=0,
            max_epochs=6,
            early_stopping=False,
        ).fit(X, y)
        for target in (None, "train"):
            labels = clf.set_params(target_prior=target).predict(X_test)
            predicted[power, target] = np.bincount(labels, minlength=500)
    rare = {key: n[:10].sum() / true[:10].sum() for key, n in predicted.items()}
    assert rare[1.0, None] > 2.5  # what users report
    assert 0.5 < rare[0.5, None] < 1.6
    assert max(rare[1.0, "train"], rare[0.5, "train"]) < 1.0
    # the counts of all classes correlate better with the cure, of either kind
    fit = {key: np.corrcoef(n, true)[0, 1] for key, n in predicted.items()}
    assert fit[1.0, None] < min(fit[0.5, None], fit[1.0, "train"])

"""Classes of so few rows that held-out rows cannot judge, or a sampler cannot work."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.metrics import average_precision_score, roc_auc_score
from skorch.callbacks import Callback

from imbalnet import BalancedNeuralClassifier

SMALL = {"module__hidden_sizes": (16,), "max_epochs": 12, "random_state": 0}

few = pytest.mark.filterwarnings("ignore:Class .* has .* row")


def table(n_positives, n_rows=240, seed=0):
    """Positives lie apart from the others, which are normally distributed."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n_rows) < n_positives).astype(int)
    return rng.normal(size=(n_rows, 4)) + 3.0 * y[:, None], y


def test_a_single_positive_does_not_choose_the_epoch():
    X, y = table(1)
    X_test, y_test = table(60, seed=1)
    with pytest.warns(UserWarning, match="0 held-out rows are of a class that their"):
        clf = BalancedNeuralClassifier(**SMALL).fit(X, y)
    assert clf.best_iteration_ == clf.n_iter_ == 12
    assert roc_auc_score(y_test, clf.predict_proba(X_test)[:, 1]) > 0.98
    # rows of one class say nothing of the probabilities of the other
    assert (clf.temperature_, clf.neighbor_weight_) == (1.0, 0.0)
    assert not clf.offset_.any()


class Watch(Callback):
    """Out-of-fold probabilities of each epoch, as callbacks see them."""

    def on_epoch_end(self, net, dataset_valid, **kwargs):
        if not hasattr(self, "probabilities_"):
            self.probabilities_ = []
        self.probabilities_.append(net.predict_proba(dataset_valid))


@few
@pytest.mark.parametrize("n_classes", [2, 3])
def test_rows_of_a_class_that_their_member_lacks_count_in_no_score(n_classes):
    """The row of the last class is left out; the scores are those of the others."""
    X, y = table(60)
    y = y if n_classes == 3 else np.zeros(240, dtype=int)
    y[-1] = n_classes - 1
    clf = BalancedNeuralClassifier(**SMALL, n_members=3, callbacks=[Watch()]).fit(X, y)
    watch = next(cb for _, cb in clf.net_.callbacks_ if isinstance(cb, Watch))
    found = clf.history_[:, "valid_average_precision"]
    for score, probabilities in zip(found, watch.probabilities_, strict=True):
        ranked = [
            average_precision_score(y[:-1] == c, probabilities[:-1, c])
            for c in range(n_classes - 1)
        ]
        expected = np.mean(ranked) if n_classes == 3 else 0.0
        assert score == pytest.approx(expected, abs=1e-6)
    assert clf.best_iteration_ == (
        clf.n_iter_ if n_classes == 2 else 1 + np.argmin(clf.history_[:, "valid_loss"])
    )


@few
@pytest.mark.parametrize("module", ["mlp", "linear"])
@pytest.mark.parametrize("n_positives", [1, 2, 3])
def test_prior_of_the_data_counts_validation_rows(n_positives, module):
    X, y = table(n_positives)
    clf = BalancedNeuralClassifier(
        module, early_stopping=True, max_epochs=5, random_state=0
    ).fit(X, y)
    np.testing.assert_allclose(clf.class_prior_, np.bincount(y) / 240)
    np.testing.assert_allclose(clf.calibration_.class_prior, clf.class_prior_)
    # the rows of partial_fit add up with all of them
    clf.partial_fit(X[:60], y[:60])
    expected = np.bincount(y) + np.bincount(y[:60])
    np.testing.assert_allclose(clf.class_prior_, expected / 300)


@few
def test_promised_base_rate_does_not_hang_on_the_split():
    """Two positives, of which one is held out: the odds are those of two."""
    X, y = table(2)
    clf = BalancedNeuralClassifier(
        "mlp", early_stopping=True, calibrate=False, max_epochs=5, random_state=0
    ).fit(X, y)
    log_odds = clf.decision_function(X)  # under the training part's prior
    clf.set_params(target_prior="train")
    shift = clf.decision_function(X) - log_odds
    trained_on = clf.effective_prior_
    np.testing.assert_allclose(trained_on[1] * (240 - 25), 1.0, atol=0.02)
    expected = np.log(2 / 238) - np.log(trained_on[1] / trained_on[0])
    np.testing.assert_allclose(shift, expected, rtol=1e-5)


def test_two_validation_rows_do_not_choose_the_epoch():
    X, y = table(20)
    with pytest.warns(UserWarning, match="2 held-out rows are of a class other than 0"):
        clf = BalancedNeuralClassifier("mlp", early_stopping=True, **SMALL).fit(X, y)
    assert clf.best_iteration_ == clf.n_iter_ == 12


def test_few_given_rows_do_not_choose_the_epoch():
    X, y = table(20)
    with pytest.warns(UserWarning, match="Give more rows of the rare classes as X_val"):
        clf = BalancedNeuralClassifier("mlp", **SMALL).fit(
            X, y, X_val=X[18:], y_val=y[18:]
        )
    assert clf.best_iteration_ == clf.n_iter_ == 12


@few
def test_three_rows_do():
    X, y = table(3)
    clf = BalancedNeuralClassifier(**SMALL).fit(X, y)
    assert clf.best_iteration_ == np.argmin(clf.history_[:, "valid_loss"]) + 1


def warnings_of(X, y, module="mlp", fit=None, **params):
    """Texts of all warnings of a fit of one epoch."""
    clf = BalancedNeuralClassifier(module, max_epochs=1, random_state=0, **params)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y, **(fit or {}))
    return [str(warning.message) for warning in caught]


KINDS = {
    "folds": {"n_members": 4},
    "split": {"early_stopping": True},
    "none": {"early_stopping": False},
    "given": {"fit": {"X_val": table(60, seed=1)[0], "y_val": table(60, seed=1)[1]}},
    "groups": {"n_members": 4, "fit": {"groups": np.arange(240)}},
}


@pytest.mark.parametrize("n_positives", [1, 2, 5, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_few_rows_are_warned_of_once(n_positives, kind):
    (message,) = warnings_of(*table(n_positives), **KINDS[kind])
    plural = "s" if n_positives > 1 else ""
    assert message.startswith(f"Class 1 has {n_positives} row{plural}. ")
    assert "More rows of the class" in message or "Get more rows of the rare" in message


@pytest.mark.parametrize("kind", ["folds", "none", "given", "groups"])
def test_more_rows_are_not_warned_of(kind):
    assert warnings_of(*table(9), **KINDS[kind]) == []


def test_each_class_of_few_rows_is_named():
    X, y = table(60)
    words = np.where(y == 1, "common", "most")
    words[-10:] = ["a"] * 3 + ["b"] * 7
    (message,) = warnings_of(X, words, n_members=4)
    assert message.startswith("Class 'a' has 3 rows, 'b' has 7 rows. ")


def test_rows_of_weight_0_are_no_rows():
    X, y = table(60)
    weight = 1.0 * ((y == 0) | (np.arange(240) < 5))
    (message,) = warnings_of(X, y, n_members=4, fit={"sample_weight": weight})
    assert message.startswith("Class 1 has 5 rows. ")


def test_partial_fit_may_begin_with_few_rows():
    X, y = table(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BalancedNeuralClassifier("mlp").partial_fit(X, y, classes=[0, 1])


# -- samplers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "name"),
    [
        (SMOTE(), "k_neighbors=5"),
        (make_pipeline(SMOTE(), RandomUnderSampler()), "k_neighbors=5"),
    ],
)
def test_sampler_that_lacks_neighbours_hears_of_the_rows_held_out(sampler, name):
    X, y = table(6)
    with pytest.raises(ValueError, match=r"SMOTE\(\) failed") as caught:
        BalancedNeuralClassifier(sampler=sampler).fit(X, y)
    message = str(caught.value)
    assert "{0: 205, 1: 5}" in message
    assert "1 of the 6 rows of class 1 are among those held out" in message
    assert f"{name} exceeds" in message
    assert "lower it to 4" in message
    assert "n_members=1 with early_stopping=False" in message
    cured = {"n_members": 1, "early_stopping": False, "max_epochs": 1}
    BalancedNeuralClassifier(sampler=sampler, **cured).fit(X, y)
    lower = SMOTE(k_neighbors=4)
    BalancedNeuralClassifier(sampler=lower, max_epochs=1).fit(X, y)


def test_sampler_that_lacks_neighbours_among_all_rows_hears_of_no_others():
    X, y = table(4)
    clf = BalancedNeuralClassifier("mlp", sampler=SMOTE(), early_stopping=False)
    with pytest.raises(ValueError, match="lower it to 3") as caught:
        clf.fit(X, y)
    assert "held out" not in str(caught.value)


def test_log_posteriors_that_only_float64_holds_are_kept_finite():
    """Out-of-fold rows are kept in float32; L-BFGS computes in float64."""
    X, y = np.array([[3e38], [-0.5], [-0.4]]), ["a", "a", "b"]
    clf = BalancedNeuralClassifier("linear", max_epochs=2, n_members=3, random_state=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=UserWarning)
        clf.fit(X, y)
    np.testing.assert_allclose(clf.oof_proba_.sum(axis=1), 1, atol=1e-6)

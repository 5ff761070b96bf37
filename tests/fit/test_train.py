"""Training runs: early stopping, going on, failures, warnings."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from imblearn.over_sampling import SMOTE
from sklearn.exceptions import NotFittedError
from sklearn.metrics import average_precision_score
from skorch.callbacks import Callback, Checkpoint, EarlyStopping
from torch import nn
from torch.utils.data import DataLoader

from imbalnet import BalancedNeuralClassifier

mlp = partial(BalancedNeuralClassifier, module="mlp")


def fitted(data, **params):
    X, y = data
    return mlp(random_state=0, **params).fit(X, y)


# -- early stopping --------------------------------------------------------------


def test_early_stopping_keeps_the_best_epoch(rare):
    clf = fitted(
        rare, early_stopping=True, validation_fraction=0.3, patience=4, max_epochs=60
    )
    scores = clf.history_[:, "valid_average_precision"]
    losses = clf.history_[:, "valid_loss"]
    best = max(range(len(scores)), key=lambda i: (scores[i], -losses[i]))
    assert clf.best_iteration_ == best + 1
    assert clf.n_iter_ == len(scores) == min(60, best + 1 + 4)


def test_early_stopping_restores_the_best_weights(rare):
    """The same training cut at the best epoch gives the same network."""
    X, _ = rare
    params = {
        "early_stopping": True,
        "validation_fraction": 0.3,
        "schedule": "constant",
    }
    stopped = fitted(rare, patience=3, max_epochs=60, **params)
    assert stopped.best_iteration_ < stopped.n_iter_
    cut = fitted(rare, patience=60, max_epochs=stopped.best_iteration_, **params)
    np.testing.assert_array_equal(stopped.predict_proba(X), cut.predict_proba(X))


@pytest.mark.parametrize(("n_rows", "stops"), [(10_000, False), (10_001, True)])
def test_early_stopping_auto_depends_on_the_rows(n_rows, stops, rng):
    X, y = rng.normal(size=(n_rows, 2)), (rng.random(n_rows) < 0.2).astype(int)
    clf = mlp(module__hidden_sizes=(2,), max_epochs=2).fit(X, y)
    assert ("valid_loss" in clf.history_[0]) is stops
    linear = BalancedNeuralClassifier(module="linear", max_epochs=2).fit(X, y)
    assert "valid_loss" not in linear.history_[0]  # L-BFGS solves its problem


def test_validation_rows_may_be_given(rare):
    X, y = rare
    clf = mlp(random_state=0, patience=2, max_epochs=40)
    clf.fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:])
    history = clf.history_
    assert clf.class_prior_[1] == pytest.approx(y[:400].mean())
    score = average_precision_score(y[400:], clf.decision_function(X[400:]))
    best = history[clf.best_iteration_ - 1]["valid_average_precision"]
    assert score == pytest.approx(best, abs=1e-6)


def test_given_validation_rows_of_other_shares_keep_probabilities_honest(rng):
    """The offset is fitted under the training rows' shares, whatever X_val has."""
    X = rng.normal(size=(4000, 3))
    y = (X[:, 0] + rng.normal(size=4000) > 1.8).astype(int)
    train, rest = np.arange(2000), np.arange(2000, 4000)
    positives = rest[y[rest] == 1]
    balanced = np.r_[positives, rest[y[rest] == 0][: len(positives)]]
    means = [
        mlp(random_state=0, max_epochs=10, target_prior="train")
        .fit(X[train], y[train], X_val=X[valid], y_val=y[valid])
        .predict_proba(X)[:, 1]
        .mean()
        for valid in (rest, balanced)
    ]
    np.testing.assert_allclose(means, y.mean(), rtol=0.15)


def test_too_few_validation_positives_fall_back_to_the_loss(rare):
    X, y = rare
    with pytest.warns(UserWarning, match="4 validation rows, too few to rank"):
        clf = mlp(random_state=0, early_stopping=True, validation_fraction=0.08).fit(
            X, y
        )
    assert clf.best_iteration_ == np.argmin(clf.history_[:, "valid_loss"]) + 1


def test_class_of_one_row_stays_in_training(rare):
    X, y = rare
    y = y.copy()
    y[0] = 2
    clf = mlp(
        early_stopping=True, validation_fraction=0.3, monitor="loss", max_epochs=2
    )
    with pytest.warns(UserWarning, match="Class 2 has 1 row"):
        clf.fit(X, y)
    assert clf.class_prior_[2] > 0


def test_early_stopping_needs_a_class_to_split():
    with pytest.raises(ValueError, match="no class has two rows to split"):
        mlp(early_stopping=True).fit([[0.0], [1.0]], [0, 1])


# -- going on ----------------------------------------------------------------------


def test_partial_fit_over_chunks_learns(rare):
    X, y = rare
    clf = mlp(random_state=0, class_weight="balanced")
    for _ in range(15):
        for part in np.array_split(np.arange(len(y)), 4):
            clf.partial_fit(X[part], y[part], classes=[0, 1])
    assert clf.n_iter_ == 60
    assert average_precision_score(y, clf.decision_function(X)) > 0.8
    np.testing.assert_allclose(clf.class_prior_, np.bincount(y) / len(y))
    np.testing.assert_allclose(clf.effective_prior_, [0.5, 0.5])
    np.testing.assert_allclose(
        clf.module_.input.mean.numpy(), X.mean(0), rtol=1e-4, atol=1e-4
    )


def test_partial_fit_of_the_default_learns(rare):
    X, y = rare
    clf = BalancedNeuralClassifier(random_state=0, class_weight="balanced")
    for _ in range(10):
        for part in np.array_split(np.arange(len(y)), 2):
            clf.partial_fit(X[part], y[part], classes=[0, 1])
    assert average_precision_score(y, clf.decision_function(X)) > 0.8
    np.testing.assert_allclose(clf.class_prior_, np.bincount(y) / len(y))
    np.testing.assert_allclose(clf.effective_prior_, [0.5, 0.5])
    assert not hasattr(clf, "oof_proba_")


def test_partial_fit_takes_chunks_without_positives(rare):
    X, y = rare
    clf = mlp(random_state=0, sampler="weighted")
    clf.partial_fit(X[y == 0][:100], y[y == 0][:100], classes=[0, 1])
    clf.partial_fit(X[y == 1], y[y == 1])
    assert np.isfinite(clf.predict_proba(X)).all()


def test_partial_fit_needs_classes_once(rare):
    X, y = rare
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        mlp().partial_fit(X, y)
    clf = mlp().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes=\[0, 1, 2\] differs"):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"not in classes_: \[7\]"):
        clf.partial_fit(X, np.where(y == 1, 7, 0))


def test_partial_fit_goes_on_from_fit(rare):
    X, y = rare
    clf = fitted(rare, max_epochs=3, early_stopping=True, validation_fraction=0.3)
    before = clf.module_.output.weight.clone()
    clf.partial_fit(X, y)
    assert clf.n_iter_ == 4
    assert not torch.equal(before, clf.module_.output.weight)


def test_partial_fit_keeps_the_offset(rare):
    X, y = rare
    clf = fitted(rare, max_epochs=3, early_stopping=True, validation_fraction=0.3)
    before = clf.offset_
    assert before.any()
    np.testing.assert_array_equal(clf.partial_fit(X, y).offset_, before)


def test_warm_start_goes_on(rare):
    X, y = rare
    clf = mlp(random_state=0, warm_start=True, max_epochs=3)
    net = clf.fit(X, y).net_
    first = clf.history_[-1]["train_loss"]
    clf.fit(X, y)
    assert clf.net_ is net
    assert clf.n_iter_ == 6
    assert clf.history_[-1]["train_loss"] < first
    with pytest.raises(ValueError, match="not in classes_"):
        clf.fit(X, y + 5)


def test_interrupt_keeps_the_best_weights_and_goes_on_to_the_caller(rare, interrupt):
    X, y = rare
    params = {
        "random_state": 0,
        "early_stopping": True,
        "validation_fraction": 0.3,
        "schedule": "constant",
    }
    clf = mlp(**params, callbacks=[interrupt["batch"](6)])
    with pytest.raises(KeyboardInterrupt, match="ended in epoch 6"):
        clf.fit(X, y)
    assert clf.best_iteration_ <= 5
    whole = mlp(**params, max_epochs=5).fit(X, y)
    assert whole.best_iteration_ == clf.best_iteration_
    np.testing.assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))


def test_skorch_early_stopping_is_no_interrupt(rare):
    X, y = rare
    callbacks = [EarlyStopping(monitor="train_loss", threshold=0.9, patience=2)]
    clf = mlp(random_state=0, callbacks=callbacks).fit(X, y)
    assert clf.n_iter_ < 30


# -- failures leave the estimator as it was -------------------------------------------


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("module", ["auto", "mlp"])
def test_diverging_refit_leaves_a_fitted_estimator_as_it_was(
    rare, method, warm_start, module
):
    X, y = rare
    clf = fitted(rare, module=module, max_epochs=2, warm_start=warm_start)
    before, history = clf.predict_proba(X), len(clf.history_)
    clf.set_params(learning_rate=1e30, optimizer="sgd", schedule="constant")
    if method == "partial_fit" or warm_start:  # they keep the optimiser
        for group in clf.net_.optimizer_.param_groups:
            group["lr"] = group["initial_lr"] = 1e30
    with pytest.raises(FloatingPointError, match="epoch"):
        getattr(clf, method)(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert len(clf.history_) == history


class SteepCrossEntropy(nn.CrossEntropyLoss):
    def forward(self, logits, target):
        return 1e6 * super().forward(logits, target)

    def log_posterior(self, logits):
        return logits.log_softmax(-1)


def test_weights_that_overflow_in_the_last_step_are_an_error(rare):
    """The loss of a single full-batch step is finite: it was taken before the step."""
    X, y = rare
    clf = mlp(
        loss=SteepCrossEntropy,
        optimizer="sgd",
        learning_rate=1e38,
        batch_size=600,
        max_epochs=1,
    )
    with pytest.raises(FloatingPointError, match=r"weights .* in epoch 1"):
        clf.fit(X, y)


def test_diverging_fit_names_epoch_and_cures_and_leaves_unfitted(rare):
    X, y = rare
    clf = mlp(optimizer="sgd", learning_rate=1e30, random_state=0)
    with pytest.raises(FloatingPointError, match="in epoch 1") as caught:
        clf.fit(X, y)
    for cure in ("learning_rate", "scale the features", "dtype"):
        assert cure in str(caught.value)
    with pytest.raises(NotFittedError):
        clf.predict(X)
    assert not hasattr(clf, "classes_")


@pytest.mark.parametrize(
    "params",
    [
        {"loss__gamma": 2},
        {"module__depth": 3},
        {"class_weight__beta": 0.9},
        {"sampler__power": 0.5},
        {"optimizer__momentum": 0.9},
        {"net__lr": 0.1},
    ],
    ids=lambda params: next(iter(params)),
)
def test_unknown_parameter_is_an_error_at_fit(rare, params):
    X, y = rare
    clf = mlp(**params)
    with pytest.raises(ValueError, match=f"{next(iter(params))} is no parameter of"):
        clf.fit(X, y)
    assert not hasattr(clf, "n_features_in_")


def test_unknown_attribute_is_an_error_at_fit(rare):
    clf = mlp()
    clf.epochs = 3
    with pytest.raises(ValueError, match="epochs is no parameter of"):
        clf.fit(*rare)


@pytest.mark.parametrize(
    "name", ["max_epochs_", "_loss", "module__", "predict", "epochs"]
)
def test_unknown_parameter_is_an_error_at_once(name):
    with pytest.raises(ValueError, match=f"{name} is no parameter of .* known are"):
        mlp(**{name: 3})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"target_prior": {0: 0.5, 2: 0.5}}, "target_prior"),
        ({"class_weight": {0: -1, 1: 1}}, "at least 0"),
        (
            {"loss": "focal", "loss__gamma": -1},
            "loss__gamma=-1 must be a finite number of at least 0",
        ),
        ({"device": "cuda:99"}, "device='cuda:99' is not available"),
        ({"device": "gpu"}, "device='gpu' is not a device"),
        (
            {"module": lambda width: nn.Linear(width, 2)},
            "must accept in_features= .* and out_features=",
        ),
        ({"module": nn.Linear(10, 2)}, "not an instance of Linear"),
        ({"module__hidden_sizes": (0,)}, "module__hidden_sizes"),
        ({"sampler": SMOTE}, r"give an instance: sampler=SMOTE\(\)"),
        ({"sampler": SMOTE(k_neighbors=500)}, r"SMOTE\(\) failed on the training rows"),
        (
            {"sampler": "weighted", "net__iterator_train": DataLoader},
            "another iterator",
        ),
    ],
)
def test_bad_parameter_is_named_and_changes_nothing(rare, params, message):
    X, y = rare
    clf = mlp(**params)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y)
    assert set(vars(clf)) == set(clf.get_params(deep=False))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            pd.DataFrame({"a": [1.0, np.inf] * 10, "b": [1, 2] * 10}),
            r"infinite values.*: \['a'\]",
        ),
        (
            pl.DataFrame({"a": [1.0, 2] * 10, "city": [["Bonn"], ["Ulm"]] * 10}),
            r"not numeric: \['city'\]",
        ),
        (np.full((20, 2), np.inf), r"infinite values.*: \[0, 1\]"),
        (np.array([[{}, 1]] * 20), "must be a string or a real number"),
    ],
    ids=["infinite", "polars lists", "infinite array", "objects"],
)
def test_unusable_features_are_named(X, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mlp().fit(X, [0, 1] * 10)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "y to be passed"),
        ([1] * 600, "one class"),
        ([0.5] * 300 + [1.5] * 300, "Unknown label type"),
        ([0, 1], "inconsistent numbers of samples"),
        (np.zeros((600, 3)), "Multilabel and multioutput"),
    ],
)
def test_unusable_labels_are_named(rare, y, message):
    with pytest.raises(ValueError, match=message):
        mlp().fit(rare[0], y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (-np.ones(600), "[Nn]egative"),
        (np.full(600, np.nan), "NaN"),
        (np.zeros(600), "0 for every row|non-zero"),
        (np.ones(3), "sample_weight"),
    ],
)
def test_unusable_sample_weights_are_named(rare, weight, message):
    with pytest.raises(ValueError, match=message):
        mlp().fit(*rare, sample_weight=weight)


def test_validation_rows_are_checked(rare):
    X, y = rare
    clf = mlp()
    with pytest.raises(ValueError, match="belong together"):
        clf.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match=r"y_val has labels .* \[3\]"):
        clf.fit(X, y, X_val=X, y_val=np.full(len(y), 3))
    with pytest.raises(ValueError, match="features"):
        clf.fit(X, y, X_val=X[:, :2], y_val=y)


# -- warm starts, once more -----------------------------------------------------------


def test_warm_start_keeps_the_validation_rows(rare):
    X, y = rare
    rows = []

    class Remember(Callback):
        def on_train_begin(self, net, X=None, **kwargs):
            rows.append(X[1].index.clone())

    clf = mlp(
        warm_start=True,
        early_stopping=True,
        validation_fraction=0.3,
        max_epochs=2,
        callbacks=[Remember()],
    )
    clf.fit(X, y).fit(X, y)
    assert torch.equal(rows[0], rows[1])


def test_warm_start_takes_up_changed_parameters(rare):
    X, y = rare
    clf = fitted(rare, warm_start=True, max_epochs=5)
    clf.set_params(
        loss="focal", loss__alpha=0.9, learning_rate=1e-3, target_prior="train"
    ).fit(X, y)
    assert clf.net_.criterion_.gamma == 2.0
    assert clf.net_.optimizer_.param_groups[0]["initial_lr"] == 1e-3
    assert clf.predict_proba(X)[:, 1].mean() == pytest.approx(y.mean(), rel=0.4)
    clf.set_params(early_stopping=True, validation_fraction=0.3, patience=1).fit(X, y)
    assert clf.net_.best_epoch()


@pytest.mark.parametrize("params", [{"module": "linear"}, {"module__dropout": 0.5}])
def test_warm_start_with_another_network_is_an_error(rare, params):
    clf = fitted(rare, warm_start=True, max_epochs=1).set_params(**params)
    with pytest.raises(ValueError, match=r"module or module__.* changed"):
        clf.fit(*rare)


@pytest.mark.parametrize("module", ["mlp", "linear"])
def test_failed_partial_fit_leaves_a_sound_estimator(rare, module):
    class Fail(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("no")

    X, y = rare
    clf = fitted(rare, module=module, max_epochs=2)
    net, before = clf.net_, clf.predict_proba(X)
    kept = (net.optimizer, net.lr, net.weight_decay)
    net.callbacks_.append(("fail", Fail()))
    with pytest.raises(RuntimeError):
        clf.partial_fit(X, y)
    net.callbacks_.pop()
    assert (net.optimizer, net.lr, net.weight_decay) == kept
    twin = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(twin.predict_proba(X), before)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", torch.optim.RMSprop])
def test_default_weight_decay_suits_other_optimisers(rare, optimizer):
    X, y = rare
    clf = fitted(rare, optimizer=optimizer)
    assert average_precision_score(y, clf.decision_function(X)) > 0.8


def test_skorch_checkpoint_finds_what_it_asks_for(rare, tmp_path):
    fitted(
        rare,
        max_epochs=2,
        early_stopping=True,
        validation_fraction=0.3,
        callbacks=[Checkpoint(dirname=tmp_path)],
    )
    assert (tmp_path / "params.pt").exists()


def test_validation_score_counts_sample_weights(rare):
    """Rows of next to no weight do not count in the score either."""
    X, y = rare
    noisy = y.copy()
    noisy[::3] = 1 - noisy[::3]
    weight = np.where(np.arange(len(y)) % 3 == 0, 1e-9, 1.0)
    params = {"early_stopping": True, "validation_fraction": 0.3, "monitor": "loss"}
    clf = mlp(random_state=0, **params)
    clf.fit(X, noisy, sample_weight=weight)
    assert clf.history_[-1]["valid_average_precision"] > 0.75


def test_warnings_of_fit_point_to_the_callers_line(rare):
    X, y = rare
    y = np.where(np.arange(len(y)) == 0, 2, y)  # a class of one row
    clf = mlp(loss="ldam", target_prior="train", early_stopping=True, max_epochs=1)
    with pytest.warns(UserWarning) as caught:  # noqa: PT030
        clf.fit(X, y)
    assert len(caught) == 2
    assert {warning.filename for warning in caught} == {__file__}


def test_outputs_that_overflow_are_named_without_validation():
    """The weights are finite, and so was each loss."""
    X = np.zeros((14, 2))
    X[[0, 6, 1, 2, 12], 0] = 1e38, 1e38, -1e30, 7.0, 2.5
    X[[4, 5], 1] = 2.5, 7.0
    y = np.arange(14) == 1
    clf = BalancedNeuralClassifier(
        max_epochs=1,
        sampler="oversample",
        class_weight="balanced",
        batch_size=7,
        optimizer="sgd",
        n_members=1,
        early_stopping=False,
        random_state=0,
    )
    with pytest.raises(FloatingPointError, match="outputs"):
        clf.fit(X, y)
    assert not hasattr(clf, "net_")

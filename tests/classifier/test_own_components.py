"""Modules, losses, callbacks, iterators and optimisers of one's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from skorch.callbacks import EpochScoring
from torch import nn
from torch.utils.data import DataLoader

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.feeds.batches import TensorBatches
from imbalnet.networks import MLP


def fitted(data, **params):
    X, y = data
    return BalancedNeuralClassifier(
        **{"module": "mlp", "random_state": 0, **params}
    ).fit(X, y)


class TooFewColumns(nn.Linear):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features - 1)


def test_own_module_with_one_column_learns(rare, one_column):
    X, y = rare
    clf = fitted(rare, module=one_column, module__width=32, learning_rate=5e-3)
    assert clf.module_.layers[0].out_features == 32
    assert average_precision_score(y, clf.decision_function(X)) > 0.8


def test_own_module_with_members_averages_probabilities(three_classes, three_members):
    X, y = three_classes
    clf = fitted(
        three_classes,
        module=three_members,
        class_weight="balanced",
        target_prior="train",
    )
    shift = np.log(clf.class_prior_ / clf.effective_prior_)
    with torch.no_grad():
        logits = clf.module_(torch.tensor(X, dtype=torch.float32)).numpy() + shift
    each = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(clf.predict_proba(X), each.mean(1), atol=1e-5)
    assert clf.score(X, y) > 0.75


def test_own_module_of_wrong_width_is_named(three_classes):
    with pytest.raises(ValueError, match=r"logits of shape \(batch, 3\)"):
        fitted(three_classes, module=TooFewColumns)


def test_own_callbacks_see_batches_and_stay_unchanged(rare, recorder):
    scoring = EpochScoring("roc_auc", lower_is_better=False, name="auc")
    clf = fitted(
        rare,
        max_epochs=2,
        batch_size=100,
        callbacks=[recorder, scoring],
        early_stopping=True,
        validation_fraction=0.3,
    )
    assert len(recorder.of(training=True)) == 2 * 5  # 421 rows
    assert 0.5 < clf.history_[-1]["auc"] <= 1
    assert not hasattr(scoring, "best_score_")


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("on_train", [True, False])
def test_skorch_scoring_callbacks_score(rare, use_caching, on_train):
    scoring = EpochScoring(
        "average_precision",
        on_train=on_train,
        use_caching=use_caching,
        lower_is_better=False,
        name="ap",
    )
    clf = fitted(
        rare,
        max_epochs=8,
        batch_size=100,
        early_stopping=True,
        validation_fraction=0.3,
        patience=100,
        callbacks=[scoring],
    )
    scores = clf.history_[:, "ap"]
    if on_train:
        assert scores[-1] > scores[0]
    else:
        expected = clf.history_[:, "valid_average_precision"]
        np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_own_loss_without_inverse_warns_where_a_prior_is_asked_for(rare):
    with pytest.warns(UserWarning, match="no calibrated inverse"):
        fitted(rare, loss=nn.MultiMarginLoss, target_prior="train", max_epochs=1)


class OwnCrossEntropy(nn.Module):
    """A user's loss with an inverse link of its own: logits at half scale."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, logits, target):
        return nn.functional.cross_entropy(2 * logits, target, reduction="none")

    def log_posterior(self, logits):
        return (2 * logits).log_softmax(-1)


def test_own_loss_brings_its_inverse(rare):
    X, _ = rare
    clf = fitted(rare, loss=OwnCrossEntropy, target_prior="train", max_epochs=5)
    with torch.no_grad():
        logits = clf.module_(torch.tensor(X, dtype=torch.float32)).double()
    np.testing.assert_allclose(
        clf.predict_proba(X), (2 * logits).softmax(-1).squeeze(1).numpy(), atol=1e-6
    )


def test_own_iterator_trains(rare):
    X, y = rare
    clf = fitted(
        rare,
        net__iterator_train=DataLoader,
        net__iterator_train__shuffle=True,
        class_weight="balanced",
    )
    assert average_precision_score(y, clf.decision_function(X)) > 0.8


def test_skorch_net_predicts_by_itself(rare):
    X, _ = rare
    clf = fitted(rare, loss="focal", max_epochs=5)
    np.testing.assert_allclose(
        clf.net_.predict_proba(X.astype(np.float32)), clf.predict_proba(X), atol=1e-6
    )


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs", torch.optim.RMSprop])
def test_optimizers_learn(rare, optimizer):
    X, y = rare
    clf = fitted(rare, module="linear", optimizer=optimizer)
    assert average_precision_score(y, clf.decision_function(X)) > 0.5


def test_parameter_groups_reach_the_optimizer(rare):
    groups = [("output.*", {"lr": 0.5})]
    clf = fitted(
        rare, max_epochs=1, optimizer__param_groups=groups, optimizer__betas=(0.8, 0.9)
    )
    first, second = clf.net_.optimizer_.param_groups
    assert first["initial_lr"] == 0.5
    assert second["initial_lr"] == pytest.approx(7e-4)
    assert first["betas"] == (0.8, 0.9)


def test_weight_decay_spares_biases(rare):
    clf = fitted(rare, max_epochs=1, weight_decay=0.3)
    decays = {
        p.ndim: group["weight_decay"]
        for group in clf.net_.optimizer_.param_groups
        for p in group["params"]
    }
    assert decays == {2: 0.3, 1: 0.0}


def test_compiled_network_predicts_the_same(rare):
    X, _ = rare
    params = {"max_epochs": 2, "net__compile__backend": "eager"}
    compiled = fitted(rare, compile=True, **params)
    plain = fitted(rare, max_epochs=2)
    np.testing.assert_allclose(
        compiled.predict_proba(X), plain.predict_proba(X), atol=1e-6
    )


def test_small_outputs_are_not_taken_for_probabilities(rare):
    """Those of small features are near the biases, which may lie between 0 and 1."""

    def module(in_features, out_features):
        layer = nn.Linear(in_features, 1)
        nn.init.constant_(layer.bias, 0.5)
        return layer

    X, y = rare
    fitted((1e-4 * X, y), module=module, max_epochs=1)


class WideAndDeep(nn.Module):
    """A module around one of ours, whose logits have an axis of members."""

    def __init__(self, in_features, out_features, *, squeezes):
        super().__init__()
        self.deep = MLP(in_features, out_features, hidden_sizes=(8,))
        self.wide = nn.Linear(in_features, out_features)
        self.squeezes = squeezes

    def forward(self, x):
        deep = self.deep(x)
        return (deep.squeeze(1) if self.squeezes else deep) + self.wide(x)


def test_a_network_inside_a_module_needs_its_axis_taken_out(rare):
    """Otherwise rows would be taken for members: (batch, 1, 2) + (batch, 2)."""
    with pytest.raises(ValueError, match=r"gave \(3, 3, 2\) .* squeeze\(1\)"):
        fitted(rare, module=WideAndDeep, module__squeezes=False)
    X, y = rare
    clf = fitted(rare, module=WideAndDeep, module__squeezes=True, learning_rate=0.02)
    assert average_precision_score(y, clf.decision_function(X)) > 0.7


@pytest.mark.parametrize("n_members", [1, 2])
def test_own_validation_iterator_needs_no_more_than_to_iterate(rare, n_members):
    """It is made anew for each epoch, as an iterator may be used up."""

    def used_up(dataset, batch_size):
        yield from TensorBatches(dataset, batch_size)

    params = {"early_stopping": True, "max_epochs": 3, "n_members": n_members}
    own, ours = (
        fitted(rare, **params, **iterator)
        for iterator in ({"net__iterator_valid": used_up}, {})
    )
    np.testing.assert_allclose(
        own.history_[:, "valid_loss"], ours.history_[:, "valid_loss"], rtol=1e-6
    )


@pytest.mark.parametrize("module", ["mlp", "linear", "resnet", "tabular"])
def test_no_weight_decay_is_none_at_all(rare, module):
    """Not even the default of torch's optimiser."""
    clf = fitted(rare, module=module, optimizer="adamw", weight_decay=0.0, max_epochs=1)
    groups = clf.net_.optimizer_.param_groups
    assert [group["weight_decay"] for group in groups] == [0.0] * len(groups)


def test_partial_fit_keeps_an_optimiser_that_was_named(rare):
    X, y = rare
    clf = fitted(rare, module="linear")
    clf.set_params(optimizer="adamw").partial_fit(X, y)
    assert isinstance(clf.net_.optimizer_, torch.optim.LBFGS)
    clf.set_params(optimizer="auto").partial_fit(X, y)
    assert isinstance(clf.net_.optimizer_, torch.optim.AdamW)

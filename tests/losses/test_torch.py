"""torch's criteria as the parameter ``loss``, as classes and as instances."""

from __future__ import annotations

import math
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from imbalnet import BalancedNeuralClassifier
from imbalnet.losses import Focal
from imbalnet.losses._build import build_loss

FACTOR = 7.3
BINARY = {"loss": nn.BCEWithLogitsLoss, "loss__pos_weight": FACTOR}
USABLE = {"CrossEntropyLoss", "MultiMarginLoss", "BCEWithLogitsLoss"}
DEPRECATED = {"NLLLoss2d"}  # warns
REFUSED = sorted({*nn.modules.loss.__all__} - USABLE - DEPRECATED)


def small(module="mlp", **params):
    return BalancedNeuralClassifier(
        **{"module": module, "max_epochs": 2, "random_state": 0, **params}
    )


def binary(pos_weight=FACTOR):
    return build_loss(nn.BCEWithLogitsLoss, {"pos_weight": pos_weight}, 2)


# -- two classes ---------------------------------------------------------------------


def test_binary_loss_is_the_closed_form_on_the_difference():
    logits = torch.tensor([[0.5, 2.0], [1.0, -1.0]], dtype=torch.float64)
    values = binary()(logits, torch.tensor([1, 0]))
    expected = [FACTOR * math.log1p(math.exp(-1.5)), math.log1p(math.exp(-2.0))]
    assert values.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("size", [90.0, -90.0])
def test_binary_loss_is_finite_at_saturated_logits(size):
    logits = torch.tensor([[0.0, size], [-size, size]], requires_grad=True)
    values = binary().float()(logits, torch.tensor([1, 0]))
    values.sum().backward()
    expected = [FACTOR * max(-size, 0.0), max(2 * size, 0.0)]
    assert values.tolist() == pytest.approx(expected, abs=1e-6)
    slopes = [-FACTOR * (size < 0), float(size > 0)]
    assert logits.grad[:, 1].tolist() == pytest.approx(slopes, abs=1e-6)


@pytest.mark.parametrize(
    "pos_weight", [3, [3.0], np.float32(3), torch.tensor(3), torch.tensor([3.0])]
)
def test_pos_weight_is_a_class_factor(pos_weight):
    loss = binary(pos_weight)
    assert loss.is_calibrated
    prior = loss.effective_prior(torch.tensor([0.9, 0.1], dtype=torch.float64))
    assert prior.tolist() == pytest.approx([0.75, 0.25])
    assert binary(None).class_factors(2).tolist() == [1.0, 1.0]


def test_pos_weight_counts_in_an_instance_and_in_a_partial():
    weight = torch.tensor([FACTOR])
    for loss in (
        nn.BCEWithLogitsLoss(pos_weight=weight, reduction="sum"),
        partial(nn.BCEWithLogitsLoss, pos_weight=weight),
    ):
        built = build_loss(loss, {}, 2)
        assert built.class_factors(2).tolist() == pytest.approx([1.0, FACTOR])
        assert build_loss(loss, {"pos_weight": 2.0}, 2).pos_weight == 2.0


@pytest.mark.parametrize(
    "params",
    [
        {"module": "mlp"},
        {"module": "linear"},
        {"module": "mlp", "n_members": 2},
        {"module": "mlp", "early_stopping": True, "sample_weight": True},
    ],
    ids=str,
)
def test_pos_weight_trains_as_class_weight(rare, params):
    """The network, the probabilities and the history are the same."""
    X, y = rare
    params = {"max_epochs": 4, "dtype": "float64", **params}
    weight = np.where(X[:, 0] > 0, 2.0, 1.0) if params.pop("sample_weight", 0) else None
    one = small(**BINARY, **params).fit(X, y, sample_weight=weight)
    two = small(class_weight={0: 1, 1: FACTOR}, **params)
    two.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(one.effective_prior_, two.effective_prior_, rtol=1e-12)
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-9)
    weights = (
        torch.cat([w.flatten() for w in m.module_.parameters()]).detach()
        for m in (one, two)
    )
    np.testing.assert_allclose(*weights, atol=1e-7)
    for loss in one.history_[0].keys() & {"train_loss", "valid_loss"}:
        values = (model.history_[:, loss] for model in (one, two))
        np.testing.assert_allclose(*values, rtol=1e-9)


def test_pos_weight_in_float32_and_through_one_column(rare, one_column):
    """Adam takes steps of full size also where rounding is all of the gradient."""
    X, y = rare
    one = small(one_column, **BINARY).fit(X, y)
    two = small(one_column, class_weight={0: 1, 1: FACTOR}).fit(X, y)
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=2e-4)


def test_pos_weight_is_searched_over_and_survives_copies(rare):
    X, y = rare
    clf = small(loss=nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0])))
    grid = {"loss__pos_weight": [1.0, [5.0], torch.tensor([9.0])]}
    search = GridSearchCV(clf, grid, cv=2, scoring="neg_log_loss").fit(X, y)
    assert clf.loss.pos_weight.tolist() == [2.0]
    assert clf.loss.reduction == "mean"
    best = search.best_estimator_
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(again.predict_proba(X), best.predict_proba(X))
    refitted = clone(best).fit(X, y)
    np.testing.assert_array_equal(refitted.predict_proba(X), best.predict_proba(X))


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "a", [1, 2], []])
def test_pos_weight_out_of_range_is_named(value):
    with pytest.raises(ValueError, match="loss__pos_weight="):
        binary(value)


def test_binary_loss_names_what_it_is_not_for():
    with pytest.raises(ValueError, match=r"two classes, but y has 3: use .*CrossEntr"):
        build_loss(nn.BCEWithLogitsLoss(), {}, 3)
    with pytest.raises(ValueError, match=r"weight= .*\(64,\).*sample_weight to fit"):
        build_loss(nn.BCEWithLogitsLoss(weight=torch.ones(64)), {}, 2)


# -- the others ----------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", REFUSED)
def test_criteria_of_other_targets_are_refused_with_a_cure(name, n_classes):
    cls = getattr(nn, name)
    losses = [cls] if name == "LinearCrossEntropyLoss" else [cls, cls()]
    for loss in losses:
        with pytest.raises(ValueError, match=f"^loss={name} .*; .*use .*(loss|Loss)"):
            build_loss(loss, {}, n_classes)


@pytest.mark.parametrize("cls", [nn.CrossEntropyLoss, nn.MultiMarginLoss])
def test_instances_compute_what_their_class_does(cls):
    weight = torch.tensor([1.0, 2.0, 3.0])
    logits, target = torch.eye(3)[[0, 1, 1, 2]], torch.tensor([0, 1, 2, 0])
    expected = cls(weight=weight, reduction="none")(logits, target)
    for reduction in ("mean", "sum"):
        loss = build_loss(cls(weight=weight, reduction=reduction), {}, 3)
        torch.testing.assert_close(loss(logits, target), expected)
        assert loss.class_factors(3).tolist() == weight.tolist()


def test_instance_takes_arguments_anew():
    cross_entropy = nn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum")
    built = build_loss(cross_entropy, {"weight": torch.tensor([1.0, 2.0])}, 2)
    assert built.criterion.label_smoothing == 0.1
    assert built.class_factors(2).tolist() == [1.0, 2.0]
    assert cross_entropy.weight is None


def test_own_instance_is_copied():
    focal = Focal(gamma=1.5)
    built = build_loss(focal, {}, 2)
    assert built is not focal
    assert built.gamma.item() == 1.5
    with pytest.raises(ValueError, match=r"instance.* give the class, loss=Focal,"):
        build_loss(focal, {"gamma": 1.0}, 2)


@pytest.mark.parametrize("ignored", [0, 1])
def test_a_class_that_is_ignored_is_named(ignored):
    with pytest.raises(ValueError, match=f"ignore_index={ignored} .*sample_weight=0"):
        build_loss(nn.CrossEntropyLoss(ignore_index=ignored), {}, 2)


@pytest.mark.parametrize("weight", [[1.0, -1.0], [1.0, math.nan], [0.0, 0.0]])
def test_class_weights_out_of_range_are_named(weight):
    with pytest.raises(ValueError, match=r"loss__weight=.*finite numbers"):
        build_loss(nn.CrossEntropyLoss(weight=torch.tensor(weight)), {}, 2)


class PerRow(nn.Module):
    def forward(self, logits, target):
        return nn.functional.cross_entropy(logits, target, reduction="none")


class Reducing(nn.Module):
    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, logits, target):
        return nn.functional.cross_entropy(logits, target, reduction=self.reduction)


class OnLogProbabilities(nn.NLLLoss):
    def forward(self, logits, target):
        return super().forward(logits.log_softmax(-1), target)


@pytest.mark.parametrize("cls", [PerRow, Reducing, OnLogProbabilities])
def test_modules_of_users_are_losses(cls):
    logits, target = torch.eye(3), torch.tensor([0, 2, 2])
    expected = nn.functional.cross_entropy(logits, target, reduction="none")
    for loss in (cls, cls()):
        torch.testing.assert_close(build_loss(loss, {}, 3)(logits, target), expected)


class Mean(nn.Module):
    def forward(self, logits, target):
        return nn.functional.cross_entropy(logits, target)


class ByClass(nn.Module):
    def forward(self, logits, target):
        return logits.mean(0)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (Mean, r"^loss=Mean .*gave: \(\)\. Take no mean or sum over rows"),
        (Mean(), r"^loss=Mean .*gave: \(\)\. Take no mean or sum over rows"),
        (ByClass, r"3 rows gave: \(2,\)\. .*logits\[:, 1\] - logits"),
        (nn.functional.cross_entropy, "not torch.nn.functional.cross_entropy"),
        (lambda **arguments: 3, "loss=<lambda> made 3, and no torch.nn.Module"),
    ],
)
def test_what_gives_no_value_for_each_row_is_named(loss, message):
    with pytest.raises(ValueError, match=message):
        build_loss(loss, {}, 2)

"""What the classifier asks of a loss beside its values: scores, priors and factors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from imbalnet.losses import LDAM, LOSSES, ClassShares, CrossEntropy, Focal
from imbalnet.losses._build import build_loss

SHARES = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
LOGITS = torch.tensor([[0.5, -1.0, 2.0], [1.0, 0.0, -3.0]], dtype=torch.float64)


def bound(name, shares=SHARES, **params):
    loss = LOSSES[name](**params)
    loss.bind(ClassShares(shares, shares, shares))
    return loss


SMOOTHED = CrossEntropy(label_smoothing=0.2)
WEIGHT = torch.tensor([1.0, 3.0, 2.0])
WEIGHTED = build_loss(nn.CrossEntropyLoss(WEIGHT, label_smoothing=0.2), {}, 3)
EVERY = [*(bound(name) for name in LOSSES), SMOOTHED, WEIGHTED, Focal(alpha=[1, 2, 3])]
every_loss = pytest.mark.parametrize("loss", EVERY, ids=str)


@every_loss
def test_posterior_scores_are_the_log_posterior_up_to_a_constant(loss):
    torch.testing.assert_close(
        loss.posterior_scores(LOGITS).log_softmax(-1), loss.log_posterior(LOGITS)
    )


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_effective_prior_is_a_distribution_in_the_dtype_of_the_prior(loss, dtype):
    prior = loss.effective_prior(7 * SHARES.to(dtype))
    assert prior.dtype == dtype
    assert prior.sum().item() == pytest.approx(1)
    torch.testing.assert_close(prior, loss.effective_prior(SHARES.to(dtype)))


@every_loss
def test_effective_prior_has_the_class_factors_of_the_loss(loss):
    """Logit adjustment, which has none, takes the prior out by its shift."""
    factors = loss.class_factors(3).double()
    adjusts = hasattr(loss, "iota")
    mass = factors if adjusts else SHARES * factors
    torch.testing.assert_close(loss.effective_prior(SHARES), mass / mass.sum())


def test_class_factors_are_those_that_weigh_the_values():
    target = torch.arange(3)
    for loss, plain in (
        (Focal(alpha=[1, 2, 3]), Focal()),
        (
            build_loss(nn.CrossEntropyLoss, {"weight": WEIGHT.double()}, 3),
            CrossEntropy(),
        ),
    ):
        logits = torch.eye(3, dtype=torch.float64)
        ratio = loss(logits, target) / plain(logits, target)
        torch.testing.assert_close(ratio, loss.class_factors(3).double())


@every_loss
def test_factors_in_the_mean_are_those_of_torchs_criteria(loss):
    """Whose weighted mean divides by the weights; alpha changes the learning rate."""
    expected = WEIGHT if loss is WEIGHTED else torch.ones(3)
    torch.testing.assert_close(loss.factors_in_mean(3), expected)


@pytest.mark.parametrize("name", ["cross_entropy", "logit_adjusted", "vector_scaling"])
def test_logit_scale_is_the_slope_of_a_linear_inverse(name):
    for loss in (LOSSES[name](), bound(name)):
        scaled = loss.logit_scale(3).double() * LOGITS
        torch.testing.assert_close(loss.log_posterior(LOGITS), scaled.log_softmax(-1))


def test_a_class_without_rows_has_the_smallest_share_of_the_others():
    shares = torch.tensor([48.0, 0.0, 3.0, 0.0])
    loss = bound("vector_scaling", shares, gamma=0.5, tau=2.0)
    torch.testing.assert_close(loss.delta, torch.tensor([1.0, 0.25, 0.25, 0.25]))
    known = torch.tensor([48.0, 3, 3, 3]) / 51
    torch.testing.assert_close(loss.iota, 2 * known.log())
    margins = bound("ldam", shares).margins
    torch.testing.assert_close(margins, torch.tensor([0.25, 0.5, 0.5, 0.5]))


def test_ldam_that_knows_no_shares_has_the_largest_margin_for_all():
    cosines = torch.tensor([[0.2, 0.9], [0.4, -0.3]])
    values = LDAM(max_margin=0.3, scale=5.0)(cosines, torch.tensor([0, 1]))
    gaps = torch.tensor([0.9 - 0.2 + 0.3, 0.4 + 0.3 + 0.3])
    torch.testing.assert_close(values, torch.log1p(torch.exp(5 * gaps)))


class Halved(nn.Module):
    """The cross entropy of halved logits, with its inverse."""

    def forward(self, logits, target):
        return nn.functional.cross_entropy(logits / 2, target, reduction="none")

    def log_posterior(self, logits):
        return (logits / 2).log_softmax(-1)


class WithoutInverse(nn.Module):
    def forward(self, logits, target):
        return nn.functional.multi_margin_loss(logits, target, reduction="none")


def test_criterion_is_inverted_by_its_own_log_posterior():
    loss = build_loss(Halved, {}, 3)
    assert loss.is_calibrated
    expected = (LOGITS / 2).log_softmax(-1)
    torch.testing.assert_close(loss.log_posterior(LOGITS), expected)
    torch.testing.assert_close(loss.posterior_scores(LOGITS), expected)


def test_criterion_without_an_inverse_only_ranks():
    loss = build_loss(WithoutInverse, {}, 3)
    assert not loss.is_calibrated
    torch.testing.assert_close(loss.log_posterior(LOGITS), LOGITS.log_softmax(-1))


def test_cross_entropy_with_another_forward_has_no_inverse():
    class FocalOfUser(nn.CrossEntropyLoss):
        def forward(self, logits, target):
            loss = super().forward(logits, target)
            return (1 - torch.exp(-loss)) ** 2 * loss

    class Renamed(nn.CrossEntropyLoss):
        pass

    assert not build_loss(FocalOfUser, {}, 3).is_calibrated
    assert build_loss(Renamed, {}, 3).is_calibrated


@pytest.mark.parametrize("weight", [[1.0, 0.0, 2.0], None])
def test_cross_entropy_is_inverted_where_every_class_has_a_weight(weight):
    weight = None if weight is None else torch.tensor(weight)
    loss = build_loss(nn.CrossEntropyLoss(weight), {}, 3)
    assert loss.is_calibrated == (weight is None)
    fully = build_loss(nn.CrossEntropyLoss(label_smoothing=1.0), {}, 3)
    assert not fully.is_calibrated  # every target is the same


def test_values_by_class_may_be_arrays_and_are_copied():
    for gamma in ([1.0, 2.0, 3.0], np.array([1.0, 2, 3]), torch.tensor([1.0, 2, 3])):
        loss = Focal(gamma)
        assert loss.gamma.dtype == torch.float64
        loss.gamma.zero_()
        assert list(gamma) == [1.0, 2.0, 3.0]

"""Losses: values, gradients and inverse links against independent references."""

from __future__ import annotations

import copy

import mpmath
import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from imbalnet.losses import LOSSES, CrossEntropy, Focal, build_loss

# One entry a loss and setting; the property tests below run over all of them.
SETTINGS = {
    "cross_entropy": CrossEntropy(),
    **{f"focal gamma {g}": Focal(gamma=g) for g in (0, 0.5, 1, 2, 5)},
    "focal alpha": Focal(gamma=2.0, alpha=[0.2, 0.7, 0.1, 0.4]),
}
# loss parameters at which each loss is the cross entropy
NEUTRAL = {"cross_entropy": {}, "focal": {"gamma": 0.0}}

all_settings = pytest.mark.parametrize("loss", SETTINGS.values(), ids=SETTINGS)


def logits_and_target(rng, n_rows=40, n_classes=4, dtype=torch.float64, spread=3.0):
    logits = torch.tensor(spread * rng.normal(size=(n_rows, n_classes)), dtype=dtype)
    return logits, torch.tensor(rng.integers(0, n_classes, size=n_rows))


def test_every_loss_has_settings_and_a_neutral_point():
    assert {name.split()[0] for name in SETTINGS} == set(LOSSES) == set(NEUTRAL)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_cross_entropy_at_neutral_parameters(name, rng):
    logits, target = logits_and_target(rng)
    expected = nn.functional.cross_entropy(logits, target, reduction="none")
    torch.testing.assert_close(LOSSES[name](**NEUTRAL[name])(logits, target), expected)


@all_settings
def test_loss_is_finite_at_extreme_logits(loss):
    """Values and gradients, in float32, at logits of ±90."""
    corners = torch.cartesian_prod(*[torch.tensor([-90.0, 0.0, 90.0])] * 4)
    for target in range(4):
        logits = corners.clone().requires_grad_()
        values = loss.float()(logits, torch.full((len(corners),), target))
        (gradient,) = torch.autograd.grad(values.sum(), logits)
        assert torch.isfinite(values).all()
        assert torch.isfinite(gradient).all()


@all_settings
def test_log_posterior_is_finite_at_extreme_logits(loss):
    corners = torch.cartesian_prod(*[torch.tensor([-90.0, 0.0, 90.0])] * 4)
    log_posterior = loss.log_posterior(corners.double())
    assert torch.isfinite(log_posterior).all()
    torch.testing.assert_close(
        log_posterior.exp().sum(-1), torch.ones(len(corners), dtype=torch.float64)
    )


@all_settings
def test_loss_gradient_equals_finite_differences(loss, rng):
    logits, target = logits_and_target(rng)
    double = loss.double()
    assert torch.autograd.gradcheck(
        lambda z: double(z, target), logits.requires_grad_(), eps=1e-6, atol=1e-7
    )


@all_settings
def test_loss_commutes_with_permuted_classes(loss, rng):
    logits, target = logits_and_target(rng)
    order = torch.tensor([2, 0, 3, 1])
    permuted = copy.deepcopy(loss)
    if getattr(loss, "alpha", None) is not None:
        permuted.alpha = loss.alpha[order]  # what belongs to a class goes with it
    torch.testing.assert_close(
        permuted(logits[:, order], order.argsort()[target]), loss(logits, target)
    )


@all_settings
def test_loss_ignores_a_constant_added_to_the_logits(loss, rng):
    logits, target = logits_and_target(rng)
    shifted = logits + 7.0
    torch.testing.assert_close(loss(shifted, target), loss(logits, target))
    torch.testing.assert_close(
        loss.log_posterior(shifted), loss.log_posterior(logits), rtol=1e-6, atol=1e-6
    )


@all_settings
def test_log_posterior_inverts_the_conditional_risk(loss, rng):
    """The minimiser of ``sum_i eta_i alpha_i l_i`` gives eta back."""
    factors = loss.class_factors(4).double()
    for eta in rng.dirichlet(np.ones(4), size=10):
        weight = torch.tensor(eta) * factors

        def risk(z, weight=weight):
            logits = torch.tensor(z[None].repeat(4, 0), requires_grad=True)
            # alpha is in the loss already: take it out of the weight
            values = loss.double()(logits, torch.arange(4)) / factors
            total = (weight * values).sum()
            (gradient,) = torch.autograd.grad(total, logits)
            return total.item(), gradient.sum(0).numpy()

        start = np.log(np.maximum(eta, 1e-3))
        z = minimize(risk, start, jac=True, method="BFGS", options={"gtol": 1e-11}).x
        posterior = loss.log_posterior(torch.tensor(z)) - factors.log()
        np.testing.assert_allclose(posterior.softmax(-1).numpy(), eta, atol=1e-4)


@all_settings
def test_logits_of_is_the_link(loss, rng):
    posterior = torch.tensor(rng.dirichlet([0.3] * 4, size=20)).clamp(min=1e-6)
    log_posterior = (posterior / posterior.sum(-1, keepdim=True)).log()
    logits = loss.logits_of(log_posterior)
    torch.testing.assert_close(
        loss.log_posterior(logits), log_posterior, atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("p", "expected"), [(0.9, 0.00105361), (0.5, 0.17328680), (0.1, 1.86509393)]
)
def test_focal_worked_values(p, expected):
    """Lin et al. 2017, gamma 2: (1 - p)**2 times -log p."""
    logits = torch.tensor([[1 - p, p]], dtype=torch.float64).log()
    value = Focal(gamma=2.0)(logits, torch.tensor([1])).item()
    assert value == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_focal_equals_thirty_digit_reference(gamma, n_classes, rng):
    logits, target = logits_and_target(rng, 10, n_classes, spread=8.0)
    values = Focal(gamma=gamma)(logits, target)
    with mpmath.workdps(30):
        for row, code, value in zip(
            logits.tolist(), target.tolist(), values.tolist(), strict=True
        ):
            exps = [mpmath.exp(z) for z in row]
            p = exps[code] / mpmath.fsum(exps)
            expected = -((1 - p) ** gamma) * mpmath.log(p)
            assert value == pytest.approx(float(expected), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("gamma", [0.5, 1, 2, 5])
def test_focal_log_posterior_equals_thirty_digit_reference(gamma, rng):
    logits, _ = logits_and_target(rng, 20, 3, spread=10.0)
    log_posterior = Focal(gamma=gamma).log_posterior(logits)
    with mpmath.workdps(30):
        for row, values in zip(logits.tolist(), log_posterior.tolist(), strict=True):
            exps = [mpmath.exp(z) for z in row]
            v = [e / mpmath.fsum(exps) for e in exps]
            phi = [
                (1 - p) ** gamma - gamma * (1 - p) ** (gamma - 1) * p * mpmath.log(p)
                for p in v
            ]
            ratio = [p / f for p, f in zip(v, phi, strict=True)]
            expected = [float(mpmath.log(r / mpmath.fsum(ratio))) for r in ratio]
            np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12)


def test_focal_number_alpha_weighs_the_positive_class():
    logits, target = torch.zeros(2, 2), torch.tensor([0, 1])
    ratio = Focal(alpha=0.25)(logits, target) / Focal()(logits, target)
    torch.testing.assert_close(ratio, torch.tensor([0.75, 0.25]))


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.5, 2.0, [0.1, 0.0], [[0.5, 0.5]]])
def test_focal_rejects_alpha(alpha):
    with pytest.raises(ValueError, match="loss__alpha"):
        Focal(alpha=alpha)


@pytest.mark.parametrize("gamma", [-1, float("nan")])
def test_focal_rejects_gamma(gamma):
    with pytest.raises(ValueError, match="loss__gamma"):
        Focal(gamma=gamma)


def test_build_loss_rejects_alpha_of_wrong_length():
    with pytest.raises(ValueError, match="each of the 3 classes, but it has 2"):
        build_loss("focal", {"alpha": [0.5, 0.5]}, 3)


def test_build_loss_lists_known_parameters():
    with pytest.raises(ValueError, match="known are loss__alpha, loss__gamma"):
        build_loss("focal", {"gama": 2}, 2)
    with pytest.raises(ValueError, match="it takes none"):
        build_loss("cross_entropy", {"gamma": 2}, 2)


def test_build_loss_takes_torch_criteria():
    loss = build_loss(nn.CrossEntropyLoss, {"label_smoothing": 0.1}, 3)
    logits, target = torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])
    assert loss(logits, target).shape == (4,)
    assert not loss.is_calibrated
    assert build_loss(nn.CrossEntropyLoss, {}, 3).is_calibrated


def test_build_loss_counts_a_criterions_own_weight():
    loss = build_loss(nn.CrossEntropyLoss, {"weight": torch.tensor([1.0, 3.0])}, 2)
    assert loss.class_factors(2).tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (nn.NLLLoss, "expects log probabilities"),
        (nn.BCEWithLogitsLoss, "class codes of shape"),
        (nn.MSELoss, "class codes of shape"),
        (nn.Linear, "reduction='none'"),
    ],
)
def test_build_loss_rejects_other_criteria(criterion, message):
    with pytest.raises(ValueError, match=message):
        build_loss(criterion, {}, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [180.0, 800.0, 1e4])
@all_settings
def test_log_posterior_is_not_nan_at_any_logits(loss, size, dtype):
    logits = torch.tensor([[0.0, size, -size, 0.0]], dtype=dtype)
    assert not torch.isnan(loss.log_posterior(logits)).any()


def test_build_loss_rejects_an_instance():
    with pytest.raises(ValueError, match="not an instance of CrossEntropyLoss"):
        build_loss(nn.CrossEntropyLoss(), {}, 2)

"""Losses: one property suite over all of them, and what holds for some."""

from __future__ import annotations

import mpmath
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import average_precision_score
from torch import nn

from imbalnet.losses import (
    LDAM,
    LOSSES,
    Asymmetric,
    AveragePrecision,
    BalancedSoftmax,
    ClassShares,
    CrossEntropy,
    Focal,
    LogitAdjusted,
    Poly1,
    PolyFocal,
    VectorScaling,
    constant_minimiser,
)
from imbalnet.losses._build import build_loss
from imbalnet.posterior import effective_prior, shift_prior

N_CLASSES = 4
SHARES = (0.6, 0.25, 0.1, 0.05)
# Loss name and parameters of each setting that the property tests run over.
SETTINGS = {
    "cross_entropy": ("cross_entropy", {}),
    "label smoothing": ("cross_entropy", {"label_smoothing": 0.1}),
    **{f"focal gamma {g}": ("focal", {"gamma": g}) for g in (0, 0.5, 1, 2, 5)},
    "focal alpha": ("focal", {"gamma": 2.0, "alpha": [0.2, 0.7, 0.1, 0.4]}),
    "focal gamma a class": ("focal", {"gamma": [0.5, 3.0, 0.0, 1.0]}),
    "poly1": ("poly1", {}),
    "poly1 negative": ("poly1", {"epsilon": -0.9}),
    "poly_focal": ("poly_focal", {}),
    "poly_focal all": (
        "poly_focal",
        {"gamma": [1.0, 2.0, 0.5, 0.0], "epsilon": 3.0, "alpha": [0.2, 0.7, 0.1, 0.4]},
    ),
    "asymmetric": ("asymmetric", {}),
    "asymmetric mild": (
        "asymmetric",
        {"gamma_positive": 0.5, "gamma_negative": 1.5},
    ),
    "asymmetric margin": ("asymmetric", {"margin": 0.05}),
    "asymmetric margin, mild": (
        "asymmetric",
        {"gamma_positive": 0.5, "gamma_negative": 1.5, "margin": 0.02},
    ),
    "logit_adjusted": ("logit_adjusted", {}),
    "logit_adjusted half": ("logit_adjusted", {"tau": 0.5}),
    "balanced_softmax": ("balanced_softmax", {}),
    "vector_scaling": ("vector_scaling", {}),
    "vector_scaling strong": ("vector_scaling", {"gamma": 0.5, "tau": 0.7}),
    "ldam": ("ldam", {}),
    "average_precision": ("average_precision", {"warmup": 0.0}),
    "average_precision warm-up": ("average_precision", {}),
}
# Parameters at which a loss is the cross entropy; "shares" are the class distribution.
NEUTRAL = {
    "cross_entropy": {},
    "focal": {"gamma": 0.0},
    "poly1": {"epsilon": 0.0},
    "poly_focal": {"gamma": 0.0, "epsilon": 0.0},
    "asymmetric": {"gamma_positive": 0.0, "gamma_negative": 0.0},
    "logit_adjusted": {"tau": 0.0},
    "balanced_softmax": {"shares": (0.25,) * 4},
    "vector_scaling": {"gamma": 0.0, "tau": 0.0},
    "ldam": {"max_margin": 0.0, "scale": 1.0},
    "average_precision": {"warmup": 1.0},
}
NO_INVERSE = {
    *("ldam", "average_precision", "average_precision warm-up"),
    *("asymmetric margin", "asymmetric margin, mild"),
}
INVERTIBLE = [setting for setting in SETTINGS if setting not in NO_INVERSE]


# What has one number for each of four classes.
A_CLASS = [
    s for s, (_, params) in SETTINGS.items() if list in map(type, params.values())
]

all_settings = pytest.mark.parametrize("setting", SETTINGS)
invertible = pytest.mark.parametrize("setting", INVERTIBLE)


def make(name, params, shares=SHARES):
    loss = LOSSES[name](**params)
    loss.bind(even_shares(shares))
    return loss


def even_shares(shares):
    """No sampler, no weights: all distributions are the data's."""
    prior = torch.tensor(shares, dtype=torch.float64)
    return ClassShares(*[prior / prior.sum()] * 3)


def made(setting, shares=SHARES):
    return make(*SETTINGS[setting], shares)


def draw(rng, n_rows=40, n_classes=N_CLASSES, spread=3.0):
    logits = torch.tensor(spread * rng.normal(size=(n_rows, n_classes)))
    return logits, torch.tensor(rng.integers(0, n_classes, size=n_rows))


def corners(dtype=torch.float32):
    """Every combination of logits -90, 0 and 90."""
    return torch.cartesian_prod(*[torch.tensor([-90.0, 0.0, 90.0], dtype=dtype)] * 4)


# -- every loss ----------------------------------------------------------------------


def test_every_loss_has_settings_and_a_neutral_point():
    assert {name for name, _ in SETTINGS.values()} == set(LOSSES) == set(NEUTRAL)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_cross_entropy_at_neutral_parameters(name, rng):
    logits, target = draw(rng)
    params = dict(NEUTRAL[name])
    loss = make(name, params, params.pop("shares", SHARES))
    expected = nn.functional.cross_entropy(logits, target, reduction="none")
    torch.testing.assert_close(loss(logits, target), expected)


@all_settings
def test_loss_is_finite_at_extreme_logits(setting):
    """Values and gradients, in float32, at logits of ±90."""
    loss = made(setting).float()
    for target in range(N_CLASSES):
        logits = corners().requires_grad_()
        values = loss(logits, torch.full((len(logits),), target))
        (gradient,) = torch.autograd.grad(values.sum(), logits)
        assert torch.isfinite(values).all()
        assert torch.isfinite(gradient).all()


@invertible
def test_loss_pulls_back_confident_errors(setting):
    """No clamp may kill the gradient where the true class has hardly a chance.

    The asymmetric loss' margin does so for negatives, by its paper's intent.
    """
    logits = torch.zeros(4, 4)
    logits[torch.arange(4), [1, 2, 3, 0]] = 60.0  # 60 for a wrong class
    logits = logits.requires_grad_()
    values = made(setting).float()(logits, torch.arange(4))
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert (gradient.diagonal() < -1e-3).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@all_settings
def test_loss_stays_finite_under_autocast(setting, dtype):
    loss = made(setting).float()
    scores = corners().requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        logits = nn.functional.linear(scores, torch.eye(4))
        assert logits.dtype == dtype
        values = loss(logits, torch.arange(len(logits)) % 4)
    (gradient,) = torch.autograd.grad(values.mean(), scores)
    assert values.dtype == torch.float32
    assert torch.isfinite(values).all()
    assert torch.isfinite(gradient).all()


@all_settings
def test_loss_gradient_equals_finite_differences(setting, rng):
    logits, target = draw(rng)
    loss = made(setting).double()
    assert torch.autograd.gradcheck(
        lambda z: loss(z, target), logits.requires_grad_(), eps=1e-6, atol=1e-7
    )


@all_settings
def test_loss_commutes_with_permuted_classes(setting, rng):
    """What belongs to a class (parameters in a list, its share) goes with it."""
    logits, target = draw(rng)
    name, params = SETTINGS[setting]
    order = [2, 0, 3, 1]
    moved = {
        k: [v[i] for i in order] if isinstance(v, list) else v
        for k, v in params.items()
    }
    permuted = make(name, moved, [SHARES[i] for i in order])
    torch.testing.assert_close(
        permuted(logits[:, order], torch.tensor(order).argsort()[target]),
        made(setting)(logits, target),
    )


@pytest.mark.parametrize("setting", [s for s in SETTINGS if "vector" not in s])
def test_loss_ignores_a_constant_added_to_the_logits(setting, rng):
    """But for vector scaling, which multiplies each class by its own number."""
    logits, target = draw(rng)
    loss, shifted = made(setting), logits + 7.0
    torch.testing.assert_close(loss(shifted, target), loss(logits, target))
    torch.testing.assert_close(
        loss.log_posterior(shifted), loss.log_posterior(logits), rtol=1e-6, atol=1e-6
    )


@all_settings
def test_log_posterior_is_finite_at_extreme_logits(setting):
    log_posterior = made(setting).log_posterior(corners(torch.float64))
    assert torch.isfinite(log_posterior).all()
    torch.testing.assert_close(
        log_posterior.exp().sum(-1), torch.ones(81, dtype=torch.float64)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [180.0, 800.0, 1e4])
@all_settings
def test_log_posterior_is_not_nan_at_any_logits(setting, size, dtype):
    logits = torch.tensor([[0.0, size, -size, 0.0]], dtype=dtype)
    assert not torch.isnan(made(setting).log_posterior(logits)).any()


@all_settings
def test_log_posterior_of_two_classes_keeps_the_order(setting):
    """Strictly, also where outputs leave the range of the link."""
    name, params = SETTINGS[setting]
    params = {k: v[:2] if isinstance(v, list) else v for k, v in params.items()}
    z = torch.linspace(-20, 20, 801, dtype=torch.float64)
    loss = make(name, params, SHARES[:2])
    posterior = loss.log_posterior(torch.stack([torch.zeros_like(z), z], -1))
    assert (torch.diff(posterior[:, 1] - posterior[:, 0]) > 0).all()


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (Focal(alpha=0.25), "Focal(gamma=2.0, alpha=[0.75, 0.25])"),
        (Poly1(), "Poly1(epsilon=1.0)"),
        (LogitAdjusted(), "LogitAdjusted(tau=1.0)"),
        (BalancedSoftmax(), "BalancedSoftmax()"),
    ],
)
def test_repr_shows_the_parameters_of_the_loss(loss, expected):
    assert repr(loss) == expected


# -- inverse links -------------------------------------------------------------------


def risk_minimisers(loss, mass):
    """Minimise ``sum_i mass_i loss(z, i)`` over z, for every row of `mass`."""
    n_problems = len(mass)
    start = torch.tensor(np.log(np.maximum(mass, 1e-4)))
    start = (start - start[:, :1])[:, 1:]
    free = start.clone().requires_grad_()
    target = torch.arange(N_CLASSES).repeat(n_problems)
    weight = torch.tensor(mass)

    def logits():
        return torch.cat([torch.zeros(n_problems, 1).double(), free], 1)

    def risk():
        solver.zero_grad()
        values = loss(logits().repeat_interleave(N_CLASSES, 0), target)
        total = (weight * values.reshape(n_problems, N_CLASSES)).sum()
        total.backward()
        return total

    for _ in range(2):  # each from a fresh guess of the curvature
        solver = torch.optim.LBFGS(
            [free],
            max_iter=1000,
            history_size=50,
            tolerance_grad=1e-13,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )
        solver.step(risk)
    return logits().detach()


@pytest.fixture(scope="module")
def problems():
    """Posteriors, priors and class weights."""
    rng = np.random.default_rng(3)
    posterior = rng.dirichlet(np.ones(N_CLASSES), size=60)
    return posterior, np.array(SHARES), np.array([0.3, 1.0, 2.5, 8.0])


@pytest.mark.parametrize(
    "is_weighted",
    [
        pytest.param(False, id="plain", marks=pytest.mark.long),
        pytest.param(True, id="weighted"),
    ],
)
@invertible
def test_log_posterior_inverts_the_conditional_risk(setting, is_weighted, problems):
    """60 problems: the minimiser gives the posterior back, and its balanced class.

    LDAM, the ranking loss and the asymmetric loss with a margin are left out: they have
    no calibrated inverse.
    """
    posterior, prior, weights = problems
    weight = weights if is_weighted else np.ones(N_CLASSES)
    loss = made(setting).double()
    trained = effective_prior(prior, weight)
    seen = torch.tensor(prior)
    loss.bind(ClassShares(seen, seen, torch.tensor(trained)))
    logits = risk_minimisers(loss, posterior * weight)
    effective = loss.effective_prior(torch.tensor(trained)).numpy()
    found = loss.log_posterior(logits).numpy()
    np.testing.assert_allclose(
        np.exp(shift_prior(found, effective, prior)), posterior, atol=1e-4
    )
    balanced = shift_prior(found, effective, np.full(N_CLASSES, 0.25))
    np.testing.assert_array_equal(balanced.argmax(1), (posterior / prior).argmax(1))


@pytest.mark.parametrize("setting", sorted(NO_INVERSE))
def test_losses_without_an_inverse_say_so(setting):
    assert not made(setting).is_calibrated


@invertible
def test_losses_with_an_inverse_say_so(setting):
    assert made(setting).is_calibrated


@pytest.mark.parametrize("setting", ["asymmetric margin", "asymmetric margin, mild"])
def test_asymmetric_margin_is_inverted_between_its_bounds(setting, problems):
    """Small posteriors of the negative class all have the output 0, and one bound."""
    posterior, *_ = problems
    loss = made(setting).double()
    logits = risk_minimisers(loss, posterior)
    found = loss.log_posterior(logits).exp().numpy()
    is_lost = logits.softmax(-1)[:, 0].numpy() < 0.02
    assert 0 < is_lost.sum() < 60
    assert posterior[is_lost, 0].max() < 0.06
    assert found[is_lost, 0].max() < 0.06
    np.testing.assert_allclose(found[~is_lost], posterior[~is_lost], atol=1e-4)


# -- where training starts -----------------------------------------------------------


@invertible
def test_constant_minimiser_stands_for_the_prior(setting):
    name, params = SETTINGS[setting]
    prior = torch.tensor([0.979, 0.015, 0.005, 0.001], dtype=torch.float64)
    loss = make(name, params, prior.tolist())
    found = loss.log_posterior(constant_minimiser(loss, prior)).exp()
    torch.testing.assert_close(found, loss.effective_prior(prior), rtol=2e-3, atol=1e-5)


@all_settings
def test_constant_minimiser_is_where_the_risk_is_flat(setting):
    """But for the ranking loss, whose constants are equal, and which is not asked."""
    prior = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    loss = made(setting, prior.tolist()).double()
    z = constant_minimiser(loss, prior)
    assert z.dtype == torch.float64
    if loss.is_ranking:
        expected = prior.log() - prior.log().mean()
        torch.testing.assert_close(z, expected)
        return

    def risk(z):
        return prior @ loss(z.expand(4, -1), torch.arange(4))

    (slope,) = torch.autograd.grad(risk(z.requires_grad_()), z)
    assert slope.abs().max() < 1e-7


def test_constant_minimiser_of_the_cross_entropy_is_the_centred_log_prior():
    """Of any sum, in any dtype, and with a class that has no rows."""
    for prior in (torch.tensor([60.0, 30, 10]), torch.tensor([6, 3, 1])):
        expected = (prior.double() / prior.sum()).log()
        torch.testing.assert_close(
            constant_minimiser(CrossEntropy(), prior),
            expected - expected.mean(),
            rtol=0,
            atol=1e-7,
        )
    found = constant_minimiser(CrossEntropy(), torch.tensor([0.75, 0.25, 0.0]))
    p = found.softmax(-1)
    assert p[:2].tolist() == pytest.approx([0.75, 0.25], abs=1e-6)
    assert p[2] < 1e-6


def test_constant_minimiser_of_many_classes_without_an_inverse_is_the_log_prior():
    shares = np.arange(1, 26) / 325
    loss = make("ldam", {}, shares.tolist())
    expected = np.log(shares) - np.log(shares).mean()
    np.testing.assert_allclose(constant_minimiser(loss, shares), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_constant_minimiser_is_centred_where_that_means_the_same(gamma):
    prior = torch.tensor([0.9, 0.08, 0.02])
    loss = make("vector_scaling", {"gamma": gamma, "tau": 0.0}, (0.9, 0.08, 0.02))
    z = constant_minimiser(loss, prior)
    centre = z.mean() if gamma == 0 else z[0]
    assert centre.item() == pytest.approx(0.0, abs=1e-12)
    posterior = loss.log_posterior(z).exp()
    torch.testing.assert_close(posterior.float(), prior, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_constant_minimiser_leaves_the_loss_alone(name):
    loss = make(name, {})
    before = {k: v.clone() for k, v in loss.state_dict().items()}
    z = constant_minimiser(loss, torch.tensor(SHARES))
    assert torch.isfinite(z).all()
    assert all(torch.equal(v, before[k]) for k, v in loss.state_dict().items())


@pytest.mark.parametrize("n_classes", [21, 500])
@pytest.mark.parametrize("setting", [s for s in INVERTIBLE if s not in A_CLASS])
def test_constant_minimiser_of_many_classes_stands_for_the_prior(
    setting, n_classes, rng
):
    shares = 1 / np.arange(1, n_classes + 1)
    loss = made(setting, rng.permutation(shares / shares.sum()).tolist())
    prior = torch.tensor(shares / shares.sum())
    found = loss.log_posterior(constant_minimiser(loss, prior)).exp()
    torch.testing.assert_close(found, loss.effective_prior(prior), rtol=1e-3, atol=1e-6)


# -- against references --------------------------------------------------------------


def reference(name, params, shares, row, code):
    """Give a loss in mpmath, from its paper's formula."""
    exp, log = mpmath.exp, mpmath.log
    z = [mpmath.mpf(x) for x in row]
    pi = [mpmath.mpf(s) / mpmath.fsum(map(mpmath.mpf, shares)) for s in shares]

    def softmax_of(scores):
        exps = [exp(s) for s in scores]
        return [e / mpmath.fsum(exps) for e in exps]

    def of(key, default):
        value = params.get(key, default)
        return value[code] if isinstance(value, list) else value

    p = softmax_of(z)[code]
    if name == "cross_entropy":
        eps = params.get("label_smoothing", 0)
        logs = [log(v) for v in softmax_of(z)]
        return -(1 - eps) * logs[code] - eps * mpmath.fsum(logs) / len(logs)
    if name in ("focal", "poly_focal"):
        gamma, epsilon = of("gamma", 2.0), of("epsilon", 1.0)
        epsilon = 0 if name == "focal" else epsilon
        value = -((1 - p) ** gamma) * log(p) + epsilon * (1 - p) ** (gamma + 1)
        return of("alpha", 1) * value
    if name == "poly1":
        return -log(p) + of("epsilon", 1.0) * (1 - p)
    if name == "asymmetric":
        if code != shares.index(max(shares)):
            return -((1 - p) ** of("gamma_positive", 0.0)) * log(p)
        q = max(1 - p - of("margin", 0.0), mpmath.mpf(0))
        return -(q ** of("gamma_negative", 4.0)) * log(1 - q)
    if name == "ldam":
        margin = 0.5 * (min(pi) / pi[code]) ** mpmath.mpf(0.25)
        z[code] -= margin
        return -log(softmax_of([30 * x for x in z])[code])
    tau = of("tau", 1.0)
    gamma = of("gamma", 0.15) if name == "vector_scaling" else 0
    scores = [
        (s / max(pi)) ** gamma * x + tau * log(s) for s, x in zip(pi, z, strict=True)
    ]
    return -log(softmax_of(scores)[code])


PER_ROW = [k for k, (name, _) in SETTINGS.items() if name != "average_precision"]


@pytest.mark.parametrize("setting", PER_ROW)
def test_loss_equals_thirty_digit_reference(setting, rng):
    logits, target = draw(rng, 12, spread=6.0)
    name, params = SETTINGS[setting]
    values = made(setting).double()(logits, target)
    with mpmath.workdps(30):
        for row, code, value in zip(
            logits.tolist(), target.tolist(), values.tolist(), strict=True
        ):
            expected = reference(name, params, SHARES, row, code)
            assert value == pytest.approx(float(expected), rel=1e-12, abs=1e-15)


def test_average_precision_equals_thirty_digit_reference(rng):
    logits, target = draw(rng, 12, n_classes=2)
    temperature = 0.7
    loss = AveragePrecision(temperature=temperature, warmup=0.0)
    s = (logits[:, 1] - logits[:, 0]).tolist()
    positives = np.flatnonzero(target)
    with mpmath.workdps(30):

        def ahead(j, i):
            return 1 / (1 + mpmath.exp((mpmath.mpf(s[i]) - s[j]) / temperature))

        terms = []
        for i in positives:
            among = 1 + mpmath.fsum(ahead(j, i) for j in positives if j != i)
            rank = 1 + mpmath.fsum(ahead(j, i) for j in range(12) if j != i)
            terms.append(among / rank)
        expected = float(1 - mpmath.fsum(terms) / len(terms))
    assert loss(logits, target).mean().item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_average_precision_tends_to_the_metric(n_classes, rng):
    """At a small temperature, one minus scikit-learn's (macro) average precision."""
    logits, target = draw(rng, 200, n_classes)
    value = AveragePrecision(temperature=1e-6, warmup=0.0)(logits, target).mean()
    scores = softmax(logits.numpy(), axis=1)
    scored = [1] if n_classes == 2 else range(n_classes)
    expected = np.mean(
        [average_precision_score(target == c, scores[:, c]) for c in scored]
    )
    assert value.item() == pytest.approx(1 - expected, abs=1e-6)


def test_average_precision_in_parts_is_the_same(rng, monkeypatch):
    logits, target = draw(rng, 60, 3)
    loss = AveragePrecision(warmup=0.0)
    whole = loss(logits, target)
    monkeypatch.setattr("imbalnet.losses.ranking._PAIRS_AT_ONCE", 200)
    torch.testing.assert_close(loss(logits, target), whole)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_average_precision_of_many_validation_rows_is_estimated(
    n_classes, rng, monkeypatch
):
    """From every so many ranked rows, each among all rows."""
    logits, target = draw(rng, 2000, n_classes)
    loss = AveragePrecision(warmup=0.0).eval()
    whole = loss(logits, target)
    monkeypatch.setattr("imbalnet.losses.ranking._VALIDATION_PAIRS", 400 * 2000)
    part = loss(logits, target)
    assert (part > 0).sum() <= 200 * n_classes
    assert part.mean().item() == pytest.approx(whole.mean().item(), rel=0.05)


def evenly_spaced(target, n_pairs, ranked_classes):
    """Rows of each class that a budget of pairs ranks, by the formula."""
    n_classes, n_ranked = int(target.max()) + 1, np.isin(target, ranked_classes).sum()
    budget = n_pairs / len(target)
    fewest = max(20, min(200, budget / n_classes))
    for code in ranked_classes:
        rows = np.flatnonzero(target == code)
        wanted = max(budget * len(rows) / n_ranked, fewest)
        yield rows[:: max(1, int(np.ceil(len(rows) / wanted)))]


@pytest.mark.parametrize("counts", [(900, 1100), (30, 1950, 20), (700, 650, 650)])
@pytest.mark.parametrize("budget", [10, 150, 900, 5000])
def test_average_precision_of_many_validation_rows_is_the_mean_of_evenly_spaced_ones(
    counts, budget, rng, monkeypatch
):
    target = torch.tensor(rng.permutation(np.repeat(range(len(counts)), counts)))
    logits, _ = draw(rng, 2000, len(counts))
    loss = AveragePrecision(warmup=0.0).eval()
    monkeypatch.setattr("imbalnet.losses.ranking._VALIDATION_PAIRS", 2000**2)
    whole = loss(logits, target).numpy()
    monkeypatch.setattr("imbalnet.losses.ranking._VALIDATION_PAIRS", budget * 2000)
    part = loss(logits, target).numpy()
    classes = [1] if len(counts) == 2 else range(len(counts))
    expected = np.zeros(2000)
    for rows in evenly_spaced(target.numpy(), budget * 2000, classes):
        expected[rows] = whole[rows] * counts[target[rows[0]]] / len(rows)
    np.testing.assert_allclose(part, expected, rtol=1e-9)
    trained = loss.train()(logits, target).numpy()  # which ranks all rows
    np.testing.assert_allclose(trained, whole)


def test_average_precision_of_validation_rows_keeps_the_rarest_class(monkeypatch):
    monkeypatch.setattr("imbalnet.losses.ranking._VALIDATION_PAIRS", 400 * 5000)
    target = torch.cat([torch.zeros(4500), torch.ones(480), torch.full((20,), 2.0)])
    logits = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0))
    values = AveragePrecision().eval()(logits, target.long())
    counted = torch.bincount(target[values > 0].long())
    assert counted[2] == 20
    assert counted[0] < 1000


def test_average_precision_takes_many_classes(rng):
    """Log odds of 300 classes, without a square of logits for every row."""
    logits, target = draw(rng, 500, 300)
    scores = softmax(logits.numpy(), axis=1)
    value = AveragePrecision(temperature=1e-6, warmup=0.0)(logits, target).mean()
    present = np.unique(target)
    expected = np.mean(
        [average_precision_score(target == c, scores[:, c]) for c in present]
    )
    assert value.item() == pytest.approx(1 - expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_average_precision_heeds_no_default_dtype(dtype, rng):
    logits, target = draw(rng, 50, 2)
    loss = AveragePrecision(warmup=0.0)
    expected = loss(logits.to(dtype), target)
    try:
        torch.set_default_dtype(torch.float64)
        found = loss(logits.to(dtype), target)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == dtype
    assert torch.equal(found, expected)


def test_average_precision_without_positives_is_zero():
    values = AveragePrecision(warmup=0.0)(torch.zeros(5, 2), torch.zeros(5).long())
    assert values.tolist() == [0.0] * 5


def test_average_precision_warms_up_with_cross_entropy(rng):
    logits, target = draw(rng, n_classes=2)
    loss = AveragePrecision(warmup=0.5)
    plain = nn.functional.cross_entropy(logits, target, reduction="none")
    loss.begin_epoch(0.49)
    torch.testing.assert_close(loss(logits, target), plain)
    loss.begin_epoch(0.5)
    ranked = loss(logits, target)
    assert (ranked[target == 0] == 0).all()
    loss.begin_epoch(0.0)  # validation is always judged by the ranking
    torch.testing.assert_close(loss.eval()(logits, target), ranked)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_smoothed_cross_entropy_equals_torch(smoothing, rng):
    logits, target = draw(rng)
    expected = nn.functional.cross_entropy(
        logits, target, reduction="none", label_smoothing=smoothing
    )
    values = CrossEntropy(label_smoothing=smoothing)(logits, target)
    torch.testing.assert_close(values, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_torch_criterion_with_weights_and_smoothing_is_inverted(smoothing, problems):
    """``u = v / w``, normalised, then ``(u - eps / K) / (1 - eps)``."""
    posterior, prior, _ = problems
    weight = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    params = {"weight": weight, "label_smoothing": smoothing}
    loss = build_loss(nn.CrossEntropyLoss, params, N_CLASSES)
    assert loss.is_calibrated
    logits = risk_minimisers(loss.double(), posterior)
    v = logits.softmax(-1) / weight
    u = (v / v.sum(-1, keepdim=True)).numpy()
    by_hand = (u - smoothing / N_CLASSES) / (1 - smoothing)
    np.testing.assert_allclose(by_hand, posterior, atol=1e-4)
    effective = loss.effective_prior(torch.tensor(prior)).numpy()
    found = shift_prior(loss.log_posterior(logits).numpy(), effective, prior)
    np.testing.assert_allclose(np.exp(found), posterior, atol=1e-4)


@pytest.mark.parametrize(
    ("p", "expected"), [(0.9, 0.00105361), (0.5, 0.17328680), (0.1, 1.86509393)]
)
def test_focal_worked_values(p, expected):
    """Lin et al. 2017, gamma 2: (1 - p)**2 times -log p."""
    logits = torch.tensor([[1 - p, p]], dtype=torch.float64).log()
    value = Focal(gamma=2.0)(logits, torch.tensor([1])).item()
    assert value == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("gamma", [0.5, 1, 2, 5])
def test_focal_log_posterior_equals_thirty_digit_reference(gamma, rng):
    logits, _ = draw(rng, 20, 3, spread=10.0)
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


def test_focal_gamma_a_class_is_that_classs_focal_loss(rng):
    logits, target = draw(rng, n_classes=2)
    values = Focal(gamma=[3.0, 0.5])(logits, target)
    for code, gamma in enumerate([3.0, 0.5]):
        alone = Focal(gamma=gamma)(logits, target)
        torch.testing.assert_close(values[target == code], alone[target == code])


def test_asymmetric_of_two_classes_has_the_first_as_negative(rng):
    """Whatever their shares: ``classes_[1]`` is positive in scikit-learn."""
    logits, target = draw(rng, n_classes=2)
    loss = make("asymmetric", {"gamma_negative": 2.0}, (0.1, 0.9))
    focal = Focal(gamma=[2.0, 0.0])
    torch.testing.assert_close(loss(logits, target), focal(logits, target))


def test_asymmetric_negative_class_is_the_most_frequent_as_the_rows_came():
    """Not behind a sampler, which may make all classes equal."""
    seen, even = torch.tensor([0.1, 0.05, 0.85]), torch.full((3,), 1 / 3)
    loss = Asymmetric()
    loss.bind(ClassShares(seen, even, even))
    assert loss.negative == 2


def test_ldam_margins_fall_with_the_fourth_root():
    loss = make("ldam", {"max_margin": 0.4}, (16, 1, 81, 256))
    expected = [0.2, 0.4, 0.4 / 3, 0.1]
    np.testing.assert_allclose(loss.margins, expected)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_logit_adjusted_effective_prior_is_a_power(tau):
    prior = torch.tensor(SHARES, dtype=torch.float64)
    expected = prior ** (1 - tau) / (prior ** (1 - tau)).sum()
    for loss in (
        make("logit_adjusted", {"tau": tau}),
        make("vector_scaling", {"tau": tau}),
    ):
        torch.testing.assert_close(loss.effective_prior(prior), expected)


@pytest.mark.parametrize("name", ["logit_adjusted", "vector_scaling", "ldam"])
def test_absent_class_is_treated_as_the_rarest(name, rng):
    loss = make(name, {}, (0.7, 0.3, 0.0, 0.0))
    values = loss(*draw(rng))
    assert torch.isfinite(values).all()


def test_logit_adjustment_behind_balanced_weights_adjusts_nothing(rng):
    logits, target = draw(rng)
    loss = LogitAdjusted()
    shares = torch.tensor(SHARES)
    loss.bind(ClassShares(shares, shares, torch.full((4,), 0.25)))
    torch.testing.assert_close(loss(logits, target), CrossEntropy()(logits, target))


# -- wrong parameters ----------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.5, 2.0, [0.1, 0.0], [[0.5, 0.5]], "a"])
def test_focal_rejects_alpha(alpha):
    with pytest.raises(ValueError, match="loss__alpha"):
        Focal(alpha=alpha)


@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (CrossEntropy, {"label_smoothing": 1.0}),
        (Focal, {"gamma": -1}),
        (Focal, {"gamma": float("nan")}),
        (Focal, {"gamma": "two"}),
        (Focal, {"gamma": [1.0, -1.0]}),
        (Poly1, {"epsilon": -1.0}),
        (PolyFocal, {"epsilon": None}),
        (Asymmetric, {"margin": 1.0}),
        (Asymmetric, {"gamma_negative": -0.1}),
        (Asymmetric, {"gamma_positive": "a"}),
        (VectorScaling, {"gamma": -1}),
        (LogitAdjusted, {"tau": float("inf")}),
        (LDAM, {"scale": 0}),
        (LDAM, {"max_margin": -0.5}),
        (AveragePrecision, {"temperature": 0}),
        (AveragePrecision, {"warmup": 1.5}),
    ],
)
def test_loss_rejects_parameter(cls, params):
    (name,) = params
    with pytest.raises(ValueError, match=f"loss__{name}="):
        cls(**params)


def test_values_by_label_must_be_sorted_as_classes_are():
    gamma = pd.Series({"fine": 1.0, "best": 3.0})
    with pytest.raises(ValueError, match=r"loss__gamma.sort_index\(axis='index'\)"):
        build_loss("focal", {"gamma": gamma}, 2)
    loss = build_loss("focal", {"gamma": gamma.sort_index()}, 2)
    assert loss.gamma.tolist() == [3.0, 1.0]


@pytest.mark.parametrize("name", ["alpha", "gamma"])
def test_build_loss_rejects_class_values_of_wrong_length(name):
    with pytest.raises(ValueError, match="each of the 3 classes, but it has 2"):
        build_loss("focal", {name: [0.5, 0.5]}, 3)


def test_build_loss_lists_known_parameters():
    with pytest.raises(ValueError, match="known are loss__alpha, loss__gamma"):
        build_loss("focal", {"gama": 2}, 2)
    with pytest.raises(ValueError, match="it takes none"):
        build_loss("balanced_softmax", {"tau": 2}, 2)


def test_build_loss_takes_torch_criteria():
    loss = build_loss(nn.CrossEntropyLoss, {"label_smoothing": 0.1}, 3)
    logits, target = torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])
    assert loss(logits, target).shape == (4,)
    assert loss.is_calibrated
    assert not build_loss(nn.MultiMarginLoss, {}, 3).is_calibrated


def test_build_loss_counts_a_criterions_own_weight():
    loss = build_loss(nn.CrossEntropyLoss, {"weight": torch.tensor([1.0, 3.0])}, 2)
    assert loss.class_factors(2).tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (nn.NLLLoss, "expects log probabilities"),
        (nn.MSELoss, "is for regression"),
        (nn.Linear, "missing 2 required"),
    ],
)
def test_build_loss_rejects_other_criteria(criterion, message):
    with pytest.raises(ValueError, match=message):
        build_loss(criterion, {}, 2)


@pytest.mark.parametrize("number", [np.float64(1.5), np.float32(1.5), np.int64(2)])
def test_gamma_may_be_a_number_of_numpy(number):
    """As those of a grid by ``np.linspace``, or of a random search."""
    assert Focal(gamma=number).gamma.item() == float(number)

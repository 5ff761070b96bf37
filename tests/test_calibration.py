"""The one formula from log posteriors to probabilities."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch

from imbalnet._calibration import Calibration, OutOfFold

N_ROWS = 12
TARGETS = {
    "effective": None,
    "train": "train",
    "uniform": np.full(3, 1 / 3),
    "given": np.array([0.2, 0.7, 0.1]),
    "without a class": np.array([0.3, 0.0, 0.7]),
}
targets = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
n_members_of = pytest.mark.parametrize("n_members", [1, 2, 5])


def log_ratio(numerator, denominator):
    """A class that the denominator lacks is left as it is."""
    if denominator == 0:
        return 0.0
    return np.log(numerator / denominator) if numerator > 0 else -np.inf


def by_hand(calibration, log_posterior, target, evidence=None, members=None):
    """The user guide's formula, number by number."""
    n_rows, _, n_classes = log_posterior.shape
    prior, priors = calibration.class_prior, calibration.member_priors
    effective = [sum(p[c] for p in priors) / len(priors) for c in range(n_classes)]
    result = np.empty((n_rows, n_classes))
    for i in range(n_rows):
        voices = range(len(priors)) if members is None else [members[i]]
        mean = np.zeros(n_classes)
        for k, m in enumerate(voices):
            score = np.empty(n_classes)
            for c in range(n_classes):
                moved = log_posterior[i, k, c] + log_ratio(prior[c], priors[m][c])
                moved += calibration.member_offsets[m][c]
                score[c] = moved / calibration.temperature + calibration.offset[c]
            p = np.exp(score - score.max())
            mean += p / p.sum() / len(voices)
        for c in range(n_classes):
            if target is None:
                moved = -log_ratio(prior[c], effective[c])
            else:
                moved = log_ratio(target[c], prior[c])
            if evidence is not None:
                moved += evidence[i, c]
            result[i, c] = mean[c] * np.exp(moved)
        result[i] /= result[i].sum()
    return result


@pytest.fixture
def make(rng):
    """A calibration of random values, and the log posteriors of some rows."""

    def build(n_members, temperature=1.7):
        calibration = Calibration(
            class_prior=rng.dirichlet([8, 3, 1]),
            member_priors=rng.dirichlet([3, 3, 3], n_members),
            member_offsets=rng.normal(size=(n_members, 3)),
            temperature=temperature,
            offset=rng.normal(size=3),
        )
        return calibration, 3 * rng.normal(size=(N_ROWS, n_members, 3))

    return build


def probabilities(calibration, log_posterior, target, **given):
    target = calibration.class_prior if isinstance(target, str) else target
    scores = torch.from_numpy(log_posterior)
    log_p = calibration.for_target(target).apply(scores, **given)
    assert log_p.shape == (N_ROWS, 3)
    assert log_p.dtype is torch.float64
    expected = by_hand(calibration, log_posterior, target, **given)
    return log_p.exp().numpy(), expected


# -- the formula ---------------------------------------------------------------------


@targets
@n_members_of
@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.7])
@pytest.mark.parametrize("has_evidence", [False, True])
def test_apply_is_the_formula(n_members, temperature, has_evidence, target, make, rng):
    calibration, log_posterior = make(n_members, temperature)
    evidence = rng.normal(size=(N_ROWS, 3)) if has_evidence else None
    p, expected = probabilities(calibration, log_posterior, target, evidence=evidence)
    np.testing.assert_allclose(p, expected, rtol=1e-12)


@targets
@n_members_of
@pytest.mark.parametrize("has_evidence", [False, True])
def test_apply_takes_rows_of_one_member_each(
    n_members, has_evidence, target, make, rng
):
    """As out-of-fold rows come: the levels are those of the row's own member."""
    calibration, log_posterior = make(n_members)
    members = rng.integers(0, n_members, N_ROWS)
    own = log_posterior[np.arange(N_ROWS), members][:, None]
    evidence = rng.normal(size=(N_ROWS, 3)) if has_evidence else None
    given = {"evidence": evidence, "members": members}
    p, expected = probabilities(calibration, own, target, **given)
    np.testing.assert_allclose(p, expected, rtol=1e-12)


@targets
@pytest.mark.parametrize("n_members", [1, 3])
def test_apply_leaves_a_class_that_a_member_lacks(n_members, target, make):
    calibration, log_posterior = make(n_members)
    calibration.member_priors[0] = [0.6, 0.4, 0.0]
    p, expected = probabilities(calibration, log_posterior, target)
    np.testing.assert_allclose(p, expected, rtol=1e-12)
    assert np.isfinite(p).all()


@targets
@pytest.mark.parametrize("n_members", [1, 3])
def test_apply_ignores_a_constant_of_rows_and_members(n_members, target, make, rng):
    calibration, log_posterior = make(n_members)
    constant = 50 * rng.normal(size=(N_ROWS, n_members, 1))
    p, _ = probabilities(calibration, log_posterior, target)
    other, _ = probabilities(calibration, log_posterior + constant, target)
    np.testing.assert_allclose(other, p, rtol=1e-9)


@targets
@pytest.mark.parametrize("n_members", [1, 3])
def test_apply_survives_extreme_scores(n_members, target, make):
    calibration, log_posterior = make(n_members)
    target = calibration.class_prior if isinstance(target, str) else target
    p = (
        calibration.for_target(target)
        .apply(torch.from_numpy(1e6 * log_posterior))
        .exp()
        .numpy()
    )
    np.testing.assert_allclose(p.sum(axis=1), 1.0)


@pytest.mark.parametrize("n_members", [1, 3])
def test_apply_moves_all_rows_alike_between_targets(n_members, make):
    """Odds against another class change by the same factor, so that ranks stay."""
    calibration, log_posterior = make(n_members)
    scores = torch.from_numpy(log_posterior)
    one, other = (
        calibration.for_target(target).apply(scores).numpy()
        for target in (None, TARGETS["given"])
    )
    change = np.diff(other - one, axis=1)
    np.testing.assert_allclose(change, np.tile(change[0], (N_ROWS, 1)), rtol=1e-9)


def test_unfitted_calibration_changes_the_prior_alone(rng):
    prior, priors = rng.dirichlet([8, 3, 1]), rng.dirichlet([3, 3, 3], 1)
    calibration = Calibration.unfitted(prior, priors)
    assert calibration.temperature == 1.0
    assert not calibration.offset.any()
    assert not calibration.member_offsets.any()
    assert calibration.neighbors is None
    learned = rng.dirichlet([1, 1, 1], N_ROWS)
    scores = torch.from_numpy(np.log(learned)[:, None])
    np.testing.assert_allclose(
        calibration.for_target(None).apply(scores).exp(), learned
    )
    under_data = learned * prior / priors[0]
    under_data /= under_data.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        calibration.for_target(prior).apply(scores).exp(), under_data
    )


@n_members_of
def test_calibration_under_other_priors_keeps_what_was_fitted(n_members, make, rng):
    calibration, _ = make(n_members)
    prior, priors = rng.dirichlet([8, 3, 1]), rng.dirichlet([3, 3, 3], n_members)
    other = calibration.under(prior, priors)
    expected = replace(calibration, class_prior=prior, member_priors=priors)
    for name, value in vars(expected).items():
        assert getattr(other, name) is value
    np.testing.assert_allclose(other.effective_prior, priors.mean(axis=0))


def test_calibration_is_a_value(make):
    calibration, _ = make(1)
    with pytest.raises(FrozenInstanceError):
        calibration.temperature = 2.0


# -- out-of-fold rows ----------------------------------------------------------------


@targets
@pytest.mark.parametrize("has_evidence", [False, True])
@pytest.mark.parametrize("index", [None, [0, 2, 3, 4, 7, 9, 11]])
def test_out_of_fold_rows_go_through_the_formula(
    index, has_evidence, target, make, rng
):
    """Each by its own member; rows of weight 0 by all of them."""
    calibration, log_posterior = make(3)
    used = np.arange(N_ROWS) if index is None else np.array(index)
    others = np.setdiff1d(np.arange(N_ROWS), used)
    folds = rng.integers(0, 3, len(used))
    evidence = rng.normal(size=(N_ROWS, 3)) if has_evidence else None
    out_of_fold = OutOfFold(
        log_posterior[used, folds],
        folds,
        None if index is None else used,
        log_posterior[others],
        evidence,
    )
    target = calibration.class_prior if isinstance(target, str) else target
    p = np.exp(out_of_fold.log_proba(calibration, target))
    expected, members = np.empty((N_ROWS, 3)), np.full(N_ROWS, -1)
    for row in range(N_ROWS):
        its = None if evidence is None else evidence[[row]]
        scores, voice = log_posterior[[row]], None
        if row in used:
            members[row] = folds[np.flatnonzero(used == row)[0]]
            scores, voice = scores[:, members[[row]]], members[[row]]
        expected[row] = by_hand(calibration, scores, target, its, voice)[0]
    np.testing.assert_allclose(p, expected, rtol=1e-12)
    np.testing.assert_array_equal(out_of_fold.member_of_rows, members)

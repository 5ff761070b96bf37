"""Step 6: fit the calibration to held-out rows.

The values of :class:`~imbalnet._calibration.Calibration` are fitted one after another:
member offsets, temperature, neighbours, offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from imbalnet._calibration import Calibration, OutOfFold
from imbalnet._fit.feeds.batches import Place, Table
from imbalnet._fit.feeds.build import fold_feed
from imbalnet._fit.feeds.fold_feed import add_by_fold
from imbalnet._fit.net import ImbalanceNet
from imbalnet._fit.plan import TrainingPlan
from imbalnet._fit.specs import Validation
from imbalnet._fit.split import HeldOut
from imbalnet._tables import Rows
from imbalnet._warn import warn
from imbalnet.neighbors import Neighbors, fit_weight, sample_rows
from imbalnet.posterior import (
    effective_prior,
    fit_member_offsets,
    fit_offset,
    fit_temperature,
)
from imbalnet.posterior.prior import log_ratio

# Most out-of-fold rows to which the neighbours' weight is fitted.
_MOST_ASKED = 2**13


def calibrate_by_folds(
    unfitted: Calibration,
    out_of_fold: OutOfFold,
    held_out: HeldOut,
    validation: Validation,
    seed: int,
) -> tuple[Calibration, OutOfFold]:
    """Fit the calibration to out-of-fold rows; return both, with neighbours' evidence.

    `seed` is that of the sample of rows that are kept as neighbours.
    """
    rows, folds, result = held_out.judged.rows, out_of_fold.folds, unfitted
    class_prior, priors = unfitted.class_prior, unfitted.member_priors
    codes, weight = rows.of(rows.codes), rows.of(rows.weights)
    is_known = priors[folds, codes] > 0  # the member trained on the class
    if len(np.unique(codes[is_known])) < 2:  # one class cannot be calibrated
        return result, out_of_fold
    known = slice(None) if is_known.all() else is_known  # a slice makes no copy
    log_posterior = out_of_fold.log_posterior.astype(np.float64)
    add_by_fold(log_posterior, log_ratio(priors, class_prior), folds)
    _normalise(log_posterior)
    if validation.calibrate:
        offsets = fit_member_offsets(
            log_posterior, folds, len(priors), class_prior, weight
        )
        offsets[(priors == 0).any(axis=1)] = 0.0  # a class is missing
        offsets[~held_out.stratified(*priors.shape)] = 0.0
        add_by_fold(log_posterior, offsets, folds)
        temperature = fit_temperature(log_posterior[known], codes[known], weight[known])
        log_posterior /= temperature
        result = replace(result, temperature=temperature, member_offsets=offsets)
    if validation.n_neighbors:
        result, evidence = _with_neighbors(
            result, log_posterior, held_out, is_known, validation.n_neighbors, seed
        )
        if evidence is not None:
            log_posterior += rows.of(evidence)
            out_of_fold = replace(out_of_fold, evidence=evidence)
    if validation.calibrate:
        offset = fit_offset(log_posterior[known], codes[known], weight[known])
        result = replace(result, offset=offset)
    return result, out_of_fold


def _normalise(log_posterior: NDArray[np.float64]) -> None:
    """Normalise log posteriors in place: the probabilities of a row sum to 1."""
    values = torch.from_numpy(log_posterior)
    torch.log_softmax(values, -1, out=values)


def _with_neighbors(
    calibration: Calibration,
    log_posterior: NDArray,
    held_out: HeldOut,
    is_known: NDArray[np.bool_],
    n_neighbors: int,
    seed: int,
) -> tuple[Calibration, NDArray[np.float32] | None]:
    """Use neighbours if they clearly improve the likelihood of the out-of-fold rows.

    Their weight is fitted to a sample of the rows. The evidence is computed for the
    whole table, also for rows that no member trained on. Rows of a fold do not vote for
    each other if they may belong together.
    """
    rng, rows = np.random.default_rng(seed), held_out.rows
    folds = held_out.folds if held_out.are_apart else None
    neighbors = Neighbors(
        rows.of(rows.X),
        rows.of(rows.codes),
        rows.of(rows.weights),
        calibration.class_prior,
        n_neighbors,
        n_categories=rows.columns.n_categories or None,
        rng=rng,
        folds=folds,
    )
    asked = np.flatnonzero(is_known)
    asked = asked[sample_rows(len(asked), _MOST_ASKED, rng)]
    at = held_out.held[asked]
    some = rows.subset(at)
    found = neighbors.evidence_within(some.of(some.X), at, folds)
    factor = fit_weight(
        log_posterior[asked], found, some.of(some.codes), some.of(some.weights)
    )
    if factor <= 0:
        return calibration, None
    evidence = _evidence_of_table(neighbors, rows, folds, at, found)
    kept = replace(calibration, neighbors=neighbors, neighbor_weight=factor)
    return kept, factor * evidence.astype(np.float32)


def _evidence_of_table(
    neighbors: Neighbors,
    rows: Rows,
    folds: NDArray[np.integer] | None,
    at: NDArray[np.intp],
    found: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the evidence for all rows of the table.

    `found` is the evidence of the rows at the positions `at`, which is not computed
    again.
    """
    within = np.empty((len(rows), found.shape[1]))
    within[at] = found
    rest = np.setdiff1d(np.arange(len(rows)), at)
    if len(rest):
        others = rows.subset(rest)
        within[rest] = neighbors.evidence_within(others.of(others.X), rest, folds)
    if rows.index is None:
        return within
    evidence = np.empty((len(rows.codes), found.shape[1]))
    evidence[rows.index] = within
    unused = np.setdiff1d(np.arange(len(rows.codes)), rows.index)
    if len(unused):
        evidence[unused] = neighbors.evidence(rows.X[unused])
    return evidence


def fit_validation_offset(
    calibration: Calibration, net: ImbalanceNet, valid: Rows
) -> Calibration:
    """Fit the offset to validation rows, under the training prior.

    The user's validation rows may have other class shares, so rows are weighted to
    those of the training rows.
    """
    codes, class_prior = valid.of(valid.codes), calibration.class_prior
    shares = effective_prior(valid.counts(len(class_prior)))
    to_training = class_prior / np.where(shares > 0, shares, 1.0)
    log_posterior = net.predict_log_posterior(_streamed(valid, net))
    log_posterior = log_posterior + log_ratio(calibration.member_priors, class_prior)
    _normalise(log_posterior)
    weight = valid.of(valid.weights) * to_training[codes]
    return replace(calibration, offset=fit_offset(log_posterior, codes, weight))


def _as_float32(log_posterior: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cast log posteriors; finite ones, such as those of outliers, stay finite."""
    limits = np.finfo(np.float32)
    return np.clip(log_posterior, limits.min, limits.max).astype(np.float32)


def predict_out_of_fold(
    net: ImbalanceNet, plans: Sequence[TrainingPlan], held_out: HeldOut, n_classes: int
) -> OutOfFold:
    """Predict each row by the member that did not train on it."""
    rows, judged = held_out.rows, held_out.judged
    assert held_out.folds is not None
    assert judged.folds is not None
    others = np.empty((0, len(plans), n_classes), dtype=np.float32)
    if rows.index is not None:
        unused = np.ones(len(rows.codes), dtype=bool)
        unused[rows.index] = False
        rest = _streamed(replace(rows, index=np.flatnonzero(unused)), net)
        others = _as_float32(net.predict_log_posterior(rest))
    feed = fold_feed(judged, plans, _streaming(net))
    log_posterior = _as_float32(net.out_of_fold_log_posterior(feed))
    unheld = None
    if judged is not held_out:
        unheld = rows.subset(np.flatnonzero(held_out.folds < 0)).index
    return OutOfFold(
        log_posterior,
        judged.folds,
        judged.rows.index,
        others,
        unheld=unheld,
        codes=rows.codes.astype(np.min_scalar_type(n_classes - 1)),
        weight=None if rows.weight is None else _relative_to_largest(rows.weight),
    )


def _relative_to_largest(weight: NDArray[np.floating]) -> NDArray[np.float32]:
    """Divide weights by the largest one, since their scale may overflow float32."""
    return (weight / weight.max()).astype(np.float32)


def _streaming(net: ImbalanceNet) -> Place:
    return Place(net.dtype, torch.device(net.device), is_resident=False)


def _streamed(rows: Rows, net: ImbalanceNet) -> Table:
    """Return a table whose features are moved to the device block by block."""
    return Table(rows, _streaming(net))


def have_held_out(before: OutOfFold | None, held_out: HeldOut) -> bool:
    """Return whether members hold out the same rows as `before`; if not, warn."""
    held_out = held_out.judged
    folds = held_out.folds
    if before is not None and folds is not None and np.array_equal(before.folds, folds):
        rows = [known.index for known in (before, held_out.rows)]
        used = [np.arange(len(before.folds)) if i is None else i for i in rows]
        if np.array_equal(used[0], used[1]):
            return True
    warn(
        "warm_start goes on from members that may have trained on rows which they now "
        "hold out: the best epoch is chosen by such rows too, and there is no "
        "oof_proba_. Fit with the same rows in the same order, or with "
        "warm_start=False."
    )
    return False

"""What is fitted to rows that members did not train on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._calibration import OutOfFold
from imbalnet._fit.build import fold_rows
from imbalnet._fit.feed import NetRows
from imbalnet._fit.net import ImbalanceNet
from imbalnet._fit.plan import Folds, TrainingPlan
from imbalnet._runtime import one_openmp_thread
from imbalnet._tables.read import Rows
from imbalnet._warn import warn
from imbalnet.neighbors import Neighbors, fit_weight, sample
from imbalnet.posterior import (
    effective_prior,
    fit_member_offsets,
    fit_offset,
    fit_temperature,
    shift_prior,
)

# Out-of-fold rows by which the neighbours' weight is fitted, at most.
_MOST_ASKED = 2**13


@dataclass(frozen=True)
class Calibration:
    """What comes between a network's log posteriors and the probabilities.

    Attributes
    ----------
    temperature : float
        Divides the log posteriors.
    offset : ndarray of shape (n_classes,)
        Added to all of them.
    member_offsets : ndarray of shape (members, n_classes)
        Added to those of each member, before the temperature.
    neighbors : Neighbors or None
        Heard beside the network, if they tell more.
    neighbor_weight : float
        What their evidence is multiplied by.
    """

    temperature: float
    offset: NDArray[np.float64]
    member_offsets: NDArray[np.float64]
    neighbors: Neighbors | None = None
    neighbor_weight: float = 0.0

    @classmethod
    def none(cls, n_members: int, n_classes: int) -> Calibration:
        """Leave everything as the network says it."""
        return cls(1.0, np.zeros(n_classes), np.zeros((n_members, n_classes)))

    def evidence(self, X: Any) -> NDArray[np.float64] | None:
        """Give what the neighbours of rows add to the log of the members' mean."""
        if self.neighbors is None:
            return None
        with one_openmp_thread():
            return self.neighbor_weight * self.neighbors.evidence(X)


def calibrate_by_folds(
    out_of_fold: OutOfFold,
    rows: Rows,
    priors: NDArray,
    class_prior: NDArray,
    *,
    calibrate: bool,
    n_neighbors: int,
    seed: int,
) -> tuple[Calibration, OutOfFold]:
    """Fit to out-of-fold rows, one after the other: levels, temperature, neighbours.

    Parameters
    ----------
    out_of_fold : OutOfFold
    rows : Rows
        Those that the members held out, with their sample weights.
    priors : ndarray of shape (members, n_classes)
        What the members were trained under.
    class_prior : ndarray of shape (n_classes,)
    calibrate : bool
        Whether levels and temperature are fitted.
    n_neighbors : int
        0 asks no neighbours.
    seed : int
        Of the sample of rows that are kept for neighbours.

    Returns
    -------
    Calibration
    OutOfFold
        With the neighbours' evidence.
    """
    folds = out_of_fold.folds
    codes, weight = rows.of(rows.codes), rows.of(rows.weight)
    is_known = priors[folds, codes] > 0  # to the member
    result = Calibration.none(*priors.shape)
    if not is_known.any():
        return result, out_of_fold
    log_posterior = shift_prior(out_of_fold.log_posterior, priors[folds], class_prior)
    if calibrate:
        offsets = fit_member_offsets(
            log_posterior, folds, len(priors), class_prior, weight
        )
        offsets[(priors == 0).any(axis=1)] = 0.0  # where a class is missing
        log_posterior += offsets[folds]
        temperature = fit_temperature(
            log_posterior[is_known], codes[is_known], weight[is_known]
        )
        log_posterior /= temperature
        result = replace(result, temperature=temperature, member_offsets=offsets)
    if n_neighbors:
        with one_openmp_thread():
            rng = np.random.default_rng(seed)
            neighbors = Neighbors(rows, class_prior, n_neighbors, rng)
            factor = _neighbor_weight(neighbors, log_posterior, rows, is_known, rng)
            if factor > 0:
                evidence = factor * _evidence_of_all(neighbors, rows)
                log_posterior += rows.of(evidence)
                out_of_fold = replace(out_of_fold, evidence=evidence)
                result = replace(result, neighbors=neighbors, neighbor_weight=factor)
    if calibrate:
        offset = fit_offset(log_posterior[is_known], codes[is_known], weight[is_known])
        result = replace(result, offset=offset)
    return result, out_of_fold


def _neighbor_weight(
    neighbors: Neighbors,
    log_posterior: NDArray,
    rows: Rows,
    is_known: NDArray[np.bool_],
    rng: np.random.Generator,
) -> float:
    """Fit the neighbours' weight to a sample of the rows."""
    asked = np.flatnonzero(is_known)
    asked = asked[sample(len(asked), _MOST_ASKED, rng)]
    some = rows.subset(asked)
    return fit_weight(
        log_posterior[asked],
        neighbors.evidence_within(some.of(some.X), asked),
        some.of(some.codes),
        some.of(some.weight),
    )


def _evidence_of_all(neighbors: Neighbors, rows: Rows) -> NDArray[np.float32]:
    """Give the evidence for the whole table, also for rows that nobody trained on."""
    if rows.index is None:
        return neighbors.evidence_within(rows.X).astype(np.float32)
    evidence = neighbors.evidence(rows.X)
    evidence[rows.index] = neighbors.evidence_within(rows.X[rows.index])
    return evidence.astype(np.float32)


def fit_validation_offset(
    net: ImbalanceNet, valid: Rows, priors: NDArray, class_prior: NDArray
) -> NDArray[np.float64]:
    """Fit what is left of a bias to validation rows, under the training prior.

    Given validation rows may have other class shares; they are weighted to those of
    the training rows.
    """
    codes = valid.of(valid.codes)
    shares = effective_prior(valid.counts(len(class_prior)))
    to_training = class_prior / np.where(shares > 0, shares, 1.0)
    rows = NetRows(
        valid.X,
        valid.codes,
        valid.weight,
        valid.index,
        dtype=net.dtype,
        device=net.device,
        resident=False,
    )
    log_posterior = net.predict_log_posterior(rows)
    source = priors if len(priors) > 1 else priors[0]
    log_posterior = shift_prior(log_posterior, source, class_prior)
    return fit_offset(log_posterior, codes, valid.of(valid.weight) * to_training[codes])


def predict_out_of_fold(
    net: ImbalanceNet, plans: tuple[TrainingPlan, ...], folds: Folds, n_classes: int
) -> OutOfFold:
    """Let members predict the rows that they did not train on."""
    rows = folds.rows
    place: dict[str, Any] = {"dtype": net.dtype, "device": net.device}
    held_out = fold_rows(folds, plans, resident=False, **place)
    others = np.empty((0, len(plans), n_classes), dtype=np.float32)
    if rows.index is not None:
        unused = np.ones(len(rows.codes), dtype=bool)
        unused[rows.index] = False
        rest = NetRows(
            rows.X,
            rows.codes,
            rows.weight,
            np.flatnonzero(unused),
            resident=False,
            **place,
        )
        others = net.predict_log_posterior(rest).astype(np.float32)
    log_posterior = net.out_of_fold_log_posterior(held_out).astype(np.float32)
    return OutOfFold(log_posterior, folds.folds, rows.index, others)


def have_held_out(before: OutOfFold | None, folds: Folds) -> bool:
    """Tell whether members that go on never trained on the rows that they hold out.

    Warns
    -----
    UserWarning
        If they may have: early stopping then sees rows that they know.
    """
    if before is not None and np.array_equal(before.folds, folds.folds):
        rows = [known.index for known in (before, folds.rows)]
        used = [np.arange(len(folds.folds)) if i is None else i for i in rows]
        if np.array_equal(used[0], used[1]):
            return True
    warn(
        "warm_start goes on from members that may have trained on rows which they now "
        "hold out: the best epoch is chosen by such rows too, and there is no "
        "oof_proba_. Fit with the same rows in the same order, or with "
        "warm_start=False."
    )
    return False

"""The one formula from a network's log posteriors to probabilities.

``predict_proba``, ``oof_proba_`` and everything else that needs probabilities calls
:meth:`Formula.apply`. `imbalnet._fit.calibrate` fits its constants in the same order.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbalnet._runtime import one_blas_thread, torch_threads
from imbalnet._tables.labels import notes_on_positive
from imbalnet._warn import warn
from imbalnet.decisions.threshold import best_threshold
from imbalnet.neighbors import Neighbors
from imbalnet.posterior.prior import log_ratio


@dataclass(frozen=True)
class Calibration:
    """The fitted constants that turn members' log posteriors into probabilities.

    Attributes
    ----------
    class_prior : ndarray of shape (n_classes,)
        Class distribution of the rows passed to ``fit``, before any weighting.
    member_priors : ndarray of shape (members, n_classes)
        Class distribution that each member was trained under.
    member_offsets : ndarray of shape (members, n_classes)
        Added to the members' log posteriors, fitted to the rows that each holds out.
    temperature : float
        Divides the log posteriors.
    offset : ndarray of shape (n_classes,)
        Added to the log posteriors.
    neighbors : Neighbors or None
        The training rows kept for the evidence of nearest neighbours.
    neighbor_weight : float
        Weight of that evidence.
    """

    class_prior: NDArray[np.float64]
    member_priors: NDArray[np.float64]
    member_offsets: NDArray[np.float64]
    temperature: float
    offset: NDArray[np.float64]
    neighbors: Neighbors | None = None
    neighbor_weight: float = 0.0

    @classmethod
    def unfitted(cls, class_prior: NDArray, member_priors: NDArray) -> Calibration:
        """Return a calibration that corrects for priors, and for nothing else."""
        offsets = np.zeros(member_priors.shape)
        return cls(class_prior, member_priors, offsets, 1.0, np.zeros(len(class_prior)))

    def under(self, class_prior: NDArray, member_priors: NDArray) -> Calibration:
        """Return the same calibration with other priors."""
        return replace(self, class_prior=class_prior, member_priors=member_priors)

    @property
    def effective_prior(self) -> NDArray[np.float64]:
        """Mean of the members' priors."""
        return self.member_priors.mean(axis=0)

    def computing(self) -> AbstractContextManager[None]:
        """Return the context to call `finish` in.

        Neighbours are found by NumPy's matrix products, which get one thread.
        """
        return nullcontext() if self.neighbors is None else one_blas_thread()

    def finish(
        self, formula: Formula, X: Any, log_posterior: Tensor, rows: slice
    ) -> Tensor:
        """Return log probabilities of `rows` of the matrix `X`, from log posteriors."""
        if self.neighbors is None:
            return formula.apply(log_posterior)
        evidence = self.neighbor_weight * self.neighbors.evidence(X[rows])
        return formula.apply(log_posterior, evidence=evidence)

    def for_target(self, target_prior: NDArray | None) -> Formula:
        """Return the formula for a target prior; None keeps the effective prior."""
        to_target = (
            self._to_effective_prior
            if target_prior is None
            else log_ratio(self.class_prior, target_prior)
        )
        return Formula(self._level, self.temperature, to_target)

    @cached_property
    def _level(self) -> NDArray[np.float64]:
        to_data = log_ratio(self.member_priors, self.class_prior)
        return self.offset + (to_data + self.member_offsets) / self.temperature

    @cached_property
    def _to_effective_prior(self) -> NDArray[np.float64]:
        return -log_ratio(self.effective_prior, self.class_prior)


@dataclass(frozen=True)
class Formula:
    """The user guide's formula for one target prior.

    Members are averaged under the data's class distribution whatever the target, so
    that their mean ranks rows alike under every target.

    Attributes
    ----------
    level : {ndarray, Tensor} of shape (members, n_classes)
        Added to each member's log posteriors after division by the temperature: offset,
        shift to the data's prior, and member offset.
    temperature : float
    to_target : {ndarray, Tensor} of shape (n_classes,)
        Added to the log of the members' mean.
    """

    level: Any
    temperature: float
    to_target: Any

    def apply(
        self,
        log_posterior: Tensor,
        *,
        evidence: NDArray | Tensor | None = None,
        members: NDArray[np.integer] | None = None,
    ) -> Tensor:
        """Return log probabilities, of shape (n_rows, n_classes) in float64.

        Parameters
        ----------
        log_posterior : Tensor of float64, shape (n_rows, members, n_classes)
            The loss' inverse link of the logits
            (:meth:`~imbalnet.losses.Loss.posterior_scores`), up to a constant for each
            row and member.
        evidence : {ndarray, Tensor} of shape (n_rows, n_classes) or None, default=None
            Added to the log probabilities: the neighbours' evidence times its weight.
        members : ndarray of int, shape (n_rows,), or None, default=None
            The member of each row, if `log_posterior` has one member for each row
            (``members`` is 1 in the shape above). None means all members, in order.
        """
        device, added = log_posterior.device, self.to_target
        level = self.level if members is None else self.level[members, None]
        if self.temperature != 1.0:
            log_posterior = log_posterior / self.temperature
        if log_posterior.shape[1] == 1:  # the mean over one is the member itself
            log_mean, added = log_posterior[:, 0], level[..., 0, :] + added
        else:
            of_members = log_posterior + torch.as_tensor(level, device=device)
            log_mean = of_members.log_softmax(-1).logsumexp(1)
        shift = torch.as_tensor(added, device=device)
        if evidence is not None:
            shift = shift + torch.as_tensor(evidence, device=device)
        return (log_mean + shift).log_softmax(-1)


@dataclass(frozen=True)
class OutOfFold:
    """Log posteriors of the training rows, by members that did not train on them.

    Attributes
    ----------
    log_posterior : ndarray of shape (n_used_rows, n_classes)
        Of each row, by the member that held it out, under that member's prior.
    folds : ndarray of shape (n_used_rows,)
        The member that held out each row.
    index : ndarray of shape (n_used_rows,) or None
        Positions of these rows among all rows, ascending; None means all rows.
    others : ndarray of shape (n_other_rows, members, n_classes)
        Of the rows of weight 0, which no member trained on, by all members.
    evidence : ndarray of shape (n_rows, n_classes) or None, default=None
        Evidence of the neighbours, for all rows.
    unheld : ndarray of shape (n_unheld_rows,) or None, default=None
        Positions of the rows that every member trained on. They have no out-of-fold
        prediction.
    codes : ndarray of shape (n_rows,) or None, default=None
        Class codes of all rows, needed to choose thresholds.
    weight : ndarray of shape (n_rows,) or None, default=None
        Sample weights of all rows, of any scale; None means equal weights.
    """

    log_posterior: NDArray[np.floating]
    folds: NDArray[np.integer]
    index: NDArray[np.integer] | None
    others: NDArray[np.floating]
    evidence: NDArray[np.floating] | None = None
    unheld: NDArray[np.integer] | None = None
    codes: NDArray[np.integer] | None = None
    weight: NDArray[np.floating] | None = None

    @torch_threads(1)
    def log_proba(
        self, calibration: Calibration, target_prior: NDArray | None
    ) -> NDArray[np.float64]:
        """Return log probabilities of all rows, in the order in which they came.

        Rows of weight 0 get the mean over the members; rows that every member trained
        on get NaN.
        """
        parts = [
            (self._is_held, self.log_posterior[:, None], self.folds),
            (self._is_other, self.others, None),
        ]
        result = np.full((self._n_rows, self.log_posterior.shape[1]), np.nan)
        formula = calibration.for_target(target_prior)
        for rows, log_posterior, members in parts:
            evidence = None if self.evidence is None else self.evidence[rows]
            scores = torch.from_numpy(log_posterior.astype(np.float64))
            log_p = formula.apply(scores, evidence=evidence, members=members)
            result[rows] = log_p.numpy()
        return result

    def best_threshold(
        self,
        calibration: Calibration,
        target_prior: NDArray | None,
        criterion: Any,
        classes: NDArray,
    ) -> float:
        """Choose a threshold on the rows that a member held out.

        The rows are weighted so that the classes have the target prior. Warn if the
        positive class is the frequent one.
        """
        assert self.codes is not None
        rows = self.member_of_rows >= 0
        counts = np.bincount(self.codes[rows], minlength=2)
        for note in notes_on_positive(classes.tolist(), counts.tolist()):
            warn(note)
        scores = honest = np.exp(self.log_proba(calibration, target_prior)[rows, 1])
        if target_prior is None:
            of_data = self.log_proba(calibration, calibration.class_prior)
            honest = np.exp(of_data[rows, 1])
        return best_threshold(
            scores,
            self.codes[rows] == 1,
            self.weight_under(calibration, target_prior)[rows],
            criterion,
            honest=honest,
            labels=classes,
            passes_weight=self.weight is not None or target_prior is not None,
        )

    def weight_under(
        self, calibration: Calibration, target_prior: NDArray | None
    ) -> NDArray[np.float64]:
        """Return weights of the rows under which the classes have the target prior.

        Rows that no member held out have weight 0.
        """
        assert self.codes is not None
        weight = (self.member_of_rows >= 0).astype(np.float64)
        if self.weight is not None:
            weight *= self.weight
        if target_prior is not None:
            prior = calibration.class_prior
            weight *= (target_prior / np.where(prior > 0, prior, 1.0))[self.codes]
        return weight

    @property
    def member_of_rows(self) -> NDArray[np.integer]:
        """The member that held out each row; -1 for rows that none did."""
        members = np.full(self._n_rows, -1)
        members[self._is_held] = self.folds
        return members

    @property
    def _n_rows(self) -> int:
        n_unheld = 0 if self.unheld is None else len(self.unheld)
        return len(self.folds) + len(self.others) + n_unheld

    @property
    def _is_held(self) -> NDArray[np.bool_]:
        is_held = np.full(self._n_rows, self.index is None)
        if self.index is not None:
            is_held[self.index] = True
        return is_held

    @property
    def _is_other(self) -> NDArray[np.bool_]:
        is_other = ~self._is_held
        if self.unheld is not None:
            is_other[self.unheld] = False
        return is_other

"""What the members of an ensemble say of the rows that they did not train on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp


@dataclass(frozen=True)
class OutOfFold:
    """Log posteriors of the training rows, by members that did not train on them.

    Attributes
    ----------
    log_posterior : ndarray of shape (n_used_rows, n_classes)
        Of each row by its own member, under that member's trained prior.
    folds : ndarray of shape (n_used_rows,)
        The member of each row.
    index : ndarray of shape (n_used_rows,) or None
        Where these rows stand among all that were given; None is all.
    others : ndarray of shape (n_other_rows, members, n_classes)
        Of the rows that nobody trained on, for their weight was 0, by all members.
    evidence : ndarray of shape (n_rows, n_classes) or None, default=None
        What is added to the log probabilities of all rows.
    """

    log_posterior: NDArray[np.floating]
    folds: NDArray[np.integer]
    index: NDArray[np.integer] | None
    others: NDArray[np.floating]
    evidence: NDArray[np.floating] | None = None

    def shifted(
        self,
        shift: NDArray,
        mean_shift: NDArray | float = 0.0,
        temperature: float = 1.0,
    ) -> NDArray[np.float64]:
        """Give log probabilities of all rows, in the order in which they were given.

        Parameters
        ----------
        shift : ndarray of shape (members, n_classes) or (n_classes,)
            What is added to the members' log posteriors.
        mean_shift : ndarray of shape (n_classes,) or float, default=0.0
            What is added behind the average.
        temperature : float, default=1.0
            What the log posteriors are divided by at first.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            The other rows have the mean of the members' probabilities.
        """
        log_p = self._of_members(shift, mean_shift, temperature)
        if self.evidence is None:
            return log_p
        return log_softmax(log_p + self.evidence, axis=-1)

    def _of_members(
        self, shift: NDArray, mean_shift: NDArray | float, temperature: float
    ) -> NDArray[np.float64]:
        own = (shift if shift.ndim == 1 else shift[self.folds]) + mean_shift
        used = log_softmax(
            self.log_posterior.astype(np.float64) / temperature + own, axis=-1
        )
        if self.index is None:
            return used
        result = np.empty((len(used) + len(self.others), used.shape[1]))
        is_other = np.ones(len(result), dtype=bool)
        is_other[self.index] = False
        result[self.index] = used
        members = log_softmax(
            self.others.astype(np.float64) / temperature + shift, axis=-1
        )
        mean = logsumexp(members, axis=1)
        result[is_other] = log_softmax(mean + mean_shift, axis=-1)
        return result

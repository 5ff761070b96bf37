"""Samplers that balance over the epoch: weighted, over- and undersampling."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from imbalnet._checks import checked_integer
from imbalnet.samplers.base import (
    ClassQueue,
    IndexSampler,
    are_weights,
    checked_counts,
    fill,
    per_row,
    tempered_shares,
)


class WeightedSampler(IndexSampler):
    """Draw rows with replacement, rarer classes more often; an epoch has n rows.

    Parameters
    ----------
    power : float, default=1.0
        0 keeps the class shares of the data, 1 makes all classes equally
        frequent.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.samplers import WeightedSampler
    >>> codes = np.repeat([0, 1], [9_000, 1_000])
    >>> sampler = WeightedSampler(power=0.5).bind(codes, np.random.default_rng(0))
    >>> codes[sampler.epoch(batch_size=100)].mean().item()  # share of positive rows
    0.2505
    >>> sampler.rates(sampler.counts, batch_size=100).round(2)  # draws of a row
    array([0.83, 2.5 ])
    """

    def epoch(self, batch_size: int) -> NDArray[np.intp]:
        """Draw one epoch of row numbers."""
        checked_integer("batch_size", batch_size)
        shares = tempered_shares(self.counts, self.power)
        codes = self.rng.choice(len(shares), size=self.counts.sum(), p=shares)
        return fill(codes, self.queues, ClassQueue.draw)

    def rates(self, counts: NDArray, batch_size: int) -> NDArray[np.float64]:
        """Compute how often a row of each class is drawn in an epoch."""
        counts = checked_counts(counts, batch_size)
        return per_row(tempered_shares(counts, self.power) * counts.sum(), counts)


class _QuotaSampler(IndexSampler):
    """Draw a fixed number of rows of each class, without replacement if possible.

    Rows that an epoch leaves out come first in the next one, so that all rows are used.
    """

    @abstractmethod
    def anchor(self, counts: NDArray) -> float:
        """Return the class size that ``power=1`` brings every class to."""

    def quotas(self, counts: NDArray) -> NDArray:
        """Compute the number of rows of each class in an epoch."""
        present = counts > 0
        size = self.anchor(counts[present])
        raw = np.where(present, counts, 1.0) ** (1.0 - self.power) * size**self.power
        rows = raw if are_weights(counts) else np.rint(raw).astype(np.intp)
        return np.where(present, rows, 0)

    def epoch(self, batch_size: int) -> NDArray[np.intp]:
        """Draw one epoch of row numbers."""
        checked_integer("batch_size", batch_size)
        quotas = self.quotas(self.counts)
        drawn = [queue.take(quotas[code]) for code, queue in self.queues.items()]
        return self.rng.permutation(np.concatenate(drawn))

    def rates(self, counts: NDArray, batch_size: int) -> NDArray[np.float64]:
        """Compute how often a row of each class is drawn in an epoch."""
        counts = checked_counts(counts, batch_size)
        return per_row(self.quotas(counts), counts)

    def epoch_rows(self, counts: NDArray) -> int:
        """Compute how many rows an epoch draws."""
        return round(self.quotas(checked_counts(counts)).sum())


class Oversampler(_QuotaSampler):
    """Repeat the rows of rarer classes up to the size of the largest class.

    Parameters
    ----------
    power : float, default=1.0
        0 keeps the class shares of the data, 1 makes all classes equally
        frequent.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.samplers import Oversampler
    >>> codes = np.repeat([0, 1], [90, 10])
    >>> sampler = Oversampler().bind(codes, np.random.default_rng(0))
    >>> np.bincount(codes[sampler.epoch(batch_size=20)])
    array([90, 90])
    >>> sampler.rates(sampler.counts, batch_size=20)  # draws of a row
    array([1., 9.])
    """

    def anchor(self, counts: NDArray) -> float:
        """Return the class size that ``power=1`` brings every class to.

        Parameters
        ----------
        counts : ndarray of shape (n_classes,)
            Number of rows of each class that has any.

        Returns
        -------
        float
            Size of the largest class.
        """
        return counts.max()


class Undersampler(_QuotaSampler):
    """Draw from larger classes as many rows as the smallest has, new ones each epoch.

    Rows of a class are drawn without replacement until all have been drawn: with two
    classes of ratio r, every row of the larger one is drawn within ceil(r) epochs.

    Parameters
    ----------
    power : float, default=1.0
        0 keeps the class shares of the data, 1 makes all classes equally
        frequent.

    Examples
    --------
    All rows are drawn within nine epochs:

    >>> import numpy as np
    >>> from imbalnet.samplers import Undersampler
    >>> codes = np.repeat([0, 1], [90, 10])
    >>> sampler = Undersampler().bind(codes, np.random.default_rng(0))
    >>> epochs = [sampler.epoch(batch_size=20) for _ in range(9)]
    >>> np.bincount(codes[epochs[0]])
    array([10, 10])
    >>> len(np.unique(np.concatenate(epochs)))
    100
    """

    def anchor(self, counts: NDArray) -> float:
        """Return the class size that ``power=1`` brings every class to.

        Parameters
        ----------
        counts : ndarray of shape (n_classes,)
            Number of rows of each class that has any.

        Returns
        -------
        float
            Size of the smallest class.
        """
        return counts.min()

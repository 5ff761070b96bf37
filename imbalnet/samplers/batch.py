"""Samplers that keep class shares in every batch, not only over the epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imbalnet.samplers._epochs import batch_sizes
from imbalnet.samplers.base import (
    ClassQueue,
    IndexSampler,
    are_weights,
    checked_counts,
    fill,
    per_row,
    tempered_shares,
)

# Slots whose due times differ by less than this are assigned in random order.
_TIE = 1e-6


class StratifiedBatchSampler(IndexSampler):
    """Keep the class shares in every batch; an epoch has n rows.

    Class c has a share q_c ∝ n_c ** (1 - power) of each batch. If a batch has at least
    twice as many slots as there are classes, every batch holds every class: a class
    whose share is less than a row gets one row in each batch, repeated as needed, and
    the others share the rest. (A last batch with fewer slots than classes is an
    exception.)

    The slots that rounding leaves over are assigned so that, at the end of every batch,
    the number of rows of a class since training began differs from the sum of its
    shares by at most one. A single batch holds a class' share rounded down, or one row
    more; with more than two classes sometimes two more.

    Within a class rows are drawn without replacement until all have been drawn. With
    ``power=0``, and no share below a row in any batch, an epoch is every row once.

    Parameters
    ----------
    power : float, default=0.0
        0 keeps the class shares of the data, 1 makes all classes equally
        frequent.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.samplers import StratifiedBatchSampler
    >>> codes = np.repeat([0, 1], [90, 10])
    >>> sampler = StratifiedBatchSampler().bind(codes, np.random.default_rng(0))
    >>> batches = codes[sampler.epoch(batch_size=20)].reshape(5, 20)
    >>> batches.sum(axis=1).tolist()
    [2, 2, 2, 2, 2]
    """

    def __init__(self, power: float = 0.0) -> None:
        super().__init__(power)

    def bind(
        self, codes: NDArray[np.integer], rng: np.random.Generator
    ) -> StratifiedBatchSampler:
        """Set the class codes of the training rows and the generator of the draws."""
        super().bind(codes, rng)
        self.dealer = _Dealer(len(self.counts), self.rng)
        return self

    def epoch(self, batch_size: int) -> NDArray[np.intp]:
        """Draw one epoch of row numbers, sorted by class within each batch."""
        quotas = _BatchQuotas(self.counts, batch_size, self.power)
        classes = np.arange(len(self.counts))
        dealt = self.dealer.deal(quotas.full, quotas.last, quotas.n_batches)
        slots = np.concatenate([np.repeat(classes, n_slots) for n_slots in dealt])
        return fill(slots, self.queues, ClassQueue.take)

    def rates(self, counts: NDArray, batch_size: int) -> NDArray[np.float64]:
        """Compute how often a row of each class is drawn in an epoch."""
        counts = checked_counts(counts, batch_size)
        if are_weights(counts):
            drawn = tempered_shares(counts, self.power) * counts.sum()
        else:
            drawn = _BatchQuotas(counts, batch_size, self.power).total
        return per_row(drawn, counts)


class BalancedBatchSampler(StratifiedBatchSampler):
    """Fill every batch with the classes in equal parts; an epoch has n rows.

    If there are more classes than slots, the classes with the fewest slots so far come
    first.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.samplers import BalancedBatchSampler
    >>> codes = np.repeat([0, 1], [90, 10])
    >>> sampler = BalancedBatchSampler().bind(codes, np.random.default_rng(0))
    >>> batches = codes[sampler.epoch(batch_size=20)].reshape(5, 20)
    >>> batches.sum(axis=1).tolist()  # positive rows
    [10, 10, 10, 10, 10]
    """

    def __init__(self) -> None:
        super().__init__(power=1.0)


class _BatchQuotas:
    """Expected slots of each class in a full batch, in the last one and in an epoch."""

    def __init__(self, counts: NDArray, batch_size: int, power: float) -> None:
        sizes = batch_sizes(counts.sum(), batch_size)
        shares = tempered_shares(counts, power)
        n_present = int(np.count_nonzero(counts))
        first, last = sizes[0], sizes[-1]
        keeps_all = 2 * n_present <= first
        self.n_batches = len(sizes)
        self.full = _quotas(shares, first, keeps_all)
        self.last = _quotas(shares, last, keeps_all and last >= n_present)
        self.total = (self.n_batches - 1) * self.full + self.last


def _quotas(shares: NDArray, size: int, keeps_all: bool) -> NDArray[np.float64]:
    """Distribute `size` slots; with `keeps_all` every class gets at least one."""
    quotas = shares * size
    raised = np.zeros(len(shares), dtype=bool)
    while keeps_all and (quotas[shares > 0] < 1).any():
        raised |= (shares > 0) & (quotas < 1)
        rest = np.where(raised, 0.0, shares)
        left = size - np.count_nonzero(raised)
        quotas = np.where(raised, 1.0, rest * (left / max(rest.sum(), _TIE)))
    return quotas


class _Dealer:
    """Assigns the slots of each batch to classes, so that every class gets its quota.

    In every batch a class gets its quota rounded down. The slots left over are unit
    jobs: the k-th job of a class is released in the batch in which the sum of its
    quotas exceeds k - 1, and due in the batch in which the sum reaches k. A schedule
    that meets all deadlines exists: the fractions are a fractional schedule, and the
    constraint matrix of the time windows is totally unimodular. Earliest-deadline-first
    finds one, as it does for all unit jobs with integer times. The rows of a class
    therefore never differ from its quota by more than one, also over several epochs,
    because the remainder is carried over.
    """

    def __init__(self, n_classes: int, rng: np.random.Generator) -> None:
        self.owed = np.zeros(n_classes)
        self.rng = rng

    def deal(
        self, full: NDArray, last: NDArray, n_batches: int
    ) -> Iterator[NDArray[np.intp]]:
        """Yield the number of slots of each class, for all batches of an epoch."""
        parts = full % 1, last % 1
        for i in range(n_batches):
            is_last = i == n_batches - 1
            quota = last if is_last else full
            n_slots, part = quota.astype(np.intp), parts[is_last]
            self.owed += part
            n_open = round(part.sum())
            if n_open:
                extra = self._most_urgent(n_open, i, parts, n_batches)
                self.owed -= extra
                n_slots = n_slots + extra
            yield n_slots

    def _most_urgent(
        self, n_open: int, i: int, parts: tuple[NDArray, NDArray], n_batches: int
    ) -> NDArray[np.intp]:
        """Assign the open slots to those due first; each class may get up to two."""
        owed = np.stack([self.owed, self.owed - 1])
        due = _due(1 - owed, i, parts, n_batches)
        due += self.rng.uniform(0, _TIE, size=due.shape)
        due[1] += _TIE  # a second slot only if no first one is as urgent
        due[owed <= 0] = np.inf
        chosen = due.argpartition(n_open - 1, axis=None)[:n_open]
        return np.bincount(chosen % due.shape[1], minlength=due.shape[1])


def _due(
    need: NDArray, i: int, parts: tuple[NDArray, NDArray], n_batches: int
) -> NDArray[np.float64]:
    """Compute the batch in which the fractions of a class will add up to `need`.

    Batches are numbered from the first one of this epoch, also in later epochs.
    """
    part, last = (np.maximum(fractions, 1e-12) for fractions in parts)
    before_last = (n_batches - 1) * part
    in_epoch = before_last + last
    passed = in_epoch if i == n_batches - 1 else (i + 1) * part
    epochs, rest = np.divmod(need + passed, in_epoch)
    return epochs * n_batches + np.minimum(rest / part, n_batches)

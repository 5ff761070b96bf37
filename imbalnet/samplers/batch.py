"""Samplers that keep class shares within every batch, not over the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imbalnet.samplers._epochs import batch_sizes
from imbalnet.samplers.base import (
    IndexSampler,
    RowQueue,
    are_weights,
    fill,
    per_row,
    tempered_shares,
)

# Apart from this, slots that are equally urgent are dealt at random.
_TIE = 1e-6


class StratifiedBatchSampler(IndexSampler):
    """Keep the class shares in every batch; an epoch has n rows.

    Class c has a share q_c ∝ n_c ** (1 - power) of each batch. Where the slots of a
    batch are at least twice the classes, no batch is without a class: one whose share
    is less than a row gets one row in each batch, repeated as needed, and the others
    share what is left. (A last batch with fewer slots than classes cannot hold that.)

    The slots that rounding leaves over are dealt so that, at the end of every batch,
    all that a class was given since training began is at most one row away from the
    sum of its shares. A single batch holds a class' share rounded down, or one row more
    than that, with more than two classes at times two.

    Within a class rows are drawn without replacement until all were seen: with
    ``power=0``, and no share below a row in any batch, an epoch is every row once.

    Parameters
    ----------
    power : float, default=0.0
        0 leaves the data's shares, 1 makes all classes equally frequent.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.sampling import StratifiedBatchSampler
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
        """Take the class codes of the training rows and the generator of the draws."""
        super().bind(codes, rng)
        self.dealer = _Dealer(len(self.counts), rng)
        return self

    def epoch(self, batch_size: int) -> NDArray[np.intp]:
        """Draw one epoch of row numbers, to be cut into batches in this order.

        Within a batch the rows stand class by class.
        """
        quotas = _BatchQuotas(self.counts, batch_size, self.power)
        classes = np.arange(len(self.counts))
        dealt = self.dealer.deal(quotas.full, quotas.last, quotas.n_batches)
        slots = np.concatenate([np.repeat(classes, n_slots) for n_slots in dealt])
        return fill(slots, self.queues, RowQueue.take)

    def rates(self, counts: NDArray, batch_size: int) -> NDArray[np.float64]:
        """Give how often a row of each class is drawn in an epoch, in expectation."""
        if are_weights(counts):
            drawn = tempered_shares(counts, self.power) * counts.sum()
        else:
            drawn = _BatchQuotas(counts, batch_size, self.power).total
        return per_row(drawn, counts)


class BalancedBatchSampler(StratifiedBatchSampler):
    """Fill every batch with the classes in equal parts; an epoch has n rows.

    With more classes than slots they take turns, those served least first.
    """

    def __init__(self) -> None:
        super().__init__(power=1.0)


class _BatchQuotas:
    """Slots of each class, in expectation: in a full batch, in the last, an epoch."""

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
    """Share `size` slots out; `keeps_all` raises every class to a slot at least."""
    quotas = shares * size
    raised = np.zeros(len(shares), dtype=bool)
    while keeps_all and (quotas[shares > 0] < 1).any():
        raised |= (shares > 0) & (quotas < 1)
        rest = np.where(raised, 0.0, shares)
        left = size - np.count_nonzero(raised)
        quotas = np.where(raised, 1.0, rest * (left / max(rest.sum(), _TIE)))
    return quotas


class _Dealer:
    """Deal the slots of batch after batch, so that every class keeps to its quota.

    A class surely gets its quota rounded down. The slots left over are unit jobs: the
    k-th of a class is released in the batch in which the sum of its quotas passes
    k - 1, and due in the one in which it reaches k. A schedule that keeps all these
    windows exists (the fractions are one, and the windows' matrix is totally
    unimodular), and serving what is due first finds it, as it does for all unit jobs
    with integer times. So what a class was given is never more than a row from its
    quota, also over epochs: what is owed is carried on.
    """

    def __init__(self, n_classes: int, rng: np.random.Generator) -> None:
        self.owed = np.zeros(n_classes)
        self.rng = rng

    def deal(
        self, full: NDArray, last: NDArray, n_batches: int
    ) -> Iterator[NDArray[np.intp]]:
        """Yield the slots of each class, for all batches of an epoch."""
        parts = full % 1, last % 1
        for i in range(n_batches):
            is_last = i == n_batches - 1
            quota = last if is_last else full
            sure, part = quota.astype(np.intp), parts[is_last]
            self.owed += part
            n_open = round(part.sum())
            if n_open:
                extra = self._most_urgent(n_open, i, parts, n_batches)
                self.owed -= extra
                sure = sure + extra
            yield sure

    def _most_urgent(
        self, n_open: int, i: int, parts: tuple[NDArray, NDArray], n_batches: int
    ) -> NDArray[np.intp]:
        """Choose the slots that are due first, of the one or two each class may get."""
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
    """Tell in which batch from now on a class' fractions will have added up to `need`.

    Times count from the epoch's first batch, through the epochs after it.
    """
    part, last = (np.maximum(fractions, 1e-12) for fractions in parts)
    before_last = (n_batches - 1) * part
    in_epoch = before_last + last
    passed = in_epoch if i == n_batches - 1 else (i + 1) * part
    epochs, rest = np.divmod(need + passed, in_epoch)
    return epochs * n_batches + np.minimum(rest / part, n_batches)

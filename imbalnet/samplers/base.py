"""What index samplers share: their interface, and the rows of each class in turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imbalnet._checks import checked_share
from imbalnet.samplers._epochs import EpochRows, Shuffle


class IndexSampler(ABC):
    """A training epoch as a sequence of row numbers.

    Subclasses give :meth:`epoch` and :meth:`rates`, and :meth:`epoch_rows` where an
    epoch has another number of rows than the data.

    Parameters
    ----------
    power : float, default=1.0
        How far the classes are balanced: 0 leaves the data's shares, 1 makes all
        classes equally frequent.

    Attributes
    ----------
    rng : numpy.random.Generator
        Of the draws, after :meth:`bind`.
    counts : ndarray of shape (n_classes,)
        Training rows of each class, after :meth:`bind`.
    queues : dict of int to RowQueue
        The rows of each class that has any, after :meth:`bind`.

    Raises
    ------
    ValueError
        If `power` is no number between 0 and 1.
    """

    def __init__(self, power: float = 1.0) -> None:
        self.power = checked_share("sampler__power", power)

    def bind(
        self, codes: NDArray[np.integer], rng: np.random.Generator
    ) -> IndexSampler:
        """Take the class codes of the training rows and the generator of the draws."""
        self.rng = rng
        self.counts = np.bincount(codes)
        parts = np.split(sort_by_class(codes), np.cumsum(self.counts)[:-1])
        self.queues = {
            code: RowQueue(rows, rng) for code, rows in enumerate(parts) if len(rows)
        }
        return self

    @abstractmethod
    def epoch(self, batch_size: int) -> EpochRows:
        """Draw one epoch of row numbers.

        Parameters
        ----------
        batch_size : int

        Returns
        -------
        array-like of shape (n_drawn,) or list of array-like
            Integers from 0 to below the number of training rows, to be cut into batches
            in this order (:func:`imbalnet.samplers.batch_sizes` tells where); a list of
            arrays holds the batches themselves.
        """

    @abstractmethod
    def rates(self, counts: NDArray, batch_size: int) -> NDArray[np.float64]:
        """Give how often a row of each class is drawn in an epoch, in expectation.

        Parameters
        ----------
        counts : ndarray of shape (n_classes,)
            Rows of each class (integers), or the sums of their weights (floats) where
            an epoch is one batch that the rates enter as weights: nothing is drawn
            there, so nothing is rounded.
        batch_size : int

        Returns
        -------
        ndarray of shape (n_classes,)
            Above 0; what it gives classes without rows means nothing.
        """

    def epoch_rows(self, counts: NDArray) -> int:
        """Give how many rows an epoch draws, before the batch size is chosen.

        Parameters
        ----------
        counts : ndarray of shape (n_classes,)
            As in :meth:`rates`.

        Returns
        -------
        int
            As many as there are, unless a subclass says otherwise.
        """
        return round(counts.sum())


def bound(
    sampler: IndexSampler, codes: NDArray[np.integer], rng: np.random.Generator
) -> IndexSampler:
    """Bind a sampler to the training rows.

    Parameters
    ----------
    sampler : IndexSampler
    codes : ndarray of shape (n_rows,)
        Class codes of the training rows.
    rng : numpy.random.Generator
        Of the draws.

    Raises
    ------
    ValueError
        If its ``bind`` does not give a sampler.
    """
    given = sampler.bind(codes, rng)
    if not isinstance(given, IndexSampler):
        raise ValueError(
            f"sampler={type(sampler).__name__}: bind must give the sampler (return "
            f"self), but gave {given!r}."
        )
    return given


def checked_rates(
    sampler: IndexSampler | Shuffle, counts: NDArray, batch_size: int
) -> NDArray[np.float64]:
    """Give a sampler's rates, 1 for classes without rows.

    Parameters
    ----------
    sampler : {IndexSampler, Shuffle}
    counts : ndarray of shape (n_classes,)
        See :meth:`IndexSampler.rates`.
    batch_size : int

    Returns
    -------
    ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If a rate of a class with rows is not finite and above 0, or if there is not one
        for each class.
    """
    given = sampler.rates(counts, batch_size)
    try:
        rates = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        rates = np.empty(0)
    is_one_each = rates.shape == counts.shape
    if is_one_each:
        rates = np.where(counts > 0, rates, 1.0)
    if not is_one_each or not np.all(np.isfinite(rates) & (rates > 0)):
        raise ValueError(
            f"sampler={type(sampler).__name__}: rates must give each of the "
            f"{len(counts)} classes a finite number above 0, how often an epoch draws "
            f"a row of it in expectation, but gave {given!r}."
        )
    return rates


class RowQueue:
    """The rows of one class in random order, over and over.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,)
    rng : numpy.random.Generator
    """

    def __init__(self, rows: NDArray[np.intp], rng: np.random.Generator) -> None:
        self.rows = rows
        self.rng = rng
        self.waiting = rows[:0]

    def take(self, n: int) -> NDArray[np.intp]:
        """Take the next `n` rows; a new round is shuffled when one is used up."""
        rounds = -(-max(n - len(self.waiting), 0) // len(self.rows))
        fresh = self.rng.permuted(np.tile(self.rows, (rounds, 1)), axis=1)
        line = np.concatenate([self.waiting, fresh.ravel()])
        self.waiting = line[n:]
        return line[:n]

    def draw(self, n: int) -> NDArray[np.intp]:
        """Draw `n` rows with replacement."""
        return self.rng.choice(self.rows, size=n)


def fill(
    slots: NDArray[np.integer],
    queues: dict[int, RowQueue],
    take: Callable[[RowQueue, int], NDArray[np.intp]],
) -> NDArray[np.intp]:
    """Put rows of the right class into the slots of an epoch.

    Parameters
    ----------
    slots : ndarray of shape (n_drawn,)
        The class of each slot.
    queues : dict of int to RowQueue
        By class, in ascending order.
    take : {RowQueue.take, RowQueue.draw}
        How a queue gives rows.

    Returns
    -------
    ndarray of shape (n_drawn,)
        Row numbers.
    """
    taken = np.bincount(slots, minlength=max(queues) + 1)
    rows = [take(queue, taken[code]) for code, queue in queues.items()]
    order = np.empty(len(slots), dtype=np.intp)
    order[sort_by_class(slots)] = np.concatenate(rows)
    return order


def sort_by_class(codes: NDArray[np.integer]) -> NDArray[np.intp]:
    """Give the positions of class 0 in their order, then those of class 1, and so on.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,)
        Class codes from 0.
    """
    # NumPy sorts integers of up to 16 bits by radix, in one pass
    small = codes.astype(np.min_scalar_type(codes.max()), copy=False)
    return np.argsort(small, kind="stable")


def tempered_shares(counts: NDArray, power: float) -> NDArray[np.float64]:
    """Give class shares between the data's (`power` 0) and equal ones (1).

    Parameters
    ----------
    counts : ndarray of shape (n_classes,)
        A class of 0 keeps a share of 0.
    power : float
    """
    present = counts > 0
    mass = present * np.where(present, counts, 1.0) ** (1.0 - power)
    return mass / mass.sum()


def per_row(expected: NDArray, counts: NDArray) -> NDArray[np.float64]:
    """Turn expected draws of each class into rates; 1 for classes without rows.

    Parameters
    ----------
    expected, counts : ndarray of shape (n_classes,)
    """
    present = counts > 0
    return np.where(present, expected / np.where(present, counts, 1), 1.0)


def are_weights(counts: NDArray) -> bool:
    """Tell sums of weights, which are floats, from numbers of rows.

    Parameters
    ----------
    counts : ndarray of shape (n_classes,)
    """
    return counts.dtype.kind == "f"

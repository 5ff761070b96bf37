"""The base class of index samplers, and functions that several samplers use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet import _checks
from imbalnet._checks import checked_integer, checked_share
from imbalnet.posterior._checks import checked_codes
from imbalnet.samplers._epochs import EpochRows, checked_generator


class IndexSampler(ABC):
    """Base class of all index samplers: an epoch as a sequence of row numbers.

    A sampler changes the class distribution that the network learns, and states the
    change, so that probabilities can be corrected. With n_c training rows of class c, a
    sampler defines

    - :meth:`epoch`: the rows of one epoch, as numbers from 0 to ``sum_c n_c - 1``.
    - :meth:`rates`: how often a row of class c is drawn in an epoch, in expectation,
      ``r_c = E[draws of class c] / n_c``. The network then learns the prior
      ``∝ n_c r_c w_c``, where w_c are the class weights.
    - :meth:`epoch_rows`: the number of rows in an epoch, ``sum_c n_c r_c``. By default
      the number of training rows.

    :meth:`bind` is called once, before the first epoch. Row numbers are positions among
    the training rows, which are those that remain after the validation split.

    Parameters
    ----------
    power : float, default=1.0
        How far the classes are balanced: 0 keeps the class shares of the data, 1 makes
        all classes equally frequent.

    Attributes
    ----------
    rng : numpy.random.Generator
        Generator of the draws, after :meth:`bind`.
    counts : ndarray of shape (n_classes,)
        Number of training rows of each class, after :meth:`bind`.
    queues : dict of int to ClassQueue
        Rows of each class that has any, after :meth:`bind`.

    Examples
    --------
    The bootstrap draws as many rows as there are, with replacement:

    >>> import numpy as np
    >>> from imbalnet.samplers import IndexSampler
    >>> class Bootstrap(IndexSampler):
    ...     def epoch(self, batch_size):
    ...         n_rows = self.counts.sum()
    ...         return self.rng.integers(n_rows, size=n_rows)
    ...
    ...     def rates(self, counts, batch_size):
    ...         return np.ones(len(counts))
    >>> codes = np.array([0, 0, 0, 1])
    >>> Bootstrap().bind(codes, np.random.default_rng(0)).epoch(batch_size=2)
    array([3, 2, 2, 1])
    """

    def __init__(self, power: float = 1.0) -> None:
        self.power = checked_share("sampler__power", power)

    def bind(
        self, codes: NDArray[np.integer], rng: np.random.Generator
    ) -> IndexSampler:
        """Set the class codes of the training rows and the generator of the draws.

        Parameters
        ----------
        codes : ndarray of shape (n_rows,)
            Class codes of the training rows, from 0.
        rng : numpy.random.Generator
            Generator of the draws.

        Returns
        -------
        IndexSampler
            The sampler itself.

        Raises
        ------
        ValueError
            If `codes` are not integers of at least 0, or `rng` is not a generator.
        """
        codes, self.rng = checked_binding(codes, rng)
        self.counts = np.bincount(codes)
        parts = np.split(sort_by_class(codes), np.cumsum(self.counts)[:-1])
        self.queues = {
            code: ClassQueue(rows, rng) for code, rows in enumerate(parts) if len(rows)
        }
        return self

    def __getattr__(self, name: str) -> Any:
        """Raise an AttributeError, with the cure if ``bind`` was not called."""
        cls = type(self).__name__
        cure = ""
        if name in _BOUND:
            cure = "; call bind(codes, rng) first, with the codes of the training rows"
        raise AttributeError(f"{cls!r} object has no attribute {name!r}{cure}")

    @abstractmethod
    def epoch(self, batch_size: int) -> EpochRows:
        """Draw one epoch of row numbers.

        Parameters
        ----------
        batch_size : int
            Number of rows in a batch.

        Returns
        -------
        array-like of shape (n_drawn,) or list of array-like
            Row numbers, integers from 0 to below the number of training rows. They are
            cut into batches in this order, at :func:`imbalnet.samplers.batch_sizes`.
            A list of arrays holds the batches themselves.
        """

    @abstractmethod
    def rates(self, counts: NDArray, batch_size: int) -> NDArray[np.float64]:
        """Compute how often a row of each class is drawn in an epoch, in expectation.

        Parameters
        ----------
        counts : ndarray of shape (n_classes,)
            Number of rows of each class (integers). If an epoch is one batch, nothing
            is drawn: the rates multiply the weights of the rows, and `counts` are sums
            of weights (floats). The result must then not be rounded to whole rows.
        batch_size : int
            Number of rows in a batch.

        Returns
        -------
        ndarray of shape (n_classes,)
            Numbers above 0. Values for classes without rows are ignored.
        """

    def epoch_rows(self, counts: NDArray) -> int:
        """Compute how many rows an epoch draws; the batch size may depend on it.

        Parameters
        ----------
        counts : ndarray of shape (n_classes,)
            Number of rows of each class.

        Returns
        -------
        int
            Number of rows, by default the sum of `counts`.
        """
        return round(checked_counts(counts).sum())


# Attributes that ``bind`` sets in some of the samplers.
_BOUND = {"codes", "counts", "dealer", "measuring", "queues", "rng", "source"}


def checked_binding(
    codes: Any, rng: Any
) -> tuple[NDArray[np.intp], np.random.Generator]:
    """Return the class codes of the training rows and the generator, or raise."""
    return checked_codes("codes", codes), checked_generator(rng)


def checked_counts(counts: Any, batch_size: int = 1) -> NDArray:
    """Return counts, or sums of weights, as an array of their own dtype, or raise."""
    checked_integer("batch_size", batch_size, 1)
    _checks.checked_counts("counts", counts)
    return np.asarray(counts)


class ClassQueue:
    """Endless queue of the rows of one class, as a sequence of random orders.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,)
        Row numbers.
    rng : numpy.random.Generator
        Generator of the orders and the draws.
    """

    def __init__(self, rows: NDArray[np.intp], rng: np.random.Generator) -> None:
        self.rows = rows
        self.rng = rng
        self.waiting = rows[:0]

    def take(self, n: int) -> NDArray[np.intp]:
        """Take the next `n` rows; at the end of an order a new one begins."""
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
    queues: dict[int, ClassQueue],
    take: Callable[[ClassQueue, int], NDArray[np.intp]],
) -> NDArray[np.intp]:
    """Return a row for each slot of an epoch, given the classes of the slots."""
    taken = np.bincount(slots, minlength=max(queues) + 1)
    rows = [take(queue, taken[code]) for code, queue in queues.items()]
    order = np.empty(len(slots), dtype=np.intp)
    order[sort_by_class(slots)] = np.concatenate(rows)
    return order


def sort_by_class(codes: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return the positions of class 0 in ascending order, then those of class 1, ..."""
    # NumPy sorts integers of up to 16 bits by radix, in one pass
    small = codes.astype(np.min_scalar_type(codes.max()), copy=False)
    return np.argsort(small, kind="stable")


def tempered_shares(counts: NDArray, power: float) -> NDArray[np.float64]:
    """Compute shares ``∝ counts ** (1 - power)``, which are equal if `power` is 1."""
    present = counts > 0
    mass = present * np.where(present, counts, 1.0) ** (1.0 - power)
    return mass / mass.sum()


def per_row(expected: NDArray, counts: NDArray) -> NDArray[np.float64]:
    """Divide expected draws by the rows of each class; 1 for classes without rows."""
    present = counts > 0
    return np.where(present, expected / np.where(present, counts, 1), 1.0)


def are_weights(counts: NDArray) -> bool:
    """Return whether counts are sums of weights, which are floats."""
    return counts.dtype.kind == "f"

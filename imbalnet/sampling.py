"""Which rows an epoch trains on: index samplers, and imbalanced-learn's resamplers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from imbalnet.parameters import accepted_names, reject_unknown


class IndexSampler(ABC):
    """A training epoch as a sequence of row numbers.

    Parameters
    ----------
    power : float, default=1.0
        How far the classes are balanced: 0 leaves the data's shares, 1 makes all
        classes equally frequent.

    Raises
    ------
    ValueError
        If `power` lies outside [0, 1].
    """

    def __init__(self, power: float = 1.0) -> None:
        if not 0.0 <= power <= 1.0:
            raise ValueError(f"sampler__power={power!r} must lie between 0 and 1.")
        self.power = power

    def bind(
        self, codes: NDArray[np.integer], rng: np.random.Generator
    ) -> IndexSampler:
        """Take the class codes of the training rows and the generator of the draws."""
        self.rng = rng
        self.counts = np.bincount(codes)
        self.queues = {
            code: _RowQueue(np.flatnonzero(codes == code), rng)
            for code in np.flatnonzero(self.counts)
        }
        return self

    @abstractmethod
    def epoch(self, batch_size: int) -> NDArray[np.intp]:
        """Draw one epoch of row numbers, to be cut into batches in this order."""

    @abstractmethod
    def rates(self, counts: NDArray) -> NDArray[np.float64]:
        """Give how often a row of each class is drawn in an epoch, in expectation.

        Parameters
        ----------
        counts : ndarray of shape (n_classes,)
            Rows of each class.

        Returns
        -------
        ndarray of shape (n_classes,)
            1 for classes without rows.
        """


class WeightedSampler(IndexSampler):
    """Draw rows with replacement, rarer classes more often; an epoch has n rows.

    Parameters
    ----------
    power : float, default=1.0
        0 leaves the data's shares, 1 makes all classes equally frequent.
    """

    def epoch(self, batch_size: int) -> NDArray[np.intp]:
        """Draw one epoch of row numbers, to be cut into batches in this order."""
        del batch_size
        shares = self.counts * self.rates(self.counts)
        n_rows = self.counts.sum()
        codes = self.rng.choice(len(shares), size=n_rows, p=shares / shares.sum())
        order = np.empty(n_rows, dtype=np.intp)
        for code, queue in self.queues.items():
            slots = np.flatnonzero(codes == code)
            order[slots] = self.rng.choice(queue.rows, size=len(slots))
        return order

    def rates(self, counts: NDArray) -> NDArray[np.float64]:
        """Give how often a row of each class is drawn in an epoch, in expectation."""
        shares = np.where(counts > 0, counts, 0.0) ** (1.0 - self.power) * (counts > 0)
        return _per_row(shares / shares.sum() * counts.sum(), counts)


class _QuotaSampler(IndexSampler):
    """Draw a fixed number of rows of each class, without replacement as far as it goes.

    What an epoch leaves over comes first in the next, so that every row is seen.
    """

    @abstractmethod
    def anchor(self, counts: NDArray) -> float:
        """Give the class size that ``power=1`` brings every class to."""

    def quotas(self, counts: NDArray) -> NDArray[np.intp]:
        """Give the rows of each class in an epoch."""
        present = counts > 0
        size = self.anchor(counts[present])
        raw = np.where(present, counts, 1.0) ** (1.0 - self.power) * size**self.power
        return np.where(present, np.maximum(np.rint(raw), 1), 0).astype(np.intp)

    def epoch(self, batch_size: int) -> NDArray[np.intp]:
        """Draw one epoch of row numbers, to be cut into batches in this order."""
        del batch_size
        quotas = self.quotas(self.counts)
        drawn = [queue.take(quotas[code]) for code, queue in self.queues.items()]
        return self.rng.permutation(np.concatenate(drawn))

    def rates(self, counts: NDArray) -> NDArray[np.float64]:
        """Give how often a row of each class is drawn in an epoch, in expectation."""
        return _per_row(self.quotas(counts), counts)


class Oversampler(_QuotaSampler):
    """Repeat the rarer classes' rows up to the size of the largest class.

    Parameters
    ----------
    power : float, default=1.0
        0 leaves the data's shares, 1 makes all classes equally frequent.
    """

    def anchor(self, counts: NDArray) -> float:
        """Give the class size that ``power=1`` brings every class to."""
        return counts.max()


class Undersampler(_QuotaSampler):
    """Thin the larger classes to the size of the smallest, afresh each epoch.

    Parameters
    ----------
    power : float, default=1.0
        0 leaves the data's shares, 1 makes all classes equally frequent.
    """

    def anchor(self, counts: NDArray) -> float:
        """Give the class size that ``power=1`` brings every class to."""
        return counts.min()


class BalancedBatchSampler(IndexSampler):
    """Fill every batch with the classes in equal parts; an epoch has n rows.

    The classes take turns, so that any run of slots holds each of them equally often,
    give or take one, also where there are more classes than slots.
    """

    def __init__(self) -> None:
        super().__init__(power=1.0)

    def epoch(self, batch_size: int) -> NDArray[np.intp]:
        """Draw one epoch of row numbers, to be cut into batches in this order."""
        del batch_size
        present = np.array(list(self.queues))
        turns = np.resize(self.rng.permutation(present), self.counts.sum())
        order = np.empty(len(turns), dtype=np.intp)
        for code, queue in self.queues.items():
            slots = np.flatnonzero(turns == code)
            order[slots] = queue.take(len(slots))
        return order

    def rates(self, counts: NDArray) -> NDArray[np.float64]:
        """Give how often a row of each class is drawn in an epoch, in expectation."""
        present = counts > 0
        return _per_row(present * counts.sum() / present.sum(), counts)


class _RowQueue:
    """The rows of one class in random order, over and over."""

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


def _per_row(expected: NDArray, counts: NDArray) -> NDArray[np.float64]:
    present = counts > 0
    return np.where(present, expected / np.where(present, counts, 1), 1.0)


SAMPLERS: dict[str, type[IndexSampler]] = {
    "weighted": WeightedSampler,
    "oversample": Oversampler,
    "undersample": Undersampler,
    "balanced_batch": BalancedBatchSampler,
}


def build_sampler(sampler: Any, params: dict[str, Any]) -> Any:
    """Make the sampler that the parameter ``sampler`` and its ``sampler__*`` describe.

    Returns
    -------
    IndexSampler, imbalanced-learn sampler or None
        A new object: what the user gave stays as it is.

    Raises
    ------
    ValueError
        If a parameter is unknown.
    """
    if sampler is None:
        reject_unknown("sampler", "sampler=None", params, ())
        return None
    if isinstance(sampler, str):
        factory = SAMPLERS[sampler]
        reject_unknown("sampler", f"{sampler=}", params, accepted_names(factory))
        return factory(**params)
    if isinstance(sampler, type):
        raise ValueError(
            f"sampler={sampler.__name__} is a class; give an instance: "
            f"sampler={sampler.__name__}()."
        )
    resampler = clone(sampler)
    owner = f"sampler={type(sampler).__name__}()"
    reject_unknown("sampler", owner, params, resampler.get_params())
    return resampler.set_params(**params)


def resample(
    resampler: Any,
    X: Any,
    codes: NDArray,
    sample_weight: NDArray,
    classes: NDArray,
    seed: int,
) -> tuple[Any, NDArray, NDArray]:
    """Apply an imbalanced-learn sampler to the training rows.

    Sample weights follow the rows; synthetic rows take the mean of their class.

    Parameters
    ----------
    resampler : object with ``fit_resample``
        Its ``random_state`` is set where it is None, also that of samplers inside it.
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
    codes : ndarray of shape (n_rows,)
    sample_weight : ndarray of shape (n_rows,)
    classes : ndarray of shape (n_classes,)
        The sorted labels, which the sampler's ``sampling_strategy`` may name.
    seed : int

    Returns
    -------
    X, codes, sample_weight
        The resampled rows.
    """
    unset = [
        name
        for name, value in sorted(resampler.get_params().items())
        if value is None and name.split("__")[-1] == "random_state"
    ]
    seeds = np.random.SeedSequence(seed).generate_state(len(unset)) % 2**31
    resampler.set_params(**dict(zip(unset, seeds.tolist(), strict=True)))
    X_new, y_new = resampler.fit_resample(X, classes[codes])
    codes_new = np.searchsorted(classes, y_new)
    weight = _weights_of_rows(resampler, X, X_new, codes, codes_new, sample_weight)
    return X_new, codes_new, weight


def _weights_of_rows(
    resampler: Any, X: Any, X_new: Any, codes: NDArray, codes_new: NDArray, w: NDArray
) -> NDArray[np.float64]:
    if np.ptp(w) == 0:
        return np.full(len(codes_new), w[0])
    indices = getattr(resampler, "sample_indices_", None)
    if indices is not None:
        return w[indices]
    class_mean = np.bincount(codes, w) / np.maximum(np.bincount(codes), 1)
    weight = class_mean[codes_new]
    if len(codes_new) >= len(codes) and _same_rows(X, X_new[: len(codes)]):
        weight[: len(codes)] = w  # synthetic rows were added behind
    return weight


def _same_rows(a: Any, b: Any) -> bool:
    if sparse.issparse(a):
        return (a != b).nnz == 0
    return bool(np.array_equal(a, b))

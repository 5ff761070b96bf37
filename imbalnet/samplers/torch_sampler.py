"""Torch's own sampler classes as index samplers."""

from __future__ import annotations

import inspect
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler

from imbalnet._checks import checked_integer
from imbalnet._runtime import seeded_torch
from imbalnet._warn import warn
from imbalnet.samplers._epochs import EpochRows, checked_epoch
from imbalnet.samplers.base import (
    IndexSampler,
    checked_binding,
    checked_counts,
    per_row,
)

# Keywords that are passed to a torch sampler's __init__ if it has such parameters.
CONTRACT = frozenset({"labels", "data_source", "batch_size", "generator"})

# Rates are measured over at least so many draws, but over no more than 20 epochs.
_MEASURED_DRAWS = 200_000
_MEASURED_EPOCHS = 20
# An epoch with more draws than this, and than ten times the rows, counts as endless.
_LONGEST_EPOCH = 1_000_000


class TorchSampler(IndexSampler):
    """Adapter of a subclass of ``torch.utils.data.Sampler``.

    The class is instantiated when the training rows are known. Of the following
    keywords, it gets those that are parameters of its ``__init__``: ``labels`` and
    ``data_source`` (both the class codes of the training rows, an int64 tensor),
    ``batch_size``, and ``generator``, a seeded ``torch.Generator``. The instance yields
    numbers of training rows, from 0, or lists of them, which are used as batches.
    Torch's global generator is seeded while it draws.

    Its rates are unknown and therefore measured: a second instance with another seed
    draws some epochs. ``effective_prior_`` is then an estimate. A class that was never
    drawn counts as half a draw, with a warning.

    Parameters
    ----------
    factory : type
        Subclass of ``torch.utils.data.Sampler``.
    **params : dict
        Further arguments of its ``__init__``.

    Examples
    --------
    >>> import numpy as np
    >>> from torch.utils.data import RandomSampler
    >>> sampler = TorchSampler(RandomSampler, num_samples=5)
    >>> sampler = sampler.bind(np.array([0, 0, 0, 1]), np.random.default_rng(0))
    >>> sampler.epoch(batch_size=2).shape
    (5,)
    """

    def __init__(self, factory: type[Sampler], **params: Any) -> None:
        super().__init__()
        is_other = isinstance(factory, type) and not issubclass(factory, Sampler)
        if not callable(factory) or is_other:
            raise ValueError(
                f"factory={factory!r} must be a subclass of torch.utils.data.Sampler: "
                "the class, not an instance."
            )
        self.factory = factory
        self.params = params

    def bind(
        self, codes: NDArray[np.integer], rng: np.random.Generator
    ) -> TorchSampler:
        """Set the class codes of the training rows and the generator of the draws."""
        self.codes, rng = checked_binding(codes, rng)
        drawing, measuring = rng.spawn(2)
        self.measuring = measuring
        self.source = _Source(self, drawing)
        return self

    def epoch(self, batch_size: int) -> EpochRows:
        """Draw one epoch of row numbers, or its batches."""
        checked_integer("batch_size", batch_size)
        return self.source.epoch(batch_size)

    def rates(self, counts: NDArray, batch_size: int) -> NDArray[np.float64]:
        """Measure how often a row of each class is drawn in an epoch."""
        n_classes = len(checked_counts(counts, batch_size))
        source = _Source(self, self.measuring)
        drawn, n_epochs = np.zeros(n_classes), 0
        while drawn.sum() < _MEASURED_DRAWS and n_epochs < _MEASURED_EPOCHS:
            epoch = source.epoch(batch_size)
            rows = np.concatenate(epoch) if isinstance(epoch, list) else epoch
            drawn += np.bincount(self.codes[rows], minlength=n_classes)
            n_epochs += 1
        n_rows = np.bincount(self.codes, minlength=n_classes)
        left_out = np.flatnonzero((drawn == 0) & (n_rows > 0))
        if len(left_out):
            warn(
                f"sampler={self.factory.__name__} drew no row of the classes at "
                f"positions {left_out.tolist()} of classes_ in {drawn.sum():.0f} "
                "draws: the network does not learn them. Let it draw every class."
            )
        return per_row(np.maximum(drawn, 0.5) / n_epochs, n_rows)


class _Source:
    """An instance of a torch sampler, and the seeds of its epochs."""

    def __init__(self, adapter: TorchSampler, rng: np.random.Generator) -> None:
        self.adapter = adapter
        self.rng = rng
        self.batch_size: int | None = None

    def epoch(self, batch_size: int) -> EpochRows:
        with seeded_torch(self._seed(), torch.device("cpu")):
            if self.batch_size != batch_size:
                self.sampler = self._instance(batch_size)
                self.batch_size = batch_size
            return self._drawn()

    def _instance(self, batch_size: int) -> Sampler:
        codes = torch.tensor(self.adapter.codes, dtype=torch.int64)
        known = {
            "labels": codes,
            "data_source": codes,
            "batch_size": batch_size,
            "generator": torch.Generator().manual_seed(self._seed()),
        }
        named = inspect.signature(self.adapter.factory).parameters
        given = {name: value for name, value in known.items() if name in named}
        return self.adapter.factory(**given, **self.adapter.params)

    def _drawn(self) -> EpochRows:
        name, n_rows = self.adapter.factory.__name__, len(self.adapter.codes)
        limit = max(_LONGEST_EPOCH, 10 * n_rows)
        draws = self.sampler.__iter__()
        if not hasattr(draws, "__next__"):
            raise ValueError(
                f"sampler={name}: its __iter__ must give an iterator over row numbers, "
                f"but gave {draws!r}."
            )
        drawn = list(islice(draws, limit + 1))
        if len(drawn) > limit:
            raise ValueError(
                f"sampler={name} drew more than {limit} times in an epoch of {n_rows} "
                "training rows; its __iter__ must yield one epoch of row numbers, and "
                "end."
            )
        return checked_epoch(drawn, n_rows, name)

    def _seed(self) -> int:
        return int(self.rng.integers(2**31))

"""The result of a training run, which the next one may continue from."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbalnet._calibration import Calibration, OutOfFold
from imbalnet._fit.gather import Gathered
from imbalnet._fit.net import ImbalanceNet
from imbalnet._fit.plan import ClassCounts
from imbalnet._fit.specs import Machine, NetworkSpec


class Memory(UserDict):
    """A cache that copies and pickles leave out."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of an empty cache."""
        return {"data": {}}


@dataclass(frozen=True)
class Fitted:
    """A trained net, its calibration, and what further training needs."""

    net: ImbalanceNet
    network: NetworkSpec  # from which the network was built
    data_counts: NDArray[np.float64]  # of all rows, over all calls of partial_fit
    class_counts: tuple[ClassCounts, ...]  # of each member's training rows, likewise
    class_weight: NDArray[np.float64]  # the mean of the members'
    calibration: Calibration
    out_of_fold: OutOfFold | None  # if members held out folds
    split_seed: int  # of the validation split, which warm_start repeats
    resolved: Mapping[str, Any]  # values of parameters that may be "auto"
    gathered: Gathered | None = None  # rows that partial_fit trains on again
    thresholds: MutableMapping[Any, float] = field(default_factory=Memory)
    discarded: tuple[str, ...] = ()  # names of items that the user has discarded

    @property
    def n_epochs(self) -> int:
        """Epochs trained, over all fits."""
        return len(self.net.history)

    @property
    def machine(self) -> Machine:
        """Where the net computes."""
        net = self.net
        device = torch.device(net.device)
        return Machine(device, net.dtype, net.is_mixed, net.compile)

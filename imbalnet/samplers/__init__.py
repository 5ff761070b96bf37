"""Which rows an epoch trains on: index samplers, and imbalanced-learn's resamplers.

An index sampler draws every epoch as row numbers. A resampler (SMOTE and the like) is
applied once to the training rows. :mod:`imbalnet._fit` plans a training run with them:
after the validation split, and with the rates at which they draw each class.
"""

from imbalnet.samplers._build import SAMPLERS
from imbalnet.samplers._epochs import Shuffle, batch_sizes
from imbalnet.samplers.base import IndexSampler
from imbalnet.samplers.batch import BalancedBatchSampler, StratifiedBatchSampler
from imbalnet.samplers.epoch import Oversampler, Undersampler, WeightedSampler
from imbalnet.samplers.torch_sampler import TorchSampler

__all__ = [
    "SAMPLERS",
    "BalancedBatchSampler",
    "IndexSampler",
    "Oversampler",
    "Shuffle",
    "StratifiedBatchSampler",
    "TorchSampler",
    "Undersampler",
    "WeightedSampler",
    "batch_sizes",
]


def __dir__() -> list[str]:
    return sorted(__all__)

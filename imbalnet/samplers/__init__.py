"""The rows of an epoch: index samplers, and imbalanced-learn's resamplers.

An index sampler draws the row numbers of each epoch. A resampler (such as SMOTE) is
applied once to the training rows. :mod:`imbalnet._fit` uses both after the validation
split, and computes the effective prior from the rates at which they draw each class.
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

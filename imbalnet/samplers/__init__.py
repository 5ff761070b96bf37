"""Which rows an epoch trains on: index samplers, and imbalanced-learn's resamplers."""

from imbalnet.samplers._build import SAMPLERS, build_sampler
from imbalnet.samplers._epochs import Shuffle, batch_sizes
from imbalnet.samplers.base import IndexSampler, bound, checked_rates
from imbalnet.samplers.batch import BalancedBatchSampler, StratifiedBatchSampler
from imbalnet.samplers.epoch import Oversampler, Undersampler, WeightedSampler
from imbalnet.samplers.resamplers import resample
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
    "bound",
    "build_sampler",
    "checked_rates",
    "resample",
]

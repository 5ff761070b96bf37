"""What the estimator's parameters may be, as scikit-learn checks it in ``fit``."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from torch.utils.data import Sampler

from imbalnet._fit.recipes import PRESETS
from imbalnet._optimizers import OPTIMIZERS
from imbalnet.losses import LOSSES
from imbalnet.networks import NETWORKS
from imbalnet.samplers import SAMPLERS, IndexSampler

_AUTO = StrOptions({"auto"})
_COUNT = Interval(Integral, 1, None, closed="left")

PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "module": [StrOptions({"auto", *NETWORKS}), callable],
    "preset": [StrOptions({name for name in PRESETS if name}), None],
    "loss": [StrOptions(set(LOSSES)), callable],
    "class_weight": [
        StrOptions({"balanced", "effective"}),
        dict,
        "array-like",
        callable,
        None,
    ],
    # instances and pipelines without a sampler meet a clearer error in fit
    "sampler": [
        StrOptions(set(SAMPLERS)),
        HasMethods("fit_resample"),
        HasMethods("get_params"),
        type,
        IndexSampler,
        Sampler,
        None,
    ],
    "target_prior": [StrOptions({"train", "uniform"}), dict, "array-like", None],
    "cost_matrix": ["array-like", dict, None],
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    "n_members": [_COUNT, _AUTO],
    "n_neighbors": [Interval(Integral, 0, None, closed="left"), _AUTO],
    "optimizer": [StrOptions({"auto", *OPTIMIZERS}), callable],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), _AUTO],
    "schedule": [StrOptions({"cosine", "constant"})],
    "weight_decay": [Interval(Real, 0, None, closed="left"), _AUTO],
    "batch_size": [_COUNT, _AUTO],
    "max_epochs": [_COUNT, _AUTO],
    "early_stopping": ["boolean", _AUTO],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "patience": [_COUNT],
    "monitor": [StrOptions({"auto", "average_precision", "loss"})],
    "calibrate": ["boolean"],
    "device": [str, torch.device],
    "dtype": [StrOptions({"float32", "float64", "bfloat16"})],
    "n_threads": [_COUNT, None],
    "compile": ["boolean"],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "callbacks": [list, tuple, None],
}

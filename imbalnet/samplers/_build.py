"""The registry of samplers, and the parameters ``sampler`` and ``sampler__*``."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler, WeightedRandomSampler

from imbalnet._nested import accepted_names, reject_unknown
from imbalnet.samplers._epochs import Shuffle
from imbalnet.samplers.base import IndexSampler
from imbalnet.samplers.batch import BalancedBatchSampler, StratifiedBatchSampler
from imbalnet.samplers.epoch import Oversampler, Undersampler, WeightedSampler
from imbalnet.samplers.resamplers import build_resampler
from imbalnet.samplers.torch_sampler import CONTRACT, TorchSampler

# Names of the parameter ``sampler``; the parameters of each __init__ are sampler__*.
SAMPLERS: dict[str, type[IndexSampler]] = {
    "weighted": WeightedSampler,
    "oversample": Oversampler,
    "undersample": Undersampler,
    "balanced_batch": BalancedBatchSampler,
    "stratified_batch": StratifiedBatchSampler,
}


def build_sampler(sampler: Any, params: dict[str, Any]) -> Any:
    """Build the sampler that the parameter ``sampler`` and its ``sampler__*`` describe.

    `sampler` is a name in `SAMPLERS`, a subclass of `IndexSampler` or of torch's
    ``Sampler``, an imbalanced-learn sampler, a pipeline of them or None. The result is
    a new object; the one that the user gave is not changed.
    """
    if sampler is None:
        reject_unknown("sampler", "sampler=None", params, (), SAMPLERS)
        return None
    if isinstance(sampler, str):
        factory = SAMPLERS[sampler]
        known = accepted_names(factory)
        reject_unknown("sampler", f"{sampler=}", params, known, SAMPLERS)
        return factory(**params)
    if isinstance(sampler, type):
        return _from_class(sampler, params)
    if isinstance(sampler, (IndexSampler, Sampler)):
        raise ValueError(_instance_message(type(sampler)))
    return build_resampler(sampler, params)


def _from_class(cls: Any, params: dict[str, Any]) -> IndexSampler:
    name, is_own = cls.__name__, issubclass(cls, IndexSampler)
    if is_own:
        missing = sorted(cls.__abstractmethods__)
    elif issubclass(cls, Sampler):
        missing = ["__iter__"] if cls.__iter__ is Sampler.__iter__ else []
    else:
        raise ValueError(
            f"sampler={name} is a class; give an instance: sampler={name}()."
        )
    if missing:
        raise ValueError(
            f"sampler={name} leaves {' and '.join(missing)} to its subclasses; "
            "give a subclass that defines that."
        )
    _check_arguments(cls, params, given=() if is_own else CONTRACT)
    return cls(**params) if is_own else TorchSampler(cls, **params)


def _check_arguments(cls: type, params: dict[str, Any], given: Collection[str]) -> None:
    """Raise for arguments that ``__init__`` does not accept, or that it lacks."""
    owner = f"sampler={cls.__name__}"
    known = accepted_names(cls, without=given)
    own = set(params) & set(given)
    reject_unknown("sampler", owner, own if known is None else params, known or ())
    missing = [
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name not in {*params, *given}
    ]
    if missing:
        raise ValueError(_missing_message(owner, missing))


def _missing_message(owner: str, missing: list[str]) -> str:
    cure = (
        "Row weights cannot be given, because the training rows are known after the "
        "validation split only: use sampler='weighted', which draws rarer classes more "
        "often, or a subclass of torch.utils.data.Sampler that computes them from its "
        "argument labels."
        if "weights" in missing
        else "Give them as sampler__*, or have its __init__ take labels or data_source "
        "(the class codes of the training rows), batch_size or generator instead."
    )
    return (
        f"{owner} needs the arguments {missing}, which imbalnet does not know. {cure}"
    )


def _instance_message(cls: type) -> str:
    name = cls.__name__
    cure = (
        "use sampler='weighted', which draws rarer classes more often"
        if issubclass(cls, WeightedRandomSampler)
        else f"give the class, sampler={name}, and its arguments as sampler__*"
    )
    return (
        f"sampler={name}(...) is an instance, made before the validation split leaves "
        f"the training rows; {cure}."
    )


def bind_sampler(
    sampler: IndexSampler, codes: NDArray[np.integer], rng: np.random.Generator
) -> IndexSampler:
    """Bind a sampler to the training rows; raise if ``bind`` returns no sampler."""
    bound = sampler.bind(codes, rng)
    if not isinstance(bound, IndexSampler):
        raise ValueError(
            f"sampler={type(sampler).__name__}: bind must give the sampler (return "
            f"self), but gave {bound!r}."
        )
    return bound


def sampler_rates(
    sampler: IndexSampler | Shuffle, counts: NDArray, batch_size: int
) -> NDArray[np.float64]:
    """Compute and check the rates of a sampler; those of absent classes are 1."""
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

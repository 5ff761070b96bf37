"""From the parameter ``sampler`` and its ``sampler__*`` to a sampler."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

from torch.utils.data import Sampler, WeightedRandomSampler

from imbalnet._nested import accepted_names, reject_unknown
from imbalnet.samplers.base import IndexSampler
from imbalnet.samplers.batch import BalancedBatchSampler, StratifiedBatchSampler
from imbalnet.samplers.epoch import Oversampler, Undersampler, WeightedSampler
from imbalnet.samplers.resamplers import build_resampler
from imbalnet.samplers.torch_sampler import CONTRACT, TorchSampler

SAMPLERS: dict[str, type[IndexSampler]] = {
    "weighted": WeightedSampler,
    "oversample": Oversampler,
    "undersample": Undersampler,
    "balanced_batch": BalancedBatchSampler,
    "stratified_batch": StratifiedBatchSampler,
}


def build_sampler(sampler: Any, params: dict[str, Any]) -> Any:
    """Make the sampler that the parameter ``sampler`` and its ``sampler__*`` describe.

    Parameters
    ----------
    sampler : str, type, object with ``fit_resample`` or None
        A name in `SAMPLERS`, a subclass of `IndexSampler` or of
        ``torch.utils.data.Sampler``, an imbalanced-learn sampler or a pipeline of them.
    params : dict
        Without the prefix.

    Returns
    -------
    IndexSampler, imbalanced-learn sampler or None
        A new object: what the user gave stays as it is.

    Raises
    ------
    ValueError
        If a parameter is unknown or missing, if a class lacks what makes it a sampler,
        if a step of a pipeline is none, or for a class where an instance belongs and an
        instance where a class does.
    """
    if sampler is None:
        reject_unknown("sampler", "sampler=None", params, ())
        return None
    if isinstance(sampler, str):
        factory = SAMPLERS[sampler]
        reject_unknown("sampler", f"{sampler=}", params, accepted_names(factory))
        return factory(**params)
    if isinstance(sampler, type):
        return _from_class(sampler, params)
    if isinstance(sampler, (IndexSampler, Sampler)):
        raise ValueError(_instance_message(type(sampler)))
    return build_resampler(sampler, params)


def _from_class(cls: type, params: dict[str, Any]) -> IndexSampler:
    if issubclass(cls, IndexSampler):
        _check_methods(cls, sorted(cls.__abstractmethods__))
        _check_arguments(cls, params, given=())
        return cls(**params)
    if issubclass(cls, Sampler):
        _check_methods(cls, ["__iter__"] if cls.__iter__ is Sampler.__iter__ else [])
        _check_arguments(cls, params, given=CONTRACT)
        return TorchSampler(cls, **params)
    name = cls.__name__
    raise ValueError(f"sampler={name} is a class; give an instance: sampler={name}().")


def _check_methods(cls: type, missing: list[str]) -> None:
    if missing:
        raise ValueError(
            f"sampler={cls.__name__} leaves {' and '.join(missing)} to its subclasses; "
            "give a subclass that defines that."
        )


def _check_arguments(cls: type, params: dict[str, Any], given: Collection[str]) -> None:
    """Raise for arguments that ``__init__`` does not know, or needs and has not."""
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
        "Row weights cannot be given, because the training rows are known behind the "
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

"""Short names of strategies, for tables and plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from imbalnet._text import numbered_repeats

PLAIN = "plain"
_LEVERS = {"loss": "cross_entropy", "class_weight": None, "sampler": None}
# Parameters that are the same for all candidates.
_COMMON = {"target_prior": "train"}


def strategy_name(params: Mapping[str, Any]) -> str:
    """Return a short name of a candidate of a search.

    The loss comes first, then class weights, then the sampler, then all other
    parameters. ``target_prior="train"``, which all candidates of
    :func:`~imbalnet.strategies.strategy_grid` have, is left out.

    Parameters
    ----------
    params : dict
        Parameters of :class:`~imbalnet.BalancedNeuralClassifier`, such as an entry of
        ``search.cv_results_["params"]``. Their names may start with those of pipeline
        steps (``clf__loss``).

    Returns
    -------
    str
        "plain" if there is no lever and no other parameter.

    Raises
    ------
    ValueError
        If `params` is not a dict whose keys are names.

    Examples
    --------
    >>> from imbalnet.strategies import strategy_name
    >>> strategy_name({"clf__sampler": "stratified_batch", "clf__sampler__power": 0.5})
    'stratified_batch, power=0.5'
    >>> strategy_name({"loss": "focal", "loss__gamma": 2.0, "sampler": "weighted"})
    'focal, gamma=2 + weighted'
    >>> strategy_name({"target_prior": "train"})
    'plain'
    """
    is_dict = isinstance(params, Mapping)
    if not is_dict or not all(isinstance(name, str) for name in params):
        raise ValueError(
            f"params={params!r} must be a dict of names of parameters to their values."
        )
    params = {_without_steps(name): value for name, value in params.items()}
    levers = [_lever_name(lever, params) for lever in _LEVERS]
    others = [
        f"{name}={_text(value)}"
        for name, value in params.items()
        if name.split("__")[0] not in _LEVERS and not _is_same(value, _COMMON.get(name))
    ]
    return " + ".join(filter(None, [*levers, ", ".join(others)])) or PLAIN


def unique_names(candidates: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of candidates; repeated names are numbered."""
    return numbered_repeats(map(strategy_name, candidates))


def _without_steps(name: str) -> str:
    """Remove the names of pipeline steps before a lever's parameter."""
    parts = name.split("__")
    known = (i for i, part in enumerate(parts) if part in _LEVERS or part in _COMMON)
    return "__".join(parts[next(known, 0) :])


def _lever_name(lever: str, params: Mapping[str, Any]) -> str:
    """Return the text for a lever's value and nested parameters; "" for no lever."""
    start = f"{lever}__"
    nested = {
        name.removeprefix(start): value
        for name, value in params.items()
        if name.startswith(start) and value is not None
    }
    value = params.get(lever, _LEVERS[lever])
    if value is None or (_is_same(value, _LEVERS[lever]) and not nested):
        return ""
    options = (f"{name}={_text(option)}" for name, option in nested.items())
    return ", ".join([_text(value), *options])


def _is_same(value: Any, default: str | None) -> bool:
    """Return whether a value, which may be an array, is the default."""
    return value is default or (isinstance(value, str) and value == default)


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.tolist())
    if hasattr(value, "to_dict"):  # a Series or a frame
        return str(value.to_dict())
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, str):
        return value
    if hasattr(value, "get_params"):
        return f"{type(value).__name__}()"
    return getattr(value, "__name__", str(value))

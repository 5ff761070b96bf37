"""Checks of the parameters with a value for each class: weights, costs, priors.

Booleans and strings such as ``"5"``, which NumPy would convert to numbers, raise an
error. Weights of unknown labels lead to a warning. :mod:`imbalnet.class_weights` and
:mod:`imbalnet.posterior` check the range of the numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet._checks import values_by_label
from imbalnet._nested import name_of
from imbalnet._warn import warn
from imbalnet.decisions.criteria import check_threshold
from imbalnet.posterior import resolve_costs
from imbalnet.posterior.prior import target_distribution

_NAMES = "class_weight", "cost_matrix", "target_prior"


def check_class_values(params: Mapping[str, Any], classes: NDArray) -> None:
    """Raise for values that are not numbers, and warn of weights for unknown labels."""
    for name in _NAMES:
        value = params[name]
        if not (value is None or isinstance(value, str) or callable(value)):
            _check_numbers(name, value)
    if callable(params["class_weight"]):
        _check_takes_counts(params["class_weight"])
    _warn_of_unknown_labels(params["class_weight"], classes)
    uniform = np.ones(len(classes)) / len(classes)
    target_distribution(params["target_prior"], classes, uniform)
    resolve_costs(params["cost_matrix"], classes)
    if params["threshold"] is not None:
        check_threshold(params["threshold"], len(classes))
        if params["cost_matrix"] is not None:
            raise ValueError(
                "threshold and cost_matrix both decide what predict calls positive: "
                "leave out one of them."
            )


def _warn_of_unknown_labels(class_weight: Any, classes: NDArray) -> None:
    """Warn of weights for labels that do not occur in y.

    This is not an error, because a label may be missing by chance in a fold.
    """
    of_label = values_by_label("class_weight", class_weight) or {}
    labels = classes.tolist()
    known = set(labels)
    unknown = [label for label in of_label if label not in known]
    if unknown and len(of_label) == len(labels) + len(unknown):
        warn(
            f"class_weight has weights for {unknown}, which are no labels of y and so "
            f"change nothing; the labels are {labels}. Leave them out."
        )


def _check_takes_counts(function: Any) -> None:
    """Raise if a function does not accept a single argument."""
    with suppress(ValueError):  # functions in C may have no signature
        try:
            inspect.signature(function).bind(None)
        except TypeError as error:
            raise TypeError(
                f"class_weight={name_of(function)} must take one argument, the class "
                f"counts, and return the weights: {error}."
            ) from error


def _check_numbers(name: str, value: Any) -> None:
    """Raise if one of the values is not a number."""
    of_label = None if hasattr(value, "columns") else values_by_label(name, value)
    if of_label is not None:
        for key, each in of_label.items():
            if _is_text_or_flag(each):
                raise ValueError(f"{name}[{key!r}]={each!r} must be a finite number.")
        return
    try:
        values = np.asarray(value, dtype=object)
    except ValueError:  # nested sequences of different lengths
        return
    wrong = next((each for each in values.flat if _is_text_or_flag(each)), None)
    if wrong is not None:
        raise ValueError(
            f"{name}={value!r} must hold finite numbers, but holds {wrong!r}."
        )


def _is_text_or_flag(value: Any) -> bool:
    """Return whether a value is not a number, but NumPy may convert it to one."""
    return isinstance(value, str | bytes | bool | np.bool_)

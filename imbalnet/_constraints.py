"""Constraints of parameters, beside those of scikit-learn."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, get_args

import numpy as np
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
)

from imbalnet._checks import did_you_mean


class Number(Interval):
    """An interval of numbers, which ``True`` and ``False`` do not count as.

    For scikit-learn they are integers, so that ``max_epochs=True`` is one epoch.
    Infinity is no number either.
    """

    def is_satisfied_by(self, value: Any) -> bool:
        """Return whether a value is a finite number of the interval."""
        if isinstance(value, bool | np.bool_) or not super().is_satisfied_by(value):
            return False
        return isinstance(value, Integral) or math.isfinite(value)


class Names(StrOptions):
    """The strings of a ``Literal``, which errors list in order.

    Parameters
    ----------
    literal : Literal
        Whose strings a parameter may be.
    """

    def __init__(self, literal: Any) -> None:
        super().__init__(set(get_args(literal)))

    def __str__(self) -> str:
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


class MeantNamesMixin:
    """Say which name was meant where a parameter has one that is unknown."""

    _parameter_constraints: dict[str, list[Any]]
    # Functions that know further names of a parameter, and return what to do.
    _further_names: Mapping[str, Callable[[str], str]] = {}

    def _validate_params(self) -> None:
        """Check the parameters, as scikit-learn does."""
        try:
            super()._validate_params()  # type: ignore[misc]
        except InvalidParameterError as error:
            raise InvalidParameterError(f"{error}{self._cure(str(error))}") from None

    def _cure(self, message: str) -> str:
        """Return what to add to scikit-learn's message, which names the parameter."""
        found = re.match(r"The '(\w+)' parameter", message)
        name = found[1] if found else ""
        value = getattr(self, name, None)
        if not isinstance(value, str):
            return ""
        known = [
            option
            for constraint in self._parameter_constraints[name]
            if isinstance(constraint, Names)
            for option in constraint.options
        ]
        further = self._further_names.get(name, lambda value: "")(value)
        return further or did_you_mean(value, sorted(known))

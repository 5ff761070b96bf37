"""Constraints of parameters, in addition to scikit-learn's."""

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
    """An interval of finite numbers, to which ``True`` and ``False`` do not belong.

    scikit-learn's ``Interval`` accepts them as integers, so that ``max_epochs=True``
    would be one epoch, and accepts infinity.
    """

    def is_satisfied_by(self, value: Any) -> bool:
        """Return whether a value is a finite number in the interval."""
        if isinstance(value, bool | np.bool_) or not super().is_satisfied_by(value):
            return False
        return isinstance(value, Integral) or math.isfinite(value)


class Names(StrOptions):
    """The strings of a ``Literal``, sorted in error messages.

    Parameters
    ----------
    literal : Literal
        Type of the allowed strings.
    """

    def __init__(self, literal: Any) -> None:
        super().__init__(set(get_args(literal)))

    def __str__(self) -> str:
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


class MeantNamesMixin:
    """Suggest a name in errors about a parameter that is an unknown string."""

    _parameter_constraints: dict[str, list[Any]]
    # By parameter, a function that returns a cure for other strings, or "".
    _further_names: Mapping[str, Callable[[str], str]] = {}

    def _validate_params(self) -> None:
        """Check the parameters, as scikit-learn does."""
        try:
            super()._validate_params()  # type: ignore[misc]
        except InvalidParameterError as error:
            raise InvalidParameterError(f"{error}{self._cure(str(error))}") from None

    def _cure(self, message: str) -> str:
        """Return a suggestion to append to scikit-learn's message."""
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

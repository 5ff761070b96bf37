"""Constraints of parameters, beside those of scikit-learn."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval


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

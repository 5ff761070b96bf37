"""Warnings that point at the user's line, from any depth of calls."""

from __future__ import annotations

import sys
import warnings
from functools import cache
from importlib.util import find_spec

# Packages whose frames are skipped in the search for the user's line.
_BETWEEN = "contextlib", "imbalnet", "imblearn", "joblib", "skops", "skorch", "sklearn"


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the nearest caller outside of this package and of `_BETWEEN`."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_code.co_filename.startswith(_paths()):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


@cache
def _paths() -> tuple[str, ...]:
    specs = [find_spec(package) for package in _BETWEEN]  # imports nothing
    origins = [spec.origin for spec in specs if spec and spec.origin]
    return tuple(origin.removesuffix("__init__.py") for origin in origins)

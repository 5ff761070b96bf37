"""Import of optional packages, with errors that name the extra to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(*names: str, use: str, cure: str) -> Any:
    """Import packages and return the first, or raise an error that names the cure.

    `use` is the feature that needs them, `cure` the argument of ``pip install``.
    """
    try:
        first, *_ = [import_module(name) for name in names]
    except ImportError as error:
        raise ImportError(
            f"{use} needs the package {error.name}: pip install {cure}."
        ) from error
    return first

"""Packages that only some exports need."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(*names: str, cure: str = "imbalnet[onnx]") -> Any:
    """Import packages and return the first, or say what pip has to install."""
    try:
        first, *_ = [import_module(name) for name in names]
    except ImportError as error:
        raise ImportError(
            f"ONNX needs the package {error.name}: pip install {cure}."
        ) from error
    return first

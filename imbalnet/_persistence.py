"""The state that pickle, joblib and skops store of the estimator, with versions.

:func:`imbalnet._state.pack` makes it. Copies in memory do not need it.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any

import torch
from sklearn.exceptions import InconsistentVersionWarning

from imbalnet._state import pack, unpack
from imbalnet._warn import warn

# Number of the state's format; increase it when earlier versions cannot read the state.
FORMAT = 1


class PersistenceMixin:
    """Store an estimator as NumPy arrays and plain types."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the packed attributes, and the versions."""
        state: Any = super().__getstate__()
        return {"format": FORMAT, "versions": _versions(), **pack(dict(state))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the attributes; warn if another version has stored them."""
        _check_versions(type(self).__name__, state)
        self.__dict__.update(unpack(state))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy the attributes without packing them."""
        result = memo[id(self)] = object.__new__(type(self))
        state: Any = super().__getstate__()
        result.__dict__.update(copy.deepcopy(state, memo))
        return result


class _OtherVersion(InconsistentVersionWarning):
    """scikit-learn's warning, with a message of our own."""

    def __init__(self, name: str, stored: Mapping[str, str]) -> None:
        now = _versions()
        super().__init__(
            estimator_name=name,
            current_sklearn_version=now["imbalnet"],
            original_sklearn_version=stored["imbalnet"],
        )
        self.stored, self.now = stored, now

    def __str__(self) -> str:
        stored, now = (
            " and ".join(f"{package} {number}" for package, number in versions.items())
            for versions in (self.stored, self.now)
        )
        return (
            f"This {self.estimator_name} was stored with {stored}, and is loaded with "
            f"{now}: it may break, or predict something else. Compare predictions for "
            "known rows, or load it with the versions that it was stored with."
        )


def _versions() -> dict[str, str]:
    """Return the versions of the packages that predictions may depend on."""
    of_torch = torch.__version__.partition("+")[0]  # without the build, such as +cpu
    return {"imbalnet": sys.modules["imbalnet"].__version__, "torch": of_torch}


def _check_versions(name: str, state: Mapping[str, Any]) -> None:
    """Raise if the state cannot be read; warn if other versions have stored it."""
    found, stored = state.get("format"), state.get("versions", {})
    if found is None or found > FORMAT:
        whose = f"imbalnet {stored['imbalnet']}" if stored else "another version"
        raise ValueError(
            f"This {name} was stored by {whose} in the format {found}, but imbalnet "
            f"{_versions()['imbalnet']} reads the format {FORMAT}. Load it with the "
            "version that it was stored with, or fit again."
        )
    if stored != _versions():
        warn(_OtherVersion(name, stored))

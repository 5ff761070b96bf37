"""What pickle, joblib and skops store of the estimator, with versions.

The state is that of :func:`imbalnet._state.pack`. Copies in memory do without it.
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

# The format of the state; to be raised when earlier versions cannot read it.
FORMAT = 1


class PersistenceMixin:
    """Store an estimator as NumPy arrays and plain types."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes in plain form, and the versions."""
        state: Any = super().__getstate__()
        return {"format": FORMAT, "versions": _versions(), **pack(dict(state))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the attributes; warn if another version has stored them."""
        _check_versions(type(self).__name__, state)
        self.__dict__.update(unpack(state))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy the attributes as they are."""
        twin = memo[id(self)] = object.__new__(type(self))
        state: Any = super().__getstate__()
        twin.__dict__.update(copy.deepcopy(state, memo))
        return twin


class _OtherVersion(InconsistentVersionWarning):
    """Tells in scikit-learn's category which versions differ, and what to do."""

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
    """Return the versions that results may depend on."""
    of_torch = torch.__version__.partition("+")[0]  # without the kind of its build
    return {"imbalnet": sys.modules["imbalnet"].__version__, "torch": of_torch}


def _check_versions(name: str, state: Mapping[str, Any]) -> None:
    """Raise for a state that cannot be read, warn of one of another version."""
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

"""The identity of a fit: digests of its data, parameters and versions.

:mod:`imbalnet._fit.checkpoint.saver` compares the identity of a fit with that of the
file that it finds, and names what differs.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from itertools import chain
from types import FunctionType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator

from imbalnet._fit.cv import name_of_cv
from imbalnet._fit.plan import TrainingPlan
from imbalnet._fit.specs import Options
from imbalnet._nested import name_of
from imbalnet._tables import Rows, ShuffledMatrix

# Parameters that may change between two calls, or have an entry of their own below.
_LEFT_OUT = {
    "checkpoint",
    "cost_matrix",
    "cv",
    "device",
    "n_threads",
    "random_state",
    "target_prior",
    "threshold",
    "verbose",
    "warm_start",
}

_VERSIONS = "imbalnet", "numpy", "skorch", "torch"
_BLOCK_BYTES = 2**20
_LONGEST_TEXT = 60


@dataclass(frozen=True)
class Identity:
    """All that the result of a fit depends on.

    Attributes
    ----------
    entries : mapping of str to (str, str)
        By name, the text for messages, and the digest.
    """

    entries: Mapping[str, tuple[str, str]]

    @classmethod
    def of(
        cls, options: Options, rows: Rows, given: Rows | None, start: Any
    ) -> Identity:
        """Return the identity of a fit; `given` are the user's validation rows.

        `start` are the weights of an earlier fit that training continues from, or None.
        """
        entries = {}
        for name in _VERSIONS:
            version = str(importlib.import_module(name).__version__)
            entries[name] = f"{name} {version}", version
        assert options.params is not None
        for name, value in sorted(options.params.items()):
            if name not in _LEFT_OUT:
                entries[name] = f"{name}={short(value)}", digest(value)
        entries |= _of_settings(options, start)
        entries |= _of_rows(rows, "X", "y", options.classes)
        if given is not None:
            entries |= _of_rows(given, "X_val", "y_val", options.classes)
        return cls(entries)

    @property
    def digest(self) -> str:
        """The digest of all entries."""
        return digest({name: value for name, (_, value) in self.entries.items()})

    def differences(self, other: Identity, word: str = "now") -> list[str]:
        """Return a text for each entry that differs from another fit."""
        texts = []
        for name in dict.fromkeys([*self.entries, *other.entries]):
            (old, old_digest), (new, new_digest) = (
                of.entries.get(name, (f"no {name}", "")) for of in (self, other)
            )
            if old_digest != new_digest:
                texts.append(
                    f"another {name}" if old == new else f"{old}, {word} {new}"
                )
        return texts


def _of_settings(options: Options, start: Any) -> dict[str, tuple[str, str]]:
    """Return the entries of parameters that are compared after they were resolved."""
    assert options.params is not None
    params = options.params
    device, cv, state = (
        str(options.machine.device),
        params["cv"],
        params["random_state"],
    )
    drawn = None if state is None else tuple(options.seeds)
    splits = options.validation.splits
    return {
        "device": (f"device={device}", device),
        "cv": (name_of_cv(cv), digest(cv if splits is None else splits)),
        "random_state": (f"random_state={short(state)}", digest(drawn)),
        "start": (
            "new weights" if start is None else "the weights of an earlier fit",
            digest(start),
        ),
    }


def _of_rows(
    rows: Rows, X: str, y: str, classes: NDArray
) -> dict[str, tuple[str, str]]:
    """Return the entries of rows, whose features and labels have these names."""
    size = f"{rows.X.shape[0]} rows and {rows.X.shape[1]} columns"
    read = rows.X, rows.columns, list(rows.names)
    weight = (rows.weight, rows.index)  # rows of weight 0 are left out
    entries = {
        X: (f"{X} of {size}", digest(read)),
        y: (y, digest((rows.codes, classes))),
    }
    if X == "X":
        entries["sample_weight"] = ("sample_weight", digest(weight))
        entries["groups"] = ("groups", digest(rows.groups))
    return entries


def digest_of_plans(plans: Sequence[TrainingPlan], rows: Rows) -> str:
    """Return the digest of the members' training rows and class weights."""
    return digest(
        [
            (
                None if plan.rows.X is rows.X else (plan.rows.X, plan.rows.codes),
                plan.rows.index,
                plan.factor,
                plan.early_factor,
                plan.batch_size,
            )
            for plan in plans
        ]
    )


def digest(value: Any) -> str:
    """Return a digest of a value: parameters, arrays, and objects with such attributes.

    Examples
    --------
    >>> from imbalnet._fit.checkpoint.identity import digest
    >>> digest({"a": 1, "b": [2.0]}) == digest({"b": [2.0], "a": 1})
    True
    """
    hasher = hashlib.sha256(usedforsecurity=False)
    for part in _parts(value):
        hasher.update(part)
    return hasher.hexdigest()[:32]


def short(value: Any) -> str:
    """Return the text of a parameter for messages; its type if the text is long."""
    text = name_of(value)
    is_long = len(text) > _LONGEST_TEXT or "\n" in text or " at 0x" in text
    return f"<{type(value).__name__}>" if is_long else text


def _parts(value: Any, around: tuple[Any, ...] = ()) -> Iterator[Any]:
    """Yield the bytes of a value; `around` are the values that contain it."""
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        value = value.item()
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        yield f"{value!r};".encode()
        return
    yield f"{type(value).__qualname__}(".encode()
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        yield from _of_array(value)
    elif not any(value is outer for outer in around):
        for inner in _inside(value, around):
            yield from _parts(inner, (*around, value))
    yield b")"


def _of_array(value: Any) -> Iterator[Any]:
    """Yield the bytes of an array in C order, independent of its memory layout."""
    if isinstance(value, torch.Tensor):
        # a copy, for contiguous() leaves the stride 0 of an expanded single value
        flat = torch.empty(value.numel(), dtype=value.dtype, device="cpu")
        flat.copy_(value.detach().flatten())
        yield f"{value.dtype}{tuple(value.shape)}".encode()
        yield flat.view(torch.uint8).numpy()
        return
    array = np.asarray(value)
    yield f"{array.dtype}{array.shape}".encode()
    if array.dtype.hasobject or array.dtype.kind == "T":
        yield from _parts(array.tolist())
        return
    n_rows = len(array) if array.ndim and not array.flags.c_contiguous else 1
    step = max(1, _BLOCK_BYTES * n_rows // max(array.nbytes, 1))
    array = array if array.ndim and n_rows > 1 else array[None]
    for start in range(0, len(array), step):
        block = np.ascontiguousarray(array[start : start + step])
        yield block.reshape(-1).view(np.uint8)


def _inside(value: Any, around: tuple[Any, ...]) -> Iterable[Any]:
    """Return the parts of a value that is no number, string or array."""
    if isinstance(value, Mapping):
        return sorted(value.items(), key=lambda pair: repr(pair[0]))
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, list | tuple | range):
        return value
    if isinstance(value, ShuffledMatrix):
        return chain([value.shape], value.blocks())
    if sparse.issparse(value):
        rows = sparse.csr_array(value)
        return rows.shape, rows.data, rows.indices, rows.indptr
    if isinstance(value, type | FunctionType):
        return f"{value.__module__}.{value.__qualname__}", _source(value)
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    if isinstance(value, np.random.Generator):
        return [value.bit_generator.state]
    if isinstance(value, np.random.RandomState):
        return [value.get_state(legacy=False)]
    if isinstance(value, torch.Generator):
        return [value.get_state()]
    if hasattr(value, "to_dict"):  # a data frame, or one column of it
        return [value.to_dict()]
    if hasattr(value, "__array__"):
        return [np.asarray(value)]
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, BaseEstimator):
        return type(value), value.get_params(deep=False)
    if any(hasattr(outer, "__dict__") for outer in around):
        return [type(value)]  # its attributes may be times and addresses
    return type(value), getattr(value, "__dict__", None)


def _source(value: Any) -> str | None:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):  # defined in a terminal
        return None

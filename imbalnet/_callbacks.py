"""Checks and copies of skorch callbacks, also of those that cannot be copied.

A fit copies the user's callbacks, so that training does not change them. Callbacks that
hold a lock, an open file or a connection, such as ``TensorBoard(SummaryWriter())``,
cannot be copied. They are used themselves, and deep copies and pickles of a classifier
leave them out.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from imbalnet._warn import warn

# Methods that skorch calls on every callback.
_METHODS = "initialize", "set_params", "on_train_begin", "on_epoch_end"


def callback_of(item: Any) -> Any:
    """Return the callback of an item, which may be a pair (name, callback)."""
    return item[1] if isinstance(item, tuple) else item


def check_callbacks(items: Sequence[Any], taken: Collection[str] = ()) -> None:
    """Raise if an item is no skorch callback, or if a name is used twice.

    Parameters
    ----------
    items : sequence
        The parameter ``callbacks``: callbacks, their classes, or pairs (name,
        callback).
    taken : collection of str, default=()
        Names of the callbacks that training adds.
    """
    names = list(taken)
    for i, item in enumerate(items):
        is_pair = isinstance(item, tuple)
        if is_pair and (len(item) != 2 or not isinstance(item[0], str)):
            raise ValueError(
                f"callbacks[{i}]={item!r} must be a pair (name, callback) of a string "
                "and a skorch callback, or a callback alone."
            )
        if not all(hasattr(callback_of(item), method) for method in _METHODS):
            raise ValueError(
                f"callbacks[{i}]={item!r} is no skorch callback, nor a pair (name, "
                "callback) with one: derive it from skorch.callbacks.Callback."
            )
        names.extend(item[:1] if is_pair else ())
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"callbacks has the name {twice[0]!r} twice, or it is one of training's "
            f"own ({', '.join(taken)}): give each callback another name."
        )


def uncopyable(items: Iterable[Any]) -> list[Any]:
    """Return those callbacks that cannot be copied."""
    return [cb for cb in map(callback_of, items) if not _is_copyable(cb)]


def _is_copyable(callback: Any) -> bool:
    try:
        copy.deepcopy(callback)
    except Exception:
        return False
    return True


def copy_callbacks(items: Iterable[Any]) -> list[Any]:
    """Return copies of the items; callbacks that cannot be copied stay the same.

    Examples
    --------
    >>> import threading
    >>> from imbalnet._callbacks import copy_callbacks
    >>> plain, locked = [], threading.Lock()
    >>> one, two = copy_callbacks([plain, ("locked", locked)])
    >>> one is plain, two[1] is locked
    (False, True)
    """
    items = list(items)  # copied together, because callbacks may share an object
    try:
        return copy.deepcopy(items)
    except Exception:  # of any type: each class raises its own
        return copy.deepcopy(items, {id(cb): cb for cb in uncopyable(items)})


def without_uncopyable(items: Iterable[Any]) -> list[Any]:
    """Return the items whose callbacks can be copied, and warn of the others."""
    items = list(items)
    lost = uncopyable(items)
    if not lost:
        return items
    names = ", ".join(dict.fromkeys(type(callback).__name__ for callback in lost))
    warn(
        f"callbacks has {names}, which cannot be copied or pickled (it may hold a "
        "lock or an open file): deep copies and pickles of the classifier, and worker "
        "processes, are without it."
    )
    found = {id(callback) for callback in lost}
    return [item for item in items if id(callback_of(item)) not in found]


class CallbacksMixin:
    """Let an estimator with the parameter `callbacks` be cloned and pickled."""

    callbacks: Any

    def __sklearn_clone__(self) -> Any:
        """Clone the other parameters; callbacks stay the same objects.

        scikit-learn would take each callback for an estimator and build it anew from
        its attributes. A fit copies callbacks before it uses them.
        """
        bare = copy.copy(self)
        bare.callbacks = None
        clone = super(CallbacksMixin, bare).__sklearn_clone__()  # type: ignore[misc]
        clone.callbacks = copy.copy(self.callbacks)
        return clone

    def __copy__(self) -> Any:
        """Return a shallow copy, with the same callbacks."""
        result = object.__new__(type(self))
        result.__dict__.update(vars(self))
        return result

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without callbacks that cannot be pickled."""
        state = super().__getstate__()
        if not isinstance(self.callbacks, list | tuple):
            return state  # type: ignore[return-value]
        kept = type(self.callbacks)(without_uncopyable(self.callbacks))
        return {**state, "callbacks": kept}  # type: ignore[dict-item]

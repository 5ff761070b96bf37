"""Packing of the state that training changes, as plain values and tensors.

All before the first epoch is computed again from the same seeds. So the state is that
of weights, loss, optimiser, callbacks, history and generators between two epochs.
Values are packed into lists of a tag and its content, which ``torch.load`` reads
without running code.
"""

from __future__ import annotations

import io
import random
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from enum import Enum
from functools import partial
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# Types of values that training does not change; the new fit has its own.
_CONSTANT = (
    BuiltinFunctionType,
    Enum,
    FunctionType,
    MethodType,
    ModuleType,
    PurePath,
    np.dtype,
    np.ufunc,
    partial,
    re.Pattern,
    torch.device,
    torch.dtype,
    type,
)
_LEAVE = ["leave", None]
_PLAIN = bool, int, float, str, type(None)
_OF_EVERY_MODULE = set(vars(nn.Module()))
_OF_EVERY_OPTIMIZER = {"defaults", "param_groups", "state"}
# Attributes of the net that callbacks may change.
_OF_NET = "lr", "weight_decay", "stop_training"


class _CannotBePackedError(TypeError):
    """Raised for a value without a plain form; the message is its type."""


def pack(value: Any, known: Collection[int] = ()) -> Any:
    """Return the plain form of a value, without objects whose ids are in `known`.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet._fit.checkpoint.state import pack, unpack
    >>> rng = np.random.default_rng(0)
    >>> packed = pack([rng, {"n": 1}])
    >>> first = rng.random()
    >>> unpack(packed, [rng, {}])[1], rng.random() == first
    ({'n': 1}, True)
    """
    if type(value) in _PLAIN:
        return value
    if id(value) in known or isinstance(value, _CONSTANT):
        return _LEAVE
    if isinstance(value, Tensor):
        return _compact(value.detach().cpu())
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        content = torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)
        return ["array" if isinstance(value, np.ndarray) else "scalar", content]
    if type(value) in (list, tuple, set, frozenset):
        return [type(value).__name__, [pack(item, known) for item in value]]
    if type(value) in (dict, OrderedDict):
        items = [[pack(k, known), pack(v, known)] for k, v in value.items()]
        return ["dict", items]
    access = _state_access(value)
    if access is None:
        raise _CannotBePackedError(type(value).__name__)
    return ["state", pack(access[0](), known)]


def unpack(packed: Any, now: Any = None) -> Any:
    """Return a packed value; lists, dicts and objects of `now` are updated in place."""
    if not isinstance(packed, list):
        return packed.to(now.device) if _are_tensors(packed, now) else packed
    tag, content = packed
    if tag == "leave":
        return now
    if tag in ("array", "scalar"):
        array = np.load(io.BytesIO(content.numpy().tobytes()), allow_pickle=False)
        return array if tag == "array" else array[()]
    if tag == "state":
        access = _state_access(now)
        if access is None:
            raise ValueError(
                "checkpoint: an object with a state was made while training went on, "
                "so that nothing can take its state now; make it in on_train_begin."
            )
        access[1](unpack(content))
        return now
    if tag == "dict":
        return _into_dict(content, now if type(now) in (dict, OrderedDict) else {})
    inner = now if isinstance(now, list | tuple) else []
    items = [
        unpack(item, inner[i] if i < len(inner) else None)
        for i, item in enumerate(content)
    ]
    if tag == "list" and type(now) is list:
        now[:] = items  # callbacks may share it
        return now
    return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[tag](
        items
    )


def _into_dict(content: list[Any], now: dict[Any, Any]) -> dict[Any, Any]:
    keys = [unpack(key) for key, _ in content]
    values = [unpack(v, now.get(k)) for k, (_, v) in zip(keys, content, strict=True)]
    now.clear()
    now.update(zip(keys, values, strict=True))
    return now


def _compact(tensor: Tensor) -> Tensor:
    """Copy a view of a larger storage, since the whole storage would be written."""
    is_view = tensor.untyped_storage().nbytes() > tensor.numel() * tensor.itemsize
    return tensor.clone() if is_view else tensor


def _are_tensors(*values: Any) -> bool:
    return all(isinstance(value, Tensor) for value in values)


def _state_access(
    value: Any,
) -> tuple[Callable[[], Any], Callable[[Any], Any]] | None:
    """Return the functions that get and set an object's state, or None."""
    if isinstance(value, np.random.Generator):
        bits = value.bit_generator
        return lambda: bits.state, partial(setattr, bits, "state")
    if isinstance(value, np.random.RandomState):
        return partial(value.get_state, legacy=False), value.set_state
    if isinstance(value, random.Random):
        return value.getstate, value.setstate
    if isinstance(value, torch.Generator):
        return value.get_state, value.set_state
    if hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        return value.state_dict, value.load_state_dict
    return None


# -- the parts of a net ------------------------------------------------------------


def pack_net(net: Any, callbacks: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the state of a net, and of `callbacks`, between two epochs."""
    parts = [net, net.module_, net.criterion_, net.optimizer_, net.history]
    parts += [*net.module_.parameters(), *net.criterion_.parameters()]
    known = {id(part) for part in parts}
    return {
        "net": {name: pack(getattr(net, name)) for name in _OF_NET},
        "module": _pack_module(net.module_, "module", known),
        "criterion": _pack_module(net.criterion_, "loss", known),
        "optimizer": _named("optimizer", net.optimizer_.state_dict(), known),
        "of_optimizer": _attributes(
            net.optimizer_, known, _OF_EVERY_OPTIMIZER, is_strict=False
        ),
        "history": _named("history_", list(net.history), known),
        "callbacks": [_pack_callback(cb, known) for _, cb in callbacks],
    }


def unpack_net(
    packed: dict[str, Any], net: Any, callbacks: Sequence[tuple[str, Any]]
) -> None:
    """Restore the packed state of a net and its `callbacks`."""
    for name, value in packed["net"].items():
        setattr(net, name, unpack(value))
    _load_module(net.module_, packed["module"])
    _load_module(net.criterion_, packed["criterion"])
    net.optimizer_.load_state_dict(unpack(packed["optimizer"]))
    _load_attributes(net.optimizer_, packed["of_optimizer"])
    net.history[:] = unpack(packed["history"])
    for (_, callback), state in zip(callbacks, packed["callbacks"], strict=True):
        if isinstance(state, dict):
            _load_attributes(callback, state)
        else:
            unpack(state, callback)


def _named(what: str, value: Any, known: Collection[int]) -> Any:
    try:
        return pack(value, known)
    except _CannotBePackedError as error:
        raise ValueError(
            f"checkpoint: the state of {what} holds a {error}, which cannot be saved; "
            "let it be numbers, strings, arrays or tensors, or leave checkpoint out."
        ) from error


def _pack_module(
    module: nn.Module, what: str, known: Collection[int]
) -> dict[str, Any]:
    """Return parameters, buffers, and the plain attributes of all submodules."""
    state = module.state_dict()
    return {
        "state": _named(what, state, known),
        "buffers": {
            name: pack(buffer)
            for name, buffer in module.named_buffers()
            if name not in state
        },
        "requires_grad": [p.requires_grad for p in module.parameters()],
        "attributes": {
            name: _attributes(part, known, _OF_EVERY_MODULE, is_strict=False)
            for name, part in module.named_modules()
        },
    }


@torch.no_grad()
def _load_module(module: nn.Module, packed: dict[str, Any]) -> None:
    module.load_state_dict(unpack(packed["state"]))
    for name, buffer in packed["buffers"].items():
        module.get_buffer(name).copy_(buffer)
    for parameter, is_trained in zip(
        module.parameters(), packed["requires_grad"], strict=True
    ):
        parameter.requires_grad_(is_trained)
    for name, attributes in packed["attributes"].items():
        _load_attributes(module.get_submodule(name), attributes)


def _pack_callback(callback: Any, known: Collection[int]) -> Any:
    """Return the state of a callback: its own ``state_dict``, or its attributes."""
    if _state_access(callback) is not None:
        return _named(f"callbacks ({type(callback).__name__})", callback, known)
    # objects in skorch's callbacks only display, or are the user's arguments
    is_own = not type(callback).__module__.startswith("skorch.")
    return _attributes(callback, known, is_strict=is_own)


def _attributes(
    owner: Any,
    known: Collection[int],
    without: Collection[str] = (),
    *,
    is_strict: bool,
) -> dict[str, Any]:
    """Pack the attributes of an object.

    Those that cannot be packed are left out, or an error with `is_strict`.
    """
    packed = {}
    for name, value in getattr(owner, "__dict__", {}).items():
        if name in without:
            continue
        try:
            packed[name] = pack(value, known)
        except _CannotBePackedError as error:
            if is_strict:
                raise ValueError(_of_attribute(owner, name, error)) from error
    return packed


def _of_attribute(owner: Any, name: str, error: _CannotBePackedError) -> str:
    kind = type(owner).__name__
    return (
        f"checkpoint: {kind}.{name} holds a {error}, which cannot be saved. Give "
        f"{kind} the methods state_dict() and load_state_dict(state), for what "
        "training changes in it, or leave checkpoint out."
    )


def _load_attributes(owner: Any, packed: dict[str, Any]) -> None:
    own = owner.__dict__
    for name, value in packed.items():
        is_left = isinstance(value, list) and value[0] == "leave"
        if not is_left:
            own[name] = unpack(value, own.get(name))

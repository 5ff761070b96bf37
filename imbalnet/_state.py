"""Conversion of objects to JSON, NumPy arrays and plain types, and back.

The state of an estimator is stored in this form. Files then contain neither torch's nor
skorch's pickles, and the estimator's class is the only one that ``skops`` must trust.

Networks, losses and values of this package are stored as class and attributes, and
rebuilt without a call of ``__init__``. Classes are looked up in a few packages only
(`_ROOTS`). Other objects, such as instances and classes of the user, are stored as they
are, in a list beside the JSON text.
"""

from __future__ import annotations

import importlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from functools import cache, partial
from types import FunctionType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbalnet._runtime import available_device

# Packages whose classes are stored by name.
_ROOTS = "imbalnet", "torch.nn", "torch.optim", "tabm", "rtdl_num_embeddings"
_OF_SKORCH = {
    "skorch.callbacks.logging.EpochTimer",
    "skorch.dataset.Dataset",
    "skorch.history.History",
    "skorch.setter.optimizer_setter",
}
_ATOMS = type(None), bool, int, float, str
# Types of torch that NumPy lacks, and integers of the same size to store them as.
_AS_INTEGERS = {torch.bfloat16: torch.int16}


def pack(value: Any) -> dict[str, Any]:
    """Convert a value to JSON text, arrays, and objects of other classes.

    Examples
    --------
    >>> import torch
    >>> from imbalnet._state import pack, unpack
    >>> packed = pack({"weight": torch.ones(2), "sizes": (3, 4)})
    >>> packed["content"]
    '{"dict":{"weight":{"tensor":[1,{"array":0},null,null]},"sizes":{"tuple":[3,4]}}}'
    >>> packed["arrays"], packed["objects"]
    ([array([1., 1.], dtype=float32)], [])
    >>> unpack(packed)
    {'weight': tensor([1., 1.]), 'sizes': (3, 4)}
    """
    packer = _Packer()
    content = json.dumps(packer.pack(value), separators=(",", ":"))
    return {"content": content, "arrays": packer.arrays, "objects": packer.objects}


def unpack(packed: Mapping[str, Any]) -> Any:
    """Return the value that `pack` has converted."""
    unpacker = _Unpacker(packed["arrays"], packed["objects"])
    return unpacker.unpack(json.loads(packed["content"]))


class _Packer:
    """Convert a value; objects, arrays and tensors that occur twice are stored once."""

    def __init__(self) -> None:
        self.arrays: list[NDArray] = []
        self.objects: list[Any] = []
        self.places: dict[int, dict[str, int]] = {}
        self.alive: list[Any] = []  # keeps ids unique

    def pack(self, value: Any) -> Any:
        """Return the JSON form of a value: an atom, a list, or {kind: content}."""
        if type(value) in _ATOMS:
            return value
        if id(value) in self.places:
            return self.places[id(value)]
        if isinstance(value, type | FunctionType):
            name = _known_name(value)
            return self._beside(value) if name is None else {"named": name}
        pack = _PACKERS.get(type(value))
        if pack is not None:
            return pack(self, value)
        if isinstance(value, np.generic):
            return _pack_scalar(self, value)
        if isinstance(value, tuple) and _known_name(type(value)) is not None:
            parts = [self.pack(part) for part in (type(value), *value)]
            return {"named_tuple": parts}
        state = _state_of(value)
        return self._beside(value) if state is None else self._pack_object(value, state)

    def _pack_object(self, value: Any, state: Mapping[str, Any]) -> dict[str, Any]:
        """Pack the class and attributes, and the items of a subclass of list."""
        content: list[Any] = [self.number(value), self.pack(type(value))]
        content.append(self.pack(dict(state)))
        if isinstance(value, list):
            content.append([self.pack(item) for item in value])
        return {"object": content}

    def number(self, value: Any) -> int:
        """Assign a number to a value; it is stored where the value occurs again."""
        self.alive.append(value)
        number = len(self.alive)
        self.places[id(value)] = {"again": number}
        return number

    def add_array(self, array: NDArray) -> dict[str, int]:
        """Store an array."""
        self.arrays.append(array)
        return {"array": len(self.arrays) - 1}

    def _beside(self, value: Any) -> dict[str, int]:
        """Store an object of another class as it is."""
        self.alive.append(value)
        self.objects.append(value)
        self.places[id(value)] = {"other": len(self.objects) - 1}
        return self.places[id(value)]


def _pack_dict(packer: _Packer, value: dict) -> dict[str, Any]:
    if all(type(key) is str for key in value):
        return {"dict": {key: packer.pack(item) for key, item in value.items()}}
    return {"pairs": _pairs(packer, value)}


def _pairs(packer: _Packer, value: Mapping) -> list[Any]:
    return [[packer.pack(key), packer.pack(item)] for key, item in value.items()]


def _pack_array(packer: _Packer, value: NDArray) -> dict[str, Any]:
    packer.alive.append(value)
    packer.places[id(value)] = packer.add_array(np.asarray(value))
    return packer.places[id(value)]


def _pack_scalar(packer: _Packer, value: np.generic) -> dict[str, Any]:
    """Pack a NumPy scalar with its dtype; JSON stores numbers and strings exactly."""
    item = value.item()
    if type(item) in _ATOMS and value.dtype.kind in "biufU":
        return {"scalar": [value.dtype.str, item]}
    return {"element": packer.add_array(np.asarray(value))["array"]}


def _pack_tensor(packer: _Packer, value: Tensor) -> dict[str, Any]:
    """Pack a tensor, and its order in memory, which results may depend on."""
    is_parameter = isinstance(value, nn.Parameter)
    is_strided = value.layout is torch.strided and not value.is_quantized
    dtype = _AS_INTEGERS.get(value.dtype, value.dtype)
    if not is_strided or value.device.type == "meta" or getattr(value, "__dict__", {}):
        return packer._beside(value)
    number = packer.number(value)
    strides = value.stride()
    order = sorted(range(value.ndim), key=lambda axis: -strides[axis])
    data = value.detach().cpu().permute(order).contiguous()
    name = None if dtype == value.dtype else str(value.dtype).removeprefix("torch.")
    order_or_none = None if order == sorted(order) else order
    content: list[Any] = [number, packer.add_array(data.view(dtype).numpy())]
    content += [name, order_or_none]
    if value.device.type != "cpu" or is_parameter or value.requires_grad:
        content += [str(value.device), is_parameter, value.requires_grad]
    return {"tensor": content}


_PACKERS: dict[type, Callable[[_Packer, Any], Any]] = {
    list: lambda packer, value: [packer.pack(item) for item in value],
    tuple: lambda packer, value: {"tuple": [packer.pack(item) for item in value]},
    set: lambda packer, value: {
        "set": [packer.pack(item) for item in sorted(value, key=repr)]
    },
    dict: _pack_dict,
    OrderedDict: lambda packer, value: {"ordered": _pairs(packer, value)},
    partial: lambda packer, value: {
        "partial": [packer.pack(p) for p in (value.func, value.args, value.keywords)]
    },
    Decimal: lambda packer, value: {"decimal": str(value)},
    np.ndarray: _pack_array,
    np.memmap: _pack_array,
    Tensor: _pack_tensor,
    nn.Parameter: _pack_tensor,
    torch.device: lambda packer, value: {"device": str(value)},
    torch.dtype: lambda packer, value: {"dtype": str(value).removeprefix("torch.")},
    torch.Size: lambda packer, value: {"size": list(value)},
}


def _state_of(value: Any) -> Mapping[str, Any] | None:
    """Return the attributes to store, or None to store the object as it is."""
    kind: Any = type(value)
    if hasattr(kind, "state_to_store"):
        return value.state_to_store()
    if _known_name(kind) is None and not _is_plain_module(value):
        return None
    if isinstance(value, nn.Module):
        usual = _usual_attributes()
        return {
            name: item
            for name, item in value.__getstate__().items()
            if name not in usual or not _is_same(item, usual[name])
        }
    if _defines(kind, "__getstate__"):
        return value.__getstate__()
    if is_dataclass(value):  # without cached properties
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return vars(value)


def _is_plain_module(value: Any) -> bool:
    """Whether the user's module is pickled by its attributes, as torch's are."""
    names = "__reduce_ex__", "__reduce__", "__getstate__"
    return isinstance(value, nn.Module) and not any(
        _defines(type(value), name) for name in names
    )


def _defines(kind: type, name: str) -> bool:
    """Whether a class overrides the method of ``nn.Module`` or ``object``."""
    bases = (base for base in kind.__mro__ if base not in (nn.Module, object))
    return any(name in vars(base) for base in bases)


@cache
def _usual_attributes() -> dict[str, Any]:
    """Return the attributes that every module has, most of them empty."""
    return dict(vars(nn.Module()))


def _is_same(value: Any, usual: Any) -> bool:
    is_container = isinstance(usual, dict | set)
    return type(value) is type(usual) and (
        not value and not usual if is_container else value is usual
    )


def _known_name(kind: Any) -> str | None:
    """Return the name to store a class by, or None if its package is unknown."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    return name if _known(name) is kind else None


@cache
def _known(name: str) -> Any:
    """Return the class of that name in a known package, or None."""
    module, _, attribute = name.rpartition(".")
    is_known = any(module == root or module.startswith(f"{root}.") for root in _ROOTS)
    if not is_known and name not in _OF_SKORCH:
        return None
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None
    is_class = isinstance(found, type) and found.__module__ == module
    return found if is_class or name in _OF_SKORCH else None


class _Unpacker:
    """Rebuild one value."""

    def __init__(self, arrays: list[NDArray], objects: list[Any]) -> None:
        self.arrays, self.objects = arrays, objects
        self.numbered: dict[int, Any] = {}

    def unpack(self, content: Any) -> Any:
        """Return the value of a JSON form."""
        if isinstance(content, list):
            return [self.unpack(item) for item in content]
        if not isinstance(content, dict):
            return content
        ((kind, inner),) = content.items()
        return _UNPACKERS[kind](self, inner)

    def unpack_object(self, content: list[Any]) -> Any:
        """Build an object from its class and attributes."""
        kind = self.unpack(content[1])
        value = self.numbered[content[0]] = kind.__new__(kind)
        state = self.unpack(content[2])
        if hasattr(kind, "state_to_store"):
            value.restore(state)
        elif isinstance(value, nn.Module):
            fresh = {n: _copied(item) for n, item in _usual_attributes().items()}
            value.__setstate__({**fresh, **state})
        elif hasattr(value, "__setstate__"):
            value.__setstate__(state)
        else:
            value.__dict__.update(state)
        if len(content) > 3:
            value.extend(self.unpack(content[3]))
        return value

    def unpack_tensor(self, content: list[Any]) -> Tensor:
        """Build a tensor, on its former device if that is available."""
        number, array, dtype, order, *rest = content
        device, is_parameter, requires_grad = rest or ("cpu", False, False)
        value = torch.tensor(self.unpack(array))  # a copy of the array
        if dtype is not None:
            value = value.view(_dtype_of(dtype))
        if order is not None:
            value = value.permute(np.argsort(order).tolist())
        if device != "cpu":
            value = value.to(available_device(device))
        if is_parameter:
            value = nn.Parameter(value, requires_grad=requires_grad)
        elif requires_grad:
            value.requires_grad_()
        self.numbered[number] = value
        return value

    def pairs(self, content: list[Any]) -> Any:
        """Return an iterator over pairs of key and value."""
        return ((self.unpack(key), self.unpack(item)) for key, item in content)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, dict | set) else value


def _named(name: str) -> Any:
    found = _known(name)
    if found is None:
        raise ValueError(
            f"The file has {name}, which this version of imbalnet, or of the package "
            "that it comes from, does not have. Load it with the versions that it was "
            "stored with."
        )
    return found


def _dtype_of(name: str) -> torch.dtype:
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"The file has a tensor of the type {name}, unknown to torch.")
    return found


def _unpack_named_tuple(unpacker: _Unpacker, content: list[Any]) -> Any:
    kind, *values = map(unpacker.unpack, content)
    return tuple.__new__(kind, values)  # a TypeError for any other class


def _unpack_partial(unpacker: _Unpacker, content: list[Any]) -> partial:
    function, args, keywords = map(unpacker.unpack, content)
    return partial(function, *args, **keywords)


_UNPACKERS: dict[str, Callable[[_Unpacker, Any], Any]] = {
    "tuple": lambda unpacker, content: tuple(map(unpacker.unpack, content)),
    "named_tuple": _unpack_named_tuple,
    "set": lambda unpacker, content: set(map(unpacker.unpack, content)),
    "dict": lambda unpacker, content: {
        key: unpacker.unpack(item) for key, item in content.items()
    },
    "pairs": lambda unpacker, content: dict(unpacker.pairs(content)),
    "ordered": lambda unpacker, content: OrderedDict(unpacker.pairs(content)),
    "partial": _unpack_partial,
    "decimal": lambda unpacker, content: Decimal(content),
    "array": lambda unpacker, content: unpacker.arrays[content],
    "scalar": lambda unpacker, content: np.dtype(content[0]).type(content[1]),
    "element": lambda unpacker, content: unpacker.arrays[content][()],
    "other": lambda unpacker, content: unpacker.objects[content],
    "again": lambda unpacker, content: unpacker.numbered[content],
    "named": lambda unpacker, content: _named(content),
    "object": _Unpacker.unpack_object,
    "tensor": _Unpacker.unpack_tensor,
    "device": lambda unpacker, content: torch.device(content),
    "dtype": lambda unpacker, content: _dtype_of(content),
    "size": lambda unpacker, content: torch.Size(content),
}

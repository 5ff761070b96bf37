"""Values as arrays, JSON and plain types."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from decimal import Decimal
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from imbalnet._optimizers import AdamW
from imbalnet._state import pack, unpack
from imbalnet.networks import MLP


def same(value, other):
    if isinstance(value, torch.Tensor):
        is_equal = torch.equal(value.nan_to_num(7), other.nan_to_num(7))
        return (
            is_equal
            and type(value) is type(other)
            and (value.stride() == other.stride() or not value.numel())
        )
    if isinstance(value, np.ndarray):
        return value.dtype == other.dtype and np.array_equal(value, other)
    if isinstance(value, partial):
        return value.func is other.func and value.keywords == other.keywords
    return type(value) is type(other) and repr(value) == repr(other)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, -0.0, float("nan"), float("inf"), 10**30, 0.1, "ß\ud800"),
        *(
            [1, (2, [3])],
            {"a": 1},
            {1: "a", None: 2, (1, 2): 3},
            {"named": "os.system"},
        ),
        *({"a"}, set(), OrderedDict(a=1), Decimal("1.50"), np.float32(0.1)),
        *(np.int64(3), np.bool_(True), np.str_("a"), np.datetime64("2026-01-01")),
        *(np.arange(3), np.array(["a", None], dtype=object), np.zeros((0, 2))),
        *(torch.float64, torch.device("cuda:1"), torch.Size([2, 3])),
        *(torch.tensor(1.5), torch.arange(6).reshape(2, 3).T, torch.zeros(0, 3)),
        torch.tensor([[1.0, torch.nan]], dtype=torch.bfloat16),
        torch.ones(2, 3, 4).permute(2, 0, 1),
        nn.Parameter(torch.ones(2), requires_grad=False),
        *(MLP, nn.Linear, partial(AdamW, fused=True)),
    ],
    ids=repr,
)
def test_value_comes_back(value):
    assert same(value, unpack(pack(value)))


def test_shared_objects_stay_shared():
    layer, array = nn.Linear(2, 2), np.ones(2)
    value = [layer, nn.Sequential(layer, layer), layer.weight, array, {"a": array}]
    first, both, weight, one, again = unpack(pack(value))
    assert both[0] is both[1] is first
    assert weight is first.weight
    assert one is again["a"]


def test_circle_comes_back():
    module = nn.Linear(1, 1)
    module.__dict__["parent"] = {"itself": module}
    again = unpack(pack(module))
    assert again.parent["itself"] is again


def test_unknown_objects_are_stored_as_they_are():
    value = slice(1, 2)
    packed = pack([value, value])
    assert packed["objects"] == [value]
    assert unpack(packed) == [value, value]


def test_modules_with_a_pickle_of_their_own_are_stored_as_they_are():
    class Own(nn.Module):
        def __reduce__(self):
            return Own, ()

    module = Own()
    assert pack(module)["objects"] == [module]


def test_module_keeps_hooks_and_mode():
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).eval()
    module.register_forward_pre_hook(print)
    again = unpack(pack(module))
    assert not again.training
    assert list(again._forward_pre_hooks.values()) == [print]
    assert list(again.state_dict()) == list(module.state_dict())


def test_read_only_arrays_become_tensors_of_their_own():
    packed = pack(torch.ones(3))
    packed["arrays"][0].flags.writeable = False
    tensor = unpack(packed)
    tensor += 1
    assert packed["arrays"][0].tolist() == [1, 1, 1]


def test_file_calls_no_constructor():
    packed = pack(MLP)
    packed["content"] = '{"named_tuple":[' + packed["content"] + ",1,2]}"
    with pytest.raises(TypeError, match="not a subtype of tuple"):
        unpack(packed)


def test_unknown_dtype_is_an_error():
    packed = pack(torch.bfloat16)
    packed["content"] = packed["content"].replace("bfloat16", "load")
    with pytest.raises(ValueError, match="type load"):
        unpack(packed)


def test_state_can_be_pickled_without_torch():
    data = pickle.dumps(pack(MLP(3, 2)))
    assert b"torch._utils" not in data

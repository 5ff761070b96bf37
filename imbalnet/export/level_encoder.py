"""Encoding of categories in an ONNX graph."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from imbalnet._tables.levels import Levels

# The first opset of ai.onnx.ml whose LabelEncoder accepts doubles.
ML_OPSET = 4


class EncodedColumn(NamedTuple):
    """A column of a graph: its input, the nodes that encode it, and their output."""

    input: Any
    nodes: list[Any]
    output: str


def encoded_column(name: str, known: Levels | None, element: int) -> EncodedColumn:
    """Return the nodes that encode a column as numbers of the type `element`.

    If the levels are strings, so is the input, and the empty string is a missing value
    unless it is a level. If they are numbers, the input is of doubles, and NaN is a
    missing value.
    """
    from onnx import TensorProto, helper

    def column(kind: int) -> Any:
        return helper.make_tensor_value_info(name, kind, ["batch", 1])

    if known is None:
        return EncodedColumn(column(element), [], name)
    are_words = all(isinstance(value, str) for value in known.values)
    keys, codes = _words(known) if are_words else _numbers(name, known)
    kind = TensorProto.STRING if are_words else TensorProto.DOUBLE
    code, output = f"label/{name}/code", f"label/{name}/encoded"
    encode = helper.make_node(
        "LabelEncoder",
        [name],
        [code],
        domain="ai.onnx.ml",
        keys_tensor=helper.make_tensor("keys", kind, [len(keys)], keys),
        values_tensor=_doubles("values", codes[:-1]),
        default_tensor=_doubles("default", codes[-1:]),
    )
    cast = helper.make_node("Cast", [code], [output], to=element)
    return EncodedColumn(column(kind), [encode, cast], output)


def _words(known: Levels) -> tuple[list[Any], list[float]]:
    """Return strings as keys, and their codes; the last code is for other strings."""
    missing, unknown = _others(known)
    codes = dict.fromkeys([""], missing)
    codes.update((word, float(code)) for code, word in enumerate(known.values))
    return [word.encode() for word in codes], [*codes.values(), unknown]


def _numbers(name: str, known: Levels) -> tuple[list[Any], list[float]]:
    """Return numbers as keys, and their codes; the last code is for other numbers."""
    if not all(isinstance(value, Real | np.bool_) for value in known.values):
        raise ValueError(
            f"Column {name!r} holds categories that are neither all strings nor all "
            f"numbers, such as {known.values[-1]!r}, which ONNX has no tensors for. "
            "Make strings of them before fit, or give codes: "
            "to_onnx(categories='codes')."
        )
    keys = [float(value) for value in known.values]
    if len(set(keys)) < len(keys):
        raise ValueError(
            f"Column {name!r} holds categories that are whole numbers of more digits "
            "than double precision has. Make strings of them before fit, or give "
            "codes: to_onnx(categories='codes')."
        )
    missing, unknown = _others(known)
    return [*keys, np.nan], [*map(float, range(len(keys))), missing, unknown]


def _others(known: Levels) -> tuple[float, float]:
    """Return the codes of missing values and of values that are not a level."""
    n_levels = len(known.values)
    return (np.nan, np.nan) if known.are_ordered else (n_levels, n_levels + 1.0)


def _doubles(name: str, values: list[float]) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values)

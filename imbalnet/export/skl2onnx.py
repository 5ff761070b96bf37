"""Converters for skl2onnx, to export pipelines with this package's classifiers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from imbalnet._packages import require
from imbalnet.export.mixin import ExportMixin
from imbalnet.export.onnx_graph import OPSET, matrix_to_onnx


def register_skl2onnx() -> None:
    """Register converters for pipelines and searches that end in imbalnet's classifier.

    Call it once before ``skl2onnx.to_onnx``. The input of the classifier must be
    numbers, so that categories have to be encoded in the pipeline; otherwise use
    ``to_onnx`` of the classifier itself.

    Raises
    ------
    ImportError
        If a package is missing: ``pip install imbalnet[onnx] skl2onnx``.

    Examples
    --------
    >>> from imbalnet.export import register_skl2onnx
    >>> register_skl2onnx()  # doctest: +SKIP
    >>> proto = skl2onnx.to_onnx(pipeline, X[:1])  # doctest: +SKIP
    """
    skl2onnx = require(
        "skl2onnx", "onnxscript", use="ONNX", cure="imbalnet[onnx] skl2onnx"
    )
    for cls in _classes(ExportMixin):
        skl2onnx.update_registered_converter(
            cls,
            f"Imbalnet{cls.__name__}",
            _set_output_types,
            _convert,
            options={"nocl": [False], "zipmap": [True, False, "columns"]},
        )


def _classes(base: Any) -> Iterator[Any]:
    """Yield all subclasses of a class."""
    for cls in base.__subclasses__():
        yield cls
        yield from _classes(cls)


def _set_output_types(operator: Any) -> None:
    """Set the types and shapes of the outputs, or raise for unsupported inputs."""
    from skl2onnx.common import shape_calculator

    if len(operator.inputs) > 1 or operator.raw_operator._columns.levels:
        raise ValueError(
            "skl2onnx hands the classifier several columns, or the classifier was "
            "fitted to categories: put a ColumnTransformer with OneHotEncoder in "
            "front of it in the pipeline, or use to_onnx() of the classifier."
        )
    shape_calculator.calculate_linear_classifier_output_shapes(operator)


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the graph of a classifier to that of a pipeline."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    model = operator.raw_operator._trained_classifier()
    kind, opset = operator.inputs[0].type, container.target_opset_any_domain("")
    dtypes = {FloatTensorType: torch.float32, DoubleTensorType: torch.float64}
    dtype = dtypes.get(type(kind), torch.int64)
    if model.columns.shifts and dtype is torch.float32:
        raise ValueError(
            "The classifier was fitted to columns that float32 takes digits from: give "
            "skl2onnx rows of float64, or initial_types of DoubleTensorType."
        )
    if opset < OPSET:
        raise ValueError(f"target_opset={opset} must be at least {OPSET}.")
    values = *operator.inputs, *operator.outputs
    names = tuple(value.onnx_name for value in values)
    graph = matrix_to_onnx(model, dtype, opset, names).graph
    container.nodes.extend(graph.node)
    container.initializers.extend(graph.initializer)
    container.node_domain_version_pair_sets.add(("", opset))

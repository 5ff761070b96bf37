"""ONNX graphs of fitted classifiers, from columns to labels and probabilities.

torch's exporter converts the network and the formula from logits to probabilities. The
nodes that encode strings as codes, and decode codes to labels, are added here, because
torch has no tensors of strings.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbalnet._tables import Columns
from imbalnet.export.decompositions import precise_decompositions
from imbalnet.export.level_encoder import ML_OPSET, encoded_column
from imbalnet.export.probability_module import Decision, ProbabilityModule

OPSET = 18
_OUTPUTS = "label", "probabilities"


@dataclass(frozen=True)
class TrainedClassifier:
    """The values from which an ONNX graph is built.

    Attributes
    ----------
    module : ProbabilityModule
        Computes probabilities from features.
    decision : Decision
        Computes class codes from log probabilities.
    classes : ndarray of shape (n_classes,)
        The label of each code.
    columns : Columns
        Levels and shifts of the columns.
    names : sequence of str
        Names of the columns.
    """

    module: ProbabilityModule
    decision: Decision
    classes: NDArray
    columns: Columns
    names: list[str]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the graph's numeric inputs."""
        return torch.float64 if self.module.needs_double else torch.float32


def columns_to_onnx(model: TrainedClassifier) -> Any:
    """Return an ONNX model with an input for each column of a table."""
    from onnx import TensorProto, helper

    _check_names(model.names)
    double = model.dtype is torch.float64
    element = TensorProto.DOUBLE if double else TensorProto.FLOAT
    columns = [
        encoded_column(name, known, element)
        for name, known in zip(model.names, model.columns.levels, strict=True)
    ]
    features = "label/features"
    proto = matrix_to_onnx(model, model.dtype, names=(features, *_OUTPUTS))
    graph, torch_nodes = proto.graph, list(proto.graph.node)
    concat = helper.make_node("Concat", [c.output for c in columns], [features], axis=1)
    del graph.node[:], graph.input[:]
    graph.input.extend(column.input for column in columns)
    graph.node.extend(node for column in columns for node in column.nodes)
    graph.node.extend([concat, *torch_nodes])
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))
    return proto


def _check_names(names: Sequence[str]) -> None:
    """Raise if a column has the name of another value of the graph."""
    taken = [n for n in names if n in _OUTPUTS or n.startswith("label/")]
    if taken:
        raise ValueError(
            f"The columns {taken} are called like outputs of the ONNX graph: rename "
            "them before fit, or give a matrix with codes: to_onnx(categories='codes')."
        )


def matrix_to_onnx(
    model: TrainedClassifier,
    dtype: torch.dtype,
    opset: int = OPSET,
    names: tuple[str, ...] = ("X", *_OUTPUTS),
) -> Any:
    """Return an ONNX model whose input is the matrix of the module's features.

    The matrix has the dtype `dtype`. `names` are those of the matrix and of the two
    outputs. The names of all other values begin with that of the labels.
    """
    from onnx import helper

    some = torch.zeros(2, len(model.names), dtype=dtype)
    of_probabilities = dtype if dtype.is_floating_point else torch.float32
    module = _Classifier(model, of_probabilities).eval()
    proto = torch_to_onnx(module, some, ["code", "probabilities"], opset)
    graph = proto.graph
    features, label, probabilities = names
    kept = {"X": features, "probabilities": probabilities}
    _rename(graph, kept, f"{label}/")
    labels, code = _labels(model.classes, f"{label}/classes"), graph.output[0]
    graph.initializer.append(labels)
    look_up = [labels.name, code.name], [label]
    graph.node.append(helper.make_node("Gather", *look_up, f"{label}/Gather"))
    code.name, code.type.tensor_type.elem_type = label, labels.data_type
    return proto


class _Classifier(nn.Module):
    """Class codes and probabilities of a batch."""

    def __init__(self, model: TrainedClassifier, dtype: torch.dtype) -> None:
        super().__init__()
        self.module, self.decision, self.dtype = model.module, model.decision, dtype

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_probabilities = self.module.log_probabilities(x)
        return self.decision(log_probabilities), log_probabilities.exp().to(self.dtype)


def torch_to_onnx(
    module: nn.Module, some: Tensor, outputs: Sequence[str], opset: int = OPSET
) -> Any:
    """Convert a torch module to an ONNX model, whose input is called "X".

    The number of rows is dynamic; `some` are example rows. The paths and lines of
    source code, which the exporter stores in each node, are removed.
    """
    shapes = ({0: torch.export.Dim("batch")},)
    with _quiet():
        program = torch.export.export(module, (some,), dynamic_shapes=shapes)
        written = torch.onnx.export(
            program.run_decompositions(precise_decompositions()),
            dynamo=True,
            input_names=["X"],
            output_names=outputs,
            opset_version=opset,
            verbose=False,
        )
    assert written is not None
    proto = written.model_proto
    graph = proto.graph
    values = *graph.input, *graph.output, *graph.value_info, *graph.initializer
    for part in (proto, graph, *graph.node, *values):
        part.ClearField("metadata_props")
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide messages of torch's exporter on torchvision, and its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _rename(graph: Any, names: Mapping[str, str], prefix: str) -> None:
    """Rename some values of a graph, and add a prefix to all other names."""

    def new(name: str) -> str:
        return names.get(name, prefix + name) if name else name

    for node in graph.node:
        node.name = prefix + node.name
        for values in (node.input, node.output):
            values[:] = [new(name) for name in values]
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = new(value.name)


def _labels(classes: NDArray, name: str) -> Any:
    """Return the labels as a tensor of int64, float64 or strings."""
    import onnx

    if classes.dtype.kind not in "biuf":
        values = np.array([str(label) for label in classes], dtype=object)
    elif (classes == classes.astype(np.int64)).all():
        values = classes.astype(np.int64)
    else:
        values = classes.astype(np.float64)
    return onnx.numpy_helper.from_array(values, name)

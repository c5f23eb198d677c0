"""What goes through the layers of an ONNX network: mean and variance, as BatchNorm in training takes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from avfeat.backends.onnx import import_onnxruntime
from avfeat.errors import BundleError

Floats = NDArray[np.float32]

EPSILON = np.float32(1e-5)
"""As of PyTorch's BatchNorm."""

REMEDY = "make an untrained bundle with avfeat export untrained:NAME -o BUNDLE, and give --random-init BUNDLE."


@dataclass(frozen=True)
class Layer:
    """Something whose outputs get mean 0 and variance 1; ``weight`` is None where that is all it does."""

    node: NodeProto
    weight: Floats | None
    axes: tuple[int, ...]

    @property
    def statistics(self) -> tuple[str, str]:
        """What mean and variance are called while they are measured."""
        return f"{self.node.output[0]}:mean", f"{self.node.output[0]}:variance"


def measure_statistics(
    model: ModelProto, layers: list[Layer], path: Path, inputs: dict[str, NDArray[Any]]
) -> dict[str, Floats]:
    """Statistics by name, each of a layer's outputs where those before it have been normalised.

    Args:
        model: the network.
        layers: of its graph.
        path: the file that it is of, for messages.
        inputs: clips.

    Raises:
        BackendError: no onnxruntime.
        BundleError: the network does not run so.
    """
    runtime, measuring = import_onnxruntime(), _measuring(model, layers)
    options = runtime.SessionOptions()
    # One thread adds up in one order, so that the same seed gives the same file.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(
            measuring.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))
    except Exception as error:  # onnxruntime has no common base for its many exceptions
        raise BundleError(f"{path}: cannot run with random weights ({error}); {REMEDY}") from error


def _measuring(model: ModelProto, layers: list[Layer]) -> ModelProto:
    """The same network with BatchNorm in training behind every layer, which gives its statistics."""
    graph = model.graph
    by_output = {layer.node.output[0]: layer for layer in layers}
    nodes: list[NodeProto] = []
    constants = [numpy_helper.from_array(np.array(EPSILON), ":epsilon")]
    for node in graph.node:
        layer = by_output.get(node.output[0])
        if layer is None:
            nodes.append(node)
            continue
        raw, out, (mean, variance) = node.input[0], node.output[0], layer.statistics
        if layer.weight is not None:
            raw = f"{out}:raw"
            nodes.append(_rename_output(node, raw))
        axes = numpy_helper.from_array(np.array(layer.axes, np.int64), f"{out}:axes")
        constants.append(axes)
        nodes += [
            helper.make_node("ReduceMean", [raw, axes.name], [mean]),
            helper.make_node("Sub", [raw, mean], [f"{out}:centred"]),
            helper.make_node("Mul", [f"{out}:centred", f"{out}:centred"], [f"{out}:squares"]),
            helper.make_node("ReduceMean", [f"{out}:squares", axes.name], [variance]),
            helper.make_node("Add", [variance, ":epsilon"], [f"{out}:shifted"]),
            helper.make_node("Sqrt", [f"{out}:shifted"], [f"{out}:deviation"]),
            helper.make_node("Div", [f"{out}:centred", f"{out}:deviation"], [out]),
        ]
    wanted = [name for layer in layers for name in layer.statistics]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in wanted]
    measuring = helper.make_graph(nodes, "measuring", list(graph.input), outputs, [*graph.initializer, *constants])
    return helper.make_model(measuring, opset_imports=list(model.opset_import), ir_version=model.ir_version)


def _rename_output(node: NodeProto, output: str) -> NodeProto:
    """The same node with another name for what comes out."""
    renamed = NodeProto()
    renamed.CopyFrom(node)
    renamed.output[0] = output
    return renamed

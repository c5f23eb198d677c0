"""Other weights for the network of an ONNX file: every layer drawn anew, on the scale of what it is given.

Exported files have no BatchNorm within the network any more: it is part of the weights, and drawn weights alone
would give activations of any scale. So its statistics are taken anew, on some clips, and folded in again, as of a
network with random weights whose BatchNorm has been calibrated. What is no weight of a layer stays as it is: the
filters of the log-mel spectrogram, the mean of the pixels, shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper

from avfeat.errors import BundleError
from avfeat.evaluation.random_statistics import EPSILON, REMEDY, Floats, Layer, measure_statistics

_FRONT_END = "log_mel."
_NETWORK = "encoder."
_CONSTANTS = ("pixels.mean", "pixels.std")


def with_random_weights(path: Path, name: str, batch: NDArray[Any], seed: int) -> bytes:
    """The bytes of an ONNX file of the same network with random weights.

    Args:
        path: the file, in float32.
        name: of the input.
        batch: clips, from which the statistics are taken.
        seed: of the weights.

    Raises:
        BackendError: no onnxruntime.
        BundleError: the file is no network whose weights can all be drawn.
    """
    try:
        model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
    except Exception as error:  # protobuf and onnx have no common base for their exceptions
        raise BundleError(f"{path}: cannot be read as ONNX; export the bundle again.") from error
    _turn(model.graph)
    layers = list(_drawn(model.graph, np.random.default_rng(seed), path))
    found = measure_statistics(model, layers, path, {name: batch})
    for layer in layers:
        mean, variance = (found[statistic].reshape(-1) for statistic in layer.statistics)
        _fold(model.graph, layer, mean, variance)
    _forget(model, path)
    return bytes(model.SerializeToString())


def _turn(graph: GraphProto) -> None:
    """Transpose what the file leaves to be transposed when it runs, so that all weights are those of a layer."""
    values = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        if node.op_type != "Transpose" or node.input[0] not in values or node.input[0].startswith(_FRONT_END):
            continue
        order = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"), None)
        turned = np.ascontiguousarray(numpy_helper.to_array(values[node.input[0]]).transpose(order))
        graph.initializer.append(numpy_helper.from_array(turned, node.output[0]))
        graph.node.remove(node)


def _drawn(graph: GraphProto, rng: np.random.Generator, path: Path) -> Iterator[Layer]:
    """Give all layers weights after He et al. (arXiv 1502.01852) and no biases; yield those to be calibrated."""
    values = {tensor.name: tensor for tensor in graph.initializer}
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in graph.value_info}
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            if node.input[0] not in ranks:
                raise BundleError(f"{path}: does not say what shape {node.input[0]} has; {REMEDY}")
            yield Layer(node, None, _all_but_channels(ranks[node.input[0]]))
        elif node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in values:
            if node.input[1].startswith(_FRONT_END):
                continue
            shape = tuple(values[node.input[1]].dims)
            inputs = np.prod(shape) / shape[_outputs(node)]
            weight = (np.sqrt(2 / inputs) * rng.standard_normal(shape)).astype(np.float32)
            _set(graph, node, 1, weight)
            # A product alone has no bias, so that its mean cannot be taken off.
            if node.op_type != "MatMul":
                _set(graph, node, 2, np.zeros(shape[_outputs(node)], np.float32))
                yield Layer(node, weight, _all_but_channels(len(shape)))


def _outputs(node: NodeProto) -> int:
    """The axis of a layer's weight that is that of its outputs."""
    turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if node.op_type == "Conv" or turned else 1


def _all_but_channels(rank: int) -> tuple[int, ...]:
    return tuple(axis for axis in range(rank) if axis != 1)


def _set(graph: GraphProto, node: NodeProto, index: int, values: Floats) -> None:
    """Give a node an input of its own."""
    name = f"{node.output[0]}:{index}"
    for held in [tensor for tensor in graph.initializer if tensor.name == name]:
        graph.initializer.remove(held)
    graph.initializer.append(numpy_helper.from_array(values, name))
    inputs = [*node.input, ""][: max(len(node.input), index + 1)]
    inputs[index] = name
    del node.input[:]
    node.input.extend(inputs)


def _fold(graph: GraphProto, layer: Layer, mean: Floats, variance: Floats) -> None:
    """Make the statistics part of the weights; a BatchNorm that is still there has them as its own."""
    if layer.weight is None:
        for index, values in enumerate((np.ones_like(mean), np.zeros_like(mean), mean, variance), start=1):
            _set(graph, layer.node, index, values)
        return
    deviation = np.sqrt(variance + EPSILON)
    shape = [1] * layer.weight.ndim
    shape[_outputs(layer.node)] = -1
    _set(graph, layer.node, 1, layer.weight / deviation.reshape(shape))
    _set(graph, layer.node, 2, -mean / deviation)


def _forget(model: ModelProto, path: Path) -> None:
    """Drop what was trained, and what the file says of itself.

    Raises:
        BundleError: some of it is still in use, as no weight of a layer.
    """
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    for tensor in kept:
        if tensor.name.startswith(_NETWORK) and not tensor.name.endswith(_CONSTANTS):
            raise BundleError(f"{path}: {tensor.name} is no weight of a layer and cannot be drawn; {REMEDY}")
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    del model.metadata_props[:]

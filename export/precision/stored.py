"""Weights stored as integers and multiplied out when a file is loaded: smaller files at the speed of float.

What a runtime computes in float needs no float32 weights on the disk. ONNX runtimes fold what is constant when they
load a graph (ONNX Runtime: ``ConstantFolding``), so nothing of it is left when the network runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_SMALLEST = 1024
"""Fewer values are not worth two nodes."""

Integers = type[np.int8] | type[np.int16]


def store_weights(model: onnx.ModelProto, coarse: Collection[str]) -> onnx.ModelProto:
    """Replace the float32 weights of layers by integers with one scale for each output channel, in place.

    The greatest error of a weight is half a level: of the largest weight of its channel, 1 / 254 in int8, and
    1 / 65534 in int16.

    Args:
        model: a graph; see ``float_weights`` for what is replaced.
        coarse: names of weights to store in int8, the others are in int16.

    Returns:
        ``model``.
    """
    graph = model.graph
    weights = {one.name: one for one in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for name, axis in float_weights(model).items():
        integers: Integers = np.int8 if name in coarse else np.int16
        levels, scale = _in_levels(numpy_helper.to_array(weights[name]), axis, integers)
        graph.initializer.remove(weights[name])
        graph.initializer.append(numpy_helper.from_array(levels, f"{name}.levels"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes += [
            helper.make_node("Cast", [f"{name}.levels"], [f"{name}.cast"], f"{name}.cast", to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name], f"{name}.multiply"),
        ]
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *others])
    return model


def float_weights(model: onnx.ModelProto) -> dict[str, int]:
    """Weights of ``Conv``, ``Gemm`` and ``MatMul`` that are float32 initialisers of 1,024 values or more.

    Returns:
        The axis of their output channels by name, in the order of the graph.
    """
    worth = {
        one.name
        for one in model.graph.initializer
        if one.data_type == TensorProto.FLOAT and np.prod(one.dims) >= _SMALLEST
    }
    return {name: axis for name, axis in _weights(model.graph) if name in worth}


def _weights(graph: onnx.GraphProto) -> Iterator[tuple[str, int]]:
    for node in graph.node:
        if node.op_type == "Conv":
            yield node.input[1], 0
        elif node.op_type == "Gemm":
            transposed = any(one.name == "transB" and one.i for one in node.attribute)
            yield node.input[1], 0 if transposed else 1
        elif node.op_type == "MatMul":
            yield node.input[1], -1


def _in_levels(
    values: NDArray[np.float32], axis: int, integers: Integers
) -> tuple[NDArray[np.signedinteger], NDArray[np.float32]]:
    others = tuple(one for one in range(values.ndim) if one != axis % values.ndim)
    largest = np.abs(values).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / np.iinfo(integers).max, 1).astype(np.float32)
    return np.rint(values / scale).astype(integers), scale

"""Static int8 quantisation of ONNX graphs: calibrated on real clips, per channel, sensitive layers left in float.

What is in front of the network (resize, STFT, mel) stays in float32. Which layers else do is measured: each is
quantised alone, and those that change the outputs most are left in float, as few as the bound allows.
"""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from avfeat.backends.onnx import import_onnxruntime
from avfeat.export.errors import ExportError

LAYERS = ("Conv",)
"""What is quantised: there the time goes. What lies between two of them and has an integer form follows."""

BETWEEN = (
    "Add",
    "Mul",
    "Relu",
    "Clip",
    "MaxPool",
    "GlobalAveragePool",
    "Concat",
    "Pad",
    "Slice",
    "Reshape",
    "Transpose",
)

_FRONT = "log_mel"
"""Initialisers whose name says so belong to the front end."""

Errors = Callable[[bytes], float]


@dataclass(frozen=True, eq=False)
class QuantisedGraph:
    """A quantised graph.

    Attributes:
        model: with QuantizeLinear and DequantizeLinear nodes.
        layers: how many layers could be quantised.
        kept: how many of them were left in float.
    """

    model: onnx.ModelProto
    layers: int
    kept: int


def quantise(
    model: onnx.ModelProto,
    name: str,
    inputs: Sequence[NDArray[Any]],
    error: Errors,
    bound: float,
    sensitivity: Errors,
) -> QuantisedGraph:
    """Quantise as many layers as ``bound`` allows.

    Args:
        model: a float32 graph.
        name: of its input.
        inputs: batches to calibrate the ranges of activations on.
        error: how wrong a graph is, given as the bytes of a file; never negative.
        bound: what ``error`` may be.
        sensitivity: how wrong a graph with a single quantised layer is: called for every layer, so something quick.

    Raises:
        ExportError: not even one layer can be quantised within the bound.
        BackendError: onnxruntime is not installed.
    """
    work = _Work.from_model(model, name, inputs)
    layers = work.layers()
    if error(work.file(layers)) <= bound:
        return QuantisedGraph(work.quantise(layers), len(layers), 0)
    alone = {layer: sensitivity(work.file([layer])) for layer in layers}
    # Stable: equal ones keep the order of the graph.
    ranked = sorted(layers, key=lambda layer: -alone[layer])
    kept = fewest(len(ranked), lambda count: error(work.file(ranked[count:])) <= bound)
    if kept == len(ranked):
        raise ExportError(
            f"No layer behind {name!r} can be computed in int8 within the bounds; export fp32 or fp16."
        )
    return QuantisedGraph(work.quantise(ranked[kept:]), len(layers), kept)


def fewest(count: int, good: Callable[[int], bool]) -> int:
    """By bisection the least number from 1 to ``count`` that is good; ``count``, all in float, always is."""
    low, high = 1, count
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle + 1, high)
    return high


@dataclass(frozen=True, eq=False)
class _Work:
    """A prepared graph with the ranges of its activations."""

    model: onnx.ModelProto
    ranges: Any

    @classmethod
    def from_model(cls, model: onnx.ModelProto, name: str, inputs: Sequence[NDArray[Any]]) -> _Work:
        """Fold what is constant, then see which values activations take."""
        import_onnxruntime()
        from onnxruntime.quantization import CalibrationMethod, create_calibrator
        from onnxruntime.quantization.shape_inference import quant_pre_process

        with tempfile.TemporaryDirectory(prefix="avfeat-int8-") as folder, _quiet():
            source, path = Path(folder) / "float.onnx", Path(folder) / "prepared.onnx"
            onnx.save(model, str(source))
            quant_pre_process(str(source), str(path), skip_symbolic_shape=True, skip_onnx_shape=True)
            calibrator = create_calibrator(
                path,
                [*LAYERS, *BETWEEN],
                augmented_model_path=str(Path(folder) / "augmented.onnx"),
                calibrate_method=CalibrationMethod.MinMax,
            )
            calibrator.collect_data(_CalibrationReader(name, inputs))
            return cls(onnx.load(str(path)), calibrator.compute_data())

    def layers(self) -> list[str]:
        """Names of the layers behind the front end, in the order of the graph."""
        return [node.name for node in self.model.graph.node if node.op_type in LAYERS and not _in_front(node)]

    def file(self, layers: Sequence[str]) -> bytes:
        """The graph with these layers quantised, as the bytes of a file."""
        return bytes(self.quantise(layers).SerializeToString())

    def quantise(self, layers: Sequence[str]) -> onnx.ModelProto:
        """The graph with these layers quantised."""
        from onnxruntime.quantization import QDQQuantizer, QuantType

        with _quiet():
            quantizer = QDQQuantizer(
                copy.deepcopy(self.model),
                per_channel=True,
                reduce_range=False,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=self.ranges,
                nodes_to_quantize=[*layers, *self._between(set(layers))],
                nodes_to_exclude=[],
                op_types_to_quantize=[*LAYERS, *BETWEEN],
                extra_options={},
            )
            quantizer.quantize_model()
            quantizer.model.topological_sort()
        done: onnx.ModelProto = quantizer.model.model
        return done

    def _between(self, layers: set[str]) -> list[str]:
        """Nodes all of whose inputs come from quantised ones: there, no value goes back to float in between."""
        constants = {tensor.name for tensor in self.model.graph.initializer}
        quantised: set[str] = set()
        found = []
        for node in self.model.graph.node:
            inputs = [value for value in node.input if value and value not in constants]
            follows = node.op_type in BETWEEN and inputs and all(value in quantised for value in inputs)
            if follows:
                found.append(node.name)
            if follows or node.name in layers:
                quantised.update(node.output)
        return found


def _in_front(node: onnx.NodeProto) -> bool:
    return any(_FRONT in value for value in node.input)


class _CalibrationReader:
    """Gives ONNX Runtime's calibration one batch after the other."""

    def __init__(self, name: str, inputs: Sequence[NDArray[Any]]) -> None:
        self._batches: Iterator[dict[str, NDArray[Any]]] = iter([{name: batch} for batch in inputs])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next batch, None after the last."""
        return next(self._batches, None)

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        return self._batches


@contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime's quantisation talks to the root logger of things that nobody can change."""
    root = logging.getLogger()
    root.addFilter(_from_elsewhere)
    try:
        yield
    finally:
        root.removeFilter(_from_elsewhere)


def _from_elsewhere(record: logging.LogRecord) -> bool:
    return "onnxruntime" not in record.pathname


def relative_error(
    found: Sequence[NDArray[np.float32]],
    expected: Sequence[NDArray[np.float32]],
    scales: Sequence[NDArray[np.float64]],
) -> float:
    """The greatest ``||a - b|| / scale`` over rows and outputs; infinite where a value is not finite.

    Args:
        found: ``(n, d)`` of each output.
        expected: likewise.
        scales: ``(n,)`` of each output.
    """
    worst = 0.0
    for a, b, scale in zip(found, expected, scales, strict=True):
        error = float((np.linalg.norm(a.astype(np.float64) - b, axis=1) / scale).max())
        worst = max(worst, error if np.isfinite(error) else float("inf"))
    return worst

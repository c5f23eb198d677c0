"""Raw-in encoders as single ONNX files of standard operators."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from avfeat.bundle import DATA_SUFFIX
from avfeat.export.errors import ExportError
from avfeat.export.formats.example import Example

OPSET = 18
"""Has the antialiased Resize; what onnxruntime 1.21 and later run."""

OUTPUTS = ("features", "shared")

LARGEST = 2**31 - 2**24
"""Bytes of values that one file holds: a protobuf message ends at 2 GiB, and the graph takes some of them."""

_PAGE = 4096
"""Values begin at a multiple of it, so that a runtime can map the file into memory."""
_LEAST = 1024
"""Bytes of a tensor that are worth moving to another file."""


def write_onnx(
    network: nn.Module, example: Example | Sequence[Example], outputs: Sequence[str] = OUTPUTS
) -> onnx.ModelProto:
    """A raw-in network as an ONNX graph, in whatever precision it computes.

    Args:
        network: gives ``outputs``, in their order.
        example: what to trace it with; several of a network that takes several inputs.
        outputs: their names.
    """
    examples = (example,) if isinstance(example, Example) else tuple(example)
    with tempfile.TemporaryDirectory(prefix="avfeat-export-") as folder, warnings.catch_warnings():
        # The exporter warns about its own internals.
        warnings.simplefilter("ignore")
        path = Path(folder) / "graph.onnx"
        torch.onnx.export(
            network.eval(),
            tuple(one.value for one in examples),
            str(path),
            dynamo=True,
            input_names=[one.name for one in examples],
            output_names=list(outputs),
            dynamic_shapes=tuple(one.dynamic for one in examples),
            external_data=False,
            opset_version=OPSET,
            verbose=False,
        )
        return onnx.load(str(path))


def finish_model(model: onnx.ModelProto, metadata: Mapping[str, Any], path: Path | None = None) -> bytes:
    """The bytes of the file: with its own description inside, checked in full, shapes inferred.

    Args:
        model: the graph.
        metadata: its description.
        path: where a graph is checked that has values in another file, which lies beside it; None for none.

    Raises:
        ExportError: the graph is not standard ONNX.
    """
    _forget_origin(model)
    onnx.helper.set_model_props(model, {"avfeat": json.dumps(metadata)})
    foreign = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if foreign:
        raise ExportError(
            f"The graph uses operators that are not standard ONNX ({', '.join(sorted(foreign))}); "
            "choose another network or format."
        )
    _forget_opsets(model)
    content = bytes(model.SerializeToString())
    if path is not None:
        path.write_bytes(content)
    try:
        onnx.checker.check_model(model if path is None else str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"The ONNX graph is not valid ({str(error).splitlines()[0]}).") from error
    return content


def finish_files(model: onnx.ModelProto, metadata: Mapping[str, Any], name: str) -> dict[str, bytes]:
    """The file ``name`` as of ``finish_model``; above ``LARGEST``, also the file with its large tensors.

    Raises:
        ExportError: the graph is not standard ONNX.
    """
    tensors = [one for one in model.graph.initializer if len(one.raw_data) >= _LEAST]
    if sum(len(one.raw_data) for one in tensors) <= LARGEST:
        return {name: finish_model(model, metadata)}
    beside = name + DATA_SUFFIX
    values = bytearray()
    for tensor in tensors:
        values += bytes(-len(values) % _PAGE)
        place = {"location": beside, "offset": str(len(values)), "length": str(len(tensor.raw_data))}
        values += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=value)
    with tempfile.TemporaryDirectory(prefix="avfeat-export-") as folder:
        (Path(folder) / beside).write_bytes(values)
        return {name: finish_model(model, metadata, Path(folder) / name), beside: bytes(values)}


def _forget_opsets(model: onnx.ModelProto) -> None:
    """Import no operator set that no node is of; quantisation leaves eight of them behind."""
    kept = [entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _forget_origin(message: Any) -> None:
    """Drop the exporter's notes from a protobuf message and from those in it.

    They are stack traces, which name folders of the machine that exported.
    """
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for one in (value,) if hasattr(value, "ListFields") else value:
                _forget_origin(one)

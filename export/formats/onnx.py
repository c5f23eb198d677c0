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

from avfeat.export.errors import ExportError
from avfeat.export.formats.example import Example

OPSET = 18
"""Has the antialiased Resize; what onnxruntime 1.21 and later run."""

OUTPUTS = ("features", "shared")


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


def finish_model(model: onnx.ModelProto, metadata: Mapping[str, Any]) -> bytes:
    """The bytes of the file: with its own description inside, checked in full, shapes inferred.

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
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"The ONNX graph is not valid ({str(error).splitlines()[0]}).") from error
    return bytes(model.SerializeToString())


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

"""Raw-in encoders as single ONNX files of standard operators."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from avfeat.bundle import MAX_SIZE, MIN_SIZE

OPSET = 18
"""Has the antialiased Resize; what onnxruntime 1.21 and later run."""


def video_onnx(network: nn.Module, frames: int, metadata: Mapping[str, Any]) -> bytes:
    """ONNX of a ``RawVideo``: batch, height (16 to 4,320) and width (16 to 4,320) are dynamic."""
    # Every dynamic dimension has its own size in the example, and none is 1: the exporter would fix it.
    example = torch.randint(0, 256, (2, frames, 48, 80, 3), dtype=torch.uint8)
    size = {"min": MIN_SIZE, "max": MAX_SIZE}
    return _export(
        network,
        "frames",
        example,
        {0: Dim("batch", min=1), 2: Dim("height", **size), 3: Dim("width", **size)},
        metadata,
    )


def audio_onnx(network: nn.Module, sample_rate: int, metadata: Mapping[str, Any]) -> bytes:
    """ONNX of a ``RawAudio``: batch and samples (0.1 s or more) are dynamic."""
    example = 0.1 * torch.randn(2, sample_rate + 123)
    return _export(
        network,
        "waveform",
        example,
        {0: Dim("batch", min=1), 1: Dim("samples", min=sample_rate // 10)},
        metadata,
    )


def _export(
    network: nn.Module, name: str, example: Tensor, dynamic: dict[int, Any], metadata: Mapping[str, Any]
) -> bytes:
    """Export, embed the metadata, check in full, and give the bytes of the file."""
    with tempfile.TemporaryDirectory(prefix="avfeat-export-") as folder, warnings.catch_warnings():
        # The exporter warns about its own internals.
        warnings.simplefilter("ignore")
        path = Path(folder) / "graph.onnx"
        torch.onnx.export(
            network.eval(),
            (example,),
            str(path),
            dynamo=True,
            input_names=[name],
            output_names=["features", "shared"],
            dynamic_shapes=(dynamic,),
            external_data=False,
            opset_version=OPSET,
            verbose=False,
        )
        model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {"avfeat": json.dumps(metadata)})
    onnx.checker.check_model(model, full_check=True)
    foreign = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if foreign:
        raise ValueError(f"The graph uses operators that are not standard ONNX: {', '.join(sorted(foreign))}.")
    return bytes(model.SerializeToString())

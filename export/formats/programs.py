"""Raw-in encoders as programs of PyTorch: TorchScript, and ``torch.export``'s ``.pt2``."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule

from avfeat.bundle import METADATA
from avfeat.export.formats.example import Example, export_program


def torchscript(network: nn.Module, example: Example, metadata: Mapping[str, Any]) -> bytes:
    """A traced and frozen TorchScript file that carries its own description."""
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # PyTorch deprecates the format; the documentation says so, once.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network.eval(), (example.value,), check_trace=False)  # type: ignore[no-untyped-call]
        frozen = torch.jit.freeze(traced)
        torch.jit.save(frozen, buffer, _extra_files={METADATA: json.dumps(metadata).encode()})
    return _without_sources(buffer)


def _without_sources(archive: io.BytesIO) -> bytes:
    """Leave out where each operation stood in the source: files and folders of the machine that exported."""
    kept = io.BytesIO()
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(kept, "w", zipfile.ZIP_STORED) as part:
        for member in whole.infolist():
            if not member.filename.endswith(".debug_pkl"):
                part.writestr(zipfile.ZipInfo(member.filename), whole.read(member))
    return kept.getvalue()


def pt2(network: nn.Module, example: Example, metadata: Mapping[str, Any]) -> bytes:
    """A ``.pt2`` file that carries its own description."""
    buffer = io.BytesIO()
    program = export_program(network, example)
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, GraphModule) else ():
            # It names files and folders of the machine that exported.
            node.meta.pop("stack_trace", None)
    torch.export.save(program, buffer, extra_files={METADATA: json.dumps(metadata)})
    return buffer.getvalue()

"""Raw-in encoders as programs of PyTorch: TorchScript, and ``torch.export``'s ``.pt2``."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from avfeat.bundle import METADATA
from avfeat.export.example import Example, exported


def torchscript(network: nn.Module, example: Example, metadata: Mapping[str, Any]) -> bytes:
    """A traced and frozen TorchScript file that carries its own description."""
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # PyTorch deprecates the format; the documentation says so, once.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network.eval(), (example.value,), check_trace=False)  # type: ignore[no-untyped-call]
        frozen = torch.jit.freeze(traced)
        torch.jit.save(frozen, buffer, _extra_files={METADATA: json.dumps(metadata).encode()})
    return buffer.getvalue()


def pt2(network: nn.Module, example: Example, metadata: Mapping[str, Any]) -> bytes:
    """A ``.pt2`` file that carries its own description."""
    buffer = io.BytesIO()
    torch.export.save(exported(network, example), buffer, extra_files={METADATA: json.dumps(metadata)})
    return buffer.getvalue()

"""TorchScript files, on the CPU or on CUDA. They are programs: load them from sources that you trust."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avfeat.backends.torch_programs import Program, TorchSession


class TorchScriptSession(TorchSession):
    """One TorchScript program of a bundle."""

    form = "torchscript"

    @staticmethod
    def _load(torch: Any, path: Path, device: str, extra: dict[str, Any]) -> Program:
        program: Program = torch.jit.load(str(path), map_location=device, _extra_files=extra)
        return program

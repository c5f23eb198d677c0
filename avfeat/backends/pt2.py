"""Files of ``torch.export``, on the CPU or on CUDA. They are programs: load them from sources that you trust."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avfeat.backends.torch_programs import Program, TorchSession


class Pt2Session(TorchSession):
    """One exported program of a bundle, run eagerly."""

    form = "pt2"

    @staticmethod
    def _load(torch: Any, path: Path, device: str, extra: dict[str, Any]) -> Program:
        exported = torch.export.load(str(path), extra_files=extra)
        if device != "cpu":
            exported = torch.export.passes.move_to_device_pass(exported, device)
        program: Program = exported.module()
        return program

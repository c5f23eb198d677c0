"""Files of ``torch.export``, on the CPU or on CUDA. They are programs: load them from sources that you trust."""

from __future__ import annotations

import warnings
from typing import Any

from avfeat.backends.torch_programs import TorchSession, check_metadata, import_torch, torch_device
from avfeat.bundle import METADATA, Bundle, Modality
from avfeat.errors import BundleError


class Pt2Session(TorchSession):
    """One exported program of a bundle, run eagerly."""

    def __init__(self, bundle: Bundle, modality: Modality, device: str, threads: int) -> None:
        """Load the program and check it against the bundle's description.

        Raises:
            BackendError: no torch, or CUDA asked for and not there.
            BundleError: the file cannot be loaded or describes itself otherwise.
        """
        torch = import_torch()
        path, place = bundle.file(modality, "pt2"), torch_device(torch, device)
        extra: dict[str, Any] = {METADATA: ""}
        with warnings.catch_warnings():
            # PyTorch warns of buffers of its own reader.
            warnings.simplefilter("ignore")
            try:
                exported = torch.export.load(str(path), extra_files=extra)
            except Exception as error:  # its many readers (zip, JSON, pickle) have no common base
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise BundleError(f"{path}: PyTorch cannot load it ({reason}).") from error
        check_metadata(bundle, modality, "pt2", extra)
        if place != "cpu":
            exported = torch.export.passes.move_to_device_pass(exported, place)
        super().__init__(bundle, modality, exported.module(), place, threads)

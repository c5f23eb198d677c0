"""TorchScript files, on the CPU or on CUDA. They are programs: load them from sources that you trust."""

from __future__ import annotations

import warnings

from avfeat.backends.torch_programs import TorchSession, check_metadata, import_torch, torch_device
from avfeat.bundle import METADATA, Bundle, Modality
from avfeat.errors import BundleError


class TorchScriptSession(TorchSession):
    """One TorchScript program of a bundle."""

    def __init__(self, bundle: Bundle, modality: Modality, device: str, threads: int) -> None:
        """Load the program and check it against the bundle's description.

        Raises:
            BackendError: no torch, or CUDA asked for and not there.
            BundleError: the file cannot be loaded or describes itself otherwise.
        """
        torch = import_torch()
        path, place = bundle.file(modality, "torchscript"), torch_device(torch, device)
        extra: dict[str, str | bytes] = {METADATA: ""}
        with warnings.catch_warnings():
            # PyTorch deprecates the format in favour of .pt2, which whoever asks for this backend has not chosen.
            warnings.simplefilter("ignore")
            try:
                program = torch.jit.load(str(path), map_location=place, _extra_files=extra)
            except (RuntimeError, ValueError) as error:
                raise BundleError(f"{path}: PyTorch cannot load it ({str(error).splitlines()[0]}).") from error
        check_metadata(bundle, modality, "torchscript", extra)
        super().__init__(bundle, modality, program, place, threads)

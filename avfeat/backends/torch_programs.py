"""What the two backends that run on PyTorch share: the import, the device, the threads, and the arrays."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.backends import Embedded
from avfeat.bundle import METADATA, Bundle, Modality
from avfeat.errors import BackendError, BundleError

Program = Callable[[Any], Any]


def import_torch() -> Any:
    """The module ``torch``.

    Raises:
        BackendError: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise BackendError(
            "TorchScript and .pt2 files need PyTorch; pip install 'avfeat[train]', or use the onnx backend."
        ) from error
    return torch


def torch_device(torch: Any, device: str) -> str:
    """``cpu`` or ``cuda``: where programs will run.

    Raises:
        BackendError: CUDA was asked for and is not there.
    """
    there = bool(torch.cuda.is_available())
    if device == "cuda" and not there:
        raise BackendError(
            "CUDA was asked for, but PyTorch cannot use it here; check the GPU driver, install a CUDA build of "
            "torch, or use --device cpu."
        )
    return "cuda" if there and device != "cpu" else "cpu"


class TorchSession:
    """One program of a bundle; ``avfeat.backends.torchscript`` and ``pt2`` say how its file is read."""

    def __init__(self, bundle: Bundle, modality: Modality, program: Program, device: str, threads: int) -> None:
        self._graph = bundle.graph(modality)
        self._name = f"{bundle.path.name}/{modality}"
        self._program = program
        self._threads = threads
        self.device = device
        """Where it really runs."""

    def run(self, batch: NDArray[Any]) -> Embedded:
        """Embed a batch."""
        torch = import_torch()
        with torch.inference_mode(), _threads(torch, self._threads):
            found = self._program(torch.from_numpy(np.ascontiguousarray(batch)).to(self.device))
            features, shared = (out.float().cpu().numpy() for out in found)
        for port, rows in ((self._graph.features, features), (self._graph.shared, shared)):
            if rows.shape != (len(batch), port.shape[1]):
                raise BundleError(
                    f"{self._name}: {port.name!r} came out as {rows.shape}, not {(len(batch), port.shape[1])} as "
                    "bundle.json says; export the bundle again."
                )
        return Embedded(features, shared)


def check_metadata(bundle: Bundle, modality: Modality, backend: str, extra: Mapping[str, str | bytes]) -> None:
    """What a program says of itself is what ``bundle.json`` says of it.

    Raises:
        BundleError: it says something else, or nothing.
    """
    name = bundle.file(modality, backend).name
    try:
        said = json.loads(extra[METADATA])
        ports = [said["input"]["name"], *(said["outputs"][key]["dim"] for key in ("features", "shared"))]
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{bundle.path / name}: does not say what it takes; export the bundle again.") from error
    graph = bundle.graph(modality)
    if ports != [graph.input.name, graph.features.shape[1], graph.shared.shape[1]]:
        raise BundleError(f"{bundle.path / name}: is not the file that bundle.json describes; export it again.")


_LOCK = threading.Lock()


@contextmanager
def _threads(torch: Any, count: int) -> Iterator[None]:
    """Run with so many threads, and leave the caller's own number as it was."""
    with _LOCK:
        before = torch.get_num_threads()
        if before != count:
            torch.set_num_threads(count)
    try:
        yield
    finally:
        if before != count:
            torch.set_num_threads(before)

"""What the two backends that run on PyTorch share: all but how a file is read."""

from __future__ import annotations

import json
import os
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from avfeat.backends import Backend, GraphOutput, check_outputs
from avfeat.bundle import METADATA, Bundle, Modality
from avfeat.errors import BackendError, BundleError

Program = Callable[[Any], Any]


def _import_torch() -> Any:
    """The module ``torch``; a ``BackendError`` where it is not installed."""
    # Spinning threads would take the cores that decoding, or anybody else, needs: two graphs in turns then wait for
    # each other's. OpenMP reads it when it is loaded; who has set it, or has loaded torch, has decided.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import torch
    except ImportError as error:
        raise BackendError(
            "TorchScript and .pt2 files need PyTorch; pip install 'avfeat[train]', or use the onnx backend."
        ) from error
    return torch


def _torch_device(torch: Any, device: str) -> str:
    """``cpu`` or ``cuda``: where programs will run; a ``BackendError`` where that is not there."""
    there = bool(torch.cuda.is_available())
    if device == "cuda" and not there:
        raise BackendError(
            "CUDA was asked for, but PyTorch cannot use it here; check the GPU driver, install a CUDA build of "
            "torch, or use --device cpu."
        )
    return "cuda" if there and device != "cpu" else "cpu"


class TorchSession(ABC):
    """One program of a bundle; ``avfeat.backends.torchscript`` and ``pt2`` say how its file is read.

    Attributes:
        form: which of the bundle's files it runs.
        device: where it really runs.
    """

    form: ClassVar[Backend]

    def __init__(self, bundle: Bundle, modality: Modality, device: str, threads: int) -> None:
        """Load the program and check it against the bundle's description.

        Raises:
            BackendError: no torch, or CUDA asked for and not there.
            BundleError: the file cannot be loaded or describes itself otherwise.
        """
        torch = _import_torch()
        path, self.device = bundle.file(modality, self.form), _torch_device(torch, device)
        self._graph = bundle.graph(modality)
        self._name = f"{bundle.path.name}/{modality}"
        self._threads = threads
        extra: dict[str, Any] = {METADATA: ""}
        with warnings.catch_warnings():
            # PyTorch warns of buffers of its own reader, and deprecates TorchScript in favour of .pt2, which
            # whoever asks for that backend has not chosen.
            warnings.simplefilter("ignore")
            try:
                self._program = self._load(torch, path, self.device, extra)
            except Exception as error:  # its many readers (zip, JSON, pickle) have no common base
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise BundleError(f"{path}: PyTorch cannot load it ({reason}).") from error
        _check_metadata(bundle, modality, self.form, extra)

    @staticmethod
    @abstractmethod
    def _load(torch: Any, path: Path, device: str, extra: dict[str, Any]) -> Program:
        """The program on ``device``; what it says of itself goes to ``extra``."""

    def run(self, batch: NDArray[Any]) -> GraphOutput:
        """Embed a batch."""
        torch = _import_torch()
        try:
            with torch.inference_mode(), _threads(torch, self._threads):
                found = self._program(torch.from_numpy(np.ascontiguousarray(batch)).to(self.device))
                rows = [out.float().cpu().numpy() for out in found]
        except Exception as error:  # a program may raise anything
            raise BackendError(f"{self._name}: PyTorch cannot run it on {batch.shape} ({error}).") from error
        return check_outputs(self._name, self._graph, rows, len(batch))


def _check_metadata(bundle: Bundle, modality: Modality, backend: str, extra: Mapping[str, str | bytes]) -> None:
    """What a program says of itself must be what ``bundle.json`` says of it, or a ``BundleError`` is raised."""
    name = bundle.file(modality, backend).name
    try:
        said = json.loads(extra[METADATA])
        ports = [said["input"]["name"], *((key, value["dim"]) for key, value in said["outputs"].items())]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{bundle.path / name}: does not say what it takes; export the bundle again.") from error
    graph = bundle.graph(modality)
    if ports != [graph.input.name, *((key, port.shape[-1]) for key, port in graph.outputs.items())]:
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

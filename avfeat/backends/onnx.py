"""ONNX Runtime, on the CPU or on CUDA."""

from __future__ import annotations

import importlib.metadata
import os
import warnings
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.backends import GraphOutput, check_outputs
from avfeat.backends.onnx_file import external_files
from avfeat.bundle import MANIFEST, Bundle, Modality, Port
from avfeat.dense import ROWS
from avfeat.errors import BackendError, BundleError

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_TELEMETRY = "ORT_DISABLE_TELEMETRY"
_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(int64)": "int64"}


def installed_packages() -> dict[str, str]:
    """The installed distributions that provide the module ``onnxruntime``, with their versions."""
    found = {}
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def import_onnxruntime() -> Any:
    """The module ``onnxruntime``, without what it tells its makers.

    Raises:
        BackendError: it is not installed, or installed twice.
    """
    if len(installed_packages()) > 1:
        raise BackendError(
            "Both onnxruntime and onnxruntime-gpu are installed and overwrite each other; run "
            "'pip uninstall -y onnxruntime onnxruntime-gpu', then pip install 'avfeat[cpu]' or 'avfeat[gpu]'."
        )
    try:
        with _no_telemetry():
            import onnxruntime
    except ImportError as error:
        raise BackendError(
            "Embedding needs ONNX Runtime; pip install 'avfeat[cpu]', or 'avfeat[gpu]' for NVIDIA GPUs."
        ) from error
    return onnxruntime


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """ONNX Runtime 1.31 sends events to Microsoft, unless a variable says otherwise when it is first imported.

    Its ``disable_telemetry_events`` comes too late: what was imported has begun.
    """
    if _TELEMETRY in os.environ:
        yield
        return
    os.environ[_TELEMETRY] = "1"
    try:
        yield
    finally:
        del os.environ[_TELEMETRY]


class OnnxSession:
    """One modality's ONNX graph of a bundle."""

    def __init__(self, bundle: Bundle, modality: Modality, device: str, threads: int) -> None:
        """Load the graph and check it against the bundle's description; errors as of ``OnnxFile``."""
        self._graph = bundle.graph(modality)
        ports = [self._graph.input], list(self._graph.outputs.values())
        self._file = OnnxFile(bundle.file(modality, "onnx"), *ports, device, threads, bundle.listed)

    @property
    def device(self) -> str:
        """Where it really runs."""
        return self._file.device

    def run(self, batch: NDArray[Any]) -> GraphOutput:
        """Embed a batch."""
        found = self._file.run([batch])
        return check_outputs(self._file.name, self._graph, found, len(batch))


class OnnxFile:
    """An ONNX file whose inputs and outputs are what a bundle says of them."""

    def __init__(
        self,
        path: Path,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        device: str,
        threads: int,
        listed: Set[str] = frozenset(),
    ) -> None:
        """Load the file and check it.

        Args:
            path: of it.
            inputs: what goes in.
            outputs: what comes out.
            device: ``auto``, ``cpu`` or ``cuda``.
            threads: of the CPU.
            listed: names of files beside it that it may have values in.

        Raises:
            BackendError: no onnxruntime, or CUDA asked for and not there.
            BundleError: the file cannot be loaded or has other inputs or outputs than described.
        """
        runtime = import_onnxruntime()
        self._path = path
        self._inputs, self._outputs = [port.name for port in inputs], [port.name for port in outputs]
        _check_external(self._path, listed)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # What goes wrong is raised, in one sentence; its own lines on stderr would say it again.
        options.log_severity_level = 4
        # Spinning threads would take the cores that decoding needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = self._open(runtime, options, device)
        _check(self.name, self._session, (*inputs, *outputs))

    @property
    def name(self) -> str:
        """Of the file."""
        return self._path.name

    @property
    def device(self) -> str:
        """Where it really runs."""
        return "cuda" if self._session.get_providers()[0] == _PROVIDERS["cuda"] else "cpu"

    def run(self, batches: Sequence[NDArray[Any]]) -> Sequence[NDArray[np.float32]]:
        """Its outputs for its inputs, both in the order in which they were named."""
        try:
            found: list[NDArray[np.float32]] = self._session.run(
                self._outputs, dict(zip(self._inputs, batches, strict=True))
            )
        except Exception as error:  # onnxruntime has no common base for its many exceptions
            shape = batches[0].shape
            raise BackendError(f"{self._path}: ONNX Runtime cannot run it on {shape} ({_said(error)}).") from error
        return found

    def _open(self, runtime: Any, options: Any, device: str) -> Any:
        if device == "cpu" or (device == "auto" and _PROVIDERS["cuda"] not in runtime.get_available_providers()):
            return self._session_on(runtime, options, "cpu")
        if _PROVIDERS["cuda"] in runtime.get_available_providers():
            # CUDA and cuDNN from the nvidia wheels, so that no library path has to be set.
            runtime.preload_dlls()
            session = self._session_on(runtime, options, "cuda")
            if session.get_providers()[0] == _PROVIDERS["cuda"]:
                return session
        if device == "cuda":
            raise BackendError(
                "CUDA was asked for, but ONNX Runtime cannot use it here; check the GPU driver, "
                "pip install 'avfeat[gpu]' in place of 'avfeat[cpu]', or use --device cpu."
            )
        warnings.warn("onnxruntime-gpu finds no usable GPU; embedding on the CPU.", RuntimeWarning, stacklevel=5)
        return self._session_on(runtime, options, "cpu")

    def _session_on(self, runtime: Any, options: Any, device: str) -> Any:
        # The golden outputs of a float32 bundle are not those of TF32.
        cuda = (_PROVIDERS["cuda"], {"use_tf32": "0"})
        providers = [cuda, _PROVIDERS["cpu"]] if device == "cuda" else [_PROVIDERS["cpu"]]
        try:
            return runtime.InferenceSession(str(self._path), options, providers=providers)
        except Exception as error:  # onnxruntime has no common base for its many exceptions
            raise BundleError(f"{self._path}: ONNX Runtime cannot load it ({_said(error)}).") from error


def _said(error: Exception) -> str:
    """What ONNX Runtime says, on one line."""
    return " ".join(str(error).split()).rstrip(".")


def _check_external(path: Path, listed: Set[str]) -> None:
    """Whatever else ONNX Runtime reads has been compared with its checksum, so it lies in the bundle's folder."""
    try:
        unlisted = external_files(path) - listed
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: ONNX Runtime cannot load it (no ONNX: {error}); export it again.") from error
    if unlisted:
        raise BundleError(
            f"{path}: has values in another file, which no checksum covers; save it as one file "
            f"(external_data=False), or list the file beside it in sha256 of {MANIFEST}, and make the bundle again."
        )


def _check(name: str, session: Any, ports: Sequence[Port]) -> None:
    """The graph's inputs and outputs are what the bundle says."""
    found = {value.name: value for value in [*session.get_inputs(), *session.get_outputs()]}
    for port in ports:
        if port.name not in found:
            raise BundleError(f"{name}: has no {port.name!r}, which bundle.json names; export the bundle again.")
        value = found[port.name]
        if _DTYPES.get(value.type) != port.dtype or not _fits(value.shape, port):
            raise BundleError(
                f"{name}: {port.name!r} is {value.type} {value.shape}, not {port.dtype} {list(port.shape)} as "
                "bundle.json says; export the bundle again."
            )


def _fits(shape: list[Any], port: Port) -> bool:
    """Fixed dimensions are equal, dynamic ones dynamic; a graph may give any number of dense rows."""
    if len(shape) != len(port.shape):
        return False
    pairs = zip(shape, port.shape, strict=True)
    return all(a == b if isinstance(b, int) else b == ROWS or not isinstance(a, int) for a, b in pairs)

"""Backends: whatever runs a bundle's graphs, behind one small interface.

A backend is one module with one session class and one entry in ``open_session``; it imports its runtime inside
its own functions, so that none of them is needed until it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from avfeat.arguments import shown
from avfeat.bundle import Bundle, Graph, Modality, Port
from avfeat.errors import ArgumentError, BundleError

Backend = Literal["onnx", "torchscript", "pt2"]
Device = Literal["auto", "cpu", "cuda"]


class GraphOutput(NamedTuple):
    """What an encoder gives for a batch: float32 ``(batch, d)`` features and ``(batch, s)`` shared.

    ``s`` is 0 for a graph without that output. ``frames`` are the rows within a window, ``(batch, T, d)``; None for
    a graph without them.
    """

    features: NDArray[np.float32]
    shared: NDArray[np.float32]
    frames: NDArray[np.float32] | None = None


class Session(Protocol):
    """One graph, ready to run; safe to call from several threads at a time."""

    @property
    def device(self) -> str:
        """Where it really runs: ``cpu`` or ``cuda``."""

    def run(self, batch: NDArray[Any]) -> GraphOutput:
        """Embed a batch: uint8 ``(batch, T, height, width, 3)`` or float32 ``(batch, samples)``."""


def check_outputs(name: str, graph: Graph, found: Sequence[NDArray[np.float32]], rows: int) -> GraphOutput:
    """What a graph gave, in the order of ``graph.outputs``.

    Raises:
        BundleError: an output of another shape than ``bundle.json`` says.
    """
    for port, values in zip(graph.outputs.values(), found, strict=True):
        dense = values.shape[1:2] if len(port.shape) > 2 else ()
        if values.shape != (rows, *dense, port.shape[-1]):
            raise BundleError(wrong_rows(name, port, values.shape, rows))
    named = dict(zip(graph.outputs, found, strict=True))
    # A copy: what is beyond the window may be most of it.
    frames = None if graph.frames is None else named["frames"][:, : graph.frames.rows].copy()
    return GraphOutput(named["features"], named.get("shared", np.zeros((rows, 0), np.float32)), frames)


def wrong_rows(name: str, port: Port, shape: tuple[int, ...], rows: int) -> str:
    """The sentence for an output of another shape than ``bundle.json`` says."""
    return (
        f"{name}: {port.name!r} came out as {shape}, not {(rows, *port.shape[1:])} as bundle.json says; "
        "export the bundle again."
    )


def open_sessions(bundle: Bundle, backend: str, device: str, threads: int) -> dict[Modality, Session]:
    """A session for each modality that ``bundle`` has; arguments and errors as of ``open_session``."""
    return {modality: open_session(bundle, modality, backend, device, threads) for modality in bundle.graphs}


def open_session(bundle: Bundle, modality: Modality, backend: str, device: str, threads: int) -> Session:
    """A session for one modality of ``bundle``.

    Args:
        bundle: a checked bundle.
        modality: ``video`` or ``audio``.
        backend: which of the bundle's files to run. TorchScript and ``.pt2`` files are programs, which run only
            when they are asked for; an ONNX file holds no code.
        device: ``cpu``, ``cuda``, or ``auto`` for CUDA where it works and the CPU elsewhere.
        threads: threads on the CPU.

    Raises:
        ArgumentError: an unknown backend or device.
        BackendError: the backend or the device is not there.
        BundleError: the file does not hold what ``bundle.json`` says.
    """
    for name, value, choices in (("device", device, get_args(Device)), ("backend", backend, get_args(Backend))):
        if not isinstance(value, str) or value not in choices:
            raise ArgumentError(f"{name} must be one of {', '.join(choices)}, not {shown(value)}.")
    if backend == "onnx":
        from avfeat.backends.onnx import OnnxSession

        return OnnxSession(bundle, modality, device, threads)
    if backend == "torchscript":
        from avfeat.backends.torchscript import TorchScriptSession

        return TorchScriptSession(bundle, modality, device, threads)
    from avfeat.backends.pt2 import Pt2Session

    return Pt2Session(bundle, modality, device, threads)

"""Replays a bundle's golden inputs: does this machine compute what the bundle promises?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.backends import open_session
from avfeat.bundle import GOLDEN, Bundle, Modality, Precision
from avfeat.errors import BundleError
from avfeat.processors import available_processors

LIMITS: dict[Precision, float] = {"fp32": 1e-3, "fp16": 2e-2, "int8": 3e-1}
"""Greatest allowed ``max |a - b| / max |b|`` against the fp32 reference, by the bundle's precision."""


@dataclass(frozen=True)
class Check:
    """One output compared with its reference.

    Attributes:
        modality: ``video`` or ``audio``.
        output: ``features`` or ``shared``.
        device: where it was computed.
        error: ``max |a - b| / max |b|``; infinite if the output is not finite or has another shape.
        cosine: least cosine between a row and its reference.
        limit: what ``error`` may be.
    """

    modality: str
    output: str
    device: str
    error: float
    cosine: float
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the output is right."""
        return self.error <= self.limit


def verify(bundle: Bundle, device: str = "auto", backend: str = "onnx") -> list[Check]:
    """Run the golden inputs and compare.

    Raises:
        BundleError: the bundle has no golden inputs, or incomplete ones.
        BackendError: the backend or device is not there.
    """
    golden = bundle.golden()
    checks = []
    pairs: tuple[tuple[Modality, str], ...] = (("video", "frames"), ("audio", "waveform"))
    for modality, inputs in pairs:
        session = open_session(bundle, modality, backend, device, available_processors())
        out = session.run(_checked_input(bundle, modality, _array(bundle, golden, inputs)))
        for name in ("features", "shared"):
            expected = _array(bundle, golden, f"{modality}_{name}")
            error, cosine = _compare(getattr(out, name), expected)
            checks.append(Check(modality, name, session.device, error, cosine, LIMITS[bundle.precision]))
    return checks


def _array(bundle: Bundle, golden: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in golden:
        raise BundleError(f"{bundle.path / GOLDEN}: has no {name!r}; export the bundle again.")
    return golden[name]


def _checked_input(bundle: Bundle, modality: Modality, batch: NDArray[Any]) -> NDArray[Any]:
    port = bundle.graph(modality).input
    fits = batch.ndim == len(port.shape) and all(
        size == wanted for size, wanted in zip(batch.shape, port.shape, strict=True) if isinstance(wanted, int)
    )
    if batch.dtype != port.dtype or not fits:
        raise BundleError(
            f"{bundle.path / GOLDEN}: {port.name!r} is {batch.dtype} {batch.shape}, not {port.dtype} "
            f"{list(port.shape)}; export the bundle again."
        )
    return batch


def _compare(found: NDArray[np.float32], expected: NDArray[np.float32]) -> tuple[float, float]:
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf"), float("nan")
    a, b = found.astype(np.float64), expected.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)
    return float(np.abs(a - b).max() / np.abs(b).max()), float(cosine.min())

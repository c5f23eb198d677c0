"""Replays a bundle's golden inputs: does it give its golden outputs on this machine?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avfeat.backends import open_sessions
from avfeat.bundle import GOLDEN, Bundle, Graph, Precision, TextGraph
from avfeat.errors import BundleError
from avfeat.processors import available_processors
from avfeat.text import TextTower

LIMITS: dict[Precision, float] = {"fp32": 1e-3, "fp16": 2e-2, "int8": 3e-1}
"""Greatest allowed ``max |a - b| / max |b|`` against the fp32 reference, by the bundle's precision."""

DISTANCE_LIMITS: dict[Precision, float] = {"fp32": 1e-4, "fp16": 1e-2, "int8": 0.15}
"""Greatest allowed ``||a - b||`` over the median distance between different clips, at export."""

ELSEWHERE = 4
"""How much further another machine may be off in distance: it rounds, and adds up, in another order."""


@dataclass(frozen=True)
class Check:
    """One output compared with its reference.

    Attributes:
        modality: ``video``, ``audio`` or ``text``.
        output: ``features``, ``shared`` or ``frames``; of text, ``tokens`` or ``shared``.
        device: where it was computed.
        error: ``max |a - b| / max |b|``; infinite if the output is not finite or has another shape.
        cosine: least cosine between a row and its reference.
        limit: what ``error`` may be.
        distance: greatest ``||a - b||`` of a row over the median distance between different clips; None for
            bundles that do not say what that is.
        distance_limit: what ``distance`` may be.
    """

    modality: str
    output: str
    device: str
    error: float
    cosine: float
    limit: float
    distance: float | None = None
    distance_limit: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the output is right."""
        if self.distance is not None and self.distance_limit is not None and self.distance > self.distance_limit:
            return False
        return self.error <= self.limit


def verify(bundle: Bundle, device: str = "auto", backend: str = "onnx") -> list[Check]:
    """Run the golden inputs and compare.

    Raises:
        BundleError: the bundle has no golden inputs, or incomplete ones.
        BackendError: the backend or device is not there.
    """
    golden = bundle.golden()
    checks = []
    for modality, session in open_sessions(bundle, backend, device, available_processors()).items():
        graph = bundle.graph(modality)
        out = session.run(_checked_input(bundle, graph, _array(bundle, golden, graph.input.name)))
        for name in graph.outputs:
            expected = _expected(bundle, golden, f"{modality}_{name}")
            checks.append(_check(bundle, modality, name, session.device, getattr(out, name), expected))
    if bundle.text is not None:
        checks += _check_text(bundle, bundle.text, golden, device)
    return checks


def _check_text(bundle: Bundle, graph: TextGraph, golden: dict[str, NDArray[Any]], device: str) -> list[Check]:
    """The golden sentences become the golden tokens, and these the golden rows."""
    tower = TextTower.of(bundle, device, available_processors())
    texts = _array(bundle, golden, "text")
    if texts.dtype.kind != "U" or texts.ndim != 1 or not len(texts):
        raise BundleError(f"{bundle.path / GOLDEN}: 'text' is no list of sentences; export the bundle again.")
    tokens = tower.tokens(texts.tolist())
    wanted = [_array(bundle, golden, port.name) for port in graph.inputs]
    same = all(np.array_equal(one, other) for one, other in zip(tokens, wanted, strict=True))
    error, cosine = (0.0, 1.0) if same else (float("inf"), float("nan"))
    expected = _expected(bundle, golden, "text_shared")
    return [
        Check("text", "tokens", tower.device, error, cosine, 0.0),
        _check(bundle, "text", "shared", tower.device, tower.run(tokens), expected),
    ]


def _check(
    bundle: Bundle,
    modality: str,
    name: str,
    device: str,
    found: NDArray[np.float32],
    expected: NDArray[np.float32],
) -> Check:
    precision = bundle.precision
    compared = compare(found, expected)
    check = Check(modality, name, device, compared.error, compared.cosine, LIMITS[precision])
    scale = bundle.scale(modality, name)
    if scale is None:
        return check
    # As at export: on the scale of what is compared, where that is larger.
    ends = expected.reshape(-1, expected.shape[-1])[[0, -1]].astype(np.float64)
    apart = float(np.linalg.norm(ends[0] - ends[1]))
    return replace(
        check,
        distance=float(compared.norms.max()) / max(scale, apart),
        distance_limit=ELSEWHERE * DISTANCE_LIMITS[precision],
    )


def _array(bundle: Bundle, golden: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in golden:
        raise BundleError(f"{bundle.path / GOLDEN}: has no {name!r}; export the bundle again.")
    return golden[name]


def _expected(bundle: Bundle, golden: dict[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
    rows = _array(bundle, golden, output)
    if rows.dtype != np.float32 or rows.ndim != (3 if output.endswith("_frames") else 2) or not rows.size:
        raise BundleError(
            f"{bundle.path / GOLDEN}: {output!r} is {rows.dtype} {rows.shape}, not float32 rows; "
            "export the bundle again."
        )
    return rows


def _checked_input(bundle: Bundle, graph: Graph, batch: NDArray[Any]) -> NDArray[Any]:
    port = graph.input
    fits = batch.ndim == len(port.shape) and all(
        size == wanted for size, wanted in zip(batch.shape, port.shape, strict=True) if isinstance(wanted, int)
    )
    if batch.dtype != port.dtype or not fits or not batch.size:
        raise BundleError(
            f"{bundle.path / GOLDEN}: {port.name!r} is {batch.dtype} {batch.shape}, not {port.dtype} "
            f"{list(port.shape)}; export the bundle again."
        )
    return batch


class Compared(NamedTuple):
    """How far rows are from their reference.

    Attributes:
        error: ``max |a - b| / max |b|``; infinite if either is not finite or the shapes differ.
        norms: ``||a - b||`` of each row; infinite likewise.
        cosine: least cosine between a row and its reference; NaN then.
    """

    error: float
    norms: NDArray[np.float64]
    cosine: float


def compare(found: NDArray[np.float32], expected: NDArray[np.float32]) -> Compared:
    """Rows ``(n, d)``, or ``(n, T, d)``, against their reference."""
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return Compared(float("inf"), np.full(expected.size // expected.shape[-1], np.inf), float("nan"))
    a, b = (rows.reshape(-1, rows.shape[-1]).astype(np.float64) for rows in (found, expected))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)
    # A reference of zeros is equalled by zeros alone.
    scale = max(float(np.abs(b).max()), float(np.finfo(np.float64).tiny))
    return Compared(float(np.abs(a - b).max()) / scale, np.linalg.norm(a - b, axis=1), float(cosine.min()))

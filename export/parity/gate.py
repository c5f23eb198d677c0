"""The gate: what was written computes what it was made of, or it does not leave the house."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from avfeat.backends import Backend, GraphOutput, Session, open_session
from avfeat.bundle import Bundle, Modality, Precision
from avfeat.errors import BackendError, BundleError
from avfeat.export.parity.probes import Kind, ParityInput, median_distance
from avfeat.verify import DISTANCE_LIMITS, LIMITS, compare

OUTPUTS = ("features", "shared", "frames")

_SPREAD = 8
"""Of how many dense rows of a clip its distance to others is measured."""


class Networks(Protocol):
    """What files are held against."""

    def run(self, modality: Modality, batch: NDArray[Any]) -> GraphOutput:
        """What a session for ``modality`` should give for ``batch``; without a shared space, a width of 0."""


def distance_limit(precision: Precision, inputs: Kind) -> float:
    """What ``distance`` may be on inputs of a kind.

    Integers cover the values that real clips take. Noise goes far beyond them and is cut off, and ranges that held
    it as well would be too coarse for clips: of int8, random inputs ask for the right shapes and for numbers.
    """
    return float("inf") if (precision, inputs) == ("int8", "random") else DISTANCE_LIMITS[precision]


@dataclass(frozen=True)
class ParityRow:
    """One output of one file, on inputs of one kind.

    Attributes:
        form: of the file: ``onnx``, ``torchscript`` or ``pt2``.
        device: where it ran.
        modality: ``video``, ``audio`` or ``text``.
        output: ``features``, ``shared`` or ``frames``.
        inputs: ``media``, ``random`` or ``golden``; of text, ``sentences``.
        count: how many inputs there were.
        distance: greatest ``||a - b||`` over the median distance between different clips, or over the median
            distance of that very input from the clips, where that is more.
        error: greatest ``max |a - b| / max |b|`` of a batch.
        cosine: the least.
        precision: what the file was written in, and what the bounds go by.
        note: why it did not run at all.
        allowed: what ``distance`` may be where that is not what the precision says.
    """

    form: str
    device: str
    modality: str
    output: str
    inputs: Kind
    count: int
    distance: float
    error: float
    cosine: float
    precision: Precision
    note: str = ""
    allowed: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it is within bounds; fp32 has one for the greatest error as well."""
        exact = self.precision != "fp32" or self.allowed is not None or self.error <= LIMITS["fp32"]
        return np.isfinite(self.distance) and self.distance <= self.limit and exact

    @property
    def limit(self) -> float:
        """What ``distance`` may be."""
        return distance_limit(self.precision, self.inputs) if self.allowed is None else self.allowed


@dataclass(frozen=True, eq=False)
class Expected:
    """What the networks themselves give for each probe, and the scale that differences are seen on.

    Attributes:
        probes: the inputs.
        outputs: for each of them.
        distances: median distance between different clips, by ``video_features`` and so on.
        clips: the rows of the clips, likewise; of dense rows, some of each.
    """

    probes: Sequence[ParityInput]
    outputs: Sequence[GraphOutput]
    distances: Mapping[str, float]
    clips: Mapping[str, NDArray[np.float32]]

    @classmethod
    def from_reference(
        cls, reference: Networks, probes: Sequence[ParityInput], clips: NDArray[np.int64]
    ) -> Expected:
        """Run the networks on everything.

        Args:
            reference: the networks.
            probes: the inputs; the first ``len(clips)`` rows of media of each modality are those of ``clips``.
            clips: which clip each row of media comes from.
        """
        outputs = [reference.run(probe.modality, probe.batch) for probe in probes]
        rows: dict[str, list[NDArray[np.float32]]] = {}
        for probe, out in zip(probes, outputs, strict=True):
            if probe.kind == "media":
                for name in OUTPUTS:
                    values = getattr(out, name)
                    if values is not None and values.shape[1]:
                        rows.setdefault(f"{probe.modality}_{name}", []).append(_spread(values))
        known = {name: np.concatenate(parts)[: len(clips)] for name, parts in rows.items()}
        flat = {name: values.reshape(-1, values.shape[-1]) for name, values in known.items()}
        distances = {
            name: median_distance(values, clips.repeat(known[name].shape[1])) for name, values in flat.items()
        }
        return cls(probes, outputs, distances, flat)

    def scales(self, modality: str, output: str, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """What differences of each row, dense ones too, are seen against: how far different clips are apart.

        A row that lies further from them than they do from each other, as those of random inputs and odd clips, has
        its own median distance from them for a scale.
        """
        name = f"{modality}_{output}"
        each = rows.reshape(-1, rows.shape[-1]).astype(np.float64)
        own = np.median([np.linalg.norm(each - clip, axis=1) for clip in self.clips[name]], axis=0)
        scales: NDArray[np.float64] = np.maximum(own, self.distances[name])
        return scales


def _spread(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows ``(n, d)`` or dense rows ``(n, T, d)`` as ``(n, k, d)``: all of the former, some of the latter."""
    if rows.ndim == 2:
        return rows[:, None]
    places = np.linspace(0, rows.shape[1] - 1, min(rows.shape[1], _SPREAD)).round().astype(np.int64)
    return rows[:, places]


def measure(bundle: Bundle, expected: Expected, allowed: Mapping[str, float] | None = None) -> list[ParityRow]:
    """Compare every file of a bundle, on every device of this machine, with what is expected of it.

    Args:
        bundle: whose files.
        expected: of them.
        allowed: what ``distance`` may be, by output (``video_frames``) or else by modality; None, or without one,
            what the precision says.
    """
    bounds = allowed or {}
    rows: list[ParityRow] = []
    for form in bundle.formats:
        for device in devices(cast(Backend, form)):
            for modality in bundle.graphs:
                found = _file(bundle, modality, form, device, expected)
                usual = bounds.get(modality)
                rows += [replace(row, allowed=bounds.get(f"{modality}_{row.output}", usual)) for row in found]
    return rows


def devices(form: Backend) -> list[str]:
    """Where files of a format can run on this machine, as far as its packages go."""
    if form == "onnx":
        from avfeat.backends.onnx import import_onnxruntime

        there = "CUDAExecutionProvider" in import_onnxruntime().get_available_providers()
    else:
        there = torch.cuda.is_available()
    return ["cpu", "cuda"] if there else ["cpu"]


def _file(bundle: Bundle, modality: Modality, form: str, device: str, expected: Expected) -> list[ParityRow]:
    pairs = [
        (probe, out)
        for probe, out in zip(expected.probes, expected.outputs, strict=True)
        if probe.modality == modality
    ]
    try:
        session = open_session(bundle, modality, form, device, torch.get_num_threads())
    except BackendError:
        if device == "cpu":
            raise
        # Such as onnxruntime-gpu on a machine whose GPUs are elsewhere.
        warnings.warn(f"{form} cannot use CUDA here: its parity was measured on the CPU alone.", stacklevel=2)
        return []
    except BundleError as error:
        return [
            ParityRow(
                form, device, modality, name, "golden", 0, np.inf, np.inf, np.nan, bundle.precision, str(error)
            )
            for name in bundle.graph(modality).outputs
        ]
    results = [(probe, out, *_run(session, probe.batch)) for probe, out in pairs]
    kinds = dict.fromkeys(probe.kind for probe, _ in pairs)
    return [
        _row(
            bundle,
            form,
            session.device,
            name,
            expected,
            [r for r in results if r[0].kind == kind],
        )
        for kind in kinds
        for name in bundle.graph(modality).outputs
    ]


_Result = tuple[ParityInput, GraphOutput, GraphOutput | None, str]


def _run(session: Session, batch: NDArray[Any]) -> tuple[GraphOutput | None, str]:
    try:
        return session.run(batch), ""
    except Exception as error:  # whatever a runtime raises, the file does not take what it should
        said = str(error).strip().splitlines() or [type(error).__name__]
        return None, f"{list(batch.shape)}: {said[0]}"


def _row(
    bundle: Bundle, form: str, device: str, name: str, expected: Expected, results: Iterable[_Result]
) -> ParityRow:
    worst, error, cosine, count, notes = 0.0, 0.0, 1.0, 0, []
    for probe, wanted, found, note in results:
        count += len(probe.batch)
        right = getattr(wanted, name)
        nothing = np.full((0, 0), np.nan, np.float32)
        compared = compare(nothing if found is None else getattr(found, name), right)
        worst = max(worst, float((compared.norms / expected.scales(probe.modality, name, right)).max()))
        error = max(error, compared.error)
        # NaN wins: numpy's minimum passes it on.
        cosine = float(np.minimum(cosine, compared.cosine))
        notes += [note] if note else []
    return ParityRow(
        form,
        device,
        probe.modality,
        name,
        probe.kind,
        count,
        _number(worst),
        error,
        cosine,
        bundle.precision,
        "; ".join(notes[:1]),
    )


def _number(value: float) -> float:
    return value if np.isfinite(value) else float("inf")


def report(rows: Sequence[ParityRow], expected: Expected, source: str) -> dict[str, Any]:
    """What ``bundle.json`` says of parity: rows that are finite, as all of a bundle that was written are."""
    return {
        "media": source,
        "distances": dict(expected.distances),
        "limits": {"distance": DISTANCE_LIMITS[rows[0].precision], "error": LIMITS["fp32"]}
        if rows[0].precision == "fp32"
        else {"distance": DISTANCE_LIMITS[rows[0].precision]},
        "rows": [_stated(row) for row in rows],
    }


def _stated(row: ParityRow) -> dict[str, Any]:
    """What a bundle says of a row: its own bound only where it has one."""
    left_out = ("note", "precision", *(() if row.allowed is not None else ("allowed",)))
    return {key: value for key, value in asdict(row).items() if key not in left_out}


def lines(rows: Sequence[ParityRow]) -> list[str]:
    """The rows as a table of plain text."""
    head = ("file", "device", "output", "inputs", "n", "distance", "limit", "error", "cosine", "")
    table = [head]
    for row in rows:
        table.append(
            (
                f"{row.modality} {row.form}",
                row.device,
                row.output,
                row.inputs,
                str(row.count),
                f"{row.distance:.1e}",
                f"{row.limit:g}" if np.isfinite(row.limit) else "-",
                f"{row.error:.1e}",
                f"{row.cosine:.6f}",
                "ok" if row.ok else f"FAIL {row.note}",
            )
        )
    widths = [max(len(line[column]) for line in table) for column in range(len(head))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in table
    ]

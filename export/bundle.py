"""From encoders to a bundle on disk: written, tried out, and kept only if it is right."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import avfeat
from avfeat.backends import Backend
from avfeat.bundle import GOLDEN, MODALITIES, MODEL_CARD, Bundle, Modality, Precision, check_free, write_bundle
from avfeat.export.card import card, first_of
from avfeat.export.errors import ExportError, ParityError
from avfeat.export.formats import file_name
from avfeat.export.formats.example import Example, audio_example, video_example
from avfeat.export.manifest import description, encoder
from avfeat.export.media import ClipWindows
from avfeat.export.model import Model
from avfeat.export.parity.gate import Expected, ParityRow, devices, measure, report
from avfeat.export.parity.probes import INPUTS, golden_inputs, probes
from avfeat.export.parity.reference import Reference
from avfeat.export.precision.graphs import raw_networks, write_graph
from avfeat.export.precision.tuning import Tuning
from avfeat.export.window import WindowSpec
from avfeat.training.networks import ModalityEncoder
from avfeat.verify import DISTANCE_LIMITS

PARITY_CLIPS = 24
"""How many different clips the gate looks at."""
_REFERENCE = "the networks in PyTorch and float32"


@dataclass(frozen=True, eq=False)
class ExportedBundle:
    """A bundle that was written, and what was measured on the way.

    Attributes:
        bundle: as it lies on disk.
        rows: the parity report.
        layers: by modality, how many layers have the precision that was asked for; nothing for fp32.
    """

    bundle: Bundle
    rows: tuple[ParityRow, ...]
    layers: Mapping[str, str] = field(default_factory=dict)


def export_bundle(
    path: str | Path,
    model: Model,
    windows: ClipWindows,
    formats: Sequence[Backend] = ("onnx",),
    precision: Precision = "fp32",
    notes: str = "",
    follow: Callable[[str], object] = lambda stage: None,
) -> ExportedBundle:
    """Write ``model`` as a bundle of raw-in files that compute what it computes.

    Args:
        path: folder to make; there may be an empty one already.
        model: encoders with trained or calibrated BatchNorm statistics.
        windows: real media, to calibrate on and to measure parity on.
        formats: which files.
        precision: of their arithmetic; all formats must have it (``avfeat.export.formats``).
        notes: Markdown for the model card.
        follow: called with the name of each stage when it begins; some take minutes.

    Raises:
        ParityError: the parity check failed; nothing is left at ``path``.
        ExportError: the networks cannot be written so.
        BundleError: something lies at ``path``.
        BackendError: a format's runtime is not installed.
    """
    target = Path(path)
    check_free(target)
    for form in formats:
        # Says which package is missing before any work.
        devices(form)
    follow("the networks themselves, on the clips")
    reference = Reference(model.pair, model.spec)
    media, others = windows.apart(PARITY_CLIPS)
    expected = Expected.from_reference(reference, probes(media, model.spec), media.clips)
    check_distances(expected)
    # What is chosen by measurement is chosen on other clips than those that judge it.
    tuning = None
    if precision != "fp32":
        follow(f"choosing what can be {precision}")
        tuning = Tuning.on(others, reference, most=PARITY_CLIPS)
    manifest = _manifest(model, formats, precision)
    files: dict[str, bytes] = {GOLDEN: npz(golden_arrays(model, reference))}
    networks = _networks(model, precision, tuning)
    whole = set() if tuning is None else tuning.whole
    for modality in whole:
        manifest[modality]["precision"] = "fp32"
    for modality, (network, example) in networks.items():
        metadata = description(manifest, modality)
        for form in formats:
            follow(f"writing {modality} {form} {precision}")
            files[file_name(modality, form)] = write_graph(network, example, form, precision, metadata, tuning)
    follow("trying the files out")
    rows = check_parity(manifest, files, expected, {str(one): DISTANCE_LIMITS["fp32"] for one in whole})
    manifest["parity"] = report(rows, expected, windows.source)
    said = {} if tuning is None else dict(tuning.said)
    if said:
        manifest["provenance"]["layers"] = said
    first, remarks = first_of(model.weights_origin)
    files[MODEL_CARD] = card(manifest, rows, first, _REFERENCE, notes, remarks).encode()
    return ExportedBundle(write_bundle(target, manifest, files), tuple(rows), said)


def _networks(
    model: Model, precision: Precision, tuning: Tuning | None
) -> dict[Modality, tuple[nn.Module, Example]]:
    video, audio = raw_networks(model.pair, model.spec, precision, tuning)
    return {
        "video": (video, video_example(model.spec.frames)),
        "audio": (audio, audio_example(model.spec.sample_rate)),
    }


def check_parity(
    manifest: Mapping[str, Any],
    files: Mapping[str, bytes],
    expected: Expected,
    allowed: Mapping[str, float] | None = None,
) -> list[ParityRow]:
    """Run the files as a user would, from a bundle in a place of their own; arguments as of ``measure``.

    Raises:
        ParityError: one is out of bounds.
    """
    with tempfile.TemporaryDirectory(prefix="avfeat-parity-", ignore_cleanup_errors=True) as folder:
        staged = write_bundle(Path(folder) / "bundle", manifest, {**files, MODEL_CARD: b""})
        rows = measure(staged, expected, allowed)
    wrong = [row for row in rows if not row.ok]
    if wrong:
        names = ", ".join(dict.fromkeys(f"{row.modality} {row.form}" for row in wrong))
        raise ParityError(f"{names}: parity check failed; nothing was written.", rows)
    return rows


def check_distances(expected: Expected) -> None:
    """Networks that cannot tell clips apart, or give no numbers, can be right about nothing."""
    for name, distance in expected.distances.items():
        if not (np.isfinite(distance) and distance > 1e-6):
            what = "are all the same" if np.isfinite(distance) else "are no numbers (NaN or infinity)"
            raise ExportError(
                f"The network's outputs for different clips ({name}) {what}; train or calibrate it before export."
            )


def golden_arrays(model: Model, reference: Reference) -> dict[str, NDArray[Any]]:
    """The golden inputs, and the outputs that the networks give for them in float32."""
    found = golden_inputs(WindowSpec.from_pair(model.spec))
    for modality in MODALITIES:
        out = reference.run(modality, found[INPUTS[modality]])
        found |= {f"{modality}_features": out.features, f"{modality}_shared": out.shared}
    return found


def _manifest(model: Model, formats: Sequence[Backend], precision: Precision) -> dict[str, Any]:
    spec, weights_origin = model.spec, model.weights_origin
    window = WindowSpec.from_pair(spec)
    files = {modality: {str(form): file_name(modality, form) for form in formats} for modality in MODALITIES}
    pair: dict[Modality, ModalityEncoder] = {"video": model.pair.video, "audio": model.pair.audio}
    widths = {modality: {"features": one.dim, "shared": one.shared_dim} for modality, one in pair.items()}
    return {
        "name": weights_origin.name,
        "licence": weights_origin.licence,
        "trained": weights_origin.trained,
        "seconds": spec.seconds,
        **{modality: encoder(modality, window, files[modality], widths[modality]) for modality in MODALITIES},
        "precision": precision,
        "provenance": {
            "avfeat": avfeat.__version__,
            "torch": torch.__version__,
            "networks": {"video": spec.video, "audio": spec.audio},
            "recipe": weights_origin.recipe,
            "step": weights_origin.step,
            "data": weights_origin.data,
            "revision": weights_origin.revision,
        },
        "parity": {},
    }


def npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as the bytes of an archive."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()

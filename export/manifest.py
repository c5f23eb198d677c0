"""What ``bundle.json`` says of an encoder that is written, and what its files say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avfeat.bundle import Modality
from avfeat.export.parity.probes import INPUTS
from avfeat.export.window import WindowSpec


def encoder(
    modality: Modality, window: WindowSpec, files: Mapping[str, str], widths: Mapping[str, int]
) -> dict[str, Any]:
    """What ``bundle.json`` says of the encoder of one modality.

    Args:
        modality: which.
        window: what it is given.
        files: by backend.
        widths: elements of a row by output: ``features``, and ``shared`` where there is one.
    """
    shape, own = _video(window) if modality == "video" else _audio(window)
    return {
        "files": dict(files),
        "input": {"name": INPUTS[modality], "dtype": "uint8" if modality == "video" else "float32", "shape": shape},
        "outputs": {key: {"name": key, "dim": width} for key, width in widths.items()},
        **own,
    }


def _video(window: WindowSpec) -> tuple[list[Any], dict[str, Any]]:
    spec = window.video
    assert spec is not None
    own: dict[str, Any] = {"fps": spec.fps, "frames": spec.frames, "size": spec.size}
    own |= {} if spec.size is None else {"aspect": spec.aspect}
    return ["batch", spec.frames, "height", "width", 3], own


def _audio(window: WindowSpec) -> tuple[list[Any], dict[str, Any]]:
    assert window.audio is not None
    return ["batch", "samples"], {"sample_rate": window.audio.rate}


def description(manifest: Mapping[str, Any], modality: Modality | None = None) -> dict[str, Any]:
    """What a single file says of itself, so that it can be used without its bundle; None for what all say."""
    shared = {key: manifest[key] for key in ("name", "licence", "trained", "seconds", "precision")}
    if modality is None:
        return shared
    own = {key: value for key, value in manifest[modality].items() if key != "files"}
    return {**shared, "modality": modality, **own}

"""Bundles made of the one that ships."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from avfeat.bundle import MODALITIES, Modality, default_bundle, write_bundle

INPUTS: dict[Modality, str] = {"video": "frames", "audio": "waveform"}


def said_to_be(path: Path, trained: bool) -> Path:
    """The default bundle, said to be trained or not."""
    return _changed(path, {"trained": trained})


def without_parity(path: Path) -> Path:
    """The default bundle as the first ones were: it does not say how far clips are apart."""
    return _changed(path, {"parity": {}})


def of_one(path: Path, modality: Modality, shared: bool = True) -> Path:
    """The default bundle's encoder of one modality alone; with or without its output ``shared``."""
    source = default_bundle()
    manifest = json.loads((source / "bundle.json").read_text("utf-8"))
    others = {one for one in MODALITIES if one != modality} | {"format", "version", "sha256"}
    kept = {key: value for key, value in manifest.items() if key not in others} | {"name": f"{modality}-only"}
    outputs = kept[modality]["outputs"]
    if not shared:
        del outputs["shared"]
    with np.load(source / "golden.npz") as golden:
        arrays = {name: golden[name] for name in (INPUTS[modality], *(f"{modality}_{name}" for name in outputs))}
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    graph = kept[modality]["files"]["onnx"]
    files = {graph: (source / graph).read_bytes(), "golden.npz": packed.getvalue(), "MODEL_CARD.md": b"Of one."}
    return write_bundle(path, kept, files).path


def _changed(path: Path, changes: dict[str, Any]) -> Path:
    manifest = json.loads((default_bundle() / "bundle.json").read_text("utf-8"))
    files = {name: (default_bundle() / name).read_bytes() for name in manifest["sha256"]}
    kept = {key: value for key, value in manifest.items() if key not in ("format", "version", "sha256")}
    return write_bundle(path, {**kept, **changes}, files).path

"""Bundles made of the one that ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from avfeat.bundle import default_bundle, write_bundle


def said_to_be(path: Path, trained: bool) -> Path:
    """The default bundle, said to be trained or not."""
    return _changed(path, {"trained": trained})


def without_parity(path: Path) -> Path:
    """The default bundle as the first ones were: it does not say how far clips are apart."""
    return _changed(path, {"parity": {}})


def _changed(path: Path, changes: dict[str, Any]) -> Path:
    manifest = json.loads((default_bundle() / "bundle.json").read_text("utf-8"))
    files = {name: (default_bundle() / name).read_bytes() for name in manifest["sha256"]}
    kept = {key: value for key, value in manifest.items() if key not in ("format", "version", "sha256")}
    return write_bundle(path, {**kept, **changes}, files).path

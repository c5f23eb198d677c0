"""The random-init baseline: a bundle of the same networks with random weights, given or made."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.bundle import MANIFEST, Bundle, Modality, write_bundle
from avfeat.errors import ArgumentError
from avfeat.extras import extra_packages
from avfeat.grid import Grid
from avfeat.media import VideoSpec, array_windows
from avfeat.world import plan, render

AUTO = Path("auto")
"""What is given in place of a folder for a bundle that is made of the one that is measured."""

_VIDEOS, _WINDOWS = 8, 2
_SMALL, _RATE, _USUAL = 32, 8_000, 112
"""Synthetic videos that the statistics are taken from, and windows of each."""


@contextmanager
def untrained_bundle(named: Path, measured: Bundle) -> Iterator[Path]:
    """The folder of the baseline's bundle, for as long as the block runs.

    Args:
        named: an untrained bundle; ``auto``, where no such folder is, for one made of ``measured``.
        measured: the bundle whose networks get random weights.

    Raises:
        ArgumentError: the bundle is trained, or ``measured`` is not in float32.
        BackendError: onnx is not installed.
        BundleError: ``measured`` is no network whose weights can all be drawn.
    """
    if named != AUTO or named.exists():
        if Bundle.open(named).trained:
            raise ArgumentError(
                f"{named}: the random-init baseline needs an untrained bundle, and this is trained; "
                f"--random-init {AUTO} makes one."
            )
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="avfeat-random-init-") as folder:
        yield make_random(measured, Path(folder) / "bundle").path


def make_random(bundle: Bundle, path: Path, seed: int = 0) -> Bundle:
    """Write a bundle with the networks of another one, and random weights; without golden outputs.

    The same seed gives the same bundle on the same machine.

    Args:
        bundle: whose networks; in float32, with ONNX files.
        path: the folder to make.
        seed: of the weights.

    Raises:
        ArgumentError: the bundle is not in float32.
        BackendError: onnx is not installed.
        BundleError: the bundle has no ONNX files, or weights that cannot be drawn.
    """
    if bundle.precision != "fp32":
        raise ArgumentError(
            f"{bundle.path}: random weights are drawn in fp32, and this bundle is {bundle.precision}; "
            "give --random-init the folder of an untrained bundle, or measure the fp32 bundle."
        )
    with extra_packages("eval"):
        from avfeat.evaluation.random_weights import with_random_weights
    manifest: dict[str, Any] = json.loads((bundle.path / MANIFEST).read_text("utf-8"))
    described = {key: value for key, value in manifest.items() if key not in ("format", "version", "sha256")}
    described |= {
        "name": f"{bundle.name}-random-init",
        "trained": False,
        "provenance": {"networks of": bundle.name, "sha256": bundle.sha256, "seed": seed},
        "parity": {},
    }
    files: dict[str, bytes] = {}
    for modality, batch in _clips(bundle).items():
        source, name = bundle.file(modality, "onnx"), f"{modality}.onnx"
        files[name] = with_random_weights(source, bundle.graph(modality).input.name, batch, seed)
        described[modality] = {**described[modality], "files": {"onnx": name}}
    return write_bundle(path, described, files)


def _clips(bundle: Bundle) -> dict[Modality, NDArray[Any]]:
    """Windows of synthetic videos: what runs everywhere and looks and sounds differently."""
    video, audio = bundle.video, bundle.audio
    # Of a modality that the bundle leaves out, something small.
    seen = VideoSpec(1, 1, _SMALL) if video is None else video
    fps, rate = max(1, round(seen.fps)), _RATE if audio is None else audio.rate
    size = seen.size or _USUAL
    found: dict[Modality, list[NDArray[Any]]] = {modality: [] for modality in bundle.graphs}
    for made in plan(_VIDEOS):
        shown = render(made, fps=fps, size=size, sample_rate=rate, aspect=seen.aspect)
        # The later windows: what is to be seen and heard has begun.
        grid = Grid.from_seconds(bundle.seconds, start=shown.duration / 2 - bundle.seconds / 2)
        windows = array_windows(shown.frames, fps, shown.waveform, rate, grid, video, audio)
        for window in islice(windows, _WINDOWS):
            parts: dict[Modality, NDArray[Any] | None] = {"video": window.frames, "audio": window.waveform}
            for modality, rows in found.items():
                part = parts[modality]
                if part is not None:
                    rows.append(part)
    return {modality: np.stack(rows) for modality, rows in found.items()}

"""Indexes in memory, made of random vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avfeat.index.collection import Collection, unit


def make_collection(names: Sequence[str], windows: int = 4, dims: int = 8, seed: int = 0) -> Collection:
    """Files of 2 s a window, each around a centre of its own; what is heard is seen, with noise.

    Args:
        names: of the files; those that end in .wav have no video.
        windows: of each file.
        dims: of the shared space.
        seed: of all of it.
    """
    rng = np.random.default_rng(seed)
    file = np.repeat(np.arange(len(names)), windows)
    centres = rng.normal(size=(len(names), dims))
    video = (centres[file] + 0.2 * rng.normal(size=(len(file), dims))).astype(np.float32)
    audio = (video + 0.2 * rng.normal(size=video.shape)).astype(np.float32)
    seen = np.array([not names[one].endswith(".wav") for one in file])
    start = np.tile(np.arange(windows) * 2.0, len(names))
    return Collection(
        path=Path("made.lance"),
        bundle="0" * 64,
        sources=tuple(names),
        places=tuple(map(Path, names)),
        durations=np.full(len(names), 2.0 * windows - 0.5),
        first=np.arange(len(names)) * windows,
        file=file,
        start=start,
        end=start + 2,
        vectors={
            "video": unit(np.where(seen[:, None], video, np.float32(0)), seen),
            "audio": unit(audio, np.ones(len(file), bool)),
        },
        shared=True,
    )

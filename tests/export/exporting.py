"""A small model and windows of made clips."""

from __future__ import annotations

import numpy as np
import torch
from making import chirps, moving_square

from avfeat.export.media import ClipWindows
from avfeat.export.model import Model, WeightsOrigin, calibrate
from avfeat.training.networks import PairSpec, build_pair

SPECS = {
    "stretch": PairSpec("tiny_shift", "tiny_mel", seconds=0.5, size=32, shared=32),
    "crop": PairSpec("tiny_shift", "tiny_mel", seconds=0.5, size=32, shared=32, aspect="crop"),
}


def made_windows(spec: PairSpec, clips: int = 8, each: int = 2) -> ClipWindows:
    """Clips that look and sound otherwise, each with a few windows."""
    times = (np.arange(spec.frames * each) + 0.5) / spec.fps
    frames, waves = [], []
    for clip in range(clips):
        picture, sound = moving_square(spec.size, spec.size, clip), chirps(clip)
        frames.append(np.stack([picture(float(time)) for time in times]))
        samples = round(spec.seconds * spec.sample_rate)
        waves.append(sound(np.arange(samples * each) / spec.sample_rate).astype(np.float32).reshape(each, -1))
    pictures = np.concatenate(frames).reshape(clips * each, spec.frames, spec.size, spec.size, 3)
    return ClipWindows(pictures, np.concatenate(waves), np.repeat(np.arange(clips), each), "squares and chirps")


def made_model(spec: PairSpec, windows: ClipWindows) -> Model:
    torch.manual_seed(0)
    pair = build_pair(spec)
    calibrate(pair, spec, windows)
    return Model(pair.eval(), spec, WeightsOrigin("test", "MIT", False, "squares", {"name": "none"}, "unknown"))

"""The inputs that files are tried on: real media, random ones of many sizes, and the golden ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avfeat.bundle import Modality
from avfeat.export.media import ClipWindows
from avfeat.export.window import WindowSpec
from avfeat.grid import Grid
from avfeat.media import VideoSpec, array_windows
from avfeat.training.networks import PairSpec
from avfeat.world import plan, render

Kind = Literal["media", "random", "golden", "sentences"]

_GOLDEN, _BEGIN, _SMALL, _LOW, _RATE = 2, 3.0, 48, 36, 16_000
"""Of golden inputs: videos, where a window begins, width and height of frames, the rate where there is no sound."""

INPUTS: dict[Modality, str] = {"video": "frames", "audio": "waveform"}


@dataclass(frozen=True, eq=False)
class ParityInput:
    """One batch for one modality.

    Attributes:
        modality: which encoder takes it.
        kind: where it comes from.
        batch: uint8 ``(batch, T, height, width, 3)`` or float32 ``(batch, samples)``.
    """

    modality: Modality
    kind: Kind
    batch: NDArray[Any]


def probes(windows: ClipWindows, spec: PairSpec, seed: int = 0) -> list[ParityInput]:
    """Real media and random inputs in batches of 1, 2, 3 and 7 of several sizes and lengths; the golden ones."""
    rng = np.random.default_rng(seed)
    found = [ParityInput("video", "media", part) for part in _in_parts(windows.frames)]
    found += [ParityInput("audio", "media", part) for part in _in_parts(windows.waveform)]
    found += [ParityInput("video", "media", sized) for sized in _other_sizes(windows.frames)]
    found.append(ParityInput("audio", "media", windows.waveform[:2, : spec.sample_rate // 2]))
    found.append(ParityInput("audio", "media", np.tile(windows.waveform[:3], (1, 2))[:, : -spec.sample_rate // 7]))
    found += random_probes(WindowSpec.from_pair(spec), rng)
    golden = golden_inputs(WindowSpec.from_pair(spec))
    return found + [ParityInput(modality, "golden", golden[name]) for modality, name in INPUTS.items()]


def random_probes(window: WindowSpec, rng: np.random.Generator, side: int = 112) -> list[ParityInput]:
    """Moving colours with noise over them, and tones with hiss over them, one batch of each number and size.

    ``side`` is that of the frames which the network sees, where the window does not say.
    """
    found: list[ParityInput] = []
    if window.video is not None:
        side = window.video.size or side
        sizes = ((1, side, side), (2, 16, 130), (3, 240, 135), (7, 33, 17))
        found += [
            ParityInput("video", "random", _pictures(rng, batch, window.video.frames, *size))
            for batch, *size in sizes
        ]
    if window.audio is not None:
        rate = window.audio.rate
        lengths = ((1, 2.0), (2, 0.1), (3, 3.01), (7, 1.0))
        found += [
            ParityInput("audio", "random", _sound(rng, batch, round(seconds * rate), rate))
            for batch, seconds in lengths
        ]
    return found


def golden_inputs(window: WindowSpec) -> dict[str, NDArray[Any]]:
    """Small inputs that any runtime can feed: a window of each of two videos of the synthetic dataset.

    The frames are not of the network's size, so that the resize or crop is part of what is checked.
    """
    video = window.video and VideoSpec(window.video.fps, window.video.frames, _SMALL)
    rate = _RATE if window.audio is None else window.audio.rate
    fps = 1 if video is None else max(1, round(video.fps))
    grid = Grid.from_seconds(window.seconds, start=_BEGIN)
    found: dict[str, list[NDArray[Any]]] = {INPUTS[modality]: [] for modality in window.modalities}
    for made in plan(_GOLDEN, seed=2):
        shown = render(made, fps=fps, size=_SMALL, sample_rate=rate)
        cut = next(array_windows(shown.frames, fps, shown.waveform, rate, grid, video, window.audio))
        parts = {"frames": cut.frames, "waveform": cut.waveform}
        for name, rows in found.items():
            part = parts[name]
            assert part is not None
            rows.append(part[:, :_LOW] if name == "frames" else part)
    return {name: np.stack(rows) for name, rows in found.items()}


def _in_parts(rows: NDArray[Any]) -> list[NDArray[Any]]:
    """Batches of 1, 2, 3, 7, then of 7 as long as rows are left."""
    cuts = [cut for cut in (1, 3, 6, *range(13, len(rows), 7)) if cut < len(rows)]
    return np.split(rows, cuts)


def _other_sizes(frames: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Real frames that are larger, smaller, wide, and high."""
    large = frames[:1].repeat(2, axis=2).repeat(2, axis=3)
    side = frames.shape[2]
    wide = frames[-2:, :, side // 4 : side // 4 + max(16, side // 2)]
    return [large, np.ascontiguousarray(wide), np.ascontiguousarray(wide.transpose(0, 1, 3, 2, 4))]


def _pictures(rng: np.random.Generator, batch: int, frames: int, height: int, width: int) -> NDArray[np.uint8]:
    time, rows, columns = np.ogrid[0:frames, 0:height, 0:width]
    speed = rng.uniform(-1, 1, (batch, 3, 3)) * 0.4
    waves = [[np.sin(t * time + y * rows + x * columns) for t, y, x in clip] for clip in speed]
    smooth = np.stack([np.stack(clip, axis=-1) for clip in waves])
    noisy = 128 + 100 * smooth + rng.normal(0, 8, smooth.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def _sound(rng: np.random.Generator, batch: int, samples: int, rate: int) -> NDArray[np.float32]:
    seconds = np.arange(samples) / rate
    tones = np.sin(2 * np.pi * rng.uniform(100, rate / 3, (batch, 1)) * seconds)
    hiss = rng.standard_normal((batch, samples)) * rng.uniform(0.01, 0.1, (batch, 1))
    return (0.3 * tones + hiss).clip(-1, 1).astype(np.float32)


def median_distance(rows: NDArray[np.float32], clips: NDArray[np.int64]) -> float:
    """The median distance between rows ``(n, d)`` of different clips."""
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    return float(np.median(apart[clips[:, None] != clips[None]]))

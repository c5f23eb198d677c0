"""Windows of real media: what untrained networks and quantisation are calibrated on, and parity is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfeat.errors import ArgumentError
from avfeat.grid import microseconds
from avfeat.training.data import Cache, CacheSettings, open_or_prepare
from avfeat.training.data.windows import read_window, room_of, window_starts
from avfeat.training.networks import PairSpec

MADE_WORLD = "synthetic:ave?videos=56&seed=1"
"""What is taken where nobody names media: two videos of each class, of another seed than trainings begin with."""


@dataclass(frozen=True, eq=False)
class ClipWindows:
    """Windows of clips that have video and audio.

    Attributes:
        frames: uint8 ``(n, T, size, size, 3)`` RGB.
        waveform: float32 ``(n, samples)``.
        clips: number of the clip that each comes from, int64 ``(n,)``, ascending.
        source: the data, as it was asked for.
    """

    frames: NDArray[np.uint8]
    waveform: NDArray[np.float32]
    clips: NDArray[np.int64]
    source: str

    def __len__(self) -> int:
        return len(self.clips)

    def take(self, rows: NDArray[np.int64]) -> ClipWindows:
        """Some of them."""
        return ClipWindows(self.frames[rows], self.waveform[rows], self.clips[rows], self.source)

    def one_a_clip(self, most: int) -> ClipWindows:
        """One window of each of at most ``most`` clips, spread over all of them."""
        _, first = np.unique(self.clips, return_index=True)
        chosen = np.unique(np.linspace(0, len(first) - 1, min(most, len(first))).round().astype(np.int64))
        return self.take(first[chosen])

    def apart(self, most: int) -> tuple[ClipWindows, ClipWindows]:
        """One window of each of at most ``most`` clips, at most half of them, and all windows of the other clips.

        Of fewer than four clips no two are left on either side: both parts then have all of them.
        """
        clips = len(np.unique(self.clips))
        if clips < 4:
            return self.one_a_clip(most), self
        chosen = self.one_a_clip(min(most, clips // 2))
        return chosen, self.take(np.flatnonzero(~np.isin(self.clips, chosen.clips)))


def read_windows(source: str | None, spec: PairSpec, clips: int = 160, each: int = 3) -> ClipWindows:
    """Up to ``each`` windows of up to ``clips`` clips, evenly spread, the same ones in every run.

    Args:
        source: DATA as ``avfeat prepare`` takes it, or a prepared cache; default: the synthetic dataset.
        spec: what a window is.
        clips: clips at most.
        each: windows of a clip at most.

    Raises:
        ArgumentError: fewer than two clips with video and audio.
        AvfeatError: data that cannot be prepared.
    """
    settings = CacheSettings(spec.fps, spec.size, spec.sample_rate, spec.aspect)
    cache = open_or_prepare(source or MADE_WORLD, settings)
    members = cache.members("both")
    if len(members) < 2:
        raise ArgumentError(
            f"{source}: has {len(members)} clips with video and audio, and two different ones are needed; "
            "name other media with --calibration."
        )
    chosen = np.unique(np.linspace(0, len(members) - 1, min(clips, len(members))).round().astype(np.int64))
    parts = [(item, *read_clip(cache, int(item), spec, each)) for item in members[chosen]]
    return ClipWindows(
        np.concatenate([frames for _, frames, _ in parts]),
        np.concatenate([waveform for _, _, waveform in parts]),
        np.concatenate([np.full(len(frames), item) for item, frames, _ in parts]),
        source or MADE_WORLD,
    )


def read_clip(cache: Cache, item: int, spec: PairSpec, each: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Windows of one clip, evenly spread over it; a clip shorter than a window gives one.

    Returns:
        uint8 ``(n, T, size, size, 3)`` of the cache's size, and float32 ``(n, samples)``.
    """
    clip, row = cache.clip(item), cache.rows[item]
    count = min(each, 1 + room_of(row, spec.seconds) // microseconds(spec.seconds))
    starts = window_starts(row, spec.seconds, count)
    read = [read_window(clip, int(start), spec.seconds, spec.fps, spec.sample_rate) for start in starts]
    return np.stack([frames for frames, _ in read]), np.stack([sound for _, sound in read])

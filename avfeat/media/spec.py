"""What a window holds, and what is known when all windows are cut."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from avfeat.grid import MICROSECONDS
from avfeat.media.scaler import Aspect, FrameLimits

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class VideoSpec:
    """Frames of a window: ``frames`` of them, ``fps`` a second, ``size`` pixels square (None: as they are).

    ``limits`` are of frames that stay as they are: what goes beyond them is scaled.
    """

    fps: float
    frames: int
    size: int | None
    aspect: Aspect = "stretch"
    limits: FrameLimits | None = None

    def offsets(self) -> NDArray[np.int64]:
        """Sampling instants within a window, in microseconds: ``(i + 0.5) / fps``."""
        step = MICROSECONDS / Fraction(self.fps).limit_denominator(1_000_000)
        return np.array([round((2 * i + 1) * step / 2) for i in range(self.frames)], dtype=np.int64)


@dataclass(frozen=True)
class AudioSpec:
    """Samples of a window: ``samples`` of them at ``rate`` Hz."""

    rate: int
    samples: int

    def position(self, time: int) -> int:
        """The sample nearest to ``time`` microseconds."""
        return (time * self.rate * 2 + MICROSECONDS) // (2 * MICROSECONDS)


@dataclass(frozen=True)
class Window:
    """One window of the grid.

    Attributes:
        index: number of the window, from 0.
        start: its start in microseconds of presentation time.
        frames: uint8 ``(T, height, width, 3)`` RGB, or None if no frame is on screen in it. Where frames stay as
            they are and their size changes within a window, all of them have that of its first.
        waveform: float32 ``(samples,)`` mono in [-1, 1], or None if no sample lies in it.
    """

    index: int
    start: int
    frames: Pixels | None
    waveform: NDArray[np.float32] | None


@dataclass(frozen=True)
class MediaSummary:
    """What is known of the media once its windows are all cut.

    Attributes:
        duration: end of the later stream in microseconds.
        damage: what was damaged, in words; empty for intact media.
        video_end: end of the video in microseconds, None without one.
        audio_end: end of the audio in microseconds, None without one.
    """

    duration: int
    damage: tuple[str, ...]
    video_end: int | None
    audio_end: int | None

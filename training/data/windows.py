"""Windows of prepared clips, evenly spread: where they lie, and what is in them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avfeat.grid import microseconds
from avfeat.media.spec import VideoSpec
from avfeat.training.data.clip import Clip
from avfeat.training.data.index import CacheRow

Spread = Literal["edges", "middles"]
"""``edges``: the first window begins with the clip, the last ends with it; a single one lies in the middle.
``middles``: each lies in the middle of an equal part of the clip."""


def room_of(row: CacheRow, seconds: float) -> int:
    """How far a window of ``seconds`` can move while all streams of the clip are there, in microseconds."""
    ends = [end for end in (row.video_end, row.audio_end) if end is not None]
    return max(0, min(ends) - row.begin - microseconds(seconds))


def window_starts(row: CacheRow, seconds: float, count: int, spread: Spread = "edges") -> NDArray[np.int64]:
    """Where the windows of a clip begin, in microseconds: int64 ``(count,)``.

    Five windows of 2 s of a clip of 10 s are, by ``edges``, those of the runtime's grid. In a clip that is shorter
    than a window, all begin with it.

    Args:
        row: the clip.
        seconds: length of a window.
        count: how many.
        spread: how they are spread.
    """
    room = room_of(row, seconds)
    places: NDArray[np.floating[Any]] = room * (np.arange(count) + 0.5) / count
    if spread == "edges" and count > 1:
        places = room * np.linspace(0, 1, count)
    starts: NDArray[np.int64] = row.begin + np.rint(places).astype(np.int64)
    return starts


def read_window(
    clip: Clip, start: int, seconds: float, fps: int, sample_rate: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """One window, its frames at the instants of the runtime's.

    Args:
        clip: of a cache that was prepared for such windows.
        start: microseconds from time 0.
        seconds: length of the window.
        fps: frames a second.
        sample_rate: of the clip.

    Returns:
        uint8 ``(T, size, size, 3)``, and float32 ``(samples,)``.
    """
    offsets = VideoSpec(fps, round(seconds * fps), None).offsets()
    return clip.frames(start + offsets), clip.sound(start, round(seconds * sample_rate), 1.0)

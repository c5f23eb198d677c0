"""Sampling-based temporal augmentation: when the views of a clip are taken, at which speed, and with which audio.

Two views with a gap that is more likely to be small: Qian et al., "Spatiotemporal Contrastive Video Representation
Learning" (CVRL), CVPR 2021, arXiv 2008.03800, section 3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from avfeat.errors import ArgumentError
from avfeat.grid import microseconds
from avfeat.training.schema import Ascending, Count, settings

Offset = Literal["random", "centre", "start"]
Spacing = Literal["independent", "decreasing", "same"]
AudioSpeed = Literal["follow", "keep"]
Timeline = Literal["shared", "offset"]

_FASTEST = 16.0
_Speed = Annotated[float, Field(ge=1 / _FASTEST, le=_FASTEST)]
_HALVINGS = 60


@settings
class Sampling:
    """How views are sampled from a clip.

    Attributes:
        views: views of a clip.
        seconds: length of a view as the encoders see it.
        frames: frames of a view.
        offset: where views begin: anywhere, so that they lie in the middle, or at the beginning.
        spacing: ``independent`` starts; two with a gap of ``decreasing`` density; the ``same`` start for all.
        power: of the decreasing density ``1 - (gap / longest) ** power``; 1 is CVRL's linear one.
        speed: range of a view's speed, drawn log-uniformly: it spans ``seconds * speed`` of the clip.
        audio_speed: the audio of the same span, its pitch changed (``follow``), or audio at its own speed from the
            view's start (``keep``).
        jitter: each sampling instant is displaced by up to this part of the interval between two.
        timeline: the audio of a view is from the same time (``shared``), or displaced (``offset``).
        max_offset: largest displacement of the audio in seconds, either way.

    Raises:
        ArgumentError: values that no view can have.
    """

    views: Count = 2
    seconds: Annotated[float, Field(ge=0.05, le=3600)] = 2.0
    frames: Count = 16
    offset: Offset = "random"
    spacing: Spacing = "independent"
    power: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    speed: Annotated[tuple[_Speed, _Speed], Ascending] = (1.0, 1.0)
    audio_speed: AudioSpeed = "follow"
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    timeline: Timeline = "shared"
    max_offset: Annotated[float, Field(ge=0, le=3600)] = 0.0

    def __post_init__(self) -> None:
        if self.spacing == "decreasing" and self.views != 2:
            raise ArgumentError(f"spacing 'decreasing' is the gap between 2 views, not between {self.views}.")
        if (self.timeline == "offset") != (self.max_offset > 0):
            raise ArgumentError("timeline 'offset' goes with a max_offset above 0, 'shared' with 0.")

    def samples(self, sample_rate: int) -> int:
        """Samples of a view's audio."""
        return round(self.seconds * sample_rate)


@dataclass(frozen=True, eq=False)
class ViewTimes:
    """When a view is taken, in microseconds of the clip's presentation time.

    Attributes:
        start: where it begins.
        speed: how much faster than the clip it runs.
        frames: int64 ``(frames,)``: the instants of its frames, ascending.
        sound: where its audio begins; negative before the clip does.
        sound_speed: how much faster than recorded its audio runs.
    """

    start: int
    speed: float
    frames: NDArray[np.int64]
    sound: int
    sound_speed: float


def draw(
    rng: np.random.Generator, sampling: Sampling, video_end: int | None, audio_end: int | None, begin: int = 0
) -> tuple[ViewTimes, ...]:
    """Draw the times of a clip's views.

    Views lie where all streams of the clip are there, from ``begin`` to the first end. One that is too long for
    that ends with it and begins earlier, at 0 at the earliest; one that is longer than the clip is padded as the
    runtime pads: the nearest frame repeated, zeros for audio. Views of spacing ``decreasing`` and ``same`` share
    the range of starts that the longest of them has; of ``independent`` ones each has its own.

    The frames that a prepared clip has for these times are those of its grid, up to half of its frame interval
    off.

    Args:
        rng: all randomness comes from it.
        sampling: how.
        video_end: end of the video in microseconds, None without one.
        audio_end: end of the audio, likewise.
        begin: from here on all streams are there.

    Raises:
        ArgumentError: a clip without streams.
    """
    ends = [end for end in (video_end, audio_end) if end is not None]
    if not ends:
        raise ArgumentError("A clip without video and audio has no views.")
    low, high = (math.log(speed) for speed in sampling.speed)
    speeds = [math.exp(rng.uniform(low, high)) for _ in range(sampling.views)]
    spans = [microseconds(sampling.seconds * speed) for speed in speeds]
    longest = [span if sampling.spacing == "independent" else max(spans) for span in spans]
    # Streams that hardly meet: as much as there is before the first of them ends.
    begins = [max(0, min(begin, min(ends) - span)) for span in longest]
    rooms = [max(0, min(ends) - first - span) for first, span in zip(begins, spans, strict=True)]
    starts = _starts(rng, sampling, rooms)
    return tuple(
        _view(rng, sampling, first + start, span, speed)
        for first, start, span, speed in zip(begins, starts, spans, speeds, strict=True)
    )


def _view(rng: np.random.Generator, sampling: Sampling, start: int, span: int, speed: float) -> ViewTimes:
    places = np.arange(sampling.frames) + 0.5
    if sampling.jitter:
        places += rng.uniform(-sampling.jitter, sampling.jitter, sampling.frames)
    instants = start + np.rint(places * (span / sampling.frames)).astype(np.int64)
    sound = start
    if sampling.timeline == "offset":
        sound += microseconds(rng.uniform(-sampling.max_offset, sampling.max_offset))
    return ViewTimes(start, speed, instants, sound, speed if sampling.audio_speed == "follow" else 1.0)


def _starts(rng: np.random.Generator, sampling: Sampling, rooms: list[int]) -> list[int]:
    """Where the views begin, given the room that each has for its start."""
    if sampling.spacing == "independent":
        return [_place(rng, sampling.offset, room) for room in rooms]
    room = min(rooms)
    if sampling.spacing == "same":
        return [_place(rng, sampling.offset, room)] * len(rooms)
    gap = round(room * decreasing(rng.uniform(), sampling.power))
    first = _place(rng, sampling.offset, room - gap)
    return [int(start) for start in rng.permutation([first, first + gap])]


def _place(rng: np.random.Generator, offset: Offset, room: int) -> int:
    """A start between 0 and ``room``, both included."""
    if offset == "random":
        return int(rng.integers(room + 1))
    return room // 2 if offset == "centre" else 0


def decreasing(level: float, power: float) -> float:
    """The gap, as a part of the longest, below which ``level`` of all gaps lie, for density ``1 - gap ** power``.

    Inverts the distribution function ``((power + 1) u - u ** (power + 1)) / power`` by halving.
    """
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if ((power + 1) * middle - middle ** (power + 1)) / power < level:
            low = middle
        else:
            high = middle
    return (low + high) / 2

"""A whole file as arrays, for callers who want the pixels and the samples themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack, get_args

import numpy as np
from numpy.typing import NDArray

from avfeat.arguments import check_whole, shown
from avfeat.errors import ArgumentError
from avfeat.grid import MICROSECONDS, Grid
from avfeat.media.rules import RuleOptions, Rules
from avfeat.media.scaler import Aspect, of_one_size
from avfeat.media.source import Source
from avfeat.media.spec import AudioSpec, VideoSpec
from avfeat.media.windows import media_windows


@dataclass(frozen=True)
class Decoded:
    """A decoded file.

    Attributes:
        frames: uint8 ``(n, height, width, 3)`` RGB, frame i on screen at ``(i + 0.5) / fps``; None without video.
        fps: frames a second.
        waveform: float32 ``(m,)`` mono in [-1, 1] from time 0 on; None without audio.
        sample_rate: samples a second.
        duration: end of the later stream in seconds of presentation time.
        damaged: whether something in the file was damaged.
    """

    frames: NDArray[np.uint8] | None
    fps: int
    waveform: NDArray[np.float32] | None
    sample_rate: int
    duration: float
    damaged: bool


def decode(
    source: Source,
    *,
    fps: int = 8,
    size: int | None = 112,
    sample_rate: int = 16_000,
    aspect: Aspect = "stretch",
    threads: int = 0,
    **rules: Unpack[RuleOptions],
) -> Decoded:
    """Decode ``source`` to arrays of constant rate, as an encoder sees it. Takes memory for the whole file.

    Args:
        source: path, bytes or binary file object.
        fps: frames a second.
        size: height and width of the frames in pixels, or None to keep their own; where that changes, all have that
            of the first one.
        sample_rate: samples a second.
        aspect: what happens to frames that are not square.
        threads: decoding threads a stream, 0 for one a processor.
        **rules: the fields of ``Rules``: limits, tracks, ``still``.

    Raises:
        ArgumentError: numbers that no picture or sound can have.
        MediaError: the file is missing, empty, unreadable, holds no stream that can be decoded, or asks for more
            than the rules allow.
    """
    fps = check_whole("fps", fps, 1, 1000)
    size = None if size is None else check_whole("size", size, 1, 16_384)
    sample_rate = check_whole("sample_rate", sample_rate, 1, 1_000_000)
    threads = check_whole("threads", threads, 0, 4096)
    if not isinstance(aspect, str) or aspect not in get_args(Aspect):
        raise ArgumentError(f"aspect must be one of {', '.join(get_args(Aspect))}, not {shown(aspect)}.")
    seconds = media_windows(
        source,
        Grid(MICROSECONDS, MICROSECONDS, tail=0),
        VideoSpec(fps, fps, size, aspect),
        AudioSpec(sample_rate, sample_rate),
        threads=threads,
        rules=Rules(**rules),
    )
    windows = list(seconds)
    outcome = seconds.outcome
    frames = waveform = None
    if outcome.video_end is not None:
        # The last one may begin after its instant's end of the video: the frame that stays on screen.
        count = min(len(windows) * fps, -(-outcome.video_end * fps // MICROSECONDS))
        first = next(window.frames[:1] for window in windows if window.frames is not None)
        # Before the first frame, that one; behind the last one's end nothing is kept.
        pictures = [first.repeat(fps, 0) if window.frames is None else window.frames for window in windows]
        frames = of_one_size([picture for second in pictures for picture in second][:count])
    if outcome.audio_end is not None:
        silence = np.zeros(sample_rate, dtype=np.float32)
        sounds = [silence if window.waveform is None else window.waveform for window in windows]
        waveform = np.concatenate(sounds)[: -(-outcome.audio_end * sample_rate // MICROSECONDS)]
    return Decoded(frames, fps, waveform, sample_rate, outcome.duration / MICROSECONDS, bool(outcome.damage))

"""Frames of files as small JPEG pictures, for pages: single ones, and many of a file in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from avfeat.grid import MICROSECONDS, Grid, microseconds
from avfeat.media import AudioSpec, VideoSpec, media_windows, probe
from avfeat.media.rules import Rules
from avfeat.media.spec import Pixels

WIDTH = 320
"""Of a picture, in pixels; smaller frames stay as they are."""

BINS = 24
"""Of the waveform, for each frame of a film."""

_RATE = 8000
# Seconds of sound in memory, at most.
_PART = 20.0
_QUALITY = 4
_LOWER = (6, 10, 16, 24, 31)
_AS_SHOWN = VideoSpec(fps=2, frames=1, size=None)
# By what browsers say; what is in doubt gets its frames.
_PLAYED = {"h264", "vp8", "vp9", "av1"}
_HEARD = {"aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le"}
_CONTAINERS = {".mp4", ".m4v", ".webm", ".m4a", ".mp3", ".ogg", ".oga", ".wav", ".flac"}


def frame_at(path: Path, seconds: float) -> bytes | None:
    """The frame on screen at a time as a JPEG picture; None without video. The file is decoded up to there.

    Raises:
        MediaError: the file gives no frame.
    """
    if probe(path, still=True).video is None:
        return None
    # A window whose one instant this is.
    start = microseconds(seconds) - int(_AS_SHOWN.offsets()[0])
    grid = Grid(MICROSECONDS // 2, MICROSECONDS // 2, start, start + MICROSECONDS // 2)
    with closing(media_windows(path, grid, _AS_SHOWN, None, threads=1, rules=Rules(still=True))) as windows:
        frames = next(windows).frames
    return None if frames is None else _jpeg(frames[0])


@dataclass(frozen=True)
class Film:
    """Frames at equal distances, and how loud it is, of a whole file.

    Attributes:
        frames: uint8 ``(height, width, 3)`` RGB, on screen in the middle of each part; none without video.
        peaks: float32 ``(parts * BINS,)`` in [0, 1], the largest sample of each stretch; None without audio.
    """

    frames: Sequence[Pixels]
    peaks: NDArray[np.float32] | None


def film_of(path: Path, duration: float, count: int, side: int) -> Film:
    """A file in ``count`` equal parts, decoded once from beginning to end.

    Args:
        path: of the file.
        duration: its end in seconds.
        count: parts.
        side: the longer side of a frame in pixels; smaller frames stay as they are.

    Raises:
        MediaError: it cannot be read, or has neither frames nor sound.
    """
    # An odd number of steps a part: the middle of one is the middle of the part.
    steps = 2 * int(duration / count / _PART / 2) + 1
    hop = max(BINS * 1000, microseconds(duration / count / steps))
    samples = max(BINS, hop * _RATE // MICROSECONDS)
    grid = Grid(hop, hop, 0, hop * steps * count, tail=0)
    video, audio = VideoSpec(MICROSECONDS / hop, 1, None), AudioSpec(_RATE, samples)
    frames: list[Pixels] = []
    peaks = np.zeros((count, steps, BINS), np.float32)
    heard = False
    with closing(media_windows(path, grid, video, audio, threads=1, rules=Rules(still=True))) as windows:
        for window in windows:
            part, step = divmod(window.index, steps)
            if part < count and window.waveform is not None:
                heard = True
                whole = np.abs(window.waveform[: samples // BINS * BINS])
                peaks[part, step] = whole.reshape(BINS, -1).max(axis=1)
            if part < count and window.frames is not None and step == steps // 2:
                frames.append(_smaller(window.frames[0], side))
    # Behind the last frame, that one.
    frames = [*frames, *frames[-1:] * (count - len(frames))]
    loud = peaks.reshape(count, BINS, steps).max(axis=2).ravel() if heard else None
    return Film(frames, None if loud is None else np.minimum(loud, 1))


def strip_of(frames: Sequence[Pixels], most: int) -> bytes | None:
    """Frames side by side as one JPEG picture, each as large as the first.

    Args:
        frames: uint8 RGB.
        most: bytes at most; None where the coarsest picture takes more.
    """
    height, width = frames[0].shape[:2]
    pictures = [VideoFrame.from_ndarray(frame, format="rgb24").reformat(width, height) for frame in frames]
    strip = np.concatenate([picture.to_ndarray() for picture in pictures], axis=1)
    for quality in _LOWER:
        picture = _jpeg(strip, strip.shape[1], quality)
        if len(picture) <= most:
            return picture
    return None


def browsers_play(path: Path) -> bool:
    """Whether browsers play a file, by its suffix and its codecs.

    Raises:
        MediaError: it cannot be read.
    """
    found = probe(path, still=True)
    seen = found.video is None or found.video.codec in _PLAYED
    heard = found.audio is None or found.audio.codec in _HEARD
    return path.suffix.lower() in _CONTAINERS and seen and heard


def _smaller(pixels: Pixels, side: int) -> Pixels:
    wide, high = _even(pixels, min(1.0, side / max(pixels.shape[:2])))
    frame = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(wide, high, interpolation="AREA")
    return frame.to_ndarray().astype(np.uint8, copy=False)


def _even(pixels: Pixels, scale: float) -> tuple[int, int]:
    """Width and height of a smaller picture; JPEG has half as many samples of colour, so sides are even."""
    height, width = pixels.shape[:2]
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _jpeg(pixels: Pixels, most_wide: int = WIDTH, quality: int = _QUALITY) -> bytes:
    wide, high = _even(pixels, min(1.0, most_wide / pixels.shape[1]))
    frame = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(wide, high, "yuvj420p")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height = wide, high
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    encoder.options = {"qmin": str(quality), "qmax": str(quality)}
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))

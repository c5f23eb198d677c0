"""Media, from a file or from arrays, as one sequence of frames and stretches of audio."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from avfeat.errors import ArgumentError, MediaError
from avfeat.grid import MICROSECONDS
from avfeat.media.audio import AudioChunk, AudioPlacer
from avfeat.media.channels import channels_are_plausible
from avfeat.media.scaler import PictureScaler
from avfeat.media.source import OpenMedia
from avfeat.media.spec import AudioSpec, Pixels, VideoSpec
from avfeat.media.timeline import Silence, Timeline

_ARRAY_CHUNK = 1 << 16
_WIDEST_PIXEL = 16


@dataclass(frozen=True)
class TimedPicture:
    """A frame that comes on screen at ``start`` microseconds."""

    start: int
    render: Callable[[], Pixels]


@dataclass(frozen=True)
class Silent:
    """A stream that is not to be waited for until it goes on; ``end`` is where it seems to be over."""

    kind: Literal["video", "audio"]
    end: int | None = None


@dataclass(frozen=True)
class End:
    """The media is over; ends are in microseconds, None for a stream that is not there.

    ``duration`` overrules the later of them as the end of the media.
    """

    video: int | None
    audio: int | None
    duration: int | None = None


MediaItem = TimedPicture | AudioChunk | Silent | End


def media_items(
    media: OpenMedia, timeline: Timeline, video: VideoSpec | None, audio: AudioSpec | None
) -> Iterator[MediaItem]:
    """Frames and samples of an open file, in order of arrival; what has no specification is not wanted."""
    seen = VideoSpec(1, 1, None) if video is None else video
    heard = AudioSpec(1, 1) if audio is None else audio
    scaler = PictureScaler(seen.size, seen.aspect, _pixel_aspect(media), seen.limits)
    placer = AudioPlacer(heard.rate, media.audio is None or channels_are_plausible(media.audio))
    held: tuple[Fraction, AudioFrame, Fraction] | None = None
    for time, frame in timeline.frames():
        if isinstance(frame, VideoFrame):
            yield TimedPicture(_ceil(time), _renderer(scaler, frame, media.name))
            continue
        if isinstance(frame, Silence):
            if frame.stream.type == "video":
                yield Silent("video", None if frame.end is None else _ceil(frame.end))
            elif held is None:
                yield from placer.flush()
                yield Silent("audio")
            continue
        if held is not None:
            # Another frame follows, so the stated end was none: all of the held one is presented.
            yield from _place_samples(placer, timeline, *held[:2])
            held = None
        # Not that of ``media``: the timeline may have opened it again.
        assert timeline.media.audio is not None
        length = timeline.trim(timeline.media.audio, time, Fraction(frame.samples, frame.sample_rate))
        if length is None:
            yield from _place_samples(placer, timeline, time, frame)
        else:
            held = (time, frame, length)
    if held is not None:
        yield from _place_samples(placer, timeline, *held)
    yield from placer.flush()
    yield End(
        None if timeline.video_end is None else _ceil(timeline.video_end),
        None if timeline.audio_end is None else _ceil(timeline.audio_end),
    )


def _place_samples(
    placer: AudioPlacer, timeline: Timeline, time: Fraction, frame: AudioFrame, length: Fraction | None = None
) -> Iterator[AudioChunk]:
    try:
        yield from placer.push(time, frame, length)
    except av.error.FFmpegError as error:
        # Parameters that no audio can have, in a broken file.
        timeline.note(f"audio that cannot be converted ({error.strerror or error})")


def array_items(
    frames: Pixels | None,
    fps: float,
    waveform: NDArray[np.float32] | None,
    sample_rate: int,
    video: VideoSpec | None,
    audio: AudioSpec | None,
    duration: int | None,
) -> Iterator[MediaItem]:
    """Audio and frames of decoded media: all audio first, for a frame is rendered only when it is shown."""
    video_end = audio_end = None
    if waveform is not None and audio is not None:
        if duration is not None:
            waveform = waveform[: -(-duration * sample_rate // MICROSECONDS)]
        yield from _array_sound(waveform, sample_rate, audio.rate)
        audio_end = _ceil(Fraction(len(waveform), sample_rate))
    if frames is not None and video is not None:
        scaler = PictureScaler(video.size, video.aspect, limits=video.limits)
        rate = Fraction(fps).limit_denominator(1_000_000)
        if duration is not None:
            frames = frames[: math.ceil(duration * rate / MICROSECONDS)]
        for index, pixels in enumerate(frames):
            yield TimedPicture(_ceil(index / rate), _array_renderer(scaler, pixels))
        video_end = _ceil(len(frames) / rate)
    yield End(video_end, audio_end, duration)


def _array_sound(waveform: NDArray[np.float32], sample_rate: int, rate: int) -> Iterator[AudioChunk]:
    if sample_rate == rate:
        yield AudioChunk(0, waveform)
        return
    placer = AudioPlacer(rate)
    for begin in range(0, len(waveform), _ARRAY_CHUNK):
        chunk = np.ascontiguousarray(waveform[None, begin : begin + _ARRAY_CHUNK], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(chunk, format="fltp", layout="mono")
        frame.sample_rate = sample_rate
        yield from placer.push(Fraction(begin, sample_rate), frame)
    yield from placer.flush()


def _renderer(scaler: PictureScaler, frame: VideoFrame, name: str) -> Callable[[], Pixels]:
    def render() -> Pixels:
        try:
            return scaler(frame)
        except av.error.FFmpegError as error:
            raise MediaError(name, "unreadable", f"a frame cannot be converted ({error.strerror}).") from error

    return render


def _pixel_aspect(media: OpenMedia) -> float:
    """Width over height of a pixel; what no camera gives would make frames of any width."""
    aspect = None if media.video is None else media.video.sample_aspect_ratio
    return float(aspect) if aspect and 1 / _WIDEST_PIXEL <= aspect <= _WIDEST_PIXEL else 1.0


def _array_renderer(scaler: PictureScaler, pixels: Pixels) -> Callable[[], Pixels]:
    height, width = pixels.shape[:2]

    def render() -> Pixels:
        if scaler.keeps(width, height):
            return pixels
        try:
            return scaler(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"))
        except (av.error.FFmpegError, OverflowError) as error:
            raise ArgumentError(f"frames of {width} x {height} pixels cannot be scaled.") from error

    return render


def _ceil(seconds: Fraction) -> int:
    """Microseconds, rounded up: for integer t, ``_ceil(s) <= t`` says exactly ``s <= t``."""
    return -(-seconds.numerator * MICROSECONDS // seconds.denominator)

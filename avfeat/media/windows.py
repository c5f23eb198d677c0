"""Cuts a file, or arrays, into the windows of one grid: the same for both modalities."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from avfeat.errors import MediaError
from avfeat.grid import MICROSECONDS, Grid
from avfeat.media.pictures import Aspect, PictureScaler
from avfeat.media.sound import SoundPlacer, Stretch
from avfeat.media.source import OpenMedia, Source, open_media
from avfeat.media.timeline import LAG, Silence, Timeline

Pixels = NDArray[np.uint8]
_LOG = logging.getLogger("avfeat")
_FOREVER = 1 << 62
_ARRAY_CHUNK = 1 << 16


@dataclass(frozen=True)
class VideoSpec:
    """Frames of a window: ``frames`` of them, ``fps`` a second, ``size`` pixels square (None: as they are)."""

    fps: float
    frames: int
    size: int | None
    aspect: Aspect = "stretch"

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
        frames: uint8 ``(T, size, size, 3)`` RGB, or None if no frame is on screen in it.
        waveform: float32 ``(samples,)`` mono in [-1, 1], or None if no sample lies in it.
    """

    index: int
    start: int
    frames: Pixels | None
    waveform: NDArray[np.float32] | None


@dataclass
class Outcome:
    """What is known of the media once its windows are all cut.

    Attributes:
        duration: end of the later stream in microseconds.
        damage: what was damaged, in words; empty for intact media.
        video_end: end of the video in microseconds, None without one.
        audio_end: end of the audio in microseconds, None without one.
    """

    duration: int = 0
    damage: tuple[str, ...] = ()
    video_end: int | None = None
    audio_end: int | None = None


@dataclass(frozen=True)
class _Picture:
    """A frame that comes on screen at ``start`` microseconds."""

    start: int
    render: Callable[[], Pixels]


@dataclass(frozen=True)
class _Silent:
    """A stream that is not to be waited for until it goes on; ``end`` is where it seems to be over."""

    kind: Literal["video", "audio"]
    end: int | None = None


@dataclass(frozen=True)
class _End:
    """The media is over; ends are in microseconds, None for a stream that is not there.

    ``duration`` overrules the later of them as the end of the media.
    """

    video: int | None
    audio: int | None
    duration: int | None = None


_Item = _Picture | Stretch | _Silent | _End


def media_windows(
    source: Source,
    grid: Grid,
    video: VideoSpec,
    audio: AudioSpec,
    *,
    threads: int = 0,
    strict: bool = False,
    outcome: Outcome | None = None,
) -> Iterator[Window]:
    """Yield the windows of a media file, each as soon as its data is there, at constant memory.

    Args:
        source: path, bytes or binary file object.
        grid: which windows.
        video: what a window's frames are.
        audio: what a window's samples are.
        threads: decoding threads a stream, 0 for FFmpeg's choice.
        strict: raise on damaged media, at the end of what decodes.
        outcome: filled in when the last window has been yielded.

    Raises:
        MediaError: media that cannot be opened or decoded at all, or damaged media in a strict call.
    """
    with open_media(source, threads) as media:
        timeline = Timeline(media)
        cutter = _Cutter(media.name, grid, video, audio, media.video is not None, media.audio is not None)
        for item in _media_items(media, timeline, video, audio):
            yield from cutter.feed(item)
            if cutter.complete:
                # The call ends before the media: what comes behind is not read.
                break
        if strict and timeline.damage:
            raise MediaError(media.name, "damaged", f"damaged: {'; '.join(timeline.damage)}.")
        if timeline.damage:
            _LOG.warning("%s: damaged: %s; what decodes is embedded.", media.name, "; ".join(timeline.damage))
        if outcome is not None:
            outcome.duration = cutter.duration or max(cutter.shown, media.container.duration or 0)
            outcome.damage = tuple(timeline.damage)
            outcome.video_end, outcome.audio_end = cutter.ends


def array_windows(
    frames: Pixels | None,
    fps: float,
    waveform: NDArray[np.float32] | None,
    sample_rate: int,
    grid: Grid,
    video: VideoSpec,
    audio: AudioSpec,
    *,
    duration: int | None = None,
    outcome: Outcome | None = None,
) -> Iterator[Window]:
    """Yield the windows of decoded media, both streams beginning at time 0.

    Args:
        frames: uint8 ``(n, height, width, 3)`` RGB at ``fps`` frames a second, or None.
        fps: frame rate of ``frames``.
        waveform: float32 ``(n,)`` mono in [-1, 1] at ``sample_rate``, or None.
        sample_rate: sample rate of ``waveform`` in Hz.
        grid: which windows.
        video: what a window's frames are.
        audio: what a window's samples are.
        duration: where the media ends in microseconds, None for the end of the longer array.
        outcome: filled in when the last window has been yielded.
    """
    cutter = _Cutter("<arrays>", grid, video, audio, frames is not None, waveform is not None)
    for item in _array_items(frames, fps, waveform, sample_rate, video, audio, duration):
        yield from cutter.feed(item)
    if outcome is not None:
        outcome.duration = cutter.duration
        outcome.video_end, outcome.audio_end = cutter.ends


def _media_items(media: OpenMedia, timeline: Timeline, video: VideoSpec, audio: AudioSpec) -> Iterator[_Item]:
    """Frames and samples of an open file, in order of arrival."""
    scaler = PictureScaler(video.size, video.aspect)
    placer = SoundPlacer(audio.rate)
    held: tuple[Fraction, AudioFrame, Fraction] | None = None
    for time, frame in timeline.frames():
        if isinstance(frame, VideoFrame):
            yield _Picture(_ceil(time), _renderer(scaler, frame))
            continue
        if isinstance(frame, Silence):
            if frame.stream.type == "video":
                yield _Silent("video", None if frame.end is None else _ceil(frame.end))
            elif held is None:
                yield from placer.flush()
                yield _Silent("audio")
            continue
        if held is not None:
            # Another frame follows, so the stated end was none: all of the held one is presented.
            yield from _placed(placer, timeline, *held[:2])
            held = None
        assert media.audio is not None
        length = timeline.trim(media.audio, time, Fraction(frame.samples, frame.sample_rate))
        if length is None:
            yield from _placed(placer, timeline, time, frame)
        else:
            held = (time, frame, length)
    if held is not None:
        yield from _placed(placer, timeline, *held)
    yield from placer.flush()
    yield _End(
        None if timeline.video_end is None else _ceil(timeline.video_end),
        None if timeline.audio_end is None else _ceil(timeline.audio_end),
    )


def _placed(
    placer: SoundPlacer, timeline: Timeline, time: Fraction, frame: AudioFrame, length: Fraction | None = None
) -> Iterator[Stretch]:
    try:
        yield from placer.push(time, frame, length)
    except av.error.FFmpegError as error:
        # Parameters that no sound can have, in a broken file.
        timeline.note(f"sound that cannot be converted ({error.strerror or error})")


def _array_items(
    frames: Pixels | None,
    fps: float,
    waveform: NDArray[np.float32] | None,
    sample_rate: int,
    video: VideoSpec,
    audio: AudioSpec,
    duration: int | None,
) -> Iterator[_Item]:
    """Frames and samples of decoded media: all pictures first, for they are rendered only when on screen."""
    video_end = audio_end = None
    if waveform is not None:
        if duration is not None:
            waveform = waveform[: -(-duration * sample_rate // MICROSECONDS)]
        yield from _array_sound(waveform, sample_rate, audio.rate)
        audio_end = _ceil(Fraction(len(waveform), sample_rate))
    if frames is not None:
        scaler = PictureScaler(video.size, video.aspect)
        rate = Fraction(fps).limit_denominator(1_000_000)
        if duration is not None:
            frames = frames[: math.ceil(duration * rate / MICROSECONDS)]
        for index, pixels in enumerate(frames):
            yield _Picture(_ceil(index / rate), _array_renderer(scaler, pixels))
        video_end = _ceil(len(frames) / rate)
    yield _End(video_end, audio_end, duration)


def _array_sound(waveform: NDArray[np.float32], sample_rate: int, rate: int) -> Iterator[Stretch]:
    if sample_rate == rate:
        yield Stretch(0, waveform)
        return
    placer = SoundPlacer(rate)
    for begin in range(0, len(waveform), _ARRAY_CHUNK):
        chunk = np.ascontiguousarray(waveform[None, begin : begin + _ARRAY_CHUNK], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(chunk, format="fltp", layout="mono")
        frame.sample_rate = sample_rate
        yield from placer.push(Fraction(begin, sample_rate), frame)
    yield from placer.flush()


def _renderer(scaler: PictureScaler, frame: VideoFrame) -> Callable[[], Pixels]:
    return lambda: scaler(frame)


def _array_renderer(scaler: PictureScaler, pixels: Pixels) -> Callable[[], Pixels]:
    def render() -> Pixels:
        if scaler.size is None or pixels.shape[:2] == (scaler.size, scaler.size):
            return pixels
        return scaler(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"))

    return render


def _ceil(seconds: Fraction) -> int:
    """Microseconds, rounded up: for integer t, ``_ceil(s) <= t`` says exactly ``s <= t``."""
    return -(-seconds.numerator * MICROSECONDS // seconds.denominator)


class _Cutter:
    """Gathers frames and samples and gives out windows that are complete."""

    def __init__(
        self, name: str, grid: Grid, video: VideoSpec, audio: AudioSpec, has_video: bool, has_audio: bool
    ) -> None:
        self._name = name
        self._grid = grid
        self._pictures = _Pictures(grid, video) if has_video else None
        self._samples = _Samples(audio) if has_audio else None
        self._next = 0
        self.shown = -_FOREVER
        self._over = False
        self.duration = 0
        self.ends: tuple[int | None, int | None] = (None, None)

    def feed(self, item: _Item) -> Iterator[Window]:
        """Take one item; yield the windows that it completes."""
        if isinstance(item, _End):
            self._finish(item)
        elif isinstance(item, _Silent):
            if item.kind == "video" and self._pictures is not None:
                self._pictures.fall_silent(item.end)
            elif self._samples is not None:
                self._samples.silent = True
        elif isinstance(item, Stretch):
            assert self._samples is not None
            self._samples.add(item)
            self._check_order(self._samples.begun)
        else:
            assert self._pictures is not None
            self._pictures.add(item)
            self._check_order(self._pictures.reached)
        while self._ready():
            yield self._cut()

    @property
    def complete(self) -> bool:
        """Whether the grid has no further window, however long the media is."""
        return self._grid.end is not None and not self._grid.exists(self._next, _FOREVER)

    def _check_order(self, time: int) -> None:
        """Nothing may arrive for a window that is gone."""
        if time < self.shown:
            raise MediaError(
                self._name,
                "unreadable",
                f"its audio and video lie more than {LAG} s apart in the file; rewrite it with: "
                "ffmpeg -i IN -c copy OUT",
            )

    def _finish(self, item: _End) -> None:
        self._over = True
        self.duration = item.duration or max(item.video or 0, item.audio or 0)
        self.ends = (item.video, item.audio)
        if self._pictures is not None:
            self._pictures.finish(item.video or 0)

    def _ready(self) -> bool:
        """Whether the next window exists and all that it can hold has arrived."""
        if self._over:
            return self._grid.exists(self._next, self.duration)
        buffers = [buffer for buffer in (self._pictures, self._samples) if buffer is not None]
        seen = max(buffer.reached for buffer in buffers)
        if not self._grid.exists(self._next, seen):
            return False
        end = self._grid.window_start(self._next) + self._grid.seconds
        # A silent stream is not waited for, so that memory stays constant; it may go on within LAG seconds of
        # where the other one is.
        known = (seen - LAG * MICROSECONDS if buffer.silent else buffer.reached for buffer in buffers)
        return all(time >= end for time in known)

    def _cut(self) -> Window:
        start = self._grid.window_start(self._next)
        frames = self._pictures.window(self._next) if self._pictures is not None else None
        waveform = self._samples.window(start) if self._samples is not None else None
        window = Window(self._next, start, frames, waveform)
        self._next += 1
        self.shown = start + self._grid.seconds
        if self._samples is not None:
            self._samples.forget(self._grid.window_start(self._next))
        if self._pictures is not None:
            self._pictures.forget(self._grid.window_start(self._next))
        return window


class _Pictures:
    """The pictures that a window still to come will show, each rendered at most once."""

    def __init__(self, grid: Grid, spec: VideoSpec) -> None:
        self._grid = grid
        self._offsets = spec.offsets()
        self._kept: deque[tuple[int, int, Pixels]] = deque()
        self._current: _Picture | None = None
        self._current_pixels: Pixels | None = None
        self._first: int | None = None
        self._end: int | None = None
        self.reached = -_FOREVER
        self.silent = False

    def add(self, picture: _Picture) -> None:
        """A picture comes on screen, so the one before it leaves."""
        self.silent = False
        self._end = None
        if self._current is None:
            self._first = picture.start
            begin = -_FOREVER
        else:
            begin = max(picture.start, self._current.start)
            self._retire(begin)
        self._current = _Picture(max(begin, picture.start), picture.render)
        self._current_pixels = None
        self.reached = self._current.start

    def fall_silent(self, end: int | None) -> None:
        """Nothing comes for now; the current picture leaves the screen at ``end``, if that is known."""
        self.silent = True
        self._end = end

    def finish(self, end: int) -> None:
        """No picture follows; the last one was on screen until ``end``."""
        self._end = end
        self.reached = _FOREVER

    def window(self, index: int) -> NDArray[np.uint8] | None:
        """The pictures of window ``index``, or None if none is on screen in it."""
        start = self._grid.window_start(index)
        if self._first is None or self._first >= start + self._grid.seconds:
            return None
        if self._end is not None and self._end <= start:
            return None
        return np.stack([self._at(int(instant)) for instant in start + self._offsets])

    def forget(self, time: int) -> None:
        """Nothing before ``time`` will be asked for again."""
        while len(self._kept) > 1 and self._kept[0][1] <= time:
            self._kept.popleft()

    def _at(self, instant: int) -> Pixels:
        """The picture on screen at ``instant``; before the first and after the last: the nearest one."""
        if (self._current is not None and instant >= self._current.start) or not self._kept:
            return self._pixels_of_current()
        for begin, end, pixels in self._kept:
            if instant < end or begin > instant:
                return pixels
        return self._kept[-1][2]

    def _retire(self, end: int) -> None:
        """Keep the current picture, which leaves the screen at ``end``, if some instant falls on it."""
        assert self._current is not None
        begin = -_FOREVER if self._current.start == self._first else self._current.start
        if self._current_pixels is not None or self._shows(begin, end):
            self._kept.append((begin, end, self._pixels_of_current()))

    def _shows(self, begin: int, end: int) -> bool:
        """Whether an instant of any window lies in ``[begin, end)``."""
        grid = self._grid
        earliest = max(begin, grid.start) - grid.start - self._offsets
        index = np.maximum(-(-earliest // grid.hop), 0)
        return bool(np.any(grid.start + index * grid.hop + self._offsets < end))

    def _pixels_of_current(self) -> Pixels:
        assert self._current is not None
        if self._current_pixels is None:
            self._current_pixels = self._current.render()
        return self._current_pixels


class _Samples:
    """The samples that a window still to come will hear."""

    def __init__(self, spec: AudioSpec) -> None:
        self._spec = spec
        self._kept: deque[Stretch] = deque()
        self.reached = -_FOREVER
        self.begun = -_FOREVER
        self.silent = False

    def add(self, stretch: Stretch) -> None:
        """Samples that follow all that came before."""
        self.silent = False
        self._kept.append(stretch)
        # A sample is some microseconds long: a window may end within the last one.
        self.begun = -(-stretch.position * MICROSECONDS // self._spec.rate) + MICROSECONDS // self._spec.rate
        self.reached = stretch.end * MICROSECONDS // self._spec.rate

    def window(self, start: int) -> NDArray[np.float32] | None:
        """The samples from ``start`` on, zeros where there are none, or None if there are none at all."""
        first = self._spec.position(start)
        waveform = np.zeros(self._spec.samples, dtype=np.float32)
        found = False
        for stretch in self._kept:
            begin = max(stretch.position, first)
            stop = min(stretch.end, first + self._spec.samples)
            if begin < stop:
                found = True
                waveform[begin - first : stop - first] = stretch.samples[
                    begin - stretch.position : stop - stretch.position
                ]
        return waveform if found else None

    def forget(self, time: int) -> None:
        """Nothing before ``time`` will be asked for again."""
        first = self._spec.position(time)
        while self._kept and self._kept[0].end <= first:
            self._kept.popleft()

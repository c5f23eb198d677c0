"""Cuts a file, or arrays, into the windows of one grid: the same for both modalities."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from functools import wraps
from typing import ParamSpec

import numpy as np
from numpy.typing import NDArray

from avfeat.errors import MediaError
from avfeat.grid import Grid
from avfeat.media.assembler import WindowAssembler
from avfeat.media.audio import AudioChunk
from avfeat.media.items import End, TimedPicture, array_items, media_items
from avfeat.media.rules import Rules
from avfeat.media.source import Source, open_media
from avfeat.media.spec import AudioSpec, MediaSummary, Pixels, VideoSpec, Window
from avfeat.media.timeline import Timeline

_LOG = logging.getLogger("avfeat")
P = ParamSpec("P")


class Windows(Iterator[Window]):
    """The windows of one media, each as soon as its data is there, and then what is known of all of it."""

    def __init__(self, windows: Generator[Window, None, MediaSummary]) -> None:
        """Yield ``windows``, and keep what they return."""
        self._windows = windows
        self._outcome: MediaSummary | None = None

    def __next__(self) -> Window:
        """The next window."""
        try:
            return next(self._windows)
        except StopIteration as end:
            self._outcome = self._outcome or end.value
            raise

    @property
    def outcome(self) -> MediaSummary:
        """What is known once the last window has been taken.

        Raises:
            RuntimeError: there may be more windows.
        """
        if self._outcome is None:
            raise RuntimeError("The outcome is known when the windows have been taken to the end.")
        return self._outcome

    def close(self) -> None:
        """Take no more of them: the media is closed."""
        self._windows.close()


def _as_windows(cut: Callable[P, Generator[Window, None, MediaSummary]]) -> Callable[P, Windows]:
    @wraps(cut)
    def begun(*args: P.args, **kwargs: P.kwargs) -> Windows:
        return Windows(cut(*args, **kwargs))

    return begun


@_as_windows
def media_windows(
    source: Source,
    grid: Grid,
    video: VideoSpec | None,
    audio: AudioSpec | None,
    *,
    threads: int = 0,
    strict: bool = False,
    rules: Rules | None = None,
) -> Generator[Window, None, MediaSummary]:
    """Yield the windows of a media file, each as soon as its data is there, at constant memory.

    Args:
        source: path, bytes or binary file object.
        grid: which windows.
        video: what a window's frames are; None to leave the video out.
        audio: what a window's samples are; None to leave the audio out. A stream that is left out still counts for
            time 0, so that windows lie where they would lie with it; the grid ends with the other one.
        threads: decoding threads a stream, 0 for one a processor.
        strict: raise on damaged media, at the end of what decodes.
        rules: what is taken of the file, and how much it may ask for.

    Raises:
        MediaError: media that cannot be opened, give nothing to see or hear, or ask for more than ``rules`` allow,
            or damaged media in a strict call.
    """
    with open_media(source, threads, rules) as media:
        wanted = {"video": video is not None, "audio": audio is not None}
        timeline = Timeline(media, tuple(kind for kind, taken in wanted.items() if taken))
        if not timeline.streams:
            missing = "video" if media.video is None else "audio"
            raise MediaError(media.name, "no_streams", f"has no {missing}, and nothing else is taken of it.")
        assembler = WindowAssembler(
            media.name,
            grid,
            None if media.video is None else video,
            None if media.audio is None else audio,
        )
        given = False
        for item in media_items(media, timeline, video, audio):
            given = given or isinstance(item, TimedPicture | AudioChunk)
            if isinstance(item, End) and not given:
                raise MediaError(media.name, "empty", _nothing(timeline.damage))
            yield from assembler.feed(item)
            if assembler.complete:
                # The call ends before the media: what comes behind is not read.
                break
        if strict and timeline.damage:
            raise MediaError(media.name, "damaged", f"damaged: {'; '.join(timeline.damage)}.")
        if timeline.damage:
            _LOG.warning("%s: damaged: %s; what decodes is taken.", media.name, "; ".join(timeline.damage))
        duration = assembler.duration or max(assembler.shown, timeline.media.container.duration or 0)
        return MediaSummary(duration, tuple(timeline.damage), *assembler.ends)


def _nothing(damage: list[str]) -> str:
    """What to say of media in which nothing is seen or heard."""
    why = f" ({'; '.join(damage)})" if damage else ""
    return f"nothing in it can be seen or heard{why}."


@_as_windows
def array_windows(
    frames: Pixels | None,
    fps: float,
    waveform: NDArray[np.float32] | None,
    sample_rate: int,
    grid: Grid,
    video: VideoSpec | None,
    audio: AudioSpec | None,
    *,
    duration: int | None = None,
) -> Generator[Window, None, MediaSummary]:
    """Yield the windows of decoded media, both streams beginning at time 0.

    Args:
        frames: uint8 ``(n, height, width, 3)`` RGB at ``fps`` frames a second, or None.
        fps: frame rate of ``frames``.
        waveform: float32 ``(n,)`` mono in [-1, 1] at ``sample_rate``, or None.
        sample_rate: sample rate of ``waveform`` in Hz.
        grid: which windows.
        video: what a window's frames are; None to leave them out.
        audio: what a window's samples are; None to leave them out.
        duration: where the media ends in microseconds, None for the end of the longer array.
    """
    assembler = WindowAssembler(
        "<arrays>", grid, None if frames is None else video, None if waveform is None else audio
    )
    for item in array_items(frames, fps, waveform, sample_rate, video, audio, duration):
        yield from assembler.feed(item)
    return MediaSummary(assembler.duration, (), *assembler.ends)

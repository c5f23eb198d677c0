"""Gathers frames and samples, and gives out the windows of a grid as they become complete."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avfeat.errors import MediaError
from avfeat.grid import MICROSECONDS, Grid
from avfeat.media.audio import AudioChunk
from avfeat.media.items import End, MediaItem, Silent, TimedPicture
from avfeat.media.scaler import of_one_size
from avfeat.media.spec import AudioSpec, Pixels, VideoSpec, Window
from avfeat.media.timeline import LAG

FOREVER = 1 << 62


class WindowAssembler:
    """Gathers frames and samples and gives out windows that are complete."""

    def __init__(self, name: str, grid: Grid, video: VideoSpec | None, audio: AudioSpec | None) -> None:
        self._name = name
        self._grid = grid
        self._pictures = None if video is None else _PictureBuffer(grid, video)
        self._samples = None if audio is None else _SampleBuffer(audio)
        self._next = 0
        self.shown = -FOREVER
        self._over = False
        self.duration = 0
        self.ends: tuple[int | None, int | None] = (None, None)

    def feed(self, item: MediaItem) -> Iterator[Window]:
        """Take one item; yield the windows that it completes."""
        if isinstance(item, End):
            self._finish(item)
        elif isinstance(item, Silent):
            if item.kind == "video" and self._pictures is not None:
                self._pictures.fall_silent(item.end)
            elif self._samples is not None:
                self._samples.silent = True
        elif isinstance(item, AudioChunk):
            assert self._samples is not None
            self._samples.add(item, self._grid.window_start(self._next))
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
        return self._grid.end is not None and not self._grid.exists(self._next, FOREVER)

    def _check_order(self, time: int) -> None:
        """Nothing may arrive for a window that is gone."""
        if time < self.shown:
            raise MediaError(
                self._name,
                "unreadable",
                f"its audio and video lie more than {LAG['audio']} s apart in the file; rewrite it with: "
                "ffmpeg -i IN -c copy -max_interleave_delta 0 OUT",
            )

    def _finish(self, item: End) -> None:
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
        # A silent stream is not waited for, so that memory stays constant; it may go on within its LAG of
        # where the other one is.
        known = (seen - LAG[buffer.kind] * MICROSECONDS if buffer.silent else buffer.reached for buffer in buffers)
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


class _PictureBuffer:
    """The frames that a window still to come will show, each rendered at most once."""

    kind = "video"

    def __init__(self, grid: Grid, spec: VideoSpec) -> None:
        self._grid = grid
        self._offsets = spec.offsets()
        # When each leaves the screen, and what it shows.
        self._kept: deque[tuple[int, Pixels]] = deque()
        self._current: TimedPicture | None = None
        self._current_pixels: Pixels | None = None
        self._first: int | None = None
        self._end: int | None = None
        self.reached = -FOREVER
        self.silent = False

    def add(self, picture: TimedPicture) -> None:
        """A frame comes on screen, so the one before it leaves."""
        self.silent = False
        self._end = None
        if self._current is None:
            self._first = picture.start
            begin = -FOREVER
        else:
            begin = max(picture.start, self._current.start)
            self._retire(begin)
        self._current = TimedPicture(max(begin, picture.start), picture.render)
        self._current_pixels = None
        self.reached = self._current.start

    def fall_silent(self, end: int | None) -> None:
        """Nothing comes for now; the current frame leaves the screen at ``end``, if that is known."""
        self.silent = True
        self._end = end

    def finish(self, end: int) -> None:
        """No frame follows; the last one was on screen until ``end``."""
        self._end = end
        self.reached = FOREVER

    def window(self, index: int) -> NDArray[np.uint8] | None:
        """The frames of window ``index``, or None if none is on screen in it."""
        start = self._grid.window_start(index)
        if self._first is None or self._first >= start + self._grid.seconds:
            return None
        if self._end is not None and self._end <= start:
            return None
        return of_one_size([self._at(int(instant)) for instant in start + self._offsets])

    def forget(self, time: int) -> None:
        """Nothing before ``time`` will be asked for again."""
        while len(self._kept) > 1 and self._kept[0][0] <= time:
            self._kept.popleft()

    def _at(self, instant: int) -> Pixels:
        """The frame on screen at ``instant``; before the first and after the last: the nearest one."""
        if (self._current is not None and instant >= self._current.start) or not self._kept:
            return self._pixels_of_current()
        for end, pixels in self._kept:
            if instant < end:
                return pixels
        return self._kept[-1][1]

    def _retire(self, end: int) -> None:
        """Keep the current frame, which leaves the screen at ``end``, if some instant falls on it."""
        assert self._current is not None
        begin = -FOREVER if self._current.start == self._first else self._current.start
        if self._current_pixels is not None or self._shows(begin, end):
            self._kept.append((end, self._pixels_of_current()))

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


class _SampleBuffer:
    """The samples that a window still to come will hear."""

    kind = "audio"

    def __init__(self, spec: AudioSpec) -> None:
        self._spec = spec
        self._kept: deque[AudioChunk] = deque()
        self.reached = -FOREVER
        self.begun = -FOREVER
        self.silent = False

    def add(self, chunk: AudioChunk, needed_from: int) -> None:
        """Samples that follow all that came before; none before ``needed_from`` will be asked for."""
        self.silent = False
        if chunk.end > self._spec.position(needed_from):
            self._kept.append(chunk)
        # A sample is some microseconds long: a window may end within the last one.
        self.begun = -(-chunk.position * MICROSECONDS // self._spec.rate) + MICROSECONDS // self._spec.rate
        self.reached = chunk.end * MICROSECONDS // self._spec.rate

    def window(self, start: int) -> NDArray[np.float32] | None:
        """The samples from ``start`` on, zeros where there are none, or None if there are none at all."""
        first = self._spec.position(start)
        waveform = np.zeros(self._spec.samples, dtype=np.float32)
        found = False
        for chunk in self._kept:
            begin = max(chunk.position, first)
            stop = min(chunk.end, first + self._spec.samples)
            if begin < stop:
                found = True
                waveform[begin - first : stop - first] = chunk.samples[
                    begin - chunk.position : stop - chunk.position
                ]
        return waveform if found else None

    def forget(self, time: int) -> None:
        """Nothing before ``time`` will be asked for again."""
        first = self._spec.position(time)
        while self._kept and self._kept[0].end <= first:
            self._kept.popleft()

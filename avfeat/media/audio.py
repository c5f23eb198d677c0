"""Decoded audio as mono float32 at one rate, every sample at its presentation time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from avfeat.media.channels import ChannelMixer

_TOLERANCE = Fraction(30, 1000)
"""Time stamps of containers jitter (by 1 ms in Matroska, by a frame in AVI); a larger step is a real gap."""

_SCALE = np.float32(2.0**-31)


@dataclass(frozen=True)
class AudioChunk:
    """Consecutive samples: float32 ``(n,)`` in [-1, 1], the first at ``position`` (in samples from time 0)."""

    position: int
    samples: NDArray[np.float32]

    @property
    def end(self) -> int:
        """Position behind the last sample."""
        return self.position + len(self.samples)


class AudioPlacer:
    """Mixes to mono, resamples, and places by presentation time; feed frames in order, then ``flush``.

    Frames that follow each other go through one resampler. Where a time stamp leaves more than 30 ms of silence
    or overlap, and where the parameters change, the resampler is flushed and a new run begins at the time stamp.
    """

    def __init__(self, rate: int, mixes: bool = True) -> None:
        """Place samples at ``rate`` Hz; where FFmpeg has no matrix for the channels, mix them here if ``mixes``."""
        self._rate = rate
        self._mixes = mixes
        self._mixer: ChannelMixer | None = None
        self._resampler: av.AudioResampler | None = None
        self._format: tuple[str, str, int] | None = None
        self._expected = Fraction(0)
        self._position = 0
        self._covered = 0

    def push(self, time: Fraction, frame: AudioFrame, length: Fraction | None = None) -> Iterator[AudioChunk]:
        """Yield what is ready after ``frame``, which begins at ``time`` seconds.

        Args:
            time: presentation time of its first sample.
            frame: decoded audio of any format, layout and rate.
            length: seconds of it that are presented, or None for all.

        Raises:
            av.error.FFmpegError: parameters that cannot be converted; the next frame begins a new run.
        """
        frame_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or frame_format != self._format or abs(time - self._expected) > _TOLERANCE:
            yield from self.flush()
            # Integer output of 32 bits makes swresample normalise the mix: a mono file and its stereo copy are
            # equally loud. Float output would not.
            self._resampler = self._new_resampler()
            self._mixer = None
            self._format = frame_format
            self._expected = time
            self._position = round(time * self._rate)
        self._expected += Fraction(frame.samples, frame.sample_rate)
        # Placement is ours: without a time stamp the resampler only counts samples.
        frame.pts = None
        chunks = self._collect(self._convert(frame))
        if length is None:
            yield from chunks
            return
        limit = round((time + length) * self._rate)
        for chunk in [*chunks, *self.flush()]:
            if chunk.position < limit:
                yield AudioChunk(chunk.position, chunk.samples[: limit - chunk.position])

    def _convert(self, frame: AudioFrame) -> list[AudioFrame]:
        assert self._resampler is not None
        try:
            return self._resampler.resample(frame if self._mixer is None else self._mixer(frame))
        except av.error.FFmpegError:
            self._resampler = None
            if self._mixer is not None or not self._mixes or frame.layout.nb_channels < 2:
                raise
        self._mixer = ChannelMixer(frame)
        self._resampler = self._new_resampler()
        return self._convert(frame)

    def _new_resampler(self) -> av.AudioResampler:
        return av.AudioResampler(format="s32p", layout="mono", rate=self._rate)

    def flush(self) -> Iterator[AudioChunk]:
        """Yield what the resampler still holds; the next frame begins a new run."""
        if self._resampler is not None:
            yield from self._collect(self._resampler.resample(None))
        self._resampler = None

    def _collect(self, frames: list[AudioFrame]) -> Iterator[AudioChunk]:
        for frame in frames:
            samples = frame.to_ndarray()[0].astype(np.float32) * _SCALE
            begin = self._position
            self._position += len(samples)
            # Where two runs overlap, the earlier one stays.
            hidden = max(0, self._covered - begin)
            if hidden < len(samples):
                self._covered = self._position
                yield AudioChunk(begin + hidden, samples[hidden:])

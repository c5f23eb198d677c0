"""Small real media files for tests, made with PyAV: every fact of a file is an argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Picture = Callable[[float], NDArray[np.uint8]]
Sound = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def moving_square(width: int = 96, height: int = 72, seed: int = 0) -> Picture:
    """A bright square that circles over a smooth background, another one for every seed."""
    rng = np.random.default_rng(seed)
    base = rng.integers(20, 120, (3, 3, 3)).astype(np.float64)
    rows = np.linspace(0, 2, height)[:, None, None]
    columns = np.linspace(0, 2, width)[None, :, None]
    background = base[rows.astype(int), columns.astype(int)][:, :, 0]
    colour = rng.integers(160, 256, 3)

    def picture(time: float) -> NDArray[np.uint8]:
        out = background.copy()
        x = int((0.5 + 0.3 * np.cos(2 * np.pi * 0.5 * time + seed)) * width)
        y = int((0.5 + 0.3 * np.sin(2 * np.pi * 0.5 * time + seed)) * height)
        out[max(0, y - 8) : y + 8, max(0, x - 8) : x + 8] = colour
        return out.astype(np.uint8)

    return picture


def chirps(seed: int = 0) -> Sound:
    """Tones that rise again and again over a hiss, a function of time alone; another one for every seed."""
    rng = np.random.default_rng(seed)
    hiss, phases = rng.uniform(50, 7500, 40), rng.uniform(0, 2 * np.pi, 40)

    def sound(times: NDArray[np.float64]) -> NDArray[np.float64]:
        phase = 2 * np.pi * (200 + 90 * seed + 300 * (times % 1)) * times
        noise = np.sin(2 * np.pi * np.outer(times, hiss) + phases).sum(axis=1)
        return 0.4 * np.sin(phase) + 0.005 * noise

    return sound


@dataclass(frozen=True)
class VideoTrack:
    """A video stream: its frames come at ``times`` if given, else ``fps`` a second for ``seconds``."""

    seconds: float = 4.0
    fps: Fraction = Fraction(25)
    picture: Picture = field(default_factory=moving_square)
    start: float = 0.0
    times: Sequence[float] | None = None
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    colorspace: int | None = None
    color_range: int | None = None
    options: tuple[tuple[str, str], ...] = (("crf", "18"), ("preset", "ultrafast"))

    def instants(self) -> list[Fraction]:
        """Presentation times of the frames."""
        if self.times is not None:
            return [Fraction(t).limit_denominator(90_000) for t in self.times]
        start = Fraction(self.start).limit_denominator(90_000)
        return [start + index / self.fps for index in range(round(self.seconds * self.fps))]


@dataclass(frozen=True)
class AudioTrack:
    """An audio stream of ``seconds`` from ``start`` on; ``channels`` by name of the layout."""

    seconds: float = 4.0
    rate: int = 44_100
    sound: Sound = field(default_factory=chirps)
    start: float = 0.0
    layout: str = "mono"
    codec: str = "aac"
    gaps: tuple[tuple[float, float], ...] = ()


def make_media(
    path: Path, video: VideoTrack | None = None, audio: AudioTrack | None = None, form: str | None = None
) -> Path:
    """Write a media file with the given streams; sound is placed at its presentation time."""
    options = {"movflags": "+faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", format=form, options=options) as container:
        packets = []
        if video is not None:
            packets += _encode_video(container, video)
        if audio is not None:
            packets += _encode_audio(container, audio)
        for _, packet in sorted(packets, key=lambda pair: pair[0]):
            container.mux(packet)
    return path


def rotate_by_metadata(path: Path, out: Path, degrees: int) -> Path:
    """A copy of an mp4 whose first track is to be shown turned clockwise by a multiple of 90 degrees."""
    data = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, TrackHeaderBox version 0: the matrix lies 40 bytes behind the box's type.
    at = data.index(b"tkhd") + 44
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    matrix = np.array([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30], dtype=">i4")
    data[at : at + 36] = matrix.tobytes()
    out.write_bytes(data)
    return out


def _encode_video(container, track: VideoTrack):
    first = track.picture(0.0)
    stream = container.add_stream(track.codec, rate=track.fps, options=dict(track.options))
    stream.height, stream.width = first.shape[:2]
    stream.pix_fmt = track.pix_fmt
    # MPEG-2 and MPEG-4 part 2 know no time base as fine as 1/90000.
    base = 1 / track.fps if track.codec in ("mpeg4", "mpeg2video") else Fraction(1, 90_000)
    stream.codec_context.time_base = base
    if track.colorspace is not None:
        stream.codec_context.colorspace = track.colorspace
    if track.color_range is not None:
        stream.codec_context.color_range = track.color_range
    packets = []
    for instant in track.instants():
        frame = av.VideoFrame.from_ndarray(track.picture(float(instant)), format="rgb24")
        frame = frame.reformat(
            format=track.pix_fmt, dst_colorspace=track.colorspace, dst_color_range=track.color_range
        )
        frame.pts = round(instant / base)
        frame.time_base = base
        packets += stream.encode(frame)
    packets += stream.encode(None)
    return [(packet.dts * packet.time_base, packet) for packet in packets]


def _encode_audio(container, track: AudioTrack):
    stream = container.add_stream(track.codec, rate=track.rate, layout=track.layout)
    fmt = stream.codec_context.format.name
    channels = len(stream.codec_context.layout.channels)
    size = 1024
    count = round(track.seconds * track.rate)
    packets = []
    for begin in range(0, count, size):
        times = track.start + np.arange(begin, min(begin + size, count)) / track.rate
        if any(low <= times[0] < high for low, high in track.gaps):
            continue
        samples = np.tile(track.sound(times), (channels, 1))
        frame = av.AudioFrame.from_ndarray(_as_format(samples, fmt), format=fmt, layout=track.layout)
        frame.sample_rate = track.rate
        frame.time_base = Fraction(1, track.rate)
        frame.pts = begin + round(track.start * track.rate)
        packets += stream.encode(frame)
    packets += stream.encode(None)
    return [(packet.dts * packet.time_base, packet) for packet in packets]


def _as_format(samples: NDArray[np.float64], fmt: str) -> NDArray[np.generic]:
    """Planar float64 in [-1, 1] as the sample format ``fmt``."""
    kind = fmt.removesuffix("p")
    scales = {"flt": ("f4", 1.0), "dbl": ("f8", 1.0), "s16": ("i2", 32767.0), "s32": ("i4", 2147483647.0)}
    dtype, scale = scales[kind]
    out = np.clip(samples, -1, 1) * scale
    if not fmt.endswith("p"):
        out = out.T.reshape(1, -1)
    return np.ascontiguousarray(out.astype(dtype))

"""AVI stores no presentation times: a frame's own time counts, whatever the packets around it give."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest

from avfeat.media.source import open_media
from avfeat.media.timeline import Timeline

FRAMES, RATE = 40, 25

Change = Callable[[int, av.Packet], bytes | None]


SLOW = ("libaom-av1", "librav1e", "libsvtav1")
"""Minutes of encoding; as root, the last one also takes the whole process to real-time priority."""


def encoders() -> list[str]:
    """Every video encoder that PyAV has, but slow ones; some cannot write into AVI."""
    return [name for name in sorted(av.codec.codecs_available) if name not in SLOW and _encodes_video(name)]


def _encodes_video(name: str) -> bool:
    try:
        return av.Codec(name, "w").type == "video"
    except av.codec.codec.UnknownCodecError:
        return False


def made_or_skipped(name: str) -> bytes:
    """``made``, where that can be done."""
    try:
        return made(name)
    except (av.error.FFmpegError, ValueError, NotImplementedError) as error:
        pytest.skip(f"{name} writes no AVI here: {error}")


def made(name: str, frames: int = FRAMES, change: Change | None = None) -> bytes:
    """An AVI whose frame i is a grey of level 6 i; ``change`` gives a packet other bytes, or None for no packet."""
    codec = av.Codec(name, "w")
    formats = [form.name for form in codec.video_formats or ()]
    pixels = "yuv420p" if "yuv420p" in formats or not formats else formats[0]
    if name == "mjpeg":
        # Its list does not say that it wants full range.
        pixels = "yuvj420p"
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as target:
        stream = target.add_stream(name, rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 176, 144, pixels, 1_000_000
        if name in ("mpeg4", "mpeg2video", "mpeg1video", "libx264"):
            stream.codec_context.max_b_frames = 2
        stream.codec_context.gop_size = 12
        packets: list[av.Packet] = []
        for number in range(frames):
            grey = np.full((144, 176, 3), 6 * number, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for number, packet in enumerate(packets):
            data = bytes(packet) if change is None else change(number, packet)
            if data is None:
                continue
            if data != bytes(packet):
                other = av.Packet(data)
                other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
                other.is_keyframe = packet.is_keyframe
                other.stream = stream
                packet = other
            target.mux(packet)
    return file.getvalue()


def placed(data: bytes, threads: int = 1) -> tuple[list[tuple[float, float]], list[str], float]:
    """``(time, number)`` of the frames, in frames, and what is damaged."""
    with open_media(data, threads) as media:
        timeline = Timeline(media)
        frames = [
            (float(time * RATE), frame.to_ndarray(format="rgb24").mean() / 6) for time, frame in timeline.frames()
        ]
    return frames, timeline.damage, float(timeline.duration())


@pytest.mark.parametrize("name", encoders())
def test_every_codec_is_right_to_a_frame(name: str) -> None:
    frames, damage, duration = placed(made_or_skipped(name))
    assert len(frames) >= FRAMES - 1 and not damage
    assert all(abs(time - k) < 1.1 for k, (time, _) in enumerate(frames, FRAMES - len(frames)))
    assert duration == pytest.approx(FRAMES / RATE, abs=2.1 / RATE)


@pytest.mark.parametrize("name", ["mjpeg", "png", "huffyuv", "rawvideo"])
def test_packets_without_a_picture_shift_nothing(name: str) -> None:
    """A dropped frame is an empty packet; the picture before it stays."""
    gone = {10, 11, 12, 13, 14, 30}
    frames, damage, duration = placed(made(name, change=lambda k, p: b"" if k in gone else bytes(p)))
    assert not damage and len(frames) == FRAMES - len(gone)
    assert all(abs(time - number) < 1.1 for time, number in frames)
    assert duration == pytest.approx(FRAMES / RATE, abs=2.1 / RATE)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", ["mpeg4", "mpeg2video", "mjpeg", "ffv1"])
def test_packets_that_cannot_be_decoded_shift_nothing(name: str, threads: int) -> None:
    noise = np.random.default_rng(0)
    spoilt = {5, 6, 7}
    data = made(name, change=lambda k, p: noise.bytes(p.size) if k in spoilt else bytes(p))
    frames, damage, _ = placed(data, threads)
    # Noise without a start code is nothing at all to MPEG-2.
    assert damage or name == "mpeg2video"
    late = [(time, number) for time, number in frames if time > 26]
    assert len(late) >= 10 and all(abs(time - number) < 1.6 for time, number in late)


@pytest.mark.parametrize("name", ["mpeg4", "mpeg2video"])
def test_a_beginning_inside_a_group_of_pictures_is_damage_and_shifts_nothing(name: str) -> None:
    # The packets keep their places: the key frames among the first ones are spoilt by leaving them out.
    data = made(name, change=lambda k, p: b"" if k < 3 else bytes(p))
    frames, damage, _ = placed(data)
    late = [(time - frames[0][0], number - frames[0][1]) for time, number in frames]
    assert damage
    assert all(abs(time - number) < 1.6 for time, number in late[12:])

"""Time follows from what was read: a time stamp alone is only a claim."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media

from avfeat.grid import Grid
from avfeat.media import AudioSpec, MediaSummary, VideoSpec, Window, media_windows

VIDEO, AUDIO = VideoSpec(8, 16, 32), AudioSpec(16_000, 32_000)


def cut(source: Path | bytes) -> tuple[list[Window], MediaSummary]:
    windows = media_windows(source, Grid.from_seconds(2.0), VIDEO, AUDIO)
    return list(windows), windows.outcome


def stepped(path: Path, steps: list[float], base: Fraction = Fraction(1, 1000)) -> Path:
    """A video without sound whose frames come ``steps`` seconds after each other."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        time = Fraction(0)
        packets: list[av.Packet] = []
        for number, step in enumerate([*steps, 0.0]):
            grey = np.full((48, 64, 3), 9 * number % 250, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = round(time / base)
                packet.time_base = base
                packets.append(packet)
            time += Fraction(step).limit_denominator(1000)
        for packet in packets:
            target.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".nut"])
@pytest.mark.parametrize("step", [700, 3_500, 90_000])
def test_steps_that_no_packet_can_hold_are_damage(tmp_path: Path, suffix: str, step: float) -> None:
    windows, outcome = cut(stepped(tmp_path / f"v{suffix}", [float(step)] * 20))
    assert outcome.damage
    assert len(windows) <= 330 and outcome.duration <= 11 * 60 * 1_000_000


def test_many_long_steps_are_bounded_by_the_packets(tmp_path: Path) -> None:
    windows, outcome = cut(stepped(tmp_path / "v.mkv", [500.0] * 20))
    assert outcome.damage and outcome.duration <= (600 + 21 * 11) * 1_000_000
    assert len(windows) <= 420


@pytest.mark.parametrize("steps", [[1.0] * 30, [9.0] * 40, [1.0, 400.0, 1.0, 2.0], [30.0] * 15])
def test_slides_and_idle_screens_are_as_long_as_they_say(tmp_path: Path, steps: list[float]) -> None:
    windows, outcome = cut(stepped(tmp_path / "v.mkv", steps))
    assert not outcome.damage
    assert outcome.duration / 1e6 == pytest.approx(sum(steps) + 1, abs=1.1)
    assert all(window.frames is not None for window in windows)


def test_one_picture_under_long_sound_stays(tmp_path: Path) -> None:
    """Longer than what is believed of a picture alone: the sound proves it."""
    path = make_media(
        tmp_path / "v.mp4",
        VideoTrack(times=[0.0, 1.0, 690.0, 691.0]),
        AudioTrack(700.0, 8_000, lambda times: 0.1 * np.sin(2 * np.pi * 440 * times)),
    )
    windows, outcome = cut(path)
    assert not outcome.damage and 699e6 < outcome.duration < 702e6
    assert all(window.frames is not None for window in windows[:345])


def test_flipped_bits_of_an_index_give_no_time(tmp_path: Path) -> None:
    """Every bit of the table that says how long an mp4's frames last, one after the other."""
    data = make_media(tmp_path / "v.mp4", VideoTrack(seconds=1.0)).read_bytes()
    at = data.index(b"stts") + 12
    for place in range(at, at + 8):
        for bit in range(0, 8, 3):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            windows, _ = cut(bytes(flipped))
            assert len(windows) <= 430


def test_sound_of_a_rate_that_cannot_be_makes_no_hours(tmp_path: Path) -> None:
    data = bytearray(make_media(tmp_path / "a.wav", None, AudioTrack(1.0, 16_000, codec="pcm_s16le")).read_bytes())
    data[24:28] = (1).to_bytes(4, "little")
    with pytest.raises(Exception, match=r"seen or heard|decoded"):
        cut(bytes(data))

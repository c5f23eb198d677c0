"""A flash and a click at one instant: each modality changes first in the same window, whatever the file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media
from numpy.typing import NDArray

from avfeat import Encoder

HOP = 0.04
EVENT = 3.2


def flash(instant: float):
    dark, bright = np.full((48, 64, 3), 40, dtype=np.uint8), np.full((48, 64, 3), 230, dtype=np.uint8)
    return lambda time: bright if time >= instant - 1e-6 else dark


def click(instant: float):
    def sound(times: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(times >= instant, 0.7 * np.sin(2 * np.pi * 1500 * (times - instant)), 0.0)

    return sound


def first_change(rows: NDArray[np.float32], present: NDArray[np.bool_]) -> int:
    """The first present row that is far from the first present one, on the scale of the greatest change."""
    there = np.flatnonzero(present)
    distance = np.linalg.norm(rows[there] - rows[there[0]], axis=1)
    return int(there[np.argmax(distance > 0.1 * distance.max())])


def check(encoder: Encoder, path: Path, event: float, frame: float, origin: float = 0.0) -> None:
    """``origin``: how much earlier than its contents the file may begin."""
    found = encoder.embed(path, hop=HOP, start=event - 2.4, end=event + 0.5)
    video = found.start[first_change(found.video, found.has_video)]
    audio = found.start[first_change(found.audio, found.has_audio)]
    half_interval = 0.5 / encoder.bundle.video.fps
    assert abs(video - audio) <= half_interval + frame + HOP
    # Both must see it when it happens: the event enters at the end of a window.
    assert abs(audio + encoder.bundle.seconds - event) <= 2 * HOP + 0.03 + origin
    assert abs(video + encoder.bundle.seconds - event) <= 2 * half_interval + frame + HOP + origin


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(30000, 1001)], ids=["23.976", "29.97"])
def test_containers_and_rates(encoder: Encoder, tmp_path: Path, suffix: str, rate: int, fps: Fraction) -> None:
    path = make_media(
        tmp_path / f"v{suffix}",
        VideoTrack(seconds=5.0, fps=fps, picture=flash(EVENT)),
        AudioTrack(seconds=5.0, rate=rate, sound=click(EVENT)),
    )
    # Only mp4 says which samples are the encoder's priming; elsewhere the file begins with them.
    check(encoder, path, EVENT, float(1 / fps), 0.0 if suffix == ".mp4" else 1024 / rate)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize(("video_start", "audio_start"), [(0.0, 0.7), (0.7, 0.0), (1.5, 1.0)])
def test_streams_that_start_apart(
    encoder: Encoder, tmp_path: Path, suffix: str, video_start: float, audio_start: float
) -> None:
    path = make_media(
        tmp_path / f"v{suffix}",
        VideoTrack(seconds=5.0 - video_start, start=video_start, picture=flash(EVENT)),
        AudioTrack(seconds=5.0 - audio_start, start=audio_start, rate=44_100, sound=click(EVENT)),
    )
    earliest = min(video_start, audio_start)
    check(encoder, path, EVENT - earliest, 1 / 25)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_frame_rate(encoder: Encoder, tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(3)
    times = np.round(np.cumsum(rng.uniform(0.01, 0.09, 100)), 3)
    times = times[times < 5.0]
    path = make_media(
        tmp_path / f"v{suffix}",
        VideoTrack(times=[0.0, *times], picture=flash(EVENT)),
        AudioTrack(seconds=5.0, rate=44_100, sound=click(EVENT)),
    )
    check(encoder, path, EVENT, 0.09)


def test_a_minute_later_nothing_has_drifted(encoder: Encoder, tmp_path: Path) -> None:
    late = 58.4
    fps = Fraction(30000, 1001)
    # PCM: at this rate AAC lets a click be heard a tenth of a second before it.
    path = make_media(
        tmp_path / "v.mov",
        VideoTrack(seconds=60.0, fps=fps, picture=flash(late)),
        AudioTrack(seconds=60.0, rate=22_050, sound=click(late), codec="pcm_s16le"),
    )
    check(encoder, path, late, float(1 / fps))


def test_an_edit_list_keeps_the_streams_in_step(encoder: Encoder, tmp_path: Path) -> None:
    """An mp4 cut inside a group of pictures presents what its edit list says, not what it stores."""
    stored = make_media(
        tmp_path / "stored.mp4",
        VideoTrack(seconds=5.0, picture=flash(EVENT), options=(("crf", "18"), ("g", "250"))),
        AudioTrack(seconds=5.0, rate=16_000, codec="aac", sound=click(EVENT)),
    )
    cut = 0.6
    path = shift_edit_lists(stored, tmp_path / "cut.mp4", cut)
    assert encoder.embed(path).duration == pytest.approx(5.0 - cut, abs=0.1)
    check(encoder, path, EVENT - cut, 1 / 25)


def shift_edit_lists(path: Path, out: Path, seconds: float) -> Path:
    """Let every track of an mp4 begin ``seconds`` later in its media (version 0 boxes, one edit each)."""
    data = bytearray(path.read_bytes())
    at = 0
    tracks = 0
    movie = int.from_bytes(data[(m := data.index(b"mvhd") + 16) : m + 4], "big")
    while (at := data.find(b"elst", at)) >= 0:
        scale_at = data.index(b"mdhd", at) + 16
        scale = int.from_bytes(data[scale_at : scale_at + 4], "big")
        media_time_at = at + 16
        media_time = int.from_bytes(data[media_time_at : media_time_at + 4], "big", signed=True)
        assert int.from_bytes(data[at + 8 : at + 12], "big") == 1 and media_time >= 0
        moved = media_time + round(seconds * scale)
        data[media_time_at : media_time_at + 4] = moved.to_bytes(4, "big", signed=True)
        length = int.from_bytes(data[at + 12 : at + 16], "big") - round(seconds * movie)
        data[at + 12 : at + 16] = length.to_bytes(4, "big")
        at += 4
        tracks += 1
    assert tracks == 2
    out.write_bytes(data)
    return out


def test_the_real_edit_list_clip_is_in_step(encoder: Encoder, real_media: Path) -> None:
    found = encoder.embed(real_media / "odd" / "made_edit_list.mp4")
    assert found.has_video.all() and found.has_audio.all() and not found.damaged

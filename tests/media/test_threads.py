"""The same rows, whatever the number of threads: also of damaged media, which FFmpeg decodes as chance has it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media, moving_square
from test_source import OneWay

from avfeat import MediaError
from avfeat.grid import Grid
from avfeat.media import AudioSpec, VideoSpec, media_windows
from avfeat.media.source import open_media
from avfeat.media.timeline import Timeline

VIDEO, AUDIO = VideoSpec(8, 16, 32), AudioSpec(16_000, 32_000)
KINDS = [
    (".mkv", "libx264", "aac"),
    (".ts", "libx264", "mp2"),
    (".mp4", "libx265", None),
    (".avi", "mpeg4", "mp2"),
    (".mpg", "mpeg2video", "mp2"),
    (".webm", "libvpx", "libopus"),
    (".webm", "libvpx-vp9", None),
    # Nothing in AV1: its encoder, SVT-AV1, as root takes the whole process to real-time priority.
    (".mkv", "ffv1", "flac"),
    (".mkv", "mjpeg", None),
    (".mov", "prores_ks", None),
    (".flac", None, "flac"),
]


def result(source: bytes | OneWay, threads: int) -> tuple[object, ...]:
    """Everything that is said of a source and cut from it."""
    digest, count = hashlib.sha256(), 0
    windows = media_windows(source, Grid.from_seconds(2.0, 0.5), VIDEO, AUDIO, threads=threads)
    try:
        for window in windows:
            count += 1
            for values in (window.frames, window.waveform):
                digest.update(b"none" if values is None else values.tobytes())
    except MediaError as error:
        return error.reason, str(error)
    outcome = windows.outcome
    return count, digest.hexdigest(), outcome.duration, outcome.damage, outcome.video_end, outcome.audio_end


def clip(folder: Path, suffix: str, video: str | None, audio: str | None) -> bytes:
    pixels = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p"}.get(video or "", "yuv420p")
    options = (("g", "12"), ("bf", "2")) if video == "libx264" else ()
    seen = (
        VideoTrack(1.6, picture=moving_square(64, 48), codec=video, pix_fmt=pixels, options=options)
        if video
        else None
    )
    rate = 48_000 if audio == "libopus" else 16_000
    return make_media(
        folder / f"v{suffix}", seen, AudioTrack(1.6, rate, codec=audio) if audio else None
    ).read_bytes()


def spoilt(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes behind the header replaced, or a stretch of them."""
    out = bytearray(data)
    low = len(out) // 5
    if rng.integers(2):
        for place in rng.integers(low, len(out), rng.integers(1, 20)):
            out[place] = rng.integers(256)
    else:
        at, length = int(rng.integers(low, len(out))), int(rng.integers(1, 300))
        out[at : at + length] = rng.bytes(length)
    return bytes(out)


@pytest.mark.parametrize(("suffix", "video", "audio"), KINDS)
def test_damaged_media_give_the_same_at_any_number_of_threads(
    tmp_path: Path, suffix: str, video: str | None, audio: str | None
) -> None:
    rng = np.random.default_rng(3)
    data = clip(tmp_path, suffix, video, audio)
    for _ in range(12):
        damaged = spoilt(data, rng)
        expected = result(damaged, 1)
        for threads in (2, 5):
            assert result(damaged, threads) == expected


def test_a_pipe_gives_what_the_file_gives(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    data = clip(tmp_path, ".mkv", "libx264", "aac")
    for _ in range(10):
        damaged = spoilt(data, rng)
        assert result(OneWay(damaged, 5000), 4)[:4] == result(io.BytesIO(damaged).getvalue(), 4)[:4]


def test_intact_media_are_read_once_by_all_threads(tmp_path: Path) -> None:
    data = clip(tmp_path, ".mkv", "libx264", "aac")
    with open_media(data, 4) as media:
        timeline = Timeline(media)
        assert media.several and len(list(timeline.frames())) > 40
        assert timeline.media is media
    with open_media(spoilt(data, np.random.default_rng(1)), 4) as media:
        timeline = Timeline(media)
        list(timeline.frames())
        assert timeline.damage and timeline.media is not media and not timeline.media.several

"""How much a file may ask for, which of its tracks are taken, and pictures that are no videos."""

from __future__ import annotations

import io
import os
import threading
import time
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square
from test_source import OneWay

from avfeat import ArgumentError, Failure, MediaError
from avfeat.media import Rules, decode, probe
from avfeat.media.rules import MAX_PIXELS
from avfeat.media.source import open_media


def picture(path: Path, codec: str, pixels: str, size: tuple[int, int] = (96, 72)) -> Path:
    """A still picture."""
    colours = moving_square(*size)(0.0)
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as target:
        stream = target.add_stream(codec, rate=1)
        stream.width, stream.height, stream.pix_fmt = size[0], size[1], pixels
        frame = av.VideoFrame.from_ndarray(colours, format="rgb24").reformat(format=pixels)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            target.mux(packet)
    return path


STILLS = [
    (".png", "png", "rgb24"),
    (".jpg", "mjpeg", "yuvj420p"),
    (".bmp", "bmp", "bgr24"),
    (".tiff", "tiff", "rgb24"),
]


@pytest.mark.parametrize(("suffix", "codec", "pixels"), STILLS)
def test_a_still_picture_is_refused_unless_it_is_asked_for(
    tmp_path: Path, suffix: str, codec: str, pixels: str
) -> None:
    path = picture(tmp_path / f"p{suffix}", codec, pixels)
    for source in (path, path.read_bytes(), OneWay(path.read_bytes())):
        with pytest.raises(MediaError, match="is a still picture, not a video; --still") as caught:
            decode(source)
        assert caught.value.reason == "still"
    found = decode(path, still=True)
    assert found.frames is not None and found.waveform is None and len(found.frames) == 1
    assert not found.damaged


def test_a_still_picture_gives_one_row(tmp_path: Path, encoder) -> None:
    embedding = encoder.embed(picture(tmp_path / "p.png", "png", "rgb24"), still=True)
    assert len(embedding) == 1 and embedding.has_video.all() and not embedding.has_audio.any()


def test_an_animated_webp_is_refused_with_the_reason() -> None:
    # RIFF, VP8X with the flag of animation, ANIM and an ANMF: what FFmpeg has no decoder for.
    chunks = b"VP8X" + (10).to_bytes(4, "little") + b"\x02" + bytes(3) + b"\x5f\x00\x00\x47\x00\x00"
    chunks += b"ANIM" + (6).to_bytes(4, "little") + bytes(6) + b"ANMF" + (16).to_bytes(4, "little") + bytes(16)
    data = b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WEBP" + chunks
    for still in (False, True):
        with pytest.raises(MediaError, match="animated WebP"):
            decode(data, still=still)


def test_pictures_beyond_the_limit_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = make_media(tmp_path / "v.mp4", VideoTrack(seconds=1.0), AudioTrack(1.0))
    with pytest.raises(MediaError, match=r"96 x 72 pixels, more than max_pixels \(6911\) allows") as caught:
        decode(path, max_pixels=6911)
    assert caught.value.reason == "too_large"
    assert decode(path, max_pixels=6912).frames is not None


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [
        (".avi", "mpeg4", "yuv420p"),
        (".mkv", "mjpeg", "yuvj420p"),
        (".webm", "libvpx-vp9", "yuv420p"),
        (".gif", "gif", "rgb8"),
        (".ts", "libx264", "yuv420p"),
        (".m2v", "mpeg2video", "yuv420p"),
    ],
)
def test_the_limit_holds_in_every_container(tmp_path: Path, suffix: str, codec: str, pixels: str) -> None:
    path = make_media(tmp_path / f"v{suffix}", VideoTrack(seconds=1.0, codec=codec, pix_fmt=pixels, options=()))
    for source in (path, path.read_bytes()):
        with pytest.raises(MediaError, match="96 x 72 pixels, more than max_pixels") as caught:
            decode(source, max_pixels=6000)
        assert caught.value.reason == "too_large"


def test_a_picture_that_claims_a_hundred_megapixels_is_not_decoded() -> None:
    file = io.BytesIO()
    file.write(b"\x89PNG\r\n\x1a\n")
    head = (16_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        file.write(len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big"))
    with pytest.raises(MediaError) as caught:
        decode(file.getvalue(), still=True)
    assert caught.value.reason == "too_large" and "16000 x 16000" in str(caught.value)
    assert 7680 * 4320 < MAX_PIXELS < 16_000 * 16_000


def test_large_pictures_get_fewer_threads(tmp_path: Path) -> None:
    big = VideoTrack(seconds=0.04, picture=moving_square(7680, 4320))
    for picture_size, most in ((big, 1), (VideoTrack(seconds=0.2), 8)):
        with open_media(make_media(tmp_path / "v.mkv", picture_size), 8) as media:
            assert media.video is not None and media.video.codec_context.thread_count == most


def test_no_more_threads_than_help(tmp_path: Path) -> None:
    with open_media(make_media(tmp_path / "v.mkv", VideoTrack(seconds=0.2)), 64) as media:
        assert media.video is not None and media.video.codec_context.thread_count == 16


def test_media_longer_than_allowed_are_a_failure(tmp_path: Path, encoder) -> None:
    path = make_media(tmp_path / "v.mkv", VideoTrack(seconds=5.0), AudioTrack(5.0))
    assert len(encoder.embed(path, max_duration=5.0)) == 3
    with pytest.raises(MediaError, match="longer than the 3 s that max_duration allows") as caught:
        encoder.embed(path, max_duration=3)
    assert caught.value.reason == "too_long"
    # A part of it may be taken all the same.
    assert len(encoder.embed(path, max_duration=3, end=2.0)) == 1
    (failure,) = encoder.embed_many([path], max_duration=3)
    assert isinstance(failure, Failure) and failure.reason == "too_long"
    rows = encoder.stream(path, max_duration=3)
    assert next(rows).start == 0
    with pytest.raises(MediaError, match="max_duration"):
        list(rows)


def test_a_long_last_picture_counts(tmp_path: Path) -> None:
    path = make_media(tmp_path / "v.mp4", VideoTrack(times=[0.0, 100.0]))
    with pytest.raises(MediaError, match="max_duration"):
        decode(path, max_duration=50)


def test_a_file_that_takes_too_long_is_a_failure(tmp_path: Path) -> None:
    path = make_media(tmp_path / "v.mkv", VideoTrack(seconds=5.0))
    with pytest.raises(MediaError, match="took longer than the timeout of 1e-06 s") as caught:
        decode(path, timeout=1e-6)
    assert caught.value.reason == "timeout"
    assert decode(path, timeout=1000).frames is not None


def test_a_pipe_that_falls_silent_ends_with_the_time(clip: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as source:
        # Less than a pipe holds: nobody has to read it.
        source.write(clip.read_bytes()[:3000])
        source.flush()
        begun = time.monotonic()
        with open(reading, "rb", buffering=0) as file, pytest.raises(MediaError) as caught:  # noqa: PTH123
            decode(file, timeout=0.5)
        assert caught.value.reason == "timeout" and time.monotonic() - begun < 60
    assert threading.active_count() < 20


def two_tracks(path: Path) -> Path:
    """Two pictures and two sounds; the second ones are others."""
    sounds = [chirps(0), chirps(5)]
    with av.open(str(path), "w") as target:
        video = [target.add_stream("mpeg4", rate=25) for _ in range(2)]
        audio = [target.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in range(2)]
        for stream in video:
            stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for number, stream in enumerate(video):
            for k in range(50):
                frame = av.VideoFrame.from_ndarray(moving_square(seed=number)(k / 25), format="rgb24")
                for packet in stream.encode(frame):
                    target.mux(packet)
            for packet in stream.encode(None):
                target.mux(packet)
        for number, stream in enumerate(audio):
            samples = np.round(sounds[number](np.arange(32_000) / 16_000) * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = 16_000
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                target.mux(packet)
    return path


def test_tracks_are_counted_from_0(tmp_path: Path) -> None:
    path = two_tracks(tmp_path / "v.mkv")
    for track, sound in ((0, chirps(0)), (1, chirps(5))):
        found = decode(path, audio_track=track, video_track=track)
        assert found.waveform is not None and found.frames is not None
        expected = sound(np.arange(32_000) / 16_000)
        assert np.corrcoef(found.waveform[: len(expected)], expected[: len(found.waveform)])[0, 1] > 0.99
    first, second = (decode(path, video_track=track).frames for track in (0, 1))
    assert first is not None and second is not None and not np.array_equal(first, second)
    np.testing.assert_array_equal(decode(path).waveform, decode(path, audio_track=0).waveform)


def test_a_track_that_is_not_there_is_a_failure(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(MediaError, match="has no audio track 1; it has 1, counted from 0") as caught:
        decode(clip, audio_track=1)
    assert caught.value.reason == "no_streams"
    sound = make_media(tmp_path / "a.wav", None, AudioTrack(1.0, codec="pcm_s16le"))
    with pytest.raises(MediaError, match="there is no video"):
        decode(sound, video_track=0)


@pytest.mark.parametrize(
    "rules",
    [
        {"max_pixels": 0},
        {"max_duration": -1},
        {"max_duration": float("nan")},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": "1"},
        {"audio_track": -1},
        {"video_track": 1.5},
        {"video_track": True},
    ],
)
def test_rules_that_cannot_be_are_refused(rules: dict, clip: Path, encoder) -> None:
    with pytest.raises(ArgumentError, match=next(iter(rules))):
        Rules(**rules)
    with pytest.raises(ArgumentError):
        encoder.embed(clip, **rules)
    with pytest.raises(ArgumentError):
        encoder.embed_many([clip], **rules)
    with pytest.raises(ArgumentError):
        encoder.stream(clip, **rules)
    assert probe(clip).audio is not None

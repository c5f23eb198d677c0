from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

import avfeat
from avfeat import ArgumentError, BundleError, Embedding, Encoder, Failure, MediaError
from avfeat.grid import Grid
from avfeat.media import Decoded, decode

ROWS = ("start", "end", "video", "audio", "video_shared", "audio_shared", "has_video", "has_audio")


def assert_same(a: Embedding, b: Embedding, tolerance: float = 0.0) -> None:
    for name in ROWS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=0, atol=tolerance, err_msg=name)


def decoded_for(encoder: Encoder, path: Path) -> Decoded:
    """What the encoder sees and hears of a file."""
    video, rate = encoder.bundle.video, encoder.bundle.audio.rate
    return decode(path, fps=round(video.fps), size=video.size, sample_rate=rate, aspect=video.aspect)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a.astype(np.float64) - b))


def test_rows_are_what_the_contract_says(encoder: Encoder, clip: Path) -> None:
    found = encoder.embed(clip)
    n = Grid.from_seconds(2.0).count(5_300_000)
    assert len(found) == n == 3
    assert found.start.dtype == found.end.dtype == np.float64
    np.testing.assert_array_equal(found.end, found.start + 2.0)
    for modality in ("video", "audio"):
        graph = encoder.bundle.graph(modality)
        for name, port in ((modality, graph.features), (f"{modality}_shared", graph.shared)):
            rows = getattr(found, name)
            assert rows.dtype == np.float32 and rows.shape == (n, port.shape[1]) and np.isfinite(rows).all()
    for rows in (found.video_shared, found.audio_shared):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert found.has_video.dtype == found.has_audio.dtype == np.bool_
    assert found.has_video.all() and found.has_audio.all()
    assert found.duration == pytest.approx(5.3, abs=0.03) and not found.damaged
    assert found.pooled().shape == (found.video.shape[1] + found.audio.shape[1],)
    assert found.bundle == encoder.bundle.sha256


@pytest.mark.parametrize("times", [{}, {"hop": 0.5}, {"hop": 0.37, "start": -1.0}, {"start": 1.0, "end": 4.5}])
def test_stream_equals_embed(encoder: Encoder, other_clip: Path, times: dict[str, float]) -> None:
    whole = encoder.embed(other_clip, **times)
    rows = list(encoder.stream(other_clip, **times))
    assert len(rows) == len(whole)
    for row, expected in zip(rows, whole.windows(), strict=True):
        for name in ROWS:
            np.testing.assert_allclose(getattr(row, name), getattr(expected, name), rtol=0, atol=1e-5)


@pytest.mark.parametrize("hop", [None, 0.5, 1.0])
def test_embed_equals_embed_arrays_of_what_media_decodes(
    encoder: Encoder, clip: Path, other_clip: Path, hop: float | None
) -> None:
    for path in (clip, other_clip):
        decoded = decoded_for(encoder, path)
        from_arrays = encoder.embed_arrays(
            decoded.frames,
            decoded.fps,
            decoded.waveform,
            decoded.sample_rate,
            hop=hop,
            duration=decoded.duration,
        )
        assert_same(encoder.embed(path, hop=hop), from_arrays, 1e-5)


def test_arrays_of_any_size_and_rate_come_close_to_the_file(encoder: Encoder, tmp_path: Path) -> None:
    path = make_media(
        tmp_path / "v.mkv",
        VideoTrack(picture=moving_square(320, 240), options=(("crf", "1"), ("preset", "ultrafast"))),
        AudioTrack(codec="flac"),
    )
    decoded = decode(path, fps=25, size=None, sample_rate=44_100)
    whole = encoder.embed(path)
    arrays = encoder.embed_arrays(decoded.frames, 25, decoded.waveform, 44_100)
    assert decoded.frames is not None and decoded.waveform is not None
    negative = 255 - decoded.frames
    other = encoder.embed_arrays(negative, 25, decoded.waveform[::-1].copy(), 44_100)
    for name in ("video", "audio"):
        near = distance(getattr(whole, name), getattr(arrays, name))
        assert near < 0.1 * distance(getattr(whole, name), getattr(other, name))


def test_a_missing_stream_is_masked_zeros(encoder: Encoder, tmp_path: Path) -> None:
    silent = encoder.embed(make_media(tmp_path / "v.mp4", VideoTrack()))
    blind = encoder.embed(make_media(tmp_path / "a.mp4", None, AudioTrack()))
    both = encoder.embed(make_media(tmp_path / "b.mp4", VideoTrack(), AudioTrack()))
    assert len(silent) == len(blind) == len(both) == 2
    assert not silent.has_audio.any() and not silent.audio.any() and not silent.audio_shared.any()
    assert not blind.has_video.any() and not blind.video.any() and not blind.video_shared.any()
    np.testing.assert_allclose(silent.video, both.video, atol=1e-5)
    np.testing.assert_allclose(blind.audio, both.audio, atol=1e-5)
    decoded = decoded_for(encoder, tmp_path / "b.mp4")
    assert_same(silent, encoder.embed_arrays(decoded.frames, decoded.fps, None, None), 1e-5)
    assert_same(blind, encoder.embed_arrays(None, None, decoded.waveform, decoded.sample_rate), 1e-5)


def test_a_shorter_stream_is_masked_only_where_it_is_over(encoder: Encoder, tmp_path: Path) -> None:
    path = make_media(tmp_path / "v.mp4", VideoTrack(seconds=3.0), AudioTrack(seconds=8.0))
    found = encoder.embed(path)
    assert found.has_video.tolist() == [True, True, False, False]
    assert found.has_audio.all()


def test_different_clips_differ_and_a_reencoded_one_stays_close(encoder: Encoder, tmp_path: Path) -> None:
    def clip(name: str, seed: int, crf: str, rate: int, suffix: str = ".mp4") -> Embedding:
        video = VideoTrack(picture=moving_square(160, 120, seed), options=(("crf", crf), ("preset", "ultrafast")))
        return encoder.embed(
            make_media(tmp_path / f"{name}{suffix}", video, AudioTrack(rate=rate, sound=chirps(seed)))
        )

    original, again = clip("a", 1, "12", 44_100), clip("b", 1, "26", 48_000, ".mkv")
    others = [clip(f"c{seed}", seed, "12", 44_100) for seed in (2, 3, 4)]
    for name in ("video", "audio", "video_shared", "audio_shared"):
        rows = getattr(original, name)
        apart = min(distance(rows, getattr(other, name)) for other in others)
        assert distance(rows, getattr(again, name)) < 0.8 * apart


def test_damaged_media_is_embedded_and_marked(
    encoder: Encoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = make_media(tmp_path / "v.ts", VideoTrack(seconds=6.0), AudioTrack(seconds=6.0))
    data = whole.read_bytes()
    cut = tmp_path / "cut.ts"
    cut.write_bytes(data[: int(len(data) * 0.6)])
    found = encoder.embed(cut)
    assert found.damaged and found.damage
    assert 2.5 < found.duration < 4.5
    np.testing.assert_allclose(found.video[0], encoder.embed(whole).video[0], atol=1e-5)
    assert "cut.ts: damaged" in caplog.text
    with pytest.raises(MediaError) as caught:
        encoder.embed(cut, strict=True)
    assert caught.value.reason == "damaged"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
def test_a_file_that_ends_early_is_damaged(encoder: Encoder, tmp_path: Path, suffix: str) -> None:
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    sound = "pcm_s16le" if suffix == ".avi" else "aac"
    track = VideoTrack(seconds=8.0, codec=codec, options=())
    whole = make_media(tmp_path / f"v{suffix}", track, AudioTrack(seconds=8.0, codec=sound))
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    found = encoder.embed(cut)
    assert found.damaged and len(found) < len(encoder.embed(whole))
    assert not encoder.embed(whole).damaged


def test_flipped_bits_are_damage(encoder: Encoder, tmp_path: Path) -> None:
    data = bytearray(make_media(tmp_path / "v.mp4", VideoTrack(), AudioTrack()).read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    for k in range(60):
        data[middle + 37 * k] ^= 0xFF
    assert encoder.embed(bytes(data)).damaged


def test_embed_many_keeps_the_order_and_goes_on_after_failures(
    encoder: Encoder, clip: Path, other_clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_text("nothing" * 100)
    sources = [clip, tmp_path / "bad.mp4", other_clip, tmp_path / "gone.mp4", clip.read_bytes(), b""]
    results = list(encoder.embed_many(sources, workers=3))
    assert [r.reason if isinstance(r, Failure) else len(r) for r in results] == [
        3,
        "unreadable",
        2,
        "not_found",
        3,
        "empty",
    ]
    assert isinstance(results[0], Embedding) and isinstance(results[4], Embedding)
    assert_same(results[0], encoder.embed(clip), 1e-6)
    assert_same(results[0], results[4], 1e-6)


def test_embed_many_takes_sources_only_as_it_needs_them(encoder: Encoder, clip: Path) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield clip

    results = encoder.embed_many(endless(), workers=2)
    assert isinstance(next(results), Embedding)
    results.close()
    assert taken <= 6


def test_threads_may_share_an_encoder(encoder: Encoder, clip: Path, other_clip: Path) -> None:
    expected = {path: encoder.embed(path) for path in (clip, other_clip)}
    found: list[tuple[Path, Embedding]] = []
    threads = [
        threading.Thread(target=lambda p=path: found.append((p, encoder.embed(p))))
        for path in (clip, other_clip) * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    for path, embedding in found:
        assert_same(embedding, expected[path], 1e-6)


def test_an_encoder_travels_and_opens_again_on_arrival(encoder: Encoder, clip: Path) -> None:
    sent = pickle.dumps(encoder)
    # The settings travel, not the networks.
    assert len(sent) < 1000
    with pickle.loads(sent) as arrived:
        assert (arrived.threads, arrived.device, arrived.backend) == (encoder.threads, encoder.device, "onnx")
        assert arrived.bundle.sha256 == encoder.bundle.sha256
        assert_same(arrived.embed(clip), encoder.embed(clip))
    with pytest.raises(ArgumentError, match="closed"):
        pickle.dumps(arrived)


def test_live_input_gives_windows_before_it_ends(encoder: Encoder, tmp_path: Path) -> None:
    track = AudioTrack(seconds=30.0, codec="pcm_s16le", rate=16_000)
    data = make_media(tmp_path / "v.mkv", VideoTrack(seconds=30.0), track).read_bytes()
    read = 0

    class Live(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            nonlocal read
            piece = data[read : read + min(size, 4096)]
            read += len(piece)
            return piece

    windows = encoder.stream(Live())
    first = next(windows)
    assert first.has_video and first.has_audio
    assert read < 0.25 * len(data)
    assert len(list(windows)) == 14


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, None, None, None), "needs frames"),
        ((np.zeros((4, 8, 8), np.uint8), 8, None, None), "frames must be uint8"),
        ((np.zeros((4, 8, 8, 3), np.float32), 8, None, None), "frames must be uint8"),
        ((np.zeros((0, 8, 8, 3), np.uint8), 8, None, None), "frames must be uint8"),
        ((np.zeros((4, 8, 8, 3), np.uint8), None, None, None), "fps must be"),
        ((np.zeros((4, 8, 8, 3), np.uint8), 0, None, None), "fps must be"),
        ((None, None, np.zeros((2, 100), np.float32), 16_000), "mono"),
        ((None, None, np.zeros(100, np.int16), 16_000), "floating"),
        ((None, None, np.zeros(100, np.float32), None), "sample_rate must be"),
    ],
)
def test_arrays_of_another_kind_are_refused(encoder: Encoder, arguments: tuple, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        encoder.embed_arrays(*arguments)


def test_wrong_arguments_are_refused(encoder: Encoder, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="hop"):
        encoder.embed(clip, hop=0)
    with pytest.raises(ArgumentError, match="after start"):
        encoder.embed(clip, start=2.0, end=1.0)
    with pytest.raises(ArgumentError, match="workers"):
        encoder.embed_many([clip], workers=0)
    with pytest.raises(ArgumentError, match="source"):
        encoder.embed(42)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="threads"):
        avfeat.load(threads=0)
    with pytest.raises(BundleError, match="no such bundle"):
        avfeat.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "arguments",
    [
        {"sample_rate": 0.5},
        {"sample_rate": 3e9},
        {"sample_rate": "16000"},
        {"waveform": np.array([0.0, np.nan])},
        {"waveform": np.array([0.0, np.inf])},
        {"start": 1e14},
        {"hop": "1"},
        {"start": None},
        {"duration": -1.0},
    ],
)
def test_numbers_that_cannot_be_are_refused(encoder: Encoder, arguments: dict) -> None:
    values = {"waveform": np.zeros(16_000), "sample_rate": 16_000} | arguments
    with pytest.raises(ArgumentError, match=r"must|no numbers"):
        encoder.embed_arrays(None, None, values.pop("waveform"), values.pop("sample_rate"), **values)


def test_numbers_of_every_kind_are_taken(encoder: Encoder) -> None:
    rng = np.random.default_rng(0)
    frames, wave = rng.integers(0, 256, (60, 24, 32, 3), dtype=np.uint8), rng.uniform(-1, 1, 96_000)
    expected = encoder.embed_arrays(frames, 30.0, wave, 48_000, hop=1.0)
    found = encoder.embed_arrays(frames, np.float32(30), wave, np.int32(48_000), hop=np.float64(1))
    assert_same(expected, found)
    assert_same(expected, encoder.embed_arrays(frames, 30, 0 * wave + wave, 48_000.0, hop=1))


def test_loud_sound_is_clipped_at_every_rate(encoder: Encoder) -> None:
    for rate in (16_000, 48_000):
        loud = 1e30 * np.sign(np.sin(np.arange(2 * rate) / 50))
        assert np.isfinite(encoder.embed_arrays(None, None, loud, rate).audio).all()


def test_a_text_file_object_is_refused(encoder: Encoder) -> None:
    with pytest.raises(ArgumentError, match="binary mode"):
        encoder.embed(io.StringIO("text"))  # type: ignore[arg-type]


def test_a_stream_of_wrong_times_is_refused_at_once(encoder: Encoder, clip: Path) -> None:
    with pytest.raises(ArgumentError, match="hop"):
        encoder.stream(clip, hop=-1)


def test_closing_a_job_leaves_the_files_in_hand(encoder: Encoder, tmp_path: Path) -> None:
    data = make_media(tmp_path / "long.flac", None, AudioTrack(1200.0, 8_000, codec="flac")).read_bytes()
    read = 0

    class Counting(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal read
            piece = super().read(size)
            read += len(piece)
            return piece

    results = encoder.embed_many([tmp_path / "missing.mp4", Counting(data)], workers=2)
    assert isinstance(next(results), Failure)
    results.close()
    assert read < len(data)


def test_a_closed_encoder_says_so(clip: Path) -> None:
    with avfeat.load(device="cpu") as encoder:
        encoder.embed(clip)
    with pytest.raises(ArgumentError, match="closed"):
        encoder.embed(clip)


def test_windows_before_and_behind_the_media(encoder: Encoder, clip: Path) -> None:
    before = encoder.embed(clip, start=-3.0, end=1.0)
    assert before.start.tolist() == [-3.0, -1.0] and before.has_video.tolist() == [False, True]
    behind = encoder.embed(clip, start=60.0)
    assert len(behind) == 1 and not behind.has_video.any() and not behind.pooled().any()


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


def test_importing_touches_nothing_and_needs_no_torch() -> None:
    out = run_python(
        "import sys, logging, warnings, numpy, av; before = (list(logging.root.handlers), list(warnings.filters));"
        "import avfeat, threading; from avfeat import load, Encoder;"
        "assert before == (list(logging.root.handlers), list(warnings.filters));"
        "assert threading.active_count() == 1;"
        "print([m for m in ('torch', 'torchaudio', 'onnxruntime') if m in sys.modules])"
    )
    assert out.strip() == "[]"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="reads the peak from Linux' /proc")
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    peaks = []
    for seconds in (20.0, 240.0):
        path = make_media(
            tmp_path / f"{seconds}.mp4",
            VideoTrack(seconds=seconds, fps=Fraction(10), picture=moving_square(64, 48)),
            AudioTrack(seconds=seconds, rate=16_000),
        )
        out = run_python(
            "import avfeat, re; e = avfeat.load(device='cpu');"
            f"n = sum(1 for _ in e.stream({str(path)!r}));"
            "print(n, re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
        )
        windows, peak = map(int, out.split())
        assert windows == seconds / 2
        peaks.append(peak / 1024)
    assert peaks[1] < peaks[0] + 25


def test_still_windows_are_computed_once_and_correctly(encoder: Encoder) -> None:
    rng = np.random.default_rng(0)
    still, other = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    frames = np.stack([still] * 48 + [other] * 16 + [still] * 32)
    found = encoder.embed_arrays(frames, 8, None, None)
    alone = encoder.embed_arrays(np.stack([still] * 16), 8, None, None)
    new = encoder.embed_arrays(np.stack([other] * 16), 8, None, None)
    assert len(found) == 6
    for row, expected in zip(found.video, [alone, alone, alone, new, alone, alone], strict=True):
        np.testing.assert_allclose(row, expected.video[0], atol=1e-5)


def test_batches_give_what_single_windows_give(encoder: Encoder, clip: Path) -> None:
    from avfeat.encoder import _Runner
    from avfeat.media import media_windows

    spec = encoder.bundle
    frames = [w.frames for w in media_windows(clip, Grid.from_seconds(2.0, hop=0.5), spec.video, spec.audio)]
    inputs = [None, frames[0], frames[0], frames[1], None, frames[1], frames[2], frames[0]]
    batched = _Runner(spec, "video", encoder._sessions["video"]).rows(inputs)
    for value, (features, shared, dense) in zip(inputs, batched, strict=True):
        ((alone, alone_shared, _),) = _Runner(spec, "video", encoder._sessions["video"]).rows([value])
        assert dense is None
        np.testing.assert_allclose(features, alone, atol=1e-4)
        np.testing.assert_allclose(shared, alone_shared, atol=1e-4)

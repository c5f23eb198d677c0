from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media

from avfeat import Failure
from avfeat.evaluation.handcrafted import Handcrafted, colour_histogram, mfcc, mfcc_statistics


def test_a_histogram_is_that_of_counting() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    counts = np.zeros((4, 4, 4))
    for red, green, blue in frames.reshape(-1, 3):
        counts[red // 64, green // 64, blue // 64] += 1
    np.testing.assert_allclose(colour_histogram(frames), np.sqrt(counts.reshape(-1) / 128), rtol=1e-6)
    assert np.linalg.norm(colour_histogram(frames)) == pytest.approx(1)


def slow_mfcc(waveform: np.ndarray) -> np.ndarray:
    """Frame by frame, band by band."""

    def mel(frequency: float) -> float:
        return 2595 * np.log10(1 + frequency / 700)

    edges = [700 * (10 ** (mel(8000) * k / 41 / 2595) - 1) for k in range(42)]
    rows = []
    for begin in range(0, len(waveform) - 400 + 1, 160):
        frame = waveform[begin : begin + 400] * np.hanning(400)
        power = np.abs(np.fft.fft(frame, 512)[:257]) ** 2
        bands = []
        for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
            total = 0.0
            for k in range(257):
                frequency = k * 16_000 / 512
                if low < frequency <= middle:
                    total += power[k] * (frequency - low) / (middle - low)
                elif middle < frequency < high:
                    total += power[k] * (high - frequency) / (high - middle)
            bands.append(np.log(total + 1e-6))
        row = []
        for i in range(20):
            scale = np.sqrt((1 if i == 0 else 2) / 40)
            row.append(scale * sum(b * np.cos(np.pi / 40 * (j + 0.5) * i) for j, b in enumerate(bands)))
        rows.append(row)
    return np.array(rows)


def test_mfccs_are_those_of_the_definition() -> None:
    time = np.arange(2000) / 16_000
    noise = np.random.default_rng(0).normal(size=2000)
    waveform = (0.3 * np.sin(2 * np.pi * (400 + 3000 * time) * time) + 0.01 * noise).astype(np.float32)
    expected = slow_mfcc(waveform.astype(np.float64))
    np.testing.assert_allclose(mfcc(waveform), expected, atol=1e-8)
    changes = np.diff(expected, axis=0).std(0)
    statistics = np.concatenate([expected.mean(0), expected.std(0), changes])
    np.testing.assert_allclose(mfcc_statistics(waveform), statistics, atol=1e-4)


def test_a_baseline_embeds_on_the_grid_of_the_encoder(clip: Path, encoder, tmp_path: Path) -> None:
    files = [clip, tmp_path / "gone.mp4", clip]
    first, failure, second = Handcrafted(2.0).embed_many(files, hop=1.0, start=-0.5, workers=2)
    expected = encoder.embed(clip, hop=1.0, start=-0.5)
    np.testing.assert_array_equal(first.start, expected.start)
    np.testing.assert_array_equal(first.end, expected.end)
    np.testing.assert_array_equal(first.has_audio, expected.has_audio)
    assert first.duration == expected.duration
    assert first.video.shape == (len(expected), 64)
    assert first.audio.shape == (len(expected), 60)
    assert isinstance(failure, Failure)
    np.testing.assert_array_equal(first.audio, second.audio)


def test_what_is_not_there_is_zeros_of_the_same_width(tmp_path: Path) -> None:
    sound = make_media(tmp_path / "a.wav", None, AudioTrack(2.0, 16_000, codec="pcm_s16le"))
    silent = make_media(tmp_path / "v.mkv", VideoTrack(seconds=2.0))
    heard, seen = Handcrafted(1.0).embed_many([sound, silent], hop=1.0, start=0.0, workers=1)
    assert heard.video.shape == seen.video.shape == (2, 64)
    assert heard.audio.shape == seen.audio.shape == (2, 60)
    assert not heard.video.any() and not heard.has_video.any() and heard.audio.any(1).all()
    assert not seen.audio.any() and not seen.has_audio.any() and seen.video.any(1).all()

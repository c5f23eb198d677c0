"""Layouts that FFmpeg has no way to mix are heard all the same."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from avfeat.media import decode
from avfeat.media.audio import AudioPlacer

RATE = 16_000


def tone(seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)


def wav(channels: np.ndarray) -> bytes:
    """Bytes of a WAV of 16 bits; ``channels``: (n, samples)."""
    samples = np.round(channels.T * 32767).astype("<i2").tobytes()
    count = len(channels)
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, count, RATE,
                       RATE * 2 * count, 2 * count, 16)  # fmt: skip
    return head + b"data" + struct.pack("<I", len(samples)) + samples


@pytest.mark.parametrize("count", [3, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 23, 24, 25, 33, 60, 64])
def test_any_number_of_channels_is_heard(count: int) -> None:
    found = decode(wav(np.tile(tone(), (count, 1))))
    assert found.waveform is not None and not found.damaged
    assert np.abs(found.waveform).max() > 0.2
    assert np.corrcoef(found.waveform[1000:15000], tone()[1000:15000])[0, 1] > 0.99


@pytest.mark.parametrize("count", [9, 11, 13, 60])
def test_channels_without_a_matrix_are_their_mean(count: int) -> None:
    channels = np.zeros((count, RATE))
    channels[count - 1] = tone()
    waveform = decode(wav(channels)).waveform
    assert waveform is not None
    np.testing.assert_allclose(waveform, tone() / count, atol=2e-4)


def opus(layout: str) -> bytes:
    """A WebM of ambisonics: all channels but the first hold the tone upside down."""
    count = av.AudioLayout(layout).nb_channels
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as target:
        stream = target.add_stream("libopus", rate=48_000, layout=layout, options={"mapping_family": "2"})
        stream.bit_rate = 64_000 * count
        wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
        for begin in range(0, 48_000, 960):
            samples = np.tile(wave[begin : begin + 960, None], (1, count)).astype(np.float32)
            samples[:, 1:] *= -1
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
            frame.sample_rate, frame.pts = 48_000, begin
            for packet in stream.encode(frame):
                target.mux(packet)
        for packet in stream.encode(None):
            target.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("layout", ["ambisonic 1", "ambisonic 2", "ambisonic 3"])
def test_ambisonics_are_heard_by_their_first_channel(layout: str) -> None:
    found = decode(opus(layout))
    assert found.waveform is not None and not found.damaged
    assert np.corrcoef(found.waveform[2000:14000], tone()[2000:14000])[0, 1] > 0.99


@pytest.mark.parametrize("form", ["flt", "s16", "s32", "dbl"])
@pytest.mark.parametrize("layout", ["ambisonic 2", "11 channels"])
def test_every_sample_format_is_mixed(layout: str, form: str) -> None:
    kind, scale = {"flt": ("f4", 1.0), "dbl": ("f8", 1.0), "s16": ("i2", 2.0**15), "s32": ("i4", 2.0**31)}[form]
    channels = np.zeros((av.AudioLayout(layout).nb_channels, 1600))
    channels[0] = 0.9 * tone(0.1)
    samples = np.ascontiguousarray((channels.T.reshape(1, -1) * scale).astype(kind))
    frame = av.AudioFrame.from_ndarray(samples, format=form, layout=layout)
    frame.sample_rate = RATE
    placer = AudioPlacer(RATE)
    heard = np.concatenate([part.samples for part in [*placer.push(Fraction(0), frame), *placer.flush()]])
    gain = 1 if layout.startswith("ambisonic") else 1 / 11
    np.testing.assert_allclose(heard, channels[0] * gain, atol=1e-4)


def test_channels_of_a_contradicting_header_are_not_mixed() -> None:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 9 * 100), np.int16), format="s16", layout="9 channels")
    frame.sample_rate = RATE
    with pytest.raises(av.error.FFmpegError):
        list(AudioPlacer(RATE, mixes=False).push(Fraction(0), frame))

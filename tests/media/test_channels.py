"""Layouts that FFmpeg has no way to mix are heard all the same."""

from __future__ import annotations

import struct

import av
import numpy as np
import pytest

from avfeat.media import decode
from avfeat.media.channels import one_channel
from avfeat.media.sound import SoundPlacer

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


@pytest.mark.parametrize("layout", ["ambisonic 1", "ambisonic 2", "ambisonic 3"])
@pytest.mark.parametrize("form", ["flt", "fltp", "s16", "s16p", "s32p", "dbl"])
def test_ambisonics_are_heard_by_their_first_channel(layout: str, form: str) -> None:
    scale = {"flt": 1.0, "dbl": 1.0, "s16": 32767.0, "s32": 2147483647.0}[form.removesuffix("p")]
    kind = {"flt": "f4", "dbl": "f8", "s16": "i2", "s32": "i4"}[form.removesuffix("p")]
    count = av.AudioLayout(layout).nb_channels
    channels = np.vstack([tone(0.1), *[-tone(0.1)] * (count - 1)]) * scale
    if not form.endswith("p"):
        channels = channels.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels.astype(kind)), format=form, layout=layout)
    frame.sample_rate = RATE
    mono = one_channel(frame)
    assert (mono.format.name, mono.layout.name, mono.sample_rate) == ("s32p", "mono", RATE)
    np.testing.assert_allclose(mono.to_ndarray()[0] / 2.0**31, tone(0.1), atol=1e-4)


def test_channels_of_a_contradicting_header_are_not_mixed() -> None:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 9 * 100), np.int16), format="s16", layout="9 channels")
    frame.sample_rate = RATE
    with pytest.raises(av.error.FFmpegError):
        list(SoundPlacer(RATE, mixes=False).push(0, frame))  # type: ignore[arg-type]

"""What the gate compares: its inputs, its scale, its front end, its devices."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from exporting import SPECS

from avfeat.export.errors import ExportError
from avfeat.export.media import ClipWindows
from avfeat.export.parity.gate import devices
from avfeat.export.parity.probes import ParityInput, golden_inputs, median_distance, probes, random_probes
from avfeat.export.parity.reference import spectrogram
from avfeat.export.window import WindowSpec
from avfeat.training.networks.mel_resnet16 import wide_band

SPEC = SPECS["stretch"]


def test_the_median_distance_is_that_of_slow_loops() -> None:
    rng = np.random.default_rng(0)
    rows, clips = rng.standard_normal((9, 4)).astype(np.float32), np.array([0, 0, 1, 1, 1, 2, 3, 3, 4])
    apart = [
        float(np.sqrt(((rows[i] - rows[j]) ** 2).sum()))
        for i, j in itertools.combinations(range(9), 2)
        if clips[i] != clips[j]
    ]
    assert median_distance(rows, clips) == pytest.approx(np.median(apart), rel=1e-6)


def test_random_inputs_are_of_every_number_and_of_the_networks_size_and_others() -> None:
    found = random_probes(WindowSpec.from_pair(SPEC), np.random.default_rng(0))
    assert {probe.kind for probe in found} == {"random"}
    video, audio = ([probe.batch for probe in found if probe.modality == name] for name in ("video", "audio"))
    assert [len(batch) for batch in video] == [len(batch) for batch in audio] == [1, 2, 3, 7]
    assert all(batch.dtype == np.uint8 and batch.shape[1] == SPEC.frames for batch in video)
    sizes = [batch.shape[2:4] for batch in video]
    assert sizes[0] == (SPEC.size, SPEC.size) and len(set(sizes)) == 4
    assert any(high > wide for high, wide in sizes) and any(high < wide for high, wide in sizes)
    assert all(batch.dtype == np.float32 and np.abs(batch).max() <= 1 for batch in audio)
    assert min(batch.shape[1] for batch in audio) == 0.1 * SPEC.sample_rate
    assert len({batch.shape[1] for batch in audio}) == 4


def test_golden_inputs_are_one_window_of_each_of_two_videos() -> None:
    found = golden_inputs(WindowSpec.from_pair(SPEC))
    assert found["frames"].shape == (2, SPEC.frames, 36, 48, 3)
    assert found["waveform"].shape == (2, round(SPEC.seconds * SPEC.sample_rate))
    assert not np.array_equal(*found["frames"]) and not np.array_equal(*found["waveform"])


def test_every_window_is_compared_and_some_in_other_sizes(windows: ClipWindows) -> None:
    found = probes(windows, SPEC)

    def media(name: str) -> list[np.ndarray]:
        return [probe.batch for probe in found if (probe.modality, probe.kind) == (name, "media")]

    (*video, large, wide, high), (*audio, short, long) = media("video"), media("audio")
    np.testing.assert_array_equal(np.concatenate(video), windows.frames)
    np.testing.assert_array_equal(np.concatenate(audio), windows.waveform)
    assert [len(part) for part in video] == [len(part) for part in audio] == [1, 2, 3, 7, 3]
    np.testing.assert_array_equal(large[:, :, ::2, ::2], windows.frames[:1])
    np.testing.assert_array_equal(wide, windows.frames[-2:, :, 8:24])
    np.testing.assert_array_equal(high.transpose(0, 1, 3, 2, 4), wide)
    assert short.shape == (2, SPEC.sample_rate // 2) and windows.waveform.shape[1] < long.shape[1]
    assert [probe.modality for probe in found if probe.kind == "golden"] == ["video", "audio"]
    assert all(isinstance(probe, ParityInput) and len(probe.batch) for probe in found)


@pytest.mark.parametrize("rate", [32_000, 16_000])
def test_the_front_end_of_mel_resnet16_is_that_of_its_network(rate: int) -> None:
    mine = wide_band(rate)
    wave = 0.3 * torch.randn(1, rate, generator=torch.Generator().manual_seed(0))
    found = spectrogram(replace(SPEC, audio="mel_resnet16", sample_rate=rate))(wave[:, None])
    expected = (found + mine.floor).log().sub(mine.MEAN).div(mine.STD)
    torch.testing.assert_close(mine(wave), expected, rtol=1e-4, atol=1e-4)


def test_mel_resnet16_at_another_rate_is_refused() -> None:
    with pytest.raises(ExportError, match="at 32,000 Hz or 16,000 Hz; take one"):
        spectrogram(replace(SPEC, audio="mel_resnet16", sample_rate=24_000))


@pytest.mark.parametrize("cuda", [False, True])
def test_a_format_runs_where_its_own_package_does(cuda: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    providers = ["CPUExecutionProvider"] if cuda else ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    assert devices("onnx") == (["cpu"] if cuda else ["cpu", "cuda"])
    assert devices("torchscript") == devices("pt2") == (["cpu", "cuda"] if cuda else ["cpu"])

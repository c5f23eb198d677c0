from __future__ import annotations

import pytest
import torch
import torchaudio

from avfeat.training.networks.mel_resnet16 import MelResNet16, wide_band


def test_the_wide_band_spectrogram_is_torchaudios() -> None:
    mine = wide_band(32_000)
    reference = torchaudio.transforms.MelSpectrogram(
        32_000, n_fft=1024, win_length=800, hop_length=320, n_mels=128, f_max=15_000.0
    )
    wave = 0.3 * torch.randn(2, 16_001, generator=torch.Generator().manual_seed(0))
    expected = (torch.log(reference(wave) + mine.floor) - mine.MEAN) / mine.STD
    torch.testing.assert_close(mine(wave).squeeze(1), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("sample_rate", "bins"), [(32_000, 481), (16_000, 257)])
def test_no_frequency_above_its_bands_is_computed(sample_rate: int, bins: int) -> None:
    found = wide_band(sample_rate)
    assert found.bins == bins and found.basis.shape[0] == 2 * bins
    assert found.basis.shape[2] == sample_rate // 40 and found.mel.shape == (128, bins)


def test_maps_have_the_places_of_mobilenets_for_spectrograms() -> None:
    network = MelResNet16(heard=24, changes=8).eval()
    assert network.dim == 32
    x = torch.randn(2, 1, 128, 128)
    with torch.inference_mode():
        maps = network.maps(x)
        assert [tuple(one.shape[1:]) for one in maps] == [(64, 16, 16), (128, 8, 8), (192, 4, 4), (384, 4, 4)]
        features = network(x)
        assert features.shape == (2, 32)
        torch.testing.assert_close(features[:, :24], network.heard(maps[-1].mean((2, 3))))

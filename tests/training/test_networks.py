from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from avfeat.training.networks import PAIRS, EncoderPair, build_pair
from avfeat.training.networks.calibrate import calibrate_batch_norm
from avfeat.training.networks.encoder import Encoder
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.networks.temporal_shift import ShiftMobileNet, temporal_shift


def slow_shift(x: np.ndarray, frames: int, fold: int) -> np.ndarray:
    out = np.zeros_like(x)
    channels = x.shape[1]
    part = channels // fold
    for n in range(x.shape[0]):
        clip, t = divmod(n, frames)
        for c in range(channels):
            source = t - 1 if c < part else t + 1 if c < 2 * part else t
            if 0 <= source < frames:
                out[n, c] = x[clip * frames + source, c]
    return out


@given(st.integers(1, 3), st.integers(2, 6), st.sampled_from([8, 16, 19, 24]))
def test_the_shift_is_the_papers(batch: int, frames: int, channels: int) -> None:
    x = torch.randn(batch * frames, channels, 2, 3)
    np.testing.assert_array_equal(temporal_shift(x, frames).numpy(), slow_shift(x.numpy(), frames, 8))


@pytest.mark.parametrize("samples", [1600, 32_000, 48_001])
@pytest.mark.parametrize("settings", [{}, {"n_fft": 1024, "win_length": 1024, "n_mels": 80}])
def test_log_mel_is_torchaudios(samples: int, settings: dict[str, int]) -> None:
    values = {"n_fft": 512, "win_length": 400, "n_mels": 64} | settings
    mine = LogMel(**values)
    reference = torchaudio.transforms.MelSpectrogram(16_000, hop_length=160, **values)
    wave = 0.3 * torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
    expected = (torch.log(reference(wave) + mine.floor) - mine.MEAN) / mine.STD
    torch.testing.assert_close(mine(wave).squeeze(1), expected, rtol=1e-4, atol=1e-4)


def test_silence_is_finite() -> None:
    assert torch.isfinite(LogMel()(torch.zeros(1, 1600))).all()


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_pairs_have_the_stated_widths(name: str) -> None:
    pair, spec = build_pair(name).eval(), PAIRS[name]
    with torch.inference_mode():
        video, shared = pair.video(torch.rand(2, spec.frames, 3, spec.size, spec.size))
        audio, heard = pair.audio(LogMel()(0.1 * torch.randn(2, 32_000)))
    assert video.shape == audio.shape == (2, 512)
    assert shared.shape == heard.shape == (2, 256)
    torch.testing.assert_close(shared.norm(dim=1), torch.ones(2))


def test_the_order_of_frames_matters() -> None:
    torch.manual_seed(0)
    network = ShiftMobileNet()
    frames = torch.rand(4, 16, 3, 64, 64)
    calibrate_batch_norm(network, [frames])
    with torch.inference_mode():
        forward, backward = network(frames), network(frames.flip(1))
    assert (forward - backward).abs().max() > 0.05


def test_calibrated_features_have_unit_scale() -> None:
    torch.manual_seed(0)
    network = ShiftMobileNet()
    clips = torch.rand(16, 1, 3, 8, 8).repeat_interleave(16, 1).repeat_interleave(8, 3).repeat_interleave(8, 4)
    with torch.inference_mode():
        before = network.eval()(clips)
    momenta = [m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert calibrate_batch_norm(network, [clips]) == 1
    with torch.inference_mode():
        after = network(clips)
    assert before.std(0).mean() < 0.05
    assert 0.5 < after.std(0).mean() < 2 and not network.training
    assert momenta == [m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d)]


def test_calibration_needs_data() -> None:
    with pytest.raises(ValueError, match="at least one batch"):
        calibrate_batch_norm(nn.BatchNorm1d(3), [])


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(ValueError, match="did you mean 'mini'"):
        build_pair("mimi")
    with pytest.raises(ValueError, match="there are: mini, reference"):
        build_pair("zzzz")


def test_both_encoders_share_one_width() -> None:
    video, audio = ShiftMobileNet(), ShiftMobileNet()
    with pytest.raises(ValueError, match="one shared width"):
        EncoderPair(Encoder(video, 128), Encoder(audio, 256))

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from avfeat.errors import ArgumentError
from avfeat.training.networks import AUDIO_NETWORKS, PAIRS, VIDEO_NETWORKS, EncoderPair, PairSpec, build_pair
from avfeat.training.networks.calibrate import calibrate_batch_norm
from avfeat.training.networks.encoder import ModalityEncoder
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.networks.mel_resnet16 import MelResNet16
from avfeat.training.networks.registry import log_mel_of
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
        waves = 0.1 * torch.randn(2, round(spec.seconds * spec.sample_rate))
        audio, heard = pair.audio(log_mel_of(spec)(waves))
    dims = {"base": (1408, 512), "mini": (768, 768), "reference": (512, 512)}[name]
    assert video.shape == (2, dims[0]) and audio.shape == (2, dims[1])
    assert shared.shape == heard.shape == (2, 256)
    torch.testing.assert_close(shared.norm(dim=1), torch.ones(2))


def inputs(spec: PairSpec, batch: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of blocks, so that some contrast is left after all strides, and noise of different loudness."""
    clips = torch.rand(batch, spec.frames, 3, 4, 4).repeat_interleave(spec.size // 4, 3)
    waves = torch.randn(batch, 16_000) * torch.rand(batch, 1)
    return clips.repeat_interleave(spec.size // 4, 4), log_mel_of(spec)(waves)


@pytest.mark.parametrize(
    ("video", "audio", "dims"),
    [
        ("shift_resnet14", "mel_resnet14", (768, 768)),
        ("wide_shift_resnet14", "wide_mel_resnet14", (1536, 1536)),
        ("shift_mobilenet", "mel_mobilenet", (512, 512)),
        ("r2plus1d_18", "mel_resnet18", (512, 512)),
        ("r3d_18", "mel_resnet18", (512, 512)),
        ("mc3_18", "mel_resnet18", (512, 512)),
        ("s3d", "mel_resnet18", (1024, 512)),
        ("lite0_motion", "mel_resnet16", (1408, 512)),
        ("tiny_shift", "tiny_mel", (256, 256)),
    ],
)
def test_calibrated_networks_tell_clips_apart_at_unit_scale(video: str, audio: str, dims: tuple[int, int]) -> None:
    torch.manual_seed(0)
    spec = PairSpec(video, audio, seconds=1, size=max(32, VIDEO_NETWORKS[video].size))
    pair = build_pair(spec)
    for encoder, dim, x in zip((pair.video, pair.audio), dims, inputs(spec), strict=True):
        calibrate_batch_norm(encoder.backbone, [x])
        with torch.inference_mode():
            features, alone = encoder.eval().backbone(x), encoder.backbone(x[1:2])
        assert features.shape == (8, dim) and encoder.dim == dim
        # Without a norm at the end, its scale comes from what it learns.
        least = 0.05 if isinstance(encoder.backbone, MelResNet16) else 0.5
        assert least < features.std(0).mean() < 2
        torch.testing.assert_close(alone, features[1:2], rtol=1e-3, atol=1e-3)


def test_every_network_is_tried_above() -> None:
    (mark,) = test_calibrated_networks_tell_clips_apart_at_unit_scale.pytestmark  # type: ignore[attr-defined]
    assert {row[0] for row in mark.args[1]} == set(VIDEO_NETWORKS)
    assert {row[1] for row in mark.args[1]} == set(AUDIO_NETWORKS)


@pytest.mark.parametrize("name", sorted(VIDEO_NETWORKS))
def test_the_order_of_frames_matters(name: str) -> None:
    torch.manual_seed(0)
    network = VIDEO_NETWORKS[name].build(PairSpec(name, "tiny_mel"))
    size = max(32, VIDEO_NETWORKS[name].size)
    frames = torch.rand(4, 16, 3, size, size)
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
    with pytest.raises(ValueError, match="there are: base, mini, reference"):
        build_pair("zzzz")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            PairSpec("shift_mobilnet", "mel_mobilenet"),
            "no video network 'shift_mobilnet'; did you mean 'shift_mobilenet'",
        ),
        (PairSpec("s3d", "mel_resnet"), "no audio network 'mel_resnet'; did you mean 'mel_resnet18'"),
        (PairSpec("s3d", "mel_resnet18", seconds=0.5), "'s3d' needs 5 frames of 17 pixels or more, not 4 of 112;"),
        (PairSpec("s3d", "mel_resnet18", size=16), "'s3d' needs 5 frames of 17 pixels or more, not 16 of 16;"),
    ],
)
def test_pairs_that_cannot_be_are_refused(spec: PairSpec, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build_pair(spec)


def test_the_least_windows_are_the_least_that_run() -> None:
    network = VIDEO_NETWORKS["s3d"]
    spec = PairSpec("s3d", "tiny_mel", seconds=0.5, fps=2 * network.frames, size=network.size)
    backbone = build_pair(spec).video.backbone.eval()
    for frames, size, fits in ((5, 17, True), (4, 17, False), (5, 16, False)):
        clip = torch.rand(1, frames, 3, size, size)
        if fits:
            assert torch.isfinite(backbone(clip)).all()
        else:
            with pytest.raises(RuntimeError, match="too small"):
                backbone(clip)


@pytest.mark.parametrize("name", sorted(VIDEO_NETWORKS.keys() - {"s3d"}))
def test_other_networks_take_one_frame_of_the_smallest_size(name: str) -> None:
    backbone = VIDEO_NETWORKS[name].build(PairSpec(name, "tiny_mel", seconds=1, fps=1)).eval()
    size = VIDEO_NETWORKS[name].size
    with torch.inference_mode():
        assert torch.isfinite(backbone(torch.rand(1, 1, 3, size, size))).all()


@pytest.mark.parametrize("name", ["shift_mobilenet", "s3d"])
def test_statistics_follow_short_trainings(name: str) -> None:
    pair = build_pair(PairSpec(name, "mel_mobilenet"))
    layers = [m for m in pair.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d))]
    assert len(layers) > 80 and {layer.momentum for layer in layers} == {0.1}


def test_a_shift_is_the_same_in_every_memory_format() -> None:
    x = torch.rand(2 * 5, 16, 3, 4)
    by_hand = x.unflatten(0, (2, 5)).clone()
    by_hand[:, 1:, :2], by_hand[:, :1, :2] = x.unflatten(0, (2, 5))[:, :-1, :2], 0
    by_hand[:, :-1, 2:4], by_hand[:, -1:, 2:4] = x.unflatten(0, (2, 5))[:, 1:, 2:4], 0
    last = temporal_shift(x.contiguous(memory_format=torch.channels_last), 5)
    assert torch.equal(temporal_shift(x, 5), by_hand.flatten(0, 1))
    assert torch.equal(last, by_hand.flatten(0, 1)) and last.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("prefix", "changes"), [("", 512), ("wide_", 1024)])
def test_residual_pairs_have_one_pathway_for_what_changes_and_one_for_what_stays(prefix: str, changes: int) -> None:
    torch.manual_seed(0)
    pair = build_pair(PairSpec(f"{prefix}shift_resnet14", f"{prefix}mel_resnet14", size=32))
    frames, waves = torch.rand(8, 16, 3, 32, 32), LogMel()(torch.randn(8, 16_000))
    # Other scenery behind the same motion, another microphone for the same sound.
    scenery, microphone = torch.rand(1, 1, 3, 32, 32), torch.rand(1, 1, 64, 1)
    for backbone, x, stays in ((pair.video.backbone, frames, scenery), (pair.audio.backbone, waves, microphone)):
        calibrate_batch_norm(backbone, [x])
        with torch.inference_mode():
            before, after = backbone(x), backbone(x + stays)
        torch.testing.assert_close(before[:, :changes], after[:, :changes], rtol=1e-3, atol=1e-3)
        assert (before[:, changes:] - after[:, changes:]).abs().mean() > 0.05


def test_both_encoders_share_one_width() -> None:
    video, audio = ShiftMobileNet(), ShiftMobileNet()
    with pytest.raises(ValueError, match="one shared width"):
        EncoderPair(ModalityEncoder(video, 128), ModalityEncoder(audio, 256))

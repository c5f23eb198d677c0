from __future__ import annotations

import copy
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from making import moving_square
from PIL import Image

from avfeat.export.parity.reference import resize_frames, triangle
from avfeat.export.raw import HalfEncoder, RawVideo, stages
from avfeat.media import Aspect
from avfeat.media.scaler import PictureScaler
from avfeat.training.networks import ModalityEncoder, PairSpec, build_pair
from avfeat.training.networks.registry import AUDIO_NETWORKS, VIDEO_NETWORKS

SIZES = [(32, 32), (40, 90), (90, 40), (17, 33), (240, 135), (131, 47), (16, 300)]


class Echo(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


def in_graph(frames: np.ndarray, size: int, aspect: Aspect) -> np.ndarray:
    pictures, _ = RawVideo(Echo(), size, aspect)(torch.from_numpy(frames)[None])
    return pictures[0].permute(0, 2, 3, 1).numpy()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (2, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("aspect", ["stretch", "crop"])
def test_frames_of_the_networks_size_pass_unchanged(aspect: Aspect) -> None:
    frames = noise(112, 112)
    np.testing.assert_allclose(in_graph(frames, 112, aspect), frames / 255, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("aspect", ["stretch", "crop"])
def test_equals_the_reference(aspect: Aspect, height: int, width: int) -> None:
    frames = noise(height, width)
    expected = resize_frames(frames, 32, aspect == "crop")
    np.testing.assert_allclose(in_graph(frames, 32, aspect), expected, rtol=0, atol=3e-5)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_reference_is_pillows_filter(height: int, width: int) -> None:
    picture = np.random.default_rng(0).random((height, width)).astype(np.float32)
    expected = np.asarray(Image.fromarray(picture, "F").resize((32, 24), Image.Resampling.BILINEAR))
    found = triangle(height, 24) @ picture @ triangle(width, 32).T
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(72, 96), (96, 72), (90, 40), (64, 200), (45, 161)])
@pytest.mark.parametrize("aspect", ["stretch", "crop"])
def test_close_to_what_decoding_gives(aspect: Aspect, height: int, width: int) -> None:
    # swscale rounds to bytes in between, and places its filter on its own grid: closeness, not equality. A crop
    # that is off by a pixel, or of the wrong side, is far beyond.
    picture = moving_square(width, height, 3)(0.2)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame.time_base = Fraction(1, 25)
    decoded = PictureScaler(32, aspect)(frame) / 255
    difference = np.abs(in_graph(picture[None], 32, aspect)[0] - decoded)
    assert difference.mean() < 0.01


SLOW = ("mc3_18", "r2plus1d_18", "r3d_18", "s3d")
"""Convolutions over time in float16 take a CPU many seconds."""


@pytest.mark.parametrize(
    ("video", "kept"),
    [
        pytest.param(name, kept, marks=[pytest.mark.nightly] if name in SLOW else [])
        for name in sorted(VIDEO_NETWORKS)
        for kept in ((0,) if name in SLOW else (0, 2))
    ],
)
def test_a_half_video_encoder_is_near_the_whole_one(video: str, kept: int) -> None:
    torch.manual_seed(0)
    size = max(64, VIDEO_NETWORKS[video].size)
    pair = build_pair(PairSpec(video, "tiny_mel", size=size), published=False)
    check_half(pair.video, (1 if video in SLOW else 2, 16, 3, size, size), kept)


@pytest.mark.parametrize("audio", sorted(AUDIO_NETWORKS))
@pytest.mark.parametrize("kept", [0, 2])
def test_a_half_audio_encoder_is_near_the_whole_one(audio: str, kept: int) -> None:
    torch.manual_seed(0)
    check_half(build_pair(PairSpec("tiny_shift", audio), published=False).audio, (2, 1, 64, 201), kept)


VANISHING = 1e-4
"""Deep networks whose statistics nobody has calibrated give next to nothing, too little for float16."""


def check_half(encoder: ModalityEncoder, shape: tuple[int, ...], kept: int) -> None:
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    encoder.eval()
    before = copy.deepcopy(encoder.state_dict())
    half = HalfEncoder(encoder, kept).eval()
    with torch.no_grad():
        features, shared = half(x)
        wanted, wanted_shared = encoder(x)
    assert features.dtype == shared.dtype == torch.float32
    if wanted.abs().max() > VANISHING:
        assert (features - wanted).abs().max() <= 0.02 * wanted.abs().max()
        assert (shared - wanted_shared).norm(dim=1).max() <= 0.02
    assert not torch.equal(features, wanted)
    # The original is another one; of the copy, all stages but the first ones are in float16, and nothing else.
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    names = stages(encoder.backbone)
    assert len(names) > kept
    for place, name in enumerate(names):
        kinds = {one.dtype for one in half.backbone.get_submodule(name).parameters()}
        assert kinds == {torch.float32 if place < kept else torch.float16}
    outside = [name for name, _ in encoder.backbone.named_parameters() if not name.startswith(tuple(names))]
    assert all(half.backbone.get_parameter(name).dtype == torch.float32 for name in outside)

"""Resampling in the graph against Pillow and torchvision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from foreign import picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.models.video import R3D_18_Weights
from torchvision.transforms import CenterCrop, Resize

from avfeat.export.backbones import Look
from avfeat.export.backbones.resample import Resample

NOTHING = ((0.0,) * 3, (1.0,) * 3)


def resample(look: Look, frame: np.ndarray) -> np.ndarray:
    found = Resample(look)(torch.from_numpy(frame)[None])
    assert found.shape == (1, 3, *look.crop)
    return found[0].permute(1, 2, 0).numpy()


def near(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Within one level of 255 everywhere, and equal for most.

    Libraries round by coefficients of fixed point, and Pillow chooses which side is scaled first.
    """
    away = np.abs(found - wanted.astype(np.float32))
    return away.max() <= 1 and away.mean() < 0.3


@settings(max_examples=30)
@given(
    height=st.integers(16, 150),
    width=st.integers(16, 150),
    size=st.tuples(st.integers(8, 60), st.integers(8, 60)),
    kernel=st.sampled_from(["bilinear", "bicubic", "lanczos"]),
)
def test_stretched_it_is_pillows(height: int, width: int, size: tuple[int, int], kernel: str) -> None:
    frame = picture(height, width)
    wanted = Image.fromarray(frame).resize(size[::-1], Image.Resampling[kernel.upper()])
    assert near(resample(Look(size, size, kernel, *NOTHING), frame), np.asarray(wanted))


@settings(max_examples=30)
@given(height=st.integers(16, 200), width=st.integers(16, 200), short=st.integers(20, 60), less=st.integers(0, 12))
def test_cropped_it_is_torchvisions(height: int, width: int, short: int, less: int) -> None:
    frame, kept = picture(height, width), short - less
    transform = [Resize(short), CenterCrop(kept)]
    wanted = Image.fromarray(frame)
    for step in transform:
        wanted = step(wanted)
    assert near(resample(Look(short, (kept, kept), "bilinear", *NOTHING), frame), np.asarray(wanted))


@pytest.mark.parametrize(("height", "width"), [(90, 160), (240, 135), (200, 200), (64, 48)])
def test_without_antialiasing_it_is_that_of_a_video_network(height: int, width: int) -> None:
    preset = R3D_18_Weights.KINETICS400_V1.transforms()
    mean, std = (torch.tensor(values).reshape(3, 1, 1, 1) for values in (preset.mean, preset.std))
    frame = picture(height, width)
    clip = torch.from_numpy(frame).permute(2, 0, 1)[None]
    wanted = ((preset(clip) * std + mean) * 255).squeeze(1).permute(1, 2, 0).numpy()
    look = Look((128, 171), (112, 112), "bilinear", *NOTHING, antialias=False)
    assert near(resample(look, frame), wanted.round())


def test_what_has_the_right_size_passes_unchanged() -> None:
    frame = picture(40, 40)
    for kernel in ("bilinear", "bicubic", "lanczos"):
        assert np.array_equal(resample(Look(40, (40, 40), kernel, *NOTHING), frame), frame)


def test_half_a_pixel_is_rounded_as_the_library_rounds() -> None:
    frame = picture(41, 40)
    whole = Look(40, (37, 37), "bilinear", *NOTHING)
    up, down = whole, Look(40, (37, 37), "bilinear", *NOTHING, half_down=True)
    # (40 - 37) / 2 is 1.5: to the even 2, or down to 1.
    assert np.array_equal(resample(up, frame[:40])[0], frame[2, 2:39])
    assert np.array_equal(resample(down, frame[:40])[0], frame[1, 1:38])

"""Lossy in space: invariants on random inputs, and formulas against slow, obvious ones and torchvision's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avfeat.errors import ArgumentError
from avfeat.training.augment.augmentation import Augmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.filters import gaussian_matrix
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.augment.spatial import (
    Blur,
    ColourJitter,
    Cutout,
    Flip,
    Grey,
    Noise,
    ResizedCrop,
    crop,
    recolour,
)

# Pictures are small here: blur and cutout are larger than by default, so that they do something.
ALL = [
    ResizedCrop(),
    Flip(p=1.0),
    ColourJitter(),
    Grey(),
    Blur(sigma=(8.0, 16.0)),
    Noise(),
    Cutout(side=0.5),
]


def pictures(batch: int, frames: int, height: int, width: int, seed: int) -> Tensor:
    return torch.rand(batch, frames, 3, height, width, generator=torch.Generator().manual_seed(seed))


def seeds(batch: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 1 << 62, (batch,), generator=torch.Generator().manual_seed(seed))


def augmented(augmentation: Augmentation, frames: Tensor, seed: int = 0) -> Tensor:
    after = augmentation(Clips(frames, None), SampleRNG(seeds(len(frames), seed))).frames
    assert after is not None
    return after


@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
@settings(max_examples=25)
@given(
    batch=st.integers(1, 4),
    frames=st.integers(1, 6),
    height=st.integers(8, 24),
    width=st.integers(8, 24),
    seed=st.integers(0, 999),
    strength=st.floats(0, 1),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
)
def test_shape_dtype_and_range_are_kept(
    augmentation: Augmentation,
    batch: int,
    frames: int,
    height: int,
    width: int,
    seed: int,
    strength: float,
    dtype: torch.dtype,
) -> None:
    # Extremes are what leaves the range: a third of the values is 0, a third 1.
    before = (3 * pictures(batch, frames, height, width, seed) - 1).clamp(0, 1).to(dtype)
    after = augmented(replace(augmentation, strength=strength), before, seed)
    assert after.shape == before.shape
    assert after.dtype == dtype
    assert torch.isfinite(after).all()
    assert after.min() >= 0
    assert after.max() <= 1


@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
def test_strength_0_and_samples_that_p_leaves_alone_are_as_they_were(augmentation: Augmentation) -> None:
    before = pictures(40, 2, 12, 14, 1)
    for nothing in (replace(augmentation, strength=0.0), replace(augmentation, p=0.0)):
        assert torch.equal(augmented(nothing, before), before)
    changed = (augmented(replace(augmentation, p=0.5), before) != before).flatten(1).any(1)
    # The first number that a class draws says whether it does anything.
    assert torch.equal(changed, SampleRNG(seeds(40)).fork("frames").chance(0.5))
    assert 5 < int(changed.sum()) < 35


@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
def test_sound_is_left_alone(augmentation: Augmentation) -> None:
    clips = Clips(pictures(2, 2, 8, 8, 0), torch.rand(2, 800))
    after = augmentation(clips, SampleRNG(seeds(2)))
    assert after.waveform is clips.waveform
    assert not torch.equal(after.frames, clips.frames)  # type: ignore[arg-type]
    deaf = augmentation(replace(clips, waveform=None), SampleRNG(seeds(2)))
    assert torch.equal(deaf.frames, after.frames)  # type: ignore[arg-type]
    blind = replace(clips, frames=None)
    assert augmentation(blind, SampleRNG(seeds(2))) is blind


@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
@settings(max_examples=15)
@given(st.integers(2, 4), st.integers(1, 6), st.integers(8, 24), st.integers(0, 999))
def test_a_sample_does_not_depend_on_its_batch(
    augmentation: Augmentation, batch: int, frames: int, size: int, seed: int
) -> None:
    before = pictures(batch, frames, size, size + 1, seed)
    whole = augmented(augmentation, before, seed)
    assert torch.equal(whole, augmented(augmentation, before, seed))
    for number in range(batch):
        one = slice(number, number + 1)
        alone = augmentation(Clips(before[one], None), SampleRNG(seeds(batch, seed)[one])).frames
        torch.testing.assert_close(alone, whole[one], rtol=0, atol=1e-6)


@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
def test_all_frames_change_alike(augmentation: Augmentation) -> None:
    still = pictures(4, 1, 24, 24, 2).expand(-1, 5, -1, -1, -1).contiguous()
    after = augmented(augmentation, still)
    if isinstance(augmentation, Noise):
        spread = (after - still).flatten(2).std(2)
        assert (spread > 0.002).all()
        # 1,728 pixels a frame: their standard deviation is known to 2 %.
        assert (spread.amax(1) / spread.amin(1)).max() < 1.2
        assert not torch.equal(after[:, 0], after[:, 1])
    else:
        torch.testing.assert_close(after, after[:, :1].expand_as(after), rtol=0, atol=1e-6)


def areas(augmentation: Any, rng: SampleRNG) -> Tensor:
    return 1 - augmentation.boxes(rng)[:, 2:].prod(1)


def flipped(augmentation: Any, rng: SampleRNG) -> Tensor:
    row = torch.arange(4.0).div(4).expand(len(rng), 1, 3, 1, 4)
    return (augmentation(Clips(row, None), rng).frames != row).flatten(1).any(1).float()


def recoloured(number: int) -> Callable[[Any, SampleRNG], Tensor]:
    neutral = (1.0, 1.0, 1.0, 0.0)[number]
    return lambda augmentation, rng: (augmentation.factors(rng)[:, number] - neutral).abs()


def faded(augmentation: Any, rng: SampleRNG) -> Tensor:
    red = torch.tensor([1.0, 0.0, 0.0])[:, None, None].expand(len(rng), 1, 3, 2, 2)
    after = augmentation(Clips(red, None), rng).frames
    return 1 - (after[:, 0, 0] - after[:, 0, 1]).mean((1, 2))


def blurred(augmentation: Any, rng: SampleRNG) -> Tensor:
    widths: Tensor = augmentation.widths(rng, 112)
    return widths


def noisy(augmentation: Any, rng: SampleRNG) -> Tensor:
    levels: Tensor = augmentation.levels(rng)
    return levels


def cut(augmentation: Any, rng: SampleRNG) -> Tensor:
    side: Tensor = augmentation.squares(rng, 112, 140)[:, 2]
    return side.square() / (112 * 140)


# What is destroyed, as a number of each sample, and the documented maximum of it.
MAXIMA = [
    (ResizedCrop(), areas, 0.8),
    (ResizedCrop(scale=(0.08, 0.5), ratio=2.0), areas, 0.92),
    (ColourJitter(), recoloured(0), 0.4),
    (ColourJitter(contrast=0.8), recoloured(1), 0.8),
    (ColourJitter(), recoloured(2), 0.4),
    (ColourJitter(), recoloured(3), 0.2),
    (Grey(), faded, 1.0),
    (Blur(), blurred, 2.0),
    (Noise(), noisy, 0.1),
    (Cutout(), cut, 20 * 20 / (112 * 140)),
]


@pytest.mark.parametrize(("augmentation", "lost", "maximum"), MAXIMA)
def test_what_is_lost_grows_with_strength_to_the_documented_maximum(
    augmentation: Augmentation, lost: Callable[[Augmentation, SampleRNG], Tensor], maximum: float
) -> None:
    steps = [replace(augmentation, strength=strength) for strength in (0.0, 0.01, 0.3, 0.5, 0.9, 1.0)]
    found = [lost(one, SampleRNG(seeds(3000))) for one in steps]
    assert not found[0].any()
    for less, more in itertools.pairwise(found):
        assert (more >= less - 1e-6).all()
    assert float(found[-1].max()) == pytest.approx(maximum, rel=0.01)
    assert float(found[-1].max()) <= maximum + 1e-5
    assert 0 < float(found[3].max()) < maximum


@pytest.mark.parametrize("factor", ["brightness", "contrast", "saturation", "hue"])
def test_jitter_of_one_factor_alone_changes_colours(factor: str) -> None:
    only = ColourJitter(**{**dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0), factor: 0.4})
    frames = pictures(4, 1, 6, 6, seed=0)
    assert ((augmented(only, frames) != frames).flatten(1).any(1)).all()


def test_the_probability_of_a_flip_grows_with_strength() -> None:
    found = [flipped(Flip(strength=strength), SampleRNG(seeds(3000))) for strength in (0.0, 0.2, 0.6, 1.0)]
    for less, more in itertools.pairwise(found):
        assert (more >= less).all()
    # Standard deviation 0.009.
    assert [float(one.mean()) for one in found] == pytest.approx([0, 0.1, 0.3, 0.5], abs=0.04)
    frames = pictures(3, 2, 5, 7, 0)
    assert torch.equal(augmented(Flip(p=1.0), frames), tv.horizontal_flip(frames))


@settings(max_examples=30)
@given(st.floats(0.05, 1), st.floats(0, 1), st.floats(1, 4), st.floats(0, 1))
def test_crops_lie_within_the_picture(low: float, up: float, ratio: float, strength: float) -> None:
    high = low + (1 - low) * up
    boxes = ResizedCrop(scale=(low, high), ratio=ratio, strength=strength).boxes(SampleRNG(seeds(500)))
    assert boxes.min() >= 0
    assert (boxes[:, :2] + boxes[:, 2:]).max() <= 1 + 1e-6
    area = boxes[:, 2:].prod(1)
    assert area.min() >= 1 - strength * (1 - low) - 1e-5
    assert area.max() <= 1 - strength * (1 - high) + 1e-5
    assert (boxes[:, 3] / boxes[:, 2]).log().abs().max() <= strength * math.log(ratio) + 1e-5


def test_places_and_ratios_of_crops_are_spread() -> None:
    boxes = ResizedCrop(scale=(0.25, 0.25)).boxes(SampleRNG(seeds(4000)))
    place = boxes[:, :2] / (1 - boxes[:, 2:])
    wider = (boxes[:, 3] / boxes[:, 2]).log() / math.log(4 / 3)
    for numbers, low in ((place[:, 0], 0), (place[:, 1], 0), (wider, -1)):
        counts = np.histogram(numbers.numpy(), bins=10, range=(low, 1))[0]
        # Chi-squared with 9 degrees of freedom: beyond 35 once in 15,000 times.
        assert ((counts - 400) ** 2 / 400).sum() < 35


def slow_crop(picture: np.ndarray, box: list[float]) -> np.ndarray:
    """One channel (height, width)."""
    height, width = picture.shape
    out = np.zeros_like(picture)
    for i, j in itertools.product(range(height), range(width)):
        y = min(max((box[0] + box[2] * (i + 0.5) / height) * height - 0.5, 0), height - 1)
        x = min(max((box[1] + box[3] * (j + 0.5) / width) * width - 0.5, 0), width - 1)
        up, left = math.floor(y), math.floor(x)
        for row, column in itertools.product((up, up + 1), (left, left + 1)):
            weight = max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column))
            if weight:
                out[i, j] += weight * picture[row, column]
    return out


@settings(max_examples=15)
@given(st.integers(8, 16), st.integers(8, 16), st.integers(0, 999))
def test_a_crop_is_bilinear(height: int, width: int, seed: int) -> None:
    frames = pictures(3, 2, height, width, seed)
    boxes = ResizedCrop().boxes(SampleRNG(seeds(3, seed)))
    found = crop(frames, boxes).numpy()
    for n, t, c in itertools.product(range(3), range(2), range(3)):
        expected = slow_crop(frames[n, t, c].double().numpy(), boxes[n].tolist())
        np.testing.assert_allclose(found[n, t, c], expected, atol=1e-4)


def test_a_crop_of_whole_pixels_is_torchvisions() -> None:
    frames = pictures(2, 2, 24, 32, 0)
    found = crop(frames, torch.tensor([[6 / 24, 8 / 32, 12 / 24, 16 / 32], [0, 1 / 32, 20 / 24, 30 / 32]]))
    for one, (top, left, height, width) in zip(range(2), ((6, 8, 12, 16), (0, 1, 20, 30)), strict=True):
        expected = tv.resized_crop(frames[one], top, left, height, width, [24, 32], antialias=False)
        # At the border of the crop ours sees the pixels next to it, torchvision's cannot.
        torch.testing.assert_close(found[one, ..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], atol=1e-5, rtol=0)


def tall(clip: Tensor) -> Tensor:
    """The frames of a clip as one picture (3, T * height, width)."""
    return clip.transpose(0, 1).flatten(1, 2)


TORCHVISIONS = [tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation]


@pytest.mark.parametrize("number", range(3))
@settings(max_examples=15)
@given(st.lists(st.floats(0, 2), min_size=1, max_size=4), st.integers(1, 6), st.integers(0, 999))
def test_brightness_contrast_and_saturation_are_torchvisions(
    number: int, factors: list[float], frames: int, seed: int
) -> None:
    before = pictures(len(factors), frames, 8, 9, seed)
    given_factors = torch.tensor([1.0, 1.0, 1.0, 0.0]).repeat(len(factors), 1)
    given_factors[:, number] = torch.tensor(factors)
    after = recolour(before, given_factors)
    for one, clip, factor in zip(after, before, factors, strict=True):
        # torchvision's weights are rounded, to 0.2989 for red.
        torch.testing.assert_close(tall(one), TORCHVISIONS[number](tall(clip), factor), atol=3e-4, rtol=0)


def test_together_they_are_torchvisions_where_nothing_is_cut_off() -> None:
    before = 0.4 + 0.1 * pictures(3, 4, 8, 8, 3)
    factors = torch.tensor([[0.8, 1.4, 0.6, 0], [1.3, 0.7, 1.4, 0], [1.1, 1.2, 1.3, 0]])
    after = recolour(before, factors)
    for one, clip, row in zip(after, before, factors.tolist(), strict=True):
        expected = tall(clip)
        for change, factor in zip(TORCHVISIONS, row, strict=False):
            expected = change(expected, factor)
        torch.testing.assert_close(tall(one), expected, atol=3e-4, rtol=0)


def slow_hue(colour: np.ndarray, turn: float, saturation: float) -> np.ndarray:
    """One RGB colour by way of YIQ's definition: chroma is a complex number, and is turned."""
    red, green, blue = colour
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    i = 0.595716 * red - 0.274453 * green - 0.321263 * blue
    q = 0.211456 * red - 0.522591 * green + 0.311135 * blue
    chroma = complex(i, q) * saturation * np.exp(2j * math.pi * turn)
    i, q = chroma.real, chroma.imag
    back = [luma + 0.9563 * i + 0.6210 * q, luma - 0.2721 * i - 0.6474 * q, luma - 1.1070 * i + 1.7046 * q]
    return np.clip(back, 0, 1)


@settings(max_examples=15)
@given(st.floats(-0.5, 0.5), st.floats(0, 1.5), st.integers(0, 999))
def test_hue_turns_the_chroma_of_yiq(turn: float, saturation: float, seed: int) -> None:
    before = pictures(2, 2, 3, 3, seed)
    after = recolour(before, torch.tensor([[1.0, 1.0, saturation, turn], [1.0, 1.0, 1.0, 0.0]]))
    for old, new in zip(
        before[0].transpose(0, 1).flatten(1).T.numpy(), after[0].transpose(0, 1).flatten(1).T.numpy(), strict=True
    ):
        np.testing.assert_allclose(new, slow_hue(old, turn, saturation), atol=1e-3)
    torch.testing.assert_close(after[1], before[1], atol=1e-6, rtol=0)


def test_a_jitter_of_any_clip_is_drawn_on_both_sides() -> None:
    factors = ColourJitter().factors(SampleRNG(seeds(2000)))
    assert factors.amin(0).tolist() == pytest.approx([0.6, 0.6, 0.6, -0.2], abs=0.01)
    assert factors.amax(0).tolist() == pytest.approx([1.4, 1.4, 1.4, 0.2], abs=0.01)
    correlation = np.corrcoef(factors.T.numpy())
    assert np.abs(correlation - np.eye(4)).max() < 0.1


def test_grey_is_torchvisions_and_half_of_it_in_between() -> None:
    before = pictures(2, 3, 8, 8, 5)
    expected = tv.rgb_to_grayscale(before, num_output_channels=3)
    torch.testing.assert_close(augmented(Grey(), before), expected, atol=3e-4, rtol=0)
    half = augmented(Grey(strength=0.5), before)
    torch.testing.assert_close(half, (before + expected) / 2, atol=3e-4, rtol=0)


def slow_blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """One channel: each pixel is the average of all, weighted by a Gaussian of their distance."""
    height, width = picture.shape
    out = np.zeros_like(picture)
    rows, columns = np.mgrid[:height, :width]
    for i, j in itertools.product(range(height), range(width)):
        weights = np.exp(-((rows - i) ** 2 + (columns - j) ** 2) / (2 * sigma**2))
        out[i, j] = (weights * picture).sum() / weights.sum()
    return out


def test_a_blur_is_gaussian() -> None:
    frames, blur = pictures(3, 2, 10, 13, 6), Blur(sigma=(8.0, 30.0))
    widths = blur.widths(SampleRNG(seeds(3)).fork("frames"), 10)
    assert len(set(widths.tolist())) == 3
    assert (widths > 0.7).all()
    after = augmented(blur, frames)
    for n, t, c in itertools.product(range(3), range(2), range(3)):
        expected = slow_blur(frames[n, t, c].double().numpy(), float(widths[n]))
        np.testing.assert_allclose(after[n, t, c].numpy(), expected, atol=1e-5)


def test_away_from_the_border_a_blur_is_torchvisions() -> None:
    frames, blur = pictures(2, 2, 32, 32, 7), Blur(sigma=(4.0, 6.0))
    after = augmented(blur, frames)
    widths = blur.widths(SampleRNG(seeds(2)).fork("frames"), 32)
    for one, clip, width in zip(after, frames, widths.tolist(), strict=True):
        expected = tv.gaussian_blur(clip, [21, 21], [width, width])
        torch.testing.assert_close(one[..., 11:-11, 11:-11], expected[..., 11:-11, 11:-11], atol=1e-5, rtol=0)


def test_weights_of_a_blur_are_never_denormal() -> None:
    # A product with such numbers is many times as slow on a CPU.
    weights = gaussian_matrix(torch.tensor([0.0, 0.3, 1.0, 2.0, 8.0]), 112)
    assert weights[weights > 0].min() > 1e-12
    torch.testing.assert_close(weights.sum(2), torch.ones(5, 112))
    assert torch.equal(weights[0], torch.eye(112))


def test_noise_has_the_level_that_is_drawn() -> None:
    noise = Noise()
    before = torch.full((6, 4, 3, 20, 20), 0.5)
    difference = (augmented(noise, before) - before).flatten(1)
    levels = noise.levels(SampleRNG(seeds(6)).fork("frames"))
    # 4,800 values.
    torch.testing.assert_close(difference.std(1), levels, rtol=0.05, atol=0)
    assert (difference.mean(1).abs() < levels * 0.07).all()
    assert difference.abs().amax(1).gt(2.5 * levels).all()


@settings(max_examples=25)
@given(st.integers(8, 24), st.integers(8, 24), st.floats(0, 1), st.floats(0, 1), st.integers(0, 999))
def test_a_cutout_is_a_square_of_the_mean_colour(
    height: int, width: int, side: float, strength: float, seed: int
) -> None:
    # All values are below the mean or above it, so that the square can be told.
    before = pictures(3, 2, height, width, seed).round()
    after = augmented(Cutout(side=side, strength=strength), before, seed)
    length = math.floor(np.float32(side) * np.float32(strength) * min(height, width) + 0.5)
    for old, new in zip(before, after, strict=True):
        changed = (old != new).any(0).any(0)
        if not length:
            assert not changed.any()
            continue
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        assert rows.tolist() == list(range(int(rows[0]), int(rows[0]) + length))
        assert columns.tolist() == list(range(int(columns[0]), int(columns[0]) + length))
        square = new[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        mean = old.mean((0, 2, 3))
        torch.testing.assert_close(square, mean[None, :, None, None].expand_as(square))
        kept = torch.ones(height, width, dtype=torch.bool)
        kept[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = False
        assert torch.equal(new[:, :, kept], old[:, :, kept])


def test_a_cutout_is_as_large_in_larger_pictures() -> None:
    assert set(Cutout().squares(SampleRNG(seeds(10)), 1120, 1400)[:, 2].tolist()) == {200}


def test_cutouts_reach_every_border() -> None:
    top, left, side = Cutout(side=0.5).squares(SampleRNG(seeds(2000)), 12, 20).unbind(1)
    assert set(side.tolist()) == {6}
    assert set(top.tolist()) == set(range(7))
    assert set(left.tolist()) == set(range(15))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ResizedCrop(scale=(0.0, 1.0)),
        lambda: ResizedCrop(scale=(0.8, 0.5)),
        lambda: ResizedCrop(ratio=0.9),
        lambda: ColourJitter(brightness=1.5),
        lambda: ColourJitter(hue=0.6),
        lambda: ColourJitter(hue=-0.1),
        lambda: Blur(sigma=(2.0, 1.0)),
        lambda: Blur(sigma=(-1.0, 1.0)),
        lambda: Noise(level=2.0),
        lambda: Cutout(side=1.1),
        lambda: Grey(p=1.1),
        lambda: Flip(strength=-0.1),
    ],
)
def test_settings_out_of_range_are_refused(wrong: Callable[[], Augmentation]) -> None:
    with pytest.raises(ArgumentError, match="must be"):
        wrong()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
def test_a_gpu_gives_the_same(augmentation: Augmentation) -> None:
    frames = pictures(4, 6, 24, 20, 9)
    there = augmentation(Clips(frames.cuda(), None), SampleRNG(seeds(4).cuda())).frames
    assert there is not None
    torch.testing.assert_close(there.cpu(), augmented(augmentation, frames), rtol=0, atol=1e-4)

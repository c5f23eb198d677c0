"""Lossy and coherent, and incoherent: invariants on random inputs, and formulas against slow, obvious ones."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avfeat.errors import ArgumentError
from avfeat.training.augment.augmentation import TemporalAugmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.filters import blur_space, from_spectrogram, low_pass, spectrogram
from avfeat.training.augment.incoherent import CircularShift, FrameShuffle, Reversal, SegmentPermutation
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.augment.segmental import Cuboid, SegmentBlur, SegmentNoise, _span
from avfeat.training.augment.segments import draw_blocks, inside, spread
from avfeat.training.augment.temporal import FADES, Background, Fade, FrameDrop, TemporalBlur, TimeMask

COHERENT = [
    TimeMask(),
    TimeMask(blocks=3, fraction=0.5, fill="zeros"),
    TimeMask(fraction=0.4, fill="mean"),
    FrameDrop(),
    FrameDrop(fill="blank"),
    Fade(),
    TemporalBlur(),
    Background(),
    Cuboid(),
    SegmentBlur(),
    SegmentNoise(),
]
INCOHERENT = [FrameShuffle(), SegmentPermutation(), Reversal(), CircularShift()]
ALL = COHERENT + INCOHERENT


def names(one: object) -> str:
    return str(one) if isinstance(one, str) else repr(one)[:60]


def random_clips(batch: int, frames: int, seed: int, samples: int = 1600, size: int = 6) -> Clips:
    generator = torch.Generator().manual_seed(seed)
    # Away from the values that fills have, so that what is changed can be told.
    pictures = 0.1 + 0.8 * torch.rand(batch, frames, 3, size, size, generator=generator)
    sound = 0.8 * (2 * torch.rand(batch, samples, generator=generator) - 1)
    return Clips(pictures, sound, 16_000)


def seeds(batch: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 1 << 62, (batch,), generator=torch.Generator().manual_seed(seed))


def changed_frames(before: Clips, after: Clips) -> Tensor:
    """Which frames are not as they were: bool (batch, T)."""
    assert before.frames is not None
    assert after.frames is not None
    return (before.frames != after.frames).any(-1).any(-1).any(-1)


def changed_part(before: Clips, after: Clips) -> tuple[float, float]:
    assert before.frames is not None
    assert after.frames is not None
    assert before.waveform is not None
    assert after.waveform is not None
    return (
        float((before.frames != after.frames).float().mean()),
        float((before.waveform != after.waveform).float().mean()),
    )


@pytest.mark.parametrize("augmentation", ALL, ids=names)
@settings(max_examples=25)
@given(st.integers(1, 4), st.integers(1, 20), st.integers(0, 999), st.sampled_from(["shared", "independent"]))
def test_shape_dtype_and_range_are_kept(
    augmentation: TemporalAugmentation, batch: int, frames: int, seed: int, sync: str
) -> None:
    clips = random_clips(batch, frames, seed)
    after = replace(augmentation, sync=sync)(clips, SampleRNG(seeds(batch, seed)))
    assert clips.frames is not None
    assert clips.waveform is not None
    for content, one, low in ((after.frames, clips.frames, 0), (after.waveform, clips.waveform, -1)):
        assert content is not None
        assert content.shape == one.shape
        assert content.dtype == one.dtype
        assert torch.isfinite(content).all()
        assert content.min() >= low
        assert content.max() <= 1
    low = replace(clips, frames=clips.frames.to(torch.bfloat16))
    found = augmentation(low, SampleRNG(seeds(batch, seed))).frames
    assert found is not None
    assert found.dtype == torch.bfloat16


@pytest.mark.parametrize("augmentation", ALL, ids=names)
def test_white_and_full_scale_stay_in_range(augmentation: TemporalAugmentation) -> None:
    after = augmentation(Clips(torch.ones(4, 16, 3, 9, 9), torch.ones(4, 2000)), SampleRNG(seeds(4)))
    assert after.frames is not None
    assert after.waveform is not None
    assert after.frames.max() <= 1
    assert after.waveform.abs().max() <= 1


@pytest.mark.parametrize("augmentation", ALL, ids=names)
def test_strength_0_and_samples_that_p_leaves_alone_are_as_they_were(augmentation: TemporalAugmentation) -> None:
    clips = random_clips(40, 16, 3)
    for nothing in (replace(augmentation, strength=0.0), replace(augmentation, p=0.0)):
        assert changed_part(clips, nothing(clips, SampleRNG(seeds(40)))) == (0, 0)
    half = replace(augmentation, p=0.5)(clips, SampleRNG(seeds(40)))
    touched = changed_frames(clips, half).any(1)
    assert 5 < int(touched.sum()) < 35
    assert clips.waveform is not None
    assert half.waveform is not None
    heard = (clips.waveform != half.waveform).any(1)
    assert torch.equal(touched, heard), "the same samples in both modalities"


@pytest.mark.parametrize("augmentation", ALL, ids=names)
def test_a_sample_does_not_depend_on_its_batch(augmentation: TemporalAugmentation) -> None:
    clips = random_clips(5, 16, 4)
    assert clips.frames is not None
    assert clips.waveform is not None
    whole = augmentation(clips, SampleRNG(seeds(5)))
    again = augmentation(clips, SampleRNG(seeds(5)))
    assert changed_part(whole, again) == (0, 0)
    for number in range(5):
        one = slice(number, number + 1)
        alone = augmentation(Clips(clips.frames[one], clips.waveform[one]), SampleRNG(seeds(5)[one]))
        assert alone.frames is not None
        assert whole.frames is not None
        assert alone.waveform is not None
        assert whole.waveform is not None
        torch.testing.assert_close(alone.frames, whole.frames[one])
        torch.testing.assert_close(alone.waveform, whole.waveform[one], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("augmentation", ALL, ids=names)
def test_one_modality_alone(augmentation: TemporalAugmentation) -> None:
    clips = random_clips(3, 16, 5)
    deaf, blind = replace(clips, waveform=None), replace(clips, frames=None)
    whole = augmentation(clips, SampleRNG(seeds(3)))
    assert torch.equal(augmentation(deaf, SampleRNG(seeds(3))).frames, whole.frames)  # type: ignore[arg-type]
    assert augmentation(blind, SampleRNG(seeds(3))).waveform is not None
    only = replace(augmentation, streams="video")(clips, SampleRNG(seeds(3)))
    assert only.waveform is clips.waveform
    assert changed_frames(clips, only).any()
    only = replace(augmentation, streams="audio")(clips, SampleRNG(seeds(3)))
    assert only.frames is clips.frames


MAXIMA = [
    (TimeMask(), 0.125, 0.125),
    (TimeMask(fraction=0.5, blocks=2, fill="mean"), 0.5, 0.5),
    (FrameDrop(), 0.5, 0.5),
    (FrameDrop(fill="blank", fraction=0.25), 0.25, 0.25),
    (SegmentBlur(), 0.5, 0.5),
    (SegmentNoise(), 0.5, 0.5),
    (FrameShuffle(), 1.0, 1.0),
    (SegmentPermutation(), 1.0, 1.0),
    (Reversal(), 1.0, 1.0),
]


@pytest.mark.parametrize(("augmentation", "of_frames", "of_sound"), MAXIMA, ids=names)
def test_what_is_destroyed_grows_with_strength_up_to_the_documented_part(
    augmentation: TemporalAugmentation, of_frames: float, of_sound: float
) -> None:
    clips = random_clips(30, 16, 6)
    parts = [
        changed_part(clips, replace(augmentation, strength=strength)(clips, SampleRNG(seeds(30))))
        for strength in np.linspace(0, 1, 9)
    ]
    for before, after in itertools.pairwise(parts):
        assert after[0] >= before[0] - 1e-6
        assert after[1] >= before[1] - 0.002
    assert parts[-1] == pytest.approx((of_frames, of_sound), abs=0.01)


@pytest.mark.parametrize("augmentation", [Fade(), TemporalBlur(), Background(), Cuboid()], ids=names)
def test_what_is_lost_in_degrees_grows_with_strength(augmentation: TemporalAugmentation) -> None:
    clips = random_clips(30, 16, 6)
    assert clips.frames is not None
    assert clips.waveform is not None
    losses = []
    for strength in np.linspace(0, 1, 6):
        after = replace(augmentation, strength=strength)(clips, SampleRNG(seeds(30)))
        assert after.frames is not None
        assert after.waveform is not None
        losses.append(
            [
                float((a - b).square().mean())
                for a, b in ((after.frames, clips.frames), (after.waveform, clips.waveform))
            ]
        )
    for before, later in itertools.pairwise(losses):
        assert later[0] > before[0]
        assert later[1] > before[1]


@pytest.mark.parametrize("augmentation", COHERENT, ids=names)
def test_coherent_ones_never_reorder(augmentation: TemporalAugmentation) -> None:
    """Each frame is nearest to itself, or to an earlier one that stands still; never to a later one."""
    count = 16
    clips = random_clips(20, count, 7, size=12)
    assert clips.frames is not None
    after = augmentation(clips, SampleRNG(seeds(20))).frames
    assert after is not None
    likeness = torch.einsum("bti,bsi->bts", _standardised(after.flatten(2)), _standardised(clips.frames.flatten(2)))
    strength, nearest = likeness.max(2)
    for sample in range(20):
        order = nearest[sample][strength[sample] > 0.5]
        assert torch.equal(order, order.sort().values)


@pytest.mark.parametrize("augmentation", INCOHERENT, ids=names)
def test_incoherent_ones_lose_nothing_but_the_order(augmentation: TemporalAugmentation) -> None:
    count = 16
    clips = Clips(torch.arange(count).view(1, count, 1, 1, 1).expand(8, count, 3, 2, 2) / 20, None)
    after = augmentation(clips, SampleRNG(seeds(8))).frames
    assert after is not None
    order = (after[:, :, 0, 0, 0] * 20).round().long()
    np.testing.assert_array_equal(order.sort(dim=1).values, torch.arange(count).expand(8, count))
    moved = [sample for sample in order.tolist() if sample != sorted(sample)]
    assert len(moved) >= 7


def _standardised(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(2, keepdim=True)
    return centred / centred.norm(dim=2, keepdim=True).clamp(min=1e-6)


LOSING_SECONDS = [TimeMask(fraction=0.4, fill="zeros", blocks=2), FrameDrop(fill="blank"), SegmentNoise()]


@pytest.mark.parametrize("augmentation", LOSING_SECONDS, ids=names)
@given(frames=st.sampled_from([8, 16, 25]), seed=st.integers(0, 999))
@settings(max_examples=30)
def test_shared_loses_the_same_seconds_and_independent_does_not(
    augmentation: TemporalAugmentation, frames: int, seed: int
) -> None:
    samples = 3200
    clips = random_clips(6, frames, seed, samples)
    for sync in ("shared", "independent"):
        after = replace(augmentation, sync=sync)(clips, SampleRNG(seeds(6, seed)))
        assert clips.waveform is not None
        assert after.waveform is not None
        seen = spread(changed_frames(clips, after), samples)
        heard = clips.waveform != after.waveform
        # Within one frame: a disagreement is never longer than a frame, at each edge.
        apart = torch.nn.functional.avg_pool1d((seen != heard).float()[:, None], samples // frames + 1, 1)
        if sync == "shared":
            edges = 2 * getattr(augmentation, "blocks", 1) if not isinstance(augmentation, FrameDrop) else 2
            assert (seen != heard).float().mean(1).max() <= edges * 0.5 / frames + 0.02
        else:
            assert apart.max() > 0.9


@given(st.floats(0, 1), st.integers(1, 5), st.integers(0, 99))
def test_blocks_cover_what_they_should_and_do_not_overlap(total: float, blocks: int, seed: int) -> None:
    found = draw_blocks(SampleRNG(seeds(6, seed)), torch.full((6,), total), blocks)
    assert found.min() >= -1e-6
    assert found.max() <= 1 + 1e-5
    torch.testing.assert_close((found[..., 1] - found[..., 0]).sum(1), torch.full((6,), total), atol=1e-5, rtol=0)
    assert (found[:, 1:, 0] - found[:, :-1, 1]).min() >= -1e-5 if blocks > 1 else True
    steps = inside(found, 1000).float().mean(1)
    assert (steps - total).abs().max() <= blocks / 1000 + 1e-6


def test_clar_masks_an_eighth_of_the_sound_with_faint_noise() -> None:
    """CLAR's code: ``max_len = int(0.125 * N)``, one block, ``np.random.normal(0, 0.01)``."""
    samples = 16_000
    clips = Clips(None, 0.3 + 0.5 * torch.rand(200, samples))
    after = TimeMask()(clips, SampleRNG(seeds(200))).waveform
    assert clips.waveform is not None
    assert after is not None
    lost = after != clips.waveform
    assert set(lost.sum(1).tolist()) <= set(range(1999, 2002))
    starts = lost.float().argmax(1)
    assert all(bool(lost[k, s : s + 1999].all()) for k, s in enumerate(starts)), "one contiguous block"
    assert starts.float().mean() / samples == pytest.approx((1 - 0.125) / 2, abs=0.07)
    assert after[lost].std() == pytest.approx(0.01, rel=0.03)
    assert after[lost].mean().abs() < 0.001


def test_fades_are_clars_which_are_torchaudios() -> None:
    count = 1000
    for name, fade in FADES.items():
        for length in (1, 300, 500):
            ours = fade((torch.arange(length) / max(1, length - 1)).clamp(max=1)).clamp(0, 1)
            theirs = torchaudio.transforms.Fade(length, 0, name)(torch.ones(count))[:length]
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
            gone = torchaudio.transforms.Fade(0, length, name)(torch.ones(count))[count - length :]
            back = fade(1 - (torch.arange(length) / max(1, length - 1)).clamp(max=1)).clamp(0, 1)
            if length > 1:
                torch.testing.assert_close(back, gone, atol=1e-6, rtol=0)


def test_a_fade_is_drawn_as_clar_draws_it() -> None:
    batch, count = 3000, 200
    fade = Fade()
    gains = fade.gains(SampleRNG(seeds(batch)), count)
    assert gains.min() >= 0
    assert gains.max() <= 1
    rng = SampleRNG(seeds(batch))
    rng.chance(1.0)
    shape, lengths = rng.integers(0, 5), rng.uniform(count=2) * 0.5
    assert np.bincount(shape).min() > batch / 5 * 0.8
    time = (np.arange(count) + 0.5) / count
    for row in range(0, batch, 150):
        begin, end = lengths[row].numpy()
        formula = list(FADES.values())[int(shape[row])]
        slow = [
            (float(formula(torch.tensor(t / begin)).clamp(0, 1)) if t < begin else 1.0)
            * (float(formula(torch.tensor((1 - t) / end)).clamp(0, 1)) if 1 - t < end else 1.0)
            for t in time
        ]
        np.testing.assert_allclose(gains[row], slow, atol=1e-4)


def test_frozen_frames_are_those_before() -> None:
    clips = Clips(
        torch.arange(16.0).view(1, 16, 1, 1, 1).expand(9, 16, 3, 2, 2) / 20,
        torch.arange(1600.0)[None].expand(9, 1600) / 1600,
    )
    drop = FrameDrop(fraction=0.5)
    after = drop(clips, SampleRNG(seeds(9)))
    assert after.frames is not None
    assert after.waveform is not None
    lost = drop.lost(SampleRNG(seeds(9)).fork("both"), 16)
    assert lost.sum(1).tolist() == [8] * 9
    assert not lost[:, 0].any()
    for sample in range(9):
        last = 0
        for cell in range(16):
            last = last if lost[sample, cell] else cell
            assert float(after.frames[sample, cell, 0, 0, 0]) == pytest.approx(last / 20)
            np.testing.assert_allclose(
                after.waveform[sample, cell * 100 : cell * 100 + 100] * 1600,
                np.arange(last * 100, last * 100 + 100),
                atol=0.01,
            )


def test_a_temporal_blur_is_a_gaussian_average() -> None:
    clips = random_clips(4, 16, 8)
    blur = TemporalBlur(fraction=0.2)
    after = blur(clips, SampleRNG(seeds(4)))
    widths = blur.widths(SampleRNG(seeds(4)).fork("both")).numpy() * 16
    assert clips.frames is not None
    assert after.frames is not None
    for sample, width in enumerate(widths):
        assert 0.1 * 16 <= width <= 0.2 * 16
        for t in (0, 5, 15):
            weights = np.exp(-((np.arange(16) - t) ** 2) / (2 * width**2))
            slow = np.tensordot(weights / weights.sum(), clips.frames[sample].numpy(), 1)
            np.testing.assert_allclose(after.frames[sample, t], slow, atol=1e-5)


def test_smeared_sound_keeps_its_frequency_and_loses_its_rhythm() -> None:
    time = torch.arange(32_000) / 16_000
    ticks = torch.sin(2 * math.pi * 1000 * time) * ((time * 4) % 1 < 0.2) * 0.5
    after = TemporalBlur()(Clips(None, ticks[None]), SampleRNG(seeds(1))).waveform
    assert after is not None
    spectrum = torch.fft.rfft(after[0]).abs()
    assert float(spectrum.argmax()) / 2 == pytest.approx(1000, abs=10)
    before, later = (sound.reshape(-1, 400).abs().mean(1) for sound in (ticks, after[0]))
    assert later.std() / later.mean() < 0.6 * before.std() / before.mean()


def test_without_its_background_a_clip_has_a_grey_mean_and_a_flat_spectrum() -> None:
    generator = torch.Generator().manual_seed(0)
    # A picture that stands still, and something small that moves on it; a hum with a click in it.
    still = 0.3 + 0.4 * torch.rand(2, 1, 3, 8, 8, generator=generator)
    moving = 0.1 * torch.rand(2, 16, 3, 8, 8, generator=generator)
    time = torch.arange(16_000) / 16_000
    hum = 0.2 * torch.sin(2 * math.pi * 440 * time) + 0.02 * torch.randn(2, 16_000, generator=generator)
    clips = Clips(still + moving, hum, 16_000)
    found = Background()(clips, SampleRNG(seeds(2)))
    assert found.frames is not None
    assert found.waveform is not None
    torch.testing.assert_close(found.frames.mean(1), torch.full((2, 3, 8, 8), 0.5))
    torch.testing.assert_close(found.frames.diff(dim=1), moving.diff(dim=1), rtol=0, atol=1e-6)
    torch.testing.assert_close(found.waveform.square().mean(1), hum.square().mean(1))

    def spread_of(waveform: Tensor) -> Tensor:
        decibels = 10 * spectrogram(waveform).abs().square().mean(2).log10()
        return decibels[:, 2:-2].std(1)

    assert (spread_of(hum) > 3).all()
    assert (spread_of(found.waveform) < 1.5).all()


def test_a_segment_is_blurred_and_muffled() -> None:
    clips = random_clips(6, 16, 9, 16_000, size=32)
    blur = SegmentBlur()
    after = blur(clips, SampleRNG(seeds(6)))
    assert clips.frames is not None
    assert after.frames is not None
    assert after.waveform is not None
    lost = inside(blur.lost(SampleRNG(seeds(6)).fork("both")), 16)
    sharp = (after.frames[..., 1:] - after.frames[..., :-1]).abs().mean((2, 3, 4))
    assert sharp[lost].max() < 0.5 * sharp[~lost].min()
    heard = inside(blur.lost(SampleRNG(seeds(6)).fork("both")), 16_000)
    rough = (after.waveform[:, 1:] - after.waveform[:, :-1]).abs()
    assert rough[heard[:, 1:] & heard[:, :-1]].mean() < 0.2 * rough[~heard[:, 1:] & ~heard[:, :-1]].mean()


def test_a_cuboid_is_a_box_in_space_and_time() -> None:
    clips = random_clips(6, 16, 10, size=20)
    after = Cuboid(side=0.5)(clips, SampleRNG(seeds(6)))
    assert clips.frames is not None
    assert after.frames is not None
    gone = (clips.frames != after.frames).any(2)
    for sample in gone:
        t, y, x = (sample.any(-1).any(-1), sample.any(0).any(-1), sample.any(0).any(0))
        assert (int(t.sum()), int(y.sum()), int(x.sum())) == (8, 10, 10)
        box = t[:, None, None] & y[None, :, None] & x[None, None, :]
        assert torch.equal(box, sample)
        assert np.ptp(np.flatnonzero(t)) == 7


@pytest.mark.parametrize(("part", "count"), [(0.3, 10), (0.5, 6), (0.01, 5), (1.0, 4)])
def test_a_span_begins_anywhere_that_has_room_for_it(part: float, count: int) -> None:
    length, found = max(1, round(part * count)), _span(SampleRNG(seeds(2000)), part, count)
    assert (found.sum(1) == length).all()
    starts, often = found.int().argmax(1).unique(return_counts=True)
    assert starts.tolist() == list(range(count - length + 1))
    assert often.min() > 0.7 * often.max()


def test_a_reversal_runs_backwards() -> None:
    clips = random_clips(2, 16, 11)
    after = Reversal()(clips, SampleRNG(seeds(2)))
    assert clips.frames is not None
    assert clips.waveform is not None
    assert torch.equal(after.frames, clips.frames.flip(1))  # type: ignore[arg-type]
    assert torch.equal(after.waveform, clips.waveform.flip(1))  # type: ignore[arg-type]


def test_a_circular_shift_is_a_roll_of_both() -> None:
    clips = random_clips(20, 16, 12)
    after = CircularShift()(clips, SampleRNG(seeds(20)))
    assert clips.frames is not None
    assert clips.waveform is not None
    assert after.frames is not None
    assert after.waveform is not None
    shifts = []
    for sample in range(20):
        found = [s for s in range(-8, 9) if torch.equal(clips.frames[sample].roll(s, 0), after.frames[sample])]
        shifts.append(found[0])
        assert torch.equal(clips.waveform[sample].roll(100 * found[0]), after.waveform[sample])
    assert min(shifts) < 0 < max(shifts)
    assert max(map(abs, shifts)) <= 4


def test_a_spectrogram_and_back_is_the_same() -> None:
    sound = 0.9 * (2 * torch.rand(3, 5000, generator=torch.Generator().manual_seed(0)) - 1)
    torch.testing.assert_close(from_spectrogram(spectrogram(sound), 5000), sound, atol=1e-5, rtol=0)


def test_a_low_pass_keeps_what_is_low() -> None:
    time = torch.arange(16_000) / 16_000
    low, high = (torch.sin(2 * math.pi * f * time)[None] for f in (200, 4000))
    cutoff = torch.tensor([0.1])
    torch.testing.assert_close(low_pass(low, cutoff), low, atol=0.01, rtol=0)
    assert low_pass(high, cutoff).abs().max() < 0.01


def test_a_blur_has_the_width_of_each_sample() -> None:
    point = torch.zeros(3, 1, 3, 41, 41)
    point[..., 20, 20] = 1
    blurred = blur_space(point, torch.tensor([0.0, 1.5, 4.0]))
    assert torch.equal(blurred[0], point[0])
    place = torch.arange(41.0) - 20
    for sample, width in ((1, 1.5), (2, 4.0)):
        profile = blurred[sample, 0, 0].sum(0)
        assert float((profile * place.square()).sum().sqrt()) == pytest.approx(width, rel=0.02)


@pytest.mark.parametrize(
    ("kind", "settings_"),
    [
        (TimeMask, {"p": 1.2}),
        (TimeMask, {"strength": -0.1}),
        (TimeMask, {"fraction": 2.0}),
        (TimeMask, {"blocks": 0}),
        (FrameDrop, {"fill": "pink"}),
        (Cuboid, {"side": 0.0}),
        (FrameDrop, {"cells": 0}),
        (CircularShift, {"fraction": 0.7}),
        (CircularShift, {"fraction": -0.1}),
        (SegmentPermutation, {"segments": 1}),
        (SegmentNoise, {"level": 0.0}),
        (Fade, {"fraction": -1.0}),
        (Fade, {"fraction": float("nan")}),
        (Fade, {"streams": "vidoe"}),
        (Fade, {"sync": "shraed"}),
        (TimeMask, {"blocks": 2.5}),
        (TimeMask, {"blocks": 1000}),
        (TimeMask, {"p": True}),
        (SegmentNoise, {"snr": -9999.0}),
        (SegmentBlur, {"sigma": float("inf")}),
    ],
)
def test_settings_out_of_range_are_refused(kind: type[TemporalAugmentation], settings_: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match=f"{next(iter(settings_))} must be"):
        kind(**settings_)


def test_clips_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ArgumentError, match="both"):
        Clips(None, None)
    with pytest.raises(ArgumentError, match="frames must be"):
        Clips(torch.zeros(2, 16, 8, 8, 3), None)
    with pytest.raises(ArgumentError, match="divide bytes by 255"):
        Clips(torch.zeros(2, 4, 3, 8, 8, dtype=torch.uint8), None)
    with pytest.raises(ArgumentError, match="waveform must be"):
        Clips(None, torch.zeros(100))
    with pytest.raises(ArgumentError, match="2 clips of frames and 3"):
        Clips(torch.zeros(2, 4, 3, 8, 8), torch.zeros(3, 100))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("augmentation", ALL, ids=names)
def test_a_gpu_gives_the_same(augmentation: TemporalAugmentation) -> None:
    clips = random_clips(4, 16, 13)
    assert clips.frames is not None
    assert clips.waveform is not None
    here = augmentation(clips, SampleRNG(seeds(4)))
    there = augmentation(Clips(clips.frames.cuda(), clips.waveform.cuda()), SampleRNG(seeds(4).cuda()))
    torch.testing.assert_close(here.frames, there.frames.cpu(), atol=1e-4, rtol=0)  # type: ignore[union-attr]
    torch.testing.assert_close(here.waveform, there.waveform.cpu(), atol=1e-4, rtol=0)  # type: ignore[union-attr]

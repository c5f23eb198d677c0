"""Lossy in the spectrum: invariants on random inputs, and formulas against slow, obvious ones and torchaudio's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avfeat.errors import ArgumentError
from avfeat.training.augment.augmentation import Augmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.filters import HOP, N_FFT, spectrogram
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.augment.spectral import (
    ColouredNoise,
    FrequencyMask,
    Gain,
    PitchShift,
    TimeStretch,
    band_stop,
    colour_noise,
)
from avfeat.training.augment.vocoder import change_speed, read_at, shift_pitch, stretch

RATE = 16_000
ALL = [FrequencyMask(), PitchShift(), TimeStretch(), ColouredNoise(), Gain()]


def sound(batch: int, samples: int, seed: int, loudest: float = 0.8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return loudest * (2 * torch.rand(batch, samples, generator=generator) - 1)


def tone(frequency: float, samples: int = 2 * RATE) -> Tensor:
    return 0.5 * torch.sin(2 * math.pi * frequency * torch.arange(samples, dtype=torch.float64) / RATE).float()


def seeds(batch: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 1 << 62, (batch,), generator=torch.Generator().manual_seed(seed))


def augmented(augmentation: Augmentation, waveform: Tensor, seed: int = 0) -> Tensor:
    after = augmentation(Clips(None, waveform, RATE), SampleRNG(seeds(len(waveform), seed))).waveform
    assert after is not None
    return after


@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
@settings(max_examples=25)
@given(
    batch=st.integers(1, 4),
    samples=st.integers(800, 4000),
    seed=st.integers(0, 999),
    strength=st.floats(0, 1),
    loudest=st.sampled_from([0.0, 1e-4, 1.0]),
)
def test_shape_dtype_and_range_are_kept(
    augmentation: Augmentation, batch: int, samples: int, seed: int, strength: float, loudest: float
) -> None:
    before = sound(batch, samples, seed, loudest)
    after = augmented(replace(augmentation, strength=strength), before, seed)
    assert after.shape == before.shape
    assert after.dtype == torch.float32
    assert torch.isfinite(after).all()
    assert after.abs().max() <= 1
    if not loudest:
        torch.testing.assert_close(after, before, rtol=0, atol=1e-6)


@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
def test_strength_0_and_samples_that_p_leaves_alone_are_as_they_were(augmentation: Augmentation) -> None:
    before = sound(40, 1600, 1)
    for nothing in (replace(augmentation, strength=0.0), replace(augmentation, p=0.0)):
        assert torch.equal(augmented(nothing, before), before)
    changed = (augmented(replace(augmentation, p=0.5), before) != before).any(1)
    # The first number that a class draws says whether it does anything.
    assert torch.equal(changed, SampleRNG(seeds(40)).fork("sound").chance(0.5))
    assert 5 < int(changed.sum()) < 35


@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
def test_pictures_are_left_alone(augmentation: Augmentation) -> None:
    clips = Clips(torch.rand(2, 2, 3, 8, 8), sound(2, 1600, 0), RATE)
    after = augmentation(clips, SampleRNG(seeds(2)))
    assert after.frames is clips.frames
    assert not torch.equal(after.waveform, clips.waveform)  # type: ignore[arg-type]
    blind = augmentation(replace(clips, frames=None), SampleRNG(seeds(2)))
    assert torch.equal(blind.waveform, after.waveform)  # type: ignore[arg-type]
    deaf = replace(clips, waveform=None)
    assert augmentation(deaf, SampleRNG(seeds(2))) is deaf


@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
@settings(max_examples=15)
@given(st.integers(2, 4), st.integers(800, 4000), st.integers(0, 999))
def test_a_sample_does_not_depend_on_its_batch(
    augmentation: Augmentation, batch: int, samples: int, seed: int
) -> None:
    before = sound(batch, samples, seed)
    whole = augmented(augmentation, before, seed)
    assert torch.equal(whole, augmented(augmentation, before, seed))
    for number in range(batch):
        one = slice(number, number + 1)
        alone = augmentation(Clips(None, before[one], RATE), SampleRNG(seeds(batch, seed)[one])).waveform
        torch.testing.assert_close(alone, whole[one], rtol=0, atol=2e-4)


def removed(augmentation: Any, rng: SampleRNG) -> Tensor:
    lost: Tensor = augmentation.lost(rng)
    return (lost[..., 1] - lost[..., 0]).sum(1)


def shifted(augmentation: Any, rng: SampleRNG) -> Tensor:
    shifts: Tensor = augmentation.shifts(rng)
    return shifts.abs()


def sped(augmentation: Any, rng: SampleRNG) -> Tensor:
    rates: Tensor = augmentation.rates(rng)
    return (rates - 1).abs()


def noisy(augmentation: Any, rng: SampleRNG) -> Tensor:
    levels: Tensor = augmentation.levels(rng)
    return levels


def amplified(augmentation: Any, rng: SampleRNG) -> Tensor:
    gains: Tensor = augmentation.gains(rng)
    return (20 * gains.log10()).abs()


# What is destroyed, as a number of each sample, and the documented maximum of it.
MAXIMA = [
    (FrequencyMask(), removed, 0.25),
    (FrequencyMask(fraction=0.6, bands=3), removed, 0.6),
    (PitchShift(), shifted, 15),
    (TimeStretch(), sped, 0.5),
    (ColouredNoise(), noisy, 1.0),
    (ColouredNoise(snr=(6.0, 10.0)), noisy, 10 ** (-6 / 20)),
    (Gain(), amplified, 2.0),
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
    assert float(found[3].max()) == pytest.approx(maximum / 2, rel=0.01)


def test_ranges_have_two_sides() -> None:
    rng = SampleRNG(seeds(3000))
    assert PitchShift().shifts(rng).aminmax().min == pytest.approx(-15, abs=0.1)
    assert PitchShift().shifts(rng).aminmax().max == pytest.approx(15, abs=0.1)
    assert TimeStretch().rates(rng).aminmax().min == pytest.approx(0.5, abs=0.01)
    assert TimeStretch().rates(rng).aminmax().max == pytest.approx(1.5, abs=0.01)
    assert Gain().gains(rng).aminmax().min == pytest.approx(10 ** (-2 / 20), abs=0.001)
    ratio = -20 * ColouredNoise().levels(rng).log10()
    counts = np.histogram(ratio.numpy(), bins=10, range=(0, 19))[0]
    # Chi-squared with 9 degrees of freedom: beyond 35 once in 15,000 times.
    assert ((counts - 300) ** 2 / 300).sum() < 35


# Frequency masks.


def slow_left(place: float, bands: list[tuple[float, float]]) -> float:
    left = 1.0
    for begin, end in bands:
        edge = min(0.01, end - begin)
        distance = min(place - begin, end - place)
        if edge and distance >= edge / 2:
            left = 0.0
        elif edge and distance > -edge / 2:
            left *= (1 + math.cos(math.pi * (distance + edge / 2) / edge)) / 2
    return left


@settings(max_examples=30)
@given(st.floats(0, 0.45), st.floats(0, 0.45), st.floats(0.5, 1), st.floats(0, 0.05))
def test_a_band_stop_is_soft_at_its_edges(begin: float, width: float, second: float, narrow: float) -> None:
    bands = [(begin, begin + width), (second, second + narrow)]
    places = torch.linspace(0, 1, 501, dtype=torch.float64)
    found = band_stop(torch.tensor([bands], dtype=torch.float64), places)[0]
    expected = torch.tensor([slow_left(float(place), bands) for place in places], dtype=torch.float64)
    # Of a band narrower than a millionth even float64 cannot tell well how far within it a place is.
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@given(st.floats(0.001, 0.3), st.floats(0.02, 0.6))
def test_as_much_of_the_axis_is_removed_as_is_said(width: float, begin: float) -> None:
    band = torch.tensor([[[begin, begin + width]]], dtype=torch.float64)
    left = band_stop(band, torch.linspace(0, 1, 100_001, dtype=torch.float64))
    assert float((1 - left).mean()) == pytest.approx(width, rel=0.02, abs=2e-5)


def test_a_frequency_mask_removes_its_bands_and_nothing_else() -> None:
    before, mask = sound(4, 8000, 2, 0.3), FrequencyMask(fraction=0.4, bands=2)
    after = augmented(mask, before)
    lost = mask.lost(SampleRNG(seeds(4)).fork("sound"))
    frequency = np.fft.rfftfreq(8000, 1 / RATE)
    # Where 1000 mel are 1000 Hz, and the axis ends at 8 kHz.
    place = np.log(1 + frequency / 700) / np.log(1 + 8000 / 700)
    assert 2595 * np.log10(1 + 1000 / 700) == pytest.approx(1000, abs=0.1)
    for old, new, bands in zip(before, after, lost.tolist(), strict=True):
        kept = np.ones(len(frequency), bool)
        gone = np.zeros(len(frequency), bool)
        for begin, end in bands:
            gone |= (place > begin + 0.006) & (place < end - 0.006)
            kept &= (place < begin - 0.006) | (place > end + 0.006)
        assert gone.sum() > 200
        assert kept.sum() > 1000
        left, had = np.fft.rfft(new.double().numpy()), np.fft.rfft(old.double().numpy())
        np.testing.assert_allclose(left[kept], had[kept], atol=1e-3)
        assert np.abs(left[gone]).max() < 1e-3


# The vocoder.


@settings(max_examples=25)
@given(st.lists(st.floats(0.4, 2.5), min_size=1, max_size=4), st.integers(3, 30), st.integers(0, 999))
def test_stretching_is_torchaudios(rates: list[float], size: int, seed: int) -> None:
    spectrum = torch.randn(
        len(rates), N_FFT // 2 + 1, size, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed)
    )
    found = stretch(spectrum, torch.tensor(rates, dtype=torch.float64), 90)
    advance = torch.linspace(0, math.pi * HOP, N_FFT // 2 + 1, dtype=torch.float64)[:, None]
    for one, given_spectrum, rate in zip(found, spectrum, rates, strict=True):
        expected = torchaudio.functional.phase_vocoder(given_spectrum, rate, advance)
        columns = expected.shape[-1]
        torch.testing.assert_close(one[:, :columns], expected, atol=1e-9, rtol=1e-9)
        assert not one[:, columns:].any(), "silence when the sample has ended"


@given(st.integers(0, 999))
def test_reading_between_samples_is_exact_for_parabolas(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b, c = random.uniform(-1, 1, 3)
    x = np.arange(50) / 50
    waveform = torch.tensor(a * x**2 + b * x + c, dtype=torch.float32)[None]
    places = torch.from_numpy(random.uniform(1, 48, (1, 200)))
    expected = a * (places / 50) ** 2 + b * places / 50 + c
    torch.testing.assert_close(read_at(waveform, places), expected.float(), atol=1e-5, rtol=0)
    whole = torch.arange(50, dtype=torch.float64)[None]
    assert torch.equal(read_at(waveform, whole), waveform)


def peak(waveform: Tensor) -> float:
    """The strongest frequency in the middle of two seconds, in Hz."""
    middle = waveform[4000:28_000]
    return float(torch.fft.rfft(middle * torch.hann_window(24_000)).abs().argmax() * RATE / 24_000)


@pytest.mark.parametrize("frequency", [220, 1000, 3000])
def test_a_shifted_tone_has_the_pitch_that_was_drawn(frequency: float) -> None:
    semitones = torch.tensor([-15, -7.3, -1, 0.5, 4, 12, 15])
    after = shift_pitch(tone(frequency).expand(7, -1), torch.exp2(semitones / 12), 2**1.25)
    for one, shift in zip(after, semitones.tolist(), strict=True):
        assert peak(one) == pytest.approx(frequency * 2 ** (shift / 12), rel=0.01)
        # It is a tone all the way, and not much softer.
        loudness = one[2000:30_000].view(-1, 2000).square().mean(1).sqrt()
        assert loudness.min() > 0.15
        assert loudness.max() < 0.45


def test_the_augmentation_shifts_by_what_it_draws() -> None:
    shift = PitchShift(semitones=12)
    semitones = shift.shifts(SampleRNG(seeds(6)).fork("sound"))
    assert semitones.min() < -5
    assert semitones.max() > 6
    after = augmented(shift, tone(600).repeat(6, 1))
    for one, drawn in zip(after, semitones.tolist(), strict=True):
        assert peak(one) == pytest.approx(600 * 2 ** (drawn / 12), rel=0.004)


def test_what_would_alias_is_gone() -> None:
    both = (tone(1000) + tone(5000)) / 2
    after = shift_pitch(both[None], torch.tensor([2.0]), 2.0)[0]
    spectrum = torch.fft.rfft(after[4000:28_000] * torch.hann_window(24_000)).abs()
    frequency = torch.linspace(0, 8000, len(spectrum))
    near = (frequency - 2000).abs() < 100
    assert spectrum[~near].square().sum() < 1e-3 * spectrum[near].square().sum()


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.25, 1.5])
def test_a_changed_speed_moves_events_and_keeps_the_pitch(rate: float) -> None:
    time = torch.arange(2 * RATE) / RATE
    # A tone from 0.4 to 0.8 s.
    burst = tone(1000) * ((time > 0.4) & (time < 0.8))
    after = change_speed(burst[None], torch.tensor([rate]))[0]
    heard = time[after.abs() > 0.2]
    assert float(heard.min()) == pytest.approx(0.4 / rate, abs=0.03)
    assert float(heard.max()) == pytest.approx(0.8 / rate, abs=0.03)
    long = change_speed(tone(1000)[None], torch.tensor([rate]))[0]
    end = int(2 * RATE / rate)
    assert long[: min(end, 2 * RATE)].abs().max() > 0.3
    assert not long[end + N_FFT :].any()
    within = long[4000:20_000]
    strongest = torch.fft.rfft(within * torch.hann_window(len(within))).abs().argmax() * RATE / len(within)
    assert float(strongest) == pytest.approx(1000, rel=0.01)


def test_the_augmentation_stretches_by_the_rate_that_it_draws() -> None:
    stretching = TimeStretch()
    rates = stretching.rates(SampleRNG(seeds(6)).fork("sound"))
    assert rates.min() < 0.9
    assert rates.max() > 1.1
    before = sound(6, 4000, 3)
    for one, clip, rate in zip(augmented(stretching, before), before, rates, strict=True):
        torch.testing.assert_close(one, change_speed(clip[None], rate[None])[0].clamp(-1, 1), atol=2e-4, rtol=0)


def test_at_rate_1_the_vocoder_changes_nothing() -> None:
    before = sound(2, 3000, 4)
    torch.testing.assert_close(change_speed(before, torch.ones(2)), before, atol=1e-4, rtol=0)
    spectrum = spectrogram(before)
    torch.testing.assert_close(stretch(spectrum, torch.ones(2), spectrum.shape[2]), spectrum, atol=1e-3, rtol=0)


# Noise and gain.


def test_the_noise_has_the_ratio_that_is_drawn() -> None:
    before, noise = sound(8, 4000, 5, 0.1), ColouredNoise()
    added = augmented(noise, before) - before
    levels = noise.levels(SampleRNG(seeds(8)).fork("sound"))
    found = added.square().mean(1).sqrt() / before.square().mean(1).sqrt()
    torch.testing.assert_close(found, levels, rtol=1e-3, atol=0)
    correlation = np.corrcoef(torch.cat([added, before]).numpy())
    assert np.abs(correlation[:8, 8:]).max() < 0.1


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_colour_of_noise_is_its_exponent(exponent: float) -> None:
    noise = colour_noise(SampleRNG(seeds(20)), torch.full((20,), exponent), 32_000, RATE)
    torch.testing.assert_close(noise.square().mean(1), torch.ones(20))
    power = np.square(np.abs(np.fft.rfft(noise.double().numpy()))).mean(0)
    frequency = np.fft.rfftfreq(32_000, 1 / RATE)
    heard = (frequency > 25) & (frequency < 7900)
    slope = np.polyfit(np.log(frequency[heard]), np.log(power[heard]), 1, w=frequency[heard] ** -0.5)[0]
    assert slope == pytest.approx(-exponent, abs=0.05)
    assert power[frequency < 20].max() < 1e-6 * power[heard].max()


def test_colours_are_spread_from_white_to_brown() -> None:
    before = sound(200, 4000, 8, 0.01)
    added = augmented(ColouredNoise(snr=(-40.0, -40.0)), before) - before
    power = np.square(np.abs(np.fft.rfft(added.double().numpy())))[:, 10:]
    frequency = np.log(np.fft.rfftfreq(4000, 1 / RATE)[10:])
    slopes = -np.polyfit(frequency, np.log(power).T, 1)[0]
    assert slopes.min() == pytest.approx(0, abs=0.2)
    assert slopes.max() == pytest.approx(2, abs=0.2)
    assert np.median(slopes) == pytest.approx(1, abs=0.25)


def test_silence_gets_no_noise() -> None:
    assert not augmented(ColouredNoise(), torch.zeros(3, 1000)).any()


def test_a_gain_is_a_factor_and_cuts_off_what_is_too_loud() -> None:
    before, gain = sound(6, 1000, 6, 1.0), Gain(decibels=12.0)
    factors = gain.gains(SampleRNG(seeds(6)).fork("sound"))
    assert factors.max() > 1.2
    assert factors.min() < 0.8
    torch.testing.assert_close(augmented(gain, before), (factors[:, None] * before).clamp(-1, 1))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: FrequencyMask(fraction=1.2),
        lambda: FrequencyMask(bands=0),
        lambda: PitchShift(semitones=25),
        lambda: TimeStretch(change=1.0),
        lambda: ColouredNoise(snr=(10.0, 0.0)),
        lambda: ColouredNoise(colour=(-1.0, 1.0)),
        lambda: Gain(decibels=-1),
        lambda: Gain(p=2.0),
    ],
)
def test_settings_out_of_range_are_refused(wrong: Callable[[], Augmentation]) -> None:
    with pytest.raises(ArgumentError, match="must be"):
        wrong()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
def test_a_gpu_gives_the_same(augmentation: Augmentation) -> None:
    before = sound(4, 4000, 7)
    there = augmentation(Clips(None, before.cuda(), RATE), SampleRNG(seeds(4).cuda())).waveform
    assert there is not None
    here = augmented(augmentation, before)
    # Sums of phases in float32 differ a little in bins that hold next to nothing.
    assert float((there.cpu() - here).norm() / here.norm()) < 1e-2

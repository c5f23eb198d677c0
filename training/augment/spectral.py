"""Lossy in the spectrum: what audio loses in frequency, pitch, speed, clarity and level; nothing in the frames.

Masks in time are not here: they are of ``temporal.TimeMask``, where frames can have the same.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from avfeat.training.augment.augmentation import Augmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.augment.segments import draw_blocks
from avfeat.training.augment.vocoder import change_speed, shift_pitch
from avfeat.training.schema import Ascending, Count, Share, settings

_EDGE = 0.01
"""Width of a band's edges on the mel axis (at 16 kHz 28 mel: 18 Hz in the bass, 200 Hz in the treble)."""
_LOWEST = 20.0
"""Hz: what lies below is not heard, but most of brown noise's power would be there."""

_Ratio = Annotated[float, Field(ge=-60)]
_Colour = Annotated[float, Field(ge=0, le=4)]


@settings
class _Spectral(Augmentation):
    """What changes audio and leaves the frames alone."""

    family = "lossy spectral"

    def __call__(self, clips: Clips, rng: SampleRNG) -> Clips:
        """The augmented clips; their frames are the same object."""
        if clips.waveform is None or not self.strength or not self.p:
            return clips
        return clips.with_(clips.frames, self.on_sound(clips.waveform, clips, rng.fork("sound")))

    @abstractmethod
    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Change a waveform ``(batch, samples)``."""


def _where(chosen: Tensor, changed: Tensor, waveform: Tensor) -> Tensor:
    """``changed``, in range, for the chosen samples (bool ``(batch,)``); the others keep every bit."""
    return torch.where(chosen[:, None], changed.clamp(-1, 1), waveform)


@settings
class FrequencyMask(_Spectral):
    """Bands of the mel axis are removed from the whole clip.

    SpecAugment's frequency masking (Park et al., Interspeech 2019, arXiv 1904.08779, section 2) on the waveform, so
    that it does not depend on the network's spectrogram. By the spectrum of the whole clip: a mask that does not
    change in time needs no short windows, whose leakage would fill the band again. The bands' edges are soft, else
    they would ring. Two masks of up to 10 of 80 bins in CrissCross, whose maximum is the default; one of 3 in GDT.

    Attributes:
        fraction: part of the mel axis (from 0 to half the sample rate) that is removed at strength 1, by all bands
            together.
        bands: how many bands it is split into, of equal width; their places are uniform, without overlap.
    """

    fraction: Share = 0.25
    bands: Count = 2

    def lost(self, rng: SampleRNG) -> Tensor:
        """The bands as parts of the mel axis: ``(batch, bands, 2)``."""
        return draw_blocks(rng, self._amount(rng) * self.fraction, self.bands)

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Remove the bands."""
        lost, samples = self.lost(rng), waveform.shape[1]
        mel = _mel(torch.linspace(0, clips.sample_rate / 2, samples // 2 + 1, device=waveform.device))
        spectrum = torch.fft.rfft(waveform) * band_stop(lost, mel / _mel(torch.tensor(clips.sample_rate / 2)))
        return _where(lost[:, 0, 1] > lost[:, 0, 0], torch.fft.irfft(spectrum, n=samples), waveform)


def _mel(frequency: Tensor) -> Tensor:
    """The mel scale (O'Shaughnessy's, as in HTK) of Hz."""
    return 2595 * torch.log10(1 + frequency / 700)


def band_stop(bands: Tensor, places: Tensor) -> Tensor:
    """How much is left at each place of an axis.

    Args:
        bands: ``(batch, bands, 2)``: begin and end.
        places: ``(count,)``.

    Returns:
        ``(batch, count)``: 0 within a band, 1 without; edges are half cosines, centred at the band's ends.
    """
    left = places.new_ones(len(bands), len(places))
    for band in bands.unbind(1):
        begin, end = band[:, :1], band[:, 1:]
        # No wider than the band itself: with its width its depth goes to nothing, too.
        edge = (end - begin).clamp(min=1e-9, max=_EDGE)
        inside = torch.minimum(places - begin, end - places)
        through = 0.5 - 0.5 * torch.sin(math.pi * (inside / edge).clamp(-0.5, 0.5))
        left = left * torch.where(end > begin, through, 1.0)
    return left


@settings
class PitchShift(_Spectral):
    """All frequencies change by one factor; the speed stays.

    CLAR's ``pitch shift``, U{-15..14} semitones, here of any fraction of one; by a phase vocoder (see ``vocoder``).
    What a higher pitch lifts above half the sample rate, and of a lower one the top of the spectrum, is lost.

    Attributes:
        semitones: largest shift, up or down, at strength 1.
    """

    semitones: Annotated[float, Field(ge=0, le=24)] = 15.0

    def shifts(self, rng: SampleRNG) -> Tensor:
        """Semitones up: ``(batch,)``."""
        return self._amount(rng) * self.semitones * rng.uniform(-1, 1)

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Shift the pitch."""
        shifts = self.shifts(rng)
        largest = 2 ** (self.strength * self.semitones / 12)
        return _where(shifts != 0, shift_pitch(waveform, torch.exp2(shifts / 12), largest), waveform)


@settings
class TimeStretch(_Spectral):
    """The audio runs faster or slower, at its pitch; the length stays: what comes later is cut off, or silent.

    CLAR's ``time stretch`` with rates U(0.5, 1.5), cut off or padded with zeros; by a phase vocoder (see
    ``vocoder``). The audio begins with the frames and is ahead of or behind them towards the end: of the spectral
    ones this one alone is not in step with them.

    Attributes:
        change: largest change of the rate, of 1, at strength 1: with 0.5 up to half of the audio is cut off.
    """

    change: Annotated[float, Field(ge=0, le=0.9)] = 0.5

    def rates(self, rng: SampleRNG) -> Tensor:
        """How fast: ``(batch,)``."""
        return 1 + self._amount(rng) * self.change * rng.uniform(-1, 1)

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Stretch the audio."""
        rates = self.rates(rng)
        return _where(rates != 1, change_speed(waveform, rates), waveform)


@settings
class ColouredNoise(_Spectral):
    """Noise, anywhere between white and brown, at a signal-to-noise ratio.

    CLAR's ``white noise`` at SNR U{0..19} dB, and the colours of its ``mixed noise`` (white, pink, brown) as one
    range: power falls with the frequency to the exponent 0 (white) to 2 (brown); below 20 Hz there is none.
    Strength scales the noise's amplitude, so at strength s the ratio is by 20 log10(1 / s) dB higher. Silence stays
    silent.

    Attributes:
        snr: smallest and largest ratio of the clip's power to the noise's, in dB, at strength 1.
        colour: smallest and largest exponent.
    """

    snr: Annotated[tuple[_Ratio, _Ratio], Ascending] = (0.0, 19.0)
    colour: Annotated[tuple[_Colour, _Colour], Ascending] = (0.0, 2.0)

    def levels(self, rng: SampleRNG) -> Tensor:
        """Root mean square of the noise, as a part of the clip's: ``(batch,)``."""
        return self._amount(rng) * 10 ** (rng.uniform(*self.snr) / -20)

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Add noise."""
        levels = self.levels(rng)
        noise = colour_noise(rng, rng.uniform(*self.colour), waveform.shape[1], clips.sample_rate)
        power = waveform.square().mean(1, keepdim=True).sqrt()
        return _where(levels > 0, waveform + levels[:, None] * power * noise, waveform)


def colour_noise(rng: SampleRNG, exponents: Tensor, samples: int, sample_rate: int) -> Tensor:
    """Gaussian noise whose power falls with the frequency to an exponent ``(batch,)``; of unit power.

    Made in the spectrum right away: of white noise, that is Gaussian, too.
    """
    frequency = torch.linspace(0, sample_rate / 2, samples // 2 + 1, device=exponents.device)
    shape = (frequency.clamp(min=_LOWEST) / _LOWEST) ** (exponents[:, None] / -2) * (frequency >= _LOWEST)
    real, imaginary = rng.normal(2, len(frequency)).unbind(1)
    noise: Tensor = torch.fft.irfft(torch.complex(real * shape, imaginary * shape), n=samples)
    return noise / noise.square().mean(1, keepdim=True).sqrt().clamp(min=1e-12)


@settings
class Gain(_Spectral):
    """Louder or softer. Volume changes by 10 % in AVID and GDT, by 20 % in CrissCross, which is about the default.

    Attributes:
        decibels: largest change at strength 1; uniform in between. What becomes too loud is cut off.
    """

    decibels: Annotated[float, Field(ge=0, le=60)] = 2.0

    def gains(self, rng: SampleRNG) -> Tensor:
        """Factors: ``(batch,)``."""
        return torch.pow(10.0, self._amount(rng) * self.decibels * rng.uniform(-1, 1) / 20)

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Change the level."""
        gains = self.gains(rng)
        return _where(gains != 1, gains[:, None] * waveform, waveform)

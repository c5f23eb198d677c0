"""A phase vocoder with a rate for each sample: to stretch audio, and with resampling to shift its pitch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from avfeat.training.augment.filters import from_spectrogram, spectrogram


def stretch(spectrum: Tensor, rates: Tensor, columns: int) -> Tensor:
    """Spectrograms played at other speeds, at the same pitch.

    The phase vocoder of Flanagan and Golden (1966) in torchaudio's form (``torchaudio.functional.phase_vocoder``),
    with a rate per sample: column n has the magnitude, interpolated, of time n * rate, and each bin turns between
    two columns by as much as it did there. (torchaudio takes each turn apart into that of the bin's middle and the
    rest, and adds them again, which changes it by whole circles at most.)

    Args:
        spectrum: complex ``(batch, bins, size)``.
        rates: ``(batch,)``: above 1 for faster.
        columns: of the result; where a sample has ended there is silence.

    Returns:
        complex ``(batch, bins, columns)``.
    """
    # Bins side by side, as torch.stft has them in memory; two columns of silence, where reading ends.
    source = torch.nn.functional.pad(spectrum.transpose(1, 2), (0, 0, 0, 2))
    time = rates[:, None] * torch.arange(columns, device=rates.device)
    place = time.floor().clamp(max=spectrum.shape[2]).long()[:, :, None].expand(-1, -1, source.shape[2])
    part = (time - time.floor())[:, :, None]
    magnitude, angle = source.abs(), source.angle()
    heard = magnitude.gather(1, place).lerp(magnitude.gather(1, place + 1), part)
    turns = (angle[:, 1:] - angle[:, :-1]).gather(1, place)
    phase = torch.cat([angle[:, :1], turns[:, :-1]], dim=1).cumsum(1)
    return torch.polar(heard, phase).transpose(1, 2)


def change_speed(waveform: Tensor, rates: Tensor) -> Tensor:
    """Audio at another speed and the same pitch: ``(batch, samples)``, cut off or followed by silence.

    Args:
        waveform: ``(batch, samples)``.
        rates: ``(batch,)``: above 1 for faster.
    """
    spectrum = spectrogram(waveform)
    return from_spectrogram(stretch(spectrum, rates, spectrum.shape[2]), waveform.shape[1])


def shift_pitch(waveform: Tensor, factors: Tensor, largest: float) -> Tensor:
    """Audio at another pitch and the same speed: stretched, then read as much faster.

    Args:
        waveform: ``(batch, samples)``.
        factors: ``(batch,)``: of all frequencies.
        largest: what no factor exceeds; a number, as it says how long the stretched audio can be.
    """
    samples, spectrum = waveform.shape[1], spectrogram(waveform)
    bins, columns = spectrum.shape[1:]
    # What would come to lie above half the sample rate would be heard as something else.
    kept = torch.arange(bins, device=factors.device) * factors[:, None] < bins - 1
    stretched = stretch(spectrum * kept[:, :, None], 1 / factors, math.ceil(columns * largest) + 1)
    longer = from_spectrogram(stretched, math.ceil(samples * largest) + 1)
    # Places of some 70,000 samples leave too few digits of float32 for what lies between two.
    return read_at(longer, factors.double()[:, None] * torch.arange(samples, device=factors.device))


def read_at(waveform: Tensor, places: Tensor) -> Tensor:
    """The waveform between its samples: Catmull-Rom's cubic through the four around a place.

    Args:
        waveform: ``(batch, samples)``.
        places: float64 ``(batch, count)``: from 0 to ``samples - 1``.

    Returns:
        float32 ``(batch, count)``.
    """
    whole = places.floor()
    t, first = (places - whole).float(), whole.long()
    around = (waveform.gather(1, (first + k).clamp(0, waveform.shape[1] - 1)) for k in (-1, 0, 1, 2))
    before, left, right, after = around
    slope, bend = (right - before) / 2, before - 2.5 * left + 2 * right - after / 2
    return left + t * (slope + t * (bend + t * ((after - before) / 2 + 1.5 * (left - right))))

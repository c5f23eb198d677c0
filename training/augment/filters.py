"""Filters with a width for each sample, as matrix products and spectra: no loop over samples or frames."""

from __future__ import annotations

import torch
from torch import Tensor

N_FFT, HOP = 512, 128


def gaussian_matrix(widths: Tensor, count: int) -> Tensor:
    """Weights of a Gaussian average over ``count`` steps.

    Args:
        widths: ``(batch,)``: standard deviations in steps; 0 for the identity.
        count: how many steps.

    Returns:
        float32 ``(batch, count, count)``, rows of sum 1: borders are averaged over what is there.
    """
    step = torch.arange(count, device=widths.device, dtype=torch.float32)
    distance = (step[:, None] - step).square()
    exponent = distance / (2 * widths.clamp(min=0.05)[:, None, None].square())
    # What lies beyond float32's resolution is 0: denormal weights would make the products 25 times as slow.
    weights = torch.exp(-exponent).masked_fill(exponent > 20, 0.0)
    return weights / weights.sum(2, keepdim=True)


def blur_time(frames: Tensor, widths: Tensor) -> Tensor:
    """Average frames ``(batch, T, 3, h, w)`` over time, by standard deviations in frames ``(batch,)``."""
    weights = gaussian_matrix(widths, frames.shape[1]).to(frames.dtype)
    return torch.bmm(weights, frames.flatten(2)).view_as(frames)


def blur_space(frames: Tensor, widths: Tensor) -> Tensor:
    """Blur frames ``(batch, T, 3, h, w)`` by standard deviations in pixels ``(batch,)``, rows, then columns."""
    height, width = frames.shape[-2:]
    down, across = (gaussian_matrix(widths, count).to(frames.dtype) for count in (height, width))
    # Along rows one product for all of a clip; the other way round each frame needs its own.
    rows = torch.bmm(frames.flatten(1, 3), across.transpose(1, 2)).view_as(frames)
    return (down[:, None] @ rows.flatten(1, 2)).view_as(frames)


def spectrogram(waveform: Tensor) -> Tensor:
    """Complex ``(batch, N_FFT // 2 + 1, columns)``: 32 ms of a Hann window every 8 ms at 16 kHz."""
    window = torch.hann_window(N_FFT, device=waveform.device)
    padded = torch.nn.functional.pad(waveform, (N_FFT // 2, N_FFT // 2))
    return torch.stft(padded, N_FFT, HOP, window=window, center=False, return_complex=True)


def from_spectrogram(spectrum: Tensor, samples: int) -> Tensor:
    """The waveform ``(batch, samples)`` of a spectrogram: its exact inverse if nothing was changed.

    ``torch.istft``, which asks whether the windows cover all of it, so that a GPU would have to be waited for.
    """
    window = torch.hann_window(N_FFT, device=spectrum.device)
    pieces = torch.fft.irfft(spectrum.transpose(1, 2), n=N_FFT) * window
    weight = _overlapped(window.square().expand(1, spectrum.shape[2], -1))
    whole = (_overlapped(pieces) / weight.clamp(min=1e-11))[:, N_FFT // 2 :][:, :samples]
    return torch.nn.functional.pad(whole, (0, samples - whole.shape[1]))


def _overlapped(pieces: Tensor) -> Tensor:
    """The sum of ``(batch, columns, N_FFT)``, each ``HOP`` behind the one before, as ``(batch, length)``."""
    parts = pieces.reshape(*pieces.shape[:2], -1, HOP).unbind(2)
    tail = len(parts) - 1
    shifted = [torch.nn.functional.pad(part, (0, 0, k, tail - k)) for k, part in enumerate(parts)]
    return torch.stack(shifted).sum(0).flatten(1)


def smear_sound(waveform: Tensor, widths: Tensor) -> Tensor:
    """Average the magnitudes of the spectrogram over time; phases stay.

    Args:
        waveform: ``(batch, samples)``.
        widths: ``(batch,)``: standard deviations as parts of the clip.
    """
    spectrum = spectrogram(waveform)
    columns = spectrum.shape[2]
    magnitude = spectrum.abs()
    smeared = magnitude @ gaussian_matrix(widths * columns, columns).transpose(1, 2)
    changed = from_spectrogram(torch.polar(smeared, spectrum.angle()), waveform.shape[1])
    return torch.where(widths[:, None] > 0, changed.clamp(-1, 1), waveform)


def flatten_spectrum(waveform: Tensor, amount: Tensor) -> Tensor:
    """Filter audio so that its long-term spectrum becomes flat; the level stays.

    Args:
        waveform: ``(batch, samples)``; silence stays silent.
        amount: ``(batch,)``: 1 for flat, 0 for as it is; decibels in between. What lies 50 dB below the strongest
            band is not lifted further.
    """
    power = spectrogram(waveform).abs().square().mean(2)
    strongest = power.amax(1, keepdim=True)
    gain = (power + 1e-5 * strongest + 1e-20) ** (-amount[:, None] / 2)
    samples = waveform.shape[1]
    response = torch.nn.functional.interpolate(gain[:, None], samples // 2 + 1, mode="linear", align_corners=True)
    filtered = torch.fft.irfft(torch.fft.rfft(waveform) * response[:, 0], n=samples)
    level, now = (x.square().mean(1, keepdim=True).sqrt() for x in (waveform, filtered))
    flat: Tensor = filtered * (level / now.clamp(min=1e-12))
    return flat


def low_pass(waveform: Tensor, cutoff: Tensor) -> Tensor:
    """Remove what lies above ``cutoff`` (as a part of half the sample rate, ``(batch,)``), an octave wide edge."""
    size = waveform.shape[1]
    place = torch.linspace(0, 1, size // 2 + 1, device=waveform.device)
    octaves = torch.log2((place / cutoff.clamp(min=1e-4)[:, None]).clamp(min=1e-6))
    response = 0.5 - 0.5 * torch.sin(torch.pi * octaves.clamp(-0.5, 0.5))
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(waveform) * response, n=size)
    return filtered

"""Spectrograms of published audio networks as convolutions with fixed weights, which every runtime has."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torchaudio.compliance import kaldi

from avfeat.training.networks.positions import count_along

_FRAME, _HOP, _POINTS, _PREEMPHASIS = 400, 160, 512, 0.97
"""Of Kaldi's filter bank at 16 kHz."""


class PowerMel(nn.Module):
    """Mel bands of the power spectrum: one convolution gives real and imaginary parts."""

    basis: Tensor
    mel: Tensor

    def __init__(self, basis: NDArray[np.complex128], mel: NDArray[np.float64], hop: int) -> None:
        """``basis``: complex ``(bins, frame)``; ``mel``: ``(filters, bins)``."""
        super().__init__()
        both = np.concatenate([basis.real, basis.imag]).astype(np.float32)
        self.register_buffer("basis", torch.from_numpy(both).unsqueeze(1))
        self.register_buffer("mel", torch.from_numpy(mel.astype(np.float32)))
        self.hop = hop

    def forward(self, waveform: Tensor) -> Tensor:
        """``(batch, samples)`` to ``(batch, filters, frames)``."""
        parts = F.conv1d(waveform.unsqueeze(1), self.basis, stride=self.hop)
        real, imaginary = parts.chunk(2, dim=1)
        return torch.matmul(self.mel, real.square() + imaginary.square())


class KaldiFilterBank(nn.Module):
    """Kaldi's log filter bank, as the audio spectrogram transformer (AST) takes it.

    What Kaldi does to a frame before its power is taken is linear: its mean is taken away, it is pre-emphasised, a
    window is put on it, and it is transformed. ``torchaudio.compliance.kaldi`` says how.

    Args:
        bins: mel filters.
        length: frames; shorter spectrograms are padded by zeros, longer ones cut.
        mean: taken away at the end, also from the padding.
        std: half of what is divided by.
    """

    def __init__(self, bins: int, length: int, mean: float, std: float) -> None:
        super().__init__()
        self.bins, self.length, self.mean, self.std = bins, length, mean, std
        centred = np.eye(_FRAME) - 1 / _FRAME
        emphasised = np.eye(_FRAME) - _PREEMPHASIS * np.eye(_FRAME, k=-1)
        emphasised[0, 0] -= _PREEMPHASIS
        window = np.hanning(_FRAME)[:, None]
        basis = np.fft.rfft(window * (emphasised @ centred), n=_POINTS, axis=0)
        mel, _ = kaldi.get_mel_banks(bins, _POINTS, 16_000.0, 20.0, 0.0, 100.0, -500.0, 1.0)
        filters = np.zeros((bins, _POINTS // 2 + 1))
        filters[:, :-1] = mel.numpy()
        self.power = PowerMel(basis, filters, _HOP)

    def forward(self, waveform: Tensor) -> Tensor:
        """``(batch, samples)`` to ``(batch, length, bins)``."""
        logs = torch.log(torch.clamp(self.power(waveform), min=torch.finfo(torch.float32).eps))
        padding = torch.zeros_like(logs[:, :, :1]).expand(-1, -1, self.length)
        padded = torch.cat([logs, padding], dim=2)[:, :, : self.length]
        return ((padded - self.mean) / (2 * self.std)).transpose(1, 2)


class WhisperLogMel(nn.Module):
    """Whisper's log-mel spectrogram of sound that is padded to ``samples`` (Radford et al., arXiv 2212.04356).

    Args:
        bins: mel filters.
        samples: of the window; shorter waveforms are padded by zeros, longer ones cut.
        points: of the transform.
        hop: samples between frames.
        rate: samples a second.
    """

    def __init__(self, bins: int, samples: int, points: int, hop: int, rate: int) -> None:
        super().__init__()
        self.samples, self.edge = samples, points // 2
        # transformers' filters, and nobody else here needs it.
        from transformers.audio_utils import mel_filter_bank

        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(points) / points)
        basis = np.fft.rfft(np.diag(window), axis=0)
        filters = mel_filter_bank(1 + points // 2, bins, 0.0, 8000.0, rate, norm="slaney", mel_scale="slaney")
        self.power = PowerMel(basis, filters.T, hop)

    def forward(self, waveform: Tensor) -> Tensor:
        """``(batch, samples)`` to ``(batch, bins, frames)``."""
        padded = F.pad(cut_to(waveform, self.samples), (self.edge, self.edge), mode="reflect")
        logs = torch.clamp(self.power(padded)[:, :, :-1], min=1e-10).log10()
        return (torch.maximum(logs, logs.amax(dim=(1, 2), keepdim=True) - 8.0) + 4.0) / 4.0


class ClapLogMel(nn.Module):
    """CLAP's log-mel spectrogram of sound that is repeated up to ``samples`` (Wu et al., arXiv 2211.06687).

    Args:
        filters: mel filters, ``(bins, filters)``.
        samples: of the window; longer waveforms are cut.
        points: of the transform.
        hop: samples between frames.
        padding: of shorter waveforms: ``repeatpad`` repeats them while they fit, and zeros follow; ``repeat`` cuts
            the last one; ``pad`` has zeros alone.
    """

    places: Tensor

    def __init__(self, filters: NDArray[np.float64], samples: int, points: int, hop: int, padding: str) -> None:
        super().__init__()
        self.samples, self.edge, self.padding = samples, points // 2, padding
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(points) / points)
        # Bins above the highest filter are not computed.
        kept = int(np.flatnonzero(filters.any(1))[-1]) + 1
        self.power = PowerMel(np.fft.rfft(np.diag(window), axis=0)[:kept], filters[:kept].T, hop)
        self.register_buffer("places", torch.arange(samples))

    def forward(self, waveform: Tensor) -> Tensor:
        """``(batch, samples)`` to ``(batch, frames, filters)``, in dB."""
        padded = F.pad(self._filled(waveform), (self.edge, self.edge), mode="reflect")
        return (10 * torch.clamp(self.power(padded), min=1e-10).log10()).transpose(1, 2)

    def _filled(self, waveform: Tensor) -> Tensor:
        length = length_of(waveform).long()
        repeated = waveform[:, torch.remainder(self.places, length)]
        if self.padding == "repeat":
            return repeated
        if self.padding == "repeatpad":
            whole = self.samples - torch.remainder(self.places[-1] + 1, length)
            length = torch.maximum(whole, length)
        return repeated * (self.places < length)


def cut_to(waveform: Tensor, samples: int) -> Tensor:
    """``(batch, any)`` to ``(batch, samples)``: zeros behind a shorter one, a longer one cut."""
    padding = torch.zeros_like(waveform[:, :1]).expand(-1, samples)
    return torch.cat([waveform, padding], dim=1)[:, :samples]


def length_of(waveform: Tensor) -> Tensor:
    """The number of samples of ``(batch, samples)``, as float32, known when the graph runs."""
    return count_along(waveform[0])[-1] + 1

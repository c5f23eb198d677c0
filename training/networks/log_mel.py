"""The log-mel spectrogram: raw waveform in, equal to torchaudio's, in plain convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import torchaudio.functional as AF
from torch import Tensor, nn


class LogMel(nn.Module):
    """Log-mel spectrogram of a waveform, with the STFT as fixed convolution weights.

    Equal to ``log(torchaudio.transforms.MelSpectrogram(...)(x) + floor)`` with a Hann window, power 2, HTK mel
    scale and reflected borders, then shifted and scaled to about zero mean and unit variance. Convolutions run
    in any runtime and on any accelerator, where STFT operators and complex numbers do not.

    Args:
        sample_rate: of the waveform, in Hz.
        n_fft: length of the Fourier transform in samples.
        win_length: length of the Hann window, centred in ``n_fft``.
        hop_length: samples between two columns.
        n_mels: number of mel bands from 0 Hz to ``f_max``.
        floor: added before the logarithm: silence is ``log(floor)``. Small enough to hear what AAC keeps, large
            enough that rounding in float32 does not show in near silence.
        f_max: highest frequency in Hz; None for half the sample rate. Bins above it are not computed.
    """

    basis: Tensor
    mel: Tensor

    # About the mean and standard deviation of log-mel values over 150 public clips with audio.
    MEAN, STD = -3.7, 4.6

    def __init__(
        self,
        sample_rate: int = 16_000,
        n_fft: int = 512,
        win_length: int = 400,
        hop_length: int = 160,
        n_mels: int = 64,
        floor: float = 1e-5,
        f_max: float | None = None,
    ) -> None:
        super().__init__()
        self.hop_length = hop_length
        # Of the n_fft samples that a column stands on, the window leaves these.
        self.border = win_length // 2
        highest = sample_rate / 2 if f_max is None else f_max
        self.bins = int(highest * n_fft / sample_rate) + 1
        self.floor = floor
        mel = AF.melscale_fbanks(n_fft // 2 + 1, 0.0, highest, n_mels, sample_rate)[: self.bins]
        self.register_buffer("basis", _fourier_basis(n_fft, win_length, self.bins), persistent=False)
        self.register_buffer("mel", mel.T.contiguous(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """``(batch, samples)`` in [-1, 1] to ``(batch, 1, n_mels, 1 + samples // hop_length)``."""
        padded = F.pad(waveform.unsqueeze(1), (self.border, self.border), mode="reflect")
        spectrum = F.conv1d(padded, self.basis, stride=self.hop_length)
        power = spectrum[:, : self.bins].square() + spectrum[:, self.bins :].square()
        log_mel = torch.log(torch.matmul(self.mel, power) + self.floor)
        return ((log_mel - self.MEAN) / self.STD).unsqueeze(1)


def _fourier_basis(n_fft: int, win_length: int, bins: int) -> Tensor:
    """Windowed cosines, then sines, of the first ``bins`` frequencies: weights ``(2 * bins, 1, win_length)``.

    Computed in float64: ``X[k] = sum_n w[n] x[n] exp(-2 pi i k n / n_fft)``, but for a phase that powers do
    not see.
    """
    window = torch.hann_window(win_length, periodic=True, dtype=torch.float64)
    frequencies = torch.arange(bins, dtype=torch.float64)[:, None]
    times = torch.arange(win_length, dtype=torch.float64)[None]
    angle = 2 * torch.pi * ((frequencies * times) % n_fft) / n_fft
    return torch.cat([window * torch.cos(angle), -window * torch.sin(angle)]).unsqueeze(1).float()

"""EfficientAT's ``mn04_as``: a MobileNetV3 of width 0.4 that tags sounds with the 527 classes of AudioSet.

Schmid, Koutini and Widmer, "Efficient Large-Scale Audio Tagging Via Transformer-To-CNN Knowledge Distillation",
ICASSP 2023, arXiv 2211.04772; the table of layers is that of MobileNetV3-Large (arXiv 1905.02244). Weights are read
from the authors' file, under their licence (MIT); nothing of it is part of this project.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.compliance.kaldi import get_mel_banks

from avfeat.plain import open_plain
from avfeat.training.backbones.spectrum import PowerMel
from avfeat.training.networks.published import WeightsError

SAMPLE_RATE = 32_000
FEATURES = 384
CLASSES = 527
_POINTS, _WINDOW, _HOP = 1024, 800, 320


@dataclass(frozen=True)
class _BlockConfig:
    """One inverted residual of the table: kernel, channels inside and after, and how it moves and gates."""

    kernel: int
    inside: int
    out: int
    stride: int = 1
    gated: bool = False
    hard: bool = False


_STEM = 8
_TABLE = (
    _BlockConfig(3, 8, 8),
    _BlockConfig(3, 24, 16, 2),
    _BlockConfig(3, 32, 16),
    _BlockConfig(5, 32, 16, 2, gated=True),
    _BlockConfig(5, 48, 16, gated=True),
    _BlockConfig(5, 48, 16, gated=True),
    _BlockConfig(3, 96, 32, 2, hard=True),
    _BlockConfig(3, 80, 32, hard=True),
    _BlockConfig(3, 72, 32, hard=True),
    _BlockConfig(3, 72, 32, hard=True),
    _BlockConfig(3, 192, 48, gated=True, hard=True),
    _BlockConfig(3, 272, 48, gated=True, hard=True),
    _BlockConfig(5, 272, 64, 2, gated=True, hard=True),
    _BlockConfig(5, 384, 64, gated=True, hard=True),
    _BlockConfig(5, 384, 64, gated=True, hard=True),
)


class KaldiMel(nn.Module):
    """The log-mel spectrogram that the network was trained on: 128 bands of Kaldi's scale from 0 to 15 kHz.

    Pre-emphasis ``x[t] - 0.97 x[t - 1]``, a Hann window of 25 ms every 10 ms, power, then
    ``(log(mel + 1e-5) + 4.5) / 5``.
    """

    window: Tensor
    banks: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(_WINDOW, periodic=False), persistent=False)
        banks, _ = get_mel_banks(128, _POINTS, SAMPLE_RATE, 0.0, 15_000.0, 100.0, -500.0, 1.0)
        # Kaldi has no band that takes the highest frequency.
        self.register_buffer("banks", F.pad(banks, (0, 1)), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """float32 ``(batch, samples)`` at 32 kHz to ``(batch, 1, 128, (samples - 1) // 320 + 1)``."""
        emphasised = waveform[:, 1:] - 0.97 * waveform[:, :-1]
        spectrum = torch.stft(emphasised, _POINTS, _HOP, _WINDOW, self.window, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()
        return ((torch.log(self.banks @ power + 1e-5) + 4.5) / 5).unsqueeze(1)


class ConvolvedKaldiMel(nn.Module):
    """``KaldiMel`` as a convolution with fixed weights, which every runtime has."""

    def __init__(self) -> None:
        super().__init__()
        window = np.pad(np.hanning(_WINDOW), (_POINTS - _WINDOW) // 2)
        basis = np.fft.rfft(np.diag(window), axis=0)
        self.power = PowerMel(basis, KaldiMel().banks.double().numpy(), _HOP)

    def forward(self, waveform: Tensor) -> Tensor:
        """float32 ``(batch, samples)`` at 32 kHz to ``(batch, 1, 128, (samples - 1) // 320 + 1)``."""
        emphasised = waveform[:, 1:] - 0.97 * waveform[:, :-1]
        padded = F.pad(emphasised, (_POINTS // 2, _POINTS // 2), mode="reflect")
        return ((torch.log(self.power(padded) + 1e-5) + 4.5) / 5).unsqueeze(1)


class Mn04(nn.Module):
    """Waveform at 32 kHz, a second or longer, to 384 features and 527 scores before the sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.mel: nn.Module = KaldiMel()
        before = (_STEM, *(row.out for row in _TABLE))
        blocks = [_Block(channels, row) for channels, row in zip(before, _TABLE, strict=False)]
        stem, last = _layer(1, _STEM, 3, 2), _layer(before[-1], FEATURES, 1)
        self.features = nn.Sequential(stem, *blocks, last)
        # Numbered as in the file, which has activations and dropout between.
        self.classifier = nn.Sequential(
            nn.Identity(), nn.Identity(), nn.Linear(FEATURES, 512), nn.Hardswish(), nn.Identity(),
            nn.Linear(512, CLASSES),
        )  # fmt: skip

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """float32 ``(batch, samples)`` to ``(batch, 384)`` and ``(batch, 527)``."""
        features = self.embed(waveform)
        return features, self.classifier(features)

    def embed(self, waveform: Tensor) -> Tensor:
        """float32 ``(batch, samples)`` to features ``(batch, 384)`` alone."""
        features: Tensor = self.features(self.mel(waveform)).mean((2, 3))
        return features


def load_mn04(file: Path) -> Mn04:
    """The network with the weights of ``file``, in evaluation mode.

    Raises:
        WeightsError: the file is missing, or holds other weights.
    """
    network = Mn04()
    try:
        with open_plain(file) as opened:
            network.load_state_dict(torch.load(opened, map_location="cpu", weights_only=True))
    except (
        *(OSError, EOFError, RuntimeError, KeyError, ValueError),
        *(pickle.UnpicklingError, AttributeError, TypeError),
    ) as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else "does not hold the weights of mn04_as"
        raise WeightsError(f"{file}: {why}; take mn04_as_mAP_432.pt of EfficientAT's releases.") from error
    return network.eval().requires_grad_(False)


class _Gate(nn.Module):
    """Squeeze and excitation over channels (arXiv 1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _multiple_of_8(channels / 4)
        self.fc1, self.fc2 = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class _Gates(nn.Module):
    """One gate, under the name that the file has for it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([_Gate(channels)])

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conc_se_layers[0](x))


class _Block(nn.Module):
    def __init__(self, channels: int, row: _BlockConfig) -> None:
        super().__init__()
        activation = nn.Hardswish if row.hard else nn.ReLU
        layers = [] if row.inside == channels else [_layer(channels, row.inside, 1, activation=activation)]
        layers.append(_layer(row.inside, row.inside, row.kernel, row.stride, row.inside, activation))
        layers += [_Gates(row.inside)] if row.gated else []
        self.block = nn.Sequential(*layers, _layer(row.inside, row.out, 1, activation=None))
        self.residual = row.stride == 1 and channels == row.out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(x)
        return x + out if self.residual else out


def _layer(
    channels: int,
    out: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.Hardswish,
) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3),
    ]
    return nn.Sequential(*layers, *([] if activation is None else [activation()]))


def _multiple_of_8(value: float) -> int:
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * value else rounded + 8

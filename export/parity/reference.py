"""What files are held against: the networks themselves, behind a front end that shares no code with the graphs.

The resize is written out in NumPy, the spectrogram is torchaudio's: slow, obvious, and independent, so that a fault
in ``export.raw`` or in the log-mel's convolutions shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torchaudio.transforms as AT
from numpy.typing import NDArray
from torch import nn

from avfeat.backends import GraphOutput
from avfeat.bundle import Modality
from avfeat.export.errors import ExportError
from avfeat.training.networks import EncoderPair, PairSpec

# Those of the log-mels that networks are trained on, written out again on purpose.
_FLOOR, _MEAN, _STD = 1e-5, -3.7, 4.6
_USUAL = {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 64}
_WIDE = {
    32_000: {"n_fft": 1024, "win_length": 800, "hop_length": 320, "n_mels": 128, "f_max": 15_000.0},
    16_000: {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 128, "f_max": 8_000.0},
}
"""Of the network ``mel_resnet16``, by sample rate."""


class Reference:
    """The encoders in PyTorch and float32, one row at a time."""

    def __init__(self, pair: EncoderPair, spec: PairSpec) -> None:
        """Take a pair, in evaluation mode."""
        self.pair = pair.eval()
        self.spec = spec
        self._mel = spectrogram(spec)

    def run(self, modality: Modality, batch: NDArray[Any]) -> GraphOutput:
        """What a session for ``modality`` should give for ``batch``."""
        one = self._video if modality == "video" else self._audio
        with torch.inference_mode():
            rows = [one(row) for row in batch]
        return GraphOutput(*(torch.cat(parts).numpy() for parts in zip(*rows, strict=True)))

    def _video(self, frames: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
        pictures = resize_frames(frames, self.spec.size, self.spec.aspect == "crop")
        clip = torch.from_numpy(pictures).permute(0, 3, 1, 2)[None]
        features, shared = self.pair.video(clip)
        return features, shared

    def _audio(self, waveform: NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
        spectrogram = self._mel(torch.from_numpy(waveform)[None, None])
        features, shared = self.pair.audio(((spectrogram + _FLOOR).log() - _MEAN) / _STD)
        return features, shared


def spectrogram(spec: PairSpec) -> nn.Module:
    """torchaudio's, as the audio network of ``spec`` takes it.

    Raises:
        ExportError: a sample rate at which the network's is not written out here.
    """
    settings: dict[str, Any] = _USUAL
    if spec.audio == "mel_resnet16":
        if spec.sample_rate not in _WIDE:
            rates = " or ".join(f"{rate:,} Hz" for rate in _WIDE)
            raise ExportError(f"The audio network mel_resnet16 is held against a spectrogram at {rates}; take one.")
        settings = _WIDE[spec.sample_rate]
    found: nn.Module = AT.MelSpectrogram(spec.sample_rate, power=2.0, **settings)
    return found


def resize_frames(frames: NDArray[np.uint8], size: int, crop: bool) -> NDArray[np.float32]:
    """Frames ``(T, height, width, 3)`` in [0, 255] as ``(T, size, size, 3)`` in [0, 1]."""
    sides = frames.shape[1:3]
    targets = [max(size, round(side * size / min(sides))) if crop else size for side in sides]
    down, across = (
        triangle(side, target)[(target - size) // 2 :][:size] for side, target in zip(sides, targets, strict=True)
    )
    scaled: NDArray[np.float64] = np.einsum("ih,thwc,jw->tijc", down, frames / 255, across, optimize=True)
    return scaled.astype(np.float32)


def triangle(length: int, target: int) -> NDArray[np.float64]:
    """The antialiased triangle filter of Pillow's ``BILINEAR``: ``(target, length)``."""
    scale = length / target
    reach = max(scale, 1.0)
    matrix = np.zeros((target, length))
    for row in range(target):
        for column in range(length):
            matrix[row, column] = max(0.0, 1 - abs(column + 0.5 - (row + 0.5) * scale) / reach)
    matrix /= matrix.sum(axis=1, keepdims=True)
    return matrix

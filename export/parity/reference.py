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

from avfeat.backends import Embedded
from avfeat.bundle import Modality
from avfeat.training.networks import EncoderPair, PairSpec

# Those of the log-mel that networks are trained on, written out again on purpose.
_N_FFT, _WINDOW, _HOP, _MELS, _FLOOR, _MEAN, _STD = 512, 400, 160, 64, 1e-5, -3.7, 4.6


class Reference:
    """The encoders in PyTorch and float32, one row at a time."""

    def __init__(self, pair: EncoderPair, spec: PairSpec) -> None:
        """Take a pair, in evaluation mode."""
        self.pair = pair.eval()
        self.spec = spec
        self._mel = AT.MelSpectrogram(spec.sample_rate, _N_FFT, _WINDOW, _HOP, n_mels=_MELS, power=2.0)

    def run(self, modality: Modality, batch: NDArray[Any]) -> Embedded:
        """What a session for ``modality`` should give for ``batch``."""
        one = self._video if modality == "video" else self._audio
        with torch.inference_mode():
            rows = [one(row) for row in batch]
        return Embedded(*(torch.cat(parts).numpy() for parts in zip(*rows, strict=True)))

    def _video(self, frames: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
        pictures = resized(frames, self.spec.size, self.spec.aspect == "crop")
        clip = torch.from_numpy(pictures).permute(0, 3, 1, 2)[None]
        features, shared = self.pair.video(clip)
        return features, shared

    def _audio(self, waveform: NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
        spectrogram = self._mel(torch.from_numpy(waveform)[None, None])
        features, shared = self.pair.audio(((spectrogram + _FLOOR).log() - _MEAN) / _STD)
        return features, shared


def resized(frames: NDArray[np.uint8], size: int, crop: bool) -> NDArray[np.float32]:
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

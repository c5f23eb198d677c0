"""Encoders with everything in front of them inside: resize and scale, STFT and mel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from avfeat.training.networks import Encoder
from avfeat.training.networks.log_mel import LogMel


class RawVideo(nn.Module):
    """``frames`` uint8 ``(batch, T, height, width, 3)`` RGB to ``features`` and ``shared``.

    Frames are resized to ``size`` square, whatever their aspect, by an antialiased triangle filter; frames that
    have that size already pass unchanged.
    """

    def __init__(self, encoder: Encoder, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.size = size

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Raw frames to ``(batch, dim)`` and ``(batch, shared)``."""
        batch = frames.shape[0]
        pictures = frames.flatten(0, 1).permute(0, 3, 1, 2).float() / 255.0
        pictures = F.interpolate(
            pictures, size=(self.size, self.size), mode="bilinear", antialias=True, align_corners=False
        )
        features, shared = self.encoder(pictures.reshape(batch, -1, 3, self.size, self.size))
        return features, shared


class RawAudio(nn.Module):
    """``waveform`` float32 ``(batch, samples)`` mono in [-1, 1] to ``features`` and ``shared``."""

    def __init__(self, encoder: Encoder, log_mel: LogMel) -> None:
        super().__init__()
        self.encoder = encoder
        self.log_mel = log_mel

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """A raw waveform to ``(batch, dim)`` and ``(batch, shared)``."""
        features, shared = self.encoder(self.log_mel(waveform))
        return features, shared

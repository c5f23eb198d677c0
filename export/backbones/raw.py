"""Graphs that take raw frames: resampling, scale and pooling around a network of others."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from avfeat.export.backbones.resample import Resample
from avfeat.training.backbones.backbone import AudioBackbone, Look, VideoBackbone, as_outputs

Pool = Literal["mean", "mean_std", "none"]
"""What is made of the features of a window's frames."""
POOLS = get_args(Pool)


class RawFrames(nn.Module):
    """``frames`` uint8 ``(batch, T, height, width, 3)`` RGB to features, and to shared where the network has it."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: VideoBackbone, frames: int, pool: Pool) -> None:
        """Build ``backbone`` into a graph that is shown ``frames`` frames a window."""
        super().__init__()
        look: Look = backbone.look
        self.network, self.frames, self.pool = backbone.network, frames, pool
        self.together = backbone.fps is not None
        self.dropped = backbone.rows is not None and pool != "none"
        self.resample = Resample(look)
        self.register_buffer("mean", torch.tensor(look.mean).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(look.std).reshape(3, 1, 1))

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Raw frames to ``(batch, dim)``, ``(batch, shared)`` if there is one, kept rows ``(batch, T, dim)``."""
        pictures = (self.resample(frames.flatten(0, 1)) / 255.0 - self.mean) / self.std
        if self.together:
            clips = torch.unflatten(pictures, 0, (-1, self.frames)).transpose(1, 2)
            found = as_outputs(self.network(clips))
            return found[:-1] if self.dropped else found
        return pool_frames(as_outputs(self.network(pictures)), self.frames, self.pool)


class RawSound(nn.Module):
    """``waveform`` float32 ``(batch, samples)`` to features, to shared where the network has it, to kept rows."""

    def __init__(self, backbone: AudioBackbone, pool: Pool) -> None:
        """Build ``backbone`` into a graph, which keeps rows within a window if ``pool`` is ``none``."""
        super().__init__()
        self.network = backbone.network
        self.dropped = backbone.steps is not None and pool != "none"

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """Raw sound to ``(batch, dim)``, ``(batch, shared)`` if there is one, kept rows ``(batch, T, dim)``."""
        found = as_outputs(self.network(waveform))
        return found[:-1] if self.dropped else found


def pool_frames(found: tuple[Tensor, ...], frames: int, pool: Pool) -> tuple[Tensor, ...]:
    """Rows of frames, those of a window next to each other, to rows of windows.

    Features are pooled as ``pool`` says; ``none`` gives their mean, and behind all their rows ``(n, frames, dim)``.
    Of a shared space, the mean is brought to unit length again.
    """
    features = torch.unflatten(found[0], 0, (-1, frames))
    mean = features.mean(1)
    if pool == "mean_std":
        mean = torch.cat([mean, (features - mean.unsqueeze(1)).square().mean(1).sqrt()], dim=1)
    rows = (features,) if pool == "none" else ()
    if len(found) == 1:
        return (mean, *rows)
    shared = torch.unflatten(found[1], 0, (-1, frames)).mean(1)
    return (mean, nn.functional.normalize(shared, dim=1), *rows)

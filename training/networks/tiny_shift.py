"""A tiny video backbone for quick runs: strided convolutions per frame, with features shifted between frames.

Source of the shift: Lin, Gan and Han, "TSM", ICCV 2019 (arXiv 1811.08383), section 3.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from avfeat.training.networks.parts import Pixels, mean_and_std
from avfeat.training.networks.temporal_shift import temporal_shift


class ShiftedStage(nn.Module):
    """Shifts between frames, then halves height and width: convolution, BatchNorm, ReLU."""

    def __init__(self, channels: int, out: int, frames: int) -> None:
        super().__init__()
        self.conv = Conv2dNormActivation(channels, out, kernel_size=3, stride=2)
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """``(batch * frames, channels, height, width)`` to ``(batch * frames, out, height / 2, width / 2)``."""
        out: Tensor = self.conv(temporal_shift(x, self.frames))
        return out


class TinyShift(nn.Module):
    """``(batch, frames, 3, height, width)`` in [0, 1] to ``(batch, features)`` at about unit scale.

    The mean of the frames, a background that stands still, is taken away first: what is left is what moves, and
    that is learned much sooner. One half of the features is the mean over time, the other the standard deviation.
    """

    def __init__(self, frames: int = 16, features: int = 256) -> None:
        super().__init__()
        self.frames = frames
        self.dim = features
        self.pixels = Pixels()
        widths = (32, 64, 128, features // 2)
        # A first stride of 4 costs a quarter of two strides of 2, where most of the work would be.
        stem = Conv2dNormActivation(3, widths[0], kernel_size=7, stride=4)
        stages = (ShiftedStage(before, after, frames) for before, after in pairwise(widths))
        self.layers = nn.Sequential(stem, *stages)
        self.norm = nn.BatchNorm1d(features, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, frames, 3, height, width)`` to ``(batch, features)``."""
        x = self.pixels(x)
        x = x - x.mean(1, keepdim=True)
        pooled = self.layers(x.flatten(0, 1)).mean((2, 3)).unflatten(0, (-1, self.frames))
        out: Tensor = self.norm(mean_and_std(pooled.transpose(1, 2)))
        return out

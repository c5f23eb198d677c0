"""The audio backbone of the pair ``base``: a residual network of 16 layers on a wide-band log-mel spectrogram.

Made to learn from a network that tags sounds (see ``avfeat.training.teachers``): its maps have the places in time
and frequency that MobileNets for spectrograms have, so that they can be compared stage by stage. The blocks are
those of He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv 1512.03385).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from avfeat.training.networks.log_mel import LogMel
from avfeat.training.networks.parts import mean_and_std
from avfeat.training.networks.resnet14 import Block

WIDTHS = (32, 64, 128, 192)
"""Channels after the first convolution and after each stage of two blocks."""


def wide_band(sample_rate: int) -> LogMel:
    """128 bands up to 15 kHz, a column every 10 ms of windows of 25 ms; for 32 kHz.

    Args:
        sample_rate: of the waveform in Hz; below 30 kHz the bands end at half of it.
    """
    window, hop = round(0.025 * sample_rate), round(0.01 * sample_rate)
    n_fft = 1 << (window - 1).bit_length()
    return LogMel(sample_rate, n_fft, window, hop, 128, f_max=min(15_000.0, sample_rate / 2))


class MelResNet16(nn.Module):
    """``(batch, 1, 128, time)`` to ``(batch, 512)``, at the scale that it learns.

    The last maps' mean over time and frequency says what is heard; with their standard deviation over time, too,
    the last features say how it changes.

    Args:
        heard: how many features say what is heard.
        changes: how many say how it changes.
    """

    LAST = 384
    hidden = 256

    def __init__(self, heard: int = 384, changes: int = 128) -> None:
        super().__init__()
        self.dim = heard + changes
        stem = Conv2dNormActivation(1, WIDTHS[0], kernel_size=7, stride=4)
        stages = (
            nn.Sequential(Block(before, after, 2, None), Block(after, after, 1, None))
            for before, after in pairwise(WIDTHS)
        )
        last = Conv2dNormActivation(WIDTHS[-1], self.LAST, kernel_size=1)
        self.layers = nn.Sequential(stem, *stages, last)
        self.heard = nn.Linear(self.LAST, heard)
        self.changes = nn.Linear(2 * self.LAST, changes)

    def maps(self, x: Tensor) -> list[Tensor]:
        """What each stage gives, then the last convolution: ``(batch, channels, height, width)``."""
        found = []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return found[1:]

    def pool(self, x: Tensor) -> Tensor:
        """The last maps ``(batch, 384, height, width)`` to features ``(batch, dim)``."""
        both = mean_and_std(x.mean(2))
        return torch.cat([self.heard(both[:, : self.LAST]), self.changes(both)], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, 1, 128, time)`` to ``(batch, dim)``."""
        return self.pool(self.layers(x))

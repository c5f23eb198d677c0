"""The light backbones of the default pair: residual networks of 14 layers on frames and on log-mel spectrograms.

Plain 3 x 3 convolutions and ReLU: where MobileNets save operations by depthwise convolutions, these run at the
speed of matrix products, in training (bf16) as in int8. Source of the blocks: He et al., "Deep Residual Learning
for Image Recognition", CVPR 2016 (arXiv 1512.03385).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from avfeat.training.networks.parts import Pixels, mean_and_std
from avfeat.training.networks.temporal_shift import temporal_shift

WIDTHS = (32, 64, 128, 256)
"""Channels after the first convolution and after each stage of two blocks."""
WIDE = (64, 128, 256, 512)
"""Twice as many, for four times the arithmetic, as in wide residual networks (arXiv 1605.07146)."""


class Block(nn.Module):
    """The basic residual block, on spectrograms or on frames of a clip.

    Args:
        channels: of the input.
        out: of the output.
        stride: of the first convolution, and of the shortcut.
        frames: of a clip; the residual branch then sees its neighbours in time (TSM, section 3.2). None: no shift.
    """

    def __init__(self, channels: int, out: int, stride: int, frames: int | None) -> None:
        super().__init__()
        self.frames = frames
        self.branch = nn.Sequential(
            Conv2dNormActivation(channels, out, kernel_size=3, stride=stride),
            Conv2dNormActivation(out, out, kernel_size=3, activation_layer=None),
        )
        same = stride == 1 and channels == out
        self.shortcut = (
            nn.Identity() if same else Conv2dNormActivation(channels, out, 1, stride, activation_layer=None)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, height, width)`` to ``(n, out, height / stride, width / stride)``."""
        mixed = x if self.frames is None else temporal_shift(x, self.frames)
        return F.relu(self.shortcut(x) + self.branch(mixed))


def _projection(channels: int, out: int, stride: int) -> nn.Module:
    layer: nn.Module = Conv2dNormActivation(channels, out, kernel_size=1, stride=stride, activation_layer=None)
    return layer


def _blocks(widths: Sequence[int], frames: int | None = None) -> list[nn.Module]:
    """Three stages of two blocks, each halving height and width."""
    stages = (
        (Block(before, after, 2, frames), Block(after, after, 1, frames)) for before, after in pairwise(widths)
    )
    return [block for stage in stages for block in stage]


def moving_pathway(frames: int, widths: Sequence[int] = WIDTHS) -> nn.Sequential:
    """Frames of clips, ``(batch * frames, 3, height, width)``, to maps of ``widths[-1]`` channels."""
    return nn.Sequential(_stem(widths[0]), *_blocks(widths, frames))


class ShiftResNet14(nn.Module):
    """``(batch, frames, 3, height, width)`` in [0, 1] to ``(batch, 768)`` at about unit scale; 1,536 if ``WIDE``.

    Two pathways, as in two-stream networks (Simonyan and Zisserman, NeurIPS 2014, arXiv 1406.2199). What moves: the
    difference between each frame and the mean of the clip, a background that stands still; the mean over time of
    its features, then their standard deviation, a third of all each. What is there: two frames as they are. One
    network for both would learn the second first, by which instances are told apart sooner, and little else.

    Args:
        frames: of a clip.
        widths: channels after the first convolution and after each stage; the features are three times the last.
    """

    def __init__(self, frames: int = 16, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.dim = 3 * widths[-1]
        self.frames = frames
        self.pixels = Pixels()
        self.layers = moving_pathway(frames, widths)
        stages = (Block(before, after, 2, None) for before, after in pairwise(widths))
        self.still = nn.Sequential(_stem(widths[0]), *stages)
        self.norm = nn.BatchNorm1d(self.dim, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, frames, 3, height, width)`` to ``(batch, dim)``."""
        x = self.pixels(x)
        moving = x - x.mean(1, keepdim=True)
        maps = self.layers(moving.flatten(0, 1)).mean((2, 3)).unflatten(0, (-1, self.frames))
        two = torch.stack([x[:, self.frames // 4], x[:, 3 * self.frames // 4]], dim=1)
        still = self.still(two.flatten(0, 1)).mean((2, 3)).unflatten(0, (-1, 2)).mean(1)
        out: Tensor = self.norm(torch.cat([mean_and_std(maps.transpose(1, 2)), still], dim=1))
        return out


def _stem(channels: int) -> nn.Module:
    layer: nn.Module = Conv2dNormActivation(3, channels, kernel_size=7, stride=4)
    return layer


class MelResNet14(nn.Module):
    """``(batch, 1, mels, time)`` to ``(batch, 768)`` at about unit scale; 1,536 if ``WIDE``.

    Two pathways. What happens: the difference between the spectrogram and its mean over time, without the room and
    the microphone (cepstral mean normalisation: Atal, JASA 1974), with a second channel that says where in
    frequency a value lies, which convolutions under global pooling do not know (Liu et al., NeurIPS 2018, arXiv
    1807.03247); the mean over time of its features, then their standard deviation, a third of all each. What is
    there: the mean spectrum.

    Args:
        mels: bands of the spectrogram.
        widths: as in ``ShiftResNet14``.
    """

    def __init__(self, mels: int = 64, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        width = widths[-1]
        self.dim = 3 * width
        # Time keeps more of its resolution than frequency: rhythm lies in it.
        stem = Conv2dNormActivation(2, widths[0], kernel_size=7, stride=(4, 2))
        self.layers = nn.Sequential(stem, *_blocks(widths))
        self.still = nn.Sequential(
            nn.Linear(mels, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
        )
        self.norm = nn.BatchNorm1d(self.dim, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, 1, mels, time)`` to ``(batch, dim)``."""
        spectrum = x.mean(3, keepdim=True)
        pitch = torch.linspace(-1, 1, x.shape[2], device=x.device).to(x).reshape(1, 1, -1, 1)
        maps = self.layers(torch.cat([x - spectrum, pitch.expand_as(x)], dim=1)).mean(2)
        out: Tensor = self.norm(torch.cat([mean_and_std(maps), self.still(spectrum.flatten(1))], dim=1))
        return out

"""A light video backbone: MobileNetV3 per frame, with features shifted between frames.

Sources: the temporal shift module, Lin, Gan and Han, "TSM: Temporal Shift Module for Efficient Video
Understanding", ICCV 2019 (arXiv 1811.08383), section 3; MobileNetV3, Howard et al., ICCV 2019
(arXiv 1905.02244), as in torchvision.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.mobilenetv3 import InvertedResidual
from torchvision.ops import Conv2dNormActivation

from avfeat.training.networks.parts import Pixels, usual_momentum
from avfeat.training.networks.published import PublishedWeights


def temporal_shift(x: Tensor, frames: int, fold: int = 8) -> Tensor:
    """Shift one ``fold``-th of the channels a frame ahead and one a frame back; zeros come in at the ends.

    Args:
        x: ``(batch * frames, channels, height, width)``, frames of a clip next to each other.
        frames: frames of a clip.
        fold: which part of the channels moves in each direction.

    Returns:
        The same shape: out[t] holds x[t - 1] in the first channels, x[t + 1] in the second, x[t] in the rest
        (TSM, figure 1b, the offline, bidirectional shift).
    """
    if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        # In the order that they lie in memory: otherwise the result has another layout, to be copied once more.
        return _shift(x.permute(0, 2, 3, 1), frames, x.shape[1] // fold, 4).permute(0, 3, 1, 2)
    return _shift(x, frames, x.shape[1] // fold, 2)


def _shift(x: Tensor, frames: int, part: int, channels: int) -> Tensor:
    """The shift where dimension ``channels`` of a clip's frames, ``(batch, frames, ...)``, holds the channels."""
    clip = x.reshape(-1, frames, *x.shape[1:])
    past, future, rest = torch.split(clip, [part, part, clip.shape[channels] - 2 * part], dim=channels)
    past = F.pad(past[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
    future = F.pad(future[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
    return torch.cat([past, future, rest], dim=channels).flatten(0, 1)


class ShiftedResidual(nn.Module):
    """An inverted residual block whose residual branch sees its neighbours in time (TSM, section 3.2)."""

    def __init__(self, block: InvertedResidual, frames: int) -> None:
        super().__init__()
        self.block = block.block
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """``(batch * frames, channels, height, width)`` to the same."""
        mixed: Tensor = self.block(temporal_shift(x, self.frames))
        return x + mixed


class ShiftMobileNet(nn.Module):
    """MobileNetV3-large with temporal shifts in every residual branch, averaged over space and time.

    ``(batch, frames, 3, height, width)`` in [0, 1] to ``(batch, features)`` at about unit scale.
    """

    def __init__(self, frames: int = 16, features: int = 512) -> None:
        super().__init__()
        self.frames = frames
        self.dim = features
        self.pixels = Pixels()
        layers = list(mobilenet_v3_large(weights=None).features)
        width = layers[-1][0].in_channels
        layers[-1] = Conv2dNormActivation(
            width, features, kernel_size=1, norm_layer=nn.BatchNorm2d, activation_layer=nn.Hardswish
        )
        self.layers = usual_momentum(nn.Sequential(*(self._shift_layer(layer) for layer in layers)))
        self.norm = nn.BatchNorm1d(features, affine=False)

    def _shift_layer(self, layer: nn.Module) -> nn.Module:
        if isinstance(layer, InvertedResidual) and layer.use_res_connect:
            return ShiftedResidual(layer, self.frames)
        return layer

    def adopt(self, published: PublishedWeights) -> None:
        """Take all weights but those of the last layer, whose width is its own, and of the classifier."""
        published.load_into(self.layers, below="features.", fresh=(f"{len(self.layers) - 1}.",))
        self.pixels.use(published.mean, published.std)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, frames, 3, height, width)`` to ``(batch, features)``."""
        maps = self.layers(self.pixels(x.flatten(0, 1)))
        pooled = maps.mean((2, 3)).unflatten(0, (-1, self.frames)).mean(1)
        out: Tensor = self.norm(pooled)
        return out

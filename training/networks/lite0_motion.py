"""The video backbone of the pair ``base``: what is there by EfficientNet-Lite0, what moves by a residual network.

Two pathways as in two-stream networks (Simonyan and Zisserman, NeurIPS 2014, arXiv 1406.2199). A network that was
trained on photographs knows what is on a frame; a few frames of a window are enough for it. It knows nothing of
motion: that pathway is the one of ``ShiftResNet14``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avfeat.errors import ArgumentError
from avfeat.training.networks.lite0 import DIM, lite0_trunk
from avfeat.training.networks.parts import Pixels, mean_and_std
from avfeat.training.networks.published import PublishedWeights
from avfeat.training.networks.resnet14 import WIDTHS, moving_pathway


class Lite0Motion(nn.Module):
    """``(batch, frames, 3, size, size)`` in [0, 1] to ``(batch, 1280 + motion)`` at about unit scale.

    Args:
        frames: of a clip; two of them go through EfficientNet-Lite0, as they are.
        size: height and width of the frames, a multiple of 112 or less than that; the motion pathway sees the
            mean of each cell of a grid of 112.
        motion: how many features say what moves: a linear map of the 512 that the pathway gives.

    Raises:
        ArgumentError: a size above 112 that is no multiple of it.
    """

    SIZE = 112
    hidden = 256

    def __init__(self, frames: int = 16, size: int = 224, motion: int = 128) -> None:
        super().__init__()
        if size > self.SIZE and size % self.SIZE:
            raise ArgumentError(
                f"The video network lite0_motion needs a size that {self.SIZE} divides, or a smaller one, "
                f"not {size}."
            )
        self.dim = DIM + motion
        self.frames = frames
        self.cell = max(1, size // self.SIZE)
        self.still_pixels, self.pixels = Pixels(), Pixels()
        self.still = lite0_trunk()
        self.layers = moving_pathway(frames)
        self.motion_norm = nn.BatchNorm1d(2 * WIDTHS[-1], affine=False)
        self.motion = nn.Linear(2 * WIDTHS[-1], motion, bias=False)
        self.norm = nn.BatchNorm1d(self.dim, affine=False)

    def adopt(self, published: PublishedWeights) -> None:
        """Take EfficientNet-Lite0's weights; the motion pathway stays as it is."""
        published.load_into(self.still)
        self.still_pixels.use(published.mean, published.std)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, frames, 3, size, size)`` to ``(batch, dim)``."""
        out: Tensor = self.norm(torch.cat([self.there(x), self.motion(self.motion_norm(self.moving(x)))], dim=1))
        return out

    def there(self, x: Tensor) -> Tensor:
        """What is on two frames: ``(batch, 1280)``."""
        two = torch.stack([x[:, self.frames // 4], x[:, 3 * self.frames // 4]], dim=1)
        maps = self.still.forward_features(self.still_pixels(two).flatten(0, 1))
        means: Tensor = maps.mean((2, 3)).unflatten(0, (-1, 2)).mean(1)
        return means

    def moving(self, x: Tensor) -> Tensor:
        """What moves: ``(batch, 512)``, mean and standard deviation over time."""
        maps = self.layers(self.differences(x)).mean((2, 3)).unflatten(0, (-1, self.frames))
        return mean_and_std(maps.transpose(1, 2))

    def differences(self, x: Tensor) -> Tensor:
        """Frames without what stands still: ``(batch * frames, 3, 112, 112)``, scaled."""
        small = F.avg_pool2d(x.flatten(0, 1), self.cell) if self.cell > 1 else x.flatten(0, 1)
        small = self.pixels(small).unflatten(0, (-1, self.frames))
        moving: Tensor = (small - small.mean(1, keepdim=True)).flatten(0, 1)
        return moving

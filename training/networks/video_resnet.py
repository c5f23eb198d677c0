"""Residual networks with convolutions over time: R(2+1)D-18 (the reference), R3D-18 and MC3-18.

Source: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018
(arXiv 1711.11248), as in torchvision.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from avfeat.training.networks.parts import Pixels
from avfeat.training.networks.published import PublishedWeights


class VideoResNet(nn.Module):
    """``(batch, T, 3, height, width)`` in [0, 1] to ``(batch, 512)`` at about unit scale; any T and size.

    Args:
        make: torchvision's function for the network.
    """

    def __init__(self, make: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.dim = 512
        self.pixels = Pixels()
        self.trunk = make(weights=None)
        self.trunk.fc = nn.Identity()
        self.norm = nn.BatchNorm1d(self.dim, affine=False)

    def adopt(self, published: PublishedWeights) -> None:
        """Take all weights but the classifier's."""
        published.load_into(self.trunk, fresh=("fc.",))
        self.pixels.use(published.mean, published.std)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, T, 3, height, width)`` to ``(batch, 512)``."""
        out: Tensor = self.norm(self.trunk(self.pixels(x).transpose(1, 2)))
        return out

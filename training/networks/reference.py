"""The reference pair of audiovisual self-supervision: R(2+1)D-18 for video, ResNet-18 for audio.

Sources: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018
(arXiv 1711.11248); He et al., CVPR 2016 (arXiv 1512.03385); both as in torchvision.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.video import r2plus1d_18


class R2Plus1D(nn.Module):
    """``(batch, T, 3, height, width)`` in [0, 1] to ``(batch, 512)``; any T of 4 or more."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 512
        self.trunk = r2plus1d_18(weights=None)
        self.trunk.fc = nn.Identity()
        self.norm = nn.BatchNorm1d(self.dim, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, T, 3, height, width)`` to ``(batch, 512)``."""
        out: Tensor = self.norm(self.trunk(((x - 0.5) / 0.25).transpose(1, 2)))
        return out


class MelResNet(nn.Module):
    """``(batch, 1, mels, time)`` to ``(batch, 512)``."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 512
        self.trunk = resnet18(weights=None)
        self.trunk.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.trunk.fc = nn.Identity()
        self.norm = nn.BatchNorm1d(self.dim, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, 1, mels, time)`` to ``(batch, 512)``."""
        out: Tensor = self.norm(self.trunk(x))
        return out

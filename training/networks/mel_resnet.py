"""The reference audio backbone: ResNet-18 on a log-mel spectrogram of any length.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv 1512.03385), as in torchvision.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import resnet18

from avfeat.training.networks.published import PublishedWeights


class MelResNet(nn.Module):
    """``(batch, 1, mels, time)`` to ``(batch, 512)`` at about unit scale."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 512
        self.trunk = resnet18(weights=None)
        self.trunk.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.trunk.fc = nn.Identity()
        self.norm = nn.BatchNorm1d(self.dim, affine=False)

    def adopt(self, published: PublishedWeights) -> None:
        """Take all weights but the classifier's. A log-mel spectrogram has the scale of an image already."""
        published.load_into(self.trunk, fresh=("fc.",), mono="conv1.weight")

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, 1, mels, time)`` to ``(batch, 512)``."""
        out: Tensor = self.norm(self.trunk(x))
        return out

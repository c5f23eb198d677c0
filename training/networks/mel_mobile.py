"""A light audio backbone: MobileNetV3-small on a log-mel spectrogram of any length.

The same family on mel spectrograms: Schmid, Koutini and Widmer, "Efficient Large-Scale Audio Tagging via
Transformer-to-CNN Knowledge Distillation", ICASSP 2023 (arXiv 2211.04772).
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small
from torchvision.ops import Conv2dNormActivation

from avfeat.training.networks.parts import usual_momentum
from avfeat.training.networks.published import PublishedWeights


class MelMobileNet(nn.Module):
    """``(batch, 1, mels, time)`` to ``(batch, features)`` at about unit scale."""

    def __init__(self, features: int = 512) -> None:
        super().__init__()
        self.dim = features
        layers = list(mobilenet_v3_small(weights=None).features)
        stem = layers[0][0]
        layers[0][0] = nn.Conv2d(
            1, stem.out_channels, stem.kernel_size, stride=stem.stride, padding=stem.padding, bias=False
        )
        layers[-1] = Conv2dNormActivation(
            layers[-1][0].in_channels,
            features,
            kernel_size=1,
            norm_layer=nn.BatchNorm2d,
            activation_layer=nn.Hardswish,
        )
        self.layers = usual_momentum(nn.Sequential(*layers))
        self.norm = nn.BatchNorm1d(features, affine=False)

    def adopt(self, published: PublishedWeights) -> None:
        """Take all weights but those of the last layer, whose width is its own, and of the classifier."""
        published.load_into(self.layers, below="features.", fresh=(f"{len(self.layers) - 1}.",), mono="0.0.weight")

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, 1, mels, time)`` to ``(batch, features)``."""
        out: Tensor = self.norm(self.layers(x).mean((2, 3)))
        return out

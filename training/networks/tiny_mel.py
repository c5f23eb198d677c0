"""A tiny audio backbone for quick runs: strided convolutions on a log-mel spectrogram of any length."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from avfeat.training.networks.parts import mean_and_std


class TinyMel(nn.Module):
    """``(batch, 1, mels, time)`` to ``(batch, features)`` at about unit scale.

    What stays the same over the window, the room's noise and the microphone's response, is taken away first
    (cepstral mean normalisation: Atal, JASA 1974): what is left is what happens, and that is learned much sooner.
    One half of the features is the mean over time, the other the standard deviation. A second input channel says
    where in frequency a value lies, which convolutions under global pooling do not know (Liu et al., "An Intriguing
    Failing of Convolutional Neural Networks and the CoordConv Solution", NeurIPS 2018, arXiv 1807.03247).
    """

    def __init__(self, features: int = 256) -> None:
        super().__init__()
        self.dim = features
        half = features // 2
        self.layers = nn.Sequential(
            # Time keeps more of its resolution than frequency: rhythm lies in it.
            Conv2dNormActivation(2, 32, kernel_size=(7, 5), stride=(4, 2)),
            Conv2dNormActivation(32, 64, kernel_size=3, stride=2),
            Conv2dNormActivation(64, 128, kernel_size=3, stride=2),
            Conv2dNormActivation(128, half, kernel_size=3, stride=(2, 1)),
        )
        self.norm = nn.BatchNorm1d(features, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, 1, mels, time)`` to ``(batch, features)``."""
        x = x - x.mean(3, keepdim=True)
        pitch = torch.linspace(-1, 1, x.shape[2], device=x.device).to(x).reshape(1, 1, -1, 1)
        maps = self.layers(torch.cat([x, pitch.expand_as(x)], dim=1))
        out: Tensor = self.norm(mean_and_std(maps.mean(2)))
        return out

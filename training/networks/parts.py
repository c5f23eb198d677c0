"""What several backbones are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

M = TypeVar("M", bound=nn.Module)


class Pixels(nn.Module):
    """Pixels in [0, 1] to about zero mean and unit variance, channel by channel.

    Networks with random weights take ``(x - 0.5) / 0.25``; published weights bring the mean and standard deviation
    that they were trained with. Both are part of the state dict: they travel with the weights, so training, export
    and a checkpoint that is loaded again scale alike, whatever ``init`` says.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((3, 1, 1), 0.5))
        self.register_buffer("std", torch.full((3, 1, 1), 0.25))

    @torch.no_grad()
    def use(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Scale by these from now on: one value each for red, green and blue."""
        self.mean.copy_(torch.tensor(mean).reshape(3, 1, 1))
        self.std.copy_(torch.tensor(std).reshape(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(..., 3, height, width)`` to the same shape."""
        return (x - self.mean) / self.std


def usual_momentum(network: M) -> M:
    """Set the momentum of all BatchNorm layers to 0.1, torch's default; in place.

    The MobileNets (0.01) and S3D (0.001) of torchvision are made for trainings of very many steps: after 500, their
    running statistics still hold 0.7 % or 61 % of where they began, and evaluation mode lags behind.
    """
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.momentum = 0.1
    return network


def mean_and_std(x: Tensor) -> Tensor:
    """Mean and standard deviation over the last dimension, side by side: how much there is, and how it changes.

    Args:
        x: ``(batch, channels, time)``.

    Returns:
        ``(batch, 2 * channels)``.
    """
    mean = x.mean(2)
    # The small number keeps the gradient finite where nothing changes.
    std = ((x - mean.unsqueeze(2)).square().mean(2) + 1e-5).sqrt()
    return torch.cat([mean, std], dim=1)

"""The small networks between features and a loss; they are dropped after training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import nn

LastNorm = Literal["none", "affine", "plain"]


def mlp(widths: Sequence[int], *, last_bias: bool = False, last_norm: LastNorm = "none") -> nn.Sequential:
    """Linear layers with BatchNorm and ReLU between them.

    Hidden linear layers have no bias, as the BatchNorm after them takes it away again; where published code
    (VICReg's, BYOL's) gives them one, it has no effect.

    Args:
        widths: features, hidden ones, output.
        last_bias: whether the last linear layer has a bias.
        last_norm: BatchNorm after it: none, with scale and shift, or ``plain`` without.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
    layers.append(nn.Linear(widths[-2], widths[-1], bias=last_bias))
    if last_norm != "none":
        layers.append(nn.BatchNorm1d(widths[-1], affine=last_norm == "affine"))
    return nn.Sequential(*layers)

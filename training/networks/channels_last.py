"""The memory format that convolutions run fastest in on most machines."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def to_channels_last(module: M) -> M:
    """Lay out the weights of 2-D and 3-D convolutions with the channels last, in place.

    ``module.to(memory_format=...)`` cannot do both in one network. Values do not change, and a convolution with
    such weights lays out its output likewise, whatever its input.

    Args:
        module: parameters of four dimensions become ``channels_last``, of five ``channels_last_3d``.

    Returns:
        The module itself.
    """
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in module.parameters():
        if parameter.dim() in formats:
            parameter.data = parameter.data.contiguous(memory_format=formats[parameter.dim()])
    return module

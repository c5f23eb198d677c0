"""What one pass through a network costs."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def flops(module: nn.Module, example: Tensor) -> int:
    """Floating-point operations of one forward pass, in convolutions and matrix products.

    A multiplication and the addition that follows count as two. Training costs about three times as much: the
    backward pass has two products for each one forward. Counted on a copy without data: nothing is computed, and
    ``module`` stays as it is.

    Args:
        module: any network.
        example: an input for it; only shape and dtype matter. Divide by its batch for the cost of one sample.
    """
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        copy.deepcopy(module).to("meta").eval()(example.to("meta"))
    return counter.get_total_flops()

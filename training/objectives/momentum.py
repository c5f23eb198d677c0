"""A slowly moving copy of a network, and how slowly it moves.

BYOL, Grill et al., NeurIPS 2020, arXiv 2006.07733, section 3.2 and appendix C.1; MoCo v3, Chen et al., ICCV 2021,
arXiv 2104.02057, ``main_moco.py`` of its code.
"""

from __future__ import annotations

import copy
import math
from itertools import chain
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from avfeat.errors import ArgumentError

M = TypeVar("M", bound=nn.Module)


class MomentumCopy(nn.Module, Generic[M]):
    """The exponential moving average of a module: of its parameters and of its BatchNorm statistics.

    Published codes average the parameters alone; the statistics are those of the copy's own passes, as it stays in
    training mode (so does this one, unless told ``eval()``). Averaging them too makes a copy that is never run one
    that can be.
    torch's ``AveragedModel`` has one fixed decay, so cannot follow a schedule.
    """

    def __init__(self, module: M) -> None:
        super().__init__()
        self.module: M = copy.deepcopy(module)
        self.module.requires_grad_(False)

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged module gives, without gradient."""
        return self.module(*args, **kwargs)

    @torch.no_grad()
    def update(self, source: nn.Module, momentum: float) -> None:
        """Move towards ``source``: ``copy = momentum * copy + (1 - momentum) * source``; counters are copied.

        To be called after each step of the optimizer. MoCo v3's code does so before it computes the next keys,
        which is the same.

        Args:
            source: the module that is trained, of the same build as the one copied.
            momentum: from 0 (a plain copy) to 1 (nothing changes).
        """
        mine, others = (chain(module.parameters(), module.buffers()) for module in (self.module, source))
        for own, other in zip(mine, others, strict=True):
            if own.is_floating_point():
                own.lerp_(other, 1 - momentum)
            else:
                own.copy_(other)


def momentum_at(progress: float, base: float) -> float:
    """Cosine from ``base`` at the beginning to 1 at the end: ``1 - (1 + cos(pi * progress)) / 2 * (1 - base)``.

    Args:
        progress: the part of the training that is over, in [0, 1].
        base: momentum at the beginning, in [0, 1].

    Raises:
        ArgumentError: numbers out of range.
    """
    for name, value in (("progress", progress), ("base", base)):
        if not 0 <= value <= 1:
            raise ArgumentError(f"{name} must be from 0 to 1, not {value!r}.")
    return 1 - (1 + math.cos(math.pi * progress)) / 2 * (1 - base)

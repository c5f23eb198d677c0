"""Lengths that are known when a graph runs, not when it is traced."""

from __future__ import annotations

import torch
from torch import Tensor


def count_along(line: Tensor) -> Tensor:
    """0, 1, 2, ... as float32 for each element; made of the line itself, so that no length is fixed by tracing."""
    return torch.cumsum(torch.ones_like(line, dtype=torch.float32), 0) - 1

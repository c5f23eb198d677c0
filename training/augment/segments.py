"""Which part of a clip's time something happens in, as one rule for frames and samples."""

from __future__ import annotations

import torch
from torch import Tensor

from avfeat.training.augment.sample_rng import SampleRNG


def draw_blocks(rng: SampleRNG, total: Tensor, blocks: int) -> Tensor:
    """Blocks of equal length that do not overlap, anywhere in a clip.

    Args:
        rng: random numbers.
        total: ``(batch,)``: the part of the clip that all blocks cover together, in [0, 1].
        blocks: how many.

    Returns:
        float32 ``(batch, blocks, 2)``: begin and end as parts of the clip's duration, ascending.
    """
    free = (1 - total)[:, None] * rng.uniform(count=blocks).sort(dim=1).values
    length = total[:, None] / blocks
    begin = free + length * torch.arange(blocks, device=total.device)
    return torch.stack([begin, begin + length], dim=-1)


def inside(blocks: Tensor, count: int) -> Tensor:
    """Which of ``count`` equal steps of the clip have their middle in a block: bool ``(batch, count)``.

    Frames and samples are such steps: both take the same rule, so that they agree within one frame.
    """
    middles = (torch.arange(count, device=blocks.device, dtype=torch.float32) + 0.5) / count
    found = torch.zeros(len(blocks), count, dtype=torch.bool, device=blocks.device)
    for block in blocks.unbind(1):
        begin, end = block.unbind(1)
        found |= (middles >= begin[:, None]) & (middles < end[:, None])
    return found


def spread(cells: Tensor, count: int) -> Tensor:
    """Values of equal cells of the clip ``(batch, cells)`` at each of ``count`` equal steps: ``(batch, count)``."""
    width = cells.shape[1]
    step = torch.arange(count, device=cells.device)
    return cells[:, (2 * step + 1) * width // (2 * count)]

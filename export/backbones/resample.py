"""Resampling as products with matrices, of pictures whose size is known when the graph runs.

No resize operator that all formats have takes a size that depends on both sides, has the kernels of Pillow, and
rounds to 8 bits between the passes, as Pillow and torchvision do.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from avfeat.training.backbones.backbone import Kernel, Look
from avfeat.training.networks.positions import count_along

_REACH: dict[Kernel, float] = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}


class Resample(nn.Module):
    """uint8 pictures ``(n, height, width, 3)`` to ``(n, 3, *crop)`` in [0, 255], whole numbers in float32."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look

    def forward(self, pictures: Tensor) -> Tensor:
        """Across, then down, as Pillow does."""
        rows, columns = count_along(pictures[0, :, 0, 0]), count_along(pictures[0, 0, :, 0])
        short = torch.minimum(rows[-1], columns[-1]) + 1
        down, across = (self._weights(side, positions, short) for side, positions in enumerate((rows, columns)))
        wide = torch.matmul(pictures.permute(0, 3, 1, 2).float(), across.T)
        if self.look.antialias:
            wide = to_8_bits(wide)
        return to_8_bits(torch.matmul(down, wide))

    def _weights(self, side: int, positions: Tensor, short: Tensor) -> Tensor:
        resize, kept = self.look.resize, self.look.crop[side]
        length = positions[-1].double() + 1
        if isinstance(resize, int):
            # Half a pixel more in the dividend: a quotient that is whole stays whole.
            scaled = torch.floor((length * resize + 0.5) / short.double())
        else:
            scaled = torch.full_like(length, resize[side])
        begin = (torch.floor if self.look.half_down else torch.round)((scaled - kept) / 2)
        return resize_weights(
            positions, (length / scaled).float(), begin.float(), kept, self.look.kernel, self.look.antialias
        )


def resize_weights(
    positions: Tensor, scale: Tensor, begin: Tensor, kept: int, kernel: Kernel, antialias: bool = True
) -> Tensor:
    """The matrix that resamples one side of a picture and keeps ``kept`` pixels of it from ``begin`` on.

    Args:
        positions: 0 to ``length - 1``, float32 ``(length,)``.
        scale: length over the length after scaling.
        begin: first pixel that is kept, counted after scaling.
        kept: how many are kept.
        kernel: of Pillow (``src/libImaging/Resample.c``): triangle, cubic with a = -0.5, Lanczos with three lobes;
            cubic with a = -0.75 where it is not widened, as torch has it.
        antialias: whether it is widened where pictures shrink.

    Returns:
        float32 ``(kept, length)``; each row adds up to 1.
    """
    centres = (count_along(torch.ones(kept, device=positions.device)) + begin + 0.5) * scale
    away = (positions + 0.5 - centres.unsqueeze(1)).abs()
    if antialias:
        away = away / torch.clamp(scale, min=1.0)
        weights = _kernel(away, kernel, -0.5)
    else:
        # Beyond the edge, the pixel at the edge counts.
        last = positions[-1] + 0.5
        if kernel == "bilinear":
            centres = torch.minimum(torch.clamp(centres, min=0.5), last)
            away = (positions + 0.5 - centres.unsqueeze(1)).abs()
        weights = _kernel(away, kernel, -0.75)
    return weights / weights.sum(1, keepdim=True)


def _kernel(x: Tensor, kernel: Kernel, a: float) -> Tensor:
    if kernel == "bilinear":
        return torch.relu(1 - x)
    if kernel == "bicubic":
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((x - 5) * x + 8) * x * a - 4 * a
        return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
    inside = torch.clamp(x, max=_REACH[kernel])
    return torch.where(x < _REACH[kernel], _sinc(inside) * _sinc(inside / 3), torch.zeros_like(x))


def _sinc(x: Tensor) -> Tensor:
    scaled = math.pi * torch.clamp(x, min=1e-6)
    return torch.where(x < 1e-6, torch.ones_like(x), torch.sin(scaled) / scaled)


def to_8_bits(x: Tensor) -> Tensor:
    """Rounded, half up, and cut off to what a byte holds.

    Halves are frequent where sizes have simple ratios: a little more is added, so that what float32 leaves of one
    goes up, too.
    """
    return torch.clamp(torch.floor(x + (0.5 + 2**-12)), 0, 255)

"""Barlow Twins: Zbontar et al., "Self-Supervised Learning via Redundancy Reduction", ICML 2021.

arXiv 2103.03230, equation 1, and ``main.py`` of its code; scale and widths from solo-learn's preset for small
batches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avfeat.training.objectives.embedded import HeadOutput
from avfeat.training.objectives.gather import GatheredRows, gather
from avfeat.training.objectives.heads import mlp
from avfeat.training.objectives.objective import Objective
from avfeat.training.objectives.settings import HeadSettings
from avfeat.training.schema import Positive, Weight, settings

_EPSILON = 1e-5
"""Of the published code's BatchNorm."""


@settings
class BarlowTwinsSettings(HeadSettings):
    """Of Barlow Twins.

    Attributes:
        redundancy: weight of correlations between different dimensions: the paper's lambda.
        scale: of the whole loss.
    """

    redundancy: Weight = 0.0051
    scale: Positive = 0.1


class BarlowTwins(Objective[BarlowTwinsSettings]):
    """The cross-correlation of the two sides' dimensions is to be the identity."""

    settings_type = BarlowTwinsSettings

    def _projector(self, features: int) -> nn.Module:
        hidden = self.settings.hidden
        return mlp((features, hidden, hidden, self.settings.out))

    def _loss(self, first: HeadOutput, second: HeadOutput, rows: GatheredRows) -> Tensor:
        found = correlation(first.projection, second.projection, rows)
        on = (1 - found.diagonal()).square().sum()
        off = off_diagonal(found).square().sum()
        return self.settings.scale * (on + self.settings.redundancy * off)


def correlation(first: Tensor, second: Tensor, rows: GatheredRows) -> Tensor:
    """Cross-correlation ``(dim, dim)`` over the samples of all processes that count.

    Statistics and gradient are those of the whole batch. (The published all-reduce passes no gradient on, which
    makes it smaller by the number of processes; its optimizer, LARS, does not mind.)

    Args:
        first: ``(batch, dim)``.
        second: the same samples.
        rows: those that count.
    """
    count = rows.total.clamp(min=1)
    one, other = (rows.centre(gather(side)) for side in (first, second))
    one, other = (side / torch.sqrt(side.square().sum(0) / count + _EPSILON) for side in (one, other))
    return one.T @ other / count


def off_diagonal(matrix: Tensor) -> Tensor:
    """All elements of a square matrix but its diagonal: ``(dim - 1, dim)``."""
    dim = len(matrix)
    return matrix.flatten()[:-1].view(dim - 1, dim + 1)[:, 1:]

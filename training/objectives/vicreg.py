"""VICReg: Bardes, Ponce and LeCun, "Variance-Invariance-Covariance Regularization", ICLR 2022.

arXiv 2105.04906, equations 1 to 6, and ``main_vicreg.py`` of its code (which halves the variance term, not the
covariance term); widths from solo-learn's preset for small batches.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avfeat.training.objectives.barlow_twins import off_diagonal
from avfeat.training.objectives.embedded import HeadOutput
from avfeat.training.objectives.gather import GatheredRows, gather
from avfeat.training.objectives.heads import mlp
from avfeat.training.objectives.objective import Objective
from avfeat.training.objectives.settings import HeadSettings
from avfeat.training.schema import Weight, settings

_EPSILON = 1e-4


@settings
class VICRegSettings(HeadSettings):
    """Of VICReg.

    Attributes:
        invariance: weight of the distance of the two sides.
        variance: weight of the lack of spread in each dimension.
        covariance: weight of covariances between dimensions.
    """

    invariance: Weight = 25.0
    variance: Weight = 25.0
    covariance: Weight = 1.0


class VICReg(Objective[VICRegSettings]):
    """Both sides are to be close, spread out in every dimension, and decorrelated between dimensions."""

    settings_type = VICRegSettings

    def _projector(self, features: int) -> nn.Module:
        hidden = self.settings.hidden
        return mlp((features, hidden, hidden, self.settings.out))

    def _loss(self, first: HeadOutput, second: HeadOutput, rows: GatheredRows) -> Tensor:
        one, other = first.projection, second.projection
        distance = rows.mean((one - other).square().mean(1))
        (spread, mixed), (spread_other, mixed_other) = (regularities(side, rows) for side in (one, other))
        return (
            self.settings.invariance * distance
            + self.settings.variance * (spread + spread_other) / 2
            + self.settings.covariance * (mixed + mixed_other)
        )


def regularities(side: Tensor, rows: GatheredRows) -> tuple[Tensor, Tensor]:
    """The variance term v (equation 1) and the covariance term c (equation 4) over the samples of all processes.

    Args:
        side: ``(batch, dim)``.
        rows: the samples that count.
    """
    centred = rows.centre(gather(side))
    freedom = (rows.total - 1).clamp(min=1)
    deviation = torch.sqrt(centred.square().sum(0) / freedom + _EPSILON)
    covariance = centred.T @ centred / freedom
    return F.relu(1 - deviation).mean(), off_diagonal(covariance).square().sum() / side.shape[1]

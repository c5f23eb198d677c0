"""SimSiam: Chen and He, "Exploring Simple Siamese Representation Learning", CVPR 2021.

arXiv 2011.10566, equations 1 to 4, and ``simsiam/builder.py`` of its code.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from avfeat.training.objectives.embedded import HeadOutput
from avfeat.training.objectives.gather import GatheredRows
from avfeat.training.objectives.heads import mlp
from avfeat.training.objectives.objective import Objective
from avfeat.training.objectives.settings import HeadSettings
from avfeat.training.schema import Count, settings


@settings
class SimSiamSettings(HeadSettings):
    """Of SimSiam.

    Attributes:
        predictor_hidden: width of the predictor's hidden layer.
    """

    predictor_hidden: Count = 512


class SimSiam(Objective[SimSiamSettings]):
    """A prediction of the other side's projection, which has no gradient; nothing else keeps it from collapse."""

    settings_type = SimSiamSettings
    fixed_predictor_rate = True

    def _projector(self, features: int) -> nn.Module:
        hidden = self.settings.hidden
        return mlp((features, hidden, hidden, self.settings.out), last_norm="plain")

    def _predictor(self) -> nn.Module:
        return mlp((self.settings.out, self.settings.predictor_hidden, self.settings.out), last_bias=True)

    def _loss(self, first: HeadOutput, second: HeadOutput, rows: GatheredRows) -> Tensor:
        there = cosine(first.prediction, second.target)
        back = cosine(second.prediction, first.target)
        return -rows.mean(there + back) / 2


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of the angle between rows: two ``(batch, dim)`` to ``(batch,)``; 0 where one is zero."""
    return (F.normalize(first, dim=1) * F.normalize(second, dim=1)).sum(1)

"""BYOL: Grill et al., "Bootstrap Your Own Latent", NeurIPS 2020.

arXiv 2006.07733, equation 2, and ``byol_experiment.py`` of its code, which sums both directions.
"""

from __future__ import annotations

from torch import Tensor, nn

from avfeat.training.objectives.embedded import HeadOutput
from avfeat.training.objectives.gather import GatheredRows
from avfeat.training.objectives.heads import mlp
from avfeat.training.objectives.objective import Objective
from avfeat.training.objectives.settings import MomentumSettings
from avfeat.training.objectives.simsiam import cosine
from avfeat.training.schema import settings


@settings
class BYOLSettings(MomentumSettings):
    """Of BYOL."""


class BYOL(Objective[BYOLSettings]):
    """The squared distance of a normalised prediction and the other side's target, both ways."""

    settings_type = BYOLSettings
    momentum = True

    def _projector(self, features: int) -> nn.Module:
        return mlp((features, self.settings.hidden, self.settings.out))

    def _predictor(self) -> nn.Module:
        return mlp((self.settings.out, self.settings.hidden, self.settings.out))

    def _loss(self, first: HeadOutput, second: HeadOutput, rows: GatheredRows) -> Tensor:
        there = cosine(first.prediction, second.target)
        back = cosine(second.prediction, first.target)
        return rows.mean(4 - 2 * (there + back))

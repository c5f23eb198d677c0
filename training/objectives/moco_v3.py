"""MoCo v3: Chen, Xie and He, "An Empirical Study of Training Self-Supervised Vision Transformers", ICCV 2021.

arXiv 2104.02057, algorithm 1, and ``moco/builder.py`` of its code (the heads are those of its ResNet); temperature
from solo-learn's preset for small batches.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avfeat.training.objectives.embedded import HeadOutput
from avfeat.training.objectives.gather import GatheredRows, gather
from avfeat.training.objectives.heads import mlp
from avfeat.training.objectives.objective import Objective
from avfeat.training.objectives.settings import MomentumSettings
from avfeat.training.schema import Positive, settings


@settings
class MoCoV3Settings(MomentumSettings):
    """Of MoCo v3.

    Attributes:
        temperature: of the softmax over similarities.
    """

    temperature: Positive = 0.2


class MoCoV3(Objective[MoCoV3Settings]):
    """A sample's prediction against all targets of the other side, both ways; no queue."""

    settings_type = MoCoV3Settings
    momentum = True

    def _projector(self, features: int) -> nn.Module:
        return mlp((features, self.settings.hidden, self.settings.out), last_norm="plain")

    def _predictor(self) -> nn.Module:
        return mlp((self.settings.out, self.settings.hidden, self.settings.out))

    def _loss(self, first: HeadOutput, second: HeadOutput, rows: GatheredRows) -> Tensor:
        temperature = self.settings.temperature
        there = contrast(first.prediction, second.target, rows, temperature)
        return there + contrast(second.prediction, first.target, rows, temperature)


def contrast(queries: Tensor, keys: Tensor, rows: GatheredRows, temperature: float) -> Tensor:
    """Cross entropy of each query's own key among the keys of all processes, times twice the temperature.

    Args:
        queries: ``(batch, dim)``, of any length.
        keys: the same samples, without gradient.
        rows: those that count.
        temperature: of the softmax.
    """
    every = gather(F.normalize(keys, dim=1))
    logits = F.normalize(queries, dim=1) @ every.T / temperature
    # The lowest number, not -inf: a row of nothing else would have no softmax, and its gradient would be NaN.
    logits = logits.masked_fill(~rows.everywhere, torch.finfo(logits.dtype).min)
    own = torch.arange(len(queries), device=queries.device) + rows.offset
    return rows.mean(F.cross_entropy(logits, own, reduction="none")) * 2 * temperature

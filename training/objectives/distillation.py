"""Distillation: a small pair of encoders learns to predict the features that a trained, larger one has.

Navaneet et al., "SimReg: Regression as a Simple Yet Effective Tool for Self-supervised Knowledge Distillation",
BMVC 2021, arXiv 2201.05131: a head on the student's features, dropped afterwards, regresses the teacher's features
of the same view, both at unit length. Here beside an objective, on its own augmented views, and with one hidden
layer in the head; the paper minimises nothing else, on weakly augmented views, with up to three.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.objectives.embedded import Chosen, statistics_kept
from avfeat.training.objectives.gather import Rows
from avfeat.training.objectives.heads import mlp
from avfeat.training.objectives.simsiam import cosine


@dataclass(frozen=True)
class DistillationSettings:
    """Who teaches, and how much it counts beside the objective.

    Attributes:
        teacher: folder of a run that has ended, or its checkpoint, seen from the current folder; its windows are
            those of the student (``seconds``, ``fps``, ``size``, ``sample_rate``, ``aspect``).
        weight: of this loss.
        hidden: width of the hidden layer of the heads that predict the teacher's features.

    Raises:
        ArgumentError: settings out of range.
    """

    teacher: str
    weight: float = 10.0
    hidden: int = 2048

    def __post_init__(self) -> None:
        if not self.teacher:
            raise ArgumentError("teacher must be the folder of a run, or a checkpoint, not ''.")
        if not 0 < self.weight < math.inf:
            raise ArgumentError(f"weight must be above 0, not {self.weight!r}; distillation=null has none.")
        if self.hidden < 1:
            raise ArgumentError(f"hidden must be a width from 1 on, not {self.hidden!r}.")


class Distillation(nn.Module):
    """A head for each modality, which predicts the teacher's features from the student's.

    Attributes:
        weight: of the loss.
    """

    def __init__(
        self, settings: DistillationSettings, student: Mapping[Modality, int], teacher: Mapping[Modality, int]
    ) -> None:
        """Build the heads.

        Args:
            settings: weight, and width of the heads.
            student: width of each modality's features.
            teacher: the same of the teacher.
        """
        super().__init__()
        self.weight = settings.weight
        self.heads = nn.ModuleDict(
            {name: mlp((dim, settings.hidden, teacher[name]), last_bias=True) for name, dim in student.items()}
        )

    def forward(
        self,
        features: Mapping[Modality, Tensor],
        rows: Mapping[Modality, Chosen],
        present: Mapping[Modality, Tensor],
        taught: Mapping[Modality, Tensor],
    ) -> Tensor:
        """How far predictions are from what is taught: the mean over the modalities; this process' share.

        Args:
            features: the student's, of the views that ``rows`` chose.
            rows: which of all views those are.
            present: bool ``(batch,)``, which clips have the modality.
            taught: the teacher's features of all views, ``(batch * views, dim)``.
        """
        each = []
        for name, found in features.items():
            head = self.heads[name]
            with statistics_kept(head, rows[name].filled):
                predicted = rows[name].back(head(found))
            with torch.autocast(predicted.device.type, enabled=False):
                each.append(regression(predicted, taught[name], Rows.of(present[name])))
        return torch.stack(each).mean()


def regression(predicted: Tensor, taught: Tensor, rows: Rows) -> Tensor:
    """The mean squared distance of unit vectors, ``2 - 2 cos``: of each clip the mean over its views.

    Args:
        predicted: ``(batch * views, dim)``, of any length, views of a clip next to each other.
        taught: the teacher's features of the same views, without gradient.
        rows: the clips that have the modality.

    Returns:
        This process' share, see ``gather``.
    """
    here = rows.here.repeat_interleave(len(predicted) // len(rows.here))[:, None]
    predicted, taught = (torch.where(here, side.float(), 0) for side in (predicted, taught))
    distance = 2 - 2 * cosine(predicted, taught)
    return rows.mean(distance.view(len(rows.here), -1).mean(1))

"""Distillation: a pair of encoders learns to predict features and class scores of trained networks.

Navaneet et al., "SimReg: Regression as a Simple Yet Effective Tool for Self-supervised Knowledge Distillation",
BMVC 2021, arXiv 2201.05131: a head on the student's features, dropped afterwards, regresses the teacher's features
of the same view, both at unit length. Here beside an objective, on its own augmented views, and with one hidden
layer in the head; the paper minimises nothing else, on weakly augmented views, with up to three. Or each feature is
standardised and regressed with the smooth L1 loss (Girshick, ICCV 2015, arXiv 1504.08083). Class scores: Hinton et
al., arXiv 1503.02531, at temperature 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.networks.spec import MODALITIES
from avfeat.training.objectives.embedded import Chosen, statistics_kept
from avfeat.training.objectives.gather import GatheredRows
from avfeat.training.objectives.heads import mlp
from avfeat.training.objectives.imitation import classification, regression, smooth_regression
from avfeat.training.schema import Count, Weight, settings
from avfeat.training.teachers.lesson import Lesson, TeacherOutput


@settings
class DistillationSettings:
    """Who teaches, and how much it counts beside the objective.

    Attributes:
        teacher: folder of a run that has ended, or its checkpoint, seen from the current folder; its windows are
            those of the student (``seconds``, ``fps``, ``size``, ``sample_rate``, ``aspect``). Or by modality such
            a run, or a network of others by its SPEC (``avfeat.training.backbones``), which has its own input; a
            modality that is not named has no teacher.
        weight: of this loss.
        hidden: width of the hidden layer of the heads that predict features and class scores.
        loss: of features. ``cosine``: the distance of unit vectors; ``smooth_l1``: that of each feature,
            standardised.
        scores: how much class scores count beside features; 0 for not at all.
        frames: of a window that an image network is shown.

    Raises:
        ArgumentError: settings out of range.
    """

    teacher: str | dict[str, str]
    weight: Weight = 10.0
    hidden: Count = 2048
    loss: Literal["cosine", "smooth_l1"] = "cosine"
    scores: Weight = 0.0
    frames: Count = 2

    def __post_init__(self) -> None:
        if not self.weight:
            raise ArgumentError("weight must be above 0; distillation=null has none.")
        named = self.teacher.values() if isinstance(self.teacher, dict) else [self.teacher]
        if not named or not all(named):
            raise ArgumentError(
                f"teacher must be the folder of a run, or a checkpoint, or one by modality, not {self.teacher!r}."
            )
        for modality in self.teacher if isinstance(self.teacher, dict) else ():
            if modality not in MODALITIES:
                raise ArgumentError(
                    f"teacher is for video and audio, not {modality!r}; {suggestion(modality, MODALITIES)}"
                )

    def to_values(self, values: dict[str, Any]) -> dict[str, Any]:
        """``values`` of these settings without those that came later and are at their default.

        So that trainings are called, and go on, as before there were any.
        """
        later = {"loss": "cosine", "scores": 0.0, "frames": 2}
        return {name: one for name, one in values.items() if name not in later or one != later[name]}


class Distillation(nn.Module):
    """Heads for each modality that is taught: they predict what the teacher says from the student's features.

    Attributes:
        weight: of the loss.
    """

    def __init__(
        self, settings: DistillationSettings, student: Mapping[Modality, int], lessons: Mapping[Modality, Lesson]
    ) -> None:
        """Build the heads.

        Args:
            settings: weights, loss, and width of the heads.
            student: width of each modality's features.
            lessons: what is taught, by modality.
        """
        super().__init__()
        self.weight, self._scores, self._lessons = settings.weight, settings.scores, dict(lessons)
        taught = {name: (dim, lessons[name]) for name, dim in student.items() if name in lessons}
        self.heads = nn.ModuleDict(
            {name: mlp((dim, settings.hidden, one.dim), last_bias=True) for name, (dim, one) in taught.items()}
        )
        self.score_heads = nn.ModuleDict(
            {
                name: mlp((dim, settings.hidden, one.classes), last_bias=True)
                for name, (dim, one) in taught.items()
                if settings.scores and one.classes
            }
        )
        standardised = taught if settings.loss == "smooth_l1" else {}
        self.norms = nn.ModuleDict(
            {name: nn.BatchNorm1d(one.dim, affine=False) for name, (_, one) in standardised.items()}
        )

    def forward(
        self,
        features: Mapping[Modality, Tensor],
        rows: Mapping[Modality, Chosen],
        present: Mapping[Modality, Tensor],
        taught: Mapping[Modality, TeacherOutput],
    ) -> Tensor:
        """How far predictions are from what is taught: the mean over the modalities; this process' share.

        Args:
            features: the student's, of the views that ``rows`` chose.
            rows: which of all views those are.
            present: bool ``(batch,)``, which clips have the modality; on the CPU.
            taught: what the teacher says of all views, ``batch * views`` rows.
        """
        each: list[Tensor] = []
        scores: list[Tensor] = []
        for name in self._lessons:
            found, chosen, here, said = (
                features[name],
                rows[name],
                GatheredRows.from_mask(present[name], features[name].device),
                taught[name],
            )
            predicted = _through(self.heads[name], found, chosen)
            with torch.autocast(predicted.device.type, enabled=False):
                if name in self.norms:
                    wanted = _through(self.norms[name], said.features.float(), chosen, whole=True)
                    each.append(smooth_regression(predicted, wanted, here))
                else:
                    each.append(regression(predicted, said.features, here))
            if name in self.score_heads and said.scores is not None:
                predicted = _through(self.score_heads[name], found, chosen)
                with torch.autocast(predicted.device.type, enabled=False):
                    scores.append(classification(predicted, said.scores, here, self._lessons[name].several))
        total = torch.stack(each).mean()
        return total + self._scores * torch.stack(scores).mean() if scores else total


def _through(network: nn.Module, found: Tensor, chosen: Chosen, whole: bool = False) -> Tensor:
    """All rows; zeros for those that did not go through. ``whole``: they have not been chosen yet."""
    with statistics_kept(network, chosen.filled):
        return chosen.back(network(chosen(found) if whole else found))

"""What is trained: both encoders, the objective's heads, and the momentum encoder where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from avfeat.bundle import Modality
from avfeat.training.networks import EncoderPair, build_pair
from avfeat.training.networks.registry import log_mel_of
from avfeat.training.objectives import Kind, MomentumCopy, Objective, build_objective
from avfeat.training.objectives.distillation import Distillation
from avfeat.training.objectives.embedded import Chosen, statistics_kept
from avfeat.training.objectives.gather import GatheredRows
from avfeat.training.objectives.shared import info_nce
from avfeat.training.recipes import Recipe
from avfeat.training.teachers.lesson import Lesson, TeacherOutput
from avfeat.training.trainer.frozen import frozen_parts

MODALITIES: tuple[Modality, ...] = ("video", "audio")


@dataclass(frozen=True, eq=False)
class StepOutput:
    """What a batch costs, and what it looked like; this process' share, see ``objectives.gather``.

    Attributes:
        total: to be minimised.
        objective: the objective's part of it, detached.
        terms: the mean of each kind of pairs, detached.
        shared: the loss of the shared space, detached; None where it has no weight.
        distillation: what predicting the teacher costs, detached; None without one.
        projections: of each modality, for each view: detached ``(batch, out)``.
        embeddings: of each modality, ``(batch * views, shared)``, detached; empty without the shared term.
    """

    total: Tensor
    objective: Tensor
    terms: dict[Kind, Tensor]
    shared: Tensor | None
    distillation: Tensor | None
    projections: dict[Modality, list[Tensor]]
    embeddings: dict[Modality, Tensor]


class Pretraining(nn.Module):
    """Encoders under an objective; ``forward`` gives the loss of a batch of views.

    Attributes:
        pair: both encoders.
        modalities: those that some loss looks at; the others' encoder stays as it is.
        views: of each clip.
    """

    def __init__(
        self, recipe: Recipe, published: bool = True, lessons: Mapping[Modality, Lesson] | None = None
    ) -> None:
        """Build networks and heads with fresh weights, from torch's global generator.

        Args:
            recipe: which.
            published: False leaves out the published weights that the recipe may ask for.
            lessons: what the recipe's teacher gives by modality; None leaves out what predicts it.

        Raises:
            ArgumentError: a recipe whose parts do not go together.
        """
        super().__init__()
        choice = recipe.objective
        self.pair: EncoderPair = build_pair(recipe.encoders, published)
        self.log_mel = log_mel_of(recipe.encoders)
        self.views = recipe.sampling.views
        dims: dict[Modality, int] = {name: self._encoder(name).dim for name in MODALITIES}
        self.objective: Objective[Any] = build_objective(
            choice.name, dims, choice.settings.get(choice.name), choice.pairs, self.views
        )
        self.shared = recipe.shared
        self.distillation: Distillation | None = None
        if recipe.distillation is not None and lessons is not None:
            self.distillation = Distillation(recipe.distillation, dims, lessons)
        self._taught = frozenset(lessons or ())
        used = {*self.objective.modalities, *self._taught}
        self.modalities = tuple(name for name in MODALITIES if self.shared.weight or name in used)
        backbones = nn.ModuleDict({name: self._encoder(name).backbone for name in MODALITIES})
        self.targets = MomentumCopy(backbones) if self.objective.momentum else None
        self._freeze_what_nothing_trains()
        self._frozen = [
            module for where in self._backbones_of_all() for module in frozen_parts(where, recipe.freeze)
        ]
        self.train()

    def train(self, mode: bool = True) -> Pretraining:
        """As every module's; what is frozen never takes new statistics."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(
        self,
        frames: Tensor | None,
        waveform: Tensor | None,
        present: Mapping[Modality, Tensor],
        taught: Mapping[Modality, TeacherOutput] | None = None,
    ) -> StepOutput:
        """The loss of a batch.

        Args:
            frames: float ``(batch * views, T, 3, height, width)`` in [0, 1], views of a clip next to each other;
                None if no loss looks at them.
            waveform: float32 ``(batch * views, samples)``, or None likewise.
            present: bool ``(batch,)``, which clips have the modality; no others pass through its networks. On the
                CPU, whatever the device: the host decides by it.
            taught: what the teacher says of all views, ``batch * views`` rows by modality; None without one.
        """
        inputs: dict[Modality, Tensor] = {} if frames is None else {"video": frames}
        if waveform is not None:
            inputs["audio"] = self._spectrogram(waveform)
        rows = {name: Chosen(present[name].repeat_interleave(self.views)) for name in inputs}
        features = self._through({name: self._encoder(name).backbone for name in inputs}, inputs, rows)
        target = self._targets(inputs, rows)
        losses = self.objective(self._by_view(features, rows), target, present)
        shared, embeddings = self._shared_loss(features, rows, present)
        total = losses.total if shared is None else losses.total + self.shared.weight * shared
        distilled = None
        if self.distillation is not None and taught is not None:
            distilled = self.distillation(features, rows, present, taught)
            total = total + self.distillation.weight * distilled
        projections = {
            name: [projection for side, projection in losses.projections.items() if side.modality == name]
            for name in inputs
        }
        return StepOutput(
            total=total,
            objective=losses.total.detach(),
            terms=losses.terms,
            shared=None if shared is None else shared.detach(),
            distillation=None if distilled is None else distilled.detach(),
            projections={name: sides for name, sides in projections.items() if sides},
            embeddings=embeddings,
        )

    def update_targets(self, momentum: float) -> None:
        """Move the momentum encoder and its heads; nothing for objectives without."""
        if self.targets is not None:
            self.targets.update(self.backbones, momentum)
        self.objective.update_target(momentum)

    @property
    def backbones(self) -> nn.ModuleDict:
        """The backbones by modality."""
        return nn.ModuleDict({name: self._encoder(name).backbone for name in MODALITIES})

    @property
    def base_momentum(self) -> float | None:
        """Where the momentum of the targets begins; None without any."""
        return cast("float | None", getattr(self.objective.settings, "base_momentum", None))

    def _encoder(self, name: Modality) -> Any:
        return getattr(self.pair, name)

    def _spectrogram(self, waveform: Tensor) -> Tensor:
        # Powers of the spectrum span more than half precision holds.
        with torch.no_grad(), torch.autocast(waveform.device.type, enabled=False):
            out: Tensor = self.log_mel(waveform)
        return out

    def _targets(self, inputs: Mapping[Modality, Tensor], rows: Mapping[Modality, Chosen]) -> Any:
        if self.targets is None:
            return None
        with torch.no_grad():
            found = self._through({name: self.targets.module[name] for name in inputs}, inputs, rows)
        return self._by_view(found, rows)

    def _through(
        self,
        networks: Mapping[Modality, nn.Module],
        inputs: Mapping[Modality, Tensor],
        rows: Mapping[Modality, Chosen],
    ) -> dict[Modality, Tensor]:
        """What networks make of the rows that go through."""
        found: dict[Modality, Tensor] = {}
        for name, one in inputs.items():
            with statistics_kept(networks[name], rows[name].filled):
                found[name] = networks[name](rows[name](one))
        return found

    def _by_view(
        self, features: Mapping[Modality, Tensor], rows: Mapping[Modality, Chosen]
    ) -> dict[Modality, list[Tensor]]:
        """For each modality and view ``(batch, dim)``; zeros for clips without it."""
        whole = {name: rows[name].back(found) for name, found in features.items()}
        return {name: list(self._apart(one)) for name, one in whole.items()}

    def _apart(self, rows: Tensor) -> tuple[Tensor, ...]:
        """``(batch * views, dim)`` as one ``(batch, dim)`` for each view."""
        return rows.view(-1, self.views, rows.shape[1]).unbind(1)

    def _shared_loss(
        self,
        features: Mapping[Modality, Tensor],
        rows: Mapping[Modality, Chosen],
        present: Mapping[Modality, Tensor],
    ) -> tuple[Tensor | None, dict[Modality, Tensor]]:
        """InfoNCE between video and audio of each view: mean over views."""
        if not self.shared.weight:
            return None, {}
        outer = self.shared.reach == "encoder"
        embedded: dict[Modality, Tensor] = {}
        for name, found in features.items():
            projection = self._encoder(name).projection
            with statistics_kept(projection, rows[name].filled):
                embedded[name] = rows[name].back(projection(found if outer else found.detach()))
        both = GatheredRows.from_mask(present["video"] & present["audio"], embedded["video"].device)
        views = zip(*(self._apart(embedded[name]) for name in MODALITIES), strict=True)
        with torch.autocast(embedded["video"].device.type, enabled=False):
            each = [info_nce(video, audio, both, self.shared.temperature) for video, audio in views]
        return torch.stack(each).mean(), {name: one.detach() for name, one in embedded.items()}

    def _backbones_of_all(self) -> Iterator[Mapping[str, nn.Module]]:
        yield {name: self._encoder(name).backbone for name in MODALITIES}
        if self.targets is not None:
            yield {name: self.targets.module[name] for name in MODALITIES}

    def _freeze_what_nothing_trains(self) -> None:
        """No optimizer moves what has no gradient, and DistributedDataParallel waits for none."""
        for name in MODALITIES:
            encoder = self._encoder(name)
            reached = self.shared.weight > 0 and self.shared.reach == "encoder"
            looked_at = name in self._taught or name in self.objective.modalities
            encoder.backbone.requires_grad_(reached or looked_at)
            encoder.projection.requires_grad_(self.shared.weight > 0)


def count_parameters(modules: Iterable[nn.Module]) -> int:
    """Numbers that are learned."""
    return sum(one.numel() for module in modules for one in module.parameters() if one.requires_grad)

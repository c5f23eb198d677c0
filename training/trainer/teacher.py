"""What a pair learns from beside its objective: a trained pair, or one teacher for each modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.networks.spec import MODALITIES
from avfeat.training.objectives.distillation import DistillationSettings
from avfeat.training.recipes import Recipe
from avfeat.training.teachers.lesson import Lesson, OneModality, TeacherOutput, name_setting
from avfeat.training.teachers.registry import is_network, open_teacher
from avfeat.training.teachers.run import open_run
from avfeat.training.trainer.views import Views

SETTING = "distillation.teacher"


class Teacher(nn.Module):
    """Trained networks in evaluation mode: they are not trained, and no checkpoint holds them.

    Attributes:
        source: who teaches, as it was asked for: a run, or a name or path by modality.
        lessons: what each modality is taught; a modality may have no teacher.
        facts: of a run ``source``, ``fingerprint`` of the weights, ``step``, and ``data`` that it was trained on;
            else by modality such facts, or for published networks ``source``, ``fingerprint`` and ``licence``.
    """

    def __init__(self, source: str | dict[str, str], parts: Mapping[Modality, OneModality]) -> None:
        """Put teachers together."""
        super().__init__()
        self.source = source
        self._parts = nn.ModuleDict({name: cast(nn.Module, part) for name, part in parts.items()})
        self.lessons: dict[Modality, Lesson] = {name: part.lesson for name, part in parts.items()}
        each: dict[str, Any] = {name: part.facts for name, part in parts.items()}
        self.facts = each["video"] if isinstance(source, str) else each

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Teacher | None:
        """The one that a recipe asks for; None if it asks for none. Draws from torch's global generator.

        Raises:
            ArgumentError: windows that it cannot take, no such network, or class scores that nobody gives.
            CheckpointError: a run that is missing, broken, or still being trained.
            WeightsError: published weights that cannot be fetched or read.
        """
        settings = recipe.distillation
        if settings is None:
            return None
        found = cls(settings.teacher, _parts(settings, recipe))
        if settings.scores and not any(one.classes for one in found.lessons.values()):
            raise ArgumentError(
                f"distillation.scores={settings.scores:g}: the teacher gives no class scores; leave it out."
            )
        return found

    @torch.no_grad()
    def forward(self, views: Views) -> dict[Modality, TeacherOutput]:
        """What is taught of all views, ``batch * views`` rows; those of clips without the modality mean nothing."""
        inputs = {"video": views.frames, "audio": views.waveform}
        return {name: self._parts[name](inputs[name]) for name in self.lessons if inputs[name] is not None}


def setting_of(source: str | Mapping[str, str], modality: Modality) -> str:
    """How messages call the teacher of a modality."""
    if isinstance(source, str):
        return f"{SETTING}={source}"
    return f"{SETTING}.{modality}={source.get(modality, 'null')}"


def _parts(settings: DistillationSettings, recipe: Recipe) -> dict[Modality, OneModality]:
    source = settings.teacher
    if isinstance(source, str):
        with name_setting(setting_of(source, "video")):
            if is_network(source):
                raise ArgumentError(f"is a network of one modality; --set {SETTING}.video={source}, or .audio.")
            return dict(open_run(source, recipe.encoders, MODALITIES))
    found: dict[Modality, OneModality] = {}
    for name in MODALITIES:
        if name in source:
            with name_setting(setting_of(source, name)):
                found[name] = open_teacher(name, source[name], recipe.encoders, settings.frames)
    return found

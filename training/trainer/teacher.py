"""Trained encoders that a smaller pair learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.checkpoint import Checkpoint
from avfeat.training.networks.channels_last import to_channels_last
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.recipes import Recipe
from avfeat.training.trainer.views import Views

_WINDOW = ("seconds", "fps", "size", "sample_rate", "aspect")


class Teacher(nn.Module):
    """The encoders of a run that is over, in evaluation mode: they are not trained, and no checkpoint holds them.

    Attributes:
        dims: width of each modality's features.
        fingerprint: of the weights.
    """

    def __init__(self, source: str, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.source = source
        self.spec = checkpoint.spec
        self.pair = to_channels_last(checkpoint.pair())
        self.log_mel = LogMel(self.spec.sample_rate)
        self.requires_grad_(False).eval()
        self.dims: dict[Modality, int] = {"video": self.pair.video.dim, "audio": self.pair.audio.dim}
        self.fingerprint = _fingerprint(checkpoint.encoders)

    @classmethod
    def of(cls, recipe: Recipe) -> Teacher | None:
        """The one that a recipe asks for; None if it asks for none.

        Raises:
            ArgumentError: its windows are not those of the recipe.
            CheckpointError: it is missing, or broken.
        """
        if recipe.distillation is None:
            return None
        found = cls(recipe.distillation.teacher, Checkpoint.load(Path(recipe.distillation.teacher)))
        for name in _WINDOW:
            taken, given = getattr(found.spec, name), getattr(recipe.encoders, name)
            if taken != given:
                raise ArgumentError(
                    f"{found.source}: this teacher takes windows of {name} {taken}, not {given}; take another one, "
                    f"or --set encoders.{name}={taken}."
                )
        return found

    @torch.no_grad()
    def forward(self, views: Views) -> dict[Modality, Tensor]:
        """Features of all views, ``(batch * views, dim)`` by modality; of clips without it they mean nothing."""
        found: dict[Modality, Tensor] = {}
        if views.frames is not None:
            found["video"] = self.pair.video.backbone(views.frames)
        if views.waveform is not None:
            with torch.autocast(views.waveform.device.type, enabled=False):
                spectrogram = self.log_mel(views.waveform)
            found["audio"] = self.pair.audio.backbone(spectrogram)
        return found


def _fingerprint(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].numpy().tobytes())
    return digest.hexdigest()

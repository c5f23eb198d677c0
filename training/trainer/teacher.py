"""Trained encoders that a smaller pair learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.checkpoint import Checkpoint, CheckpointError
from avfeat.training.networks.channels_last import to_channels_last
from avfeat.training.networks.registry import log_mel_of
from avfeat.training.recipes import Recipe
from avfeat.training.trainer.views import Views

_WINDOW = ("seconds", "fps", "size", "sample_rate", "aspect")


class Teacher(nn.Module):
    """The encoders of a run that is over, in evaluation mode: they are not trained, and no checkpoint holds them.

    Attributes:
        source: the run, as it was asked for.
        spec: what a window is for it.
        dims: width of each modality's features.
        facts: ``source``, ``fingerprint`` of the weights, ``step``, and ``data`` that it was trained on.
    """

    def __init__(self, source: str, checkpoint: Checkpoint) -> None:
        """Take the trained weights.

        Raises:
            CheckpointError: networks or weights that are unknown here.
        """
        super().__init__()
        self.source, self.spec = source, checkpoint.spec
        self._pair = to_channels_last(checkpoint.pair())
        self._log_mel = log_mel_of(self.spec)
        self.requires_grad_(False).eval()
        self.dims: dict[Modality, int] = {"video": self._pair.video.dim, "audio": self._pair.audio.dim}
        self.facts = {
            "source": source,
            "fingerprint": _fingerprint(checkpoint.encoders),
            "step": checkpoint.step,
            "data": dict(checkpoint.data),
        }

    @classmethod
    def of(cls, recipe: Recipe) -> Teacher | None:
        """The one that a recipe asks for; None if it asks for none. Draws from torch's global generator.

        Raises:
            ArgumentError: its windows are not those of the recipe.
            CheckpointError: it is missing, broken, or still being trained.
        """
        if recipe.distillation is None:
            return None
        source = recipe.distillation.teacher
        try:
            checkpoint = Checkpoint.load(Path(source).expanduser())
            found = cls(source, checkpoint)
        except CheckpointError as error:
            raise CheckpointError(f"distillation.teacher={source}: {error}") from error
        for name in _WINDOW:
            taken, given = getattr(found.spec, name), getattr(recipe.encoders, name)
            if taken != given:
                raise ArgumentError(
                    f"distillation.teacher={source}: takes windows of {name} {taken}, not {given}; take another "
                    f"teacher, or --set encoders.{name}={taken}."
                )
        steps = checkpoint.recipe.get("steps", checkpoint.step)
        if checkpoint.step < steps:
            # Its next checkpoint would be another teacher, in the middle of what it teaches.
            raise CheckpointError(
                f"distillation.teacher={source}: is at step {checkpoint.step} of {steps}; finish it first, or take "
                "a training that has ended."
            )
        return found

    @torch.no_grad()
    def forward(self, views: Views) -> dict[Modality, Tensor]:
        """Features of all views, ``(batch * views, dim)`` by modality; of clips without it they mean nothing."""
        found: dict[Modality, Tensor] = {}
        if views.frames is not None:
            found["video"] = self._pair.video.backbone(views.frames)
        if views.waveform is not None:
            with torch.autocast(views.waveform.device.type, enabled=False):
                spectrogram = self._log_mel(views.waveform)
            found["audio"] = self._pair.audio.backbone(spectrogram)
        return found


def _fingerprint(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        # As bytes: NumPy does not know every dtype of torch.
        digest.update(weights[name].reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

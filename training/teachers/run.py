"""One modality of a trained pair as a teacher: a run that is over, or its checkpoint."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.checkpoint import Checkpoint, CheckpointError
from avfeat.training.networks import ModalityEncoder, PairSpec
from avfeat.training.networks.channels_last import to_channels_last
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.networks.registry import log_mel_of
from avfeat.training.networks.spec import MODALITIES
from avfeat.training.provenance import weights_fingerprint
from avfeat.training.teachers.lesson import Lesson, TeacherOutput

_WINDOW: dict[str, tuple[Modality, ...]] = {
    "seconds": MODALITIES,
    "fps": ("video",),
    "size": ("video",),
    "sample_rate": ("audio",),
    "aspect": ("video",),
}
"""What a window is, and whom it concerns."""


class RunTeacher(nn.Module):
    """The backbone of one modality, in evaluation mode; it gives no class scores.

    Attributes:
        lesson: width of the features.
        facts: ``source``, ``fingerprint`` of the pair's weights, ``step``, and ``data`` that it was trained on.
    """

    def __init__(self, encoder: ModalityEncoder, log_mel: LogMel | None, facts: dict[str, Any]) -> None:
        """Take a trained encoder; ``log_mel`` is the spectrogram that one of audio takes."""
        super().__init__()
        self._backbone, self._log_mel = to_channels_last(encoder.backbone), log_mel
        self.requires_grad_(False).eval()
        self.lesson, self.facts = Lesson(encoder.dim), facts

    def forward(self, x: Tensor) -> TeacherOutput:
        """The student's frames or waveform to features."""
        if self._log_mel is not None:
            with torch.autocast(x.device.type, enabled=False):
                x = self._log_mel(x)
        return TeacherOutput(self._backbone(x))


def open_run(source: str, student: PairSpec, modalities: Collection[Modality]) -> dict[Modality, RunTeacher]:
    """The encoders of a run that is over.

    Args:
        source: folder of a run, or a checkpoint.
        student: what its windows are.
        modalities: which encoders.

    Raises:
        ArgumentError: its windows are not those of the student.
        CheckpointError: it is missing, broken, or still being trained.
    """
    checkpoint = Checkpoint.load(Path(source).expanduser())
    spec, pair = checkpoint.spec, checkpoint.pair()
    _check_windows(spec, student, modalities)
    steps = checkpoint.recipe.get("steps", checkpoint.step)
    if checkpoint.step < steps:
        # Its next checkpoint would be another teacher, in the middle of what it teaches.
        raise CheckpointError(
            f"is at step {checkpoint.step} of {steps}; finish it first, or take a training that has ended."
        )
    facts = {
        "source": source,
        "fingerprint": weights_fingerprint(checkpoint.encoders),
        "step": checkpoint.step,
        "data": dict(checkpoint.data),
    }
    log_mel: dict[Modality, LogMel] = {"audio": log_mel_of(spec)}
    return {name: RunTeacher(getattr(pair, name), log_mel.get(name), facts) for name in modalities}


def _check_windows(teacher: PairSpec, student: PairSpec, modalities: Collection[Modality]) -> None:
    for name, whose in _WINDOW.items():
        taken, given = getattr(teacher, name), getattr(student, name)
        if taken != given and not set(whose).isdisjoint(modalities):
            raise ArgumentError(
                f"takes windows of {name} {taken}, not {given}; take another teacher, or "
                f"--set encoders.{name}={taken}."
            )

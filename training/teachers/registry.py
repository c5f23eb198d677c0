"""Teachers of one modality by name: networks of others, or a run."""

from __future__ import annotations

from pathlib import Path

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.backbones.registry import FORMS, is_spec, open_audio, open_video
from avfeat.training.data.sources.address import exists
from avfeat.training.networks import PairSpec
from avfeat.training.teachers.audio import AudioTeacher
from avfeat.training.teachers.lesson import OneModality
from avfeat.training.teachers.run import open_run
from avfeat.training.teachers.video import VideoTeacher


def is_network(source: str) -> bool:
    """Whether ``source`` names a network of others, and no run that is there."""
    return is_spec(source) and not exists(Path(source).expanduser())


def open_teacher(modality: Modality, source: str, student: PairSpec, frames: int) -> OneModality:
    """Who teaches a modality.

    Args:
        modality: which.
        source: a SPEC, as ``avfeat export`` takes it, or the path of a run.
        student: what its windows are.
        frames: of a window that an image network is shown.

    Raises:
        ArgumentError: no such network or run, or windows that it cannot take.
        BackendError: the library of a network is not installed.
        CheckpointError: a run that is broken, or still being trained.
        WeightsError: weights that cannot be fetched or read.
    """
    if is_network(source):
        if modality == "video":
            return VideoTeacher(open_video(source), frames)
        return AudioTeacher(open_audio(source), student)
    if not exists(Path(source).expanduser()):
        raise ArgumentError(f"there is no such run, and no such network; give a run, or {FORMS}.")
    return open_run(source, student, [modality])[modality]

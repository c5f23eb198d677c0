"""Teachers of one modality by name: published networks, or a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from torch import nn

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.networks import PairSpec
from avfeat.training.networks.spec import MODALITIES
from avfeat.training.teachers.audio import mn04_as
from avfeat.training.teachers.lesson import OneModality
from avfeat.training.teachers.run import open_run
from avfeat.training.teachers.video import efficientnet_lite0, of_timm, of_torchvision

NAMES: Mapping[Modality, tuple[str, ...]] = {
    "video": ("efficientnet_lite0", "timm:NAME", "torchvision:NAME"),
    "audio": ("mn04_as", "mn04_as:FILE"),
}
"""What can be asked for, beside a run."""


def published_modality(source: str) -> Modality | None:
    """The modality that the published network of that name teaches; None for a name that is no such network's."""
    kind, colon, rest = source.partition(":")
    for modality in MODALITIES:
        # A name behind the colon where there has to be one, none where there cannot be.
        if any(one == kind and not colon for one in NAMES[modality]):
            return modality
        if rest and any(one.startswith(f"{kind}:") for one in NAMES[modality]):
            return modality
    return None


def open_teacher(modality: Modality, source: str, student: PairSpec, frames: int) -> OneModality:
    """Who teaches a modality.

    Args:
        modality: which.
        source: one of ``NAMES``, or the path of a run.
        student: what its windows are.
        frames: of a window that an image network is shown.

    Raises:
        ArgumentError: no such network or run, or windows that it cannot take.
        CheckpointError: a run that is broken, or still being trained.
        WeightsError: weights that cannot be fetched or read.
    """
    known = published_modality(source)
    if known is None:
        if not Path(source).expanduser().exists():
            raise ArgumentError(
                f"there is no such run, and no such network that teaches {modality}; "
                f"{suggestion(source, NAMES[modality])}"
            )
        return open_run(source, student, [modality])[modality]
    if known != modality:
        raise ArgumentError(f"teaches {known}, not {modality}; {suggestion('', NAMES[modality])}")
    kind, _, name = source.partition(":")
    made: nn.Module
    if kind == "mn04_as":
        made = mn04_as(name, student)
    elif kind == "efficientnet_lite0":
        made = efficientnet_lite0(frames)
    else:
        made = {"timm": of_timm, "torchvision": of_torchvision}[kind](name, frames)
    return cast(OneModality, made)

"""Short clips of two classes, with and without audio and video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

from avfeat import FittedClassifier
from avfeat.evaluation import Store

LABELS = ("$\\frac{<b>", "Cat")
"""Anybody's: no formula, no markup."""


@dataclass(frozen=True)
class Made:
    """Labelled clips: twelve of two classes and six groups, one of them without sound, and one without picture."""

    table: Path
    fitted: FittedClassifier
    store: Store


def make_clip(path: Path, kind: int, number: int, *, seen: bool = True, heard: bool = True) -> Path:
    """A clip of 0.7 s of one of two kinds: a square that moves, and low or high chirps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    video = VideoTrack(0.7, picture=moving_square(48, 32, 10 * kind + number % 2))
    audio = AudioTrack(0.7, 16_000, chirps(6 * kind + number % 2))
    return make_media(path, video if seen else None, audio if heard else None)

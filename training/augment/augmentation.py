"""What every augmentation is: a probability, a strength, and a change of clips that is nothing at strength 0."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from avfeat.errors import ArgumentError
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.sample_rng import SampleRNG

Family = Literal["lossy coherent", "lossy spatial", "lossy spectral", "incoherent"]
Streams = Literal["both", "video", "audio"]
Sync = Literal["shared", "independent"]


@dataclass(frozen=True)
class Augmentation(ABC):
    """One augmentation; subclasses say what it does and where it comes from.

    Attributes:
        p: probability that a sample is augmented.
        strength: in [0, 1]: scales the largest change that may be drawn; 0 changes nothing.
    """

    p: float = 1.0
    strength: float = 1.0

    family: ClassVar[Family]

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():
            _check(self, name, hint)
        for name in ("p", "strength"):
            self._need(0 <= getattr(self, name) <= 1, name, "from 0 to 1")

    def _need(self, right: bool, name: str, what: str) -> None:
        """Refuse a setting that is out of range."""
        if not right:
            raise ArgumentError(f"{type(self).__name__}: {name} must be {what}, not {getattr(self, name)!r}.")

    @abstractmethod
    def __call__(self, clips: Clips, rng: SampleRNG) -> Clips:
        """The augmented clips: same shapes, dtypes, ranges; every sample by its own numbers from ``rng``."""

    def _amount(self, rng: SampleRNG) -> Tensor:
        """The part of the largest change that a sample may get: ``strength``, or 0 if left alone; ``(batch,)``."""
        return rng.chance(self.p).to(torch.float32) * self.strength


@lru_cache(maxsize=64)
def _hints(kind: type[Augmentation]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _check(one: Augmentation, name: str, hint: Any) -> None:
    """Refuse a value of another kind than the setting's, whoever gives it: no typo is taken for a choice."""
    value = getattr(one, name)
    if get_origin(hint) is Literal:
        one._need(value in get_args(hint), name, f"one of {', '.join(get_args(hint))}")
    elif hint is int:
        one._need(isinstance(value, int) and not isinstance(value, bool), name, "a whole number")
    elif hint is float:
        one._need(_is_number(value), name, "a number")
    else:
        one._need(isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value)), name, "two numbers")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class TemporalAugmentation(Augmentation):
    """One that changes what is seen and heard at some time.

    Attributes:
        streams: which of video and audio it changes.
        sync: whether both change at the same times.
    """

    streams: Streams = "both"
    sync: Sync = "shared"

    def __call__(self, clips: Clips, rng: SampleRNG) -> Clips:
        """The augmented clips."""
        frames, waveform = clips.frames, clips.waveform
        if not self.strength or not self.p:
            return clips
        if frames is not None and self.streams != "audio":
            frames = self.on_frames(frames, rng.fork("both"))
        if waveform is not None and self.streams != "video":
            own = rng.fork("both" if self.sync == "shared" else "audio")
            waveform = self.on_sound(waveform, clips, own)
        return clips.with_(frames, waveform)

    @abstractmethod
    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Change frames ``(batch, T, 3, height, width)``."""

    @abstractmethod
    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Change a waveform ``(batch, samples)``; its first draws must be those of ``on_frames``."""

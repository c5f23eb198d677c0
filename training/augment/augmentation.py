"""What every augmentation is: a probability, a strength, and a change of clips that is nothing at strength 0."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from avfeat.training.augment.clips import Clips
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.schema import Share, settings

Family = Literal["lossy coherent", "lossy spatial", "lossy spectral", "incoherent"]
Streams = Literal["both", "video", "audio"]
Sync = Literal["shared", "independent"]


@settings
class Augmentation(ABC):
    """One augmentation; subclasses say what it does and where it comes from.

    The first number that is drawn decides by ``p``: begin with ``self._amount(rng)``, and leave the samples where
    it is 0 as they are, bit by bit.

    Attributes:
        p: probability that a sample is augmented.
        strength: in [0, 1]: scales the largest change that may be drawn; 0 changes nothing.
    """

    p: Share = 1.0
    strength: Share = 1.0

    family: ClassVar[Family]

    @abstractmethod
    def __call__(self, clips: Clips, rng: SampleRNG) -> Clips:
        """The augmented clips: same shapes, dtypes, ranges; every sample by its own numbers from ``rng``."""

    def _amount(self, rng: SampleRNG) -> Tensor:
        """The part of the largest change that a sample may get: ``strength``, or 0 if left alone; ``(batch,)``."""
        return rng.chance(self.p).to(torch.float32) * self.strength


@settings
class TemporalAugmentation(Augmentation):
    """One that changes what is seen and heard at some time.

    Frames draw from the fork "both" of the random numbers. With ``sync="shared"`` the waveform has the same fork
    anew, and so the same numbers for the same draws; else the fork "audio". Numbers for one of them alone come from
    a fork with another name.

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
        """Change a waveform ``(batch, samples)``; its first draws are those of ``on_frames``, in the same order."""

"""What a window is for the networks that are exported."""

from __future__ import annotations

from dataclasses import dataclass

from avfeat.bundle import Modality
from avfeat.grid import microseconds
from avfeat.media import AudioSpec, VideoSpec
from avfeat.training.networks import PairSpec


@dataclass(frozen=True)
class WindowSpec:
    """Length of a window in seconds, and what each network takes of it; None for one that is left out."""

    seconds: float
    video: VideoSpec | None
    audio: AudioSpec | None

    @classmethod
    def from_pair(cls, spec: PairSpec) -> WindowSpec:
        """The window of a pair."""
        video = VideoSpec(spec.fps, spec.frames, spec.size, spec.aspect)
        return cls(spec.seconds, video, audio_of(spec.seconds, spec.sample_rate))

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Those that there are."""
        pairs: tuple[tuple[Modality, object], ...] = (("video", self.video), ("audio", self.audio))
        return tuple(name for name, spec in pairs if spec is not None)


def audio_of(seconds: float, rate: int) -> AudioSpec:
    """The samples of a window at ``rate`` a second."""
    return AudioSpec(rate, microseconds(seconds) * rate // microseconds(1))

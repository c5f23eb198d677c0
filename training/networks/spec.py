"""Which two networks make a pair, and what a window is for them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from avfeat.errors import ArgumentError
from avfeat.media import Aspect
from avfeat.suggest import suggestion

Init = Literal["none", "imagenet", "kinetics400"]

# The shortest waveform is 0.1 s; at 4 kHz it still fills a window of the spectrogram (400 samples).
_LIMITS = {"fps": (1, 240), "size": (16, 4320), "sample_rate": (4000, 192_000), "shared": (2, 65_536)}
_SHORTEST = 0.1


@dataclass(frozen=True)
class PairSpec:
    """Which two networks make a pair, and what a window is for them.

    Attributes:
        video: name of the video network.
        audio: name of the audio network.
        seconds: length of a window, 0.1 or more.
        fps: frames a second; ``seconds * fps`` is a whole number.
        size: height and width of the frames in pixels.
        sample_rate: of the waveform, in Hz, mono.
        aspect: what happens to frames that are not square.
        shared: width of the space that both modalities share.
        init: where the weights of the backbones come from. ``none``: random. ``imagenet``: published weights for
            both networks. ``kinetics400``: published weights for the video network; the audio network stays
            random, as no audio network has such weights.

    Raises:
        ArgumentError: values that no pair can have. Names of networks are looked up by ``build_pair``.
    """

    video: str
    audio: str
    seconds: float = 2.0
    fps: int = 8
    size: int = 112
    sample_rate: int = 16_000
    aspect: Aspect = "stretch"
    shared: int = 256
    init: Init = "none"

    def __post_init__(self) -> None:
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ArgumentError(f"{name} must be a whole number from {least} to {most}, not {value!r}.")
        if not _SHORTEST <= self.seconds < math.inf:
            raise ArgumentError(f"seconds must be {_SHORTEST} or more, not {self.seconds!r}.")
        if self.frames < 1 or abs(self.seconds * self.fps - self.frames) > 1e-6:
            frames = f"{self.seconds:g} * {self.fps} = {self.seconds * self.fps:g}"
            raise ArgumentError(f"seconds * fps must be a whole number of frames, 1 or more, not {frames}.")
        for name, known in (("aspect", get_args(Aspect)), ("init", get_args(Init))):
            if getattr(self, name) not in known:
                raise ArgumentError(
                    f"There is no {name} {getattr(self, name)!r}; {suggestion(getattr(self, name), known)}"
                )

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return round(self.seconds * self.fps)

"""The networks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from avfeat.training.networks.encoder import Encoder, EncoderPair
from avfeat.training.networks.mel_mobile import MelMobileNet
from avfeat.training.networks.reference import MelResNet, R2Plus1D
from avfeat.training.networks.temporal_shift import ShiftMobileNet
from avfeat.training.suggest import suggestion

T = TypeVar("T")


@dataclass(frozen=True)
class PairSpec:
    """Which two networks make a pair, and what a window is for them."""

    video: str
    audio: str
    seconds: float = 2.0
    fps: int = 8
    size: int = 112
    sample_rate: int = 16_000
    shared: int = 256

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return round(self.seconds * self.fps)


VIDEO_NETWORKS: dict[str, Callable[[PairSpec], nn.Module]] = {
    "shift_mobilenet": lambda spec: ShiftMobileNet(frames=spec.frames),
    "r2plus1d_18": lambda spec: R2Plus1D(),
}

AUDIO_NETWORKS: dict[str, Callable[[PairSpec], nn.Module]] = {
    "mel_mobilenet": lambda spec: MelMobileNet(),
    "mel_resnet18": lambda spec: MelResNet(),
}

PAIRS: dict[str, PairSpec] = {
    "mini": PairSpec("shift_mobilenet", "mel_mobilenet"),
    "reference": PairSpec("r2plus1d_18", "mel_resnet18"),
}


def build_pair(spec: PairSpec | str) -> EncoderPair:
    """The encoders of ``spec``, or of the pair of that name, with fresh random weights.

    Raises:
        ValueError: a name that is not there; the message suggests one that is.
    """
    if isinstance(spec, str):
        spec = _look_up(PAIRS, spec, "pair")
    video = _look_up(VIDEO_NETWORKS, spec.video, "video network")(spec)
    audio = _look_up(AUDIO_NETWORKS, spec.audio, "audio network")(spec)
    return EncoderPair(Encoder(video, spec.shared), Encoder(audio, spec.shared))


def _look_up(table: dict[str, T], name: str, what: str) -> T:
    if name in table:
        return table[name]
    raise ValueError(f"There is no {what} {name!r}; {suggestion(name, sorted(table))}")

"""The networks by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar, cast

from torch import nn
from torchvision.models import MobileNet_V3_Large_Weights, MobileNet_V3_Small_Weights, ResNet18_Weights, WeightsEnum
from torchvision.models.video import (
    MC3_18_Weights,
    R2Plus1D_18_Weights,
    R3D_18_Weights,
    S3D_Weights,
    mc3_18,
    r2plus1d_18,
    r3d_18,
)

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.networks.encoder import EncoderPair, ModalityEncoder
from avfeat.training.networks.lite0 import published_lite0
from avfeat.training.networks.lite0_motion import Lite0Motion
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.networks.mel_mobile import MelMobileNet
from avfeat.training.networks.mel_resnet import MelResNet
from avfeat.training.networks.mel_resnet16 import MelResNet16, wide_band
from avfeat.training.networks.published import Initialisable, PublishedWeights, fetch
from avfeat.training.networks.resnet14 import WIDE, MelResNet14, ShiftResNet14
from avfeat.training.networks.s3d import S3D
from avfeat.training.networks.spec import PairSpec, trained_start
from avfeat.training.networks.temporal_shift import ShiftMobileNet
from avfeat.training.networks.tiny_mel import TinyMel
from avfeat.training.networks.tiny_shift import TinyShift
from avfeat.training.networks.video_resnet import VideoResNet

T = TypeVar("T")

Start: TypeAlias = WeightsEnum | Callable[[], PublishedWeights]
"""Published weights: torchvision's, or what reads others."""


@dataclass(frozen=True)
class Network:
    """A backbone that a pair can have.

    Attributes:
        build: makes it with random weights.
        published: its weights by the ``init`` that asks for them.
        frames: the least that a video network takes.
        size: the least height and width of a video network's frames.
        log_mel: the spectrogram that an audio network takes, made for a sample rate.
    """

    build: Callable[[PairSpec], nn.Module]
    published: Mapping[str, Start] = field(default_factory=dict)
    frames: int = 1
    size: int = 16
    log_mel: Callable[[int], LogMel] = LogMel


VIDEO_NETWORKS: dict[str, Network] = {
    "shift_resnet14": Network(lambda spec: ShiftResNet14(spec.frames)),
    "wide_shift_resnet14": Network(lambda spec: ShiftResNet14(spec.frames, WIDE)),
    "shift_mobilenet": Network(
        lambda spec: ShiftMobileNet(spec.frames), {"imagenet": MobileNet_V3_Large_Weights.IMAGENET1K_V2}
    ),
    "r2plus1d_18": Network(lambda _: VideoResNet(r2plus1d_18), {"kinetics400": R2Plus1D_18_Weights.KINETICS400_V1}),
    "r3d_18": Network(lambda _: VideoResNet(r3d_18), {"kinetics400": R3D_18_Weights.KINETICS400_V1}),
    "mc3_18": Network(lambda _: VideoResNet(mc3_18), {"kinetics400": MC3_18_Weights.KINETICS400_V1}),
    "s3d": Network(lambda _: S3D(), {"kinetics400": S3D_Weights.KINETICS400_V1}, S3D.FRAMES, S3D.SIZE),
    "lite0_motion": Network(
        lambda spec: Lite0Motion(spec.frames, spec.size),
        {"efficientnet_lite0": published_lite0},
        size=32,
    ),
    "tiny_shift": Network(lambda spec: TinyShift(spec.frames)),
}

AUDIO_NETWORKS: dict[str, Network] = {
    "mel_resnet14": Network(lambda _: MelResNet14()),
    "wide_mel_resnet14": Network(lambda _: MelResNet14(widths=WIDE)),
    "mel_mobilenet": Network(lambda _: MelMobileNet(), {"imagenet": MobileNet_V3_Small_Weights.IMAGENET1K_V1}),
    "mel_resnet18": Network(lambda _: MelResNet(), {"imagenet": ResNet18_Weights.IMAGENET1K_V1}),
    "mel_resnet16": Network(lambda _: MelResNet16(), log_mel=wide_band),
    "tiny_mel": Network(lambda _: TinyMel()),
}

PAIRS: dict[str, PairSpec] = {
    "base": PairSpec("lite0_motion", "mel_resnet16", size=224, sample_rate=32_000),
    "mini": PairSpec("shift_resnet14", "mel_resnet14"),
    "reference": PairSpec("r2plus1d_18", "mel_resnet18"),
}


def build_pair(spec: PairSpec | str, published: bool = True) -> EncoderPair:
    """The encoders of ``spec``, or of the pair of that name, with fresh weights: what a training begins with.

    Args:
        spec: the networks, what a window is for them, and where their weights come from.
        published: False leaves all weights random, whatever ``spec.init`` says: for weights that are loaded next,
            such as a checkpoint's. The networks are the same for every ``init``.

    Raises:
        ArgumentError: a name that is not there (the message suggests one that is), windows that are too small for
            the video network, or an ``init`` that a network has no weights for.
        WeightsError: published weights that cannot be fetched or read.
    """
    if isinstance(spec, str):
        spec = _look_up(PAIRS, spec, "pair")
    video, audio = networks_of(spec)
    # Asked for before anything is built: an init that is not there fails at once.
    weights = _weights(spec) if published else {}
    backbones = {"video": video.build(spec), "audio": audio.build(spec)}
    for modality, wanted in weights.items():
        found = fetch(wanted) if isinstance(wanted, WeightsEnum) else wanted()
        cast(Initialisable, backbones[modality]).adopt(found)
    return EncoderPair(*(ModalityEncoder(backbone, spec.shared) for backbone in backbones.values()))


def networks_of(spec: PairSpec) -> tuple[Network, Network]:
    """The video and the audio network of ``spec``, before anything is built.

    Raises:
        ArgumentError: a name that is not there, or windows that are too small for the video network.
    """
    video = _look_up(VIDEO_NETWORKS, spec.video, "video network")
    audio = _look_up(AUDIO_NETWORKS, spec.audio, "audio network")
    _check_window(video, spec)
    return video, audio


def log_mel_of(spec: PairSpec) -> LogMel:
    """The spectrogram that the audio network of ``spec`` takes.

    Raises:
        ArgumentError: a name that is not there.
    """
    return _look_up(AUDIO_NETWORKS, spec.audio, "audio network").log_mel(spec.sample_rate)


def _check_window(video: Network, spec: PairSpec) -> None:
    if spec.frames < video.frames or spec.size < video.size:
        raise ArgumentError(
            f"The video network {spec.video!r} needs {video.frames} frames of {video.size} pixels or more, "
            f"not {spec.frames} of {spec.size}; give it longer windows (seconds), a higher fps or a larger size."
        )


def _weights(spec: PairSpec) -> dict[str, Start]:
    """Which published weights each modality begins with; trained pairs are for who trains."""
    tables = {"video": VIDEO_NETWORKS, "audio": AUDIO_NETWORKS}
    return {
        modality: _find_published(tables[modality], getattr(spec, modality), start, modality)
        for modality, start in spec.starts.items()
        if not trained_start(start)
    }


def _find_published(table: Mapping[str, Network], name: str, init: str, modality: str) -> Start:
    own = table[name].published
    if init in own:
        return own[init]
    others = [other for other in table if init in table[other].published]
    raise ArgumentError(
        f"The {modality} network {name!r} has no {init} weights; "
        f"its init can be {' or '.join(['none', *own])}, and those with {init} weights are {', '.join(others)}."
    )


def _look_up(table: dict[str, T], name: str, what: str) -> T:
    if name in table:
        return table[name]
    raise ArgumentError(f"There is no {what} {name!r}; {suggestion(name, sorted(table))}")

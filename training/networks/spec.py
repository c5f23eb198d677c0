"""Which two networks make a pair, and what a window is for them."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.media import Aspect
from avfeat.suggest import suggestion
from avfeat.training.schema import settings

Init = Literal["none", "imagenet", "kinetics400", "efficientnet_lite0"]
DEFAULT = "default"
"""The start that is the bundle that ships."""
MODALITIES: tuple[Modality, ...] = ("video", "audio")
_OF_VIDEO = ("kinetics400", "efficientnet_lite0")


@settings
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
        init: where the weights come from, for both networks, or one each by modality. ``none``: random.
            ``imagenet``: published weights for both backbones. ``kinetics400``, ``efficientnet_lite0``: published
            weights for the video backbone; the audio network stays random, as no audio network has such weights.
            ``default``: the bundle that ships. A path: that bundle, run or checkpoint; of these, the projections,
            too.

    Raises:
        ArgumentError: values that no pair can have. Names of networks are looked up by ``build_pair``.
    """

    video: str
    audio: str
    # The shortest waveform is 0.1 s; at 4 kHz it still fills a window of the spectrogram (400 samples).
    seconds: Annotated[float, Field(ge=0.1)] = 2.0
    fps: Annotated[int, Field(ge=1, le=240)] = 8
    size: Annotated[int, Field(ge=16, le=4320)] = 112
    sample_rate: Annotated[int, Field(ge=4000, le=192_000)] = 16_000
    aspect: Aspect = "stretch"
    shared: Annotated[int, Field(ge=2, le=65_536)] = 256
    init: str | dict[str, str] = "none"

    def __post_init__(self) -> None:
        if self.frames < 1 or abs(self.seconds * self.fps - self.frames) > 1e-6:
            frames = f"{self.seconds:g} * {self.fps} = {self.seconds * self.fps:g}"
            raise ArgumentError(f"seconds * fps must be a whole number of frames, 1 or more, not {frames}.")
        self._check_init()

    def _check_init(self) -> None:
        known = (*get_args(Init), DEFAULT)
        if isinstance(self.init, dict):
            for modality in self.init:
                if modality not in MODALITIES:
                    raise ArgumentError(f"init is for video and audio; {suggestion(modality, MODALITIES)}")
        for name in self.init.values() if isinstance(self.init, dict) else (self.init,):
            if name not in known and not _is_path(name):
                raise ArgumentError(
                    f"There is no init {name!r}; {suggestion(name, known)} A path has a slash in it: ./{name}."
                )

    @property
    def starts(self) -> dict[Modality, str]:
        """What each modality's weights begin with; nothing for random ones."""
        if isinstance(self.init, dict):
            return {name: self.init[name] for name in MODALITIES if self.init.get(name, "none") != "none"}
        if self.init == "none":
            return {}
        return {name: self.init for name in MODALITIES if name == "video" or self.init not in _OF_VIDEO}

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return round(self.seconds * self.fps)


def trained_start(name: str) -> bool:
    """Whether a start is a trained pair, such as the bundle that ships, and no published weights of a backbone."""
    return name == DEFAULT or _is_path(name)


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name

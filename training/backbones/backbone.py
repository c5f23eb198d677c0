"""A published network, what it takes, and the pipeline of its own library that files are held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Kernel = Literal["bilinear", "bicubic", "lanczos"]

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """How a network's frames are made of pictures of any size.

    Attributes:
        resize: what the picture is scaled to before the crop: ``(height, width)``, or one number for its shorter
            side; the longer side is then rounded down.
        crop: height and width of the central part that the network sees.
        kernel: of the resampling.
        mean: of red, green and blue in [0, 1], which is taken away.
        std: their standard deviations, which is divided by.
        antialias: whether the kernel is widened when pictures shrink, as Pillow does.
        half_down: where the central part would begin at half a pixel: at the one before it (transformers), or at
            the even one (timm, torchvision).
    """

    resize: int | tuple[int, int]
    crop: tuple[int, int]
    kernel: Kernel
    mean: Sequence[float]
    std: Sequence[float]
    antialias: bool = True
    half_down: bool = False

    @property
    def size(self) -> int:
        """Side of the square frames that a bundle's reader makes: nothing that the network sees is lost."""
        return self.resize if isinstance(self.resize, int) else max(self.resize)

    @property
    def aspect(self) -> Literal["stretch", "crop"]:
        """What the reader does to frames that are not square."""
        return "crop" if isinstance(self.resize, int) else "stretch"


@dataclass(frozen=True)
class Origin:
    """Where weights come from.

    Attributes:
        spec: as it was asked for.
        licence: of the weights, in words.
        trained: False for random ones.
        versions: of the libraries that the network was built by.
        fingerprint: SHA-256 of the weights, whatever file they came from.
    """

    spec: str
    licence: str
    trained: bool = True
    versions: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ""


@dataclass(frozen=True)
class Steps:
    """When the rows are that a network of sound gives within a window.

    Attributes:
        first: instant of the first row, seconds from the window's start: the middle of what it hears.
        period: seconds between two rows.
    """

    first: float
    period: float

    @classmethod
    def of_video(cls, fps: float, first: float = 0.0, step: float = 1.0) -> Steps:
        """Those of frames, on screen at ``(i + 0.5) / fps``; or of every ``step``-th of them, from ``first`` on."""
        return cls((first + 0.5) / fps, step / fps)

    def within(self, seconds: float) -> int:
        """How many rows lie in a window."""
        return math.ceil((seconds - self.first) / self.period - 1e-6)


@dataclass(frozen=True, eq=False)
class TextBackbone:
    """A network of sentences.

    Attributes:
        network: in evaluation mode. Numbers of tokens, int64 ``(n, length)``, and the mask where it takes one, to
            rows of length 1 in the space of the images or sounds that it was trained with, ``(n, shared)``.
        tokenizer: the file that makes tokens of sentences, as the package ``tokenizers`` writes it; it cuts and
            pads, too.
        inputs: names of what the network takes: ``input_ids``, and ``attention_mask`` where it takes one.
        longest: tokens of a sentence, at most.
        pipeline: the same, done by its own library: sentences to what the network takes, and to what it gives.
    """

    network: nn.Module
    tokenizer: str
    inputs: tuple[str, ...]
    longest: int
    pipeline: Callable[[Sequence[str]], tuple[list[Tensor], Tensor]]


@dataclass(frozen=True, eq=False)
class VideoBackbone:
    """A network of frames.

    Attributes:
        network: in evaluation mode. Scaled frames, ``(n, 3, height, width)`` of an image network or
            ``(n, 3, T, height, width)`` of a video network, to features ``(n, dim)``, or to features and an
            embedding in a space that it shares with other networks ``(n, shared)``; behind these, of a video
            network with ``rows``, rows ``(n, R, dim)``.
        look: what its frames are.
        pipeline: the same, done by its own library: uint8 frames ``(T, height, width, 3)`` of one window to what
            ``network`` is given for them.
        origin: of the weights.
        frames: of a window: how many an image network is shown where nobody says, how many a video network takes.
        fps: at which a video network takes them; None for an image network, which sees them one by one.
        classifier: features to class scores before the softmax; None without classes.
        text: opens the network of sentences that it was trained with; None for a network without one.
        any_count: whether a video network takes any number of frames.
        rows: of a video network that gives rows within a window: the frame in the middle of what the first is of,
            counted from 0, and how many frames lie between two rows.
    """

    network: nn.Module
    look: Look
    pipeline: Callable[[NDArray[np.uint8]], Tensor]
    origin: Origin
    frames: int = 4
    fps: float | None = None
    classifier: nn.Module | None = None
    text: Callable[[], TextBackbone] | None = None
    any_count: bool = False
    rows: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class AudioBackbone:
    """A network of sound.

    Attributes:
        network: in evaluation mode. A waveform, float32 ``(n, samples)``, to features ``(n, dim)``, or to features
            and an embedding in a shared space ``(n, shared)``; behind these, with ``steps``, rows ``(n, T, dim)``.
            The spectrogram is inside.
        rate: samples a second that it takes.
        pipeline: the same, done by its own library: one waveform ``(samples,)`` to what ``network`` gives for a
            batch of 1.
        origin: of the weights.
        seconds: of a window where nobody says.
        note: what its window costs, such as padding; empty for nothing to be said.
        steps: when its rows are; None for a network that gives a window one row.
        shortest: window that it takes, in seconds.
        classifier: features to class scores before the sigmoid, as several sounds may be heard at once; None
            without classes.
        longest: seconds of a window, at most; None for any number.
        text: as of ``VideoBackbone``.
    """

    network: nn.Module
    rate: int
    pipeline: Callable[[NDArray[np.float32]], tuple[Tensor, ...]]
    origin: Origin
    seconds: float = 2.0
    note: str = ""
    steps: Steps | None = None
    shortest: float = 0.1
    classifier: nn.Module | None = None
    longest: float | None = None
    text: Callable[[], TextBackbone] | None = None


def by_name(found: tuple[Tensor, ...], dense: bool) -> dict[str, Tensor]:
    """Outputs by what they mean: the last one is ``frames`` where a network gives rows within a window."""
    pooled = found[: len(found) - dense]
    return dict(zip(("features", "shared"), pooled, strict=False)) | ({"frames": found[-1]} if dense else {})


def as_outputs(found: Any) -> tuple[Tensor, ...]:
    """What a network gives, as features alone or features and shared."""
    return (found,) if isinstance(found, Tensor) else tuple(found)

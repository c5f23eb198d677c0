"""torchvision's networks of images and of video, with their published transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights
from torchvision.transforms._presets import ImageClassification, VideoClassification

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.backbones.backbone import Kernel, Look, VideoBackbone
from avfeat.training.backbones.loaded import last_linear, origin_of, stacked, to_pictures, with_weights
from avfeat.training.data.sources.address import Address

_FRAMES, _FPS = 16, 15.0
"""Of a video network whose weights do not say: what its authors took of Kinetics."""


def torchvision_frames(name: str, address: Address) -> VideoBackbone:
    """One of torchvision's networks, ``torchvision:NAME`` or ``torchvision:NAME?weights=FILE``.

    Features are what its last linear layer is given, or what is pooled in networks that have none.

    Raises:
        ArgumentError: no such network, or one that is for something else than images or video.
        WeightsError: weights that cannot be fetched or read.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    video = torchvision.models.list_models(module=torchvision.models.video)
    if name not in (*known, *video):
        raise ArgumentError(
            f"{address.text}: torchvision has no network of images or video {name!r}; "
            f"{suggestion(name, [*known, *video])}"
        )
    published = get_model_weights(name).DEFAULT
    preset = published.transforms()
    network, classifies = with_weights(
        address, lambda known: get_model(name, weights=published if known else None), last_linear
    )
    origin = origin_of(
        address, "not stated by torchvision, whose code is under BSD-3-Clause", network, "torchvision"
    )
    headless, classifier = _headless(network, address)
    classifier = classifier if classifies else None
    if isinstance(preset, VideoClassification):
        frames = int(published.meta.get("min_temporal_size") or _FRAMES)
        rate = float(published.meta.get("frame_rate") or _FPS)
        count = max(frames, _FRAMES)
        look = _look(preset, False)
        headless, rows = _with_rows(headless, count, look)
        return VideoBackbone(headless, look, _video(preset), origin, count, rate, classifier, rows=rows)
    if not isinstance(preset, ImageClassification):
        raise ArgumentError(f"{address.text}: classifies neither images nor video; take another network.")
    return VideoBackbone(headless, _look(preset, True), _images(preset), origin, classifier=classifier)


def _headless(network: nn.Module, address: Address) -> tuple[nn.Module, nn.Module | None]:
    """The network, which gives what it classifies; and its last linear layer, where that does it."""
    head: Any = getattr(network, "classifier", None)
    if head is not None and not any(isinstance(layer, nn.Linear) for layer in head.modules()):
        # Some pool here, behind the layer that classifies every place.
        pools = [layer for layer in head.modules() if isinstance(layer, nn.AdaptiveAvgPool2d)]
        cast(Any, network).classifier = nn.Sequential(*pools)
        return network, None
    place = last_linear(network)
    if not place:
        raise ArgumentError(
            f"{address.text}: has no linear layer behind its features; give a function of your own for it."
        )
    classifier = network.get_submodule(place)
    network.set_submodule(place, nn.Identity())
    return network, classifier


class _OverSpace(nn.Module):
    """Means over height and width alone."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((3, 4))


class _Rows(nn.Module):
    """A network that pools means over time, height and width, and the rows that they are of: one a step of time."""

    def __init__(self, network: nn.Module, steps: int) -> None:
        super().__init__()
        self.network, self.steps = network, steps

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.unflatten(self.network(clips), 1, (-1, self.steps)).transpose(1, 2)
        return rows.mean(1), rows


def _with_rows(network: nn.Module, count: int, look: Look) -> tuple[nn.Module, tuple[float, float] | None]:
    """The network with rows within a window, and when these are; itself, if it pools something else than means."""
    pool = getattr(network, "avgpool", None)
    if not isinstance(pool, nn.AdaptiveAvgPool3d) or pool.output_size not in (1, (1, 1, 1)):
        return network, None
    clips = torch.zeros(1, 3, count, *look.crop)
    with torch.inference_mode():
        dim = network(clips).shape[1]
        cast(Any, network).avgpool = _OverSpace()
        steps = network(clips).shape[1] // dim
    step = count / steps
    # Patches are of `step` frames; a convolution's rows lie around every `step`-th frame.
    first = (step - 1) / 2 if hasattr(network, "patch_embed") else 0.0
    return _Rows(network, steps), (first, step)


def _look(preset: Any, antialias: bool) -> Look:
    resize = list(preset.resize_size)
    crop = list(preset.crop_size) * (2 if len(preset.crop_size) == 1 else 1)
    kernel = cast(Kernel, preset.interpolation.value)
    scaled = resize[0] if len(resize) == 1 else (resize[0], resize[1])
    return Look(scaled, (crop[0], crop[1]), kernel, preset.mean, preset.std, antialias)


def _images(preset: Any) -> Callable[[NDArray[np.uint8]], Tensor]:
    return lambda frames: stacked([preset(picture) for picture in to_pictures(frames)])


def _video(preset: Any) -> Callable[[NDArray[np.uint8]], Tensor]:
    def pipeline(frames: NDArray[np.uint8]) -> Tensor:
        clip: Tensor = preset(torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))))
        return clip

    return pipeline

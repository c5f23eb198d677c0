"""timm's networks of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import timm
from numpy.typing import NDArray
from torch import Tensor

from avfeat.errors import ArgumentError
from avfeat.export.backbones.backbone import Kernel, Look, Origin, VideoBackbone
from avfeat.export.backbones.loaded import (
    RANDOM,
    built,
    load_weights,
    readable,
    stacked,
    to_pictures,
    versions,
    weights_of,
)
from avfeat.suggest import suggestion
from avfeat.training.data.sources.address import Address

_KERNELS: tuple[Kernel, ...] = ("bilinear", "bicubic", "lanczos")


def timm_images(name: str, address: Address) -> VideoBackbone:
    """One of timm's networks, ``timm:NAME`` or ``timm:NAME?weights=FILE``, with the transform of its data config.

    Features are what its classifier is given.

    Raises:
        ArgumentError: no such network, or one whose transform cannot be built into a graph.
        WeightsError: weights that cannot be fetched or read.
    """
    if not timm.is_model(name):
        close = suggestion(name, timm.list_models())
        raise ArgumentError(f"{address.text}: timm has no network {name!r}; {close}")
    weights = weights_of(address)
    published = weights is None
    if published and not timm.models.is_model_pretrained(name):
        raise ArgumentError(f"{address.text}: timm has no weights for it; add ?weights=FILE, or ?weights=none.")
    network: Any = built(
        lambda: timm.create_model(name, pretrained=published, num_classes=0), address, weights == RANDOM
    )
    if weights is not None and weights != RANDOM:
        with readable(address):
            load_weights(network, Path(weights))
    data = cast(Any, timm.data).resolve_model_data_config(network)
    transform = cast(Any, timm.data).create_transform(**data, is_training=False)

    def pipeline(frames: NDArray[np.uint8]) -> Tensor:
        return stacked([transform(picture) for picture in to_pictures(frames)])

    licence = network.pretrained_cfg.get("license") or "not stated by timm"
    origin = Origin(
        address.text,
        "MIT (random weights)" if weights == RANDOM else licence,
        weights != RANDOM,
        versions("timm", "torch"),
    )
    return VideoBackbone(network.eval(), _look(data, address), pipeline, origin)


def _look(data: dict[str, Any], address: Address) -> Look:
    height, width = data["input_size"][1:]
    mode, kernel, share = data["crop_mode"], data["interpolation"], data["crop_pct"]
    if kernel not in _KERNELS or mode not in ("center", "squash") or (mode == "center" and height != width):
        raise ArgumentError(
            f"{address.text}: its transform ({mode} crop, {kernel}) cannot be built into a graph; "
            "give a function of your own for it."
        )
    resize = (int(height // share), int(width // share))
    return Look(
        resize if mode == "squash" else resize[0], (height, width), cast(Kernel, kernel), data["mean"], data["std"]
    )

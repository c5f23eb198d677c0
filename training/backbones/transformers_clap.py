"""CLAP's audio tower with its spectrogram in front of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avfeat.errors import ArgumentError
from avfeat.training.backbones.spectrum import ClapLogMel

_PADDINGS = ("repeatpad", "repeat", "pad")
_FUSED = 4
"""Spectrograms that a network which fuses them takes: of all of the sound, and of three parts of it."""


def clap(
    model: Any, extractor: Any
) -> tuple[nn.Module, Callable[[NDArray[np.float32]], tuple[Tensor, ...]], str, None]:
    """The network from a waveform on, the library's pipeline, what a window costs, and no rows within it.

    Raises:
        ArgumentError: a feature extractor that pads otherwise than any that was published.
    """
    if extractor.padding not in _PADDINGS:
        raise ArgumentError(
            f"The feature extractor pads by {extractor.padding!r}, which cannot be built into a graph; "
            f"known are {', '.join(_PADDINGS)}."
        )
    fused = extractor.truncation == "fusion"
    front = ClapLogMel(
        extractor.mel_filters if fused else extractor.mel_filters_slaney,
        int(extractor.nb_max_samples),
        extractor.fft_window_size,
        extractor.hop_length,
        extractor.padding,
    )

    def pipeline(waveform: NDArray[np.float32]) -> tuple[Tensor, ...]:
        # What is longer is cut at random by the library, and at the end by the graph; no window is.
        heard = waveform[: extractor.nb_max_samples]
        taken = extractor(heard, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        features = model.audio_model(**taken).pooler_output
        return features, nn.functional.normalize(model.audio_projection(features), dim=1)

    note = (
        f"A window is repeated up to the {extractor.max_length_s:g} s that the network takes, and costs as much as "
        "one of that length."
    )
    return _Clap(model, front, _FUSED if fused else 1), pipeline, note, None


class _FuseAll(nn.Module):
    """Fuses the four spectrograms of every row.

    That is what the library does to sound that is alone in its batch: it says of it that it is longer. It looks up
    which rows of a batch that is true of, and no graph can have that.
    """

    def __init__(self, embed: Any) -> None:
        super().__init__()
        self.embed = embed

    def forward(self, pictures: Tensor, longer: Tensor) -> Tensor:
        whole = self.embed.proj(pictures[:, :1])
        parts = self.embed.mel_conv2d(pictures[:, 1:].flatten(0, 1).unsqueeze(1))
        beside = parts.unflatten(0, (-1, _FUSED - 1)).permute(0, 2, 3, 1, 4).flatten(3)
        padded = nn.functional.pad(beside, (0, whole.shape[-1] - beside.shape[-1]))
        rows = self.embed.fusion_model(whole, padded).flatten(2).transpose(1, 2)
        found: Tensor = self.embed.norm(rows)
        return found


class _Clap(nn.Module):
    """Waveforms to what the audio tower pools, and to the space that sound and text share."""

    def __init__(self, model: Any, front: ClapLogMel, channels: int) -> None:
        super().__init__()
        self.front, self.channels = front, channels
        self.audio_model, self.projection = copy.deepcopy(model.audio_model), model.audio_projection
        encoder = self.audio_model.audio_encoder
        if encoder.enable_fusion:
            encoder.patch_embed = _FuseAll(encoder.patch_embed)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        logs = self.front(waveform).unsqueeze(1).expand(-1, self.channels, -1, -1)
        longer = torch.ones_like(waveform[:, :1], dtype=torch.bool)
        features = self.audio_model(input_features=logs, is_longer=longer).pooler_output
        return features, nn.functional.normalize(self.projection(features), dim=1)

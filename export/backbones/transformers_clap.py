"""CLAP's audio tower with its spectrogram in front of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avfeat.errors import ArgumentError
from avfeat.export.backbones.spectrum import ClapLogMel

_PADDINGS = ("repeatpad", "repeat", "pad")
_FUSED = 4
"""Spectrograms that a network which fuses them takes: of all of the sound, and of three parts of it."""


def clap(model: Any, extractor: Any) -> tuple[nn.Module, Callable[[NDArray[np.float32]], tuple[Tensor, ...]], str]:
    """The network from a waveform on, the library's pipeline, and what a window costs.

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
    return _Clap(model, front, _FUSED if fused else 1), pipeline, note


class _Clap(nn.Module):
    """Waveforms to what the audio tower pools, and to the space that sound and text share."""

    def __init__(self, model: Any, front: ClapLogMel, channels: int) -> None:
        super().__init__()
        self.front, self.channels = front, channels
        self.audio_model, self.projection = model.audio_model, model.audio_projection

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        logs = self.front(waveform).unsqueeze(1).expand(-1, self.channels, -1, -1)
        # Of sound alone in its batch, as in the pipeline, the library says that it is longer.
        longer = torch.ones_like(waveform[:, :1], dtype=torch.bool)
        features = self.audio_model(input_features=logs, is_longer=longer).pooler_output
        return features, nn.functional.normalize(self.projection(features), dim=1)

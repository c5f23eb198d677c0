"""PE-AV (Vyas et al., arXiv 2512.19687): video, sound and text in one space; also its towers that come alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avfeat.bundle import Modality
from avfeat.training.backbones.backbone import Steps
from avfeat.training.backbones.spectrum import length_of

FRAMES, FPS = 16, 8.0
"""Of a window where nobody says: as many as the networks of fixed frames were trained with."""


def pe_frames(model: Any, processor: Any) -> tuple[nn.Module, Callable[[NDArray[np.uint8]], Tensor]]:
    """The video tower, which sees all frames of a window together, and the library's pipeline."""

    def pipeline(frames: NDArray[np.uint8]) -> Tensor:
        clip = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
        taken = processor(videos=[clip], return_tensors="pt", do_sample_frames=False)
        found: Tensor = taken["pixel_values_videos"][0].transpose(0, 1)
        return found

    return _Frames(_part(model, "video")), pipeline


class _Frames(nn.Module):
    """Clips ``(n, 3, T, height, width)`` to what the encoder pools, to the shared space, and to rows of frames."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder, self.head = model.video_encoder, model.video_head

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.encoder(pixel_values_videos=clips.transpose(1, 2).contiguous())
        shared = nn.functional.normalize(self.head(found.pooler_output), dim=1)
        return found.pooler_output, shared, found.last_hidden_state


def pe_sound(
    model: Any, extractor: Any
) -> tuple[nn.Module, Callable[[NDArray[np.float32]], tuple[Tensor, ...]], str, Steps]:
    """The audio tower from a waveform on, the library's pipeline, no note, and when its rows are."""
    part, hop, rate = _part(model, "audio"), int(extractor.hop_length), int(extractor.sampling_rate)

    def pipeline(waveform: NDArray[np.float32]) -> tuple[Tensor, ...]:
        taken = extractor(waveform, sampling_rate=rate, return_tensors="pt")
        found = part.audio_encoder(**taken)
        shared = nn.functional.normalize(part.audio_head(found.pooler_output), dim=1)
        return found.pooler_output, shared, found.last_hidden_state

    # A row is of the samples between two hops.
    return _Sound(part, hop), pipeline, "", Steps(hop / 2 / rate, hop / rate)


class _Sound(nn.Module):
    """Waveforms to what the encoder pools, to the shared space, and to rows of ``hop`` samples each."""

    def __init__(self, model: Any, hop: int) -> None:
        super().__init__()
        self.encoder, self.head, self.hop = model.audio_encoder, model.audio_head, hop

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.encoder(input_values=self._whole(waveform).unsqueeze(1))
        shared = nn.functional.normalize(self.head(found.pooler_output), dim=1)
        return found.pooler_output, shared, found.last_hidden_state

    def _whole(self, waveform: Tensor) -> Tensor:
        """The sound and its mirror image behind it, up to the next multiple of ``hop`` samples."""
        samples = waveform.shape[1]
        places = torch.arange((samples + self.hop - 1) // self.hop * self.hop, device=waveform.device)
        last = length_of(waveform).long() - 1
        return waveform[:, last - (last - places).abs()]


class PeText(nn.Module):
    """Tokens to the space of video or of sound: each has a head of its own for text."""

    def __init__(self, model: Any, modality: Modality) -> None:
        """Take the text tower of ``model`` for one modality."""
        super().__init__()
        part = _part(model, modality)
        self.text_model, self.head = part.text_model, getattr(part, f"text_{modality}_head")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Numbers of tokens and their mask, int64 ``(n, length)``, to rows of length 1, ``(n, shared)``."""
        rows = self.text_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[:, 0]
        return nn.functional.normalize(self.head(rows), dim=1)


def pe_text_rows(model: Any, modality: Modality) -> Callable[[Any], Tensor]:
    """Tokens to rows as the library's ``forward`` has them, which cannot be called with text alone."""
    part = _part(model, modality)
    head = getattr(part, f"text_{modality}_head")

    def rows(taken: Any) -> Tensor:
        found: Tensor = head(part.text_model(**taken, output_hidden_states=True).hidden_states[-1][:, 0])
        return found

    return rows


def _part(model: Any, modality: Modality) -> Any:
    """The model of one modality with text, which is all of ``pe_video`` and ``pe_audio``."""
    return getattr(model, f"{modality}_model", model)

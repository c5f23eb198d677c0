"""What augmentations take and give: a batch of views, video and audio on one timeline."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from avfeat.errors import ArgumentError


@dataclass(frozen=True)
class Clips:
    """A batch of clips of equal length.

    Attributes:
        frames: float ``(batch, T, 3, height, width)`` RGB in [0, 1], or None.
        waveform: float32 ``(batch, samples)`` mono in [-1, 1], or None.
        sample_rate: of the waveform, in Hz.
    """

    frames: Tensor | None
    waveform: Tensor | None
    sample_rate: int = 16_000

    def __post_init__(self) -> None:
        if self.frames is None and self.waveform is None:
            raise ArgumentError("Clips need frames, a waveform, or both.")
        if self.frames is not None and (self.frames.dim() != 5 or self.frames.shape[2] != 3):
            raise ArgumentError(f"frames must be (batch, T, 3, height, width), not {tuple(self.frames.shape)}.")
        if self.frames is not None and not self.frames.is_floating_point():
            raise ArgumentError(f"frames must be floats in [0, 1], not {self.frames.dtype}; divide bytes by 255.")
        if self.waveform is not None and self.waveform.dim() != 2:
            raise ArgumentError(f"waveform must be (batch, samples), not {tuple(self.waveform.shape)}.")
        if self.frames is not None and self.waveform is not None and len(self.frames) != len(self.waveform):
            raise ArgumentError(
                f"There are {len(self.frames)} clips of frames and {len(self.waveform)} of waveform."
            )

    def __len__(self) -> int:
        return len(self._some)

    @property
    def device(self) -> torch.device:
        """Where the clips are."""
        return self._some.device

    @property
    def _some(self) -> Tensor:
        some = self.frames if self.frames is not None else self.waveform
        assert some is not None
        return some

    def with_(self, frames: Tensor | None, waveform: Tensor | None) -> Clips:
        """The same clips with other content."""
        return replace(self, frames=frames, waveform=waveform)

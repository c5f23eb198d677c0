"""Lossy and coherent over a segment: between two times, a part of what is seen and heard is lost."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from avfeat.training.augment.augmentation import TemporalAugmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.filters import (
    blur_space,
    from_spectrogram,
    low_pass,
    spectrogram,
)
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.augment.segments import draw_blocks, inside
from avfeat.training.schema import Positive, PositiveShare, Share, settings


@settings
class _Segment(TemporalAugmentation):
    """What has one segment of a clip.

    Attributes:
        fraction: length of the segment as a part of the clip, at strength 1.
    """

    fraction: Share = 0.5

    family = "lossy coherent"

    def lost(self, rng: SampleRNG) -> Tensor:
        """The segment: ``(batch, 1, 2)`` as parts of the clip."""
        return draw_blocks(rng, self._amount(rng) * self.fraction, 1)


@settings
class Cuboid(_Segment):
    """A box in space and time is lost; in audio, a rectangle of time and frequency.

    Cutout (DeVries and Taylor, 2017, arXiv 1708.04552) with a beginning and an end; on the spectrogram it is
    SpecAugment's time and frequency mask at once (Park et al., Interspeech 2019, arXiv 1904.08779).

    Attributes:
        side: side of the box as a part of the frame's, and height of the rectangle as a part of all frequencies.
    """

    side: PositiveShare = 0.5

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Fill the box with the clip's mean colour."""
        when = inside(self.lost(rng), frames.shape[1])
        where = rng.fork("box")
        down, across = (_span(where, self.side, count) for count in frames.shape[-2:])
        box = when[:, :, None, None, None] & down[:, None, None, :, None] & across[:, None, None, None, :]
        return torch.where(box, frames.mean((1, 3, 4), keepdim=True), frames)

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Silence the rectangle."""
        spectrum = spectrogram(waveform)
        when = inside(self.lost(rng), spectrum.shape[2])
        band = _span(rng.fork("band"), self.side, spectrum.shape[1])
        left = spectrum.masked_fill(when[:, None, :] & band[:, :, None], 0.0)
        changed = from_spectrogram(left, waveform.shape[1]).clamp(-1, 1)
        return torch.where(when.any(1, keepdim=True), changed, waveform)


def _span(rng: SampleRNG, part: float, count: int) -> Tensor:
    """Which of ``count`` places lie in a stretch of ``part`` of them, anywhere: bool ``(batch, count)``."""
    length = max(1, round(part * count))
    start = rng.integers(0, count - length + 1)[:, None]
    place = torch.arange(count, device=start.device)
    return (place >= start) & (place < start + length)


@settings
class SegmentBlur(_Segment):
    """Between two times the frame is blurred and the audio is muffled.

    Attributes:
        sigma: standard deviation of the blur as a part of the frame's height, at strength 1.
        cutoff: what is left of the audio, as a part of half the sample rate.
    """

    sigma: Positive = 0.06
    cutoff: PositiveShare = 0.08

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Blur the frames of the segment."""
        when = inside(self.lost(rng), frames.shape[1])
        widths = torch.full((len(frames),), self.sigma * self.strength * frames.shape[-2], device=frames.device)
        return torch.where(when[:, :, None, None, None], blur_space(frames, widths).clamp_(0, 1), frames)

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Muffle the samples of the segment."""
        when = inside(self.lost(rng), waveform.shape[1])
        cutoff = torch.full((len(waveform),), self.cutoff**self.strength, device=waveform.device)
        return torch.where(when, low_pass(waveform, cutoff).clamp(-1, 1), waveform)


@settings
class SegmentNoise(_Segment):
    """Between two times noise covers the video and the audio.

    Attributes:
        level: standard deviation of the noise in the frame (whose range is 1), at strength 1.
        snr: of the audio to the noise in dB, at strength 1; each halving of the strength adds 6 dB.
    """

    level: Positive = 0.4
    snr: Annotated[float, Field(ge=-60, le=60)] = 0.0

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Add noise to the frames of the segment."""
        when = inside(self.lost(rng), frames.shape[1])
        noise = rng.fork("noise").normal(*frames.shape[1:]).to(frames.dtype)
        covered = noise.mul_(self.level * self.strength).add_(frames).clamp_(0, 1)
        return torch.where(when[:, :, None, None, None], covered, frames)

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Add noise to the samples of the segment."""
        when = inside(self.lost(rng), waveform.shape[1])
        level = waveform.square().mean(1, keepdim=True).sqrt() * (10 ** (-self.snr / 20) * self.strength)
        noise = rng.fork("noise").normal(waveform.shape[1])
        return torch.where(when, (waveform + level * noise).clamp(-1, 1), waveform)

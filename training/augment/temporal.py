"""Lossy and coherent: content is destroyed in time, order and timing of what survives stay.

The family that the paper finds most effective (Al-Tahan and Mohsenzadeh, arXiv 2110.07082): on the waveform as on
the frames, on one timeline or independently (``sync``). Names and ranges of time masking and fading are CLAR's
(Al-Tahan and Mohsenzadeh, AISTATS 2021, arXiv 2010.09542, and its published code).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from avfeat.training.augment.augmentation import TemporalAugmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.filters import blur_time, flatten_spectrum, smear_sound
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.augment.segments import draw_blocks, inside, spread
from avfeat.training.schema import Count, Share, settings

Fill = Literal["zeros", "mean", "noise"]
DropFill = Literal["blank", "freeze"]

_NOISE_IN_SOUND = 0.01
"""Standard deviation of the noise that CLAR fills masked audio with."""
_NOISE_IN_PICTURES = 0.25


def _fill_lost(content: Tensor, lost: Tensor, fill: Fill, rng: SampleRNG) -> Tensor:
    """``content`` with what is ``lost`` (broadcastable) replaced; frames stay in [0, 1]."""
    if fill == "zeros":
        return content.masked_fill(lost, 0.0)
    pictures = content.dim() == 5
    axes = (1, 3, 4) if pictures else (1,)
    mean = content.mean(axes, keepdim=True)
    if fill == "mean":
        return torch.where(lost, mean, content)
    # In place: memory that is fresh costs more than the arithmetic.
    noise = rng.normal(*content.shape[1:]).to(content.dtype)
    if pictures:
        return torch.where(lost, noise.mul_(_NOISE_IN_PICTURES).add_(mean).clamp_(0, 1), content)
    return torch.where(lost, noise.mul_(_NOISE_IN_SOUND), content)


def _over_pictures(steps: Tensor) -> Tensor:
    """``(batch, T)`` so that it broadcasts over frames."""
    return steps[:, :, None, None, None]


@settings
class TimeMask(TemporalAugmentation):
    """One or several contiguous blocks of time are lost.

    CLAR's ``time_masking``: one block of 0.125 of the waveform, at a uniform start, replaced by noise of standard
    deviation 0.01; here for frames, too, and with more blocks and fills as in SpecAugment (Park et al.,
    Interspeech 2019, arXiv 1904.08779).

    Attributes:
        fraction: part of the clip that is lost at strength 1, all blocks together.
        blocks: how many blocks it is split into.
        fill: what stands there instead: zeros, the clip's mean (colour), or noise.
    """

    fraction: Share = 0.125
    blocks: Annotated[int, Field(ge=1, le=64)] = 1
    fill: Fill = "noise"

    family = "lossy coherent"

    def lost(self, rng: SampleRNG) -> Tensor:
        """The blocks that are lost: ``(batch, blocks, 2)`` as parts of the clip."""
        return draw_blocks(rng, self._amount(rng) * self.fraction, self.blocks)

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Fill the frames whose instants lie in a block."""
        lost = inside(self.lost(rng), frames.shape[1])
        return _fill_lost(frames, _over_pictures(lost), self.fill, rng.fork("fill"))

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Fill the samples that lie in a block."""
        return _fill_lost(waveform, inside(self.lost(rng), waveform.shape[1]), self.fill, rng.fork("fill"))


@settings
class FrameDrop(TemporalAugmentation):
    """Single frames are lost, and the audio of their time: blank, or frozen to what came before.

    As frames are lost on a bad line; the counterpart in time of dropping patches.

    Attributes:
        fraction: part of the frames that is lost at strength 1 (rounded to whole frames).
        fill: ``blank`` (black and silent), or ``freeze`` to the last one that is there; the first is never frozen.
        cells: into how many parts the audio of a clip without frames, or of independent loss, is cut.
    """

    fraction: Share = 0.5
    fill: DropFill = "freeze"
    cells: Count = 16

    family = "lossy coherent"

    def lost(self, rng: SampleRNG, cells: int) -> Tensor:
        """Which of ``cells`` equal parts are lost: bool ``(batch, cells)``."""
        first = 1 if self.fill == "freeze" else 0
        count = torch.floor(self._amount(rng) * self.fraction * cells + 0.5).clamp(max=cells - first)
        rank = rng.order(cells - first)
        lost = rank < count[:, None]
        return torch.nn.functional.pad(lost, (first, 0))

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Blank the lost frames, or show the last one that is there."""
        lost = self.lost(rng, frames.shape[1])
        if self.fill == "blank":
            return frames.masked_fill(_over_pictures(lost), 0.0)
        return frames.gather(1, _over_pictures(_last_kept(lost)).expand_as(frames))

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Silence the lost parts, or play the last one that is there again."""
        frames = clips.frames if self.sync == "shared" else None
        cells = self.cells if frames is None else frames.shape[1]
        lost = self.lost(rng, cells)
        count = waveform.shape[1]
        if self.fill == "blank":
            return waveform.masked_fill(spread(lost, count), 0.0)
        back = spread(torch.arange(cells, device=lost.device) - _last_kept(lost), count)
        # From the same place within an earlier cell: cells differ by a sample in length, so never beyond the end.
        places = torch.arange(count, device=lost.device) - (back * count + cells // 2) // cells
        return waveform.gather(1, places.clamp(min=0))


def _last_kept(lost: Tensor) -> Tensor:
    """For each cell the last one up to it that is not lost: int64 ``(batch, cells)``."""
    number = torch.arange(lost.shape[1], device=lost.device)
    return torch.where(lost, 0, number).cummax(1).values


@settings
class Fade(TemporalAugmentation):
    """Fading in at the beginning and out at the end, in one of five shapes.

    CLAR's ``fade``: the lengths of both are uniform in [0, 0.5) of the clip, independently; one of five shapes for
    both; the formulas are torchaudio's (``torchaudio.transforms.Fade``), gains in [0, 1].

    Attributes:
        fraction: longest fade as a part of the clip, at strength 1.
    """

    fraction: Share = 0.5

    family = "lossy coherent"

    def gains(self, rng: SampleRNG, count: int) -> Tensor:
        """The gain at each of ``count`` equal steps: float32 ``(batch, count)``."""
        longest = self._amount(rng) * self.fraction
        shape = rng.integers(0, len(FADES))
        lengths = rng.uniform(count=2) * longest[:, None]
        time = (torch.arange(count, device=longest.device, dtype=torch.float32) + 0.5) / count
        # Within a fade of no length there is no step.
        rising = (time / lengths[:, :1].clamp(min=1e-6)).clamp(max=1)
        falling = ((1 - time) / lengths[:, 1:].clamp(min=1e-6)).clamp(max=1)
        return _gain(rising, shape) * _gain(falling, shape)

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """From black and to black."""
        return frames * _over_pictures(self.gains(rng, frames.shape[1])).to(frames.dtype)

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """From silence and to silence."""
        return waveform * self.gains(rng, waveform.shape[1])


FADES: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda t: t,
    "exponential": lambda t: torch.exp2(t - 1) * t,
    "logarithmic": lambda t: torch.log10(0.1 + t) + 1,
    "quarter_sine": lambda t: torch.sin(t * math.pi / 2),
    "half_sine": lambda t: torch.sin(t * math.pi - math.pi / 2) / 2 + 0.5,
}
"""Gain of a fade at part t of it; torchaudio's fade-out of each shape is its fade-in at 1 - t."""


def _gain(part: Tensor, shape: Tensor) -> Tensor:
    """The gain of each sample's shape at ``part`` of the fade; 1 behind it."""
    gains = torch.stack([fade(part) for fade in FADES.values()]).clamp(0, 1)
    chosen = gains.gather(0, shape[None, :, None].expand(1, *part.shape))[0]
    return torch.where(part >= 1, 1.0, chosen)


@settings
class TemporalBlur(TemporalAugmentation):
    """What happens fast is lost: frames and the spectrum's changes are averaged over time.

    A long exposure, and its counterpart in audio: magnitudes of the spectrogram are smeared, phases stay.

    Attributes:
        fraction: largest standard deviation of the Gaussian, as a part of the clip, at strength 1.
    """

    fraction: Share = 0.125

    family = "lossy coherent"

    def widths(self, rng: SampleRNG) -> Tensor:
        """Standard deviation for each sample, as a part of the clip: ``(batch,)``."""
        amount = self._amount(rng)
        return self.fraction * amount * rng.uniform(0.5, 1.0)

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Average frames, weighted by their distance in time."""
        widths = self.widths(rng)
        blurred = blur_time(frames, widths * frames.shape[1]).clamp_(0, 1)
        return torch.where(widths[:, None, None, None, None] > 0, blurred, frames)

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Smear the magnitudes of the spectrogram."""
        return smear_sound(waveform, self.widths(rng))


@settings
class Background(TemporalAugmentation):
    """What stays the same over the clip is lost; what changes in it is left, at its time.

    Frames lose their mean over time, around grey; audio loses its long-term spectrum, which becomes flat, at the
    same level. So the views of a clip cannot be told from others by scenery, voice timbre or microphone alone. In
    frames after Background Erasing (Wang et al., CVPR 2021, arXiv 2009.05769), which adds a still frame instead;
    in audio cepstral mean normalisation (Atal, JASA 1974) as a filter.
    """

    family = "lossy coherent"

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Take the mean frame away."""
        amount = self._amount(rng)[:, None, None, None, None].to(frames.dtype)
        changed = (frames - amount * (frames.mean(1, keepdim=True) - 0.5)).clamp_(0, 1)
        return torch.where(amount > 0, changed, frames)

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """Make the long-term spectrum flat."""
        amount = self._amount(rng)
        return torch.where(amount[:, None] > 0, flatten_spectrum(waveform, amount).clamp(-1, 1), waveform)

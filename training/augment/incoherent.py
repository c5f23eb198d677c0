"""Incoherent controls: nothing is lost but the order. Expected to be worse (arXiv 2110.07082); tested here."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from avfeat.training.augment.augmentation import TemporalAugmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.augment.segments import draw_blocks, inside
from avfeat.training.schema import Share, settings


@settings
class _Reordering(TemporalAugmentation):
    """Puts the steps of a clip into another order."""

    family = "incoherent"

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Frames in the new order."""
        source = self.source(rng, frames.shape[1], frames.shape[1])
        return frames.gather(1, source[:, :, None, None, None].expand_as(frames))

    def on_sound(self, waveform: Tensor, clips: Clips, rng: SampleRNG) -> Tensor:
        """The audio in the new order."""
        cells = CELLS if clips.frames is None else clips.frames.shape[1]
        return waveform.gather(1, self.source(rng, waveform.shape[1], cells))

    @abstractmethod
    def source(self, rng: SampleRNG, count: int, cells: int) -> Tensor:
        """Which of ``count`` equal steps comes at each place: int64 ``(batch, count)``.

        ``cells``: number of frames, so that audio is cut where the frames are.
        """


CELLS = 16
"""Into how many parts the audio of clips without frames is cut."""


def _count_moved(order: Tensor, count: int) -> Tensor:
    """Steps in a new order of equal cells, ``(batch, cells)``; the order within a cell stays."""
    cells = order.shape[1]
    place = torch.arange(count, device=order.device)
    cell = (2 * place + 1) * cells // (2 * count)
    begin = torch.ceil(torch.arange(cells, device=order.device) * (count / cells) - 0.5).long()
    moved = begin[order[:, cell]] + (place - begin[cell])
    return moved.clamp(0, count - 1)


def _move(rng: SampleRNG, cells: int, part: Tensor) -> Tensor:
    """A permutation that moves ``part`` of the cells (``(batch,)``, rounded) and leaves the others alone.

    Those that move are a random cycle, each to the place of the next, so that none of them stays where it is.
    """
    taking = torch.floor(part * cells + 0.5)[:, None]
    random = rng.order(cells)
    number = torch.arange(cells, device=part.device)
    following = torch.where(number + 1 < taking, number + 1, 0)
    target = torch.where(number < taking, random.gather(1, following.expand_as(random).long()), random)
    return torch.empty_like(random).scatter(1, random, target)


@settings
class FrameShuffle(_Reordering):
    """Frames change places at random, and the audio of their time with them.

    As in "Shuffle and Learn" (Misra, Zitnick and Hebert, ECCV 2016, arXiv 1603.08561), all at once.

    Attributes:
        fraction: part of the frames that changes places at strength 1.
    """

    fraction: Share = 1.0

    def source(self, rng: SampleRNG, count: int, cells: int) -> Tensor:
        """Single frames move."""
        return _count_moved(_move(rng, cells, self._amount(rng) * self.fraction), count)


@settings
class SegmentPermutation(_Reordering):
    """A few long segments change places; the order within each stays.

    As in video jigsaws and clip order prediction (Xu et al., CVPR 2019).

    Attributes:
        segments: into how many the clip is cut; the part of them that strength says changes places.
    """

    segments: Annotated[int, Field(ge=2)] = 4

    def source(self, rng: SampleRNG, count: int, cells: int) -> Tensor:
        """Whole segments move."""
        return _count_moved(_move(rng, self.segments, self._amount(rng)), count)


@settings
class Reversal(_Reordering):
    """A stretch of the clip runs backwards: all of it at strength 1.

    As in the arrow of time (Wei et al., CVPR 2018) and GDT's time reversal (Patrick et al., arXiv 2003.04298).
    """

    def source(self, rng: SampleRNG, count: int, cells: int) -> Tensor:
        """Backwards within one block."""
        block = draw_blocks(rng, self._amount(rng), 1)
        turned = inside(block, count)
        place = torch.arange(count, device=block.device).expand_as(turned)
        first = turned.long().argmax(1, keepdim=True)
        last = first + turned.sum(1, keepdim=True) - 1
        return torch.where(turned, first + last - place, place)


@settings
class CircularShift(_Reordering):
    """The end of the clip comes before its beginning.

    CLAR's ``time shift``: ``numpy.roll`` by up to half a second, either way.

    Attributes:
        fraction: largest shift as a part of the clip, at strength 1.
    """

    fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.25

    def source(self, rng: SampleRNG, count: int, cells: int) -> Tensor:
        """Shifted by whole frames, so that audio and frames stay together."""
        part = self._amount(rng) * self.fraction * rng.uniform(-1, 1)
        shift = torch.floor(part * cells + 0.5)[:, None] * (count / cells)
        place = torch.arange(count, device=part.device)
        return torch.remainder(place - shift.round().long(), count)

"""Lossy in space: what single frames lose; the same for all frames of a clip, and nothing in the audio.

That a clip's frames change alike, and do not flicker, is CVRL's "temporally consistent spatial augmentation" (Qian
et al., CVPR 2021, arXiv 2008.03800).

Own code, although kornia has these per sample on a device: it draws them from the global generator for a batch at
once, so that a sample would depend on its batch and on the device.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import lru_cache
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from avfeat.training.augment.augmentation import Augmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.filters import blur_space
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.schema import Ascending, PositiveShare, Share, settings

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""

_Sigma = Annotated[float, Field(ge=0, le=56)]


@settings
class _Spatial(Augmentation):
    """What changes frames and leaves the audio alone."""

    family = "lossy spatial"

    def __call__(self, clips: Clips, rng: SampleRNG) -> Clips:
        """The augmented clips; their waveform is the same object."""
        if clips.frames is None or not self.strength or not self.p:
            return clips
        return clips.with_(self.on_frames(clips.frames, rng.fork("frames")), clips.waveform)

    @abstractmethod
    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Change frames ``(batch, T, 3, height, width)``."""


def _where(chosen: Tensor, changed: Tensor, frames: Tensor) -> Tensor:
    """``changed`` for the chosen samples (bool ``(batch,)``); the others keep every bit, whatever rounding does."""
    # Into ``changed``: to write to memory that is fresh costs several times as much.
    return torch.where(over_frames(chosen), changed, frames, out=changed)


def over_frames(numbers: Tensor) -> Tensor:
    """``(batch,)`` so that it broadcasts over frames."""
    return numbers[:, None, None, None, None]


@settings
class ResizedCrop(_Spatial):
    """A part of the frame, enlarged to the size of the whole.

    Inception's crop (Szegedy et al., CVPR 2015, arXiv 1409.4842, section 6) in torchvision's form: area uniform,
    ratio of the sides uniform in its logarithm, place uniform. Only ratios with which a crop of the area drawn fits
    the frame are drawn, instead of drawing again. Areas: 0.3 to 1 in CVRL, 0.08 to 1 in AVID and CrissCross, 0.2
    to 1 in MoCo v3.

    Attributes:
        scale: smallest and largest area of the crop as parts of the frame's, at strength 1; the whole at 0.
        ratio: how much wider or higher than the frame a crop may be in its proportions, at strength 1.
    """

    scale: Annotated[tuple[PositiveShare, PositiveShare], Ascending] = (0.2, 1.0)
    ratio: Annotated[float, Field(ge=1)] = 4 / 3

    def boxes(self, rng: SampleRNG) -> Tensor:
        """Top, left, height and width as parts of the frame's: float32 ``(batch, 4)``."""
        amount, (low, high) = self._amount(rng), self.scale
        area = 1 - amount * (1 - rng.uniform(low, high))
        # Of a crop that fits, neither side is longer than the frame's.
        widest = torch.minimum(amount * math.log(self.ratio), -area.log())
        wider = torch.exp(widest * rng.uniform(-1, 1))
        sides = torch.stack([area / wider, area * wider], dim=1).sqrt().clamp(max=1)
        return torch.cat([(1 - sides) * rng.uniform(count=2), sides], dim=1)

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Cut the boxes out and enlarge them."""
        boxes = self.boxes(rng)
        return _where((boxes[:, 2:] < 1).any(1), crop(frames, boxes), frames)


def crop(frames: Tensor, boxes: Tensor) -> Tensor:
    """Parts of frames, enlarged to the size of the whole.

    Args:
        frames: ``(batch, T, 3, height, width)``.
        boxes: ``(batch, 4)``: top, left, height and width as parts of the frame's.

    Returns:
        Of the shape and dtype of ``frames``. Bilinear: as nothing is ever made smaller, nothing can alias.
    """
    height, width = frames.shape[-2:]
    top, left, tall, wide = boxes.mul(2).unbind(1)
    # Not F.affine_grid: its matrix product may be of TF32, which would move pixels.
    rows = (top - 1)[:, None] + tall[:, None] * _middles(height, boxes)
    columns = (left - 1)[:, None] + wide[:, None] * _middles(width, boxes)
    shape = (len(boxes), height, width)
    grid = torch.stack([columns[:, None, :].expand(shape), rows[:, :, None].expand(shape)], dim=-1)
    # All colours of all frames as channels of one image share the grid; places need float32 in any case.
    planes = frames.flatten(1, 2).float()
    cut = torch.nn.functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    return cut.clamp_(0, 1).view_as(frames).to(frames.dtype)


def _middles(count: int, like: Tensor) -> Tensor:
    """Middles of ``count`` equal steps from 0 to 1."""
    return (torch.arange(count, device=like.device, dtype=torch.float32) + 0.5) / count


@settings
class Flip(_Spatial):
    """Left and right change places; in all recipes that we know with probability 0.5.

    Attributes:
        p: probability that a sample is mirrored, at strength 1; ``strength`` scales it, as there are no half flips.
    """

    p: float = 0.5

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Mirror the chosen samples."""
        return _where(rng.chance(self.p * self.strength), frames.flip(-1), frames)


@settings
class ColourJitter(_Spatial):
    """Brightness, contrast, saturation and hue change, by one map of colours for all of the clip.

    SimCLR's colour distortion (Chen et al., ICML 2020, arXiv 2002.05709, appendix A) with the ranges of AVID and
    CrissCross, 0.4, 0.4, 0.4 and 0.2; CVRL has 0.8, 0.8, 0.8 and 0.2. Brightness, contrast and saturation are
    torchvision's formulas, in this order, with the mean over the whole clip as if its frames were one image. Hue
    is a rotation of the chroma in YIQ (as in tensorflow-addons' ``adjust_hsv_in_yiq``) instead of HSV's: with that
    all four are one affine map of RGB, and so one pass over the frames; values are cut off to [0, 1] once, at the
    end, and not after each of the four.

    Attributes:
        brightness: largest change of the factor, of 1, at strength 1.
        contrast: the same for the distance from the clip's mean luma.
        saturation: the same for the distance from grey.
        hue: largest rotation as a part of the circle, at strength 1.
    """

    brightness: Share = 0.4
    contrast: Share = 0.4
    saturation: Share = 0.4
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.2

    def factors(self, rng: SampleRNG) -> Tensor:
        """Factors of brightness, contrast and saturation, and the turn of hue (of 1): ``(batch, 4)``."""
        amount, drawn = self._amount(rng), rng.uniform(-1, 1, 4).unbind(1)
        largest, neutral = (self.brightness, self.contrast, self.saturation, self.hue), (1.0, 1.0, 1.0, 0.0)
        # Not as tensors: a GPU would be waited for while they are copied to it.
        columns = zip(neutral, largest, drawn, strict=True)
        return torch.stack([middle + amount * most * part for middle, most, part in columns], dim=1)

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Apply each sample's map of colours."""
        factors = self.factors(rng)
        neutral = (factors[:, :3] == 1).all(1) & (factors[:, 3] == 0)
        return _where(~neutral, recolour(frames, factors), frames)


def recolour(frames: Tensor, factors: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue.

    Args:
        frames: ``(batch, T, 3, height, width)`` in [0, 1].
        factors: ``(batch, 4)``: see ``ColourJitter.factors``.
    """
    brightness, contrast, saturation, hue = factors[:, :, None].unbind(1)
    angle = (2 * math.pi * hue)[:, :, None]
    grey, chroma, quarter = _yiq(frames.device)
    turned = grey + saturation[:, :, None] * (angle.cos() * chroma + angle.sin() * quarter)
    scale = brightness * contrast
    # Neither saturation nor hue changes a grey, so the mean luma passes through the matrix as it is.
    luma = frames.mean((1, 3, 4), dtype=torch.float32) @ grey[0]
    offset = (brightness - scale) * luma[:, None]
    matrix = (scale[:, :, None] * turned)[:, None].to(frames.dtype)
    changed = (matrix @ frames.flatten(3)).add_(offset[:, :, None, None].to(frames.dtype))
    return changed.clamp_(0, 1).view_as(frames)


@lru_cache(maxsize=4)
def _yiq(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices on RGB: to grey, to what is left without grey, and that turned by a quarter of the circle in YIQ."""
    rows = [_LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)]
    to_yiq = torch.tensor(rows, dtype=torch.float64)
    quarter = torch.tensor([[0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)
    grey = to_yiq[:1].expand(3, 3)
    turned = to_yiq.inverse() @ quarter @ to_yiq
    grey, chroma, turned = (one.float().to(device) for one in (grey, torch.eye(3) - grey, turned))
    return grey, chroma, turned


@settings
class Grey(_Spatial):
    """Colours fade to their luma (ITU-R BT.601, as torchvision's ``rgb_to_grayscale``): all grey at strength 1.

    With probability 0.2 in CVRL, BraVe and CrissCross.
    """

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Blend with the luma."""
        weights = _yiq(frames.device)[0][0].to(frames.dtype)
        luma = (weights @ frames.flatten(3)).clamp_(0, 1).view_as(frames[:, :, 0])
        return frames.lerp(luma[:, :, None], over_frames(self._amount(rng)).to(frames.dtype))


@settings
class Blur(_Spatial):
    """A Gaussian blur. SimCLR's, as CVRL and BraVe have it: standard deviation uniform in 0.1 to 2 pixels.

    Attributes:
        sigma: smallest and largest standard deviation at strength 1, in pixels of a frame 112 pixels high;
            higher frames are blurred as much relative to their height. Strength scales it.
    """

    sigma: Annotated[tuple[_Sigma, _Sigma], Ascending] = (0.1, 2.0)

    def widths(self, rng: SampleRNG, height: int) -> Tensor:
        """Standard deviations in pixels of frames of a ``height``: ``(batch,)``."""
        return self._amount(rng) * rng.uniform(*self.sigma) * (height / 112)

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Blur; at the borders over what is there."""
        widths = self.widths(rng, frames.shape[-2])
        return _where(widths > 0, blur_space(frames, widths).clamp_(0, 1), frames)


@settings
class Noise(_Spatial):
    """Gaussian noise on every pixel and colour, of one level for all frames of a clip.

    Our choice; about what a dark scene has at a high sensitivity of the camera.

    Attributes:
        level: largest standard deviation of the noise at strength 1 (the frames' range is 1); uniform between 0
            and it.
    """

    level: Share = 0.1

    def levels(self, rng: SampleRNG) -> Tensor:
        """Standard deviation of each sample's noise: ``(batch,)``."""
        return self._amount(rng) * self.level * rng.uniform()

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Add noise."""
        levels = over_frames(self.levels(rng)).to(frames.dtype)
        noise = rng.normal(*frames.shape[1:]).to(frames.dtype)
        return noise.mul_(levels).add_(frames).clamp_(0, 1)


@settings
class Cutout(_Spatial):
    """A square is lost, at the same place in all frames, and filled with the clip's mean colour.

    Cutout (DeVries and Taylor, 2017, arXiv 1708.04552), whose squares are filled with the data's mean; in
    CrissCross 20 of 112 pixels. Here the square lies within the frame, so that as much is lost at every place.

    Attributes:
        side: of the square, as a part of the frame's shorter side, at strength 1 (rounded to whole pixels).
    """

    side: Share = 20 / 112

    def squares(self, rng: SampleRNG, height: int, width: int) -> Tensor:
        """Top, left and side in pixels: int64 ``(batch, 3)``."""
        side = torch.floor(self._amount(rng) * self.side * min(height, width) + 0.5)[:, None]
        free = torch.cat([height - side, width - side], dim=1)
        corner = torch.minimum(torch.floor(rng.uniform(count=2) * (free + 1)), free)
        return torch.cat([corner, side], dim=1).long()

    def on_frames(self, frames: Tensor, rng: SampleRNG) -> Tensor:
        """Fill the square."""
        height, width = frames.shape[-2:]
        top, left, side = self.squares(rng, height, width)[:, :, None].unbind(1)
        down, across = (torch.arange(count, device=frames.device) for count in (height, width))
        rows, columns = (down >= top) & (down < top + side), (across >= left) & (across < left + side)
        square = rows[:, None, None, :, None] & columns[:, None, None, None, :]
        mean = frames.mean((1, 3, 4), keepdim=True, dtype=torch.float32).to(frames.dtype)
        return torch.where(square, mean, frames)

"""Decoded frames as upright RGB of one size: colour matrix and range, HDR, rotation, aspect policy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from avfeat.media.hdr import is_hdr, tone_map

Aspect = Literal["stretch", "crop"]
"""What happens to a frame that is not square: ``stretch`` keeps all of it, ``crop`` its central square."""

# ITU-T H.273 matrix coefficients -> swscale's constants; anything else has no matrix of its own there.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
# Display matrices by counter-clockwise quarter turns.
_TURNS = ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))
# The triangle filter is the graphs' own. Full chroma keeps colour edges in place, accurate rounding keeps equal
# frames equal on every CPU.
_SCALING = (
    Interpolation.BILINEAR
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
)


@dataclass(frozen=True)
class FrameLimits:
    """What frames that are not scaled may be: the least and the greatest side, and pixels in all."""

    least: int
    most: int
    pixels: int

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Width and height that are within the limits: the same ones where they are, else as near as can be."""
        scale = min(1.0, self.most / max(width, height), math.sqrt(self.pixels / (width * height)))
        return max(self.least, math.floor(width * scale)), max(self.least, math.floor(height * scale))


@dataclass
class PictureScaler:
    """Turns decoded frames into upright ``uint8 (height, width, 3)`` RGB by swscale.

    HDR (PQ and HLG) is scaled as it is and then tone-mapped to BT.709: see ``hdr``.

    Attributes:
        size: height and width of the result in pixels, or None to keep the frame's own.
        aspect: ``stretch`` the whole frame to a square, or ``crop`` its central square.
        pixel_aspect: width over height of a pixel as it is shown.
        limits: of what the frame's own size may be; None for none.
    """

    size: int | None
    aspect: Aspect = "stretch"
    pixel_aspect: float = 1.0
    limits: FrameLimits | None = None
    _reformatter: VideoReformatter = field(default_factory=VideoReformatter)

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """RGB of ``frame``, C-contiguous."""
        width, height = self._scaled_size(frame)
        hdr = is_hdr(frame.color_trc)
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb48le" if hdr else "rgb24",
            src_colorspace=_matrix(frame),
            src_color_range=_range(frame),
            dst_color_range=ColorRange.JPEG,
            interpolation=_SCALING,
            threads=1,
        )
        array: NDArray[Any] = rgb.to_ndarray()
        if hdr:
            array = tone_map(array, frame.color_trc, frame.color_primaries)
        pixels = upright(array.astype(np.uint8, copy=False), _display_matrix(frame))
        if self.size is not None and self.aspect == "crop":
            top = (pixels.shape[0] - self.size) // 2
            left = (pixels.shape[1] - self.size) // 2
            pixels = pixels[top : top + self.size, left : left + self.size]
        return np.ascontiguousarray(pixels)

    def keeps(self, width: int, height: int) -> bool:
        """Whether a picture of that size stays as it is."""
        if self.size is not None:
            return (width, height) == (self.size, self.size)
        return self.limits is None or self.limits.fit(width, height) == (width, height)

    def _scaled_size(self, frame: VideoFrame) -> tuple[int, int]:
        """Width and height to scale to, before any crop."""
        if self.size is None:
            own = frame.width, frame.height
            return own if self.limits is None else self.limits.fit(*own)
        if self.aspect == "stretch":
            return self.size, self.size
        # Pixels need not be square: the frame is as wide as it is shown.
        shown = frame.width * self.pixel_aspect
        scale = self.size / min(shown, frame.height)
        return max(self.size, round(shown * scale)), max(self.size, round(frame.height * scale))


def of_one_size(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """RGB pictures ``(height, width, 3)`` as ``(n, height, width, 3)``: of the size of the first one."""
    height, width = pictures[0].shape[:2]
    return np.stack([_scaled(picture, width, height) for picture in pictures])


def _scaled(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    if pixels.shape[:2] == (height, width):
        return pixels
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    return frame.reformat(width, height, interpolation=_SCALING).to_ndarray().astype(np.uint8, copy=False)


def upright(pixels: NDArray[np.uint8], matrix: tuple[int, int, int, int] | None) -> NDArray[np.uint8]:
    """Apply a display matrix to ``(height, width, channels)`` pixels, as quarter turns and mirrorings.

    Args:
        pixels: the frame as stored.
        matrix: ``(a, b, c, d)`` of ISO/IEC 14496-12 section 6.2.2: ``x' = a x + c y``, ``y' = b x + d y`` with y
            pointing down. Other angles than quarter turns go to the nearest one. None is the identity.
    """
    if matrix is None:
        return pixels
    a, b, c, d = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        flip_x, flip_y = a < 0, d < 0
    else:
        pixels = pixels.transpose(1, 0, 2)
        flip_x, flip_y = c < 0, b < 0
    return pixels[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int] | None:
    """The turning part of the frame's display matrix, if it has one."""
    try:
        items = frame.side_data
    except ValueError:
        # Beside data of a kind that PyAV does not know (Exif, views) it gives none of it but the quarter turns.
        return _TURNS[round(frame.rotation / 90) % 4]
    # PyAV's stub takes it for a dictionary; it iterates over the items themselves.
    for item in cast("Iterable[SideData]", items):
        if item.type is SideDataType.DISPLAYMATRIX:
            values = np.frombuffer(bytes(item), dtype=np.int32)
            return int(values[0]), int(values[1]), int(values[3]), int(values[4])
    return None


def _matrix(frame: VideoFrame) -> Colorspace:
    """The frame's colour matrix; untagged video follows the usual rule: BT.709 for HD, BT.601 below."""
    tagged = _MATRICES.get(int(frame.colorspace))
    if tagged is not None:
        return tagged
    return Colorspace.ITU709 if frame.width >= 1280 or frame.height > 576 else Colorspace.ITU601


def _range(frame: VideoFrame) -> ColorRange:
    """Full or limited: by the pixel format where it says so (yuvj, RGB), else by the tag, else limited."""
    if frame.format.name.startswith("yuvj") or frame.format.is_rgb:
        return ColorRange.JPEG
    return ColorRange.JPEG if int(frame.color_range) == ColorRange.JPEG else ColorRange.MPEG

"""Painting with signed distances on a float canvas: anti-aliased, and only where something is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Colour = Array
Distance = Callable[[Array, Array], Array]
"""Signed distance to an outline of about unit radius, of points ``(x, y)``, y pointing down."""

Shape = Literal["disc", "box", "triangle", "ring", "cross"]


def _disc(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - np.float32(1)


def _box(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.86)


def _triangle(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x) * np.float32(0.866) - y * np.float32(0.5), y) - np.float32(0.6)


def _ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - np.float32(0.72)) - np.float32(0.3)


def _cross(x: Array, y: Array) -> Array:
    x, y = np.abs(x), np.abs(y)
    wide, high = (
        np.maximum(x - np.float32(1.05), y - np.float32(0.4)),
        np.maximum(x - np.float32(0.4), y - np.float32(1.05)),
    )
    out: Array = np.minimum(wide, high)
    return out


SHAPES: dict[Shape, Distance] = {
    "disc": _disc,
    "box": _box,
    "triangle": _triangle,
    "ring": _ring,
    "cross": _cross,
}


class Canvas:
    """A picture in the making: float32 ``(height, width, 3)`` in [0, 255].

    Lengths and places are in units of the picture's shorter side, from its centre, x to the right and y down.
    ``camera`` shifts all that is painted.
    """

    def __init__(self, pixels: Array, camera: tuple[float, float] = (0.0, 0.0), zoom: float = 1.0) -> None:
        """Paint over ``pixels``, in place."""
        self.pixels = pixels
        height, width = pixels.shape[:2]
        self._unit = min(height, width) * zoom
        self._rows = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / self._unit + camera[1]
        self._columns = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / self._unit + camera[0]

    def paint(
        self, distance: Distance, x: float, y: float, radius: float, colour: Colour, turn: float = 0.0
    ) -> None:
        """Paint an outline of ``radius``, turned by ``turn`` radians, around ``(x, y)``."""
        patch, columns, rows = self._patch(x, y, 1.5 * radius, 1.5 * radius)
        if not patch.size:
            return
        right, down = columns / np.float32(radius), rows / np.float32(radius)
        if turn:
            cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
            right, down = right * cosine + down * sine, down * cosine - right * sine
        self._cover(patch, distance(right, down) * np.float32(radius), colour)

    def bar(self, start: tuple[float, float], end: tuple[float, float], thickness: float, colour: Colour) -> None:
        """Paint a bar with round ends between two places."""
        (x0, y0), (x1, y1) = start, end
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        patch, columns, rows = self._patch(x, y, abs(x1 - x0) / 2 + thickness, abs(y1 - y0) / 2 + thickness)
        if not patch.size:
            return
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((columns + (x - x0)) * dx + (rows + (y - y0)) * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
        distance = np.hypot(columns + (x - x0) - along * dx, rows + (y - y0) - along * dy)
        self._cover(patch, (distance - thickness / 2).astype(np.float32), colour)

    def _patch(self, x: float, y: float, half_width: float, half_height: float) -> tuple[Array, Array, Array]:
        """The pixels around a place, and their coordinates relative to it."""
        margin = 1.5 / self._unit
        left, right = np.searchsorted(self._columns, (x - half_width - margin, x + half_width + margin))
        top, bottom = np.searchsorted(self._rows, (y - half_height - margin, y + half_height + margin))
        columns = (self._columns[left:right] - np.float32(x))[None, :]
        rows = (self._rows[top:bottom] - np.float32(y))[:, None]
        return self.pixels[top:bottom, left:right], columns, rows

    def _cover(self, patch: Array, distance: Array, colour: Colour) -> None:
        cover = np.clip(np.float32(0.5) - distance * np.float32(self._unit), 0, 1)[..., None]
        patch += cover * (colour - patch)

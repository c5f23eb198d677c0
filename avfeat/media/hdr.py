"""HDR pictures (PQ, HLG) as what an SDR screen shows of them, which is what networks have learned from.

The steps, each as its standard has it; light is linear, 1 being reference white, 203 cd/m2 (ITU-R BT.2408):

1. PQ: ``L = 10,000 / 203 * EOTF(E')`` of SMPTE ST 2084. HLG: inverse OETF and OOTF of ITU-R BT.2100, for a screen
   of 1,000 cd/m2 and so with ``gamma = 1.2``: ``L = 1,000 / 203 * Y ** (gamma - 1) * E``.
2. The primaries (BT.2020 where none are stated) to those of BT.709, by the matrices that both sets of
   chromaticities give; what lies outside BT.709 becomes negative, and 0 at the end.
3. The curve that FFmpeg calls ``mobius``, of the largest of R, G and B, which all three are scaled by, so that hues
   stay: ``f(x) = x`` up to ``j = 0.3``; beyond, ``f(x) = (b^2 + 2 b j + j^2) / (b - a) * (x + a) / (x + b)`` with
   ``a = -j^2 (p - 1) / (j^2 - 2 j + p)`` and ``b = (j^2 - 2 j p + p) / (p - 1)``: as steep as the line at ``j``,
   and 1 at the peak, ``p = 1,000 / 203``. What is brighter is cut. So skin keeps its light, and white becomes 0.68.
4. ``E' = L ** (1 / 2.4)``, the inverse of ITU-R BT.1886, as 8 bits.

FFmpeg has the same as ``zscale=t=linear:npl=203, format=gbrpf32le, zscale=p=bt709,
tonemap=mobius:param=0.3:peak=4.926:desat=0, zscale=t=bt709``; its OOTF of HLG is ``L ** 1.2`` of each of R, G and
B, where the standard scales them together, so that only greys are equal there.

What a file says of its mastering is not looked at: one value is one light in all files, and all frames of one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

WHITE = 203.0
"""cd/m2 of reference white."""
PEAK = 1000.0 / WHITE
"""The brightest light that is told apart, in terms of reference white."""
_KNEE = 0.3
_LEVELS = 1 << 16
_AT_ONCE = 1 << 16

# ITU-T H.273, colour primaries: x and y of red, green and blue; the white of all is D65.
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_BT709, _BT2020 = 1, 9
_D65 = (0.3127, 0.3290)


def pq_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light, reference white being 1, of a PQ signal in [0, 1]: SMPTE ST 2084."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = signal ** (1 / m2)
    light: NDArray[np.float64] = 10_000 / WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light


def hlg_scene(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of the scene, in [0, 1], of an HLG signal in [0, 1]: the inverse OETF of ITU-R BT.2100."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def _hlg_shown(light: Floats) -> Floats:
    """Light of the screen of that of the scene: the OOTF of ITU-R BT.2100."""
    luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    return light * (np.float32(PEAK) * luminance ** np.float32(0.2))[..., None]


def _table(curve: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Floats:
    return curve(np.arange(_LEVELS) / (_LEVELS - 1)).astype(np.float32)


_CURVES: dict[int, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {16: pq_light, 18: hlg_scene}
_HLG = 18
_TABLES: dict[int, Floats] = {}


def is_hdr(transfer: int) -> bool:
    """Whether pictures of these transfer characteristics (ITU-T H.273) are PQ or HLG."""
    return transfer in _CURVES


def tone_map(signal: NDArray[np.uint16], transfer: int, primaries: int) -> NDArray[np.uint8]:
    """Pictures in BT.709 of HDR pictures, by the steps above.

    Args:
        signal: uint16 ``(height, width, 3)`` R'G'B', 65,535 being full.
        transfer: 16 (PQ) or 18 (HLG), as ITU-T H.273 numbers them.
        primaries: likewise; BT.2020 for any but BT.709, BT.2020 and P3 with the white of D65.

    Returns:
        uint8 ``(height, width, 3)`` R'G'B'.
    """
    if transfer not in _TABLES:
        _TABLES[transfer] = _table(_CURVES[transfer])
    matrix = _to_bt709(primaries)
    flat = signal.reshape(-1, 3)
    out = np.empty(flat.shape, np.uint8)
    for begin in range(0, len(flat), _AT_ONCE):
        light = _TABLES[transfer][flat[begin : begin + _AT_ONCE]]
        shown = _hlg_shown(light) if transfer == _HLG else light
        out[begin : begin + _AT_ONCE] = _as_signal(_compressed(shown @ matrix))
    return out.reshape(signal.shape)


def _compressed(light: Floats) -> Floats:
    """Step 3, of float32 ``(n, 3)``."""
    j, p = _KNEE, PEAK
    a = -(j**2) * (p - 1) / (j**2 - 2 * j + p)
    b = (j**2 - 2 * j * p + p) / (p - 1)
    top = np.maximum(light.max(axis=1, keepdims=True), np.float32(1e-6))
    scale = np.float32((b**2 + 2 * b * j + j**2) / (b - a))
    curve = scale * (top + np.float32(a)) / (top + np.float32(b))
    mapped: Floats = light * (np.where(top <= j, top, curve) / top)
    return mapped


def _as_signal(light: Floats) -> NDArray[np.uint8]:
    """Step 4."""
    signal: Floats = np.clip(light, 0, 1) ** np.float32(1 / 2.4)
    return np.rint(255 * signal).astype(np.uint8)


def _to_bt709(primaries: int) -> Floats:
    """The matrix by which rows of linear R, G, B become rows of BT.709's."""
    own = _xyz(_PRIMARIES.get(primaries, _PRIMARIES[_BT2020]))
    return (np.linalg.inv(_xyz(_PRIMARIES[_BT709])) @ own).T.astype(np.float32)


def _xyz(primaries: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """From linear R, G, B to CIE XYZ, where R = G = B = 1 is the white (SMPTE RP 177)."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in (*primaries, _D65)]).T
    weights = np.linalg.solve(columns[:, :3], columns[:, 3])
    return columns[:, :3] * weights

"""HDR pictures: the formula against a slow, obvious one, files against what FFmpeg makes of them."""

from __future__ import annotations

import math
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from avfeat.media import decode
from avfeat.media.hdr import is_hdr, tone_map

PQ, HLG = 16, 18
BT709, BT2020, P3 = 1, 9, 12
# ITU-R BT.2087 and, from P3 with the white of D65, SMPTE RP 431-2 through CIE XYZ.
MATRICES = {
    BT2020: [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    P3: [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]],
    BT709: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
}


def nits(signal: list[float], transfer: int) -> list[float]:
    """cd/m2 of one pixel."""
    if transfer == PQ:
        roots = [value ** (32 / 2523) for value in signal]
        return [10_000 * (max(r - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * r)) ** (8192 / 1305) for r in roots]
    scene = [v * v / 3 if v <= 0.5 else (math.exp((v - 0.55991073) / 0.17883277) + 0.28466892) / 12 for v in signal]
    luminance = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]
    return [1000 * luminance**0.2 * value for value in scene]


def slow(signal: list[float], transfer: int, primaries: int) -> list[float]:
    """One pixel, step by step: R'G'B' in [0, 255]."""
    light = [value / 203 for value in nits(signal, transfer)]
    light = [sum(weight * value for weight, value in zip(row, light, strict=True)) for row in MATRICES[primaries]]
    top, peak, j = max(*light, 1e-6), 1000 / 203, 0.3
    a = -j * j * (peak - 1) / (j * j - 2 * j + peak)
    b = (j * j - 2 * j * peak + peak) / (peak - 1)
    mapped = top if top <= j else (b * b + 2 * b * j + j * j) / (b - a) * (top + a) / (top + b)
    return [255 * min(max(value * mapped / top, 0), 1) ** (1 / 2.4) for value in light]


@pytest.mark.parametrize("primaries", [BT2020, P3, BT709])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_every_pixel_is_what_the_formula_gives(transfer: int, primaries: int) -> None:
    rng = np.random.default_rng(transfer + primaries)
    signal = rng.integers(0, 65_536, (20, 50, 3), dtype=np.uint16)
    signal[:5] //= 4
    expected = [
        [slow([value / 65_535 for value in pixel], transfer, primaries) for pixel in row] for row in signal.tolist()
    ]
    difference = np.abs(tone_map(signal, transfer, primaries) - np.array(expected))
    # Dark and saturated ones are as exact as the matrices' four digits.
    assert np.quantile(difference, 0.98) < 0.75 and difference.max() < 3


@pytest.mark.parametrize(
    ("transfer", "signal", "shown"),
    [
        (PQ, 0.0, 0),
        (HLG, 0.0, 0),
        # Reference white: 203 cd/m2 is 58 % of PQ and 75 % of HLG (BT.2408).
        (PQ, 0.5807, 217),
        (HLG, 0.75, 217),
        # Below the knee light is kept: 20.3 cd/m2, a tenth of white, is 0.1 ** (1 / 2.4).
        (PQ, 0.3583, 98),
        (PQ, 0.7518, 255),
        (HLG, 1.0, 255),
        (PQ, 1.0, 255),
    ],
)
def test_known_greys(transfer: int, signal: float, shown: int) -> None:
    grey = np.full((1, 1, 3), round(signal * 65_535), np.uint16)
    assert np.abs(tone_map(grey, transfer, BT2020).astype(int) - shown).max() <= 1


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_brighter_is_never_darker_and_grey_stays_grey(transfer: int) -> None:
    ramp = np.arange(65_536, dtype=np.uint16)[None, :, None].repeat(3, axis=2)
    shown = tone_map(ramp, transfer, BT2020).astype(int)
    assert (np.diff(shown[0], axis=0) >= 0).all()
    assert np.abs(shown - shown[..., :1]).max() <= 1


def test_only_pq_and_hlg_are_hdr() -> None:
    assert [code for code in range(256) if is_hdr(code)] == [PQ, HLG]


def bars() -> NDArray[np.uint16]:
    """Ramps of greys and of colours, ``(96, 128, 3)``."""
    colours = [(1, 1, 1), (1, 1, 1), (1, 0.8, 0.7), (0.9, 0.6, 0.5), (0.5, 0.7, 0.9), (0.7, 0.9, 0.5)]
    ramp = np.linspace(0, 1, 128)[None, :, None]
    rows = [np.repeat(ramp * np.array(colour), 16, axis=0) for colour in colours]
    return (np.concatenate(rows) * 65_535).astype(np.uint16)


def written(path: Path, pixels: NDArray[np.uint16], transfer: int, primaries: int = BT2020) -> Path:
    """A 10-bit video of one picture, with these tags."""
    with av.open(str(path), "w") as container:
        options = {"crf": "4", "preset": "ultrafast"}
        stream = container.add_stream("libx264", rate=Fraction(8), options=options)
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = "yuv444p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = (
            transfer,
            primaries,
            9,
            1,
        )
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb48le")
            frame = frame.reformat(format="yuv444p10le", src_color_range=2, dst_colorspace=9, dst_color_range=1)
            # Said only now: swscale would convert to it.
            frame.color_trc, frame.color_primaries = transfer, primaries
            frame.pts = number
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("size", [None, 32])
def test_files_are_mapped_by_their_tags(tmp_path: Path, transfer: int, size: int | None) -> None:
    frames = decode(written(tmp_path / "a.mkv", bars(), transfer), size=size).frames
    assert frames is not None and frames.dtype == np.uint8
    expected = tone_map(bars(), transfer, BT2020)
    if size is None:
        assert np.abs(frames[0].astype(int) - expected).mean() < 1
    else:
        # 3 x 4 pixels to one: a ramp's middle, in flat rows.
        found, middle = frames[0, 2, 1:-1].astype(int), expected[8, 1::4][1:-1].astype(int)
        assert np.abs(found - middle).max() <= 6


@pytest.mark.parametrize("transfer", [1, 13, 14, 2])
def test_sdr_is_what_it_was(tmp_path: Path, transfer: int) -> None:
    path = written(tmp_path / "a.mkv", bars(), transfer)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        expected = frame.reformat(
            format="rgb24", src_colorspace=9, src_color_range=1, dst_color_range=2,
            interpolation=av.video.reformatter.Interpolation(0x2 | 0x2000 | 0x4000 | 0x40000),
        ).to_ndarray()  # fmt: skip
    found = decode(path, size=None).frames
    assert found is not None
    np.testing.assert_array_equal(found[0], expected)


def by_ffmpeg(path: Path) -> NDArray[np.uint8]:
    """The first picture as FFmpeg's own filters map it."""
    steps = [
        "zscale=t=linear:npl=203", "format=gbrpf32le", "zscale=p=bt709",
        "tonemap=mobius:param=0.3:peak=4.926108:desat=0", "zscale=t=bt709", "format=gbrp", "format=rgb24",
    ]  # fmt: skip
    command = ["ffmpeg", "-v", "error", "-i", path, "-vf", ",".join(steps), "-frames:v", "1", "-f", "rawvideo", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.uint8).reshape(
        96, 128, 3
    )


def has_zscale() -> bool:
    if shutil.which("ffmpeg") is None:
        return False
    filters = subprocess.run(["ffmpeg", "-hide_banner", "-filters"], check=True, capture_output=True).stdout
    return b" zscale " in filters and b" tonemap " in filters


@pytest.mark.skipif(not has_zscale(), reason="no ffmpeg with zscale")
@pytest.mark.parametrize(("transfer", "rows"), [(PQ, 96), (HLG, 32)])
def test_ffmpeg_maps_as_we_do(tmp_path: Path, transfer: int, rows: int) -> None:
    """All of PQ; of HLG the greys, as FFmpeg's OOTF takes each of R, G and B by itself."""
    path = written(tmp_path / "a.mkv", bars(), transfer)
    found = decode(path, size=None).frames
    assert found is not None
    difference = np.abs(found[0, :rows].astype(int) - by_ffmpeg(path)[:rows])
    assert difference.mean() < 1 and np.quantile(difference, 0.99) <= 2 and difference.max() <= 8

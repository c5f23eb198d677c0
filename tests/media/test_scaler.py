from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from making import VideoTrack, make_media, moving_square, rotate_by_metadata
from numpy.typing import NDArray

from avfeat.media import decode
from avfeat.media.scaler import PictureScaler, upright

LOSSLESS = (("crf", "0"), ("preset", "ultrafast"))
# H.273 numbers of the matrices.
BT709, BT601 = 1, 5


def colour_bars(height: int = 64, width: int = 128) -> NDArray[np.uint8]:
    bars = np.array(list(itertools.product((40, 220), repeat=3)), dtype=np.uint8)
    return np.repeat(np.repeat(bars[None], width // 8, axis=1), height, axis=0)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize(
    ("matrix", "tag"), [(Colorspace.ITU709, BT709), (Colorspace.ITU601, BT601)], ids=["709", "601"]
)
@pytest.mark.parametrize("colour_range", [ColorRange.MPEG, ColorRange.JPEG], ids=["limited", "full"])
def test_colours_survive_every_matrix_and_range(
    tmp_path: Path, pix_fmt: str, matrix: Colorspace, tag: int, colour_range: ColorRange
) -> None:
    bars = colour_bars()
    track = VideoTrack(
        seconds=0.5,
        picture=lambda t: bars,
        pix_fmt=pix_fmt,
        colorspace=int(matrix),
        color_range=int(colour_range),
        options=LOSSLESS,
    )
    path = make_media(tmp_path / "bars.mkv", track)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (int(frame.colorspace), int(frame.color_range)) == (tag, int(colour_range))
    frames = decode(path, size=None).frames
    assert frames is not None
    middle = frames[0][32, 8::16].astype(int)
    assert np.abs(middle - bars[32, 8::16].astype(int)).max() <= 4


def test_untagged_video_is_601_when_small_and_709_when_hd() -> None:
    bars = colour_bars(720, 1280)
    frame = av.VideoFrame.from_ndarray(bars, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709
    )
    frame.colorspace = 2
    small = av.VideoFrame.from_ndarray(bars[:480, :640], format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU601
    )
    small.colorspace = 2
    for untagged, truth in ((frame, bars), (small, bars[:480, :640])):
        error = np.abs(PictureScaler(None)(untagged)[100, 80::160].astype(int) - truth[100, 80::160].astype(int))
        assert error.max() <= 3


def assert_bars(found: NDArray[np.uint8], bars: NDArray[np.uint8]) -> None:
    """In the middles of the bars; another matrix is off by 10 and more."""
    places = slice(bars.shape[1] // 16, None, bars.shape[1] // 8)
    assert np.abs(found[2, places].astype(int) - bars[2, places].astype(int)).max() <= 3


@pytest.mark.parametrize(
    ("width", "height", "matrix"),
    [
        (1280, 8, Colorspace.ITU709),
        (1279, 8, Colorspace.ITU601),
        (64, 577, Colorspace.ITU709),
        (64, 576, Colorspace.ITU601),
    ],
)
def test_hd_begins_at_a_width_of_1280_and_above_a_height_of_576(
    width: int, height: int, matrix: Colorspace
) -> None:
    bars = colour_bars(height, 1280)[:, :width] if width > 64 else colour_bars(height, width)
    frame = av.VideoFrame.from_ndarray(bars, format="rgb24").reformat(format="yuv444p", dst_colorspace=matrix)
    frame.colorspace = 2
    assert_bars(PictureScaler(None)(frame), bars)


@pytest.mark.parametrize(
    ("tag", "matrix"),
    [
        (1, Colorspace.ITU709),
        (4, Colorspace.FCC),
        (5, Colorspace.ITU601),
        (6, Colorspace.ITU601),
        (7, Colorspace.SMPTE240M),
        (9, Colorspace.BT2020),
        (10, Colorspace.BT2020),
    ],
)
@pytest.mark.parametrize("width", [64, 1280])
def test_a_tag_says_which_matrix(width: int, tag: int, matrix: Colorspace) -> None:
    bars = colour_bars(8, width)
    frame = av.VideoFrame.from_ndarray(bars, format="rgb24").reformat(format="yuv444p", dst_colorspace=matrix)
    frame.colorspace = tag
    assert_bars(PictureScaler(None)(frame), bars)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_a_photograph_is_turned_as_its_exif_says(tmp_path: Path, orientation: int, turns: int) -> None:
    path = tmp_path / "photograph.jpg"
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as target:
        stream = target.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj444p"
        frame = av.VideoFrame.from_ndarray(moving_square(96, 64, seed=3)(0.0), format="rgb24")
        for packet in [*stream.encode(frame.reformat(format="yuvj444p")), *stream.encode(None)]:
            target.mux(packet)
    plain = decode(path, size=None, still=True).frames
    # One entry: tag 0x0112, one 16-bit number.
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation]) + bytes(7)
    data = path.read_bytes()
    turned = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    found = decode(turned, size=None, still=True).frames
    assert plain is not None and found is not None
    np.testing.assert_array_equal(found[0], np.rot90(plain[0], turns))


@pytest.mark.parametrize("size", [1, 16, 112])
@pytest.mark.parametrize("shape", [(1, 1), (37, 53), (90, 160), (161, 91)])
def test_stretch_gives_the_size_whatever_the_picture(size: int, shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 77, dtype=np.uint8)
    out = PictureScaler(size)(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
    assert out.shape == (size, size, 3) and out.flags.c_contiguous
    assert np.abs(out.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("shape", [(60, 120), (120, 60), (61, 61)])
def test_crop_keeps_the_central_square(shape: tuple[int, int]) -> None:
    height, width = shape
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    side = min(shape)
    top, left = (height - side) // 2, (width - side) // 2
    pixels[top : top + side, left : left + side] = 200
    out = PictureScaler(32, "crop")(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
    assert out.shape == (32, 32, 3)
    assert out[1:-1, 1:-1].min() >= 198


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_upright_undoes_every_quarter_turn_and_mirroring(turns: int, mirrored: bool) -> None:
    stored = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    # x' = a x + c y, y' = b x + d y with y down: a quarter turn clockwise is (0, 1, -1, 0).
    matrix = np.eye(2, dtype=int)
    expected = stored
    for _ in range(turns):
        matrix = np.array([[0, -1], [1, 0]]) @ matrix
        expected = np.rot90(expected, -1)
    if mirrored:
        matrix = np.array([[-1, 0], [0, 1]]) @ matrix
        expected = expected[:, ::-1]
    (a, c), (b, d) = matrix * 65536
    np.testing.assert_array_equal(upright(stored, (a, b, c, d)), expected)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_clip_rotated_by_metadata_equals_one_rotated_in_pixels(tmp_path: Path, degrees: int) -> None:
    picture = moving_square(96, 64, seed=3)
    stored = make_media(tmp_path / "stored.mp4", VideoTrack(picture=picture, options=LOSSLESS, pix_fmt="yuv444p"))
    turned = rotate_by_metadata(stored, tmp_path / "turned.mp4", degrees)
    rotated = VideoTrack(
        picture=lambda t: np.ascontiguousarray(np.rot90(picture(t), -degrees // 90)),
        options=LOSSLESS,
        pix_fmt="yuv444p",
    )
    expected = decode(make_media(tmp_path / "pixels.mp4", rotated)).frames
    found = decode(turned).frames
    assert found is not None and expected is not None
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 3
    plain = decode(stored).frames
    assert plain is not None and np.abs(found.astype(int) - plain.astype(int)).max() > 50


def test_real_rotation_metadata_is_honoured(real_media: Path) -> None:
    path = real_media / "odd" / "made_rotated_90_with_sound.mp4"
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        stored = frame.to_ndarray(format="rgb24").astype(int)
        assert frame.rotation == 90
    frames = decode(path, size=None).frames
    assert frames is not None
    assert np.abs(frames[0].astype(int) - np.rot90(stored, 1)).mean() < 3

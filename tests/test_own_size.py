"""Bundles whose graphs are given frames as they were decoded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bundles import of_own_size
from making import VideoTrack, make_media, moving_square, rotate_by_metadata

import avfeat
from avfeat.backends import open_session
from avfeat.bench import bench
from avfeat.bundle import Bundle
from avfeat.encoder import at_once, in_batches
from avfeat.grid import Grid
from avfeat.media import FrameLimits, VideoSpec, Window, array_windows, decode

SPEC = VideoSpec(8, 16, None)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return of_own_size(tmp_path_factory.mktemp("own") / "bundle")


@pytest.fixture(scope="module")
def own(bundle: Path) -> Iterator[avfeat.Encoder]:
    with avfeat.load(bundle, device="cpu", threads=1) as encoder:
        yield encoder


def square(path: Path, width: int, height: int, seconds: float = 2.0, start: float = 0.0, seed: int = 0) -> Path:
    track = VideoTrack(seconds, picture=moving_square(width, height, seed), start=start)
    return make_media(path, track)


def graph_of(own: avfeat.Encoder, frames: np.ndarray) -> np.ndarray:
    """What the graph gives for the frames of one window."""
    return open_session(own.bundle, "video", "onnx", "cpu", 1).run(frames[None]).features[0]


def test_the_graph_is_given_frames_as_they_were_decoded(own: avfeat.Encoder, clip: Path) -> None:
    assert own.bundle.video is not None and own.bundle.video.size is None
    decoded = decode(clip, fps=8, size=None).frames
    assert decoded is not None and decoded.shape[1:] == (72, 96, 3)
    wanted = [graph_of(own, decoded[begin : begin + 16]) for begin in (0, 16)]
    found = own.embed(clip)
    np.testing.assert_allclose(found.video[:2], wanted, atol=1e-5)
    scaled = avfeat.load(device="cpu", threads=1).embed(clip)
    assert np.abs(found.video[:2] - scaled.video[:2]).max() > 1e-4
    for again in (own.stream(clip), own.embed_many([clip], isolate=True)):
        rows = list(again)
        video = rows[0].video if len(rows) == 1 else np.stack([row.video for row in rows])
        np.testing.assert_array_equal(video, found.video)


def test_arrays_are_given_as_they_are(own: avfeat.Encoder) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (16, 40, 300, 3), np.uint8)
    found = own.embed_arrays(frames, 8, None, None)
    np.testing.assert_allclose(found.video[0], graph_of(own, frames), atol=1e-5)


def test_turned_frames_are_upright(own: avfeat.Encoder, tmp_path: Path) -> None:
    turned = rotate_by_metadata(square(tmp_path / "a.mp4", 96, 64), tmp_path / "b.mp4", 90)
    decoded = decode(turned, fps=8, size=None).frames
    assert decoded is not None and decoded.shape == (16, 96, 64, 3)
    np.testing.assert_allclose(own.embed(turned).video[0], graph_of(own, decoded), atol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(8, 200), (4400, 16)], ids=["narrow", "wide"])
def test_sides_that_graphs_do_not_take_are_brought_near(
    own: avfeat.Encoder, width: int, height: int, tmp_path: Path
) -> None:
    limits = own.bundle.video and own.bundle.video.limits
    assert limits is not None
    fed = limits.fit(width, height)
    assert fed == (max(16, min(width, 4320)), height if width < 16 else 16)
    frames = np.repeat(moving_square(width, height)(0.0)[None], 16, 0)
    found = own.embed_arrays(frames, 8, None, None)
    near = np.repeat(moving_square(*fed)(0.0)[None], 16, 0)
    assert np.isfinite(found.video).all()
    shown = next(array_windows(frames, 8, None, 1, Grid.from_seconds(2.0), own.bundle.video, None)).frames
    assert shown is not None and shown.shape == near.shape


def test_frames_within_the_limits_stay() -> None:
    limits = FrameLimits(16, 4320, 2**30 // 48)
    for size in ((16, 16), (1920, 1080), (3840, 2160), (4320, 16)):
        assert limits.fit(*size) == size
    for width, height in ((7680, 4320), (4320, 7680), (16_384, 2), (8192, 8192)):
        wide, high = limits.fit(width, height)
        assert min(wide, high) >= 16 and max(wide, high) <= 4320 and wide * high <= 2**30 // 48
    assert limits.fit(7680, 4320) == (4320, 2430)


def test_a_size_that_changes(own: avfeat.Encoder, tmp_path: Path) -> None:
    first = square(tmp_path / "a.ts", 96, 64, 3.0)
    second = square(tmp_path / "b.ts", 128, 96, 3.0, start=3.0, seed=1)
    (tmp_path / "both.ts").write_bytes(first.read_bytes() + second.read_bytes())
    found = own.embed(tmp_path / "both.ts")
    assert len(found) == 3 and found.has_video.all() and np.isfinite(found.video).all()
    alone = own.embed(first), own.embed(second, start=1.0)
    np.testing.assert_allclose(found.video[0], alone[0].video[0], atol=1e-5)
    np.testing.assert_allclose(found.video[2], alone[1].video[0], atol=1e-5)
    # All of a file as arrays have one size.
    decoded = decode(tmp_path / "both.ts", fps=8, size=None).frames
    assert decoded is not None and decoded.shape[1:] == (64, 96, 3)


def windows(*sizes: int | None) -> list[Window]:
    shown = (None if side is None else np.zeros((2, side, side, 3), np.uint8) for side in sizes)
    return [Window(number, number, frames, None) for number, frames in enumerate(shown)]


@pytest.mark.parametrize(
    ("sizes", "cut"),
    [
        ((8, 8, 8, 8, 8), [3, 2]),
        ((8, 9, 9, 8), [1, 2, 1]),
        ((None, 8, None, 9), [3, 1]),
        ((None, None, None, None), [3, 1]),
        ((), []),
        # Two frames of 24 MB, and 40 of the windows make a batch full.
        ((7000, 7000, 7000), [1, 1, 1]),
    ],
)
def test_windows_of_one_size_make_a_batch(sizes: tuple[int | None, ...], cut: list[int]) -> None:
    found = list(in_batches(iter(windows(*sizes)), 3))
    assert [len(batch) for batch in found] == cut
    assert [window.index for batch in found for window in batch] == list(range(len(sizes)))


def test_a_batch_is_bounded() -> None:
    uhd = 4 * 3840 * 2160 * 3
    assert [at_once(size, 16) for size in (0, 1, uhd, 2**29)] == [16, 16, 3, 1]


def test_files_of_several_sizes_are_measured(bundle: Path, clip: Path, other_clip: Path) -> None:
    found = bench([clip, other_clip], Bundle.open(bundle), device="cpu", threads=1, rounds=1)
    assert found.windows == 5 and set(found.network) == {"video", "audio"}


def test_a_bundle_says_so(bundle: Path, avfeat_command) -> None:
    ran = avfeat_command("info", bundle, "--json", "-")
    said = json.loads(ran.out)["video"]
    assert said["size"] is None and "limits" not in said
    assert "16 frames at 8/s, of their own size ->" in avfeat_command("info", bundle).out


def test_height_and_width_are_dynamic_then(bundle: Path, tmp_path: Path) -> None:
    said = json.loads((bundle / "bundle.json").read_text())
    said["video"]["input"]["shape"][2] = 112
    for name in said["sha256"]:
        (tmp_path / name).write_bytes((bundle / name).read_bytes())
    (tmp_path / "bundle.json").write_text(json.dumps(said))
    with pytest.raises(avfeat.BundleError, match="must have names for height and width, as 'size' is null"):
        Bundle.open(tmp_path)

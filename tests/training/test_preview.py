from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media

from avfeat.errors import ArgumentError
from avfeat.media import decode, probe
from avfeat.training.augment.compose import composition
from avfeat.training.augment.registry import AUGMENTATIONS
from avfeat.training.preview import draw_sheet, strips, write_video


def test_a_preview_has_every_augmentation_and_marks_what_is_lost(clip: Path) -> None:
    rows = strips(clip)
    assert [row.name.split()[0] for row in rows[1:]] == list(AUGMENTATIONS)
    by_name = {row.name.split()[0]: row for row in rows}
    original = by_name["as"]
    assert original.frames is not None
    assert original.waveform is not None
    assert original.frames.shape == (16, 112, 112, 3)
    assert original.waveform.shape == (32_000,)
    mask = by_name["time_mask"]
    assert mask.seen_lost.sum() == 2, "an eighth of 16 frames"
    assert mask.heard_lost.mean() == pytest.approx(0.125, abs=0.02)
    seen, heard = (np.flatnonzero(flags).mean() / len(flags) for flags in (mask.seen_lost, mask.heard_lost))
    assert seen == pytest.approx(heard, abs=1 / 16), "the same seconds"
    assert not by_name["flip"].seen_lost.any(), "spatial ones lose no time"
    backwards = by_name["reversal"]
    np.testing.assert_array_equal(backwards.shown, np.arange(16)[::-1])
    np.testing.assert_array_equal(backwards.frames, original.frames[::-1])
    for name in ("fade", "time_stretch", "coloured_noise"):
        assert not np.array_equal(by_name[name].waveform, original.waveform), name


def test_a_composition_ends_with_all_together(clip: Path) -> None:
    chosen = composition({"augmentations": [{"flip": {"p": 0.01}}, "grey"]})
    rows = strips(clip, chosen)
    assert len(rows) == 4
    assert rows[-1].name == "all together"
    flipped, grey, together = (row.frames for row in rows[1:])
    assert flipped is not None
    assert grey is not None
    assert together is not None
    assert rows[0].frames is not None
    np.testing.assert_array_equal(flipped, rows[0].frames[:, :, ::-1])
    assert np.ptp(grey.astype(int), axis=-1).max() <= 1
    still = strips(clip, chosen, strength=0.0)
    assert all(np.array_equal(row.frames, rows[0].frames) for row in still)


def test_marks_are_what_is_lost_not_what_is_heard(tmp_path: Path) -> None:
    """On a clip that is black and silent, too: video and audio lose the same seconds."""
    black = VideoTrack(seconds=2.0, picture=lambda time: np.zeros((64, 64, 3), np.uint8))
    quiet = AudioTrack(seconds=2.0, sound=lambda times: 0 * times)
    rows = strips(make_media(tmp_path / "dark.mp4", black, quiet))
    by_name = {row.name.split()[0]: row for row in rows}
    for name in ("time_mask", "fade", "cuboid", "segment_blur", "segment_noise", "frame_drop"):
        row = by_name[name]
        assert row.seen_lost.any(), name
        spread = row.seen_lost.repeat(10)
        # A frame is lost when its middle is: at most half a frame differs at each edge of what is lost.
        edges = np.count_nonzero(np.diff(spread.astype(int))) + 2
        assert (spread != row.heard_lost).sum() <= 6 * edges, name


def test_all_together_marks_what_acted(clip: Path) -> None:
    chosen = composition(
        {"augmentations": [{"time_mask": {"p": 0.0}}, "reversal", {"time_mask": {"fraction": 0.25}}]}
    )
    never, backwards, mask, together = strips(clip, chosen)[1:]
    assert never.seen_lost.sum() == 2, "alone it is shown whatever its probability"
    np.testing.assert_array_equal(together.shown, np.arange(16)[::-1])
    np.testing.assert_array_equal(together.seen_lost, backwards.seen_lost | mask.seen_lost)


def test_a_sheet_and_a_video_are_written(clip: Path, tmp_path: Path) -> None:
    rows = strips(clip, composition({"augmentations": ["time_mask", "reversal"]}))
    draw_sheet(rows, tmp_path / "sheet.png")
    picture = matplotlib.image.imread(tmp_path / "sheet.png")
    assert picture.shape[1] == 1350
    red = (np.abs(picture[..., :3] - np.array([214, 39, 40]) / 255) < 0.02).all(-1)
    assert red.any(), "what is lost is marked"
    write_video(rows, tmp_path / "video.mp4")
    info = probe(tmp_path / "video.mp4")
    assert info.duration == pytest.approx(2.0 * len(rows), abs=0.2)
    assert info.video is not None
    assert (info.video.width, info.video.height) == (448, 248)
    read = decode(tmp_path / "video.mp4", fps=8, size=None)
    assert read.frames is not None
    left, right = (read.frames[:, 28:, part].astype(int) for part in (slice(0, 224), slice(224, 448)))
    assert np.abs(left[:16] - right[:16]).mean() < 2, "first the clip beside itself"
    assert np.abs(left - right).mean() > 4
    assert {path.name for path in tmp_path.iterdir()} == {"sheet.png", "video.mp4"}


def test_one_stream_is_enough(tmp_path: Path) -> None:
    silent = make_media(tmp_path / "silent.mp4", VideoTrack(seconds=1.2))
    blind = make_media(tmp_path / "blind.wav", audio=AudioTrack(seconds=1.2, codec="pcm_s16le"))
    for path in (silent, blind):
        rows = strips(path)
        assert (rows[3].frames is None) == (path == blind)
        assert (rows[3].waveform is None) == (path == silent)
        draw_sheet(rows[:4], tmp_path / "sheet.png")
        write_video(rows[:4], tmp_path / "out.mp4")


def test_a_start_behind_the_end_is_refused(clip: Path) -> None:
    with pytest.raises(ArgumentError, match=r"clip.mp4: it ends before 9 s; give an earlier start."):
        strips(clip, start=9.0)


def test_the_command(avfeat_command, clip: Path, tmp_path: Path) -> None:
    for option in ("--composition", "--recipe"):
        ran = avfeat_command("preview", clip, option, "reference", "-o", "sheet.png")
        assert (ran.status, ran.err) == (0, "")
        assert ran.out == "9 before and after -> sheet.png\n"
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    for arguments, status, sentence in (
        ((clip, "-o", "sheet.gif"), 2, "error: sheet.gif: a preview is a .png or a .mp4."),
        ((clip, "--recipe", "referense", "-o", "s.png"), 2, "no recipe 'referense'; did you mean 'reference'?"),
        ((clip, "--composition", "cla", "-o", "s.png"), 2, "no composition 'cla'; did you mean 'clar'?"),
        ((clip, "--composition", "clar", "--recipe", "base", "-o", "s.png"), 2, "give one"),
        (("none.mp4", "-o", "s.png"), 1, "error: none.mp4: no such file."),
        ((clip, "--strength", "2", "-o", "s.png"), 2, "--strength"),
        ((clip, "-o", clip), 2, "clip.mp4: is the clip itself; give the preview another name."),
        ((clip, "--seed", "-1", "-o", "s.png"), 2, "--seed"),
    ):
        failed = avfeat_command("preview", *arguments)
        assert failed.status == status
        assert sentence in failed.err
    assert not (tmp_path / "s.png").exists()

"""``avfeat duplicates`` and ``avfeat.duplicates`` on real files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

import avfeat
from avfeat import ArgumentError, OutputError

ODD = "</script><img src=x onerror=alert(1)>#1?.mp4".replace("/", "_")
SECONDS = 6.0


def waves(time: float) -> np.ndarray:
    """Coloured waves that drift, others every two seconds."""
    rng = np.random.default_rng(int(time / 2))
    y, x = np.mgrid[:72, :96] / 24
    channels = [np.sin(a * x + b * y + c * time) * np.cos(b * x - c * y) for a, b, c in rng.uniform(-6, 6, (3, 3))]
    return (127.5 + 127.5 * np.stack(channels, axis=2)).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, encoder: avfeat.Encoder) -> Path:
    """A clip, copies of it, and others; both kinds of index of them."""
    from avfeat.job import EmbedSettings, make_plan, run

    folder = tmp_path_factory.mktemp("duplicates")
    clips = folder / "clips"
    clips.mkdir()
    black = VideoTrack(4.0, picture=lambda time: np.zeros((72, 96, 3), np.uint8))
    make_media(clips / ODD, VideoTrack(SECONDS, picture=waves), AudioTrack(SECONDS, 16_000))
    low = (("crf", "24"), ("preset", "ultrafast"))
    make_media(clips / "silent.mkv", VideoTrack(SECONDS, picture=waves, options=low))
    later = VideoTrack(4.0, picture=lambda time: waves(time + 2))
    make_media(clips / "later.mp4", later, AudioTrack(4.0, 16_000, chirps(8)))
    square = moving_square(seed=5)
    other = VideoTrack(SECONDS, picture=lambda time: square(0.7 * time))
    make_media(clips / "other.mp4", other, AudioTrack(SECONDS, 16_000))
    make_media(clips / "black.mp4", black)
    make_media(clips / "black again.mp4", black, AudioTrack(4.0, 16_000, chirps(3)))
    for name in ("all.lance", "all.parquet"):
        assert len(list(run(make_plan([str(clips)], str(folder / name)), encoder, EmbedSettings()))) == 6
    list(run(make_plan([str(clips / "black.mp4")], str(folder / "none.parquet")), encoder, EmbedSettings()))
    return folder


@pytest.mark.parametrize("kind", ["lance", "parquet"])
def test_copies_are_found_in_an_index(folder: Path, kind: str) -> None:
    found = avfeat.duplicates(folder / f"all.{kind}")
    names = [Path(file).name for file in found.groups[0]]
    assert len(found.groups) == 1 and names == sorted([ODD, "silent.mkv", "later.mp4"])
    assert len(found.pairs) == 3 and all(0.7 <= pair.score <= 1 for pair in found.pairs)
    for pair in found.pairs:
        times = {Path(pair.a).name: (pair.a_start, pair.a_end), Path(pair.b).name: (pair.b_start, pair.b_end)}
        if "later.mp4" in times:
            other = next(name for name in times if name != "later.mp4")
            assert times["later.mp4"] == pytest.approx((0, 4), abs=0.6)
            assert times[other] == pytest.approx((2, 6), abs=0.6)
        else:
            assert times[ODD] == pytest.approx(times["silent.mkv"], abs=0.6)
            assert times[ODD] == pytest.approx((0, SECONDS), abs=0.6)


def test_the_command_prints_writes_and_draws(folder: Path, avfeat_command) -> None:
    ran = avfeat_command("duplicates", folder / "all.lance", "--json", "a.json", "--html", "a.html")
    assert ran.status == 0 and "3 pairs; 3 of 6 files in 1 groups." in ran.err, ran.err
    assert len(ran.out.splitlines()) == 4
    found = json.loads(Path("a.json").read_text())
    assert all(
        sorted(pair) == ["a", "a_end", "a_start", "b", "b_end", "b_start", "score"] for pair in found["pairs"]
    )
    assert len(found["pairs"]) == 3 and [len(group) for group in found["groups"]] == [3]
    page = Path("a.html").read_text()
    assert "<img src=x" not in page and "onerror=alert(1)&gt;" in page and "<script" not in page
    assert page.count("<figure>") == 3 and page.count('class="many"') == 1 and "3 files" in page


def test_scripts_see_duplicates_by_the_status(folder: Path, avfeat_command) -> None:
    ran = avfeat_command("duplicates", folder / "all.parquet", "--json", "-", "--fail")
    assert ran.status == 1 and len(json.loads(ran.out)["pairs"]) == 3
    none = avfeat_command("duplicates", folder / "none.parquet", "--json", "-", "--fail")
    assert none.status == 0 and json.loads(none.out)["groups"] == []


def test_what_is_wrong_is_said(folder: Path, avfeat_command, tmp_path: Path) -> None:
    for threshold in (0, 1, float("nan"), "0.5", True):
        with pytest.raises(ArgumentError, match="threshold must be a number between 0 and 1"):
            avfeat.duplicates(folder / "all.parquet", threshold=threshold)
    with pytest.raises(OutputError, match="no such index"):
        avfeat.duplicates(tmp_path / "none.lance")
    ran = avfeat_command("duplicates", folder / "clips" / "other.mp4")
    assert (ran.status, ran.out) == (2, "") and "is no index" in ran.err
    assert avfeat_command("duplicates", folder / "all.parquet", "--threshold", 1.5).status == 2


def test_a_page_says_which_file_has_gone(folder: Path, avfeat_command) -> None:
    shutil.copy(folder / "all.parquet", "all.parquet")
    moved = (folder / "clips").rename(folder / "elsewhere")
    try:
        assert avfeat_command("duplicates", "all.parquet", "--html", "a.html").status == 0
        assert "no such file" in Path("a.html").read_text()
    finally:
        moved.rename(folder / "clips")

"""The recipes of ``examples``, each on real files; the service has tests of its own."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

import avfeat
from avfeat.evaluation import Store

EXAMPLES = Path(__file__).parents[2] / "examples"


def recipe(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [str(module.__file__), *map(str, arguments)])
    module.main()


@pytest.mark.parametrize("name", ["dataloader", "highlights", "sort_videos"])
def test_recipes_are_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text("utf-8").splitlines()) <= 105


def test_a_data_loader_gives_windows_from_spawned_workers(clip: Path, other_clip: Path, tmp_path: Path) -> None:
    for number, path in enumerate((clip, other_clip)):
        (tmp_path / f"{number}{path.suffix}").write_bytes(path.read_bytes())
    (tmp_path / "x.mp4").write_text("no video")
    script = EXAMPLES / "dataloader.py"
    ran = subprocess.run(
        [sys.executable, script, tmp_path, "--batch", "8", "--workers", "1"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    # 5.3 s and 3 s: three windows of 2 s and two.
    lines = ["batch (5, 1920) of files [0, 1]", "5 windows of 3 files"]
    assert ran.stdout.splitlines() == lines, ran.stderr
    assert "left out: " in ran.stderr and "x.mp4" in ran.stderr


@pytest.fixture(scope="module")
def match(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 s of the same, but for two seconds in the middle that look and sound otherwise."""
    usual, other, quiet, loud = moving_square(96, 72, 1), moving_square(96, 72, 5), chirps(0), chirps(7)
    video = VideoTrack(16, picture=lambda time: (other if 8 <= time < 10 else usual)(time), options=(("g", "12"),))
    audio = AudioTrack(16, sound=lambda at: np.where((at >= 8) & (at < 10), loud(at), 0.1 * quiet(at)))
    return make_media(tmp_path_factory.mktemp("match") / "match.mp4", video, audio)


def test_highlights_are_found_and_cut(
    match: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cut.mp4"
    main(recipe("highlights"), monkeypatch, match, "--seconds", 2, "--cut", out)
    head, *rows = capsys.readouterr().out.splitlines()
    assert head == "start,end,score" and [row.rsplit(",", 1)[0] for row in rows] == ["8.00,10.00"]
    made = avfeat.media.decode(out)
    assert not made.damaged and made.duration == pytest.approx(2.0, abs=0.6)


def test_moments_are_copied_one_behind_the_other(match: Path, tmp_path: Path) -> None:
    recipe("highlights").cut(match, [(2.0, 3.0, 1.0), (8.5, 9.5, 2.0), (14.0, 16.0, 0.0)], tmp_path / "cut.mp4")
    with av.open(str(tmp_path / "cut.mp4")) as media:
        packets = [packet for packet in media.demux() if packet.dts is not None]
        for stream in media.streams:
            stamps = [packet.dts for packet in packets if packet.stream is stream]
            assert stamps == sorted(set(stamps)), "decoding times rise"
        times = [float(packet.pts * packet.time_base) for packet in packets if packet.stream.type == "video"]
    # 4 s, and up to half a second more each from the key frame before.
    assert 3.9 < max(times) < 5.7 and len(times) == pytest.approx(25 * max(times), abs=3)
    assert not avfeat.media.decode(tmp_path / "cut.mp4").damaged


def test_highlights_by_text(match: Path, spoken: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    main(recipe("highlights"), monkeypatch, match, "--text", "a dog barks", "--model", spoken, "--seconds", 4)
    assert len(capsys.readouterr().out.splitlines()) in (2, 3)


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """Three clips that are alike, two others, one that is alone, one that is broken, and a file of another kind."""
    folder = tmp_path / "DCIM"
    folder.mkdir()
    for name, kind in {"a0.mp4": 0, "b0.mkv": 9, "alone.mp4": 30}.items():
        audio = None if kind == 30 else AudioTrack(0.6, 16_000, chirps(kind))
        make_media(folder / name, VideoTrack(0.6, picture=moving_square(48, 32, kind)), audio)
    for name in ("a1.mp4", "a2.mp4", "b1.mkv"):
        (folder / name).write_bytes((folder / f"{name[0]}0{name[2:]}").read_bytes())
    (folder / "broken.mp4").write_text("no video")
    (folder / "notes.txt").write_text("notes")
    return folder


def contents(folder: Path) -> list[str]:
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file())


def test_videos_are_sorted_by_what_is_alike(
    phone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A name that is taken, by something else.
    (phone / "group-1").mkdir()
    (phone / "group-1" / "a0.mp4").write_text("mine")
    before = contents(phone)
    main(recipe("sort_videos"), monkeypatch, phone)
    said = capsys.readouterr()
    assert f"'a0.mp4' -> {str(phone / 'group-1' / 'a0 (2).mp4')!r}" in said.out and "stays: " in said.err
    assert contents(phone) == before, "nothing is lost or overwritten"
    found = sorted(str(path.relative_to(phone)) for path in phone.rglob("*") if path.is_file())
    first = ["group-1/a0 (2).mp4", "group-1/a0.mp4", "group-1/a1.mp4", "group-1/a2.mp4"]
    assert found == ["alone.mp4", "broken.mp4", *first, "group-2/b0.mkv", "group-2/b1.mkv", "notes.txt"]
    assert (phone / "group-1" / "a0.mp4").read_text() == "mine"


def test_a_dry_run_says_into_which_classes_videos_would_go(
    phone: Path,
    tmp_path: Path,
    encoder: avfeat.Encoder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = ["file,label,group"]
    for number in range(3):
        lines += [f"a{number}.mp4,../Cats?,a{number}", f"b{number % 2}.mkv,..,b{number}"]
    table, model = phone / "clips.csv", tmp_path / "model.onnx"
    table.write_text("\n".join(lines))
    avfeat.fit_classifier(table, model, encoder=encoder, store=Store(tmp_path / "store"), baselines=False)
    before = sorted(phone.iterdir())
    main(recipe("sort_videos"), monkeypatch, phone, "--classifier", model, "--sure", 0.6, "--dry-run")
    assert sorted(phone.iterdir()) == before
    # Names that a folder can have, within the folder.
    said = dict(line.split(" -> ") for line in capsys.readouterr().out.splitlines())
    assert said["'a1.mp4'"] == repr(str(phone / "Cats" / "a1.mp4"))
    assert said["'b1.mkv'"] == repr(str(phone / "class" / "b1.mkv"))

from __future__ import annotations

import json
from pathlib import Path

import pytest
from making import AudioTrack, make_media

from avfeat.bundle import Bundle, default_bundle

SPEEDS = ("decode", "embed", "embed_many")


def test_numbers_of_two_files(avfeat_command, clip: Path, other_clip: Path, tmp_path: Path) -> None:
    ran = avfeat_command("bench", clip, other_clip, "--threads", 1, "--rounds", 1, "--json", tmp_path / "b.json")
    assert (ran.status, ran.err) == (0, "")
    found = json.loads((tmp_path / "b.json").read_text())
    bundle = Bundle.open(default_bundle())
    assert (found["bundle"], found["name"]) == (bundle.sha256, bundle.name)
    assert (found["device"], found["backend"], found["precision"]) == ("cpu", "onnx", "fp32")
    assert (found["files"], found["windows"], found["threads"], found["batch"]) == (2, 3 + 2, 1, 1)
    assert found["seconds"] == pytest.approx(5.3 + 3.0, abs=0.1)
    assert set(found["network"]) == {"video", "audio"} and min(found["network"].values()) > 0
    for name in SPEEDS:
        speed = found[name]
        assert speed["real_time"] == pytest.approx(found["seconds"] / speed["wall"])
        assert speed["cpu"] > 0
    # The networks are part of one and not of the other; the processor's clock sees it on a busy machine, too.
    assert found["embed"]["cpu"] > found["decode"]["cpu"]
    assert "2 files, 8.3 s, 5 windows" in ran.out
    assert all(name in ran.out for name in SPEEDS)


def test_without_files_a_made_video_is_taken(avfeat_command) -> None:
    ran = avfeat_command("bench", "--model", "base-int8", "--rounds", 1, "--json", "-")
    assert (ran.status, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert (found["files"], round(found["seconds"]), found["windows"], found["precision"]) == (1, 10, 5, "int8")


def test_a_missing_modality_has_no_number(avfeat_command, tmp_path: Path) -> None:
    make_media(tmp_path / "sound.mka", None, AudioTrack(seconds=2.0))
    found = json.loads(avfeat_command("bench", "sound.mka", "--rounds", 1, "--json", "-").out)
    assert set(found["network"]) == {"audio"}


def test_what_cannot_be_embedded_is_one_sentence(avfeat_command, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "zero.mp4").touch()
    ran = avfeat_command("bench", clip, "zero.mp4")
    assert (ran.status, ran.out) == (1, "") and ran.err.startswith("error: zero.mp4: ")
    assert ran.err.count("\n") == 1
    (tmp_path / "folder").mkdir()
    assert avfeat_command("bench", "folder").status == 1
    assert avfeat_command("bench", clip, "--rounds", 0).status == 2
    assert avfeat_command("bench", clip, "--threads", 0).status == 2
    assert avfeat_command("bench", "-").status == 2

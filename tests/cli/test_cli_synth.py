from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from processes import begun

from avfeat.media import decode


def test_a_made_world_is_written_and_kept(avfeat_command, tmp_path: Path) -> None:
    ran = avfeat_command("synth", "ave", "world", "--videos", 3, "--seed", 4, "--workers", 1)
    assert ran.status == 0
    assert ran.out.startswith("3 videos (3 train; 0 there before) -> world in ")
    assert "every split" in ran.err
    videos = sorted((tmp_path / "world" / "AVE").glob("*.mp4"))
    assert len(videos) == 3
    assert not decode(videos[0]).damaged
    before = [path.stat().st_mtime_ns for path in videos]
    again = avfeat_command("synth", "ave", "world", "--videos", 3, "--seed", 4)
    assert "3 there before" in again.out
    assert [path.stat().st_mtime_ns for path in videos] == before


def test_wrong_use_is_one_sentence_and_status_2(avfeat_command, tmp_path: Path) -> None:
    avfeat_command("synth", "ave", "world", "--videos", 1)
    other = avfeat_command("synth", "ave", "world", "--videos", 2)
    assert other.status == 2
    assert other.err.strip().splitlines()[-1].startswith("error: world: holds another synthetic dataset (")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    full = avfeat_command("synth", "ave", "full")
    assert full.status == 2
    assert full.err == "error: full: is not empty and no synthetic dataset; name a new folder.\n"
    assert avfeat_command("synth", "ave", "x", "--videos", 0).status == 2


def test_an_output_that_is_a_file_is_a_failure(avfeat_command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    ran = avfeat_command("synth", "ave", "file", "--videos", 1)
    assert ran.status == 1
    assert ran.err.startswith("error: file")
    assert ran.err.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_stopped_on_the_way_nothing_is_half_written(tmp_path: Path, number: int, word: str) -> None:
    videos = tmp_path / "world" / "AVE"
    process = begun(
        *("synth", "ave", "world", "--videos", "280"),
        cwd=tmp_path,
        until=lambda: len(list(videos.glob("*.mp4"))) > 2,
    )
    process.send_signal(number)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + number
    assert said == f"{word}; files that are finished are kept.\n"
    found = list(videos.iterdir())
    assert 2 < len(found) < 280 and {path.suffix for path in found} == {".mp4"}
    assert not any(path.name.startswith(".") for path in found)

"""``avfeat explore`` on a real index."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest


def test_the_page_is_written_escaped_and_the_same_again(odd_index: Path, tmp_path: Path, avfeat_command) -> None:
    def made(name: str) -> bytes:
        ran = avfeat_command("explore", odd_index, "-o", tmp_path / name, "--json", tmp_path / "a.json")
        assert ran.status == 0, ran.err
        assert "few points" in ran.out
        return (tmp_path / name).read_bytes()

    page = made("a.html")
    assert page == made("b.html")
    text = page.decode()
    # A file's name is text: no tag of it is in the page, which asks nobody for anything.
    assert "\\u003c/script>/\\u003cimg src=x onerror" in text
    assert "<img src=x" not in text and "</script>/" not in text
    assert "default-src 'none'" in text and "'unsafe-inline'; img-src" in text
    found = json.loads((tmp_path / "a.json").read_text())
    assert (found["method"], found["points"], found["by"], found["bytes"]) == ("PCA", "windows", "both", len(page))
    assert found["counts"] == {"drawn": 9, "of": 9, "without": 0, "files": 4, "unclustered": 9}
    assert len(found["coordinates"]) == 9 and found["failures"] == []
    assert sorted(found["coordinates"][0]) == ["cluster", "end", "file", "start", "x", "y"]


def test_files_by_sound_alone_with_labels(odd_index: Path, tmp_path: Path, avfeat_command) -> None:
    (tmp_path / "labels.csv").write_text("file,label\nother.mkv,<b>cat</b>\nsound.wav,dog\n")
    ran = avfeat_command(
        *("explore", odd_index, "-o", "a.html", "--points", "files", "--by", "audio"),
        *("--labels", tmp_path / "labels.csv", "--json", "-"),
    )
    found = json.loads(ran.out)
    assert found["counts"] == {"drawn": 3, "of": 3, "without": 1, "files": 3, "unclustered": 3}
    assert "<b>cat" not in Path("a.html").read_text()


def test_what_is_missing_is_said_in_a_sentence(
    odd_index: Path, avfeat_command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no such index" in avfeat_command("explore", "none.lance", "-o", "a.html").err
    assert avfeat_command("explore", odd_index, "-o", "a.html", "--labels", "none.csv").err.startswith(
        "error: none.csv"
    )
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    ran = avfeat_command("explore", odd_index, "-o", "a.html")
    assert ran.status == 1 and "pip install 'avfeat[search]'" in ran.err and not Path("a.html").exists()

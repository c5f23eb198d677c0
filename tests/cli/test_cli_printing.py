"""JSON to files and to standard output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avfeat.cli.printing import write_json

NAME = b"\xff\xfe.mp4".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("to_file", [True, False], ids=["file", "stdout"])
def test_json_keeps_a_name_that_is_no_utf_8(
    to_file: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "found.json"
    write_json({"query": NAME, "label": "é"}, str(path) if to_file else "-")
    text = path.read_text("utf-8") if to_file else capsys.readouterr().out
    assert json.loads(text) == {"query": NAME, "label": "é"}


@pytest.mark.parametrize(
    "words",
    [
        ("info", "--json"),
        ("search", "x.lance", "x.mp4", "--html"),
        ("explore", "x.lance", "-o"),
        ("eval", "ave", "x", "--confusion"),
    ],
)
def test_a_folder_in_place_of_a_file_is_refused_before_any_work(
    words: tuple[str, ...], tmp_path: Path, avfeat_command
) -> None:
    ran = avfeat_command(*words, tmp_path)
    assert ran.status == 2
    assert "folder" in ran.err or "directory" in ran.err

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

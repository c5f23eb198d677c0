from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from avfeat import __version__
from avfeat.training import provenance
from avfeat.training.data.index import CacheRow
from avfeat.training.provenance import describe_data, describe_machine, fingerprint, revision, versions

ROW = CacheRow("a.mp4", "00" * 16, "cat", None, 2_000_000, 2_500_000, 0, (), 100, "1 2")


def data(*rows: CacheRow) -> Any:
    classes = tuple(sorted({row.label for row in rows if row.label is not None}))

    class Rows(SimpleNamespace):
        def __len__(self) -> int:
            return len(rows)

    return Rows(rows=rows, classes=classes)


def test_the_fingerprint_is_of_what_is_learned_from() -> None:
    other = replace(ROW, name="b.mp4")
    known = fingerprint(data(ROW, other))
    assert known == fingerprint(data(ROW, other)) and len(known) == 32
    # A copy elsewhere, with other dates, is the same data.
    assert fingerprint(data(replace(ROW, stamp="3 4"), other)) == known
    changed = [
        replace(ROW, **change) for change in ({"name": "c"}, {"clip": "11" * 16}, {"label": "dog"}, {"group": "g"})
    ]
    found = {
        known,
        fingerprint(data(other, ROW)),
        fingerprint(data(ROW)),
        *(fingerprint(data(one, other)) for one in changed),
    }
    assert len(found) == 7
    assert fingerprint(data(replace(ROW, name="\udcff.mp4"))) != known


def test_data_are_described_in_facts() -> None:
    rows = (ROW, replace(ROW, name="b", label=None, audio_end=None))
    found = describe_data("clips/", data(*rows))
    assert found == {
        "source": "clips/", "fingerprint": fingerprint(data(*rows)), "clips": 2, "seconds": 4.5, "classes": 1
    }  # fmt: skip


def test_versions_are_those_that_are_installed() -> None:
    found = versions()
    assert found["avfeat"] == __version__ and found["torch"] == version("torch") and found["av"] == version("av")
    assert "python" in found


def test_the_machine_is_described() -> None:
    found = describe_machine(torch.device("cpu"), 3)
    assert found["processes"] == 3 and found["threads"] == torch.get_num_threads() and found["device"]
    assert found["started"][:2] == "20"


def git(folder: Path, *command: str) -> str:
    name = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")
    ran = subprocess.run(["git", "-C", str(folder), *name, *command], check=True, capture_output=True, text=True)
    return ran.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_revision_is_that_of_this_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "repository" / "training" / "provenance.py"
    code.parent.mkdir(parents=True)
    code.write_text("first")
    monkeypatch.setattr(provenance, "__file__", str(code))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert revision() == "unknown"
    git(code.parent.parent, "init", "-q")
    # In the folder of a repository, but no part of it: an environment in somebody's project.
    assert revision() == "unknown"
    git(code.parent.parent, "add", ".")
    git(code.parent.parent, "commit", "-q", "-m", "first", "--no-verify")
    head = git(code.parent.parent, "rev-parse", "HEAD")
    assert revision() == head
    (code.parent / "notes.txt").write_text("not code")
    assert revision() == head
    code.write_text("second")
    assert revision() == f"{head}+"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision() == "unknown"

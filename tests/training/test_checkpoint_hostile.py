"""Checkpoints from anybody: refused in one sentence before anything is made of them."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avfeat.training.checkpoint import FORMAT, VERSION, Checkpoint, CheckpointError


def saved(**values: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "version": VERSION, "encoders": {"w": torch.ones(64)}, **values}, buffer)
    return buffer.getvalue()


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as raised:
        Checkpoint.load(path)
    assert str(raised.value).startswith(str(path)) and "\n" not in str(raised.value)
    return str(raised.value)


def repacked(content: bytes, path: Path, compression: int, pickled: bytes | None = None) -> Path:
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w", compression) as new:
        for entry in old.infolist():
            changed = pickled is not None and entry.filename.endswith("data.pkl")
            new.writestr(entry.filename, pickled if changed and pickled is not None else old.read(entry))
    return path


class Gigabytes:
    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (2**36,)


def test_bytes_of_any_number_are_not_made(tmp_path: Path) -> None:
    path = repacked(saved(), tmp_path / "a.pt", zipfile.ZIP_STORED, pickle.dumps(Gigabytes(), 2))
    assert "no checkpoint that can be read" in refusal(path)


def test_what_was_packed_is_not_unpacked(tmp_path: Path) -> None:
    assert "no checkpoint that can be read" in refusal(repacked(saved(), tmp_path / "a.pt", zipfile.ZIP_DEFLATED))


def test_what_avfeat_writes_passes_as_far_as_its_keys(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(saved(recipe={}, state=torch.get_rng_state()))
    assert "has no step, data, provenance, training" in refusal(tmp_path / "a.pt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_and_devices(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    refusal(tmp_path / "pipe")
    refusal(tmp_path / "zero")


@given(st.binary(min_size=1, max_size=30), st.floats(0, 1))
def test_mutations_are_refused(tmp_path_factory: Any, patch: bytes, share: float) -> None:
    whole = saved()
    at = int(share * len(whole))
    path = tmp_path_factory.getbasetemp() / "mutated.pt"
    path.write_bytes(whole[:at] + patch + whole[at + len(patch) :])
    refusal(path)
